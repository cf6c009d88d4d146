import { createHash } from "node:crypto";
import { type Key, type KeyFamily, publicKeyOf, readJwk } from "../jwt/index.ts";
import { parseStrictJson, type StrictJson, StrictJsonError } from "../jwt/index.ts";

/** A key set that must not be used. */
export class KeySetError extends Error {
  override readonly name = "KeySetError";
}

export interface VerificationKey extends Key {
  /** The same for the same key material, whatever set it comes from. */
  readonly id: string;
  /** What the key may have signed with. */
  readonly algorithms: readonly string[];
}

export interface KeySet {
  readonly keys: readonly VerificationKey[];
  readonly ids: ReadonlySet<string>;
}

export interface KeySetRules {
  readonly maxKeys: number;
  /** A set from elsewhere: symmetric keys and private ones have no business in it. */
  readonly isRemote: boolean;
}

const MAX_DEPTH = 16;
/** Members that only private and symmetric keys have (RFC 7518 §6). */
const SECRET_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const RSA_MIN_BITS = 2048;
const RSA_MAX_BITS = 16_384;
const RSA_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const SECRET_ALGORITHMS = ["HS256", "HS384", "HS512"];
const CURVE_ALGORITHMS: ReadonlyMap<string, string> = new Map([
  ["prime256v1", "ES256"],
  ["secp384r1", "ES384"],
  ["secp521r1", "ES512"],
]);

/**
 * Reads a JWK Set (RFC 7517 §5). Keys for other uses and of unknown types are passed over, weak ones too; a set that
 * gives away secrets, has too many keys or none that can be used is refused as a whole.
 *
 * @throws {KeySetError}
 */
export function readKeySet(text: string, rules: KeySetRules): KeySet {
  const jwks = membersOf(text);
  if (jwks.length > rules.maxKeys) {
    throw new KeySetError(`the set has ${jwks.length} keys, ${rules.maxKeys} are allowed`);
  }
  const keys = jwks.flatMap((jwk) => readKey(jwk, rules) ?? []);
  if (keys.length === 0) throw new KeySetError("the set has no key that can be used");
  return { keys, ids: new Set(keys.map(({ id }) => id)) };
}

function membersOf(text: string): readonly Record<string, StrictJson>[] {
  let document: StrictJson;
  try {
    document = parseStrictJson(text, { maxDepth: MAX_DEPTH });
  } catch (cause) {
    throw cause instanceof StrictJsonError
      ? new KeySetError(`not acceptable JSON: ${cause.message}`, { cause })
      : cause;
  }
  if (!isRecord(document)) throw new KeySetError("not a JWK Set");
  const keys = Object.hasOwn(document, "keys")
    ? document["keys"]
    : Object.hasOwn(document, "kty")
      ? [document]
      : undefined;
  if (!Array.isArray(keys)) throw new KeySetError("not a JWK Set");
  return keys.filter(isRecord);
}

function isRecord(value: StrictJson): value is Record<string, StrictJson> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readKey(jwk: Record<string, StrictJson>, rules: KeySetRules): VerificationKey | undefined {
  const member = (name: string) => (Object.hasOwn(jwk, name) ? jwk[name] : undefined);
  if (rules.isRemote && SECRET_MEMBERS.some((name) => member(name) !== undefined)) {
    throw new KeySetError("the set gives away private or symmetric keys");
  }
  const operations = member("key_ops");
  if (member("use") !== undefined && member("use") !== "sig") return undefined;
  if (Array.isArray(operations) && !operations.includes("verify")) return undefined;
  let key: Key;
  try {
    key = publicKeyOf(readJwk(jwk));
  } catch {
    return undefined; // a type, curve or algorithm we do not know, or no key at all
  }
  const algorithms = algorithmsOf(key);
  if (algorithms.length === 0 || !isStrong(key)) return undefined;
  return { ...key, algorithms, id: fingerprint(key) };
}

/** The algorithm a key is bound to, else all that fit it: the token never chooses. */
function algorithmsOf(key: Key): readonly string[] {
  const fitting = fittingAlgorithms(key.family, key.object.asymmetricKeyDetails?.namedCurve ?? "");
  return key.alg === undefined || key.alg === "" ? fitting : fitting.filter((name) => name === key.alg);
}

function fittingAlgorithms(family: KeyFamily, curve: string): readonly string[] {
  switch (family) {
    case "rsa":
      return RSA_ALGORITHMS;
    case "ec":
      return [CURVE_ALGORITHMS.get(curve) ?? []].flat();
    case "ed25519":
      return ["EdDSA"];
    case "secret":
      return SECRET_ALGORITHMS;
    case "other":
      return [];
  }
}

function isStrong({ family, object }: Key): boolean {
  if (family !== "rsa") return true;
  const { modulusLength = 0, publicExponent = 0n } = object.asymmetricKeyDetails ?? {};
  return modulusLength >= RSA_MIN_BITS && modulusLength <= RSA_MAX_BITS && publicExponent >= 3n;
}

function fingerprint({ object, alg, kid }: Key): string {
  const material = object.type === "secret" ? object.export() : object.export({ format: "der", type: "spki" });
  return createHash("sha256")
    .update(material)
    .update(JSON.stringify([alg, kid]))
    .digest("base64url");
}
