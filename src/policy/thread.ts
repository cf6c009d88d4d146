import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import type { Capabilities, PolicyPiece } from "../rego/engine/index.ts";
import { LoadError } from "./errors.ts";
import type { MeshOptions } from "./lowered.ts";
import type { LoweredPiece } from "./lowered-pieces.ts";
import type { ModuleText, RegoVersion } from "./module-text.ts";
import { waitFor, type WaitingSteps } from "./slices.ts";

/** A thread for work that would hold up requests, or whose garbage would. */
export interface PolicyThread {
  /** The program of policy-thread.ts. */
  readonly program: URL;
  /** Default: some seconds, by what there is to do. */
  readonly timeoutMs?: number;
  /** Told why the work had to be done here. */
  onFailure(cause: unknown): void;
}

/** What a thread is started with. */
export interface ThreadTask {
  readonly work: CompileTask | LowerTask;
  /** Where the result goes, piece by piece. */
  readonly port: MessagePort;
}

/** Modules, whose image is asked for. */
export interface CompileTask {
  readonly kind: "compile";
  readonly modules: readonly ModuleText[];
  readonly version: RegoVersion;
  readonly keepPrint: boolean;
  readonly capabilities: Capabilities | undefined;
  readonly queries: readonly string[];
}

/** Files of policy documents. */
export interface LowerTask {
  readonly kind: "lower";
  readonly files: readonly ModuleText[];
  readonly options: MeshOptions;
}

/** What each kind of work gives. */
interface PieceOf {
  readonly compile: PolicyPiece;
  readonly lower: LoweredPiece;
}

/** Its last word. */
export type ThreadEnd = "done" | "refused";

/** Less text is dealt with before a thread has started; documents cost less than modules of their length. */
const LEAST_LENGTH = { compile: 128 * 1024, lower: 1024 * 1024 };
/**
 * Behind everything else, the thread may starve on a busy machine. A new policy must not wait for that to end: these are
 * several times what ten thousand rules, and as many policies, take.
 */
const TIMEOUT_MS = { compile: 20_000, lower: 10_000 };

export function isWorthThread(kind: ThreadTask["work"]["kind"], texts: readonly ModuleText[]): boolean {
  return texts.reduce((sum, { text }) => sum + text.length, 0) >= LEAST_LENGTH[kind];
}

/**
 * Does work in a thread, or here where the thread fails. What is wrong with policies is found here once more, and told.
 *
 * @param made makes the result of its pieces; throws a TypeError when some are missing
 * @throws {LoadError} when memory was what the thread lacked: here there is no more of it
 * @throws the signal's reason, once it is aborted, and whatever `here` throws
 */
export function* inThread<Task extends ThreadTask["work"], T>(
  thread: PolicyThread,
  work: Task,
  signal: AbortSignal,
  made: (pieces: Iterable<PieceOf[Task["kind"]]>) => WaitingSteps<T>,
  here: () => WaitingSteps<T>,
): WaitingSteps<T> {
  try {
    const port = yield* waitFor(portOfThread(thread, work, signal));
    if (port !== undefined) return yield* madeOf(port, made);
  } catch (cause) {
    signal.throwIfAborted();
    if (isOutOfMemory(cause))
      throw new LoadError("out_of_memory", "compiling the policies takes more memory than there is", { cause });
    thread.onFailure(cause);
    return yield* here();
  }
  const result = yield* here();
  thread.onFailure(new Error("the thread refused policies that are right"));
  return result;
}

function* madeOf<Piece, T>(port: MessagePort, made: (pieces: Iterable<Piece>) => WaitingSteps<T>): WaitingSteps<T> {
  try {
    return yield* made(received(port));
  } finally {
    // What is not taken from a port that stays open is never freed.
    port.close();
  }
}

/**
 * @returns where the pieces lie; undefined where something is wrong with the policies
 * @throws what the thread died of
 */
async function portOfThread(
  { program, timeoutMs }: PolicyThread,
  work: ThreadTask["work"],
  signal: AbortSignal,
): Promise<MessagePort | undefined> {
  signal.throwIfAborted();
  const { port1, port2 } = new MessageChannel();
  let worker: Worker | undefined;
  const stop = (): void => void worker?.terminate();
  signal.addEventListener("abort", stop);
  let timer: NodeJS.Timeout | undefined;
  let end: ThreadEnd | undefined;
  try {
    end = await new Promise<ThreadEnd>((resolve, reject) => {
      const workerData: ThreadTask = { work, port: port2 };
      worker = new Worker(program, { workerData, transferList: [port2] })
        .once("message", resolve)
        .once("error", reject)
        .once("exit", (code) => reject(new Error(`the thread ended early, with code ${code}`)));
      const ms = timeoutMs ?? TIMEOUT_MS[work.kind];
      timer = setTimeout(() => reject(new Error(`the thread was not done after ${ms} ms`)), ms);
    });
    return end === "done" ? port1 : undefined;
  } finally {
    // Its other end closes with it.
    if (end !== "done") port1.close();
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    stop();
  }
}

/** What lies at a port, taken one by one: reading a message is work, as loading it is. */
function* received<Piece>(port: MessagePort): Generator<Piece> {
  for (;;) {
    const next = receiveMessageOnPort(port) as { readonly message: Piece } | undefined;
    if (next === undefined) break;
    yield next.message;
  }
}

function isOutOfMemory(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ERR_WORKER_OUT_OF_MEMORY";
}
