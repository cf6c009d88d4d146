import { JwtError, type JwtErrorCode } from "../jwt/index.ts";

/** How a token that is not accepted is answered. */
interface Refusal {
  readonly status: 401 | 403;
  /** The body Envoy's jwt_authn filter sends, which clients and dashboards know. */
  readonly text: string;
  /** RFC 6750 §3.1; never what the token said. */
  readonly description: string;
}

/** Why a token was not accepted: the label of metrics and logs. */
export type RefusalCode =
  | JwtErrorCode
  | "keys_unavailable"
  | "introspection_unavailable"
  | "token_inactive"
  | "token_missing";

// biome-ignore format: table
export const REFUSALS: Readonly<Record<RefusalCode, Refusal>> = {
  malformed_token:             { status: 401, text: "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections", description: "The token is malformed" },
  encrypted_token:             { status: 401, text: "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections", description: "Encrypted tokens are not accepted" },
  unsupported_algorithm:       { status: 401, text: "Jwt header [alg] is not supported",          description: "The token's algorithm is not accepted" },
  unsupported_critical_header: { status: 401, text: "Jwt header is an invalid JSON",              description: "The token needs an extension that is not supported" },
  invalid_key:                 { status: 401, text: "Jwt verification fails",                     description: "The token cannot be verified" },
  no_matching_key:             { status: 401, text: "Jwks doesn't have key to match kid or alg from Jwt", description: "The token was signed with an unknown key" },
  invalid_signature:           { status: 401, text: "Jwt verification fails",                     description: "The token's signature is not valid" },
  token_expired:               { status: 401, text: "Jwt is expired",                             description: "The token has expired" },
  token_not_yet_valid:         { status: 401, text: "Jwt not yet valid",                          description: "The token is not valid yet" },
  issuer_mismatch:             { status: 401, text: "Jwt issuer is not configured",               description: "The token's issuer is not accepted" },
  audience_mismatch:           { status: 403, text: "Audiences in Jwt are not allowed",           description: "The token is meant for another audience" },
  invalid_claim:               { status: 401, text: "Jwt payload is an invalid JSON",             description: "A claim of the token has the wrong type" },
  token_too_large:             { status: 401, text: "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections", description: "The token is too long" },
  keys_unavailable:            { status: 401, text: "Jwks remote fetch is failed",                description: "The token cannot be verified now" },
  introspection_unavailable:   { status: 401, text: "Jwks remote fetch is failed",                description: "The token cannot be verified now" },
  token_missing:               { status: 401, text: "Jwt is missing",                             description: "A token is required" },
  token_inactive:              { status: 401, text: "Jwt verification fails",                     description: "The token is not active" },
};

/** A token was refused. The message never contains the token. */
export class TokenRefused extends Error {
  override readonly name = "TokenRefused";
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The refusal an error stands for; undefined if it is a fault of ours. */
export function refusalOf(error: unknown): TokenRefused | undefined {
  if (error instanceof TokenRefused) return error;
  return error instanceof JwtError ? new TokenRefused(error.code, error.message, { cause: error }) : undefined;
}
