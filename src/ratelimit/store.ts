import { createHash } from "node:crypto";
import type { RateLimit, Verdict } from "./limit.ts";

/** Where counters live. */
export interface RateLimitStore {
  /** Whether `take` returns its verdict itself, not a promise of one. */
  readonly answersAtOnce: boolean;
  /**
   * Takes `cost` tokens from the counter of `limit` and `key`, if they are there.
   * @throws {StoreError} or rejects with it, when the counter cannot be asked
   */
  take(limit: RateLimit, key: string, cost: number): Verdict | Promise<Verdict>;
  close(): Promise<void>;
}

export const STORE_ERROR_CODES = {
  unavailable: "the store refused or lost the connection",
  timeout: "the store did not answer in time",
  open: "the store failed lately and is not asked for a moment",
  full: "all counters the store has room for are exhausted",
} as const;

/** The counters could not be asked. The code is the label of the failure metric. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: keyof typeof STORE_ERROR_CODES;

  constructor(code: keyof typeof STORE_ERROR_CODES, message: string = STORE_ERROR_CODES[code], options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const MAX_KEY = 200;

/**
 * A key as stores keep it. What is long, such as a header that clients choose, is kept as its digest: stores are bounded in
 * keys, and with it in bytes. No key can pose as the digest of another.
 */
export function keptKey(key: string): string {
  if (key.length <= MAX_KEY && !key.startsWith("#")) return key;
  return `#${createHash("sha256").update(key).digest("base64url")}`;
}
