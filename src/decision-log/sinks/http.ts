import { gzipSync } from "node:zlib";
import { type JsonObject, toJsonText } from "../../rego/value/index.ts";
import type { Logger } from "../../telemetry/index.ts";
import type { Sink } from "../recorder.ts";

export interface UploadOptions {
  readonly minDelaySeconds: number;
  readonly maxDelaySeconds: number;
  /** Compressed bytes of one upload. */
  readonly uploadBytes: number;
  /** Uncompressed bytes that may wait; the oldest events go first. */
  readonly bufferBytes: number;
  /** Events that may wait. */
  readonly bufferEvents: number;
  /** Undefined for no limit. */
  readonly eventsPerSecond: number | undefined;
  /** Delivers one gzipped JSON array. Resolves to the HTTP status. */
  readonly upload: (body: Uint8Array) => Promise<number>;
  readonly onDropped: (reason: "buffer" | "rate" | "too_large", count: number) => void;
  readonly onUpload: (isDelivered: boolean) => void;
  readonly logger: Logger;
  readonly random?: () => number;
}

const MIN_BACKOFF_MS = 100;

interface Waiting {
  readonly text: string;
  /** Carried so that its builtin results can be left out should it be too large. */
  readonly event: JsonObject;
}

/**
 * Collects events and uploads them as OPA does: gzipped JSON arrays of limited size, at random intervals, with exponential
 * back-off. What does not fit the buffer is dropped, oldest first, and counted; taking an event never waits.
 */
export class HttpSink implements Sink {
  readonly name = "http";
  readonly #options: UploadOptions;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #tokens: number;
  #refilledAtMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #sending: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: UploadOptions) {
    this.#options = options;
    this.#tokens = Math.max(1, options.eventsPerSecond ?? 1);
    this.#schedule();
  }

  put(event: JsonObject): void {
    if (!this.#takeToken()) {
      this.#options.onDropped("rate", 1);
      return;
    }
    const waiting: Waiting = { text: toJsonText(event), event };
    this.#queue.push(waiting);
    this.#queuedBytes += waiting.text.length;
    this.#dropOldest();
  }

  async stop(timeoutMs: number): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    const timeout = new Promise<void>((resolve) => setTimeout(resolve, timeoutMs).unref());
    await Promise.race([timeout, this.#drain()]);
  }

  /** Uploads everything that waits. @returns whether all was delivered. */
  async flush(): Promise<boolean> {
    while (this.#queue.length > 0) if (!(await this.#uploadOne())) return false;
    return true;
  }

  async #drain(): Promise<void> {
    await this.#sending;
    await this.flush();
  }

  #dropOldest(): void {
    let dropped = 0;
    while (this.#queue.length > this.#options.bufferEvents || this.#queuedBytes > this.#options.bufferBytes) {
      const oldest = this.#queue.shift();
      if (oldest === undefined) break;
      this.#queuedBytes -= oldest.text.length;
      dropped++;
    }
    if (dropped > 0) this.#options.onDropped("buffer", dropped);
  }

  #takeToken(): boolean {
    const rate = this.#options.eventsPerSecond;
    if (rate === undefined) return true;
    const nowMs = performance.now();
    this.#tokens = Math.min(Math.max(1, rate), this.#tokens + ((nowMs - this.#refilledAtMs) / 1000) * rate);
    this.#refilledAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#sending = this.flush()
        .then((isDelivered) => {
          this.#failures = isDelivered ? 0 : this.#failures + 1;
        })
        .finally(() => this.#schedule());
    }, this.#delayMs());
    this.#timer.unref();
  }

  #delayMs(): number {
    const { minDelaySeconds, maxDelaySeconds, random = Math.random } = this.#options;
    if (this.#failures === 0) return 1000 * (minDelaySeconds + random() * (maxDelaySeconds - minDelaySeconds));
    const backoff = MIN_BACKOFF_MS * 2 ** Math.min(this.#failures - 1, 20);
    return Math.min(backoff, maxDelaySeconds * 1000) * (0.5 + random() / 2);
  }

  async #uploadOne(): Promise<boolean> {
    const { events, body } = this.#nextChunk();
    if (body === undefined) return true;
    try {
      const status = await this.#options.upload(body);
      if (status < 200 || status > 299) throw new Error(`log upload failed, server replied with HTTP ${status}`);
      this.#options.onUpload(true);
      return true;
    } catch (cause) {
      this.#options.onUpload(false);
      this.#options.logger.error("Log upload failed.", { err: cause });
      this.#queue.unshift(...events);
      this.#queuedBytes += sizeOf(events);
      this.#dropOldest();
      return false;
    }
  }

  /** As many of the oldest events as fit one upload: guessed, and halved until they do. */
  #nextChunk(): { readonly events: readonly Waiting[]; readonly body: Uint8Array | undefined } {
    let count = Math.min(this.#queue.length, this.#guess());
    for (;;) {
      const events = this.#queue.slice(0, count);
      const body = gzipSync(`[${events.map(({ text }) => text).join(",")}]`);
      if (body.length <= this.#options.uploadBytes) {
        this.#remove(count);
        return { events, body };
      }
      if (count > 1) count = Math.floor(count / 2);
      else return this.#shrink();
    }
  }

  /** One event alone is too large: without its builtin results it may fit, as in OPA; else it is dropped. */
  #shrink(): { readonly events: readonly Waiting[]; readonly body: Uint8Array | undefined } {
    const [waiting] = this.#queue;
    this.#remove(1);
    const { nd_builtin_cache: results, ...event } = waiting?.event ?? {};
    const text = toJsonText(event);
    const body = gzipSync(`[${text}]`);
    if (results !== undefined && body.length <= this.#options.uploadBytes) return { events: [{ text, event }], body };
    this.#options.onDropped("too_large", 1);
    return { events: [], body: undefined };
  }

  #remove(count: number): void {
    this.#queuedBytes -= sizeOf(this.#queue.splice(0, count));
  }

  /** Events of one kind compress about tenfold. */
  #guess(): number {
    const average = Math.max(1, this.#queuedBytes / Math.max(1, this.#queue.length));
    return Math.max(1, Math.floor((this.#options.uploadBytes * 10) / average));
  }
}

function sizeOf(events: readonly Waiting[]): number {
  return events.reduce((sum, { text }) => sum + text.length, 0);
}
