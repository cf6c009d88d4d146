import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import type { Steps } from "../base/index.ts";
import {
  type Capabilities,
  compileInSteps,
  type Policy,
  type PolicyPiece,
  policyOfImage,
} from "../rego/engine/index.ts";
import { type Compile, type CompilerOptions, compileOptions } from "./compile.ts";
import { LoadError } from "./errors.ts";
import type { ModuleText, RegoVersion } from "./module-text.ts";
import { waitFor, type WaitingSteps } from "./slices.ts";

/**
 * Compiles beside requests: many modules in a thread of their own, as the collector would stop requests for their trees.
 *
 * @param queries what the policy will be asked; anything else compiles the modules again, here.
 * @throws {CompileError | LoadError}
 */
export type CompileAside = (
  set: Parameters<Compile>,
  queries: readonly string[],
  signal: AbortSignal,
) => WaitingSteps<Policy>;

export interface CompileThread {
  /** The program of compile-thread.ts. */
  readonly program: URL;
  /** Told why the thread gave nothing; the modules are compiled here then. */
  onFailure(cause: unknown): void;
}

/** What the thread is started with. */
export interface ThreadTask {
  readonly modules: readonly ModuleText[];
  readonly version: RegoVersion;
  readonly keepPrint: boolean;
  readonly capabilities: Capabilities | undefined;
  readonly queries: readonly string[];
  /** Where the image goes, piece by piece. */
  readonly port: MessagePort;
}

/** Its last word. */
export type ThreadEnd = "done" | "refused";

/** Modules of less text are compiled before a thread has started. */
const THREAD_LENGTH = 128 * 1024;
/** Behind everything else, the thread may starve on a busy machine. A new policy must not wait for that to end. */
const THREAD_TIMEOUT_MS = 20_000;

export function asideCompiler(options: CompilerOptions, { program, onFailure }: CompileThread): CompileAside {
  const { version, keepPrint, capabilities } = options;
  const optionsFor = compileOptions(options);
  return function* (set, queries, signal) {
    const here = optionsFor(...set);
    const { modules } = here;
    if (modules.reduce((sum, { text }) => sum + text.length, 0) >= THREAD_LENGTH) {
      try {
        const task = { modules, version, keepPrint, capabilities, queries };
        const image = yield* waitFor(imageFromThread(program, task, signal));
        if (image !== undefined) return yield* loaded(image, here);
      } catch (cause) {
        signal.throwIfAborted();
        if (isOutOfMemory(cause))
          throw new LoadError("out_of_memory", "compiling the policies takes more memory than there is", { cause });
        onFailure(cause);
      }
    }
    return yield* compileInSteps(here);
  };
}

/** What is not taken from a port that stays open is never freed. */
function* loaded(image: MessagePort, here: Parameters<typeof policyOfImage>[1]): Steps<Policy> {
  try {
    return yield* policyOfImage(received(image), here);
  } finally {
    image.close();
  }
}

/**
 * @returns where its pieces lie; undefined where something is wrong with the modules, which compiling them here will say
 * @throws what the thread died of
 */
async function imageFromThread(
  program: URL,
  task: Omit<ThreadTask, "port">,
  signal: AbortSignal,
): Promise<MessagePort | undefined> {
  signal.throwIfAborted();
  const { port1, port2 } = new MessageChannel();
  const workerData: ThreadTask = { ...task, port: port2 };
  const worker = new Worker(program, { workerData, transferList: [port2] });
  const stop = (): void => void worker.terminate();
  signal.addEventListener("abort", stop);
  const timer = setTimeout(stop, THREAD_TIMEOUT_MS);
  let end: ThreadEnd | undefined;
  try {
    end = await new Promise<ThreadEnd>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`the thread ended early, with code ${code}`)));
    });
    return end === "done" ? port1 : undefined;
  } finally {
    if (end !== "done") port1.close();
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    stop();
  }
}

/** What lies at a port, taken one by one: reading a message is work, as loading it is. */
function* received(port: MessagePort): Generator<PolicyPiece> {
  for (;;) {
    const next = receiveMessageOnPort(port) as { readonly message: PolicyPiece } | undefined;
    if (next === undefined) break;
    yield next.message;
  }
}

function isOutOfMemory(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ERR_WORKER_OUT_OF_MEMORY";
}
