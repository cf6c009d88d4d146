import { type Claims, type RegisteredClaims, readRegistered, type StrictJson } from "../jwt/index.ts";
import { type RefusalCode, REFUSALS, refusalOf } from "./errors.ts";

/** Who a request is from, as its token says. Plain data; policies see it as `input.cardea.identity`. */
export interface Identity {
  readonly claims: Claims;
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  readonly audiences: readonly string[];
  /** `<issuer>/<subject>`; undefined unless both are there. */
  readonly requestPrincipal: string | undefined;
  /** Top-level claims whose text is a list of words, beside `scope` and `permission`. */
  readonly spaceDelimitedClaims: readonly string[];
  /** Who verified: Cardea by the token's signature, its issuer when asked, or Envoy's jwt_authn filter before us. */
  readonly verifiedBy: "signature" | "introspection" | "envoy";
}

export function toIdentity(
  claims: Claims,
  registered: RegisteredClaims,
  spaceDelimitedClaims: readonly string[],
  verifiedBy: Identity["verifiedBy"],
): Identity {
  const { issuer, subject, audiences } = registered;
  const requestPrincipal = issuer === undefined || subject === undefined ? undefined : `${issuer}/${subject}`;
  return { claims, issuer, subject, audiences, requestPrincipal, spaceDelimitedClaims, verifiedBy };
}

/**
 * What policies see of a token that is not good, under `input.cardea.tokenError`: never what the token says. Not under
 * `identity`, which is there for those alone who proved one.
 */
export function tokenErrorDocument({ code, status }: { readonly code: RefusalCode; readonly status: number }): {
  readonly [name: string]: StrictJson;
} {
  return { code, status, description: REFUSALS[code].description };
}

/** The identity as policies see it, under `input.cardea.identity`: unknown members are left out. */
export function identityDocument(identity: Identity): { readonly [name: string]: StrictJson } {
  const { claims, issuer, subject, audiences, requestPrincipal, spaceDelimitedClaims, verifiedBy } = identity;
  return {
    claims,
    ...(issuer !== undefined && { issuer }),
    ...(subject !== undefined && { subject }),
    audiences,
    ...(requestPrincipal !== undefined && { requestPrincipal }),
    spaceDelimitedClaims,
    verifiedBy,
  };
}

/**
 * Claims that Envoy's jwt_authn filter verified, from `metadataContext.filterMetadata["envoy.filters.http.jwt_authn"]`.
 * Only for listeners that only Envoy can reach: whoever else can, could claim anything.
 *
 * @param metadata the filter's entry; its claims are under `payload`
 * @returns undefined where there are none, or where registered claims have the wrong type
 */
export function identityFromEnvoy(metadata: unknown): Identity | undefined {
  if (typeof metadata !== "object" || metadata === null || !Object.hasOwn(metadata, "payload")) return undefined;
  const claims = (metadata as { payload: unknown }).payload;
  if (typeof claims !== "object" || claims === null || Array.isArray(claims)) return undefined;
  try {
    return toIdentity(claims as Claims, readRegistered(claims as Claims), [], "envoy");
  } catch (error) {
    if (refusalOf(error) !== undefined) return undefined;
    throw error;
  }
}
