import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
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
import {
  type Config,
  ConfigError,
  type DecisionLogConfig,
  type GrpcTlsConfig,
  publicConfig,
  type ServiceConfig,
} from "../config/index.ts";
import { type Account, Decider, type TracedIo } from "../decision/index.ts";
import { consoleSink, DecisionRecorder, HttpSink, type Sink, styledConsoleSink } from "../decision-log/index.ts";
import {
  AuthorizationService,
  type GrpcBodyDecoder,
  grpcBodyDecoder,
  HttpAuthorization,
  loadProtoDescriptor,
} from "../ext-authz/index.ts";
import {
  type Accept,
  type BundleSource,
  type Compile,
  type Entrypoint,
  entrypointGap,
  exhaustedLimits,
  isDefined,
  keepEntrypoint,
  pathEntrypoint,
  PolicyStore,
  regoCompiler,
  type Snapshot,
} from "../policy/index.ts";
import type { JsonObject, Value } from "../rego/value/index.ts";
import {
  type LineStyle,
  type LineWriter,
  type Logger,
  Metrics,
  PLAIN_LINES,
  PluginStates,
  type Tracing,
} from "../telemetry/index.ts";
import { GrpcListener } from "./grpc-listener.ts";
import { composeBundles } from "./compose-bundles.ts";
import { composeDeclared, type DeclaredParts } from "./compose-declared.ts";
import { type Permissions, readPermissions } from "./compose-capabilities.ts";
import { composeStatus } from "./compose-status.ts";
import { composeTracing } from "./compose-tracing.ts";
import { httpAuthzHandler } from "./http-authz.ts";
import { type HttpHandler, HttpListener } from "./http-listener.ts";
import { parseHttpAddress } from "./listen-address.ts";
import { ServiceClient } from "./service-client.ts";
import { TlsFiles } from "./tls-files.ts";

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
}

/** The parts of one process, wired but not started. */
export interface Parts {
  readonly store: PolicyStore;
  /** Has the last word about policies that are read anew. */
  readonly accept: Accept;
  readonly states: PluginStates;
  readonly metrics: Metrics;
  readonly recorder: DecisionRecorder;
  readonly bundles: readonly BundleSource[];
  readonly declared: DeclaredParts;
  /** Absent when nothing is traced. */
  readonly tracing: Tracing | undefined;
  /** Absent when no ext_authz plugin is configured. */
  readonly grpc: GrpcListener | undefined;
  /** Absent unless `cardea.http_authz` is configured. */
  readonly httpAuthz: HttpListener | undefined;
  readonly apiHandler: HttpHandler;
  readonly diagnosticHandler: HttpHandler;
}

/** The name under which `/health` and `/v1/status` know the gRPC port. */
export const GRPC_PLUGIN = "envoy_ext_authz_grpc";

/** Bounds of one query of the API: nobody waits for them in a proxy, but they share the event loop with those who do. */
const API_EVALUATION_MS = 10_000;
const API_EVALUATION_STEPS = 500_000_000;

/** Wires everything: the one place where parts meet. */
export async function compose(options: ComposeOptions): Promise<Parts> {
  const { config, logger, env } = options;
  const labels = { ...config.labels, id: randomUUID(), version: options.version };
  const shownConfig = publicConfig(config, labels) as JsonObject;
  const runtime: Value = { config: shownConfig, env: env as JsonObject, version: options.version, commit: "" };
  const metrics = new Metrics();
  metrics.countLostLines(() => options.writer.dropped);
  const states = new PluginStates();
  const declared = await composeDeclared(config, metrics, logger);
  const permissions = await readPermissions(config.cardea.capabilitiesFile);
  const store = new PolicyStore(compiler(options, declared, permissions), declared.mesh);
  store.onPublish((snapshot) => {
    metrics.policyGeneration.set(snapshot.generation);
    metrics.policyLoaded.setToCurrentTime();
  });
  const recorder = composeRecorder(options, store, labels, runtime, metrics);
  const tracing = await composeTracing(config.tracing, logger);
  const io = lazyIo(config, declared, permissions);
  const { plugin } = config;
  const entrypoint = plugin === undefined ? undefined : entrypointOf(plugin);
  const accept = entrypoint === undefined ? () => undefined : keepEntrypoint(entrypoint);
  const status: StatusDocumentParts = {
    labels,
    store,
    states,
    bundles: () => bundles.map((bundle) => bundle.status),
    keys: declared.keys,
  };
  const onAttempt = composeStatus(config.status, {
    document: () => statusDocument(status),
    states,
    metrics,
    writer: options.writer,
    lines: options.lines,
    logger,
    version: options.version,
    env,
  });
  const bundles: readonly BundleSource[] = composeBundles(config, { store, accept, onAttempt, env }, states, logger);
  const service = await composeService(options, { store, recorder, metrics, runtime, io, declared, bundles });
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
      ? basicAuthorizer(store, config.defaultAuthorizationDecision, runtime)
      : async () => undefined;
  const common: readonly Route[] = [...healthRoutes(status), metricsRoute(metrics)];
  const router = (routes: readonly Route[]): HttpHandler =>
    createRouter({ routes, logger, metrics, tracing, authorize, authentication: options.authentication });
  return {
    store,
    accept,
    states,
    metrics,
    recorder,
    bundles,
    declared,
    tracing,
    grpc: service && (await composeGrpc(options, service, metrics, tracing)),
    httpAuthz: await composeHttpAuthz(options, service, metrics, tracing),
    apiHandler: router([
      ...common,
      ...dataRoutes({ store, evaluator, version: options.version, defaultDecision: config.defaultDecision }),
      ...policyRoutes(store),
      ...queryRoutes(evaluator),
      compileRoute(),
      configRoute(shownConfig),
      statusRoute(status),
    ]),
    diagnosticHandler: router(common),
  };
}

/** `print` costs something even when nobody reads it: it is compiled out above log level info, as in OPA. */
function compiler(
  { regoVersion, logger }: ComposeOptions,
  { extend }: DeclaredParts,
  permissions: Permissions | undefined,
): Compile {
  const capabilities = permissions?.capabilities;
  return regoCompiler({ version: regoVersion, keepPrint: logger.isEnabled("info"), capabilities, extend });
}

function composeRecorder(
  options: ComposeOptions,
  store: PolicyStore,
  labels: JsonObject,
  runtime: Value,
  metrics: Metrics,
): DecisionRecorder {
  const logs = options.config.decisionLogs;
  const sinks: Sink[] = [];
  if (logs?.console === true) {
    const { writer, lines } = options;
    sinks.push(lines === PLAIN_LINES ? consoleSink(writer) : styledConsoleSink(writer, lines));
  }
  if (logs?.service !== undefined) sinks.push(uploadSink(logs, logs.service, options, metrics));
  const evaluator = (path: string) => {
    const entrypoint = pathEntrypoint(path);
    const defined = new WeakMap<Snapshot, boolean>();
    return (event: JsonObject): Value | undefined => {
      const { current } = store;
      const asks = defined.get(current) ?? isDefined(current, entrypoint);
      defined.set(current, asks);
      return asks ? current.prepare(entrypoint).value({ input: event, runtime }) : undefined;
    };
  };
  return new DecisionRecorder({
    labels,
    sinks,
    evaluateDrop: evaluator(logs?.dropDecision ?? ""),
    evaluateMask: evaluator(logs?.maskDecision ?? ""),
    logger: options.logger.with({ plugin: "decision_logs" }),
  });
}

/** Without a limit of OPA's, this bounds what waits for a log server that is away. */
const DEFAULT_LOG_BUFFER_BYTES = 64 * 1024 * 1024;
const MAX_LOG_REPLY_BYTES = 1024 * 1024;

function uploadSink(
  logs: DecisionLogConfig,
  service: ServiceConfig,
  { logger, env }: ComposeOptions,
  metrics: Metrics,
): Sink {
  const client = new ServiceClient(service, env);
  const { reporting } = logs;
  const isByEvents = reporting.bufferType === "event";
  return new HttpSink({
    minDelaySeconds: reporting.minDelaySeconds,
    maxDelaySeconds: reporting.maxDelaySeconds,
    uploadBytes: reporting.uploadSizeLimitBytes,
    bufferBytes: reporting.bufferSizeLimitBytes ?? DEFAULT_LOG_BUFFER_BYTES,
    bufferEvents: isByEvents ? reporting.bufferSizeLimitEvents : Number.POSITIVE_INFINITY,
    eventsPerSecond: reporting.maxDecisionsPerSecond,
    upload: async (body) => {
      const headers = { "content-type": "application/json", "content-encoding": "gzip" };
      return (await client.send({ method: "POST", path: logs.resource, headers, body, maxBytes: MAX_LOG_REPLY_BYTES }))
        .status;
    },
    onDropped: (reason, count) => metrics.logDropped.inc({ sink: "http", reason }, count),
    onUpload: (isDelivered) => metrics.logUploads.inc({ result: isDelivered ? "ok" : "failed" }),
    logger: logger.with({ plugin: "decision_logs" }),
  });
}

interface ServiceParts {
  readonly store: PolicyStore;
  readonly recorder: DecisionRecorder;
  readonly metrics: Metrics;
  readonly runtime: Value;
  readonly io: TracedIo;
  readonly declared: DeclaredParts;
  readonly bundles: readonly BundleSource[];
}

function entrypointOf({ path, query }: { readonly path: string; readonly query: string }): Entrypoint {
  return query === "" ? pathEntrypoint(path) : { kind: "query", text: query };
}

/** The one service behind every port for checks. */
async function composeService(
  { config, logger, env }: ComposeOptions,
  { store, recorder, metrics, runtime, io, declared, bundles }: ServiceParts,
): Promise<AuthorizationService | undefined> {
  const { plugin, cardea } = config;
  if (plugin === undefined) return undefined;
  if (plugin.enablePerformanceMetrics) metrics.enablePluginMetrics({ durationBuckets: plugin.durationBuckets });
  const entrypoint = entrypointOf(plugin);
  const decider = new Decider({
    store,
    recorder,
    entrypoint,
    path: plugin.path,
    query: plugin.query,
    limits: { evaluationMs: cardea.limits.evaluationMs, evaluationSteps: cardea.limits.evaluationSteps },
    runtime,
    env,
    io,
    logger,
    keepsNdResults: config.ndBuiltinCache,
    timeFromRequest: cardea.timeSource === "request",
    identity: declared.identity,
    exhaustedLimits,
    isIncomplete: () => bundles.some((bundle) => !bundle.isActivated),
  });
  store.onPublish((snapshot) => {
    const gap = bundles.every(({ isActivated }) => isActivated) ? entrypointGap(snapshot, entrypoint) : undefined;
    if (gap !== undefined) logger.warning("Every check will be denied.", { err: gap });
    decider.warm(snapshot);
  });
  return new AuthorizationService(
    decider,
    {
      onError: cardea.onError,
      dryRun: plugin.dryRun,
      guardsPaths: cardea.guardsPaths,
      skipBody: plugin.skipRequestBodyParse,
      refusesDuplicateMembers: cardea.refusesDuplicateMembers,
      grpcBodies: await grpcBodies(plugin.protoDescriptor),
    },
    {
      decided: (verdict, seconds) => metrics.observeDecision(verdict, seconds),
      failed: (reason) => metrics.countFault(reason),
      accounted: (account, verdict) => countAccount(metrics, account, verdict),
    },
    logger,
  );
}

/** By policy and rule where one decided: only those that have decided something make a series. */
function countAccount(metrics: Metrics, { layer, mesh }: Account, verdict: "allow" | "deny" | "fault"): void {
  const by = layer === "mesh" ? mesh?.by : undefined;
  metrics.rulings.inc({
    layer,
    verdict,
    policy: by?.policy ?? "",
    rule: by === undefined ? "" : String(by.rule),
  });
}

async function composeGrpc(
  { config: { plugin, cardea }, logger }: ComposeOptions,
  service: AuthorizationService,
  metrics: Metrics,
  tracing: Tracing | undefined,
): Promise<GrpcListener | undefined> {
  if (plugin === undefined) return undefined;
  return new GrpcListener(service, {
    addr: plugin.addr,
    limits: { ...cardea.grpc.limits, maxReceiveBytes: plugin.maxReceiveBytes, maxSendBytes: plugin.maxSendBytes },
    maxConcurrentChecks: cardea.limits.concurrentChecks,
    enableReflection: plugin.enableReflection,
    tls: await tlsFiles("cardea.grpc.tls", cardea.grpc.tls, logger),
    allowedPrincipals: cardea.grpc.tls?.allowedPrincipals ?? [],
    logger,
    tracing,
    onInFlight: (change) => {
      metrics.inFlight += change;
    },
    onRefused: (reason) => metrics.connectionsRefused.inc({ reason }),
  });
}

/** @throws {ConfigError} */
async function composeHttpAuthz(
  { config: { cardea }, logger }: ComposeOptions,
  service: AuthorizationService | undefined,
  metrics: Metrics,
  tracing: Tracing | undefined,
): Promise<HttpListener | undefined> {
  const { httpAuthz } = cardea;
  if (httpAuthz === undefined) return undefined;
  if (service === undefined)
    throw new ConfigError(`cardea.http_authz: expected plugins.${GRPC_PLUGIN}, which says what decides`);
  const files = await tlsFiles("cardea.http_authz.tls", httpAuthz.tls, logger);
  const handler = httpAuthzHandler(new HttpAuthorization(service, httpAuthz), {
    maxBodyBytes: httpAuthz.maxBodyBytes,
    maxConcurrentChecks: cardea.limits.concurrentChecks,
    allowedPrincipals: httpAuthz.tls?.allowedPrincipals ?? [],
    logger,
    tracing,
    onInFlight: (change) => {
      metrics.inFlight += change;
    },
  });
  return new HttpListener(handler, {
    address: parseHttpAddress(httpAuthz.addr),
    unixSocketMode: 0o755,
    ...(files !== undefined && { tls: { files, minVersion: "TLSv1.2" } }),
  });
}

/** @throws {ConfigError} when the descriptor cannot be used. */
async function grpcBodies(file: string): Promise<GrpcBodyDecoder | undefined> {
  if (file === "") return undefined;
  try {
    return grpcBodyDecoder(await loadProtoDescriptor(await readFile(file)));
  } catch (cause) {
    throw new ConfigError(
      `plugins.${GRPC_PLUGIN}.proto-descriptor: ${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

/** @throws {ConfigError} when the certificate cannot be used. */
async function tlsFiles(path: string, tls: GrpcTlsConfig | undefined, logger: Logger): Promise<TlsFiles | undefined> {
  if (tls === undefined) return undefined;
  if (tls.allowedPrincipals.length > 0 && tls.clientCaFile === undefined)
    throw new ConfigError(`${path}.allowed_principals: expected client_ca_file beside it`);
  try {
    return await TlsFiles.open({ certFile: tls.certFile, keyFile: tls.keyFile, caFile: tls.clientCaFile }, logger);
  } catch (cause) {
    throw new ConfigError(`${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
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
