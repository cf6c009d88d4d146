import { EvalError } from "../rego/engine/index.ts";

/** What timers take. */
const MAX_TIMER_MS = 2_147_483_647;

/**
 * Waits for something outside no longer than an evaluation may take: its answer would come too late to be used.
 *
 * @param deadlineMs  Wall-clock milliseconds; Infinity for none.
 * @throws {EvalError} eval_cancel_error when the deadline passes first.
 */
export function withinDeadline<T>(deadlineMs: number, answer: Promise<T>): Promise<T> {
  const leftMs = deadlineMs - Date.now();
  if (leftMs > MAX_TIMER_MS) return answer;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new EvalError("eval_cancel_error", "caller cancelled query execution")),
      Math.max(0, leftMs),
    );
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
