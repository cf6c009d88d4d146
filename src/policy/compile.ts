import { MessageChannel, receiveMessageOnPort, type MessagePort, Worker } from "node:worker_threads";
import type { Steps } from "../base/index.ts";
import {
  allowedBuiltins,
  type Builtin,
  type Capabilities,
  type CompileOptions,
  compileInSteps,
  type Policy,
  policyOfImage,
} from "../rego/engine/index.ts";
import { nodeBuiltins } from "../rego/node.ts";
import type { Value } from "../rego/value/index.ts";
import type { Declared } from "./declared.ts";
import { LoadError } from "./errors.ts";
import type { ModuleText, RegoVersion } from "./module-text.ts";
import { waitFor, type WaitingSteps } from "./slices.ts";

/** Modules, base documents and policy documents in, compiled policy out. */
export interface Compile {
  /** @throws {CompileError} */
  (modules: readonly ModuleText[], data: Value, declared: Declared | undefined): Steps<Policy>;
  /**
   * The same beside requests: many modules are compiled in a thread of their own.
   *
   * @param queries what the policy will be asked; anything else compiles the modules again, here.
   * @throws {CompileError | LoadError}
   */
  readonly aside?: (
    modules: readonly ModuleText[],
    data: Value,
    declared: Declared | undefined,
    queries: readonly string[],
    signal: AbortSignal,
  ) => WaitingSteps<Policy>;
}

export interface CompilerOptions {
  /** Language of modules that do not say otherwise. */
  readonly version: RegoVersion;
  /** Keep `print` calls; erased, they cost nothing. */
  readonly keepPrint: boolean;
  /** What policies may call. Default: every builtin there is. */
  readonly capabilities?: Capabilities | undefined;
  /** Builtins of our own, over the schedules and rate limits of the policy documents. */
  readonly extend?: (declared: Declared | undefined) => readonly Builtin[];
  /** The program of compile-thread.ts, where large sets may have a thread. */
  readonly thread?: URL | undefined;
  /** Told why the thread gave nothing; the modules are compiled here then. */
  readonly onThreadFailure?: (cause: unknown) => void;
}

/** What the thread is started with. */
export interface ThreadTask {
  readonly modules: readonly ModuleText[];
  readonly version: RegoVersion;
  readonly keepPrint: boolean;
  readonly capabilities: Capabilities | undefined;
  readonly queries: readonly string[];
  /** Where the image goes, piece by piece. */
  readonly pieces: MessagePort;
  readonly prepared: MessagePort;
}

/** Its last word. */
export type ThreadEnd = "done" | "refused";

/** Modules of less text are compiled before a thread has started. */
const THREAD_LENGTH = 128 * 1024;
/** Behind everything else, the thread may starve on a busy machine. A new policy must not wait for that to end. */
const THREAD_TIMEOUT_MS = 20_000;

export function regoCompiler(options: CompilerOptions): Compile {
  const { version, keepPrint, capabilities, extend = () => [], thread, onThreadFailure } = options;
  const allowed = allowedBuiltins(nodeBuiltins, capabilities);
  const optionsFor = (modules: readonly ModuleText[], data: Value, declared: Declared | undefined): CompileOptions => ({
    modules: [...modules, ...(declared?.modules ?? [])],
    data,
    version,
    builtins: [...allowed, ...extend(declared)],
    keepPrint,
  });
  const here: Compile = (modules, data, declared) => compileInSteps(optionsFor(modules, data, declared));
  if (thread === undefined) return here;

  const aside: Compile["aside"] = function* (modules, data, declared, queries, signal) {
    const local = optionsFor(modules, data, declared);
    const texts = local.modules as readonly ModuleText[];
    if (texts.reduce((sum, { text }) => sum + text.length, 0) < THREAD_LENGTH) return yield* compileInSteps(local);
    try {
      const task = { modules: texts, version, keepPrint, capabilities, queries };
      const image = yield* waitFor(imageFromThread(thread, task, signal));
      if (image !== undefined) return yield* policyOfImage(image, local);
    } catch (cause) {
      signal.throwIfAborted();
      if (isOutOfMemory(cause))
        throw new LoadError("out_of_memory", "compiling the policies takes more memory than there is", { cause });
      onThreadFailure?.(cause);
    }
    return yield* compileInSteps(local);
  };
  return Object.assign(here, { aside });
}

type Image = Parameters<typeof policyOfImage>[0];

/** @returns undefined where something is wrong with the modules, which compiling them here will say @throws what the thread died of */
async function imageFromThread(
  program: URL,
  task: Omit<ThreadTask, "pieces" | "prepared">,
  signal: AbortSignal,
): Promise<Image | undefined> {
  const pieces = new MessageChannel();
  const prepared = new MessageChannel();
  const workerData: ThreadTask = { ...task, pieces: pieces.port2, prepared: prepared.port2 };
  const worker = new Worker(program, { workerData, transferList: [pieces.port2, prepared.port2] });
  const stop = (): void => void worker.terminate();
  signal.addEventListener("abort", stop);
  const timer = setTimeout(stop, THREAD_TIMEOUT_MS);
  try {
    const end = await new Promise<ThreadEnd>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`the thread ended early, with code ${code}`)));
    });
    if (end === "refused") return undefined;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    stop();
  }
  // Taken one by one, so that reading them is as much in pieces as loading them.
  return { pieces: received(pieces.port1), prepared: received(prepared.port1) } as Image;
}

function* received(port: MessagePort): Generator<unknown> {
  for (;;) {
    const next = receiveMessageOnPort(port) as { readonly message: unknown } | undefined;
    if (next === undefined) break;
    yield next.message;
  }
  port.close();
}

function isOutOfMemory(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ERR_WORKER_OUT_OF_MEMORY";
}
