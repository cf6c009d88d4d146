import { createHash } from "node:crypto";
import type { Clock } from "./clock.ts";
import { DocumentError, type DocumentResponse, type FetchDocument } from "./http-document.ts";
import { type KeySet, KeySetError, readKeySet } from "./key-set.ts";
import type { KeySettings } from "./rule.ts";

/** Where a key set is. */
export type KeyLocation =
  | { readonly kind: "inline"; readonly jwks: string }
  | { readonly kind: "url"; readonly url: string }
  /** OIDC discovery: the issuer's own document says where. */
  | { readonly kind: "issuer"; readonly issuer: string };

/** `failing`: the last fetch failed, and the keys of an earlier one are in use. `unavailable`: there are none to use. */
export type KeySourceState = "ok" | "failing" | "unavailable";

export interface KeySourceStatus {
  /** Where they come from: a URL, an issuer, or `inline`. */
  readonly location: string;
  readonly state: KeySourceState;
  /** Keys in use. */
  readonly keys: number;
  readonly fetches: number;
  /** Since the last success, milliseconds; undefined before the first. */
  readonly ageMs: number | undefined;
  /** Why the last fetch failed; undefined if it did not. */
  readonly problem: string | undefined;
}

/** Keys of one issuer. */
export interface KeySource {
  /** Distinguishes sources; part of the key of every cached verdict. */
  readonly name: string;
  /** The keys to verify with now; undefined while there are none. */
  current(): KeySet | undefined;
  /**
   * Asks for newer keys because a token needs one that is not there. Waits for the fetch under way, or starts one if
   * the cooldown allows.
   * @returns whether the keys may have changed.
   */
  renew(waitMs: number): Promise<boolean>;
  /** Resolves when the first attempt to load keys is over. */
  readonly ready: Promise<void>;
  status(): KeySourceStatus;
  stop(): void;
}

/** Keys written in the policy itself. */
export class InlineKeySource implements KeySource {
  readonly name: string;
  readonly ready = Promise.resolve();
  readonly #keys: KeySet | undefined;
  readonly #problem: string | undefined;

  constructor(jwks: string, maxKeys: number) {
    this.name = nameOf({ kind: "inline", jwks });
    try {
      this.#keys = readKeySet(jwks, { maxKeys, isRemote: false });
    } catch (error) {
      if (!(error instanceof KeySetError)) throw error;
      this.#problem = error.message;
    }
  }

  current(): KeySet | undefined {
    return this.#keys;
  }

  renew(): Promise<boolean> {
    return Promise.resolve(false);
  }

  status(): KeySourceStatus {
    const keys = this.#keys?.keys.length ?? 0;
    const state = this.#keys === undefined ? "unavailable" : "ok";
    return { location: "inline", state, keys, fetches: 0, ageMs: undefined, problem: this.#problem };
  }

  stop(): void {}
}

const FIRST_RETRY_MS = 1_000;
/** Refreshes of many servers must not fall on one moment. */
const JITTER = 0.1;

export interface RemoteKeyOptions {
  readonly location: Exclude<KeyLocation, { kind: "inline" }>;
  readonly timeoutMs: number;
  readonly settings: KeySettings;
  readonly fetchDocument: FetchDocument;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** Called after each fetch. */
  readonly onFetched?: (status: KeySourceStatus) => void;
}

/**
 * Keys of a server: fetched before they are needed, refreshed in the background, kept over an outage until they are
 * stale. Requests can cause one fetch per cooldown at most, whatever they send; all of them share one fetch.
 */
export class RemoteKeySource implements KeySource {
  readonly name: string;
  readonly ready: Promise<void>;
  readonly #options: RemoteKeyOptions;
  #keys: KeySet | undefined;
  #loadedAtMs = 0;
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #failures = 0;
  #fetches = 0;
  #problem: string | undefined;
  #underWay: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: RemoteKeyOptions) {
    this.#options = options;
    this.name = nameOf(options.location);
    this.ready = this.#load();
  }

  current(): KeySet | undefined {
    const { clock, settings } = this.#options;
    const isStale = clock.monotonicMs() - this.#loadedAtMs > settings.staleMs;
    return isStale ? undefined : this.#keys;
  }

  async renew(waitMs: number): Promise<boolean> {
    if (this.#underWay === undefined) {
      const { clock, settings } = this.#options;
      const now = clock.monotonicMs();
      // While fetches fail, the background's pace is the only one.
      const mayFetch = now - this.#renewedAtMs >= settings.cooldownMs && this.#failures === 0 && !this.#isStopped;
      if (!mayFetch) return false;
      this.#renewedAtMs = now;
    }
    const before = this.#keys;
    await withLimit(this.#load(), waitMs);
    return this.#keys !== before;
  }

  status(): KeySourceStatus {
    const ageMs = this.#keys === undefined ? undefined : this.#options.clock.monotonicMs() - this.#loadedAtMs;
    const usable = this.current();
    const state = usable === undefined ? "unavailable" : this.#problem === undefined ? "ok" : "failing";
    const keys = usable?.keys.length ?? 0;
    return {
      location: shownLocation(this.#options.location),
      state,
      keys,
      fetches: this.#fetches,
      ageMs,
      problem: this.#problem,
    };
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** One fetch at a time; never rejects. */
  #load(): Promise<void> {
    this.#underWay ??= this.#fetch().finally(() => {
      this.#underWay = undefined;
      this.#schedule();
      if (!this.#isStopped) this.#options.onFetched?.(this.status());
    });
    return this.#underWay;
  }

  async #fetch(): Promise<void> {
    this.#fetches++;
    try {
      const { settings, clock } = this.#options;
      const body = await this.#fetchSet();
      const keys = readKeySet(body, { maxKeys: settings.maxKeys, isRemote: true });
      this.#keys = keys;
      this.#loadedAtMs = clock.monotonicMs();
      this.#failures = 0;
      this.#problem = undefined;
    } catch (error) {
      // The last good keys stay. Anything else than these two would be a bug, but must not end refreshing either.
      this.#failures++;
      this.#problem = error instanceof Error ? error.message : String(error);
    }
  }

  async #fetchSet(): Promise<string> {
    const { location } = this.#options;
    if (location.kind === "url") return this.#get(location.url);
    const base = location.issuer.replace(/\/$/, "");
    const document: unknown = JSON.parse(await this.#get(`${base}/.well-known/openid-configuration`));
    const { issuer, jwks_uri: url } = (document ?? {}) as { issuer?: unknown; jwks_uri?: unknown };
    // OpenID Connect Discovery §4.3: the document must be about the issuer that was asked for.
    if (typeof issuer !== "string" || issuer.replace(/\/$/, "") !== base) {
      throw new DocumentError(`${base}: the discovery document is another issuer's`);
    }
    if (typeof url !== "string") throw new DocumentError(`${base}: the discovery document names no keys`);
    return this.#get(url);
  }

  async #get(url: string): Promise<string> {
    const { fetchDocument, timeoutMs, settings } = this.#options;
    const response: DocumentResponse = await fetchDocument({ url, timeoutMs, maxBytes: settings.maxBytes });
    if (response.status !== 200) throw new DocumentError(`${url}: status ${response.status}`);
    return response.body;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    const { settings, random } = this.#options;
    const backoffMs = Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), settings.cooldownMs);
    const baseMs = this.#failures === 0 ? settings.refreshMs : backoffMs;
    const delayMs = baseMs * (1 - JITTER + 2 * JITTER * random());
    this.#timer = setTimeout(() => void this.#load(), delayMs);
    this.#timer.unref();
  }
}

/** Waits for work, but not for ever. */
async function withLimit(work: Promise<void>, waitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((done) => {
    timer = setTimeout(done, Math.max(0, waitMs));
  });
  await Promise.race([work, limit]);
  clearTimeout(timer);
}

/** For people: without user names, passwords and queries. */
function shownLocation(location: RemoteKeyOptions["location"]): string {
  const text = location.kind === "url" ? location.url : location.issuer;
  if (!URL.canParse(text)) return text;
  const { origin, pathname } = new URL(text);
  return `${origin}${pathname}`;
}

export function nameOf(location: KeyLocation): string {
  switch (location.kind) {
    case "inline":
      return `inline ${createHash("sha256").update(location.jwks).digest("base64url")}`;
    case "url":
      return location.url;
    case "issuer":
      return `issuer ${location.issuer}`;
  }
}
