/**
 * Uses a value now where it is there, later where it is promised: what mostly is there should not wait for its turn in a queue
 * of its own each time. Unlike `await`, it throws at once what `use` throws at once.
 */
export function whenKnown<T, U>(value: T | Promise<T>, use: (value: T) => U): U | Promise<U> {
  return value instanceof Promise ? value.then(use) : use(value);
}
