/** One way tokens are accepted: an issuer, its keys, and where its tokens travel. Empty strings and lists: not given. */
export interface TokenRule {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly jwksUri: string;
  /** Inline key set, as JSON text. Wins over `jwksUri`; without both, the issuer is asked (OIDC discovery). */
  readonly jwks: string;
  /** Of one fetch of keys. */
  readonly timeoutMs: number;
  readonly fromHeaders: readonly { readonly name: string; readonly prefix: string }[];
  readonly fromParams: readonly string[];
  readonly fromCookies: readonly string[];
  /** Whether the header that carried the token goes on to the upstream. */
  readonly forwardOriginalToken: boolean;
  /** Receives the payload part of the token as it was sent. */
  readonly outputPayloadToHeader: string;
  /** Claims by path, members separated by periods. */
  readonly outputClaimToHeaders: readonly { readonly header: string; readonly claim: string }[];
  readonly spaceDelimitedClaims: readonly string[];
  /** Tokens are opaque: their issuer is asked about each (RFC 7662). */
  readonly introspection?: Introspection;
}

export interface Introspection {
  readonly endpoint: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** How long an answer may be used. */
  readonly cacheMs: number;
}

export interface IdentitySettings {
  readonly maxTokenLength: number;
  /** Of JSON in tokens. */
  readonly maxDepth: number;
  readonly leewaySec: number;
  /** Algorithms accepted at all; which one a token may use follows from its key. */
  readonly algorithms: readonly string[];
  /** Refuse tokens that never expire. Istio accepts them. */
  readonly requiresExpiry: boolean;
  /** A token that is not good ends nothing: policies see why, and decide as on a request without a token. */
  readonly reportsBadTokens: boolean;
  /** 403 as in Istio, or 401. */
  readonly audienceStatus: 401 | 403;
  /** To a request without a token that is denied where tokens are looked for: 403 as in Istio, or 401. */
  readonly missingTokenStatus: 401 | 403;
  /** Cached verdicts on tokens. */
  readonly maxVerifiedTokens: number;
  /** A verdict on a token without `exp` is used no longer than this. */
  readonly maxVerdictMs: number;
  readonly keys: KeySettings;
}

export interface KeySettings {
  readonly refreshMs: number;
  /** Between fetches that requests cause. */
  readonly cooldownMs: number;
  /** Keys last fetched longer ago are not used any more. */
  readonly staleMs: number;
  readonly maxBytes: number;
  readonly maxKeys: number;
  /** Take keys over plain HTTP. */
  readonly allowsHttp: boolean;
  /** Ranges that are never connected to, in CIDR notation. */
  readonly blockedRanges: readonly string[];
}

export const DEFAULT_SETTINGS: IdentitySettings = {
  maxTokenLength: 16_384,
  maxDepth: 32,
  leewaySec: 60,
  algorithms: [
    ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    ...["ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"],
  ],
  requiresExpiry: false,
  reportsBadTokens: false,
  audienceStatus: 403,
  missingTokenStatus: 403,
  maxVerifiedTokens: 10_000,
  maxVerdictMs: 10 * 60_000,
  keys: {
    refreshMs: 5 * 60_000,
    cooldownMs: 30_000,
    staleMs: 12 * 3_600_000,
    maxBytes: 256 * 1024,
    maxKeys: 100,
    allowsHttp: false,
    // Link-local addresses: the metadata services of clouds.
    blockedRanges: ["169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32"],
  },
};
