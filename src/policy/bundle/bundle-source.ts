import { mkdir, open, readFile, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Logger } from "../../telemetry/index.ts";
import { LoadError, messageOf } from "../errors.ts";
import { loadPaths } from "../load.ts";
import type { Part } from "../store.ts";
import { ARCHIVE_LIMITS, readArchive } from "./archive.ts";
import { PATCH_FILE, readDelta, withDelta } from "./delta.ts";
import { type Bundle, readBundle } from "./read.ts";
import type { Verification } from "./signature.ts";

/** An answer of a bundle server, as far as a download needs it. */
export interface BundleReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface BundleSourceOptions {
  readonly name: string;
  /** `file://…`, or a path below the service. */
  readonly resource: string;
  /** Absent for files. @param waitMs  Long polling: how long the server may take. */
  readonly fetch:
    | ((
        path: string,
        headers: Readonly<Record<string, string>>,
        waitMs: number,
        signal: AbortSignal,
      ) => Promise<BundleReply>)
    | undefined;
  readonly minDelaySeconds: number;
  readonly maxDelaySeconds: number;
  /** Undefined: no long polling. */
  readonly longPollingSeconds: number | undefined;
  readonly fileBytes: number;
  readonly verification: Verification | undefined;
  /** Directory that keeps the latest good bundle; undefined for none. */
  readonly persistDirectory: string | undefined;
  /** Publishes the bundle. @throws when it does not fit the others or does not compile. */
  readonly activate: (part: Part) => Promise<void>;
  /** Called after every change. */
  readonly onStatus: (status: BundleStatus) => void;
  /** Called when an attempt is over, whether it succeeded, failed or found nothing new. */
  readonly onAttempt?: (status: BundleStatus) => void;
  readonly logger: Logger;
}

export interface BundleStatus {
  readonly name: string;
  readonly activeRevision: string | undefined;
  /** What was activated last. */
  readonly type: "snapshot" | "delta" | undefined;
  readonly lastSuccessfulActivationMs: number | undefined;
  readonly lastSuccessfulDownloadMs: number | undefined;
  readonly lastRequestMs: number | undefined;
  readonly lastSuccessfulRequestMs: number | undefined;
  /** Why the latest attempt failed; undefined when it did not. */
  readonly error: string | undefined;
  /** Of a server that refused. */
  readonly httpStatus: number | undefined;
  /** Nanoseconds by OPA's timer names, of the latest attempt that came so far. */
  readonly metrics: Readonly<Record<string, number>>;
}

const MIN_RETRY_MS = 100;
const LONG_POLL_TYPE = "application/vnd.openpolicyagent.bundles";

/** A server answered, but not with a bundle. */
class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly status: number;

  constructor(status: number) {
    super(`server replied with HTTP ${status}`);
    this.status = status;
  }
}

/**
 * Keeps one bundle up to date: polls a file or a server (ETag, long polling), verifies, activates. A bundle that fails at any
 * step leaves the active one in place.
 */
export class BundleSource {
  readonly #options: BundleSourceOptions;
  #status: BundleStatus;
  #etag = "";
  #fileStamp = "";
  #isLongPolling = false;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  /** What a delta changes. */
  #active: Bundle | undefined;
  readonly #stop = new AbortController();

  constructor(options: BundleSourceOptions) {
    this.#options = options;
    this.#status = {
      name: options.name,
      activeRevision: undefined,
      type: undefined,
      lastSuccessfulActivationMs: undefined,
      lastSuccessfulDownloadMs: undefined,
      lastRequestMs: undefined,
      lastSuccessfulRequestMs: undefined,
      error: undefined,
      httpStatus: undefined,
      metrics: {},
    };
  }

  get status(): BundleStatus {
    return this.#status;
  }

  get isActivated(): boolean {
    return this.#status.lastSuccessfulActivationMs !== undefined;
  }

  /** Activates a persisted bundle if there is one, then polls until stopped. The first attempt is over when it resolves. */
  async start(): Promise<void> {
    await this.#restore();
    await this.#poll();
  }

  stop(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  async #poll(): Promise<void> {
    try {
      await this.#attempt();
      this.#failures = 0;
      this.#report({ error: undefined, httpStatus: undefined });
    } catch (cause) {
      if (this.#stop.signal.aborted) return;
      this.#failures++;
      this.#options.logger.error("Bundle load failed.", { name: this.#options.name, err: cause });
      const httpStatus = cause instanceof RefusedError ? cause.status : undefined;
      this.#report({ error: messageOf(cause), httpStatus });
    }
    this.#options.onAttempt?.(this.#status);
    if (!this.#stop.signal.aborted) this.#timer = setTimeout(() => void this.#poll(), this.#delayMs());
  }

  #delayMs(): number {
    const { minDelaySeconds, maxDelaySeconds } = this.#options;
    if (this.#failures > 0)
      return (
        Math.min(maxDelaySeconds * 1000, MIN_RETRY_MS * 2 ** Math.min(this.#failures - 1, 20)) *
        (0.5 + Math.random() / 2)
      );
    if (this.#isLongPolling) return 0;
    return 1000 * (minDelaySeconds + Math.random() * (maxDelaySeconds - minDelaySeconds));
  }

  async #attempt(): Promise<void> {
    const { fetch, resource } = this.#options;
    if (fetch === undefined) {
      await this.#readFile(fileURLToPath(resource));
      return;
    }
    const waitSeconds = this.#options.longPollingSeconds;
    const isWaiting = this.#isLongPolling && waitSeconds !== undefined;
    const modes = this.#takesDeltas ? "modes=snapshot,delta" : "modes=snapshot";
    const prefer = [modes, ...(isWaiting ? [`wait=${waitSeconds}`] : [])].join(";");
    const headers = { prefer, ...(this.#etag !== "" && { "if-none-match": this.#etag }) };
    this.#change({ lastRequestMs: Date.now() });
    const startedMs = performance.now();
    const reply = await fetch(resource, headers, isWaiting ? waitSeconds * 1000 : 0, this.#stop.signal);
    this.#measure("timer_bundle_request_ns", startedMs);
    this.#isLongPolling =
      waitSeconds !== undefined &&
      (reply.status === 304 ? this.#isLongPolling : reply.headers["content-type"] === LONG_POLL_TYPE);
    if (reply.status !== 304 && reply.status !== 200) throw new RefusedError(reply.status);
    this.#change({ lastSuccessfulRequestMs: this.#status.lastRequestMs });
    if (reply.status === 304) return;
    this.#report({ lastSuccessfulDownloadMs: Date.now() });
    const type = await this.#activate(reply.body);
    this.#etag = reply.headers["etag"] ?? "";
    if (type === "snapshot") await this.#persist(reply.body);
  }

  /** A delta carries no signature: where bundles are verified, only whole ones can be. */
  get #takesDeltas(): boolean {
    return this.#options.verification === undefined;
  }

  async #readFile(path: string): Promise<void> {
    const nowMs = Date.now();
    this.#change({ lastRequestMs: nowMs, lastSuccessfulRequestMs: nowMs, lastSuccessfulDownloadMs: nowMs });
    const info = await stat(path);
    const stamp = `${info.mtimeMs} ${info.size} ${info.ino}`;
    if (!info.isDirectory()) {
      if (stamp === this.#fileStamp) return;
      await this.#activate(await readFile(path));
      this.#fileStamp = stamp;
      return;
    }
    const { verification } = this.#options;
    const { bundles } = await loadPaths([path], { bundle: true, ...(verification !== undefined && { verification }) });
    await this.#publish(bundles[0] as Bundle, "snapshot");
  }

  async #activate(bytes: Uint8Array): Promise<"snapshot" | "delta"> {
    const { name, fileBytes, verification } = this.#options;
    const startedMs = performance.now();
    const files = readArchive(name, bytes, { ...ARCHIVE_LIMITS, fileBytes });
    const type = files.has(PATCH_FILE) ? "delta" : "snapshot";
    if (type === "delta") await this.#activateDelta(files);
    else {
      const reading = { base: name, ...(verification !== undefined && { verification }) };
      await this.#publish(await readBundle(name, files, reading), type);
    }
    this.#measure("timer_rego_load_bundles_ns", startedMs);
    return type;
  }

  async #activateDelta(files: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const { name } = this.#options;
    if (!this.#takesDeltas) throw new LoadError("bad_signature", `${name}: a delta bundle has no signature`);
    try {
      const delta = readDelta(name, files);
      if (this.#active === undefined) throw new LoadError("bad_bundle", `${name}: there is no bundle to change yet`);
      await this.#publish(withDelta(this.#active, delta), "delta");
    } catch (cause) {
      // Whoever sends deltas believes that we have what we do not: ask for the whole.
      this.#etag = "";
      throw cause;
    }
  }

  async #publish(bundle: Bundle, type: "snapshot" | "delta"): Promise<void> {
    const { name, activate, logger } = this.#options;
    const { manifest, modules, data, declarations } = bundle;
    await activate({ modules, data, declarations, bundle: { revision: manifest.revision, roots: manifest.roots } });
    this.#active = bundle;
    this.#report({ type, activeRevision: manifest.revision, lastSuccessfulActivationMs: Date.now() });
    logger.info("Bundle loaded and activated successfully.", {
      name,
      ...(manifest.revision !== "" && { revision: manifest.revision }),
    });
  }

  /** What cannot be restored is no loss: the server will be asked anyway. */
  async #restore(): Promise<void> {
    const file = this.#persistedFile();
    if (file === undefined) return;
    try {
      await this.#activate(await readFile(file));
      this.#report({});
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ENOENT")
        this.#options.logger.error("Persisted bundle could not be used.", { name: this.#options.name, err: cause });
    }
  }

  /** Written beside and renamed, so that a crash leaves the old copy or the new one. */
  async #persist(bytes: Uint8Array): Promise<void> {
    const file = this.#persistedFile();
    if (file === undefined) return;
    try {
      await mkdir(dirname(file), { recursive: true });
      const draft = `${file}.${process.pid}.tmp`;
      const handle = await open(draft, "w", 0o600);
      try {
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(draft, file);
    } catch (cause) {
      this.#options.logger.error("Bundle could not be persisted.", { name: this.#options.name, err: cause });
    }
  }

  #persistedFile(): string | undefined {
    const { persistDirectory, name } = this.#options;
    return persistDirectory === undefined ? undefined : join(persistDirectory, "bundles", name, "bundle.tar.gz");
  }

  #measure(timer: string, startedMs: number): void {
    const ns = Math.round((performance.now() - startedMs) * 1e6);
    this.#change({ metrics: { ...this.#status.metrics, [timer]: ns } });
  }

  #change(change: Partial<BundleStatus>): void {
    this.#status = { ...this.#status, ...change };
  }

  #report(change: Partial<BundleStatus>): void {
    this.#change(change);
    this.#options.onStatus(this.#status);
  }
}
