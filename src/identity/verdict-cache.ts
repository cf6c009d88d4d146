import { createHash } from "node:crypto";
import { LruMap } from "../base/index.ts";
import type { ParsedToken } from "../jwt/index.ts";
import type { Clock } from "./clock.ts";

/** A token whose signature has been verified. Its claims are still checked on every use. */
export interface Verdict {
  readonly parsed: Omit<ParsedToken, "token">;
  /** The key that signed; the verdict ends with it. */
  readonly keyId: string;
}

interface Entry extends Verdict {
  readonly untilMonotonicMs: number;
}

/**
 * Verdicts on tokens, by the source of their keys and the whole token: what one issuer's keys have
 * verified says nothing to another. Bounded in number; each entry ends, by the monotonic clock, when its token does.
 */
export class VerdictCache {
  readonly #entries: LruMap<string, Entry>;
  readonly #maxVerdictMs: number;
  readonly #clock: Clock;

  constructor(options: { readonly maxEntries: number; readonly maxVerdictMs: number; readonly clock: Clock }) {
    this.#entries = new LruMap(options.maxEntries);
    this.#maxVerdictMs = options.maxVerdictMs;
    this.#clock = options.clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @param hasKey whether a key may still be used */
  get(sourceName: string, token: string, hasKey: (keyId: string) => boolean): Verdict | undefined {
    const key = keyOf(sourceName, token);
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (this.#clock.monotonicMs() < entry.untilMonotonicMs && hasKey(entry.keyId)) return entry;
    this.#entries.delete(key);
    return undefined;
  }

  /** @param lifetimeMs until the token expires; undefined if it never does */
  set(sourceName: string, token: string, verdict: Verdict, lifetimeMs: number | undefined): void {
    const ms = Math.min(lifetimeMs ?? this.#maxVerdictMs, this.#maxVerdictMs);
    if (ms <= 0) return;
    const untilMonotonicMs = this.#clock.monotonicMs() + ms;
    this.#entries.set(keyOf(sourceName, token), { ...verdict, untilMonotonicMs });
  }
}

/** Tokens up to this length are their own keys: comparing them costs less than digesting them. */
const MAX_PLAIN_LENGTH = 2048;

/** One key for one source and token only: kind and lengths come first, so that no token can pose as a digest. */
function keyOf(sourceName: string, token: string): string {
  const source = `${sourceName.length}:${sourceName}`;
  if (token.length <= MAX_PLAIN_LENGTH) return `plain ${source}${token}`;
  return `digest ${source}${createHash("sha256").update(token).digest("base64")}`;
}
