import type { Config, PluginConfig } from "../config/index.ts";
import {
  BASE_PART,
  type Changes,
  LoadError,
  type LoadOptions,
  loadPaths,
  type Part,
  PathWatcher,
  type PolicyStore,
  splitPrefix,
} from "../policy/index.ts";
import { formatIstioDiagnostic, IstioPolicyError } from "../istio/index.ts";
import { CompileError, explainDiagnostic, formatDiagnostic } from "../rego/engine/index.ts";
import type { LineStyle, LineWriter, Logger } from "../telemetry/index.ts";
import { compose, type Parts } from "./compose.ts";
import { type Checks, GRPC_PLUGIN } from "./compose-checks.ts";
import type { GrpcListener } from "./grpc-listener.ts";
import { HttpListener, type HttpTlsOptions } from "./http-listener.ts";
import { AddressError, parseHttpAddress } from "./listen-address.ts";
import { releaseMemory } from "./release-memory.ts";
import { TlsFiles, type TlsPaths } from "./tls-files.ts";
import { WorkerLink } from "./worker-link.ts";

export interface ServerOptions {
  readonly config: Config;
  /** Policy and data paths, as on the command line. */
  readonly paths: readonly string[];
  readonly loading: LoadOptions;
  /** Reload the paths when they change. */
  readonly watches: boolean;
  readonly regoVersion: "v0" | "v1";
  readonly addrs: readonly string[];
  readonly diagnosticAddrs: readonly string[];
  readonly unixSocketMode: number;
  readonly shutdownGraceMs: number;
  /** How long to wait for bundles before the HTTP ports open; 0 not to wait. */
  readonly readyTimeoutMs: number;
  /** HTTPS for the API; undefined for HTTP. The diagnostic port stays HTTP. */
  readonly tls: ApiTlsOptions | undefined;
  readonly authentication: "token" | "tls" | "off";
  readonly authorization: "basic" | "off";
  readonly logger: Logger;
  readonly writer: LineWriter;
  /** How decision and status logs on the console look. */
  readonly lines: LineStyle;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  /** Called each time before policies are replaced while requests are served. */
  readonly beforeReload?: () => void;
  /** The program of the thread that builds large sets of policies; without it they are built where requests are served. */
  readonly policyThread?: URL;
}

export interface ApiTlsOptions extends TlsPaths {
  readonly minVersion: HttpTlsOptions["minVersion"];
  /** IANA names. */
  readonly cipherSuites: readonly string[];
}

/** Addresses in use, with the ports really bound. */
export interface Addresses {
  readonly grpc: string | undefined;
  /** Authorization over HTTP. */
  readonly httpAuthz: string | undefined;
  readonly api: readonly string[];
  readonly diagnostic: readonly string[];
}

/** Documents of this many characters are worth a full garbage collection before the server is ready. */
const LARGE_DOCUMENTS = 16 * 1024 * 1024;
/** Diagnostics of one failed reload that are logged. */
const MAX_REPORTED = 10;

const READY_POLL_MS = 50;

/** Bundles were not active within `--ready-timeout`. */
export class ReadyTimeoutError extends Error {
  override readonly name = "ReadyTimeoutError";
}

/** A whole server process: load, start, serve, stop. */
export class CardeaServer {
  readonly #options: ServerOptions;
  readonly #parts: Parts;
  readonly #http: HttpListener[] = [];
  #watcher: PathWatcher | undefined;
  #tlsFiles: TlsFiles | undefined;
  readonly #link: WorkerLink;
  /** Health says that checks are served. */
  #serves = false;
  #checkAddresses: Pick<Addresses, "grpc" | "httpAuthz"> = { grpc: undefined, httpAuthz: undefined };
  #isStopping = false;
  #lastReload: Promise<unknown> = Promise.resolve();
  #nextReload: Promise<unknown> | undefined;

  private constructor(options: ServerOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.#link = new WorkerLink({ ...parts, logger: options.logger }, () => this.#reload());
  }

  /**
   * Wires the parts and loads the policies.
   *
   * @throws {LoadError | CompileError} when there is nothing good to serve.
   */
  static async create(options: ServerOptions): Promise<CardeaServer> {
    const parts = await compose(options);
    const server = new CardeaServer(options, parts);
    await server.#load();
    await server.#link.join();
    await server.#watch();
    return server;
  }

  get store(): PolicyStore {
    return this.#parts.store;
  }

  /** Where checks are answered, as soon as they are. */
  get checkAddresses(): Pick<Addresses, "grpc" | "httpAuthz"> {
    return this.#checkAddresses;
  }

  /** Opens the ports. The gRPC port comes first, as in OPA, where plugins start before the API. */
  async start(): Promise<Addresses> {
    const { options, parts } = { options: this.#options, parts: this.#parts };
    options.logger.info("Initializing server.", { addrs: options.addrs, "diagnostic-addrs": options.diagnosticAddrs });
    await parts.checks.whenThere((checks) => this.#openChecks(checks));
    const bundles = this.#startBundles();
    if (options.readyTimeoutMs > 0) await this.#awaitReady(bundles, options.readyTimeoutMs);
    const tls = await this.#openTls();
    const open = async (
      addrs: readonly string[],
      handler: Parts["apiHandler"],
      tlsOptions?: HttpTlsOptions,
    ): Promise<string[]> => {
      const opened: string[] = [];
      for (const addr of addrs) {
        const listener = new HttpListener(handler, {
          address: parseHttpAddress(addr),
          unixSocketMode: options.unixSocketMode,
          ...(tlsOptions !== undefined && { tls: tlsOptions }),
        });
        opened.push(await listener.start());
        this.#http.push(listener);
      }
      return opened;
    };
    const addresses = {
      ...this.#checkAddresses,
      api: await open(options.addrs, parts.apiHandler, tls),
      diagnostic: await open(options.diagnosticAddrs, parts.diagnosticHandler),
    };
    bundles
      .then(() => this.#serveOncePublished())
      .catch((cause: unknown) => options.logger.error("Bundles failed.", { err: cause }));
    this.#link.ready();
    return addresses;
  }

  /** Tells load balancers to look elsewhere while everything is still answered. Idempotent. */
  prepareStop(): void {
    const { checks, states } = this.#parts;
    if (checks.current === undefined) return;
    states.set(GRPC_PLUGIN, "NOT_READY");
    checks.current.grpc.health.shutDown();
  }

  /** Drains and stops. Idempotent. */
  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    const { logger, shutdownGraceMs } = this.#options;
    const { checks, recorder, bundles, discovery } = this.#parts;
    logger.info("Shutting down...");
    this.#watcher?.close();
    this.#tlsFiles?.close();
    discovery?.stop();
    bundles.stop();
    this.prepareStop();
    await Promise.all([
      checks.current?.grpc.stop(shutdownGraceMs),
      ...this.#http.map((listener) => listener.stop(shutdownGraceMs)),
    ]);
    logger.info("Server shutdown.");
    this.#parts.store.close();
    await this.#parts.declared.close();
    await Promise.all([recorder.stop(shutdownGraceMs), this.#parts.tracing?.stop(shutdownGraceMs)]);
    await this.#options.writer.flush();
    this.#link.close();
  }

  /** @throws when the certificate cannot be used. */
  async #openTls(): Promise<HttpTlsOptions | undefined> {
    const { tls, logger } = this.#options;
    if (tls === undefined) return undefined;
    this.#tlsFiles = await TlsFiles.open(tls, logger);
    return {
      files: this.#tlsFiles,
      minVersion: tls.minVersion,
      ...(tls.cipherSuites.length > 0 && { ciphers: opensslCiphers(tls.cipherSuites) }),
    };
  }

  async #load(): Promise<void> {
    const { paths, loading } = this.#options;
    if (paths.length === 0) return;
    const loaded = await loadPaths(paths, loading);
    const { modules, data, declarations } = loaded;
    const { accept, store } = this.#parts;
    if (declarations.length === 0 && modules.length === 0 && (store.base.declarations ?? []).length > 0)
      throw new LoadError("not_found", `${paths.join(", ")}: no policies are left`);
    const part: Part = { modules, data, declarations };
    const isFirst = store.current.generation === 0;
    const changes: Changes = new Map([[BASE_PART, part]]);
    if (isFirst) store.update(changes, accept);
    else await store.updateAside(changes, accept);
    // What reading took would stay until V8 needs it. Later, requests would wait for that.
    if (isFirst && loaded.dataLength > LARGE_DOCUMENTS) await releaseMemory();
  }

  async #watch(): Promise<void> {
    const { paths, watches } = this.#options;
    if (!watches || paths.length === 0) return;
    this.#watcher = new PathWatcher({
      paths: paths.map((path) => splitPrefix(path).path),
      onChange: (print) => this.reload(print),
    });
    await this.#watcher.start();
  }

  /**
   * Reads the paths again. What does not load or compile changes nothing: the last good policies serve on. One reload runs
   * at a time; however many are asked for meanwhile, one more follows, which sees the last state. A worker asks for it, and
   * has not read anything yet when this resolves.
   *
   * @param print of the change that was seen; without one the files are read whatever they are
   */
  async reload(print?: string): Promise<void> {
    if (this.#link.isWorker) {
      this.#link.askForReload(print);
      return;
    }
    this.#nextReload ??= this.#lastReload.then(() => {
      this.#nextReload = undefined;
      this.#lastReload = this.#reload();
      return this.#lastReload;
    });
    await this.#nextReload;
  }

  /** @returns whether what was read took over. */
  async #reload(): Promise<boolean> {
    const { logger } = this.#options;
    const { metrics, store } = this.#parts;
    const startedMs = performance.now();
    try {
      await this.#load();
      metrics.policyReloads.inc({ result: "ok" });
      logger.info("Processed file watch event.", {
        duration: `${(performance.now() - startedMs).toFixed(3)}ms`,
        generation: store.current.generation,
      });
      return true;
    } catch (cause) {
      if (this.#isStopping) return false;
      metrics.policyReloads.inc({ result: "failed" });
      store.noteFailure(cause instanceof Error ? cause.message : String(cause));
      this.#reportReload(cause);
      return false;
    }
  }

  #reportReload(cause: unknown): void {
    const { logger } = this.#options;
    const serving = { generation: this.#parts.store.current.generation };
    if (cause instanceof CompileError) {
      for (const diagnostic of cause.diagnostics.slice(0, MAX_REPORTED)) {
        logger.error("Reload failed: the policies do not compile. The last good ones serve on.", {
          ...serving,
          err: formatDiagnostic(diagnostic),
          detail: explainDiagnostic(diagnostic),
        });
      }
    } else if (cause instanceof IstioPolicyError) {
      for (const diagnostic of cause.diagnostics.slice(0, MAX_REPORTED)) {
        logger.error("Reload failed: policy documents have errors. The last good ones serve on.", {
          ...serving,
          err: formatIstioDiagnostic(diagnostic),
        });
      }
    } else logger.error("Reload failed. The last good policies serve on.", { ...serving, err: cause });
  }

  /** Not before there is a policy: until then every check is denied, and traffic is better sent elsewhere. */
  #serveOncePublished(): void {
    const { checks, store } = this.#parts;
    const serve = (): void => {
      this.#serves = true;
      checks.current?.grpc.health.setServing(true);
    };
    if (store.current.generation > 0) serve();
    else store.onPublish(serve);
  }

  /** Resolves when the discovered configuration and every bundle is active: not ready means not serving. */
  async #startBundles(): Promise<void> {
    const { bundles, discovery } = this.#parts;
    await Promise.all([discovery?.start(), bundles.start()]);
    while (!this.#isStopping && (discovery?.isActivated === false || !bundles.areActivated))
      await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }

  /** @throws {ReadyTimeoutError} */
  async #awaitReady(bundles: Promise<void>, timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new ReadyTimeoutError(`timed out after ${timeoutMs / 1000} s waiting for bundles`)),
        timeoutMs,
      );
    });
    await Promise.race([bundles, timeout]).finally(() => clearTimeout(timer));
  }

  async #openChecks({ plugin, grpc, httpAuthz }: Checks): Promise<void> {
    const address = await this.#startGrpc(plugin, grpc);
    this.#checkAddresses = { grpc: address, httpAuthz: httpAuthz && (await this.#startHttpAuthz(httpAuthz)) };
    if (this.#serves) grpc.health.setServing(true);
  }

  async #startHttpAuthz(httpAuthz: HttpListener): Promise<string> {
    try {
      const addr = await httpAuthz.start();
      this.#http.push(httpAuthz);
      this.#options.logger.info("Starting HTTP authorization server.", { addr });
      return addr;
    } catch (cause) {
      // Where the server is up already, this is all that keeps it from being ready.
      this.#parts.states.set(GRPC_PLUGIN, "NOT_READY", cause instanceof Error ? cause.message : String(cause));
      throw cause;
    }
  }

  /** A port that cannot be opened leaves the process up and not ready, as the plugin does. */
  async #startGrpc(plugin: PluginConfig, grpc: GrpcListener): Promise<string | undefined> {
    const { states } = this.#parts;
    const { logger } = this.#options;
    states.set(GRPC_PLUGIN, "NOT_READY");
    try {
      const address = await grpc.start();
      const { addr, query, path, dryRun, enableReflection } = plugin;
      logger.info("Starting gRPC server.", {
        addr,
        query,
        path,
        "dry-run": dryRun,
        "enable-reflection": enableReflection,
      });
      states.set(GRPC_PLUGIN, "OK");
      return address;
    } catch (cause) {
      logger.error(cause instanceof AddressError ? "Unable to parse url." : "Unable to create listener.", {
        err: cause,
      });
      return undefined;
    }
  }
}

/** OpenSSL's names for IANA's: `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` is ECDHE-RSA-AES128-GCM-SHA256 there. */
function opensslCiphers(names: readonly string[]): string {
  return names
    .map((name) =>
      /^TLS_(AES|CHACHA20)_/.test(name)
        ? name
        : name
            .replace(/^TLS_/, "")
            .replace("_WITH_", "_")
            .replace(/_AES_(\d+)/, "_AES$1")
            .replace(/_CBC_SHA(?!\d)/, "_SHA")
            .replace(/_SHA256$/, name.includes("CHACHA20") ? "" : "_SHA256")
            .replaceAll("_", "-"),
    )
    .join(":");
}
