/** Why a token or key was refused. The codes are the room's own; identity maps them to RFC 6750 errors and metrics. */
export const JWT_ERROR_CODES = {
  malformed_token: "the text is not a compact JWS of a JSON header and payload",
  encrypted_token: "the token is a JWE, which is not supported",
  unsupported_algorithm: "the header names an algorithm outside the table, or `none`",
  unsupported_critical_header: "the header lists a critical parameter that is not understood",
  invalid_key: "a key, certificate or key set could not be read",
  no_matching_key: "no key of the set fits the token's algorithm and key id",
  invalid_signature: "the signature does not verify under any fitting key",
  token_expired: "`exp` has passed",
  token_not_yet_valid: "`nbf` lies in the future",
  issuer_mismatch: "`iss` is missing or another issuer's",
  audience_mismatch: "`aud` does not name an accepted audience",
  invalid_claim: "a registered claim has the wrong type",
  token_too_large: "the token is longer than the limit",
} as const;
export type JwtErrorCode = keyof typeof JWT_ERROR_CODES;

/** A token or key was refused. The message never contains the token. */
export class JwtError extends Error {
  override readonly name = "JwtError";
  readonly code: JwtErrorCode;

  constructor(code: JwtErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
