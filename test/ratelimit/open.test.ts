import { expect, test } from "vitest";
import { MemoryStore, openRateLimitStore, readRateLimitStoreConfig } from "../../src/ratelimit/index.ts";

test("without a block counters live in memory", async () => {
  const config = readRateLimitStoreConfig({});
  expect(config).toEqual({ store: "memory", url: "", timeoutMs: 20, maxKeys: 100_000, prefix: "cardea:ratelimit:" });
  expect(await openRateLimitStore(config, () => undefined)).toBeInstanceOf(MemoryStore);
});

test("a store in Redis opens without a server, and its checks fail", async () => {
  const errors: Error[] = [];
  const config = readRateLimitStoreConfig({ store: "redis", url: "/nowhere/redis.sock", timeout_ms: 50 });
  const store = await openRateLimitStore(config, (error) => errors.push(error));
  expect(store.answersAtOnce).toBe(false);
  const limit = { name: "l", limit: 1, perMs: 1000, algorithm: "token-bucket", onStoreFailure: "deny" } as const;
  await expect(store.take(limit, "k", 1)).rejects.toMatchObject({ name: "StoreError" });
  await store.close();
});

test.for([
  { block: { store: "etcd" }, want: "cardea.rate_limits.store: expected memory or redis" },
  { block: { store: "redis" }, want: "cardea.rate_limits.url: a redis store needs one" },
  { block: { url: [] }, want: "cardea.rate_limits.url: expected a URL or a list of URLs" },
  { block: { timeout_ms: 0 }, want: "cardea.rate_limits.timeout_ms: expected a positive integer" },
  { block: { max_keys: "many" }, want: "cardea.rate_limits.max_keys: expected a positive integer" },
  { block: { prefix: 1 }, want: "cardea.rate_limits.prefix: expected a string" },
  {
    block: { uri: "x" },
    want: "cardea.rate_limits.uri: no such member; known: store, url, timeout_ms, max_keys, prefix",
  },
])("refuses: $want", ({ block, want }) => expect(() => readRateLimitStoreConfig(block)).toThrow(want));
