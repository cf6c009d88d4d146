import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { Base64Error, decodeBase64, decodePem, type PemBlock, trimBoth } from "../../base/index.ts";
import { BuiltinError } from "../runtime/index.ts";
import { fromBigInt, getKey, isArray, isNumber, isSet, type ObjectValue } from "../value/index.ts";
import { sortedKeys, toBigInt, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import { unsigned } from "./der.ts";
import { type Certificate, parseCertificates, X509Error } from "./x509-certificate.ts";
import { certificateToValue, extendedCertificateToValue, requestToValue } from "./x509-json.ts";
import { parseRequest } from "./x509-request.ts";
import { DEFAULT_CONSTRAINT_COMPARISONS, type VerifyOptions, verifyChain } from "./x509-verify.ts";

const record = types.object(types.string);
const chainArg = arg(
  "certs",
  operands.string,
  "PEM or base64 DER of two or more certificates: the first is the trusted root, the last the leaf, the others intermediates",
);
const chainResult = result(
  "output",
  types.tuple(types.boolean, types.array(record)),
  "`[true, chain]` with the chain from leaf to root, or `[false, []]`",
);

const parseCertificatesBuiltin = defineBuiltin({
  name: "crypto.x509.parse_certificates",
  category: "crypto",
  about: "Reads X.509 certificates.",
  args: [arg("certs", operands.string, "PEM, base64 of PEM, or base64 of DER of one or more certificates")],
  result: result("output", types.array(record), "the certificates as objects"),
  call: (_context, certs) => refusing(() => readCertificates(certs).map(extendedCertificateToValue)),
});

const parseAndVerify = defineBuiltin({
  name: "crypto.x509.parse_and_verify_certificates",
  category: "crypto",
  about: "Reads X.509 certificates and verifies that they form a chain from a leaf to a trusted root.",
  args: [chainArg],
  result: chainResult,
  // OPA takes the wall clock here too, not the query's time; they are the same moment.
  call: (context, certs) =>
    verified(certs, { ...DEFAULTS, timeMs: Number(context.nowNs / 1_000_000n) }, extendedCertificateToValue),
});

const parseAndVerifyWithOptions = defineBuiltin({
  name: "crypto.x509.parse_and_verify_certificates_with_options",
  category: "crypto",
  about: "Reads X.509 certificates and verifies under options that they form a chain from a leaf to a trusted root.",
  args: [
    chainArg,
    arg(
      "options",
      operands.of<ObjectValue>(record, "object"),
      "`DNSName`, `CurrentTime` (nanoseconds), `KeyUsages`, `MaxConstraintComparisons`, all optional",
    ),
  ],
  result: chainResult,
  call(context, certs, given) {
    const certificates = orUndefined(() => readCertificates(certs));
    if (certificates === undefined) return [false, []];
    const options = readOptions(given, Number(context.nowNs / 1_000_000n));
    return chainToValue(verifyChain(certificates, options), certificateToValue);
  },
});

const parseCertificateRequest = defineBuiltin({
  name: "crypto.x509.parse_certificate_request",
  category: "crypto",
  about: "Reads a PKCS #10 certificate signing request.",
  args: [arg("csr", operands.string, "PEM, base64 of PEM, or base64 of DER of a request")],
  result: result("output", record, "the request as an object"),
  call: (_context, csr) =>
    refusing(() => {
      const isPem = csr.startsWith("-----BEGIN CERTIFICATE REQUEST-----");
      const bytes = isPem ? Buffer.from(csr) : decodeBase64(csr);
      const block = firstBlock(bytes);
      if (block !== undefined && block.type !== "CERTIFICATE REQUEST") {
        throw new BuiltinError("invalid PEM-encoded certificate signing request");
      }
      return requestToValue(parseRequest(block?.bytes ?? bytes));
    }),
});

const parseKeyPair = defineBuiltin({
  name: "crypto.x509.parse_keypair",
  category: "crypto",
  about: "Reads a certificate and its private key, and checks that they belong together.",
  args: [
    arg("cert", operands.string, "PEM or base64 DER of the certificate and what follows it in its chain"),
    arg("pem", operands.string, "PEM or base64 DER of the private key"),
  ],
  result: result("output", record, "the pair in the form of Go's tls.Certificate"),
  call: (_context, cert, pem) => refusing(() => keyPairToValue(cert, pem)),
});

const parseRsaPrivateKey = defineBuiltin({
  name: "crypto.x509.parse_rsa_private_key",
  category: "crypto",
  about: "The JSON Web Key of the first private key in PEM text; null if there is none.",
  args: [arg("pem", operands.string, "PEM, or base64 of PEM")],
  result: result("output", record, "the key as a JWK"),
  call: (_context, pem) =>
    refusing(() => {
      if (pem === "") throw new BuiltinError("input PEM data was empty");
      const text = pem.startsWith("-----BEGIN") ? pem : latin1(decodeBase64(pem));
      const [key] = readPrivateKeys(text);
      return key === undefined ? null : (key.export({ format: "jwk" }) as Value);
    }),
});

const parsePrivateKeys = defineBuiltin({
  name: "crypto.parse_private_keys",
  category: "crypto",
  about: "Reads all private keys of PEM text; null for empty text.",
  args: [arg("keys", operands.string, "PEM, or base64 of PEM")],
  result: result("output", types.array(record), "the keys as objects"),
  call: (_context, keys) => refusing(() => (keys === "" ? null : readPrivateKeys(keys).map(privateKeyToValue))),
});

const DEFAULTS: Omit<VerifyOptions, "timeMs"> = {
  dnsName: "",
  keyUsages: [],
  maxConstraintComparisons: DEFAULT_CONSTRAINT_COMPARISONS,
};

/** Go's x509.ExtKeyUsage by the names OPA gives them. */
const KEY_USAGES: ReadonlyMap<string, number> = new Map(
  [
    "KeyUsageAny",
    "KeyUsageServerAuth",
    "KeyUsageClientAuth",
    "KeyUsageCodeSigning",
    "KeyUsageEmailProtection",
    "KeyUsageIPSECEndSystem",
    "KeyUsageIPSECTunnel",
    "KeyUsageIPSECUser",
    "KeyUsageTimeStamping",
    "KeyUsageOCSPSigning",
    "KeyUsageMicrosoftServerGatedCrypto",
    "KeyUsageNetscapeServerGatedCrypto",
    "KeyUsageMicrosoftCommercialCodeSigning",
    "KeyUsageMicrosoftKernelCodeSigning",
  ].map((name, number) => [name, number]),
);

/** OPA v1/topdown/crypto.go, extractVerifyOpts. */
function readOptions(given: ObjectValue, nowMs: number): VerifyOptions {
  let options: VerifyOptions = { ...DEFAULTS, timeMs: nowMs };
  for (const name of sortedKeys(given)) {
    const value = getKey(given, name) as Value;
    switch (name) {
      case "DNSName":
        if (typeof value !== "string") throw new BuiltinError("'DNSName' should be a string");
        options = { ...options, dnsName: trimBoth(value, '"') };
        break;
      case "CurrentTime":
        options = { ...options, timeMs: Number(integerOption(name, value, "int64 number")) / 1e6 };
        break;
      case "MaxConstraintComparisons": {
        const most = Number(integerOption(name, value, "number"));
        options = { ...options, maxConstraintComparisons: most > 0 ? most : DEFAULT_CONSTRAINT_COMPARISONS };
        break;
      }
      case "KeyUsages":
        options = { ...options, keyUsages: keyUsages(value) };
        break;
      default:
        if (typeof name === "string") throw new BuiltinError("invalid key option");
    }
  }
  return options;
}

function integerOption(name: string, value: Value, wanted: string): bigint {
  if (!isNumber(value)) throw new BuiltinError(`'${name}' should be a number`);
  const integer = toBigInt(value);
  if (integer === undefined || BigInt.asIntN(64, integer) !== integer) {
    throw new BuiltinError(`'${name}' should be a valid ${wanted}`);
  }
  return integer;
}

function keyUsages(value: Value): readonly number[] {
  if (!isArray(value) && !isSet(value)) throw new BuiltinError("'KeyUsages' should be an Array or Set");
  const names = (isArray(value) ? value : value.sorted()).filter((name): name is string => typeof name === "string");
  const bare = names.map((name) => trimBoth(name, '"'));
  const unknown = bare.filter((name) => !KEY_USAGES.has(name));
  if (unknown.length > 0) throw new BuiltinError(`invalid entries for 'KeyUsages' found: [${unknown.join(" ")}]`);
  return bare.map((name) => KEY_USAGES.get(name) as number);
}

function verified(certs: string, options: VerifyOptions, toValue: (certificate: Certificate) => Value): Value {
  const certificates = orUndefined(() => readCertificates(certs));
  return chainToValue(certificates === undefined ? undefined : verifyChain(certificates, options), toValue);
}

function chainToValue(chain: readonly Certificate[] | undefined, toValue: (certificate: Certificate) => Value): Value {
  return chain === undefined ? [false, []] : [true, chain.map(toValue)];
}

/** PEM, base64 of PEM, or base64 of DER. */
function readCertificates(certs: string): readonly Certificate[] {
  if (certs.startsWith("-----BEGIN")) return readPemCertificates(certs);
  const bytes = decodeBase64(certs);
  const text = latin1(bytes.subarray(0, 10)) === "-----BEGIN" ? latin1(bytes) : undefined;
  return text === undefined ? parseCertificates(bytes) : readPemCertificates(text);
}

function readPemCertificates(text: string): readonly Certificate[] {
  const blocks: Uint8Array[] = [];
  for (const { type, bytes } of pemBlocks(text)) {
    if (type !== "CERTIFICATE") throw new BuiltinError(`PEM block type is '${type}', expected CERTIFICATE`);
    blocks.push(bytes);
  }
  return parseCertificates(Buffer.concat(blocks));
}

function* pemBlocks(text: string): Generator<PemBlock> {
  for (let found = decodePem(text); found !== undefined; found = decodePem(found.rest)) yield found.block;
}

function firstBlock(bytes: Uint8Array): PemBlock | undefined {
  return decodePem(latin1(bytes))?.block;
}

/** PEM or base64 of PEM; blocks of other kinds are passed over. */
function readPrivateKeys(text: string): readonly KeyObject[] {
  const pem = orUndefined(() => latin1(decodeBase64(text))) ?? text;
  const keys: KeyObject[] = [];
  for (const { type, bytes } of pemBlocks(pem)) {
    const encoding = KEY_ENCODINGS.get(type);
    if (encoding !== undefined) keys.push(readKey(bytes, encoding));
  }
  return keys;
}

type KeyEncoding = "pkcs1" | "pkcs8" | "sec1";
const KEY_ENCODINGS: ReadonlyMap<string, KeyEncoding> = new Map([
  ["RSA PRIVATE KEY", "pkcs1"],
  ["PRIVATE KEY", "pkcs8"],
  ["EC PRIVATE KEY", "sec1"],
]);

function readKey(bytes: Uint8Array, type: KeyEncoding): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(bytes), format: "der", type });
  } catch (cause) {
    const what = type === "pkcs1" ? "RSA" : type === "sec1" ? "EC" : "PKCS#8";
    throw new X509Error(`x509: failed to parse ${what} private key`, { cause });
  }
}

/** A private key as Go's encoding/json writes it. */
function privateKeyToValue(key: KeyObject): Value {
  const jwk: JsonWebKey = key.export({ format: "jwk" });
  const number = (name: keyof JsonWebKey) => fromBigInt(unsigned(Buffer.from(String(jwk[name]), "base64url")));
  switch (jwk.kty) {
    case "RSA":
      return {
        N: number("n"),
        E: number("e"),
        D: number("d"),
        Primes: [number("p"), number("q")],
        Precomputed: { Dp: number("dp"), Dq: number("dq"), Qinv: number("qi"), CRTValues: [] },
      };
    case "EC":
      return { Curve: {}, X: number("x"), Y: number("y"), D: number("d") };
    default: {
      const parts = [jwk.d, jwk.crv === "Ed25519" ? jwk.x : ""];
      // Go's ed25519.PrivateKey is the seed followed by the public key; X25519 keys show nothing.
      if (jwk.crv !== "Ed25519") return {};
      return Buffer.concat(parts.map((part) => Buffer.from(part ?? "", "base64url"))).toString("base64");
    }
  }
}

/** Go's tls.X509KeyPair. */
function keyPairToValue(cert: string, pem: string): Value {
  const certText = pemOf(cert, "CERTIFICATE");
  const keyText = pemOf(pem, "PRIVATE KEY");
  const ders: Uint8Array[] = [];
  const skipped: string[] = [];
  for (const { type, bytes } of pemBlocks(certText)) {
    if (type === "CERTIFICATE") ders.push(bytes);
    else skipped.push(type);
  }
  const [first] = ders;
  if (first === undefined) throw new BuiltinError(noCertificate(skipped));
  const key = readPairKey(keyText);
  const [leaf] = parseCertificates(first);
  if (leaf === undefined) throw new X509Error("x509: malformed certificate");
  checkPair(leaf, key);
  return {
    Certificate: ders.map((der) => Buffer.from(der).toString("base64")),
    PrivateKey: privateKeyToValue(key),
    SupportedSignatureAlgorithms: null,
    OCSPStaple: null,
    SignedCertificateTimestamps: null,
    Leaf: certificateToValue(leaf),
  };
}

function noCertificate(skipped: readonly string[]): string {
  if (skipped.length === 0) return "tls: failed to find any PEM data in certificate input";
  if (skipped.length === 1 && skipped[0]?.endsWith("PRIVATE KEY") === true) {
    return "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched";
  }
  const types = skipped.join(" ");
  return `tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [${types}]`;
}

function readPairKey(text: string): KeyObject {
  const skipped: string[] = [];
  for (const { type, bytes } of pemBlocks(text)) {
    if (type === "PRIVATE KEY" || type.endsWith(" PRIVATE KEY")) return readAnyKey(bytes);
    skipped.push(type);
  }
  if (skipped.length === 0) throw new BuiltinError("tls: failed to find any PEM data in key input");
  if (skipped.length === 1 && skipped[0] === "CERTIFICATE") {
    throw new BuiltinError("tls: found a certificate rather than a key in the PEM for the private key");
  }
  throw new BuiltinError(
    `tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [${skipped.join(" ")}]`,
  );
}

function readAnyKey(bytes: Uint8Array): KeyObject {
  for (const type of ["pkcs1", "pkcs8", "sec1"] as const) {
    const key = orUndefined(() => readKey(bytes, type));
    if (key !== undefined) return key;
  }
  throw new BuiltinError("tls: failed to parse private key");
}

function checkPair(leaf: Certificate, key: KeyObject): void {
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  const kinds = new Map([
    ["rsa", 1],
    ["ec", 3],
    ["ed25519", 4],
  ]);
  const { algorithm, raw } = leaf.publicKeyInfo;
  if (algorithm === 0 || algorithm === 2) throw new BuiltinError("tls: unknown public key algorithm");
  if (kinds.get(key.asymmetricKeyType ?? "") !== algorithm) {
    throw new BuiltinError("tls: private key type does not match public key type");
  }
  if (!spki.equals(raw)) throw new BuiltinError("tls: private key does not match public key");
}

/** The operand as PEM; base64 without PEM inside is wrapped as a block of this type. */
function pemOf(text: string, type: string): string {
  if (text.startsWith("-----BEGIN ")) return text;
  const bytes = decodeBase64(text);
  const decoded = latin1(bytes);
  if (decoded.startsWith("-----BEGIN ")) return decoded;
  return `-----BEGIN ${type}-----\n${Buffer.from(bytes).toString("base64")}\n-----END ${type}-----\n`;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw isRefusal(error) ? new BuiltinError(error.message) : error;
  }
}

function orUndefined<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (isRefusal(error) || error instanceof BuiltinError) return undefined;
    throw error;
  }
}

function isRefusal(error: unknown): error is X509Error | Base64Error {
  return error instanceof X509Error || error instanceof Base64Error;
}

/** Certificates, requests and keys. @source OPA v1/topdown/crypto.go */
export const x509Builtins: readonly Builtin[] = [
  parseCertificatesBuiltin,
  parseAndVerify,
  parseAndVerifyWithOptions,
  parseCertificateRequest,
  parseKeyPair,
  parseRsaPrivateKey,
  parsePrivateKeys,
];
