import { write, writeSync } from "node:fs";

/** Takes finished lines, in order. */
export interface LineWriter {
  /** Appends one line; the line end is added. Never throws and never waits. */
  write(line: string): void;
  /** Resolves when everything written so far has left the process, or was dropped. */
  flush(): Promise<void>;
  /** Writes what is left, blocking: for the last moments of a process. */
  flushSync(): void;
  /** Lines lost because the reader was too slow or the device failed. */
  readonly dropped: number;
}

const MAX_PENDING_BYTES = 64 * 1024 * 1024;

/**
 * Writes lines to a file descriptor in one system call per turn of the event loop, so that a decision log does not cost
 * a system call per decision. What a slow reader leaves waiting is bounded: beyond it lines are dropped and counted.
 */
export class FileDescriptorWriter implements LineWriter {
  readonly #fd: number;
  readonly #maxPendingBytes: number;
  #lines: string[] = [];
  #pendingBytes = 0;
  #isScheduled = false;
  #isWriting = false;
  #rest: Buffer | undefined;
  #waiters: (() => void)[] = [];
  dropped = 0;

  constructor(fd: number, maxPendingBytes: number = MAX_PENDING_BYTES) {
    this.#fd = fd;
    this.#maxPendingBytes = maxPendingBytes;
  }

  write(line: string): void {
    if (this.#pendingBytes + line.length > this.#maxPendingBytes) {
      this.dropped++;
      return;
    }
    this.#lines.push(line);
    this.#pendingBytes += line.length;
    this.#schedule();
  }

  flush(): Promise<void> {
    if (this.#lines.length === 0 && !this.#isWriting) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  flushSync(): void {
    let rest = this.#takeAll();
    const until = Date.now() + 1000;
    while (rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(this.#fd, rest));
      } catch (cause) {
        // A full pipe answers EAGAIN; a reader that is gone, anything else.
        if ((cause as NodeJS.ErrnoException).code !== "EAGAIN" || Date.now() > until) return;
      }
    }
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isWriting) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#writeOut();
    });
  }

  #takeAll(): Buffer {
    const text = this.#lines.length === 0 ? "" : `${this.#lines.join("\n")}\n`;
    this.#lines = [];
    this.#pendingBytes = 0;
    const rest = this.#rest;
    this.#rest = undefined;
    return rest === undefined ? Buffer.from(text) : Buffer.concat([rest, Buffer.from(text)]);
  }

  #writeOut(): void {
    const bytes = this.#takeAll();
    if (bytes.length === 0) {
      this.#settle();
      return;
    }
    this.#isWriting = true;
    this.#rest = bytes;
    write(this.#fd, bytes, (error, written) => {
      this.#isWriting = false;
      if (error === null) this.#rest = written < bytes.length ? bytes.subarray(written) : undefined;
      else if (error.code !== "EAGAIN") {
        this.#rest = undefined;
        this.dropped++;
      }
      if (this.#rest !== undefined || this.#lines.length > 0) {
        if (error?.code === "EAGAIN") setTimeout(() => this.#writeOut(), 5);
        else this.#writeOut();
      } else this.#settle();
    });
  }

  #settle(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}
