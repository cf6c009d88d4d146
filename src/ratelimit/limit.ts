/** How often something may happen. */
export interface RateLimit {
  readonly name: string;
  /** A positive integer: how many per `perMs`; also how many at once. */
  readonly limit: number;
  /** A positive integer, milliseconds. */
  readonly perMs: number;
  /**
   * A token bucket gives tokens back one by one; a fixed window counts from scratch at every multiple of `perMs`, and so
   * may pass twice the limit around a boundary.
   */
  readonly algorithm: "token-bucket" | "fixed-window";
  /** What to say when the counters cannot be asked. */
  readonly onStoreFailure: "allow" | "deny";
}

/** What came of one attempt. */
export interface Verdict {
  readonly allowed: boolean;
  readonly limit: number;
  /** Whole tokens left. */
  readonly remaining: number;
  /** Until all tokens are back. */
  readonly resetMs: number;
  /** 0 when allowed, else how long until `cost` tokens are there. */
  readonly retryAfterMs: number;
}

/** @throws {RangeError} when a number is not a positive integer, or the cost can never be paid */
export function checkCost({ name, limit, perMs }: RateLimit, cost: number): void {
  for (const [what, value] of [
    ["limit", limit],
    ["per", perMs],
    ["cost", cost],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`rate limit ${name}: ${what} ${value} is no positive integer`);
  }
  if (cost > limit) throw new RangeError(`rate limit ${name}: a cost of ${cost} exceeds the limit of ${limit}`);
}
