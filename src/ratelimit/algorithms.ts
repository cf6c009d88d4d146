import type { RateLimit, Verdict } from "./limit.ts";

/** A counter as stores keep it. 0 and 0 is one that has not been used. */
export interface Counter {
  /** Token bucket: when the bucket will be full again. Fixed window: when the window began. Milliseconds. */
  readonly time: number;
  /** Fixed window: taken in it. */
  readonly count: number;
}

export interface Taken {
  readonly verdict: Verdict;
  /** The counter afterwards; the one from before where nothing was taken. */
  readonly counter: Counter;
  /** From then on the counter is as good as unused. */
  readonly expiresAtMs: number;
}

export const UNUSED: Counter = { time: 0, count: 0 };

/** Takes `cost` tokens if they are there. Pure: the Lua script of the Redis store does the same. */
export function take(limit: RateLimit, counter: Counter, cost: number, nowMs: number): Taken {
  return limit.algorithm === "token-bucket"
    ? takeTokens(limit, counter, cost, nowMs)
    : takeFromWindow(limit, counter, cost, nowMs);
}

/**
 * A token bucket kept as one time (GCRA): each token taken moves the time at which the bucket is full again by
 * `perMs / limit`, and that time may lie at most `perMs` ahead.
 */
function takeTokens({ limit, perMs }: RateLimit, counter: Counter, cost: number, nowMs: number): Taken {
  const interval = perMs / limit;
  const fullAt = Math.max(counter.time, nowMs);
  const wanted = fullAt + interval * cost;
  // A thousandth of a millisecond forgives rounding of times near 2^41.
  const waitMs = wanted - perMs - nowMs;
  const allowed = waitMs <= 0.001;
  const time = allowed ? wanted : fullAt;
  return {
    verdict: {
      allowed,
      limit,
      remaining: Math.max(0, Math.floor((perMs - (time - nowMs)) / interval + 1e-6)),
      resetMs: Math.ceil(time - nowMs),
      retryAfterMs: allowed ? 0 : Math.ceil(waitMs),
    },
    counter: { time, count: 0 },
    expiresAtMs: time,
  };
}

function takeFromWindow({ limit, perMs }: RateLimit, counter: Counter, cost: number, nowMs: number): Taken {
  const start = Math.floor(nowMs / perMs) * perMs;
  const used = counter.time === start ? counter.count : 0;
  const allowed = used + cost <= limit;
  const count = allowed ? used + cost : used;
  const resetMs = Math.ceil(start + perMs - nowMs);
  return {
    verdict: { allowed, limit, remaining: limit - count, resetMs, retryAfterMs: allowed ? 0 : resetMs },
    counter: { time: start, count },
    expiresAtMs: start + perMs,
  };
}
