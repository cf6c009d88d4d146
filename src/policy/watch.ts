import { createHash } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

export interface WatchOptions {
  readonly paths: readonly string[];
  /**
   * Called after changes have settled; never while an earlier call is under way.
   * @param print equal for whoever sees the same state of the same paths
   */
  readonly onChange: (print: string) => Promise<void>;
  /** Changes within this time of each other count as one. */
  readonly settleMs?: number;
  /** How long a file that is written in place must have been left alone: its writer may only have paused. */
  readonly inPlaceSettleMs?: number;
  /** How often everything is compared all the same: some file systems report nothing. */
  readonly pollMs?: number;
}

const SETTLE_MS = 150;
const IN_PLACE_SETTLE_MS = 1200;
const POLL_MS = 2000;
/** Files looked at by one comparison. */
const MAX_FILES = 100_000;

/**
 * Watches files and directories. Directories are watched, never single files: the link that a ConfigMap swaps is replaced,
 * and a watch on the old file would see nothing more. A poll of names, sizes and times catches what notifications miss.
 *
 * A file that takes another's place by renaming is whole. One that is written where it stands may be half there, and half
 * a policy may be legal and lack a rule: it is read only once it has been quiet for a while.
 */
export class PathWatcher {
  readonly #options: WatchOptions;
  readonly #watchers: FSWatcher[] = [];
  #settle: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #print: Fingerprint = new Map();
  /** Seen while some file was perhaps being written, and since when. */
  #unsettled: { readonly print: Fingerprint; readonly sinceMs: number } | undefined;
  #isRunning = false;
  #isStale = false;
  #isClosed = false;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#print = await fingerprint(this.#options.paths);
    for (const path of this.#options.paths) await this.#watch(path);
    this.#poll = setInterval(() => void this.#check(), this.#options.pollMs ?? POLL_MS);
    this.#poll.unref();
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#settle);
    for (const watcher of this.#watchers) watcher.close();
  }

  async #watch(path: string): Promise<void> {
    const info = await stat(path).catch(() => undefined);
    const directories = info?.isDirectory() === true ? await directoriesBelow(path) : [dirname(path)];
    for (const directory of directories) {
      try {
        const watcher = watch(directory, { persistent: false }, () => this.#changed());
        watcher.on("error", () => watcher.close());
        this.#watchers.push(watcher);
      } catch {
        // Too many watches, or a file system without them: the poll sees the changes.
      }
    }
  }

  #changed(settleMs = this.#options.settleMs ?? SETTLE_MS): void {
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => void this.#check(), settleMs);
  }

  async #check(): Promise<void> {
    if (this.#isClosed) return;
    if (this.#isRunning) {
      this.#isStale = true;
      return;
    }
    this.#isRunning = true;
    try {
      const print = await fingerprint(this.#options.paths);
      if (isSame(print, this.#print) || this.#isClosed || !this.#isSettled(print)) return;
      this.#print = print;
      await this.#options.onChange(digestOf(print));
    } finally {
      this.#isRunning = false;
      if (this.#isStale) {
        this.#isStale = false;
        this.#changed();
      }
    }
  }

  #isSettled(print: Fingerprint): boolean {
    const known = this.#unsettled;
    this.#unsettled = undefined;
    if (!isWrittenInPlace(this.#print, print)) return true;
    const settleMs = this.#options.inPlaceSettleMs ?? IN_PLACE_SETTLE_MS;
    const nowMs = performance.now();
    const sinceMs = known !== undefined && isSame(known.print, print) ? known.sinceMs : nowMs;
    const leftMs = settleMs - (nowMs - sinceMs);
    if (leftMs <= 0) return true;
    this.#unsettled = { print, sinceMs };
    this.#changed(leftMs);
    return false;
  }
}

/** Size, time and inode of each file; undefined for one that is not there. */
type Fingerprint = ReadonlyMap<string, { readonly sizeAndTime: string; readonly inode: number } | undefined>;

function digestOf(print: Fingerprint): string {
  return createHash("sha256")
    .update(JSON.stringify([...print]))
    .digest("base64");
}

function isSame(a: Fingerprint, b: Fingerprint): boolean {
  if (a.size !== b.size) return false;
  for (const [path, file] of a) {
    const other = b.get(path);
    if (other?.sizeAndTime !== file?.sizeAndTime || other?.inode !== file?.inode || !b.has(path)) return false;
  }
  return true;
}

/** Whether a file is new, or the same as before with other contents. */
function isWrittenInPlace(before: Fingerprint, now: Fingerprint): boolean {
  for (const [path, file] of now) {
    const known = before.get(path);
    if (file === undefined || known?.sizeAndTime === file.sizeAndTime) continue;
    if (known === undefined || known.inode === file.inode) return true;
  }
  return false;
}

async function directoriesBelow(path: string): Promise<readonly string[]> {
  const found = [path];
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (entry.isDirectory() && !entry.name.startsWith(".."))
      found.push(...(await directoriesBelow(join(path, entry.name))));
  }
  return found;
}

/** Everything below the paths. */
async function fingerprint(paths: readonly string[]): Promise<Fingerprint> {
  const files = new Map<string, { sizeAndTime: string; inode: number } | undefined>();
  const visit = async (path: string): Promise<void> => {
    if (files.size >= MAX_FILES) return;
    const info = await stat(path).catch(() => undefined);
    if (info?.isDirectory() === true) {
      const names = await readdir(path).catch(() => []);
      for (const name of names.sort()) if (!name.startsWith("..")) await visit(join(path, name));
    } else {
      files.set(path, info && { sizeAndTime: `${info.size} ${info.mtimeMs}`, inode: info.ino });
    }
  };
  for (const path of paths) await visit(path);
  return files;
}
