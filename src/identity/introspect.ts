import { createHash } from "node:crypto";
import { LruMap } from "../base/index.ts";
import { type Claims, parseStrictJson, type RegisteredClaims, readRegistered } from "../jwt/index.ts";
import type { Clock } from "./clock.ts";
import { TokenRefused } from "./errors.ts";
import { DocumentError, type FetchDocument } from "./http-document.ts";
import type { Introspection } from "./rule.ts";

export interface IntrospectionOptions {
  readonly fetchDocument: FetchDocument;
  readonly clock: Clock;
  readonly maxEntries: number;
  readonly maxDepth: number;
}

export interface ActiveToken {
  readonly claims: Claims;
  readonly registered: RegisteredClaims;
}

interface Answer {
  /** Undefined: the token is not active. */
  readonly active: ActiveToken | undefined;
  readonly untilMonotonicMs: number;
}

const MAX_ANSWER_BYTES = 64 * 1024;
/** How long a token that is not active stays so without asking again. */
const INACTIVE_MS = 5_000;
/** Questions asked at a time, over all issuers; further tokens are refused. */
const MAX_UNDER_WAY = 128;
const VISIBLE = /^[\x21-\x7e]+$/;

/** Asks issuers about opaque tokens (RFC 7662), once for each token at a time, and remembers the answers for a while. */
export class Introspector {
  readonly #options: IntrospectionOptions;
  readonly #answers: LruMap<Answer>;
  readonly #underWay = new Map<string, Promise<Answer>>();

  constructor(options: IntrospectionOptions) {
    this.#options = options;
    this.#answers = new LruMap(options.maxEntries);
  }

  /**
   * @param nowMs since the epoch, to keep an answer no longer than its token lives
   * @throws {TokenRefused} token_inactive, introspection_unavailable
   */
  async ask(token: string, about: Introspection, timeoutMs: number, nowMs: number): Promise<ActiveToken> {
    const answer = this.remembered(token, about) ?? (await this.#askOnce(token, about, timeoutMs, nowMs));
    if (answer.active === undefined)
      throw new TokenRefused("token_inactive", "the issuer says the token is not active");
    return answer.active;
  }

  /** An answer that can still be used. */
  remembered(token: string, about: Introspection): Answer | undefined {
    const key = keyOf(token, about);
    const answer = this.#answers.get(key);
    if (answer === undefined || this.#options.clock.monotonicMs() < answer.untilMonotonicMs) return answer;
    this.#answers.delete(key);
    return undefined;
  }

  async #askOnce(token: string, about: Introspection, timeoutMs: number, nowMs: number): Promise<Answer> {
    if (!VISIBLE.test(token)) throw new TokenRefused("malformed_token", "the token has characters no token has");
    const key = keyOf(token, about);
    let question = this.#underWay.get(key);
    if (question === undefined) {
      if (this.#underWay.size >= MAX_UNDER_WAY) {
        throw new TokenRefused("introspection_unavailable", "too many tokens are being asked about");
      }
      question = this.#ask(token, about, timeoutMs, nowMs).finally(() => this.#underWay.delete(key));
      this.#underWay.set(key, question);
    }
    const answer = await question;
    this.#answers.set(key, answer);
    return answer;
  }

  async #ask(token: string, about: Introspection, timeoutMs: number, nowMs: number): Promise<Answer> {
    const { fetchDocument, clock, maxDepth } = this.#options;
    // RFC 6749 §2.3.1: both are form-encoded before they become Basic credentials.
    const credentials = `${encodeURIComponent(about.clientId)}:${encodeURIComponent(about.clientSecret)}`;
    let body: string;
    try {
      const response = await fetchDocument({
        url: about.endpoint,
        timeoutMs,
        maxBytes: MAX_ANSWER_BYTES,
        headers: { authorization: `Basic ${Buffer.from(credentials).toString("base64")}` },
        form: new URLSearchParams({ token, token_type_hint: "access_token" }).toString(),
      });
      if (response.status !== 200) throw new DocumentError(`${about.endpoint}: status ${response.status}`);
      body = response.body;
    } catch (cause) {
      if (!(cause instanceof DocumentError)) throw cause;
      throw new TokenRefused("introspection_unavailable", cause.message, { cause });
    }
    const active = readAnswer(body, maxDepth);
    const lifetimeMs =
      active?.registered.expiresAtSec === undefined ? about.cacheMs : active.registered.expiresAtSec * 1000 - nowMs;
    const keepMs = active === undefined ? INACTIVE_MS : Math.min(about.cacheMs, lifetimeMs);
    return { active, untilMonotonicMs: clock.monotonicMs() + keepMs };
  }
}

function readAnswer(body: string, maxDepth: number): ActiveToken | undefined {
  try {
    const claims = parseStrictJson(body, { maxDepth });
    if (typeof claims !== "object" || claims === null || Array.isArray(claims)) throw new TypeError("not an object");
    const members = claims as Claims;
    if (!Object.hasOwn(members, "active") || members["active"] !== true) return undefined;
    return { claims: members, registered: readRegistered(members) };
  } catch (cause) {
    throw new TokenRefused("introspection_unavailable", "the issuer's answer cannot be read", { cause });
  }
}

function keyOf(token: string, { endpoint, clientId }: Introspection): string {
  return createHash("sha256")
    .update(JSON.stringify([endpoint, clientId]))
    .update(token)
    .digest("base64");
}
