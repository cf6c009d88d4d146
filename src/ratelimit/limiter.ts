import type { RateLimit, Verdict } from "./limit.ts";
import { type RateLimitStore, StoreError } from "./store.ts";

/** A verdict, and whether the counters had a part in it. */
export interface LimiterVerdict extends Verdict {
  /** The store's failure, where the limit's `onStoreFailure` decided. */
  readonly failure: StoreError | undefined;
}

/** What a client is told to wait when nobody knows how long. */
const BLIND_RETRY_MS = 1000;

/** The limits of one snapshot over counters that outlive it. */
export class Limiter {
  readonly #store: RateLimitStore;
  readonly #limits: ReadonlyMap<string, RateLimit>;
  readonly #onFailure: (limit: RateLimit, error: StoreError) => void;

  constructor(
    store: RateLimitStore,
    limits: readonly RateLimit[],
    onFailure: (limit: RateLimit, error: StoreError) => void = () => undefined,
  ) {
    this.#store = store;
    this.#limits = new Map(limits.map((limit) => [limit.name, limit]));
    this.#onFailure = onFailure;
  }

  has(name: string): boolean {
    return this.#limits.has(name);
  }

  /**
   * Counts one attempt. Answers at once where the store does.
   * @throws {RangeError} for a limit that does not exist: there is no policy to fail by, so the caller must deny
   */
  take(name: string, key: string, cost = 1): LimiterVerdict | Promise<LimiterVerdict> {
    const limit = this.#limits.get(name);
    if (limit === undefined) throw new RangeError(`there is no rate limit ${JSON.stringify(name)}`);
    try {
      const verdict = this.#store.take(limit, key, cost);
      if (!(verdict instanceof Promise)) return { ...verdict, failure: undefined };
      return verdict.then(
        (counted) => ({ ...counted, failure: undefined }),
        (error: unknown) => this.#withoutStore(limit, error),
      );
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
