import { write, writeSync } from "node:fs";

/** Takes finished lines, in order. */
export interface LineWriter {
  /**
   * Appends one line; the line end is added. Never throws and never waits.
   *
   * @param line  Or what makes it, called at the end of this turn of the event loop, when what is more urgent is done. If that
   *   throws, the line is lost and counted.
   */
  write(line: string | (() => string)): void;
  /** Resolves when everything written so far has left the process, or was dropped. */
  flush(): Promise<void>;
  /** Writes what is left, blocking: for the last moments of a process. */
  flushSync(): void;
  /** Lines lost because the reader was too slow or the device failed. */
  readonly dropped: number;
}

const MAX_PENDING_BYTES = 64 * 1024 * 1024;
/** More than waits at ten thousand decisions a second. */
const BUFFER_BYTES = 512 * 1024;
/** Lines wait so long for others: a write wakes two threads and a reader, which at a thousand lines a second is most of their cost. */
const GATHER_MS = 5;
/** So much need not wait. */
const ENOUGH_BYTES = 64 * 1024;
/** A pipe that does not block says when it is full, but not when it is read. */
const RETRY_MS = 5;

/**
 * Writes lines to a file descriptor, those of some milliseconds in one system call, so that a decision log does not cost
 * a system call per decision. What a slow reader leaves waiting is bounded: beyond it lines are dropped and counted.
 */
export class FileDescriptorWriter implements LineWriter {
  readonly #fd: number;
  readonly #maxPendingBytes: number;
  #lines: string[] = [];
  /** What this turn has brought: lines, and what makes lines, in order. */
  #turn: (string | (() => string))[] = [];
  #pendingBytes = 0;
  #isScheduled = false;
  #isWriting = false;
  #gathering: NodeJS.Timeout | undefined;
  #rest: Buffer | undefined;
  /** Lines of the write that is under way. */
  #leaving = 0;
  /** Used again for each write, of which there is one at a time: a new one each turn is work for the collector. */
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #waiters: (() => void)[] = [];
  dropped = 0;

  constructor(fd: number, maxPendingBytes: number = MAX_PENDING_BYTES) {
    this.#fd = fd;
    this.#maxPendingBytes = maxPendingBytes;
  }

  write(line: string | (() => string)): void {
    this.#turn.push(line);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#endTurn();
      this.#writeSoon();
    });
  }

  flush(): Promise<void> {
    if (this.#turn.length === 0 && this.#lines.length === 0 && !this.#isWriting) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      if (this.#turn.length === 0) this.#writeSoon();
    });
  }

  flushSync(): void {
    this.#endTurn();
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

  #writeSoon(): void {
    if (this.#isWriting) return;
    if (this.#pendingBytes >= ENOUGH_BYTES || this.#waiters.length > 0) this.#writeOut();
    else this.#gathering ??= setTimeout(() => this.#writeOut(), GATHER_MS);
  }

  #endTurn(): void {
    const turn = this.#turn;
    this.#turn = [];
    for (const made of turn) {
      const line = typeof made === "string" ? made : lineOf(made);
      if (line === undefined || this.#pendingBytes + line.length > this.#maxPendingBytes) this.dropped++;
      else {
        this.#lines.push(line);
        this.#pendingBytes += line.length;
      }
    }
  }

  #takeAll(): Buffer {
    const text = this.#lines.length === 0 ? "" : `${this.#lines.join("\n")}\n`;
    this.#leaving += this.#lines.length;
    this.#lines = [];
    this.#pendingBytes = 0;
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) return Buffer.concat([rest, Buffer.from(text)]);
    // UTF-8 takes at most three bytes for a unit of UTF-16.
    return text.length * 3 > this.#buffer.length
      ? Buffer.from(text)
      : this.#buffer.subarray(0, this.#buffer.write(text));
  }

  #writeOut(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    const bytes = this.#takeAll();
    if (bytes.length === 0) {
      this.#settle();
      return;
    }
    this.#isWriting = true;
    this.#rest = bytes;
    write(this.#fd, bytes, (error, written) => {
      if (error?.code === "EAGAIN") {
        setTimeout(() => this.#writeOn(), RETRY_MS);
        return;
      }
      if (error === null) this.#rest = written < bytes.length ? bytes.subarray(written) : undefined;
      else {
        this.#rest = undefined;
        this.dropped += this.#leaving;
      }
      if (this.#rest === undefined) this.#leaving = 0;
      this.#writeOn();
    });
  }

  #writeOn(): void {
    this.#isWriting = false;
    if (this.#rest !== undefined) this.#writeOut();
    else if (this.#lines.length > 0) this.#writeSoon();
    else this.#settle();
  }

  #settle(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}

function lineOf(make: () => string): string | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
