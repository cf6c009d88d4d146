import {
  constants,
  createHash,
  createHmac,
  createPublicKey,
  type KeyObject,
  timingSafeEqual,
  verify,
} from "node:crypto";
import {
  compareStrings,
  isArray,
  isJsonObject,
  type JsonObject,
  numberText,
  isNumber,
  parseJson,
  type Value,
} from "../../rego/value/index.ts";
import { LoadError, messageOf } from "../errors.ts";
import { matchesGlob } from "../glob.ts";
import { parseYaml } from "../yaml.ts";

/** A key of the `keys` section or of `--verification-key`. */
export interface VerificationKey {
  /** PEM, or the secret of an HMAC. */
  readonly key: string;
  /** RS256, PS384, ES512, HS256 and so on. */
  readonly algorithm: string;
  readonly scope: string;
}

/** How a bundle's `.signatures.json` is judged. */
export interface Verification {
  readonly keys: ReadonlyMap<string, VerificationKey>;
  /** The key that must have signed. Empty: the signature names its key, and an unsigned bundle passes. */
  readonly keyId: string;
  readonly scope: string;
  /** Patterns of files that need no entry in the signature. */
  readonly exclude: readonly string[];
}

const SIGNATURES = ".signatures.json";
const HASHES: ReadonlyMap<string, string> = new Map([
  ["MD5", "md5"],
  ["SHA-1", "sha1"],
  ["SHA-224", "sha224"],
  ["SHA-256", "sha256"],
  ["SHA-384", "sha384"],
  ["SHA-512", "sha512"],
  ["SHA-512-224", "sha512-224"],
  ["SHA-512-256", "sha512-256"],
]);

/**
 * Checks that a bundle holds exactly the signed files, each with its signed hash (OPA's bundle/verify.go). A signed
 * bundle without configured keys is refused, so that a removed `keys` section cannot switch verification off unseen.
 *
 * @throws {LoadError} bad_signature
 */
export async function verifyFiles(
  bundle: string,
  files: ReadonlyMap<string, Uint8Array>,
  verification: Verification | undefined,
): Promise<void> {
  const signatures = files.get(SIGNATURES);
  if (signatures === undefined) {
    if (verification !== undefined && verification.keyId !== "")
      throw refused(bundle, "bundle missing .signatures.json file");
    return;
  }
  if (verification === undefined) throw refused(bundle, "verification key not provided");
  const signed = readSignedFiles(bundle, new TextDecoder().decode(signatures), verification);
  for (const [path, bytes] of files) {
    if (path === SIGNATURES) continue;
    if (verification.exclude.some((pattern) => matchesGlob(pattern, path))) {
      signed.delete(path);
      continue;
    }
    const entry = signed.get(path);
    if (entry === undefined) throw refused(bundle, `file ${path} not included in bundle signature`);
    const digest = await hashOf(bundle, path, bytes, entry.algorithm);
    if (digest !== entry.hash.toLowerCase())
      throw refused(bundle, `${path}: digest mismatch (want: ${entry.hash}, got: ${digest})`);
    signed.delete(path);
  }
  if (signed.size > 0)
    throw refused(
      bundle,
      `file(s) [${[...signed.keys()].join(" ")}] specified in bundle signatures but not found in the target bundle`,
    );
}

interface SignedFile {
  readonly hash: string;
  readonly algorithm: string;
}

function readSignedFiles(bundle: string, text: string, verification: Verification): Map<string, SignedFile> {
  const document = parsed(bundle, text);
  const tokens = member(document, "signatures");
  if (!isArray(tokens ?? null) || (tokens as readonly Value[]).length === 0)
    throw refused(bundle, ".signatures.json: missing JWT (expected exactly one)");
  const [token, ...more] = tokens as readonly Value[];
  if (more.length > 0) throw refused(bundle, ".signatures.json: multiple JWTs not supported (expected exactly one)");
  if (typeof token !== "string") throw refused(bundle, ".signatures.json: JWT must be a string");
  const payload = verifiedPayload(bundle, token, verification);
  const files = new Map<string, SignedFile>();
  const entries = member(payload, "files") ?? [];
  if (!isArray(entries)) throw refused(bundle, "signed files must be an array");
  for (const entry of entries) {
    const name = member(entry, "name");
    const hash = member(entry, "hash");
    const algorithm = member(entry, "algorithm");
    if (typeof name !== "string" || typeof hash !== "string")
      throw refused(bundle, "a signed file lacks its name or hash");
    if (typeof algorithm !== "string" || algorithm === "")
      throw refused(bundle, `no hashing algorithm provided for file ${name}`);
    files.set(name, { hash, algorithm });
  }
  return files;
}

function verifiedPayload(bundle: string, token: string, verification: Verification): Value {
  const [header, payload, signature, ...rest] = token.split(".");
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0)
    throw refused(bundle, "failed to split compact JWT");
  const claims = parsed(bundle, Buffer.from(payload, "base64url").toString("utf8"));
  const named = [
    verification.keyId,
    member(parsed(bundle, Buffer.from(header, "base64url").toString("utf8")), "kid"),
    member(claims, "keyid"),
  ];
  const keyId = named.find((id) => typeof id === "string" && id !== "");
  if (typeof keyId !== "string") throw refused(bundle, "verification key ID is empty");
  const key = verification.keys.get(keyId);
  if (key === undefined) throw refused(bundle, `verification key corresponding to ID ${keyId} not found`);
  if (!isSignatureValid(bundle, key, `${header}.${payload}`, Buffer.from(signature, "base64url")))
    throw refused(bundle, "failed to verify JWT signature");
  const scope = verification.scope === "" ? key.scope : verification.scope;
  if ((member(claims, "scope") ?? "") !== scope) throw refused(bundle, "scope mismatch");
  return claims;
}

/** The algorithm is the configured key's, never the one the token's header claims. */
function isSignatureValid(bundle: string, key: VerificationKey, signed: string, signature: Buffer): boolean {
  const match = /^(RS|PS|ES|HS)(256|384|512)$/.exec(key.algorithm);
  if (match === null) throw refused(bundle, `unknown signature algorithm: ${key.algorithm}`);
  const hash = `sha${match[2]}`;
  if (match[1] === "HS") {
    const expected = createHmac(hash, key.key).update(signed).digest();
    return expected.length === signature.length && timingSafeEqual(expected, signature);
  }
  const publicKey = publicKeyOf(bundle, key);
  const data = Buffer.from(signed);
  if (match[1] === "ES") return verify(hash, data, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature);
  if (match[1] === "PS")
    return verify(
      hash,
      data,
      { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO },
      signature,
    );
  return verify(hash, data, publicKey, signature);
}

function publicKeyOf(bundle: string, key: VerificationKey): KeyObject {
  try {
    return createPublicKey(key.key);
  } catch (cause) {
    throw refused(bundle, `failed to parse PEM block containing the key: ${messageOf(cause)}`);
  }
}

/** Structured documents are hashed by content, so that white space and member order do not matter. */
async function hashOf(bundle: string, path: string, bytes: Uint8Array, algorithm: string): Promise<string> {
  const name = HASHES.get(algorithm);
  if (name === undefined) throw refused(bundle, `unsupported hashing algorithm: ${algorithm}`);
  const hash = createHash(name);
  const base = path.slice(path.lastIndexOf("/") + 1);
  if (base === ".manifest" || base === "data.json")
    hash.update(canonicalText(parsed(bundle, new TextDecoder().decode(bytes))));
  else if (base === "data.yaml") hash.update(canonicalText(await parseYaml(path, new TextDecoder().decode(bytes))));
  else hash.update(bytes);
  return hash.digest("hex");
}

function canonicalText(value: Value): string {
  if (isJsonObject(value)) {
    const keys = Object.keys(value).sort(compareStrings);
    return `{${keys.map((key) => `${goString(key)}:${canonicalText(value[key] as Value)}`).join(",")}}`;
  }
  if (isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (typeof value === "string") return goString(value);
  return isNumber(value) ? numberText(value) : String(value);
}

/** Go's encoder also escapes the two line separators that JavaScript once could not have in strings. */
function goString(text: string): string {
  return JSON.stringify(text).replace(/[\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16)}`);
}

function parsed(bundle: string, text: string): Value {
  try {
    return parseJson(text);
  } catch (cause) {
    throw refused(bundle, messageOf(cause));
  }
}

function member(value: Value, key: string): Value | undefined {
  return isJsonObject(value) && Object.hasOwn(value, key) ? (value as JsonObject)[key] : undefined;
}

function refused(bundle: string, why: string): LoadError {
  return new LoadError("bad_signature", `${bundle}: ${why}`);
}
