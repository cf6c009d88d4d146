import type { RateLimit, Verdict } from "./limit.ts";

/**
 * What a client is told of its limit: the fields of draft-ietf-httpapi-ratelimit-headers (up to version 07, which
 * gateways send), and `Retry-After` (RFC 9110 §10.2.3) with a denial. Seconds are rounded up: who waits that long is let in.
 */
export function rateLimitHeaders(
  { limit, perMs }: Pick<RateLimit, "limit" | "perMs">,
  verdict: Verdict,
): Readonly<Record<string, string>> {
  return {
    "RateLimit-Limit": String(limit),
    "RateLimit-Policy": `${limit};w=${seconds(perMs)}`,
    "RateLimit-Remaining": String(verdict.remaining),
    "RateLimit-Reset": String(seconds(verdict.resetMs)),
    ...(!verdict.allowed && { "Retry-After": String(Math.max(1, seconds(verdict.retryAfterMs))) }),
  };
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
