import { createPrivateKey, createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { decodeBase64, decodeBase64Url, encodeBase64Url } from "../base/index.ts";
import { ALGORITHMS, type KeyFamily, KEY_MANAGEMENT_ALGORITHMS } from "./algorithms.ts";
import { JwtError } from "./errors.ts";

/** A key as the verifier and the signer use it. */
export interface Key {
  readonly family: KeyFamily;
  /** The `alg` a JWK is bound to; undefined for certificates and unbound JWKs. */
  readonly alg: string | undefined;
  readonly kid: string | undefined;
  readonly object: KeyObject;
}

/** The JWK members of each key type that hold binary numbers, required ones first. @see RFC 7518 §6, RFC 8037 §2 */
interface KeyShape {
  readonly goName: string;
  readonly required: readonly string[];
  readonly optional: readonly string[];
}

const RSA_PRIVATE: KeyShape = {
  goName: "rsaPrivateKey",
  required: ["d", "e", "n"],
  optional: ["dp", "dq", "p", "q", "qi"],
};
const RSA_PUBLIC: KeyShape = { goName: "rsaPublicKey", required: ["e", "n"], optional: [] };
const EC_PRIVATE: KeyShape = { goName: "ecdsaPrivateKey", required: ["crv", "d", "x", "y"], optional: [] };
const EC_PUBLIC: KeyShape = { goName: "ecdsaPublicKey", required: ["crv", "x", "y"], optional: [] };
const OKP_PRIVATE: KeyShape = { goName: "okpPrivateKey", required: ["crv", "d", "x"], optional: [] };
const OKP_PUBLIC: KeyShape = { goName: "okpPublicKey", required: ["crv", "x"], optional: [] };
const SYMMETRIC: KeyShape = { goName: "symmetricKey", required: ["k"], optional: [] };

/** Coordinate lengths in bytes by curve. */
const CURVES: ReadonlyMap<string, number> = new Map([
  ["P-256", 32],
  ["P-384", 48],
  ["P-521", 66],
  ["Ed25519", 32],
  ["Ed448", 57],
  ["X25519", 32],
  ["X448", 56],
]);

/**
 * Reads a JWK or a JWK Set (RFC 7517) that has been parsed from JSON. One unreadable key fails the whole set, as in OPA.
 *
 * @returns private keys as such; use `publicKeyOf` to verify with them.
 * @throws {JwtError} invalid_key, in the wording of OPA's JWK library, which policies' authors see.
 */
export function readJwkSet(document: unknown): readonly Key[] {
  if (isRecord(document) && Object.hasOwn(document, "keys")) {
    const keys = document["keys"];
    const context = "jwk.Parse: failed to unmarshal JWK set: ";
    if (!Array.isArray(keys)) throw invalid(`${context}failed to decode "keys": expected '['`);
    return keys.map((key: unknown, i) => {
      try {
        return readJwk(key);
      } catch (error) {
        throw reworded(error, (message) => `${context}failed to decode key #${i} in "keys": ${message}`);
      }
    });
  }
  try {
    return [readJwk(document)];
  } catch (error) {
    throw reworded(error, (message) => `jwk.Parse: failed to parse sole key: ${message}`);
  }
}

/**
 * Reads one JWK.
 * @throws {JwtError} invalid_key
 */
export function readJwk(jwk: unknown): Key {
  if (!isRecord(jwk)) throw invalid("jwk.ParseKey: jwk.Parse: failed to probe data: not a JSON object");
  const kty = text(jwk, "kty") ?? "";
  const shape = shapeOf(kty, Object.hasOwn(jwk, "d"));
  if (shape === undefined) throw invalid(`jwk.ParseKey: invalid key type from JSON (${kty})`);
  const members = readMembers(jwk, shape);
  const { kid, alg } = { kid: text(jwk, "kid"), alg: text(jwk, "alg") };
  if (kty === "oct") {
    const secret = bytesOf(members["k"] as string);
    if (secret.length === 0) {
      const failed = "key validation failed: ";
      throw invalid(`jwk.ParseKey: jwk.Parse: ${failed}${failed}jwk.SymmetricKey: missing "k" field`);
    }
    return { family: "secret", alg, kid, object: createSecretKey(secret) };
  }
  const isPrivate = Object.hasOwn(members, "d");
  if (kty === "RSA" && isPrivate) completeRsa(members);
  const key = { ...members, kty } as JsonWebKey;
  let object: KeyObject;
  try {
    object = isPrivate ? createPrivateKey({ key, format: "jwk" }) : createPublicKey({ key, format: "jwk" });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new JwtError("invalid_key", `jwk.ParseKey: jwk.Parse: key validation failed: ${message}`, { cause });
  }
  return { family: familyOf(object), alg, kid, object };
}

/** The family of an asymmetric key. */
export function familyOf(key: KeyObject): KeyFamily {
  switch (key.asymmetricKeyType) {
    case "rsa":
    case "rsa-pss":
      return "rsa";
    case "ec":
      return "ec";
    case "ed25519":
      return "ed25519";
    default:
      return key.type === "secret" ? "secret" : "other";
  }
}

/** The same key without its private part. */
export function publicKeyOf(key: Key): Key {
  return key.object.type === "private" ? { ...key, object: createPublicKey(key.object) } : key;
}

function shapeOf(kty: string, isPrivate: boolean): KeyShape | undefined {
  switch (kty) {
    case "RSA":
      return isPrivate ? RSA_PRIVATE : RSA_PUBLIC;
    case "EC":
      return isPrivate ? EC_PRIVATE : EC_PUBLIC;
    case "OKP":
      return isPrivate ? OKP_PRIVATE : OKP_PUBLIC;
    case "oct":
      return SYMMETRIC;
    default:
      return undefined;
  }
}

/** Binary members re-encoded as strict base64url (the reader is lenient, node:crypto would silently drop characters). */
function readMembers(jwk: Record<string, unknown>, shape: KeyShape): Record<string, string> {
  const into = `failed to unmarshal JSON into key (*jwk.${shape.goName}): `;
  const context = `jwk.ParseKey: ${into}${into}`;
  const members: Record<string, string> = {};
  for (const name of [...shape.required, ...shape.optional]) {
    if (!Object.hasOwn(jwk, name)) continue;
    const value = jwk[name];
    const decoding = `${context}failed to decode value for key ${name}: `;
    if (typeof value !== "string") throw invalid(`${decoding}expected base64 encoded []byte (string)`);
    if (name === "crv") {
      if (!CURVES.has(value)) throw invalid(`${decoding}unknown EllipticCurveAlgorithm: "${value}"`);
      members[name] = value;
      continue;
    }
    try {
      members[name] = encodeBase64Url(bytesOf(value));
    } catch {
      throw invalid(`${decoding}expected base64 encoded []byte (string)`);
    }
  }
  const alg = text(jwk, "alg");
  if (alg !== undefined && !ALGORITHMS.has(alg) && !KEY_MANAGEMENT_ALGORITHMS.has(alg)) {
    throw invalid(
      `${context}failed to decode value for key alg: invalid key value: ${JSON.stringify(alg)}: invalid key algorithm`,
    );
  }
  for (const name of shape.required) {
    if (!Object.hasOwn(members, name)) throw invalid(`${context}required field ${name} is missing`);
  }
  checkCoordinates(members);
  return members;
}

function checkCoordinates(members: Record<string, string>): void {
  const curve = members["crv"];
  if (curve === undefined) return;
  for (const name of ["x", "y"]) {
    const coordinate = members[name];
    if (coordinate === undefined) continue;
    const length = bytesOf(coordinate).length;
    if (length !== CURVES.get(curve)) {
      throw invalid(
        `jwk.ParseKey: jwk.Parse: key validation failed: invalid "${name}" length (${length}) for curve "${curve}"`,
      );
    }
  }
}

/** Standard or URL alphabet, padded or not, as OPA's library guesses. */
function bytesOf(value: string): Uint8Array {
  if (!/[+/]/.test(value)) return decodeBase64Url(value);
  return decodeBase64(value.endsWith("=") ? value : value.padEnd(Math.ceil(value.length / 4) * 4, "="));
}

/**
 * Adds the Chinese-remainder members that RFC 7518 §6.3.2 makes optional and node:crypto insists on.
 * @throws {JwtError} invalid_key without both primes, as in OPA
 */
function completeRsa(members: Record<string, string>): void {
  for (const name of ["q", "p"]) {
    if (!Object.hasOwn(members, name)) throw invalid(`missing "${name}" value`);
  }
  const [d, p, q] = ["d", "p", "q"].map((name) => toBigInt(bytesOf(members[name] as string))) as [
    bigint,
    bigint,
    bigint,
  ];
  if (p < 2n || q < 2n) throw invalid("jwk.ParseKey: jwk.Parse: key validation failed: primes out of range");
  members["dp"] ??= encodeBigInt(d % (p - 1n));
  members["dq"] ??= encodeBigInt(d % (q - 1n));
  members["qi"] ??= encodeBigInt(inverse(q, p));
}

function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x0${Buffer.from(bytes).toString("hex")}`);
}

function encodeBigInt(n: bigint): string {
  const hex = n.toString(16);
  return Buffer.from(hex.length % 2 === 1 ? `0${hex}` : hex, "hex").toString("base64url");
}

/** The inverse of `a` modulo `m` by the extended Euclidean algorithm; 0 where there is none. */
function inverse(a: bigint, m: bigint): bigint {
  let [r0, r1, s0, s1] = [m, a % m, 0n, 1n];
  while (r1 > 0n) [r0, r1, s0, s1] = [r1, r0 % r1, s1, s0 - (r0 / r1) * s1];
  return r0 === 1n ? (s0 + m) % m : 0n;
}

function text(jwk: Record<string, unknown>, name: string): string | undefined {
  if (!Object.hasOwn(jwk, name)) return undefined;
  const value = jwk[name];
  if (typeof value === "string") return value;
  throw invalid(
    `jwk.ParseKey: failed to decode value for key ${name}: json: cannot unmarshal into Go value of type string`,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(message: string): JwtError {
  return new JwtError("invalid_key", message);
}

function reworded(error: unknown, wording: (message: string) => string): unknown {
  return error instanceof JwtError ? new JwtError(error.code, wording(error.message), { cause: error }) : error;
}
