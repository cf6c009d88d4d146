export { type Algorithm, ALGORITHMS, type KeyFamily } from "./algorithms.ts";
export {
  acceptsAudience,
  checkTimes,
  type Claims,
  type ParsedToken,
  parseToken,
  readRegistered,
  type RegisteredClaims,
  type TokenLimits,
} from "./claims.ts";
export { JWT_ERROR_CODES, JwtError, type JwtErrorCode } from "./errors.ts";
export { familyOf, type Key, publicKeyOf, readJwk, readJwkSet } from "./jwk.ts";
export { type KeyRing, MAX_CACHED_TOKEN_LENGTH, readKeyRing } from "./keys.ts";
export { type CompactToken, decodePart, splitToken } from "./parse.ts";
export { createSignature, type SignatureOptions, verifySignature } from "./signature.ts";
export { parseStrictJson, type StrictJson, StrictJsonError, type StrictJsonLimits } from "./strict-json.ts";
