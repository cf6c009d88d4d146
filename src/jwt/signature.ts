import { constants, createHmac, type KeyObject, sign, timingSafeEqual, verify } from "node:crypto";
import type { Algorithm } from "./algorithms.ts";
import { JwtError } from "./errors.ts";
import type { Key } from "./jwk.ts";

/** Go refuses to use shorter RSA keys (crypto/rsa, checkKeySize). */
const MIN_RSA_BITS = 1024;

export interface SignatureOptions {
  /** PSS signatures may carry salt of any length; otherwise it must be as long as the digest (RFC 7518 §3.5). */
  readonly anySaltLength?: boolean;
  /** ES256 demands P-256 and so on (RFC 7518 §3.4); OPA's builtins do not. */
  readonly bindCurve?: boolean;
}

/**
 * Whether `signature` is `key`'s signature of `signed` under `algorithm`. False whenever the key is of another family than
 * the algorithm needs: an RSA key can never be used as an HMAC secret, whatever a token's header says.
 */
export function verifySignature(
  algorithm: Algorithm,
  key: Key,
  signed: Uint8Array,
  signature: Uint8Array,
  options: SignatureOptions = {},
): boolean {
  if (key.family !== algorithm.family) return false;
  if (algorithm.family === "secret") {
    const expected = createHmac(algorithm.hash as string, key.object)
      .update(signed)
      .digest();
    return signature.length === expected.length && timingSafeEqual(expected, signature);
  }
  const details = key.object.asymmetricKeyDetails;
  if (algorithm.family === "rsa" && (details?.modulusLength ?? 0) < MIN_RSA_BITS) return false;
  if (options.bindCurve === true && algorithm.curve !== undefined && details?.namedCurve !== algorithm.curve)
    return false;
  const saltLength = options.anySaltLength === true ? constants.RSA_PSS_SALTLEN_AUTO : constants.RSA_PSS_SALTLEN_DIGEST;
  try {
    return verify(algorithm.hash, signed, schemeOf(algorithm, key.object, saltLength), signature);
  } catch {
    return false; // OpenSSL throws at keys and signatures it cannot even try.
  }
}

/**
 * Signs with the key's private part.
 * @throws {JwtError} invalid_key, in OPA's words, when the key is of another family than the algorithm needs, or public.
 */
export function createSignature(algorithm: Algorithm, key: Key, signed: Uint8Array): Uint8Array {
  if (key.family !== algorithm.family || key.object.type === "public") {
    const wanted = `${wantedKey(algorithm)} is required`;
    throw new JwtError("invalid_key", `jwsbb.Sign: invalid key type ${keyTypeOf(key)}. ${wanted}`);
  }
  if (algorithm.family === "secret") {
    return createHmac(algorithm.hash as string, key.object)
      .update(signed)
      .digest();
  }
  return sign(algorithm.hash, signed, schemeOf(algorithm, key.object, constants.RSA_PSS_SALTLEN_DIGEST));
}

function schemeOf(algorithm: Algorithm, key: KeyObject, saltLength: number) {
  return {
    key,
    dsaEncoding: "ieee-p1363" as const, // r || s, RFC 7518 §3.4
    ...(algorithm.padding !== undefined && { padding: algorithm.padding }),
    ...(algorithm.padding === constants.RSA_PKCS1_PSS_PADDING && { saltLength }),
  };
}

/** Key types by the names OPA's messages use. */
function keyTypeOf({ family, object }: Key): string {
  const part = object.type === "private" ? "Private" : "Public";
  switch (family) {
    case "secret":
      return "*jwk.symmetricKey";
    case "rsa":
      return `*jwk.rsa${part}Key`;
    case "ec":
      return `*jwk.ecdsa${part}Key`;
    case "ed25519":
    case "other":
      return `*jwk.okp${part}Key`;
  }
}

function wantedKey(algorithm: Algorithm): string {
  switch (algorithm.family) {
    case "secret":
      return "[]byte";
    case "rsa":
      return "*rsa.PrivateKey";
    case "ec":
      return "*ecdsa.PrivateKey";
    default:
      return "ed25519.PrivateKey";
  }
}
