import { Cluster, Redis, type RedisOptions } from "ioredis";
import { Breaker, type BreakerOptions } from "./breaker.ts";
import { checkCost, type RateLimit, type Verdict } from "./limit.ts";
import { keptKey, type RateLimitStore, StoreError } from "./store.ts";

/**
 * Counters in Redis or Valkey, shared by all replicas. One round trip per attempt, one key per script (so that any node of a
 * cluster can run it), time by the server's clock (so that the replicas' clocks do not matter).
 */
export interface RedisStoreOptions extends BreakerOptions {
  /** `redis://`, `rediss://` or a socket's path; several are nodes of a cluster. */
  readonly url: string | readonly string[];
  /** Longest a check waits for its counter. */
  readonly timeoutMs?: number;
  /** Longest a connection may take to come up. */
  readonly connectTimeoutMs?: number;
  /** Before all keys. */
  readonly prefix?: string;
  /** Connection failures, for the log. They are not failures of checks: those are the caller's to count. */
  readonly onConnectionError?: (error: Error) => void;
  /** More of ioredis's: TLS files, user name and the like. */
  readonly redis?: Omit<RedisOptions, "replyMapping" | "retryStrategy" | "enableOfflineQueue">;
}

/** The same arithmetic as `algorithms.ts`. Returns allowed, remaining, reset and wait, in whole numbers. */
const SCRIPT = `
local limit, per, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local kept = redis.call('GET', KEYS[1])
if ARGV[4] == 'token-bucket' then
  local interval = per / limit
  local full = math.max(tonumber(kept or '0') or 0, now)
  local wanted = full + interval * cost
  local wait = wanted - per - now
  local allowed = wait <= 0.001
  if allowed then
    full = wanted
    redis.call('SET', KEYS[1], string.format('%.3f', full), 'PX', math.max(1, math.ceil(full - now)))
  end
  local remaining = math.max(0, math.floor((per - (full - now)) / interval + 0.000001))
  return {allowed and 1 or 0, remaining, math.ceil(full - now), allowed and 0 or math.ceil(wait)}
end
local start = math.floor(now / per) * per
local used = 0
if kept then
  local began, count = string.match(kept, '^(%d+):(%d+)$')
  if began and tonumber(began) == start then used = tonumber(count) end
end
local reset = math.ceil(start + per - now)
local allowed = used + cost <= limit
if allowed then
  used = used + cost
  redis.call('SET', KEYS[1], string.format('%.0f:%.0f', start, used), 'PX', math.max(1, reset))
end
return {allowed and 1 or 0, limit - used, reset, allowed and 0 or reset}
`;

type TakeCommand = (key: string, limit: number, perMs: number, cost: number, algorithm: string) => Promise<unknown>;

export class RedisStore implements RateLimitStore {
  readonly answersAtOnce = false;
  readonly #client: Redis | Cluster;
  readonly #breaker: Breaker;
  readonly #prefix: string;
  readonly #timeoutMs: number;

  constructor(options: RedisStoreOptions) {
    this.#breaker = new Breaker(options);
    this.#prefix = options.prefix ?? "cardea:ratelimit:";
    this.#timeoutMs = options.timeoutMs ?? 20;
    this.#client = connect(options);
    // Without a listener a lost connection would end the process.
    this.#client.on("error", (error: Error) => options.onConnectionError?.(error));
    this.#client.defineCommand("cardeaTake", { numberOfKeys: 1, lua: SCRIPT });
  }

  /** Whether calls fail at once, because the store failed lately. */
  get isBroken(): boolean {
    return this.#breaker.isOpen;
  }

  async take(limit: RateLimit, key: string, cost: number): Promise<Verdict> {
    checkCost(limit, cost);
    const reply = await this.#breaker.run(() => this.#ask(limit, key, cost));
    const [allowed, remaining, resetMs, retryAfterMs] = reply;
    return { allowed: allowed === 1, limit: limit.limit, remaining, resetMs, retryAfterMs };
  }

  async close(): Promise<void> {
    this.#client.disconnect();
  }

  async #ask(limit: RateLimit, key: string, cost: number): Promise<readonly [number, number, number, number]> {
    const { cardeaTake } = this.#client as unknown as { cardeaTake: TakeCommand };
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new StoreError("timeout")), this.#timeoutMs);
    });
    try {
      const reply = await Promise.race([
        cardeaTake.call(this.#client, this.#keyOf(limit, key), limit.limit, limit.perMs, cost, limit.algorithm),
        late,
      ]);
      if (!Array.isArray(reply) || reply.length !== 4 || !reply.every((n) => typeof n === "number")) {
        throw new StoreError("unavailable", "the store answered something else");
      }
      return reply as unknown as [number, number, number, number];
    } catch (error) {
      if (error instanceof StoreError) throw error;
      throw new StoreError(/timed out/i.test((error as Error).message) ? "timeout" : "unavailable", undefined, {
        cause: error,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** The algorithm is part of the key: the two keep different things. */
  #keyOf({ name, algorithm }: RateLimit, key: string): string {
    return `${this.#prefix}${algorithm === "token-bucket" ? "b" : "w"}:${name}:${keptKey(key)}`;
  }
}

function connect({ url, timeoutMs = 20, connectTimeoutMs = 1000, redis }: RedisStoreOptions): Redis | Cluster {
  const options = {
    connectTimeout: connectTimeoutMs,
    // The check's own timer comes first; this one frees the command.
    commandTimeout: timeoutMs * 2,
    // A frozen server is left for a new connection.
    socketTimeout: 5000,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    ...redis,
  };
  // Nothing waits for a connection: a check that cannot be counted now is decided now.
  if (typeof url === "string")
    return new Redis(url, { ...options, enableOfflineQueue: false, retryStrategy: reconnectDelayMs });
  return new Cluster([...url], {
    redisOptions: options,
    enableOfflineQueue: false,
    clusterRetryStrategy: reconnectDelayMs,
    maxRedirections: 4,
  });
}

function reconnectDelayMs(attempt: number): number {
  return Math.min(2000, 50 * 2 ** Math.min(attempt, 6));
}
