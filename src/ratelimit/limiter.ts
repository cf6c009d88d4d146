import type { RateLimit, Verdict } from "./limit.ts";
import { type RateLimitStore, StoreError } from "./store.ts";

/** A verdict, and whether the counters had a part in it. */
export interface LimiterVerdict extends Verdict {
  /** The store's failure, where the limit's `onStoreFailure` decided. */
  readonly failure: StoreError | undefined;
}

/** What a client is told to wait when nobody knows how long. */
const BLIND_RETRY_MS = 1000;

/** Limits over a store that may fail: every attempt gets a verdict. */
export class Limiter {
  readonly #store: RateLimitStore;
  readonly #onFailure: (limit: RateLimit, error: StoreError) => void;

  constructor(store: RateLimitStore, onFailure: (limit: RateLimit, error: StoreError) => void = () => undefined) {
    this.#store = store;
    this.#onFailure = onFailure;
  }

  /** Whether `take` returns its verdict itself, not a promise of one. */
  get answersAtOnce(): boolean {
    return this.#store.answersAtOnce;
  }

  /** Counts one attempt. @throws {RangeError} for numbers that make no sense, as the store does */
  take(limit: RateLimit, key: string, cost = 1): LimiterVerdict | Promise<LimiterVerdict> {
    try {
      const verdict = this.#store.take(limit, key, cost);
      if (!(verdict instanceof Promise)) return counted(verdict);
      return verdict.then(counted, (error: unknown) => this.#withoutStore(limit, error));
    } catch (error) {
      return this.#withoutStore(limit, error);
    }
  }

  #withoutStore(limit: RateLimit, error: unknown): LimiterVerdict {
    if (!(error instanceof StoreError)) throw error;
    this.#onFailure(limit, error);
    const allowed = limit.onStoreFailure === "allow";
    return {
      allowed,
      limit: limit.limit,
      remaining: 0,
      resetMs: allowed ? 0 : BLIND_RETRY_MS,
      retryAfterMs: allowed ? 0 : BLIND_RETRY_MS,
      failure: error,
    };
  }
}

function counted({ allowed, limit, remaining, resetMs, retryAfterMs }: Verdict): LimiterVerdict {
  return { allowed, limit, remaining, resetMs, retryAfterMs, failure: undefined };
}
