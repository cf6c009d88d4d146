import cluster from "node:cluster";
import { readFile } from "node:fs/promises";
import { UTC } from "../base/index.ts";
import { ConfigError, type Config, loadConfig } from "../config/index.ts";
import { formatIstioDiagnostic, IstioPolicyError } from "../istio/index.ts";
import { LoadError, type LoadOptions } from "../policy/index.ts";
import { CompileError, explainDiagnostic, formatTime } from "../rego/engine/index.ts";
import {
  AddressError,
  type Addresses,
  type ApiTlsOptions,
  CardeaServer,
  lowerBackgroundThreads,
  ReadyTimeoutError,
  Supervisor,
} from "../server/index.ts";
import { createLogger, FileDescriptorWriter, type LineStyle, type Logger, PLAIN_LINES } from "../telemetry/index.ts";
import type { Terminal } from "./terminal.ts";
import { OPA_VERSION } from "./version.ts";

/** What `run` and `start` have settled before anything is opened. */
export interface ServeSettings {
  readonly paths: readonly string[];
  readonly isServer: boolean;
  readonly addrs: readonly string[];
  readonly diagnosticAddrs: readonly string[];
  readonly unixSocketMode: number;
  readonly configFile: string | undefined;
  readonly set: readonly string[];
  readonly setFile: readonly string[];
  readonly isBundle: boolean;
  readonly ignore: readonly string[];
  readonly isWatching: boolean;
  readonly logLevel: "debug" | "info" | "error";
  readonly logFormat: "text" | "json" | "json-pretty";
  /** A layout of Go's time package; empty for RFC 3339. */
  readonly logTimestampFormat: string;
  readonly regoVersion: "v0" | "v1";
  readonly graceSeconds: number;
  readonly waitSeconds: number;
  readonly readyTimeoutSeconds: number;
  readonly maxErrors: number;
  /** Processes that serve; 1 for this one alone. */
  readonly workers: number;
  readonly workerTimeoutSeconds: number;
  /** 0 for Node's own measure. */
  readonly workerHeapMiB: number;
  readonly authentication: "token" | "tls" | "off";
  readonly authorization: "basic" | "off";
  readonly tls: {
    readonly certFile: string | undefined;
    readonly keyFile: string | undefined;
    readonly caFile: string | undefined;
    readonly minVersion: "1.0" | "1.1" | "1.2" | "1.3";
    readonly cipherSuites: readonly string[];
  };
  readonly verification: {
    readonly key: string | undefined;
    readonly keyId: string;
    readonly algorithm: string;
    readonly scope: string;
    readonly exclude: readonly string[];
    readonly isSkipped: boolean;
  };
}

/**
 * Serves until the process is told to stop.
 *
 * @param onStart  Called once everything listens.
 * @returns the exit code: 0 after an orderly stop, 1 when there is nothing to serve.
 */
export async function serve(
  settings: ServeSettings,
  terminal: Terminal,
  onStart?: (addresses: Addresses) => void,
): Promise<number> {
  const writer = new FileDescriptorWriter(2);
  const lines = lineStyle(settings);
  const logger = createLogger({ level: settings.logLevel, style: lines, writer });
  if (settings.workers > 1 && cluster.isPrimary) {
    reloadOnHangup(() => {
      for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill("SIGHUP");
    });
    return supervise(settings, logger);
  }
  let server: CardeaServer;
  try {
    const config = await readConfig(settings, terminal, logger);
    if (!settings.isServer) logger.warning("There is no interactive shell: serving as with --server.");
    server = await CardeaServer.create({
      config,
      paths: settings.paths.filter((path) => !isUrl(path)),
      loading: {
        ignore: settings.ignore,
        bundle: settings.isBundle,
        ...(await bundleVerification(settings.verification)),
      },
      watches: settings.isWatching,
      regoVersion: settings.regoVersion,
      addrs: settings.addrs,
      diagnosticAddrs: settings.diagnosticAddrs,
      unixSocketMode: settings.unixSocketMode,
      shutdownGraceMs: settings.graceSeconds * 1000,
      readyTimeoutMs: Math.max(0, settings.readyTimeoutSeconds) * 1000,
      tls: apiTls(settings.tls),
      authentication: settings.authentication,
      authorization: settings.authorization,
      logger,
      writer,
      lines,
      env: terminal.env,
      version: OPA_VERSION,
      beforeReload: lowerBackgroundThreads,
      policyThread: new URL("policy-thread.js", import.meta.url),
    });
    const stopped = stopSignal(settings.waitSeconds * 1000, () => server.prepareStop());
    reloadOnHangup(() => void server.reload());
    const addresses = await server.start();
    onStart?.(addresses);
    await stopped;
  } catch (cause) {
    writer.flushSync();
    terminal.err(startFailure(cause, settings.maxErrors));
    // The channel to its supervisor would keep a worker alive that has nothing to serve.
    if (cluster.isWorker) process.exit(1);
    return 1;
  }
  await server.stop();
  return 0;
}

function lineStyle({ logFormat, logTimestampFormat }: ServeSettings): LineStyle {
  if (logTimestampFormat === "") return logFormat === "json" ? PLAIN_LINES : { ...PLAIN_LINES, format: logFormat };
  return {
    format: logFormat,
    timestamp: (ms) => {
      const sec = Math.floor(ms / 1000);
      return formatTime(logTimestampFormat, { sec, nanos: (ms - sec * 1000) * 1_000_000 }, UTC);
    },
  };
}

/** Beyond the grace period, what the log sinks may take. */
const STOP_MARGIN_MS = 15_000;

function supervise(settings: ServeSettings, logger: Logger): Promise<number> {
  return new Supervisor({
    workers: settings.workers,
    stallMs: settings.workerTimeoutSeconds * 1000,
    stopMs: (settings.waitSeconds + settings.graceSeconds) * 1000 + STOP_MARGIN_MS,
    heapMiB: settings.workerHeapMiB,
    logger,
  }).run();
}

/** @throws {ConfigError} */
function apiTls({
  certFile,
  keyFile,
  caFile,
  minVersion,
  cipherSuites,
}: ServeSettings["tls"]): ApiTlsOptions | undefined {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined)
    throw new ConfigError("--tls-cert-file and --tls-private-key-file must be specified together");
  const versions = { "1.0": "TLSv1", "1.1": "TLSv1.1", "1.2": "TLSv1.2", "1.3": "TLSv1.3" } as const;
  return { certFile, keyFile, caFile, minVersion: versions[minVersion], cipherSuites };
}

async function readConfig(settings: ServeSettings, terminal: Terminal, logger: Logger): Promise<Config> {
  const { configFile, setFile } = settings;
  const set = [...settings.paths.filter(isUrl).flatMap(bundleOverrides), ...settings.set];
  return loadConfig(
    { ...(configFile !== undefined && { file: configFile }), set, setFile, env: terminal.env },
    (message) => logger.warning(`config: ${message}`),
  );
}

/** How `--bundle` paths are verified: `--verification-key` is a secret, or the path of a public key. */
async function bundleVerification(flags: ServeSettings["verification"]): Promise<Pick<LoadOptions, "verification">> {
  if (flags.isSkipped) return { verification: "skip" };
  if (flags.key === undefined) return {};
  const key = await readFile(flags.key, "utf8").catch(() => flags.key ?? "");
  const { keyId, scope, algorithm, exclude } = flags;
  return { verification: { keys: new Map([[keyId, { key, algorithm, scope }]]), keyId, scope, exclude } };
}

function isUrl(path: string): boolean {
  return /^https?:\/\//.test(path);
}

/** A URL among the paths is a bundle of a service of its own, as in OPA. */
function bundleOverrides(text: string, index: number): readonly string[] {
  const name = `cli${index + 1}`;
  const url = new URL(text);
  const quoted = (value: string): string => value.replace(/[\\,]/g, "\\$&");
  return [
    `services.${name}.url=${quoted(url.origin)}`,
    `bundles.${name}.service=${name}`,
    `bundles.${name}.resource=${quoted(url.pathname + url.search)}`,
    `bundles.${name}.persist=true`,
  ];
}

/** SIGHUP asks a daemon to read its files again; a terminal that is closed sends it to be rid of its programs. */
function reloadOnHangup(reload: () => void): void {
  if (!process.stdin.isTTY) process.on("SIGHUP", reload);
}

/** Resolves on SIGTERM or SIGINT, after the wait period; a second signal changes nothing. @param onSignal  Called at once. */
function stopSignal(waitMs: number, onSignal: () => void): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      onSignal();
      setTimeout(resolve, waitMs);
    };
    process.once("SIGTERM", stop);
    process.once("SIGINT", stop);
    process.on("SIGTERM", () => undefined);
    process.on("SIGINT", () => undefined);
    process.on("SIGPIPE", () => undefined);
  });
}

/** What kept the server from starting, for people. Faults of this program are thrown on. */
function startFailure(cause: unknown, maxErrors: number): string {
  if (cause instanceof CompileError) {
    const { diagnostics } = cause;
    const shown = diagnostics.slice(0, maxErrors).map(explainDiagnostic);
    if (diagnostics.length > maxErrors) shown.push(`… and ${diagnostics.length - maxErrors} more`);
    return `error: the policies do not compile\n\n${shown.join("\n\n")}\n`;
  }
  if (cause instanceof IstioPolicyError) {
    const { diagnostics } = cause;
    const shown = diagnostics.slice(0, maxErrors).map(formatIstioDiagnostic);
    if (diagnostics.length > maxErrors) shown.push(`… and ${diagnostics.length - maxErrors} more`);
    return `error: the policy documents have errors\n\n${shown.join("\n")}\n`;
  }
  if (cause instanceof ConfigError) return `error: config error: ${cause.message}\n`;
  if (cause instanceof LoadError) return `error: load error: ${cause.message}\n`;
  if (cause instanceof AddressError || cause instanceof ReadyTimeoutError) return `error: ${cause.message}\n`;
  if (cause instanceof Error && "syscall" in cause) return `error: ${cause.message}\n`;
  throw cause;
}
