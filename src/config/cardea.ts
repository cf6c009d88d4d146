import type { PlainObject, Section } from "./section.ts";

/** The block of our own, `cardea`. */
export interface CardeaConfig {
  readonly onError: "deny" | "error_response" | "rpc_error";
  readonly guardsPaths: boolean;
  /** "Now" of a decision: the clock's, or the request's own time. */
  readonly timeSource: "system" | "request";
  readonly trustJwtAuthnMetadata: boolean;
  readonly mesh: MeshConfig;
  readonly limits: LimitsConfig;
  readonly grpc: GrpcConfig;
  /** Blocks their rooms read themselves. */
  readonly rateLimits: PlainObject;
  readonly identity: PlainObject;
  readonly shadow: PlainObject;
  readonly console: PlainObject;
  readonly explain: PlainObject;
}

export interface MeshConfig {
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  readonly numTrustedProxies: number;
}

export interface LimitsConfig {
  readonly evaluationMs: number;
  readonly evaluationSteps: number;
  readonly tokenBytes: number;
  /** Checks decided at once; more are refused. */
  readonly concurrentChecks: number;
}

export interface GrpcConfig {
  readonly tls: GrpcTlsConfig | undefined;
  readonly maxConcurrentStreams: number;
  readonly maxConnections: number;
  /** 0 for no limit. */
  readonly maxConnectionAgeSeconds: number;
  /** Time between refusing new calls and ending the last. */
  readonly drainSeconds: number;
}

export interface GrpcTlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile: string | undefined;
  /** SPIFFE IDs that may call; empty for any client the CA vouches for. */
  readonly allowedPrincipals: readonly string[];
}

/** @throws {ConfigError} */
export function readCardea(section: Section): CardeaConfig {
  const mesh = section.section("mesh");
  const limits = section.section("limits");
  const identity = section.section("identity");
  const config: CardeaConfig = {
    onError: section.choice("on_error", ["deny", "error_response", "rpc_error"], "deny"),
    guardsPaths: section.choice("path_guard", ["off", "deny"], "off") === "deny",
    timeSource: section.choice("time_source", ["system", "request"], "system"),
    trustJwtAuthnMetadata: identity.boolean("trust_jwt_authn_metadata", false),
    mesh: {
      rootNamespace: mesh.string("root_namespace", "istio-system"),
      trustDomain: mesh.string("trust_domain", "cluster.local"),
      trustDomainAliases: mesh.strings("trust_domain_aliases") ?? [],
      numTrustedProxies: mesh.count("num_trusted_proxies", 0, 0),
    },
    limits: {
      evaluationMs: limits.count("evaluation_ms", 1, 250),
      evaluationSteps: limits.count("evaluation_steps", 1, 50_000_000),
      tokenBytes: limits.count("token_bytes", 1, 16_384),
      concurrentChecks: limits.count("concurrent_checks", 1, 10_000),
    },
    grpc: readGrpc(section.section("grpc")),
    rateLimits: blockOf(section, "rate_limits"),
    identity: blockOf(section, "identity"),
    shadow: blockOf(section, "shadow"),
    console: blockOf(section, "console"),
    explain: blockOf(section, "explain"),
  };
  mesh.finish();
  limits.finish();
  section.finish();
  return config;
}

function readGrpc(section: Section): GrpcConfig {
  const grpc: GrpcConfig = {
    tls: section.has("tls") ? readTls(section.section("tls")) : undefined,
    maxConcurrentStreams: section.count("max_concurrent_streams", 1, 1000),
    maxConnections: section.count("max_connections", 1, 4096),
    maxConnectionAgeSeconds: section.count("max_connection_age_s", 0, 0),
    drainSeconds: section.count("drain_s", 0, 10),
  };
  section.finish();
  return grpc;
}

function readTls(section: Section): GrpcTlsConfig {
  const required = (key: string): string => {
    const value = section.string(key);
    if (value === undefined || value === "") throw section.wrong(key, "a file name", null);
    return value;
  };
  const tls: GrpcTlsConfig = {
    certFile: required("cert_file"),
    keyFile: required("key_file"),
    clientCaFile: section.string("client_ca_file"),
    allowedPrincipals: section.strings("allowed_principals") ?? [],
  };
  section.finish();
  return tls;
}

function blockOf(section: Section, key: string): PlainObject {
  const value = section.get(key);
  if (value === undefined) return {};
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as PlainObject;
  throw section.wrong(key, "an object", value);
}
