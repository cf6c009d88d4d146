import { randomUUID } from "node:crypto";
import {
  ApiEvaluator,
  basicAuthorizer,
  compileRoute,
  configRoute,
  createRouter,
  dataRoutes,
  healthRoutes,
  metricsRoute,
  policyRoutes,
  queryRoutes,
  type Route,
  statusDocument,
  type StatusParts as StatusDocumentParts,
  statusRoute,
} from "../admin/index.ts";
import { type Config, ConfigError, publicConfig } from "../config/index.ts";
import type { TracedIo } from "../decision/index.ts";
import { DecisionRecorder } from "../decision-log/index.ts";
import {
  type Accept,
  type BundleStatus,
  type Compile,
  PolicyStore,
  type Aside,
  asideInThread,
  regoCompiler,
  SERVING_PACE,
} from "../policy/index.ts";
import type { JsonObject, Value } from "../rego/value/index.ts";
import {
  type LineStyle,
  type LineWriter,
  type Logger,
  Metrics,
  PluginStates,
  type Tracing,
} from "../telemetry/index.ts";
import { BundleSources } from "./bundle-sources.ts";
import { CheckPorts } from "./check-ports.ts";
import { type Permissions, readPermissions } from "./compose-capabilities.ts";
import { composeChecks, GRPC_PLUGIN } from "./compose-checks.ts";
import { composeDeclared, type DeclaredParts } from "./compose-declared.ts";
import { composeTracing } from "./compose-tracing.ts";
import { DecisionLogging } from "./decision-logging.ts";
import { Discovery } from "./discovery.ts";
import type { HttpHandler } from "./http-listener.ts";
import { SettledSections } from "./settled-sections.ts";
import { StatusBoard } from "./status-board.ts";
import { StatusReports } from "./status-reports.ts";
import { INSTANCE_VARIABLE } from "./worker-messages.ts";

export interface ComposeOptions {
  readonly config: Config;
  /** Language of modules that do not say otherwise. */
  readonly regoVersion: "v0" | "v1";
  readonly logger: Logger;
  /** Where console decision logs go. */
  readonly writer: LineWriter;
  /** How they look. */
  readonly lines: LineStyle;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Versions that `opa.runtime()` and labels tell. */
  readonly version: string;
  readonly authentication: "token" | "tls" | "off";
  readonly authorization: "basic" | "off";
  /** Called each time before policies are replaced while requests are served. */
  readonly beforeReload?: (() => void) | undefined;
  readonly policyThread?: URL | undefined;
}

/** The parts of one process, wired but not started. */
export interface Parts {
  readonly store: PolicyStore;
  /** Has the last word about policies that are read anew. */
  readonly accept: Accept;
  readonly states: PluginStates;
  readonly board: StatusBoard;
  readonly metrics: Metrics;
  readonly recorder: DecisionRecorder;
  readonly bundles: BundleSources;
  /** Absent when the configuration is all there. */
  readonly discovery: Discovery | undefined;
  readonly checks: CheckPorts;
  readonly declared: DeclaredParts;
  /** Absent when nothing is traced. */
  readonly tracing: Tracing | undefined;
  readonly apiHandler: HttpHandler;
  readonly diagnosticHandler: HttpHandler;
}

/** Bounds of one query of the API: nobody waits for them in a proxy, but they share the event loop with those who do. */
const API_EVALUATION_MS = 10_000;
const API_EVALUATION_STEPS = 500_000_000;

/** The configuration as it is now; a discovered one replaces it. */
interface Live {
  config: Config;
  labels: JsonObject;
  /** For `/v1/config`. */
  shown: JsonObject;
}

/** Wires everything: the one place where parts meet. */
export async function compose(options: ComposeOptions): Promise<Parts> {
  const { config: boot, logger, version } = options;
  // Workers have one name between them; policies need not see how they got it.
  const { [INSTANCE_VARIABLE]: id = randomUUID(), ...env } = options.env;
  const liveOf = (config: Config): Live => {
    const labels = { ...config.labels, id, version };
    return { config, labels, shown: publicConfig(config, labels) as JsonObject };
  };
  const live = liveOf(boot);
  // As in OPA, policies see the configuration the server was started with.
  const runtime: Value = { config: live.shown, env: env as JsonObject, version, commit: "" };
  const metrics = new Metrics(boot.api.durationBuckets);
  metrics.countLostLines(() => options.writer.dropped);
  const states = new PluginStates();
  const declared = await composeDeclared(boot, metrics, logger);
  const permissions = await readPermissions(boot.cardea.capabilitiesFile);
  const { compile, aside } = compilers(options, declared, permissions);
  const store = new PolicyStore(compile, declared.mesh, { ...SERVING_PACE, begin: options.beforeReload }, aside);
  store.onPublish((snapshot) => {
    metrics.policyGeneration.set(snapshot.generation);
    metrics.policyLoaded.setToCurrentTime();
  });
  const { writer, lines } = options;
  const logging = new DecisionLogging({
    labels: () => live.labels,
    store,
    runtime,
    metrics,
    writer,
    lines,
    logger,
    env,
  });
  const recorder = new DecisionRecorder(logging);
  const tracing = await composeTracing(boot.tracing, logger);
  const io = lazyIo(boot, declared, permissions);
  const status: StatusDocumentParts = {
    get labels() {
      return live.labels;
    },
    store,
    states,
    bundles: () => bundles.statuses,
    discovery: () => discovery && { status: discovery.status, message: discovery.message },
    keys: declared.keys,
  };
  const reports = new StatusReports({
    document: () => board.document(),
    states,
    metrics,
    writer,
    lines,
    logger,
    version,
    env,
  });
  const board: StatusBoard = new StatusBoard({
    states,
    own: () => statusDocument(status),
    report: () => reports.report(),
  });
  const onAttempt = (attempt: BundleStatus): void => {
    reports.attempted(attempt);
    board.changed();
  };
  const checks: CheckPorts = new CheckPorts((plugin) =>
    composeChecks(plugin, {
      cardea: boot.cardea,
      store,
      recorder,
      metrics,
      tracing,
      runtime,
      env,
      io,
      identity: declared.identity,
      keepsNdResults: () => live.config.ndBuiltinCache,
      isIncomplete: () => discovery?.isActivated === false || bundles.isIncomplete,
      logger,
    }),
  );
  const bundles: BundleSources = new BundleSources({ store, accept: checks.accept, onAttempt, env, states, logger });
  const settled = new SettledSections(boot, logger);
  const configure = async (config: Config): Promise<void> => {
    if (await checks.configure(config.plugin)) settled.settle("plugins", config);
    settled.compare(config);
    Object.assign(live, liveOf(config));
    logging.configure(config.decisionLogs);
    reports.configure(config.status);
    // As in OPA, a discovered configuration that says nothing of bundles leaves them alone.
    if (config === boot || config.raw["bundles"] !== undefined) bundles.configure(config);
  };
  const discovery =
    boot.discovery &&
    new Discovery({
      boot,
      discovery: boot.discovery,
      compile,
      runtime,
      env,
      io,
      apply: configure,
      onAttempt,
      states,
      logger,
    });
  if (boot.cardea.httpAuthz !== undefined && boot.plugin === undefined && discovery === undefined)
    throw new ConfigError(`cardea.http_authz: expected plugins.${GRPC_PLUGIN}, which says what decides`);
  await configure(boot);
  declared.follow(store);
  const evaluator = new ApiEvaluator({
    store,
    recorder,
    runtime,
    env,
    io,
    logger,
    evaluationMs: API_EVALUATION_MS,
    evaluationSteps: API_EVALUATION_STEPS,
  });
  const authorize =
    options.authorization === "basic"
      ? basicAuthorizer(store, () => live.config.defaultAuthorizationDecision, runtime)
      : async () => undefined;
  const common: readonly Route[] = [
    ...healthRoutes({ store, states, plugins: board.plugins, keys: declared.keys }),
    metricsRoute(metrics),
  ];
  const router = (routes: readonly Route[]): HttpHandler =>
    createRouter({
      routes,
      logger,
      metrics,
      tracing,
      authorize,
      authentication: options.authentication,
      bodies: boot.api,
    });
  const data = {
    store,
    evaluator,
    version,
    get defaultDecision() {
      return live.config.defaultDecision;
    },
  };
  return {
    store,
    accept: checks.accept,
    states,
    board,
    metrics,
    recorder,
    bundles,
    discovery,
    checks,
    declared,
    tracing,
    apiHandler: router([
      ...common,
      ...dataRoutes(data),
      ...policyRoutes(store),
      ...queryRoutes(evaluator),
      compileRoute(),
      configRoute(() => live.shown),
      statusRoute(board.document),
    ]),
    diagnosticHandler: router(common),
  };
}

/** `print` costs something even when nobody reads it: it is compiled out above log level info, as in OPA. */
function compilers(
  { regoVersion, policyThread, logger }: ComposeOptions,
  { extend }: DeclaredParts,
  permissions: Permissions | undefined,
): { readonly compile: Compile; readonly aside: Aside | undefined } {
  const capabilities = permissions?.capabilities;
  const compiling = { version: regoVersion, keepPrint: logger.isEnabled("info"), capabilities, extend };
  if (policyThread === undefined) return { compile: regoCompiler(compiling), aside: undefined };
  const onFailure = (err: unknown): void =>
    logger.warning("The policies are built between requests: their own thread failed.", { err });
  return { compile: regoCompiler(compiling), aside: asideInThread(compiling, { program: policyThread, onFailure }) };
}

/** The HTTP client for policies is loaded when one first asks for it. */
function lazyIo(config: Config, { host }: DeclaredParts, permissions: Permissions | undefined): TracedIo {
  let answer: Promise<TracedIo> | undefined;
  return async (request, span) => {
    // Counters need no HTTP client.
    if (request.kind === "host") return host(request.name, request.operand);
    answer ??= import("./rego-io.ts").then(({ RegoIo }) => {
      const { interQueryMaxBytes } = config.caching;
      const hosts = permissions?.hosts;
      return new RegoIo({
        ...(interQueryMaxBytes !== undefined && { cacheBytes: interQueryMaxBytes }),
        ...(hosts !== undefined && { allowedHosts: hosts }),
      }).answer;
    });
    return (await answer)(request, span);
  };
}
