import { EvalError, type IoAnswer, type IoRequest, Suspension } from "../runtime/index.ts";
import type { Value } from "../value/index.ts";
import type { EvaluateOptions, Query, Solution } from "./query.ts";

/** Does the work a builtin asked for. Must not reject: a failure is an answer too. */
export type Io = (request: IoRequest) => Promise<IoAnswer>;

/** Rounds of I/O one evaluation may need: each makes at least one more answer known. */
const MAX_ROUNDS = 1000;

/** Evaluates a query, doing I/O whenever it is suspended. @throws {EvalError} */
export function evaluateWithIo(query: Query, options: EvaluateOptions, io: Io): Promise<readonly Solution[]> {
  return drive((round) => query.evaluate(round), options, io);
}

/** `Query.value` with I/O. @throws {EvalError} */
export function valueWithIo(query: Query, options: EvaluateOptions, io: Io): Promise<Value | undefined> {
  return drive((round) => query.value(round), options, io);
}

async function drive<T>(evaluate: (options: EvaluateOptions) => T, options: EvaluateOptions, io: Io): Promise<T> {
  // Clock, chance and answers stay the same over all rounds: the last run sees what the first saw.
  const answers = new Map(options.answers);
  const round: EvaluateOptions = {
    ...options,
    answers,
    memo: options.memo ?? new Map(),
    nowNs: options.nowNs ?? BigInt(Date.now()) * 1_000_000n,
  };
  for (let i = 0; i < MAX_ROUNDS; i++) {
    try {
      return evaluate(round);
    } catch (error) {
      if (!(error instanceof Suspension)) throw error;
      answers.set(error.key, await io(error.request));
    }
  }
  throw new EvalError("eval_cancel_error", `evaluation asked for input or output more than ${MAX_ROUNDS} times`);
}
