import { type Counter, take, UNUSED } from "./algorithms.ts";
import { checkCost, type RateLimit, type Verdict } from "./limit.ts";
import { keptKey, type RateLimitStore, StoreError } from "./store.ts";

interface Entry {
  readonly counter: Counter;
  readonly expiresAtMs: number;
}

/** How many exhausted counters are looked at for one that has recovered, when there is no room. */
const SEARCH = 64;

/**
 * Counters of this process. Bounded: a new key takes the place of the counter that was used longest ago among those with
 * tokens left. Exhausted counters stay until they recover, so that a flood of other keys does not set anybody free; where
 * all are exhausted, new keys are refused.
 */
export class MemoryStore implements RateLimitStore {
  readonly answersAtOnce = true;
  readonly #maxKeys: number;
  readonly #clock: () => number;
  /** With tokens left; least recently used first. */
  readonly #usable = new Map<string, Entry>();
  readonly #exhausted = new Map<string, Entry>();

  /** @param clock milliseconds, never running backwards */
  constructor({
    maxKeys = 100_000,
    clock = monotonicMs,
  }: { readonly maxKeys?: number; readonly clock?: () => number } = {}) {
    this.#maxKeys = maxKeys;
    this.#clock = clock;
  }

  get size(): number {
    return this.#usable.size + this.#exhausted.size;
  }

  take(limit: RateLimit, key: string, cost: number): Verdict {
    checkCost(limit, cost);
    const now = this.#clock();
    const name = `${limit.name}\0${keptKey(key)}`;
    const known = this.#usable.get(name) ?? this.#exhausted.get(name);
    if (known === undefined && this.size >= this.#maxKeys) this.#makeRoom(now);
    const { verdict, counter, expiresAtMs } = take(limit, known?.counter ?? UNUSED, cost, now);
    this.#usable.delete(name);
    this.#exhausted.delete(name);
    (verdict.remaining > 0 ? this.#usable : this.#exhausted).set(name, { counter, expiresAtMs });
    return verdict;
  }

  async close(): Promise<void> {
    this.#usable.clear();
    this.#exhausted.clear();
  }

  #makeRoom(now: number): void {
    const oldest = this.#usable.keys().next();
    if (oldest.done !== true) {
      this.#usable.delete(oldest.value);
      return;
    }
    for (const [name, entry] of [...firstOf(this.#exhausted, SEARCH)]) {
      this.#exhausted.delete(name);
      if (entry.expiresAtMs <= now) return;
      // Looked at last next time: limits of different length must not hide each other's recovered counters.
      this.#exhausted.set(name, entry);
    }
    throw new StoreError("full");
  }
}

function* firstOf<T>(items: Iterable<T>, count: number): Generator<T> {
  let taken = 0;
  for (const item of items) {
    if (taken++ === count) return;
    yield item;
  }
}

function monotonicMs(): number {
  return performance.timeOrigin + performance.now();
}
