import { type MeshConfig, readMesh } from "./mesh.ts";
import type { PlainObject, Section } from "./section.ts";

/** The block of our own, `cardea`. */
export interface CardeaConfig {
  readonly onError: "deny" | "error_response" | "rpc_error";
  readonly guardsPaths: boolean;
  /** Refuses JSON bodies in which an object has a member twice. */
  readonly refusesDuplicateMembers: boolean;
  /** Restricts policies to what this file allows; absent for all there is. */
  readonly capabilitiesFile: string | undefined;
  /** "Now" of a decision: the clock's, or the request's own time. */
  readonly timeSource: "system" | "request";
  readonly trustJwtAuthnMetadata: boolean;
  readonly mesh: MeshConfig;
  /** Whether there is a block about the mesh at all. */
  readonly isMeshDescribed: boolean;
  readonly limits: LimitsConfig;
  readonly grpc: GrpcConfig;
  /** Absent when checks come by gRPC alone. */
  readonly httpAuthz: HttpAuthzConfig | undefined;
  /** Blocks their rooms read themselves. */
  readonly rateLimits: PlainObject;
  readonly identity: PlainObject;
  readonly shadow: PlainObject;
  readonly console: PlainObject;
  readonly explain: PlainObject;
}

export interface LimitsConfig {
  readonly evaluationMs: number;
  readonly evaluationSteps: number;
  readonly tokenBytes: number;
  /** Checks decided at once; more are refused. */
  readonly concurrentChecks: number;
  /** Of policy documents: characters of a file, rules over all files, characters of a value. */
  readonly policies: { readonly fileLength: number; readonly rules: number; readonly valueLength: number };
}

export interface GrpcConfig {
  readonly tls: GrpcTlsConfig | undefined;
  readonly limits: GrpcLimitsConfig;
}

export interface GrpcLimitsConfig {
  /** Calls under way at once on one connection. */
  readonly maxConcurrentStreams: number;
  readonly maxConnections: number;
  readonly sessionMemoryMiB: number;
  readonly maxHeaderListBytes: number;
  /** 0 for no limit. */
  readonly maxConnectionAgeMs: number;
  readonly connectionAgeGraceMs: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

/** Authorization over HTTP, beside gRPC. */
export interface HttpAuthzConfig {
  readonly addr: string;
  readonly proxy: "envoy" | "nginx" | "traefik";
  readonly pathPrefix: string;
  readonly sourceAddressHeader: string | undefined;
  /** Lower-case names; undefined for all. */
  readonly headersToUpstream: ReadonlySet<string> | undefined;
  readonly headersToClient: ReadonlySet<string> | undefined;
  readonly maxBodyBytes: number;
  readonly tls: GrpcTlsConfig | undefined;
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
  const limits = section.section("limits");
  const identity = section.section("identity");
  const config: CardeaConfig = {
    onError: section.choice("on_error", ["deny", "error_response", "rpc_error"], "deny"),
    guardsPaths: section.choice("path_guard", ["off", "deny"], "off") === "deny",
    refusesDuplicateMembers: section.choice("duplicate_members", ["last", "deny"], "last") === "deny",
    capabilitiesFile: section.string("capabilities"),
    timeSource: section.choice("time_source", ["system", "request"], "system"),
    trustJwtAuthnMetadata: identity.boolean("trust_jwt_authn_metadata", false),
    isMeshDescribed: section.has("mesh"),
    mesh: readMesh(section.section("mesh")),
    limits: {
      evaluationMs: limits.count("evaluation_ms", 1, 250),
      evaluationSteps: limits.count("evaluation_steps", 1, 50_000_000),
      tokenBytes: limits.count("token_bytes", 1, 16_384),
      concurrentChecks: limits.count("concurrent_checks", 1, 10_000),
      policies: {
        fileLength: limits.count("policy_file_length", 1, 32 * 1024 * 1024),
        rules: limits.count("policy_rules", 1, 50_000),
        valueLength: limits.count("policy_value_length", 1, 4096),
      },
    },
    grpc: readGrpc(section.section("grpc")),
    httpAuthz: section.has("http_authz") ? readHttpAuthz(section.section("http_authz")) : undefined,
    rateLimits: blockOf(section, "rate_limits"),
    identity: blockOf(section, "identity"),
    shadow: blockOf(section, "shadow"),
    console: blockOf(section, "console"),
    explain: blockOf(section, "explain"),
  };
  limits.finish();
  section.finish();
  return config;
}

function readGrpc(section: Section): GrpcConfig {
  const milliseconds = (key: string, least: number, presetSeconds: number): number =>
    section.count(key, least, presetSeconds) * 1000;
  const grpc: GrpcConfig = {
    tls: section.has("tls") ? readTls(section.section("tls")) : undefined,
    limits: {
      maxConcurrentStreams: section.count("max_concurrent_streams", 1, 1000),
      maxConnections: section.count("max_connections", 1, 4096),
      sessionMemoryMiB: section.count("session_memory_mib", 1, 64),
      maxHeaderListBytes: section.count("max_header_list_bytes", 1024, 65_536),
      maxConnectionAgeMs: milliseconds("max_connection_age_s", 0, 0),
      connectionAgeGraceMs: milliseconds("max_connection_age_grace_s", 1, 10),
      keepaliveTimeMs: milliseconds("keepalive_time_s", 1, 30),
      keepaliveTimeoutMs: milliseconds("keepalive_timeout_s", 1, 10),
      requestTimeoutMs: milliseconds("request_timeout_s", 1, 10),
    },
  };
  section.finish();
  return grpc;
}

function readHttpAuthz(section: Section): HttpAuthzConfig {
  const addr = section.string("addr");
  if (addr === undefined || addr === "") throw section.wrong("addr", "an address", null);
  const names = (key: string): ReadonlySet<string> | undefined => {
    const list = section.strings(key);
    return list === undefined ? undefined : new Set(list.map((name) => name.toLowerCase()));
  };
  const http: HttpAuthzConfig = {
    addr,
    proxy: section.choice("proxy", ["envoy", "nginx", "traefik"], "envoy"),
    pathPrefix: section.string("path_prefix", "").replace(/\/+$/, ""),
    sourceAddressHeader: section.string("source_address_header")?.toLowerCase(),
    headersToUpstream: names("headers_to_upstream"),
    headersToClient: names("headers_to_client"),
    maxBodyBytes: section.count("max_body_bytes", 0, 1_048_576),
    tls: section.has("tls") ? readTls(section.section("tls")) : undefined,
  };
  section.finish();
  return http;
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
