import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { take, UNUSED } from "../../src/ratelimit/algorithms.ts";
import { Breaker } from "../../src/ratelimit/breaker.ts";
import {
  Limiter,
  type LimiterVerdict,
  MemoryStore,
  type RateLimit,
  type RateLimitStore,
  rateLimitHeaders,
  StoreError,
} from "../../src/ratelimit/index.ts";
import { keptKey } from "../../src/ratelimit/store.ts";

const bucket: RateLimit = { name: "b", limit: 10, perMs: 1000, algorithm: "token-bucket", onStoreFailure: "deny" };
const fixed: RateLimit = { ...bucket, name: "w", algorithm: "fixed-window" };
const START = 1_767_355_445_000;

function memory(maxKeys = 1000) {
  const clock = { now: START };
  return { clock, store: new MemoryStore({ maxKeys, clock: () => clock.now }) };
}

describe("token bucket", () => {
  test("gives what is there, then one token per interval", () => {
    const { clock, store } = memory();
    for (let i = 9; i >= 0; i--)
      expect(store.take(bucket, "k", 1)).toMatchObject({ allowed: true, remaining: i, retryAfterMs: 0 });
    expect(store.take(bucket, "k", 1)).toEqual({
      allowed: false,
      limit: 10,
      remaining: 0,
      resetMs: 1000,
      retryAfterMs: 100,
    });
    clock.now += 99;
    expect(store.take(bucket, "k", 1)).toMatchObject({ allowed: false, retryAfterMs: 1 });
    clock.now += 1;
    expect(store.take(bucket, "k", 1)).toMatchObject({ allowed: true, remaining: 0 });
    clock.now += 5000;
    expect(store.take(bucket, "k", 10)).toMatchObject({ allowed: true, remaining: 0, resetMs: 1000 });
  });

  test("a cost that is not there takes nothing", () => {
    const { store } = memory();
    store.take(bucket, "k", 8);
    expect(store.take(bucket, "k", 3)).toMatchObject({ allowed: false, remaining: 2, retryAfterMs: 100 });
    expect(store.take(bucket, "k", 2)).toMatchObject({ allowed: true, remaining: 0 });
  });

  test("over any stretch of time no more passes than limit plus refill, and waiting as told always helps", () => {
    const attempts = fc.array(fc.record({ wait: fc.nat(400), cost: fc.integer({ min: 1, max: 5 }) }), {
      minLength: 1,
      maxLength: 100,
    });
    fc.assert(
      fc.property(
        attempts,
        fc.integer({ min: 5, max: 50 }),
        fc.integer({ min: 10, max: 5000 }),
        (list, limit, perMs) => {
          const own = { ...bucket, limit, perMs };
          let counter = UNUSED;
          let now = START;
          let passed = 0;
          for (const { wait, cost } of list) {
            now += wait;
            const taken = take(own, counter, cost, now);
            counter = taken.counter;
            if (taken.verdict.allowed) passed += cost;
            else expect(take(own, counter, cost, now + taken.verdict.retryAfterMs).verdict.allowed).toBe(true);
            expect(taken.verdict.remaining).toBeGreaterThanOrEqual(0);
            expect(passed).toBeLessThanOrEqual(limit + ((now - START) * limit) / perMs + 0.01);
          }
        },
      ),
    );
  });
});

describe("fixed window", () => {
  test("counts from scratch at every multiple of its length", () => {
    const { clock, store } = memory();
    clock.now = START + 400;
    for (let i = 9; i >= 0; i--) expect(store.take(fixed, "k", 1)).toMatchObject({ allowed: true, remaining: i });
    expect(store.take(fixed, "k", 1)).toEqual({
      allowed: false,
      limit: 10,
      remaining: 0,
      resetMs: 600,
      retryAfterMs: 600,
    });
    clock.now = START + 1000;
    expect(store.take(fixed, "k", 4)).toMatchObject({ allowed: true, remaining: 6 });
    expect(store.take(fixed, "k", 7)).toMatchObject({ allowed: false, remaining: 6 });
  });
});

describe("memory store", () => {
  test("keys and limits do not mix", () => {
    const { store } = memory();
    store.take(bucket, "a", 10);
    expect(store.take(bucket, "b", 10).allowed).toBe(true);
    expect(store.take({ ...bucket, name: "other" }, "a", 10).allowed).toBe(true);
    expect(store.take(bucket, "a", 1).allowed).toBe(false);
  });

  test("keys of any length are told apart, and none can pose as the digest of another", () => {
    const long = "x".repeat(300_000);
    expect(keptKey(long)).toMatch(/^#.{43}$/);
    expect(keptKey(`${long}y`)).not.toBe(keptKey(long));
    expect(keptKey(keptKey(long))).not.toBe(keptKey(long));
    expect(keptKey("short")).toBe("short");
  });

  test("a flood of other keys sets nobody free", () => {
    const { store } = memory(100);
    store.take(bucket, "greedy", 10);
    for (let i = 0; i < 10_000; i++) store.take(bucket, `flood ${i}`, 1);
    expect(store.size).toBe(100);
    expect(store.take(bucket, "greedy", 1).allowed).toBe(false);
  });

  test("where all are exhausted new keys are refused until one recovers", () => {
    const { clock, store } = memory(200);
    const long = { ...bucket, name: "long", perMs: 1_000_000 };
    for (let i = 0; i < 150; i++) store.take(long, `k${i}`, 10);
    for (let i = 0; i < 50; i++) store.take(bucket, `k${i}`, 10);
    expect(() => store.take(bucket, "new", 1)).toThrow(StoreError);
    clock.now += 1000;
    // Recovered counters are found even behind those of a longer limit.
    const results = Array.from({ length: 5 }, (_, i) => {
      try {
        return store.take(bucket, `new${i}`, 1).allowed;
      } catch (error) {
        return (error as StoreError).code;
      }
    });
    expect(results).toContain(true);
    expect(store.size).toBeLessThanOrEqual(200);
  });

  test.for([
    { limit: bucket, cost: 11, want: "rate limit b: a cost of 11 exceeds the limit of 10" },
    { limit: bucket, cost: 0, want: "rate limit b: cost 0 is no positive integer" },
    { limit: { ...bucket, perMs: 1.5 }, cost: 1, want: "rate limit b: per 1.5 is no positive integer" },
  ])("refuses: $want", ({ limit, cost, want }) => expect(() => memory().store.take(limit, "k", cost)).toThrow(want));
});

describe("limiter", () => {
  const failing = (error: Error, later: boolean): RateLimitStore => ({
    answersAtOnce: !later,
    take: () => {
      if (later) return Promise.reject(error);
      throw error;
    },
    close: async () => undefined,
  });

  test("answers at once over a store in memory", () => {
    const limiter = new Limiter(memory().store);
    expect(limiter.answersAtOnce).toBe(true);
    expect(limiter.take(bucket, "k")).toMatchObject({ allowed: true, failure: undefined });
  });

  test.for([
    { onStoreFailure: "deny" as const, later: false, allowed: false, retryAfterMs: 1000 },
    { onStoreFailure: "deny" as const, later: true, allowed: false, retryAfterMs: 1000 },
    { onStoreFailure: "allow" as const, later: true, allowed: true, retryAfterMs: 0 },
  ])("a store that fails: $onStoreFailure", async ({ onStoreFailure, later, allowed, retryAfterMs }) => {
    const seen: string[] = [];
    const limiter = new Limiter(failing(new StoreError("timeout"), later), ({ name }, { code }) =>
      seen.push(`${name} ${code}`),
    );
    const verdict: LimiterVerdict = await limiter.take({ ...bucket, onStoreFailure }, "k");
    expect(verdict).toMatchObject({ allowed, retryAfterMs });
    expect(verdict.failure?.code).toBe("timeout");
    expect(seen).toEqual(["b timeout"]);
  });

  test("a bug is no store failure", async () => {
    const limiter = new Limiter(failing(new TypeError("bug"), true));
    await expect(limiter.take({ ...bucket, onStoreFailure: "allow" }, "k")).rejects.toThrow("bug");
  });
});

describe("breaker", () => {
  function breaker() {
    const clock = { now: 0 };
    const calls = { count: 0 };
    const own = new Breaker({ failures: 3, minPauseMs: 100, maxPauseMs: 300, clock: () => clock.now });
    const run = (outcome: "ok" | "fail") =>
      own
        .run(async () => {
          calls.count++;
          if (outcome === "fail") throw new Error("down");
          return outcome;
        })
        .catch((error: Error) => (error instanceof StoreError ? error.code : error.message));
    return { clock, calls, own, run };
  }

  test("opens after failures in a row, tries again after a pause that grows, closes with the first success", async () => {
    const { clock, calls, own, run } = breaker();
    expect([
      await run("fail"),
      await run("fail"),
      await run("ok"),
      await run("fail"),
      await run("fail"),
      own.isOpen,
    ]).toEqual(["down", "down", "ok", "down", "down", false]);
    await run("fail");
    expect(own.isOpen).toBe(true);
    calls.count = 0;
    expect(await run("ok")).toBe("open");
    expect(calls.count).toBe(0);
    for (const pause of [100, 200, 300, 300]) {
      clock.now += pause - 1;
      expect(await run("fail")).toBe("open");
      clock.now += 1;
      expect(await run("fail")).toBe("down");
    }
    clock.now += 300;
    expect(await run("ok")).toBe("ok");
    expect(own.isOpen).toBe(false);
  });

  test("tries with one call at a time", async () => {
    const { clock, own, run } = breaker();
    for (let i = 0; i < 3; i++) await run("fail");
    clock.now += 100;
    let finish: (value: string) => void = () => undefined;
    const trial = own.run(() => new Promise<string>((resolve) => (finish = resolve)));
    expect(await run("ok")).toBe("open");
    finish("done");
    expect(await trial).toBe("done");
    expect(await run("ok")).toBe("ok");
  });
});

test.for([
  {
    verdict: { allowed: true, limit: 100, remaining: 99, resetMs: 600, retryAfterMs: 0 },
    want: { "RateLimit-Remaining": "99", "RateLimit-Reset": "1" },
  },
  {
    verdict: { allowed: false, limit: 100, remaining: 0, resetMs: 59_001, retryAfterMs: 1001 },
    want: { "RateLimit-Remaining": "0", "RateLimit-Reset": "60", "Retry-After": "2" },
  },
  {
    verdict: { allowed: false, limit: 100, remaining: 0, resetMs: 10, retryAfterMs: 0 },
    want: { "RateLimit-Remaining": "0", "RateLimit-Reset": "1", "Retry-After": "1" },
  },
])("headers tell $want", ({ verdict, want }) => {
  expect(rateLimitHeaders({ limit: 100, perMs: 60_000 }, verdict)).toEqual({
    "RateLimit-Limit": "100",
    "RateLimit-Policy": "100;w=60",
    ...want,
  });
});
