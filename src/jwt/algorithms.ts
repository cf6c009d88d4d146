import { constants } from "node:crypto";

/** What a key is, as far as choosing an algorithm goes. `other` (X25519 and the like) signs nothing. */
export type KeyFamily = "secret" | "rsa" | "ec" | "ed25519" | "other";

/** Everything there is to know about one `alg` (RFC 7518 §3.1, RFC 8037 §3.1). */
export interface Algorithm {
  readonly name: string;
  readonly family: KeyFamily;
  /** node:crypto's digest name; null where the scheme hashes by itself. */
  readonly hash: string | null;
  /** RSASSA-PSS, as opposed to PKCS#1 v1.5. */
  readonly padding: number | undefined;
  /** The curve RFC 7518 ties to the algorithm, by node:crypto's name. */
  readonly curve: string | undefined;
}

const { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING } = constants;

// biome-ignore format: table
const TABLE: readonly Algorithm[] = [
  { name: "HS256", family: "secret",  hash: "sha256", padding: undefined,             curve: undefined },
  { name: "HS384", family: "secret",  hash: "sha384", padding: undefined,             curve: undefined },
  { name: "HS512", family: "secret",  hash: "sha512", padding: undefined,             curve: undefined },
  { name: "RS256", family: "rsa",     hash: "sha256", padding: RSA_PKCS1_PADDING,     curve: undefined },
  { name: "RS384", family: "rsa",     hash: "sha384", padding: RSA_PKCS1_PADDING,     curve: undefined },
  { name: "RS512", family: "rsa",     hash: "sha512", padding: RSA_PKCS1_PADDING,     curve: undefined },
  { name: "PS256", family: "rsa",     hash: "sha256", padding: RSA_PKCS1_PSS_PADDING, curve: undefined },
  { name: "PS384", family: "rsa",     hash: "sha384", padding: RSA_PKCS1_PSS_PADDING, curve: undefined },
  { name: "PS512", family: "rsa",     hash: "sha512", padding: RSA_PKCS1_PSS_PADDING, curve: undefined },
  { name: "ES256", family: "ec",      hash: "sha256", padding: undefined,             curve: "prime256v1" },
  { name: "ES384", family: "ec",      hash: "sha384", padding: undefined,             curve: "secp384r1" },
  { name: "ES512", family: "ec",      hash: "sha512", padding: undefined,             curve: "secp521r1" },
  { name: "EdDSA", family: "ed25519", hash: null,     padding: undefined,             curve: undefined },
];

/** Signature algorithms by their JOSE name. `none` is not among them, and never will be. */
export const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map(TABLE.map((entry) => [entry.name, entry]));

/** Key-management algorithms a JWK may name (RFC 7518 §4.1): known, but no signature keys. */
export const KEY_MANAGEMENT_ALGORITHMS: ReadonlySet<string> = new Set([
  ...["RSA1_5", "RSA-OAEP", "RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512"],
  ...["A128KW", "A192KW", "A256KW", "dir", "A128GCMKW", "A192GCMKW", "A256GCMKW"],
  ...["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"],
  ...["PBES2-HS256+A128KW", "PBES2-HS384+A192KW", "PBES2-HS512+A256KW"],
  ...["ES256K", "Ed25519", "Ed448", "none"],
]);
