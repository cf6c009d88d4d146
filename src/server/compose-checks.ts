import { readFile } from "node:fs/promises";
import { type Config, ConfigError, type GrpcTlsConfig, type PluginConfig } from "../config/index.ts";
import { type Account, Decider, type IdentityOptions, type TracedIo } from "../decision/index.ts";
import type { DecisionRecorder } from "../decision-log/index.ts";
import {
  AuthorizationService,
  type GrpcBodyDecoder,
  grpcBodyDecoder,
  HttpAuthorization,
  loadProtoDescriptor,
} from "../ext-authz/index.ts";
import {
  type Accept,
  type Entrypoint,
  entrypointGap,
  exhaustedLimits,
  keepEntrypoint,
  pathEntrypoint,
  type PolicyStore,
  type Snapshot,
} from "../policy/index.ts";
import type { Value } from "../rego/value/index.ts";
import type { Logger, Metrics, Tracing } from "../telemetry/index.ts";
import type { Environment } from "./environment.ts";
import { GrpcListener } from "./grpc-listener.ts";
import { httpAuthzHandler } from "./http-authz.ts";
import { HttpListener } from "./http-listener.ts";
import { parseHttpAddress } from "./listen-address.ts";
import { TlsFiles } from "./tls-files.ts";

/** The name under which `/health` and `/v1/status` know the gRPC port. */
export const GRPC_PLUGIN = "envoy_ext_authz_grpc";

/** Everything behind the ports for checks, wired but not listening. */
export interface Checks {
  readonly plugin: PluginConfig;
  readonly grpc: GrpcListener;
  /** Absent unless `cardea.http_authz` is configured. */
  readonly httpAuthz: HttpListener | undefined;
  /** Has the last word about policies that are read anew. */
  readonly accept: Accept;
}

export interface ChecksParts {
  readonly cardea: Config["cardea"];
  readonly store: PolicyStore;
  readonly recorder: DecisionRecorder;
  readonly metrics: Metrics;
  readonly tracing: Tracing | undefined;
  readonly runtime: Value;
  readonly env: Environment;
  readonly io: TracedIo;
  readonly identity: IdentityOptions;
  /** `nd_builtin_cache`, as it is now. */
  readonly keepsNdResults: () => boolean;
  /** Whether policies are still to come. */
  readonly isIncomplete: () => boolean;
  readonly logger: Logger;
}

/** @throws {ConfigError} */
export async function composeChecks(plugin: PluginConfig, parts: ChecksParts): Promise<Checks> {
  const { cardea, logger } = parts;
  const bodies = await grpcBodies(plugin.protoDescriptor);
  const grpcTls = await tlsFiles("cardea.grpc.tls", cardea.grpc.tls, logger);
  let httpTls: TlsFiles | undefined;
  try {
    httpTls = await tlsFiles("cardea.http_authz.tls", cardea.httpAuthz?.tls, logger);
  } catch (cause) {
    grpcTls?.close();
    throw cause;
  }
  const entrypoint = entrypointOf(plugin);
  const service = composeService(plugin, entrypoint, bodies, parts);
  return {
    plugin,
    grpc: composeGrpc(plugin, service, grpcTls, parts),
    httpAuthz: composeHttpAuthz(service, httpTls, parts),
    accept: keepEntrypoint(entrypoint),
  };
}

function entrypointOf({ path, query }: PluginConfig): Entrypoint {
  return query === "" ? pathEntrypoint(path) : { kind: "query", text: query };
}

/** The one service behind every port for checks. */
function composeService(
  plugin: PluginConfig,
  entrypoint: Entrypoint,
  bodies: GrpcBodyDecoder | undefined,
  parts: ChecksParts,
): AuthorizationService {
  const { cardea, store, recorder, metrics, runtime, env, io, identity, isIncomplete, logger } = parts;
  if (plugin.enablePerformanceMetrics) metrics.enablePluginMetrics({ durationBuckets: plugin.durationBuckets });
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
    get keepsNdResults() {
      return parts.keepsNdResults();
    },
    timeFromRequest: cardea.timeSource === "request",
    identity,
    exhaustedLimits,
    isIncomplete,
  });
  const prepare = (snapshot: Snapshot): void => {
    const gap = isIncomplete() ? undefined : entrypointGap(snapshot, entrypoint);
    if (gap !== undefined) logger.warning("Every check will be denied.", { err: gap });
    decider.warm(snapshot);
  };
  if (store.current.generation > 0) prepare(store.current);
  store.onPublish(prepare);
  return new AuthorizationService(
    decider,
    {
      onError: cardea.onError,
      dryRun: plugin.dryRun,
      guardsPaths: cardea.guardsPaths,
      skipBody: plugin.skipRequestBodyParse,
      refusesDuplicateMembers: cardea.refusesDuplicateMembers,
      grpcBodies: bodies,
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

function composeGrpc(
  plugin: PluginConfig,
  service: AuthorizationService,
  tls: TlsFiles | undefined,
  { cardea, metrics, tracing, logger }: ChecksParts,
): GrpcListener {
  return new GrpcListener(service, {
    addr: plugin.addr,
    limits: { ...cardea.grpc.limits, maxReceiveBytes: plugin.maxReceiveBytes, maxSendBytes: plugin.maxSendBytes },
    maxConcurrentChecks: cardea.limits.concurrentChecks,
    enableReflection: plugin.enableReflection,
    tls,
    allowedPrincipals: cardea.grpc.tls?.allowedPrincipals ?? [],
    logger,
    tracing,
    onInFlight: (change) => {
      metrics.inFlight += change;
    },
    onRefused: (reason) => metrics.connectionsRefused.inc({ reason }),
  });
}

function composeHttpAuthz(
  service: AuthorizationService,
  files: TlsFiles | undefined,
  { cardea: { httpAuthz, limits }, metrics, tracing, logger }: ChecksParts,
): HttpListener | undefined {
  if (httpAuthz === undefined) return undefined;
  const handler = httpAuthzHandler(new HttpAuthorization(service, httpAuthz), {
    maxBodyBytes: httpAuthz.maxBodyBytes,
    maxConcurrentChecks: limits.concurrentChecks,
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
