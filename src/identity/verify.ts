import { compactVerify, errors } from "jose";
import { type ParsedToken, parseToken, type TokenLimits } from "../jwt/index.ts";
import { TokenRefused } from "./errors.ts";
import type { KeySet, VerificationKey } from "./key-set.ts";

/** Takes a token apart. @throws {JwtError} */
export function readToken(token: string, limits: TokenLimits): ParsedToken {
  return parseToken(token, limits);
}

/**
 * The keys that may have signed a token: those with its key id (keys without one, and tokens without one, match any)
 * that may have signed with its algorithm. Two different keys under one id are refused: which of them counts is
 * anybody's guess.
 *
 * @throws {TokenRefused} unsupported_algorithm, no_matching_key
 */
export function eligibleKeys(
  keys: KeySet,
  token: ParsedToken,
  algorithms: readonly string[],
): readonly VerificationKey[] {
  if (!algorithms.includes(token.alg)) {
    throw new TokenRefused("unsupported_algorithm", `algorithm ${JSON.stringify(token.alg)} is not accepted`);
  }
  const fitting = keys.keys.filter(
    (key) =>
      key.algorithms.includes(token.alg) && (token.kid === undefined || key.kid === undefined || key.kid === token.kid),
  );
  if (fitting.length === 0) throw new TokenRefused("no_matching_key", "no key has the token's id and algorithm");
  const named = fitting.filter(({ kid }) => token.kid !== undefined && kid === token.kid);
  if (named.length > 1) throw new TokenRefused("no_matching_key", "several keys share the token's key id");
  return fitting;
}

/**
 * Verifies the signature with the first key that fits.
 * @returns the key that signed
 * @throws {TokenRefused} invalid_signature
 */
export async function verifyWith(keys: readonly VerificationKey[], token: ParsedToken): Promise<VerificationKey> {
  for (const key of keys) {
    try {
      await compactVerify(token.token, key.object, { algorithms: [token.alg] });
      return key;
    } catch (error) {
      if (!(error instanceof errors.JOSEError) && !(error instanceof TypeError)) throw error;
    }
  }
  throw new TokenRefused("invalid_signature", "no key verifies the signature");
}
