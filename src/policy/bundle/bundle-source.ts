import { mkdir, open, readFile, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Logger } from "../../telemetry/index.ts";
import { LoadError, messageOf } from "../errors.ts";
import { loadPaths } from "../load.ts";
import type { Part } from "../store.ts";
import { ARCHIVE_LIMITS, readArchive } from "./archive.ts";
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
  readonly activate: (part: Part) => void;
  /** Called after every attempt. */
  readonly onStatus: (status: BundleStatus) => void;
  readonly logger: Logger;
}

export interface BundleStatus {
  readonly name: string;
  readonly activeRevision: string | undefined;
  readonly lastSuccessfulActivationMs: number | undefined;
  readonly lastSuccessfulDownloadMs: number | undefined;
  /** Why the latest attempt failed; undefined when it did not. */
  readonly error: string | undefined;
}

const MIN_RETRY_MS = 100;
const LONG_POLL_TYPE = "application/vnd.openpolicyagent.bundles";

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
  readonly #stop = new AbortController();

  constructor(options: BundleSourceOptions) {
    this.#options = options;
    this.#status = {
      name: options.name,
      activeRevision: undefined,
      lastSuccessfulActivationMs: undefined,
      lastSuccessfulDownloadMs: undefined,
      error: undefined,
    };
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
      this.#report({ error: undefined });
    } catch (cause) {
      if (this.#stop.signal.aborted) return;
      this.#failures++;
      this.#options.logger.error("Bundle load failed.", { name: this.#options.name, err: cause });
      this.#report({ error: messageOf(cause) });
    }
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
    const prefer = ["modes=snapshot", ...(isWaiting ? [`wait=${waitSeconds}`] : [])].join(";");
    const headers = { prefer, ...(this.#etag !== "" && { "if-none-match": this.#etag }) };
    const reply = await fetch(resource, headers, isWaiting ? waitSeconds * 1000 : 0, this.#stop.signal);
    this.#isLongPolling =
      waitSeconds !== undefined &&
      (reply.status === 304 ? this.#isLongPolling : reply.headers["content-type"] === LONG_POLL_TYPE);
    if (reply.status === 304) return;
    if (reply.status !== 200) throw new LoadError("not_found", `server replied with HTTP ${reply.status}`);
    this.#report({ lastSuccessfulDownloadMs: Date.now() });
    await this.#activate(reply.body);
    this.#etag = reply.headers["etag"] ?? "";
    await this.#persist(reply.body);
  }

  async #readFile(path: string): Promise<void> {
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
    this.#publish(bundles[0] as Bundle);
  }

  async #activate(bytes: Uint8Array): Promise<void> {
    const { name, fileBytes, verification } = this.#options;
    const files = readArchive(name, bytes, { ...ARCHIVE_LIMITS, fileBytes });
    this.#publish(await readBundle(name, files, { base: name, ...(verification !== undefined && { verification }) }));
  }

  #publish({ manifest, modules, data, declarations }: Bundle): void {
    const { name, activate, logger } = this.#options;
    activate({ modules, data, declarations, bundle: { revision: manifest.revision, roots: manifest.roots } });
    this.#report({ activeRevision: manifest.revision, lastSuccessfulActivationMs: Date.now() });
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

  #report(change: Partial<BundleStatus>): void {
    this.#status = { ...this.#status, ...change };
    this.#options.onStatus(this.#status);
  }
}
