import { createHash } from "node:crypto";
import { LruMap } from "../base/index.ts";
import type { ParsedToken } from "../jwt/index.ts";
import type { Clock } from "./clock.ts";

/** A token whose signature has been verified. Its claims are still checked on every use. */
export interface Verdict {
  readonly parsed: Pick<ParsedToken, "claims" | "registered">;
  /** The key that signed; the verdict ends with it. */
  readonly keyId: string;
}

interface Entry extends Verdict {
  readonly sourceName: string;
  readonly untilMonotonicMs: number;
}

/** Tokens up to this length are their own keys: comparing them costs less than digesting them. */
const MAX_PLAIN_LENGTH = 2048;

/**
 * Verdicts on tokens, by the whole token, each with the source of its keys: what one issuer's keys have verified says
 * nothing to another. Bounded in number; each entry ends, by the monotonic clock, when its token does.
 */
export class VerdictCache {
  readonly #plain: LruMap<Entry>;
  /** By digest. Apart, so that no token can pose as one. */
  readonly #long: LruMap<Entry>;
  readonly #maxVerdictMs: number;
  readonly #clock: Clock;

  constructor(options: { readonly maxEntries: number; readonly maxVerdictMs: number; readonly clock: Clock }) {
    this.#plain = new LruMap(options.maxEntries);
    this.#long = new LruMap(options.maxEntries);
    this.#maxVerdictMs = options.maxVerdictMs;
    this.#clock = options.clock;
  }

  /** @param hasKey whether a key may still be used */
  get(sourceName: string, token: string, hasKey: (keyId: string) => boolean): Verdict | undefined {
    const [entries, key] = this.#placeOf(token);
    const entry = entries.get(key);
    if (entry === undefined || entry.sourceName !== sourceName) return undefined;
    if (this.#clock.monotonicMs() < entry.untilMonotonicMs && hasKey(entry.keyId)) return entry;
    entries.delete(key);
    return undefined;
  }

  /** @param lifetimeMs until the token expires; undefined if it never does */
  set(sourceName: string, token: string, verdict: Verdict, lifetimeMs: number | undefined): void {
    const ms = Math.min(lifetimeMs ?? this.#maxVerdictMs, this.#maxVerdictMs);
    if (ms <= 0) return;
    const untilMonotonicMs = this.#clock.monotonicMs() + ms;
    const [entries, key] = this.#placeOf(token);
    const { parsed, keyId } = verdict;
    entries.set(key, { parsed, keyId, sourceName, untilMonotonicMs });
  }

  #placeOf(token: string): readonly [entries: LruMap<Entry>, key: string] {
    return token.length <= MAX_PLAIN_LENGTH
      ? [this.#plain, token]
      : [this.#long, createHash("sha256").update(token).digest("base64")];
  }
}
