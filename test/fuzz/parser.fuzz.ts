import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { startClock } from "../support/busy.ts";
import { exerciseCompiler } from "../support/compiler-fuzz.ts";
import { exerciseParser } from "../support/parser-fuzz.ts";
import { type CorpusText, corpus, TextGenerator } from "./text-generator.ts";

/**
 * Puts damaged and generated texts to the parser and the compiler until the time is over: `--seconds 60 --seed 1`. Each text has
 * a seed of its own; those on which a promise is broken are printed. `--seed N --count 1` repeats one of them.
 */

/** A text that takes this long is a hang: the worker that is at it is given up. */
const HANG_MS = 30_000;

interface Settings {
  readonly texts: readonly CorpusText[];
  readonly seed: number;
  readonly count: number;
  readonly until: number;
  /** The text at work, so that a hang can be told by its seed. */
  readonly at: Int32Array;
}

type Message =
  | { readonly seed: number; readonly failure: string }
  | { readonly counts: Readonly<Record<string, number>> };

if (isMainThread) await main();
else work(workerData as Settings);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "60" },
      seed: { type: "string", default: String(Date.now() % 1e6) },
      count: { type: "string", default: "1000000000" },
      max: { type: "string", default: "10" },
    },
  });
  const first = Number(values.seed);
  const until = Date.now() + Number(values.seconds) * 1000;
  const texts = corpus();
  const totals: Record<string, number> = {};
  let failures = 0;
  let next = first;
  while (next < first + Number(values.count) && Date.now() < until && failures < Number(values.max)) {
    const at = new Int32Array(new SharedArrayBuffer(4));
    const count = first + Number(values.count) - next;
    const found = await oneWorker({ texts, seed: next, count, until, at }, totals);
    if (found === undefined) break;
    failures++;
    console.log(`--- seed ${found.seed}: ${found.failure}`);
    next = found.seed + 1;
  }
  console.log(`seed ${first}: ${JSON.stringify(totals)}, ${failures} failures`);
  process.exit(failures === 0 ? 0 : 1);
}

/** Runs a worker to the end of the time, or to the first failure. */
function oneWorker(
  settings: Settings,
  totals: Record<string, number>,
): Promise<{ readonly seed: number; readonly failure: string } | undefined> {
  // The main thread's stack, which is what policies are compiled on.
  const worker = new Worker(new URL(import.meta.url), { workerData: settings, resourceLimits: { stackSizeMb: 1 } });
  return new Promise((resolve) => {
    let seen = 0;
    let busy = startClock();
    const watch = setInterval(() => {
      const current = Atomics.load(settings.at, 0);
      if (current !== seen) {
        seen = current;
        busy = startClock();
      } else if (busy() > HANG_MS) finish({ seed: current, failure: "hangs" });
    }, 500);
    const finish = (found?: { readonly seed: number; readonly failure: string }): void => {
      clearInterval(watch);
      void worker.terminate();
      resolve(found);
    };
    worker.on("message", (message: Message) => {
      if ("failure" in message) {
        finish(message);
        return;
      }
      for (const [name, count] of Object.entries(message.counts)) totals[name] = (totals[name] ?? 0) + count;
    });
    worker.on("error", (error) => finish({ seed: Atomics.load(settings.at, 0), failure: String(error) }));
    worker.on("exit", () => finish());
  });
}

function work({ texts, seed: first, count, until, at }: Settings): void {
  const generator = new TextGenerator(texts);
  let counts: Record<string, number> = {};
  const post = (message: Message): void => parentPort?.postMessage(message);
  for (let seed = first; seed < first + count && Date.now() < until; seed++) {
    Atomics.store(at, 0, seed);
    const { kind, version, text } = generator.text(seed);
    const deep = kind === "nested";
    const settings = { version, strict: seed % 3 === 0, keepPrint: seed % 2 === 0, deep };
    try {
      const parsed = exerciseParser(text, version, { deep });
      const outcome = parsed === "refused" ? "not parsed" : exerciseCompiler(text, settings);
      const name = `${kind} ${outcome}`;
      counts[name] = (counts[name] ?? 0) + 1;
    } catch (error) {
      post({ counts });
      const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
      const cause = error instanceof Error && error.cause instanceof Error ? `\ncaused by ${error.cause.stack}` : "";
      post({ seed, failure: `${JSON.stringify(settings)}\n${text.slice(0, 4000)}\n---\n${trace}${cause}` });
      return;
    }
    if (seed % 200 === 0) {
      post({ counts });
      counts = {};
    }
  }
  post({ counts });
}
