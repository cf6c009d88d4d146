import { createPublicKey, X509Certificate } from "node:crypto";
import { decodePem, LruMap } from "../base/index.ts";
import { ALGORITHMS } from "./algorithms.ts";
import { JwtError } from "./errors.ts";
import { familyOf, type Key, readJwkSet } from "./jwk.ts";

/** The keys of one key text, with the tokens they are known to have signed. */
export interface KeyRing {
  readonly keys: readonly Key[];
  /** Signatures found valid under these very keys, by scheme and token; failures are never kept. */
  readonly verified: LruMap<true>;
}

const MAX_KEY_RINGS = 256;
const MAX_VERIFIED_PER_RING = 1024;
/** Longer tokens are verified anew each time, so that the cache cannot hold much. */
export const MAX_CACHED_TOKEN_LENGTH = 8192;

const keyRings = new LruMap<KeyRing>(MAX_KEY_RINGS);

/**
 * Reads the keys of a PEM certificate, a PEM public key, a JWK or a JWK Set. Keys of a set that are bound to something
 * other than a signature algorithm are left out. Results are cached by the whole text.
 *
 * @param parseJson reads JSON text; its error message becomes part of the refusal.
 * @throws {JwtError} invalid_key in OPA's words (v1/topdown/tokens.go, getKeysFromCertOrJWK)
 */
export function readKeyRing(text: string, parseJson: (text: string) => unknown = JSON.parse): KeyRing {
  const known = keyRings.get(text);
  if (known !== undefined) return known;
  const ring: KeyRing = { keys: readKeys(text, parseJson), verified: new LruMap(MAX_VERIFIED_PER_RING) };
  keyRings.set(text, ring);
  return ring;
}

function readKeys(text: string, parseJson: (text: string) => unknown): readonly Key[] {
  const pem = decodePem(text);
  if (pem !== undefined) {
    if (pem.rest !== "") throw new JwtError("invalid_key", "extra data after a PEM certificate block");
    return [readPemKey(pem.block.type, pem.block.bytes)];
  }
  const keys = readJwkText(text, parseJson);
  return keys.filter(({ alg }) => alg === undefined || alg === "" || ALGORITHMS.has(alg));
}

function readPemKey(type: string, bytes: Uint8Array): Key {
  switch (type) {
    case "CERTIFICATE":
      try {
        return asKey(new X509Certificate(bytes).publicKey);
      } catch (cause) {
        throw new JwtError("invalid_key", "failed to parse a PEM certificate: x509: malformed certificate", { cause });
      }
    case "PUBLIC KEY":
      try {
        return asKey(createPublicKey({ key: Buffer.from(bytes), format: "der", type: "spki" }));
      } catch (cause) {
        throw new JwtError("invalid_key", "failed to parse a PEM public key: x509: malformed public key", { cause });
      }
    default:
      throw new JwtError("invalid_key", "failed to extract a Key from the PEM certificate");
  }
}

function asKey(object: Key["object"]): Key {
  return { family: familyOf(object), alg: undefined, kid: undefined, object };
}

function readJwkText(text: string, parseJson: (text: string) => unknown): readonly Key[] {
  const context = "failed to parse a JWK key (set): jwk.ParseString: failed to parse string: ";
  let document: unknown;
  try {
    document = parseJson(text);
  } catch (cause) {
    const probe = "jwk.Parse: failed to parse sole key: jwk.ParseKey: jwk.Parse: failed to probe data: probe: ";
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new JwtError("invalid_key", `${context}${probe}failed to unmarshal data: ${message}`, { cause });
  }
  try {
    return readJwkSet(document);
  } catch (error) {
    if (error instanceof JwtError) throw new JwtError(error.code, context + error.message, { cause: error });
    throw error;
  }
}
