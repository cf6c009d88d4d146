import { acceptsAudience, checkTimes, type Claims, type ParsedToken, type RegisteredClaims } from "../jwt/index.ts";
import { type Clock, SteadyClock, SYSTEM_CLOCK } from "./clock.ts";
import { type RefusalCode, REFUSALS, refusalOf, TokenRefused } from "./errors.ts";
import { documentFetcher, type FetchDocument } from "./http-document.ts";
import { type Identity, toIdentity } from "./identity.ts";
import { Introspector } from "./introspect.ts";
import type { VerificationKey } from "./key-set.ts";
import {
  InlineKeySource,
  type KeyLocation,
  type KeySource,
  type KeySourceStatus,
  nameOf,
  RemoteKeySource,
} from "./key-source.ts";
import { type HeaderChanges, outputHeaders, withoutTokens } from "./output-headers.ts";
import { DEFAULT_SETTINGS, type IdentitySettings, type Introspection, type TokenRule } from "./rule.ts";
import { findTokens, type FoundToken, isPreflight, type TokenRequest } from "./token-location.ts";
import { VerdictCache } from "./verdict-cache.ts";
import { eligibleKeys, readToken, verifyWith } from "./verify.ts";

/** What became of a request's tokens. `headers` apply whatever the policies decide later. */
export type Authentication =
  /** No token: nobody in particular, and policies decide what that is good for. */
  | { readonly kind: "anonymous"; readonly headers: HeaderChanges }
  | { readonly kind: "authenticated"; readonly identity: Identity; readonly headers: HeaderChanges }
  | (Refusal & { readonly headers: HeaderChanges });

/** A token was not accepted. */
export interface Refusal {
  readonly kind: "refused";
  readonly code: RefusalCode;
  readonly status: 401 | 403;
  /** Body for the client. */
  readonly body: string;
  /** RFC 6750 §3, for 401. */
  readonly wwwAuthenticate: string | undefined;
  /** For logs, never for clients. */
  readonly reason: string;
}

export interface AuthenticatorOptions {
  readonly settings?: Partial<Omit<IdentitySettings, "keys">> & { readonly keys?: Partial<IdentitySettings["keys"]> };
  readonly clock?: Clock;
  readonly fetchDocument?: FetchDocument;
  readonly random?: () => number;
  /** Called after each fetch of keys. */
  readonly onFetched?: (status: KeySourceStatus) => void;
}

export interface AuthenticateOptions {
  /** "Now" of the decision, milliseconds since the epoch, where it is not the clock's. */
  readonly nowMs?: number;
  /** How long keys and issuers may be waited for. */
  readonly waitMs?: number;
}

interface Accepted {
  readonly rule: TokenRule;
  readonly claims: Claims;
  readonly registered: RegisteredClaims;
  /** Undefined for opaque tokens. */
  readonly token: string | undefined;
  readonly header: string | undefined;
}

/**
 * Finds and verifies the tokens of requests, by rules that come with each request. Keeps the keys of all issuers it is
 * told about, and verdicts on tokens seen before.
 */
export class Authenticator {
  readonly #settings: IdentitySettings;
  readonly #clock: Clock;
  readonly #steady: SteadyClock;
  readonly #fetchDocument: FetchDocument;
  readonly #random: () => number;
  readonly #onFetched: ((status: KeySourceStatus) => void) | undefined;
  readonly #sources = new Map<string, KeySource>();
  #sourcesByRule = new WeakMap<TokenRule, KeySource>();
  readonly #verdicts: VerdictCache;
  #lastParsed: ParsedToken | undefined;
  readonly #introspector: Introspector;

  constructor(options: AuthenticatorOptions = {}) {
    const keys = { ...DEFAULT_SETTINGS.keys, ...options.settings?.keys };
    this.#settings = { ...DEFAULT_SETTINGS, ...options.settings, keys };
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#steady = new SteadyClock(this.#clock);
    this.#fetchDocument = options.fetchDocument ?? documentFetcher(keys);
    this.#random = options.random ?? Math.random;
    this.#onFetched = options.onFetched;
    const { maxVerifiedTokens, maxVerdictMs, maxDepth } = this.#settings;
    this.#verdicts = new VerdictCache({ maxEntries: maxVerifiedTokens, maxVerdictMs, clock: this.#clock });
    this.#introspector = new Introspector({
      fetchDocument: this.#fetchDocument,
      clock: this.#clock,
      maxEntries: maxVerifiedTokens,
      maxDepth,
    });
  }

  /**
   * Tells which rules there are: their keys are fetched now, and those of rules that are gone are let go.
   * @returns when each source of keys has had its first attempt; failures show in `status()`.
   */
  async configure(rules: readonly TokenRule[]): Promise<void> {
    const wanted = new Set<string>();
    this.#sourcesByRule = new WeakMap();
    for (const rule of rules) {
      if (rule.introspection === undefined) wanted.add(this.#sourceOf(rule).name);
    }
    for (const [name, source] of this.#sources) {
      if (wanted.has(name)) continue;
      source.stop();
      this.#sources.delete(name);
    }
    await Promise.all([...this.#sources.values()].map(({ ready }) => ready));
  }

  status(): readonly KeySourceStatus[] {
    return [...this.#sources.values()].map((source) => source.status());
  }

  /** Whether policies decide on requests with a token that is not good. */
  get reportsBadTokens(): boolean {
    return this.#settings.reportsBadTokens;
  }

  /** What a request without a token gets when it is denied; undefined where the denial stands as it is. */
  get missingToken(): (Refusal & { readonly headers: HeaderChanges }) | undefined {
    if (this.#settings.missingTokenStatus !== 401) return undefined;
    const { status, text } = REFUSALS.token_missing;
    // RFC 6750 section 3.1: nothing more is said to who has not tried to authenticate.
    const wwwAuthenticate = "Bearer";
    const reason = "no token was sent";
    return {
      kind: "refused",
      code: "token_missing",
      status,
      body: text,
      wwwAuthenticate,
      reason,
      headers: outputHeaders([]),
    };
  }

  /** Ends background work. */
  stop(): void {
    for (const source of this.#sources.values()) source.stop();
    this.#sources.clear();
  }

  /**
   * Authenticates a request. The answer is there at once unless a token is new or keys have to be waited for; it never
   * rejects for what a client or an issuer does.
   *
   * @param rules all that apply to the request's destination, of all policies
   */
  authenticate(
    rules: readonly TokenRule[],
    request: TokenRequest,
    options: AuthenticateOptions = {},
  ): Authentication | Promise<Authentication> {
    if (rules.length === 0 || isPreflight(request)) return { kind: "anonymous", headers: outputHeaders(rules) };
    const nowMs = options.nowMs ?? this.#steady.nowMs();
    const isSorted = rules.every((rule, i) => i === 0 || byIssuer(rules[i - 1] as TokenRule, rule) <= 0);
    const sorted = isSorted ? rules : [...rules].sort(byIssuer);
    const deciding = this.#decide(sorted, request, nowMs, options.waitMs ?? Number.POSITIVE_INFINITY);
    const { done, value } = deciding.next();
    return done === true ? value : decidedLater(deciding, value);
  }

  /**
   * The first rule all of whose tokens are accepted decides. If there is none but some rule found a token, the request
   * is refused; a refusal for another reason than the issuer says more. Yields what has to be waited for.
   * @see Envoy jwt_authn verifier.cc
   */
  *#decide(rules: readonly TokenRule[], request: TokenRequest, nowMs: number, waitMs: number): Deciding {
    let refusal: TokenRefused | undefined;
    let deadlineMs: number | undefined;
    for (const rule of rules) {
      try {
        let accepted: Accepted | undefined;
        // Those of cookies before those of parameters before those of headers; all of them must be good.
        for (const found of findTokens(rule, request).toReversed()) {
          accepted = this.#acceptNow(rule, found, nowMs);
          if (accepted !== undefined) continue;
          deadlineMs ??= this.#clock.monotonicMs() + waitMs;
          accepted = yield this.#acceptLater(rule, found, nowMs, deadlineMs);
        }
        if (accepted !== undefined) return this.#authenticated(rules, accepted);
      } catch (error) {
        const refused = refusalOf(error);
        if (refused === undefined) throw error;
        if (refusal === undefined || refusal.code === "issuer_mismatch") refusal = refused;
      }
    }
    if (refusal === undefined) return { kind: "anonymous", headers: outputHeaders(rules) };
    return this.#refused(rules, request, refusal);
  }

  #authenticated(rules: readonly TokenRule[], accepted: Accepted): Authentication {
    const { rule, claims, registered } = accepted;
    const verifiedBy = rule.introspection === undefined ? "signature" : "introspection";
    return {
      kind: "authenticated",
      identity: toIdentity(claims, registered, rule.spaceDelimitedClaims, verifiedBy),
      headers: outputHeaders(rules, accepted),
    };
  }

  #refused(rules: readonly TokenRule[], request: TokenRequest, { code, message }: TokenRefused): Authentication {
    const { status: usual, text, description } = REFUSALS[code];
    const status = code === "audience_mismatch" ? this.#settings.audienceStatus : usual;
    const challenge = `Bearer error="invalid_token", error_description="${description}"`;
    return {
      kind: "refused",
      code,
      status,
      body: text,
      wwwAuthenticate: status === 401 ? challenge : undefined,
      reason: message,
      // Whoever is behind takes a token that comes through for one that was verified.
      headers: this.#settings.reportsBadTokens ? withoutTokens(rules, request) : outputHeaders(rules),
    };
  }

  /** @returns undefined where keys or an issuer have to be asked. @throws {TokenRefused | JwtError} */
  #acceptNow(rule: TokenRule, { token, header }: FoundToken, nowMs: number): Accepted | undefined {
    if (rule.introspection !== undefined) {
      const answer = this.#introspector.remembered(token, rule.introspection);
      if (answer === undefined) return undefined;
      if (answer.active === undefined) throw new TokenRefused("token_inactive", "the token is not active");
      this.#checkClaims(rule, answer.active.registered, nowMs, { isIssuerOptional: true });
      return { rule, header, token: undefined, ...answer.active };
    }
    const source = this.#sourceOf(rule);
    const keys = source.current();
    const verdict = this.#verdicts.get(source.name, token, (id) => keys?.ids.has(id) ?? false);
    const parsed = verdict?.parsed ?? this.#parse(token);
    this.#checkClaims(rule, parsed.registered, nowMs);
    if (verdict === undefined) return undefined;
    return { rule, header, token, claims: parsed.claims, registered: parsed.registered };
  }

  /** @throws {TokenRefused | JwtError} */
  #acceptLater(rule: TokenRule, found: FoundToken, nowMs: number, deadlineMs: number): Promise<Accepted> {
    return rule.introspection === undefined
      ? this.#verify(rule, found, nowMs, deadlineMs)
      : this.#introspect(rule, rule.introspection, found, nowMs, deadlineMs);
  }

  async #introspect(
    rule: TokenRule,
    about: Introspection,
    { token, header }: FoundToken,
    nowMs: number,
    deadlineMs: number,
  ): Promise<Accepted> {
    const timeoutMs = Math.max(1, Math.min(rule.timeoutMs, deadlineMs - this.#clock.monotonicMs()));
    const active = await this.#introspector.ask(token, about, timeoutMs, nowMs);
    this.#checkClaims(rule, active.registered, nowMs, { isIssuerOptional: true });
    return { rule, header, token: undefined, ...active };
  }

  /** Verifies a token that has no verdict yet and whose claims are good, and remembers it. */
  async #verify(rule: TokenRule, found: FoundToken, nowMs: number, deadlineMs: number): Promise<Accepted> {
    const parsed = this.#parse(found.token);
    const { claims, registered } = parsed;
    const source = this.#sourceOf(rule);
    const keys = this.#keysNow(source, parsed) ?? (await this.#newerKeys(source, parsed, rule.timeoutMs, deadlineMs));
    const { id } = await verifyWith(keys, parsed);
    // A second longer than it lives, so that the next use says "expired" and not "unknown".
    const { expiresAtSec } = registered;
    const lifetimeMs =
      expiresAtSec === undefined ? undefined : (expiresAtSec + this.#settings.leewaySec) * 1000 - nowMs + 1000;
    this.#verdicts.set(source.name, found.token, { parsed: { claims, registered }, keyId: id }, lifetimeMs);
    return { rule, ...found, claims, registered };
  }

  /** The keys that may have signed a token. @returns undefined where newer ones may tell. @throws {TokenRefused} */
  #keysNow(source: KeySource, token: ParsedToken): readonly VerificationKey[] | undefined {
    const keys = source.current();
    if (keys === undefined) return undefined;
    try {
      return eligibleKeys(keys, token, this.#settings.algorithms);
    } catch (error) {
      // Only an unknown key can be one that is new.
      if (error instanceof TokenRefused && error.code === "no_matching_key") return undefined;
      throw error;
    }
  }

  async #newerKeys(
    source: KeySource,
    token: ParsedToken,
    timeoutMs: number,
    deadlineMs: number,
  ): Promise<readonly VerificationKey[]> {
    await source.renew(Math.min(timeoutMs, deadlineMs - this.#clock.monotonicMs()));
    const keys = source.current();
    if (keys === undefined) throw new TokenRefused("keys_unavailable", source.status().problem ?? "no keys yet");
    return eligibleKeys(keys, token, this.#settings.algorithms);
  }

  /** A token that is new is asked for twice in a row: to see that it is, and to verify it. */
  #parse(token: string): ParsedToken {
    if (this.#lastParsed?.token === token) return this.#lastParsed;
    const { maxTokenLength, maxDepth } = this.#settings;
    this.#lastParsed = readToken(token, { maxTokenLength, maxDepth });
    return this.#lastParsed;
  }

  /** Issuer, then times, then audience, as Envoy's jwt_authn. @throws {TokenRefused | JwtError} */
  #checkClaims(
    rule: TokenRule,
    claims: RegisteredClaims,
    nowMs: number,
    { isIssuerOptional }: { isIssuerOptional: boolean } = { isIssuerOptional: false },
  ): void {
    const isOwn = claims.issuer === rule.issuer || (isIssuerOptional && claims.issuer === undefined);
    if (rule.issuer !== "" && !isOwn) throw new TokenRefused("issuer_mismatch", "the token is another issuer's");
    if (this.#settings.requiresExpiry && claims.expiresAtSec === undefined) {
      throw new TokenRefused("token_expired", "the token never expires");
    }
    checkTimes(claims, nowMs / 1000, this.#settings.leewaySec);
    if (!acceptsAudience(claims.audiences, rule.audiences)) {
      throw new TokenRefused("audience_mismatch", "the token is for other audiences");
    }
  }

  #sourceOf(rule: TokenRule): KeySource {
    const mapped = this.#sourcesByRule.get(rule);
    if (mapped !== undefined) return mapped;
    const source = this.#sourceAt(rule);
    this.#sourcesByRule.set(rule, source);
    return source;
  }

  #sourceAt(rule: TokenRule): KeySource {
    const location = locationOf(rule);
    const name = nameOf(location);
    const known = this.#sources.get(name);
    if (known !== undefined) return known;
    const { keys: settings } = this.#settings;
    const source =
      location.kind === "inline"
        ? new InlineKeySource(location.jwks, settings.maxKeys)
        : new RemoteKeySource({
            location,
            timeoutMs: rule.timeoutMs,
            settings,
            fetchDocument: this.#fetchDocument,
            clock: this.#clock,
            random: this.#random,
            ...(this.#onFetched !== undefined && { onFetched: this.#onFetched }),
          });
    this.#sources.set(name, source);
    return source;
  }
}

function locationOf({ jwks, jwksUri, issuer }: TokenRule): KeyLocation {
  if (jwks !== "") return { kind: "inline", jwks };
  return jwksUri === "" ? { kind: "issuer", issuer } : { kind: "url", url: jwksUri };
}

/** Rules of all policies are tried in the order of their issuers. */
function byIssuer(a: TokenRule, b: TokenRule): number {
  return a.issuer < b.issuer ? -1 : a.issuer > b.issuer ? 1 : 0;
}

/** Decides; what it yields was accepted or throws. */
type Deciding = Generator<Promise<Accepted>, Authentication, Accepted>;

/** Goes on with deciding whenever what it waits for is there. */
async function decidedLater(deciding: Deciding, first: Promise<Accepted>): Promise<Authentication> {
  let waitedFor = first;
  for (;;) {
    const { done, value } = await waitedFor.then(
      (accepted) => deciding.next(accepted),
      (error: unknown) => deciding.throw(error),
    );
    if (done === true) return value;
    waitedFor = value;
  }
}
