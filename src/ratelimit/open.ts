import { MemoryStore } from "./memory-store.ts";
import type { RateLimitStore } from "./store.ts";

/** The configuration block `cardea.rate_limits`. */
export interface RateLimitStoreConfig {
  readonly store: "memory" | "redis";
  /** Of Redis or Valkey; several are nodes of a cluster. */
  readonly url: string | readonly string[];
  /** Longest a check waits for its counter. */
  readonly timeoutMs: number;
  /** Counters kept in memory. */
  readonly maxKeys: number;
  /** Before all keys in Redis. */
  readonly prefix: string;
}

const PRESETS: RateLimitStoreConfig = {
  store: "memory",
  url: "",
  timeoutMs: 20,
  maxKeys: 100_000,
  prefix: "cardea:ratelimit:",
};

/** @throws {RangeError} naming the member that is wrong */
export function readRateLimitStoreConfig(block: Readonly<Record<string, unknown>>): RateLimitStoreConfig {
  const known = ["store", "url", "timeout_ms", "max_keys", "prefix"];
  const unknown = Object.keys(block).find((key) => !known.includes(key));
  if (unknown !== undefined) throw wrong(unknown, `no such member; known: ${known.join(", ")}`);
  const {
    store = PRESETS.store,
    url = PRESETS.url,
    timeout_ms = PRESETS.timeoutMs,
    max_keys = PRESETS.maxKeys,
    prefix = PRESETS.prefix,
  } = block;
  if (store !== "memory" && store !== "redis") throw wrong("store", "expected memory or redis");
  if (!isUrls(url)) throw wrong("url", "expected a URL or a list of URLs");
  if (store === "redis" && url.length === 0) throw wrong("url", "a redis store needs one");
  if (!isCount(timeout_ms)) throw wrong("timeout_ms", "expected a positive integer");
  if (!isCount(max_keys)) throw wrong("max_keys", "expected a positive integer");
  if (typeof prefix !== "string") throw wrong("prefix", "expected a string");
  return { store, url, timeoutMs: timeout_ms, maxKeys: max_keys, prefix };
}

/** Opens the store. One in Redis connects by itself and for as long as it takes; until then its checks fail. */
export async function openRateLimitStore(
  config: RateLimitStoreConfig,
  onConnectionError: (error: Error) => void,
): Promise<RateLimitStore> {
  if (config.store === "memory") return new MemoryStore({ maxKeys: config.maxKeys });
  // The client is loaded only where it is used.
  const { RedisStore } = await import("./redis-store.ts");
  return new RedisStore({ url: config.url, timeoutMs: config.timeoutMs, prefix: config.prefix, onConnectionError });
}

function isUrls(value: unknown): value is string | readonly string[] {
  return (
    typeof value === "string" ||
    (Array.isArray(value) && value.length > 0 && value.every((url) => typeof url === "string"))
  );
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}

function wrong(key: string, detail: string): RangeError {
  return new RangeError(`cardea.rate_limits.${key}: ${detail}`);
}
