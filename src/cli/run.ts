import type { Command } from "./command.ts";
import type { Flag, FlagValues } from "./flags.ts";
import { serve, type ServeSettings } from "./serve.ts";
import type { Terminal } from "./terminal.ts";

// biome-ignore format: table
const FLAGS: readonly Flag[] = [
  { name: "server",                        short: "s", kind: "bool",   about: "start in server mode" },
  { name: "addr",                          short: "a", kind: "slice",  default: "localhost:8181", about: "listening address of the HTTP API (e.g. [ip]:<port> for TCP, unix://<path> for a socket)" },
  { name: "diagnostic-addr",                           kind: "slice",  about: "read-only diagnostic listening address for /health and /metrics" },
  { name: "unix-socket-perm",                          kind: "string", default: "755", about: "permissions of unix sockets of the HTTP API" },
  { name: "config-file",                   short: "c", kind: "string", about: "path of the configuration file" },
  { name: "set",                                       kind: "list",   about: "override a config value (repeatable, or comma-separated)" },
  { name: "set-file",                                  kind: "list",   about: "override a config value with the contents of a file" },
  { name: "bundle",                        short: "b", kind: "bool",   about: "load paths as bundle files or root directories" },
  { name: "ignore",                                    kind: "slice",  about: "file and directory names to ignore while loading (e.g. '.*' excludes hidden files)" },
  { name: "watch",                         short: "w", kind: "bool",   about: "watch command line files for changes" },
  { name: "log-level",                     short: "l", kind: "enum",   values: ["debug", "info", "error"], default: "info", about: "log level" },
  { name: "log-format",                                kind: "enum",   values: ["text", "json", "json-pretty"], default: "json", about: "log format" },
  { name: "log-timestamp-format",                      kind: "string", about: "layout of timestamps in log lines, as in Go's time package" },
  { name: "v0-compatible",                             kind: "bool",   about: "read modules as Rego v0 unless they say otherwise, and listen on all interfaces" },
  { name: "v1-compatible",                             kind: "bool",   about: "the default", hidden: true },
  { name: "shutdown-grace-period",                     kind: "int",    default: "10", about: "seconds to wait for running requests when stopping" },
  { name: "shutdown-wait-period",                      kind: "int",    default: "0", about: "seconds to wait before stopping begins" },
  { name: "ready-timeout",                             kind: "int",    default: "0", about: "seconds to wait for bundles before the HTTP listeners open (0: no wait)" },
  { name: "workers",                                   kind: "int",    default: "1", about: "processes that share the ports; one that crashes is replaced" },
  { name: "worker-timeout",                            kind: "int",    default: "10", about: "seconds of silence after which a worker is killed and replaced (0: never)" },
  { name: "worker-heap",                               kind: "int",    default: "0", about: "heap limit of each worker in MiB (0: Node's own)" },
  { name: "tls-cert-file",                             kind: "string", about: "certificate of the HTTP API" },
  { name: "tls-private-key-file",                      kind: "string", about: "private key of the HTTP API" },
  { name: "tls-ca-cert-file",                          kind: "string", about: "certificate authorities of clients of the HTTP API" },
  { name: "tls-cert-refresh-period",                   kind: "duration", about: "how often the certificate files are read again (default: on change)" },
  { name: "min-tls-version",                           kind: "enum",   values: ["1.0", "1.1", "1.2", "1.3"], default: "1.2", about: "lowest TLS version of the HTTP API" },
  { name: "tls-cipher-suites",                         kind: "slice",  about: "cipher suites for TLS up to 1.2, by their IANA names" },
  { name: "authentication",                            kind: "enum",   values: ["token", "tls", "off"], default: "off", about: "how clients of the HTTP API prove who they are" },
  { name: "authorization",                             kind: "enum",   values: ["basic", "off"], default: "off", about: "whether a policy decides on requests to the HTTP API" },
  { name: "skip-known-schema-check",                   kind: "bool",   about: "accepted for compatibility", hidden: true },
  { name: "h2c",                                       kind: "bool",   about: "accepted for compatibility", hidden: true },
  { name: "pprof",                                     kind: "bool",   about: "accepted for compatibility", hidden: true },
  { name: "max-errors",                    short: "m", kind: "int",    default: "10", about: "errors to show when policies do not compile" },
  { name: "disable-telemetry",                         kind: "bool",   about: "accepted for compatibility: nothing is ever reported", hidden: true },
  { name: "skip-version-check",                        kind: "bool",   about: "accepted for compatibility", hidden: true },
  { name: "optimize-store-for-read-speed",             kind: "bool",   about: "accepted for compatibility: the store always is", hidden: true },
  { name: "read-ast-values-from-store",                kind: "bool",   about: "accepted for compatibility", hidden: true },
  { name: "history",                       short: "H", kind: "string", about: "accepted for compatibility", hidden: true },
  { name: "format",                        short: "f", kind: "string", about: "accepted for compatibility", hidden: true },
  { name: "verification-key",                          kind: "string", about: "secret or path of the public key that verifies bundle signatures" },
  { name: "verification-key-id",                       kind: "string", default: "default", about: "name of that key" },
  { name: "signing-alg",                               kind: "string", default: "RS256", about: "algorithm of that key" },
  { name: "scope",                                     kind: "string", about: "scope that bundle signatures must have" },
  { name: "exclude-files-verify",                      kind: "slice",  about: "file names that need no signature" },
  { name: "skip-verify",                               kind: "bool",   about: "do not verify bundle signatures" },
];

export const runCommand: Command = {
  usage: "run [files]",
  about: "Start the authorization server",
  help: `Start the authorization server: the ext_authz gRPC port of the configured plugin, the REST API and the diagnostic port.

Flags, configuration and endpoints are those of OPA with its Envoy plugin. Every flag may also be given as an environment
variable: OPA_RUN_LOG_LEVEL for --log-level.`,
  flags: FLAGS,
  run: (values, terminal) => serve(settingsOf(values, terminal), terminal),
};

/** Flags, and where they were not given, the environment. */
function settingsOf(values: FlagValues, terminal: Terminal): ServeSettings {
  const fromEnv = (name: string): string | undefined =>
    values.isSet(name) ? undefined : terminal.env[`OPA_RUN_${name.toUpperCase().replaceAll("-", "_")}`];
  const text = (name: string): string | undefined => fromEnv(name) ?? values.string(name);
  const bool = (name: string): boolean => (fromEnv(name) ?? String(values.bool(name))) === "true";
  const list = (name: string): readonly string[] => fromEnv(name)?.split(",") ?? values.list(name);
  const isV0 = bool("v0-compatible");
  const isAddrGiven = values.isSet("addr") || fromEnv("addr") !== undefined;
  return {
    paths: values.positional,
    isServer: bool("server"),
    addrs: isV0 && !isAddrGiven ? [":8181"] : list("addr"),
    diagnosticAddrs: list("diagnostic-addr"),
    unixSocketMode: Number.parseInt(text("unix-socket-perm") ?? "755", 8),
    configFile: text("config-file"),
    set: list("set"),
    setFile: list("set-file"),
    isBundle: bool("bundle"),
    ignore: list("ignore"),
    isWatching: bool("watch"),
    logLevel: (text("log-level") ?? "info") as ServeSettings["logLevel"],
    logFormat: (text("log-format") ?? "json") as ServeSettings["logFormat"],
    logTimestampFormat: text("log-timestamp-format") ?? terminal.env["OPA_LOG_TIMESTAMP_FORMAT"] ?? "",
    regoVersion: isV0 ? "v0" : "v1",
    graceSeconds: Number(text("shutdown-grace-period")),
    waitSeconds: Number(text("shutdown-wait-period")),
    readyTimeoutSeconds: Number(text("ready-timeout")),
    maxErrors: Number(text("max-errors")),
    workers: Number(text("workers")),
    workerTimeoutSeconds: Number(text("worker-timeout")),
    workerHeapMiB: Number(text("worker-heap")),
    authentication: (text("authentication") ?? "off") as ServeSettings["authentication"],
    authorization: (text("authorization") ?? "off") as ServeSettings["authorization"],
    tls: {
      certFile: text("tls-cert-file"),
      keyFile: text("tls-private-key-file"),
      caFile: text("tls-ca-cert-file"),
      minVersion: (text("min-tls-version") ?? "1.2") as ServeSettings["tls"]["minVersion"],
      cipherSuites: list("tls-cipher-suites"),
    },
    verification: {
      key: text("verification-key"),
      keyId: text("verification-key-id") ?? "default",
      algorithm: text("signing-alg") ?? "RS256",
      scope: text("scope") ?? "",
      exclude: list("exclude-files-verify"),
      isSkipped: bool("skip-verify"),
    },
  };
}
