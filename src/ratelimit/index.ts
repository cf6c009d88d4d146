export { rateLimitHeaders } from "./headers.ts";
export type { RateLimit, Verdict } from "./limit.ts";
export { Limiter, type LimiterVerdict } from "./limiter.ts";
export { MemoryStore } from "./memory-store.ts";
export { RedisStore, type RedisStoreOptions } from "./redis-store.ts";
export { type RateLimitStore, STORE_ERROR_CODES, StoreError } from "./store.ts";
