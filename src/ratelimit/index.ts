export { rateLimitHeaders } from "./headers.ts";
export type { RateLimit, Verdict } from "./limit.ts";
export { Limiter, type LimiterVerdict } from "./limiter.ts";
export { MemoryStore } from "./memory-store.ts";
export { openRateLimitStore, type RateLimitStoreConfig, readRateLimitStoreConfig } from "./open.ts";
export { type RateLimitStore, STORE_ERROR_CODES, StoreError } from "./store.ts";
