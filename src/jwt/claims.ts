import { isUtf8 } from "node:buffer";
import { LruMap } from "../base/index.ts";
import { JwtError } from "./errors.ts";
import { decodePart, splitToken } from "./parse.ts";
import { parseStrictJson, type StrictJson, StrictJsonError } from "./strict-json.ts";

export type Claims = { readonly [name: string]: StrictJson };

/** A token taken apart, its header and registered claims checked for form. Nothing has been verified. */
export interface ParsedToken {
  readonly token: string;
  readonly alg: string;
  /** Undefined where the header names no key. */
  readonly kid: string | undefined;
  readonly claims: Claims;
  readonly registered: RegisteredClaims;
}

/** RFC 7519 §4.1. Times in seconds since the epoch. */
export interface RegisteredClaims {
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  readonly audiences: readonly string[];
  readonly expiresAtSec: number | undefined;
  readonly notBeforeSec: number | undefined;
}

export interface TokenLimits {
  readonly maxTokenLength: number;
  readonly maxDepth: number;
}

/**
 * Reads a compact token strictly: canonical base64url without padding (RFC 7515 §2; a token has one spelling only),
 * strict JSON, no critical header parameters, registered claims of the right type.
 *
 * @throws {JwtError}
 */
export function parseToken(token: string, limits: TokenLimits): ParsedToken {
  if (token.length > limits.maxTokenLength) throw new JwtError("token_too_large", "the token is too long");
  const parts = splitToken(token);
  const { alg, kid } = readHeader(parts.header, limits);
  const claims = readObject(parts.payload, "payload", limits);
  mustBeCanonical(parts.signature, "signature");
  return { token, alg, kid, claims, registered: readRegistered(claims) };
}

/**
 * Checks the types of the registered claims and reads them.
 * @throws {JwtError} invalid_claim
 */
export function readRegistered(claims: Claims): RegisteredClaims {
  text(claims, "jti");
  time(claims, "iat");
  return {
    issuer: text(claims, "iss"),
    subject: text(claims, "sub"),
    audiences: audiencesOf(claims),
    expiresAtSec: time(claims, "exp"),
    notBeforeSec: time(claims, "nbf"),
  };
}

/**
 * Checks `nbf` and `exp` (RFC 7519 §4.1.4, §4.1.5) with leeway on both sides, as Envoy's jwt_authn does.
 * @throws {JwtError} token_not_yet_valid, token_expired
 */
export function checkTimes(claims: RegisteredClaims, nowSec: number, leewaySec: number): void {
  const { notBeforeSec, expiresAtSec } = claims;
  if (notBeforeSec !== undefined && nowSec + leewaySec < notBeforeSec) {
    throw new JwtError("token_not_yet_valid", "the token is not valid yet");
  }
  if (expiresAtSec !== undefined && nowSec > expiresAtSec + leewaySec) {
    throw new JwtError("token_expired", "the token has expired");
  }
}

/** Whether a token for `audiences` is meant for one of `accepted`; the scheme and one trailing slash do not count. */
export function acceptsAudience(audiences: readonly string[], accepted: readonly string[]): boolean {
  if (accepted.length === 0 || audiences.some((audience) => accepted.includes(audience))) return true;
  const wanted = new Set(accepted.map(bareAudience));
  return audiences.some((audience) => wanted.has(bareAudience(audience)));
}

/** @source Envoy source/extensions/filters/http/jwt_authn, google/jwt_verify_lib CheckAudience */
function bareAudience(audience: string): string {
  return audience.replace(/^https?:\/\//, "").replace(/\/$/, "");
}

/** What a token says of its signature. */
interface Header {
  readonly alg: string;
  readonly kid: string | undefined;
}

/** All tokens of one key have one header, character for character. */
const headers = new LruMap<Header>(256);
const MAX_CACHED_HEADER = 512;

function readHeader(part: string, limits: TokenLimits): Header {
  const known = headers.get(part);
  if (known !== undefined) return known;
  const header = readObject(part, "header", limits);
  if (own(header, "enc") !== undefined) throw new JwtError("encrypted_token", "encrypted tokens are not supported");
  const alg = own(header, "alg");
  if (typeof alg !== "string") throw new JwtError("unsupported_algorithm", "the header names no algorithm");
  const kid = own(header, "kid");
  if (kid !== undefined && typeof kid !== "string") throw new JwtError("malformed_token", "the key id is not a string");
  // No extension is understood here, so none may be critical (RFC 7515 §4.1.11); `b64` only counts with `crit`.
  if (own(header, "crit") !== undefined || own(header, "b64") !== undefined) {
    throw new JwtError("unsupported_critical_header", "the header asks for an extension that is not supported");
  }
  // Nested ones are left out: how deep they may be is for each caller to say.
  const isFlat = Object.values(header).every((value) => typeof value !== "object" || value === null);
  if (isFlat && part.length <= MAX_CACHED_HEADER) headers.set(part, { alg, kid });
  return { alg, kid };
}

function readObject(part: string, what: string, limits: TokenLimits): Claims {
  mustBeCanonical(part, what);
  const bytes = Buffer.from(part, "base64url");
  let json: StrictJson;
  try {
    if (!isUtf8(bytes)) throw new StrictJsonError("it is no UTF-8");
    json = parseStrictJson(bytes.toString("utf8"), limits);
  } catch (cause) {
    if (cause instanceof StrictJsonError) {
      throw new JwtError("malformed_token", `the ${what} is not acceptable JSON: ${cause.message}`, { cause });
    }
    throw cause;
  }
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Claims;
  throw new JwtError("malformed_token", `the ${what} is not an object`);
}

/** Canonical base64url: whole groups of four, then perhaps a shorter one whose surplus bits are zero (RFC 4648 §3.5). */
const CANONICAL = /^(?:[\w-]{4})*(?:[\w-][AQgw]|[\w-]{2}[AEIMQUYcgkosw048])?$/;

function mustBeCanonical(part: string, what: string): void {
  if (CANONICAL.test(part)) return;
  decodePart(part, `the ${what}`);
  throw new JwtError("malformed_token", `the ${what} is not canonical base64url`);
}

function own(object: Claims, name: string): StrictJson | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function text(claims: Claims, name: string): string | undefined {
  const value = own(claims, name);
  if (value === undefined || typeof value === "string") return value;
  throw new JwtError("invalid_claim", `the claim ${name} is not a string`);
}

function time(claims: Claims, name: string): number | undefined {
  const value = own(claims, name);
  if (value === undefined) return undefined;
  if (typeof value === "number" || typeof value === "bigint") return Number(value);
  throw new JwtError("invalid_claim", `the claim ${name} is not a number`);
}

function audiencesOf(claims: Claims): readonly string[] {
  const value = own(claims, "aud");
  if (value === undefined) return [];
  if (typeof value === "string") return [value];
  if (Array.isArray(value) && value.every((item): item is string => typeof item === "string")) return value;
  throw new JwtError("invalid_claim", "the claim aud is not a string or a list of strings");
}
