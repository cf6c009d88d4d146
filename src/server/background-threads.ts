import { readdirSync, readFileSync } from "node:fs";
import { setPriority } from "node:os";

const THREADS = "/proc/self/task";
/** What Node.js 24 calls them. */
const WORKER_NAME = "V8Worker";
/** Earlier ones start them before all others: one for delayed tasks, then a pool of four. */
const USUAL_COUNT = 5;

/**
 * Far enough behind the requests, and ahead of the thread that compiles policies (PRIORITY_LOW, policy-thread.ts): a collection
 * of the serving heap waits for these threads, and must not wait for a compiler.
 */
const BACKGROUND = 10;

let areLowered = false;

/**
 * Puts V8's own threads behind those that serve, for good. They compile what has become hot and mark garbage; where a process has one
 * processor, they take it from the requests, for 5 to 10 ms at a stretch while policies are compiled. A process that is still
 * warming up wants them as they are. Linux alone has priorities of threads; elsewhere this does nothing.
 */
export function lowerBackgroundThreads(): void {
  if (areLowered || process.platform !== "linux") return;
  areLowered = true;
  try {
    for (const thread of v8Threads()) setPriority(thread, BACKGROUND);
  } catch {
    // Without /proc, or without leave to do so, only latency is worse.
  }
}

function v8Threads(): readonly number[] {
  const others = readdirSync(THREADS)
    .map(Number)
    .filter((thread) => thread > process.pid)
    .sort((a, b) => a - b);
  const named = others.filter((thread) => readFileSync(`${THREADS}/${thread}/comm`, "utf8").trim() === WORKER_NAME);
  if (named.length > 0) return named;
  const isUsualPool = ![...process.execArgv, process.env["NODE_OPTIONS"] ?? ""].join(" ").includes("v8-pool-size");
  return isUsualPool ? others.slice(0, USUAL_COUNT) : [];
}
