/**
 * Long work in short pieces. At each `yield` its driver may do something else, or drop the rest; whoever drives it without a
 * pause gets what a plain function would give.
 */
export type Steps<T> = Generator<void, T, void>;

/** Items of one piece: few enough to be short, enough that stopping costs nothing beside them. */
const PIECE = 16;

/** Drives work to its end without a pause. */
export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** `for` in pieces. */
export function* eachInSteps<T>(items: Iterable<T>, act: (item: T) => void): Steps<void> {
  let count = 0;
  for (const item of items) {
    act(item);
    if (++count % PIECE === 0) yield;
  }
}

/** `map` in pieces. */
export function* mapInSteps<T, R>(items: Iterable<T>, change: (item: T, index: number) => R): Steps<R[]> {
  const results: R[] = [];
  for (const item of items) {
    results.push(change(item, results.length));
    if (results.length % PIECE === 0) yield;
  }
  return results;
}
