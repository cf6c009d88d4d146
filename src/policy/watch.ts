import { type FSWatcher, watch } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

export interface WatchOptions {
  readonly paths: readonly string[];
  /** Called after changes have settled; never while an earlier call is under way. */
  readonly onChange: () => Promise<void>;
  /** Changes within this time of each other count as one. */
  readonly settleMs?: number;
  /** How often everything is compared all the same: some file systems report nothing. */
  readonly pollMs?: number;
}

const SETTLE_MS = 150;
const POLL_MS = 2000;
/** Files looked at by one comparison. */
const MAX_FILES = 100_000;

/**
 * Watches files and directories. Directories are watched, never single files: the link that a ConfigMap swaps is replaced,
 * and a watch on the old file would see nothing more. A poll of names, sizes and times catches what notifications miss.
 */
export class PathWatcher {
  readonly #options: WatchOptions;
  readonly #watchers: FSWatcher[] = [];
  #settle: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #print = "";
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

  #changed(): void {
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => void this.#check(), this.#options.settleMs ?? SETTLE_MS);
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
      if (print !== this.#print && !this.#isClosed) {
        this.#print = print;
        await this.#options.onChange();
      }
    } finally {
      this.#isRunning = false;
      if (this.#isStale) {
        this.#isStale = false;
        this.#changed();
      }
    }
  }
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

/** Names, sizes, times and inodes of everything below the paths; missing ones count as such. */
async function fingerprint(paths: readonly string[]): Promise<string> {
  const lines: string[] = [];
  const visit = async (path: string): Promise<void> => {
    if (lines.length >= MAX_FILES) return;
    const info = await stat(path).catch(() => undefined);
    if (info?.isDirectory() === true) {
      const names = await readdir(path).catch(() => []);
      for (const name of names.sort()) if (!name.startsWith("..")) await visit(join(path, name));
    } else lines.push(info === undefined ? `${path} -` : `${path} ${info.size} ${info.mtimeMs} ${info.ino}`);
  };
  for (const path of paths) await visit(path);
  return lines.join("\n");
}
