import {
  bitAt,
  constructedTag,
  contextTag,
  type DerElement,
  DerError,
  DerReader,
  type Oid,
  TAG,
  toInteger,
  toOid,
  unsigned,
} from "./der.ts";

/** A certificate or request could not be read. The messages are those of Go's crypto/x509, which OPA shows. */
export class X509Error extends Error {
  override readonly name = "X509Error";
}

export interface NameAttribute {
  readonly type: Oid;
  readonly value: string;
}

export interface Extension {
  readonly id: Oid;
  readonly isCritical: boolean;
  readonly value: Uint8Array;
}

/** A public key, as far as results show it. */
export type PublicKey =
  | { readonly kind: "rsa"; readonly n: bigint; readonly e: bigint }
  | { readonly kind: "ec"; readonly x: bigint; readonly y: bigint }
  | { readonly kind: "ed25519"; readonly bytes: Uint8Array }
  | { readonly kind: "dsa"; readonly p: bigint; readonly q: bigint; readonly g: bigint; readonly y: bigint };

export interface SubjectPublicKeyInfo {
  readonly raw: Uint8Array;
  /** Go's x509.PublicKeyAlgorithm; 0 for unknown ones, whose key is not read. */
  readonly algorithm: number;
  readonly key: PublicKey | undefined;
}

export interface AlternativeNames {
  readonly dnsNames: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly ipAddresses: readonly Uint8Array[];
  readonly uris: readonly string[];
}

export interface IpRange {
  readonly ip: Uint8Array;
  readonly mask: Uint8Array;
}

export interface NameConstraints {
  readonly dnsDomains: readonly string[];
  readonly ipRanges: readonly IpRange[];
  readonly emailAddresses: readonly string[];
  readonly uriDomains: readonly string[];
}

/** Everything Go's x509.Certificate knows. Absent extensions leave their parts empty or undefined. */
export interface Certificate {
  readonly raw: Uint8Array;
  readonly rawTbs: Uint8Array;
  readonly version: number;
  readonly serialNumber: bigint;
  /** Go's x509.SignatureAlgorithm; 0 if unknown. */
  readonly signatureAlgorithm: number;
  readonly signature: Uint8Array;
  readonly rawIssuer: Uint8Array;
  readonly issuer: readonly NameAttribute[];
  readonly rawSubject: Uint8Array;
  readonly subject: readonly NameAttribute[];
  /** Milliseconds since the epoch. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKeyInfo: SubjectPublicKeyInfo;
  readonly extensions: readonly Extension[];
  readonly known: KnownExtensions;
}

/** What the extensions say (RFC 5280 §4.2). */
export interface KnownExtensions {
  keyUsage: number;
  /** A path length of -1 is none. */
  basicConstraints: { readonly isCa: boolean; readonly maxPathLength: number } | undefined;
  hasAlternativeNames: boolean;
  names: AlternativeNames;
  isNameConstraintsCritical: boolean;
  permitted: NameConstraints | undefined;
  excluded: NameConstraints | undefined;
  crlDistributionPoints: string[];
  authorityKeyId: Uint8Array | undefined;
  subjectKeyId: Uint8Array | undefined;
  requireExplicitPolicy: number | undefined;
  inhibitPolicyMapping: number | undefined;
  inhibitAnyPolicy: number | undefined;
  extKeyUsage: number[];
  unknownExtKeyUsage: Oid[];
  policies: Oid[] | undefined;
  policyMappings: { readonly issuer: Oid; readonly subject: Oid }[];
  ocspServers: string[];
  issuingCertificateUrls: string[];
  unhandledCritical: Oid[];
}

/**
 * Reads one certificate after the other, as Go's x509.ParseCertificates.
 * @throws {X509Error}
 */
export function parseCertificates(der: Uint8Array): readonly Certificate[] {
  const certificates: Certificate[] = [];
  let rest = der;
  while (rest.length > 0) {
    const certificate = parseCertificate(rest);
    certificates.push(certificate);
    rest = rest.subarray(certificate.raw.length);
  }
  return certificates;
}

/** Reads the certificate `der` begins with. */
function parseCertificate(der: Uint8Array): Certificate {
  const outer = reading("malformed certificate", () => new DerReader(der).readElement(TAG.sequence));
  const certificate = new DerReader(outer.content);
  const tbsElement = reading("malformed tbs certificate", () => certificate.readElement(TAG.sequence));
  const tbs = new DerReader(tbsElement.content);
  const version = reading("malformed version", () => readVersion(tbs));
  if (version > 3) throw new X509Error("x509: invalid version");
  const serialNumber = reading("malformed serial number", () => tbs.readInteger());
  if (serialNumber < 0n) throw new X509Error("x509: negative serial number");
  const algorithm = reading("malformed signature algorithm identifier", () => tbs.read(TAG.sequence));
  const outerAlgorithm = reading("malformed algorithm identifier", () => certificate.read(TAG.sequence));
  if (!sameBytes(algorithm, outerAlgorithm)) {
    throw new X509Error("x509: inner and outer signature algorithm identifiers don't match");
  }
  const issuer = reading("malformed issuer", () => tbs.readElement(TAG.sequence));
  const issuerName = parseName(issuer);
  const validity = reading("malformed validity", () => tbs.enter(TAG.sequence));
  const [notBeforeMs, notAfterMs] = [readTime(validity), readTime(validity)];
  const subject = reading("malformed issuer", () => tbs.readElement(TAG.sequence));
  const subjectName = parseName(subject);
  const publicKeyInfo = parsePublicKeyInfo(reading("malformed spki", () => tbs.readElement(TAG.sequence)));
  const extensions = version > 1 ? readExtensions(tbs, version) : [];
  const known = readKnown(extensions);
  const signature = reading("malformed signature", () => certificate.readBitString().bytes);
  return {
    raw: outer.raw,
    rawTbs: tbsElement.raw,
    version,
    serialNumber,
    signatureAlgorithm: signatureAlgorithmOf(algorithm),
    signature,
    rawIssuer: issuer.raw,
    issuer: issuerName,
    rawSubject: subject.raw,
    subject: subjectName,
    notBeforeMs,
    notAfterMs,
    publicKeyInfo,
    extensions,
    known,
  };
}

function readVersion(tbs: DerReader): number {
  const element = tbs.optional(constructedTag(0));
  const version = element === undefined ? 0n : new DerReader(element.content).readInteger();
  if (version < 0n) throw new DerError("negative");
  return Number(version) + 1;
}

function readTime(reader: DerReader): number {
  const tag = reader.peek();
  const what = tag === TAG.utcTime ? "malformed UTCTime" : "malformed GeneralizedTime";
  return reading(tag === TAG.utcTime || tag === TAG.generalizedTime ? what : "unsupported time format", () =>
    reader.readTime(),
  );
}

/** Reads an RDNSequence into its attributes, in order. */
export function parseName(name: DerElement): readonly NameAttribute[] {
  const attributes: NameAttribute[] = [];
  const sequence = new DerReader(name.content);
  while (!sequence.isEmpty) {
    const set = reading("invalid RDNSequence", () => sequence.enter(TAG.set));
    while (!set.isEmpty) {
      const pair = reading("invalid RDNSequence: invalid attribute", () => set.enter(TAG.sequence));
      const type = reading("invalid RDNSequence: invalid attribute type", () => pair.readOid());
      const value = reading("invalid RDNSequence: invalid attribute value", () => pair.readAny());
      attributes.push({ type, value: reading("invalid RDNSequence: invalid attribute value", () => stringOf(value)) });
    }
  }
  return attributes;
}

/** The text of an ASN.1 string type. @throws {DerError} for other types and characters the type has not. */
export function stringOf({ tag, content }: DerElement): string {
  const latin1 = () => String.fromCharCode(...content);
  switch (tag) {
    case TAG.t61String:
      return latin1();
    case TAG.printableString:
      return checked(latin1(), /^[a-zA-Z0-9'()+,\-./ :=?*&]*$/);
    case TAG.numericString:
      return checked(latin1(), /^[0-9 ]*$/);
    case TAG.ia5String:
      return checked(latin1(), /^[\x00-\x7f]*$/);
    case TAG.utf8String:
      try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
      } catch {
        throw new DerError("invalid UTF-8 string");
      }
    case TAG.bmpString:
      return bmpString(content);
    default:
      throw new DerError("unsupported string type");
  }
}

function bmpString(content: Uint8Array): string {
  if (content.length % 2 !== 0) throw new DerError("invalid BMPString");
  let text = "";
  for (let i = 0; i < content.length; i += 2) {
    text += String.fromCharCode(((content[i] as number) << 8) | (content[i + 1] as number));
  }
  return checked(text.replace(/\0$/, ""), /^[^\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]*$/);
}

function checked(text: string, allowed: RegExp): string {
  if (!allowed.test(text)) throw new DerError("invalid character");
  return text;
}

const SIGNATURE_ALGORITHMS: ReadonlyMap<string, number> = new Map([
  ["1.2.840.113549.1.1.2", 1],
  ["1.2.840.113549.1.1.4", 2],
  ["1.2.840.113549.1.1.5", 3],
  ["1.3.14.3.2.29", 3],
  ["1.2.840.113549.1.1.11", 4],
  ["1.2.840.113549.1.1.12", 5],
  ["1.2.840.113549.1.1.13", 6],
  ["1.2.840.10040.4.3", 7],
  ["2.16.840.1.101.3.4.3.2", 8],
  ["1.2.840.10045.4.1", 9],
  ["1.2.840.10045.4.3.2", 10],
  ["1.2.840.10045.4.3.3", 11],
  ["1.2.840.10045.4.3.4", 12],
  ["1.3.101.112", 16],
]);
/** RSASSA-PSS by its hash, with MGF1 over the same hash and salt as long as it. */
const PSS_ALGORITHMS: ReadonlyMap<string, readonly [algorithm: number, saltLength: bigint]> = new Map([
  ["2.16.840.1.101.3.4.2.1", [13, 32n]],
  ["2.16.840.1.101.3.4.2.2", [14, 48n]],
  ["2.16.840.1.101.3.4.2.3", [15, 64n]],
]);

/** Go's number for an AlgorithmIdentifier's content; 0 if it is none Go knows. */
export function signatureAlgorithmOf(identifier: Uint8Array): number {
  const reader = new DerReader(identifier);
  const oid = reading("malformed OID", () => reader.readOid()).join(".");
  if (oid === "1.2.840.113549.1.1.10") {
    try {
      return pssAlgorithm(reader);
    } catch (error) {
      if (error instanceof DerError) return 0;
      throw error;
    }
  }
  if (oid === "1.3.101.112") return reader.isEmpty ? 16 : 0;
  return SIGNATURE_ALGORITHMS.get(oid) ?? 0;
}

function pssAlgorithm(reader: DerReader): number {
  const params = reader.enter(TAG.sequence);
  const hash = params.enter(constructedTag(0)).enter(TAG.sequence).readOid().join(".");
  const mask = params.enter(constructedTag(1)).enter(TAG.sequence);
  const maskOid = mask.readOid().join(".");
  const maskHash = mask.enter(TAG.sequence).readOid().join(".");
  const saltLength = params.enter(constructedTag(2)).readInteger();
  const known = PSS_ALGORITHMS.get(hash);
  if (known === undefined || maskOid !== "1.2.840.113549.1.1.8" || maskHash !== hash) return 0;
  return known[1] === saltLength ? known[0] : 0;
}

const CURVE_SIZES: ReadonlyMap<string, number> = new Map([
  ["1.3.132.0.33", 28],
  ["1.2.840.10045.3.1.7", 32],
  ["1.3.132.0.34", 48],
  ["1.3.132.0.35", 66],
]);

/** Reads a SubjectPublicKeyInfo. @throws {X509Error} */
export function parsePublicKeyInfo(info: DerElement): SubjectPublicKeyInfo {
  const reader = new DerReader(info.content);
  const identifier = reading("malformed public key algorithm identifier", () => reader.enter(TAG.sequence));
  const oid = reading("malformed OID", () => identifier.readOid()).join(".");
  const params = identifier.rest();
  const data = reading("malformed subjectPublicKey", () => reader.readBitString().bytes);
  switch (oid) {
    case "1.2.840.113549.1.1.1":
      return { raw: info.raw, algorithm: 1, key: rsaKey(params, data) };
    case "1.2.840.10040.4.1":
      return { raw: info.raw, algorithm: 2, key: dsaKey(params, data) };
    case "1.2.840.10045.2.1":
      return { raw: info.raw, algorithm: 3, key: ecKey(params, data) };
    case "1.3.101.112":
      if (params.length > 0) throw new X509Error("x509: Ed25519 key encoded with illegal parameters");
      if (data.length !== 32) throw new X509Error("x509: wrong Ed25519 public key size");
      return { raw: info.raw, algorithm: 4, key: { kind: "ed25519", bytes: data } };
    default:
      return { raw: info.raw, algorithm: 0, key: undefined };
  }
}

function rsaKey(params: Uint8Array, data: Uint8Array): PublicKey {
  if (params.length !== 2 || params[0] !== TAG.null || params[1] !== 0) {
    throw new X509Error("x509: RSA key missing NULL parameters");
  }
  const sequence = reading("invalid RSA public key", () => new DerReader(data).enter(TAG.sequence));
  const n = reading("invalid RSA modulus", () => sequence.readInteger());
  const e = reading("invalid RSA public exponent", () => sequence.readInteger());
  if (n <= 0n) throw new X509Error("x509: RSA modulus is not a positive number");
  if (e <= 0n) throw new X509Error("x509: RSA public exponent is not a positive number");
  return { kind: "rsa", n, e };
}

function ecKey(params: Uint8Array, data: Uint8Array): PublicKey {
  const curve = reading("invalid ECDSA parameters", () => new DerReader(params).readOid());
  const size = CURVE_SIZES.get(curve.join("."));
  if (size === undefined) throw new X509Error("x509: unsupported elliptic curve");
  if (data[0] !== 4 || data.length !== 1 + 2 * size)
    throw new X509Error("x509: failed to unmarshal elliptic curve point");
  return { kind: "ec", x: unsigned(data.subarray(1, 1 + size)), y: unsigned(data.subarray(1 + size)) };
}

function dsaKey(params: Uint8Array, data: Uint8Array): PublicKey {
  const y = reading("invalid DSA public key", () => new DerReader(data).readInteger());
  const [p, q, g] = reading("invalid DSA parameters", () => {
    const sequence = new DerReader(params).enter(TAG.sequence);
    return [sequence.readInteger(), sequence.readInteger(), sequence.readInteger()] as const;
  });
  if ([y, p, q, g].some((n) => n <= 0n)) throw new X509Error("x509: zero or negative DSA parameter");
  return { kind: "dsa", p, q, g, y };
}

function readExtensions(tbs: DerReader, version: number): readonly Extension[] {
  reading("malformed issuerUniqueID", () => tbs.optional(contextTag(1)));
  reading("malformed subjectUniqueID", () => tbs.optional(contextTag(2)));
  if (version !== 3) return [];
  const wrapper = reading("malformed extensions", () => tbs.optional(constructedTag(3)));
  if (wrapper === undefined) return [];
  const sequence = reading("malformed extensions", () => new DerReader(wrapper.content).enter(TAG.sequence));
  const extensions: Extension[] = [];
  const seen = new Set<string>();
  while (!sequence.isEmpty) {
    const extension = parseExtension(reading("malformed extension", () => sequence.enter(TAG.sequence)));
    const id = extension.id.join(".");
    if (seen.has(id)) throw new X509Error(`x509: certificate contains duplicate extension with OID "${id}"`);
    seen.add(id);
    extensions.push(extension);
  }
  return extensions;
}

export function parseExtension(reader: DerReader): Extension {
  const id = reading("malformed extension OID field", () => reader.readOid());
  const isCritical =
    reader.peek() === TAG.boolean && reading("malformed extension critical field", () => reader.readBoolean());
  return { id, isCritical, value: reading("malformed extension value field", () => reader.read(TAG.octetString)) };
}

const NO_NAMES: AlternativeNames = { dnsNames: [], emailAddresses: [], ipAddresses: [], uris: [] };

function readKnown(extensions: readonly Extension[]): KnownExtensions {
  const known: KnownExtensions = {
    keyUsage: 0,
    basicConstraints: undefined,
    hasAlternativeNames: false,
    names: NO_NAMES,
    isNameConstraintsCritical: false,
    permitted: undefined,
    excluded: undefined,
    crlDistributionPoints: [],
    authorityKeyId: undefined,
    subjectKeyId: undefined,
    requireExplicitPolicy: undefined,
    inhibitPolicyMapping: undefined,
    inhibitAnyPolicy: undefined,
    extKeyUsage: [],
    unknownExtKeyUsage: [],
    policies: undefined,
    policyMappings: [],
    ocspServers: [],
    issuingCertificateUrls: [],
    unhandledCritical: [],
  };
  for (const extension of extensions) {
    const isHandled = EXTENSION_READERS.get(extension.id.join("."))?.(known, extension) ?? false;
    if (extension.isCritical && !isHandled) known.unhandledCritical.push(extension.id);
  }
  return known;
}

/** Reads one extension into the record; false when it could not be made use of, which matters if it is critical. */
type ExtensionReader = (known: KnownExtensions, extension: Extension) => boolean;

const EXTENSION_READERS: ReadonlyMap<string, ExtensionReader> = new Map([
  ["2.5.29.14", readSubjectKeyId],
  ["2.5.29.15", readKeyUsage],
  ["2.5.29.17", readAlternativeNames],
  ["2.5.29.19", readBasicConstraints],
  ["2.5.29.30", readNameConstraints],
  ["2.5.29.31", readCrlDistributionPoints],
  ["2.5.29.32", readPolicies],
  ["2.5.29.33", readPolicyMappings],
  ["2.5.29.35", readAuthorityKeyId],
  ["2.5.29.36", readPolicyConstraints],
  ["2.5.29.37", readExtKeyUsage],
  ["2.5.29.54", readInhibitAnyPolicy],
  ["1.3.6.1.5.5.7.1.1", readAuthorityInfoAccess],
]);

function readSubjectKeyId(known: KnownExtensions, { value, isCritical }: Extension): boolean {
  if (isCritical) throw new X509Error("x509: subject key identifier incorrectly marked critical");
  known.subjectKeyId = reading("invalid subject key identifier", () => new DerReader(value).read(TAG.octetString));
  return true;
}

function readKeyUsage(known: KnownExtensions, { value }: Extension): boolean {
  const bits = reading("invalid key usage", () => new DerReader(value).readBitString());
  for (let i = 0; i < 9; i++) if (bitAt(bits, i)) known.keyUsage |= 1 << i;
  return true;
}

function readBasicConstraints(known: KnownExtensions, { value }: Extension): boolean {
  known.basicConstraints = reading("invalid basic constraints", () => {
    const sequence = new DerReader(value).enter(TAG.sequence);
    const isCa = sequence.peek() === TAG.boolean && sequence.readBoolean();
    if (sequence.peek() !== TAG.integer) return { isCa, maxPathLength: -1 };
    const length = sequence.readInteger();
    if (length < 0n || length > BigInt(Number.MAX_SAFE_INTEGER)) throw new DerError("path length out of range");
    return { isCa, maxPathLength: Number(length) };
  });
  return true;
}

function readAlternativeNames(known: KnownExtensions, { value }: Extension): boolean {
  known.hasAlternativeNames = true;
  known.names = parseAlternativeNames(value);
  return Object.values(known.names).some((list: readonly unknown[]) => list.length > 0);
}

/** Reads GeneralNames of a subjectAltName extension. @throws {X509Error} */
export function parseAlternativeNames(value: Uint8Array): AlternativeNames {
  const dnsNames: string[] = [];
  const emailAddresses: string[] = [];
  const ipAddresses: Uint8Array[] = [];
  const uris: string[] = [];
  const sequence = reading("invalid subject alternative names", () => new DerReader(value).enter(TAG.sequence));
  while (!sequence.isEmpty) {
    const { tag, content } = reading("invalid subject alternative name", () => sequence.readAny());
    if (tag === contextTag(1)) emailAddresses.push(ia5(content, "SAN rfc822Name is malformed"));
    else if (tag === contextTag(2)) dnsNames.push(ia5(content, "SAN dNSName is malformed"));
    else if (tag === contextTag(6)) uris.push(checkedUri(ia5(content, "SAN uniformResourceIdentifier is malformed")));
    else if (tag === contextTag(7)) {
      if (content.length !== 4 && content.length !== 16) {
        throw new X509Error(`x509: cannot parse IP address of length ${content.length}`);
      }
      ipAddresses.push(content);
    }
  }
  return { dnsNames, emailAddresses, ipAddresses, uris };
}

function checkedUri(uri: string): string {
  if (/[\x00-\x20\x7f]|%(?![0-9a-fA-F]{2})/.test(uri.replace(/#.*$/s, ""))) {
    throw new X509Error(`x509: cannot parse URI "${uri}": parse "${uri}": invalid URL`);
  }
  const host = /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]*)/.exec(uri)?.[1] ?? "";
  if (host !== "" && !isDomainName(host, { isConstraint: false })) {
    throw new X509Error(`x509: cannot parse URI "${uri}": invalid domain`);
  }
  return uri;
}

/** Go's domainNameValid: labels not empty, no longer than 63; a constraint may begin with a period. */
function isDomainName(name: string, { isConstraint }: { isConstraint: boolean }): boolean {
  if (name === "" && isConstraint) return true;
  const bare = isConstraint ? name.replace(/^\./, "") : name;
  if (bare === "" || bare.endsWith(".") || bare.length > 253) return false;
  return bare.split(".").every((label) => label !== "" && label.length <= 63 && /^[\x21-\x7e]*$/.test(label));
}

function readNameConstraints(known: KnownExtensions, { value, isCritical }: Extension): boolean {
  const [permitted, excluded] = reading("invalid NameConstraints extension", () => {
    const outer = new DerReader(value);
    const sequence = outer.enter(TAG.sequence);
    const parts = [sequence.optional(constructedTag(0)), sequence.optional(constructedTag(1))] as const;
    if (!outer.isEmpty || !sequence.isEmpty) throw new DerError("trailing data");
    return parts;
  });
  if ((permitted?.content.length ?? 0) === 0 && (excluded?.content.length ?? 0) === 0) {
    throw new X509Error("x509: empty name constraints extension");
  }
  const allowed = readSubtrees(permitted);
  const forbidden = readSubtrees(excluded);
  known.permitted = allowed.constraints;
  known.excluded = forbidden.constraints;
  known.isNameConstraintsCritical = isCritical;
  return allowed.isComplete && forbidden.isComplete;
}

function readSubtrees(element: DerElement | undefined): { constraints: NameConstraints; isComplete: boolean } {
  const dnsDomains: string[] = [];
  const ipRanges: IpRange[] = [];
  const emailAddresses: string[] = [];
  const uriDomains: string[] = [];
  let isComplete = true;
  const subtrees = new DerReader(element?.content ?? new Uint8Array());
  while (!subtrees.isEmpty) {
    const name = reading("invalid NameConstraints extension", () => subtrees.enter(TAG.sequence).readAny());
    const text = () => ia5(name.content, "invalid constraint value");
    switch (name.tag) {
      case contextTag(2):
        dnsDomains.push(domainConstraint(text(), "dnsName"));
        break;
      case contextTag(1):
        emailAddresses.push(text().includes("@") ? text() : domainConstraint(text(), "rfc822Name"));
        break;
      case contextTag(6):
        uriDomains.push(domainConstraint(text(), "URI"));
        break;
      case contextTag(7):
        ipRanges.push(ipRange(name.content));
        break;
      default:
        isComplete = false;
    }
  }
  return { constraints: { dnsDomains, ipRanges, emailAddresses, uriDomains }, isComplete };
}

function domainConstraint(domain: string, what: string): string {
  if (!isDomainName(domain, { isConstraint: true })) {
    throw new X509Error(`x509: failed to parse ${what} constraint ${JSON.stringify(domain)}`);
  }
  return domain;
}

function ipRange(content: Uint8Array): IpRange {
  const half = content.length / 2;
  if (half !== 4 && half !== 16) {
    throw new X509Error(`x509: IP constraint contained value of length ${content.length}`);
  }
  const mask = content.subarray(half);
  const bits = [...mask].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  if (bits.includes("01")) {
    const hex = [...mask].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    throw new X509Error(`x509: IP constraint contained invalid mask ${hex}`);
  }
  return { ip: content.subarray(0, half), mask };
}

function readCrlDistributionPoints(known: KnownExtensions, { value }: Extension): boolean {
  const points = reading("invalid CRL distribution points", () => new DerReader(value).enter(TAG.sequence));
  while (!points.isEmpty) {
    reading("invalid CRL distribution point", () => {
      const name = points.enter(TAG.sequence).optional(constructedTag(0));
      if (name === undefined) return;
      const fullName = new DerReader(name.content).enter(constructedTag(0));
      while (fullName.peek() === contextTag(6)) known.crlDistributionPoints.push(latin1(fullName.read(contextTag(6))));
    });
  }
  return true;
}

function readPolicies(known: KnownExtensions, { value }: Extension): boolean {
  known.policies = reading("invalid certificate policies", () => {
    const sequence = new DerReader(value).enter(TAG.sequence);
    const policies: Oid[] = [];
    while (!sequence.isEmpty) policies.push(sequence.enter(TAG.sequence).readOid());
    if (new Set(policies.map((oid) => oid.join("."))).size < policies.length) throw new DerError("a policy twice");
    return policies;
  });
  return true;
}

function readPolicyMappings(known: KnownExtensions, { value }: Extension): boolean {
  reading("invalid policy mappings extension", () => {
    const sequence = new DerReader(value).enter(TAG.sequence);
    while (!sequence.isEmpty) {
      const pair = sequence.enter(TAG.sequence);
      known.policyMappings.push({ issuer: pair.readOid(), subject: pair.readOid() });
    }
  });
  return true;
}

function readAuthorityKeyId(known: KnownExtensions, { value, isCritical }: Extension): boolean {
  if (isCritical) throw new X509Error("x509: authority key identifier incorrectly marked critical");
  known.authorityKeyId = reading("invalid authority key identifier", () => {
    return new DerReader(value).enter(TAG.sequence).optional(contextTag(0))?.content;
  });
  return true;
}

function readPolicyConstraints(known: KnownExtensions, { value }: Extension): boolean {
  reading("invalid policy constraints extension", () => {
    const sequence = new DerReader(value).enter(TAG.sequence);
    const [explicit, mapping] = [sequence.optional(contextTag(0)), sequence.optional(contextTag(1))];
    if (explicit !== undefined) known.requireExplicitPolicy = Number(toInteger(explicit.content));
    if (mapping !== undefined) known.inhibitPolicyMapping = Number(toInteger(mapping.content));
  });
  return true;
}

/** Extended key usages in Go's numbering (x509.ExtKeyUsage). */
const EXT_KEY_USAGES: ReadonlyMap<string, number> = new Map([
  ["2.5.29.37.0", 0],
  ["1.3.6.1.5.5.7.3.1", 1],
  ["1.3.6.1.5.5.7.3.2", 2],
  ["1.3.6.1.5.5.7.3.3", 3],
  ["1.3.6.1.5.5.7.3.4", 4],
  ["1.3.6.1.5.5.7.3.5", 5],
  ["1.3.6.1.5.5.7.3.6", 6],
  ["1.3.6.1.5.5.7.3.7", 7],
  ["1.3.6.1.5.5.7.3.8", 8],
  ["1.3.6.1.5.5.7.3.9", 9],
  ["1.3.6.1.4.1.311.10.3.3", 10],
  ["2.16.840.1.113730.4.1", 11],
  ["1.3.6.1.4.1.311.2.1.22", 12],
  ["1.3.6.1.4.1.311.61.1.1", 13],
]);

function readExtKeyUsage(known: KnownExtensions, { value }: Extension): boolean {
  reading("invalid extended key usages", () => {
    const sequence = new DerReader(value).enter(TAG.sequence);
    while (!sequence.isEmpty) {
      const oid = sequence.readOid();
      const usage = EXT_KEY_USAGES.get(oid.join("."));
      if (usage === undefined) known.unknownExtKeyUsage.push(oid);
      else known.extKeyUsage.push(usage);
    }
  });
  return true;
}

function readInhibitAnyPolicy(known: KnownExtensions, { value }: Extension): boolean {
  known.inhibitAnyPolicy = Number(
    reading("invalid inhibit any policy extension", () => new DerReader(value).readInteger()),
  );
  return true;
}

function readAuthorityInfoAccess(known: KnownExtensions, { value, isCritical }: Extension): boolean {
  if (isCritical) throw new X509Error("x509: authority info access incorrectly marked critical");
  reading("invalid authority info access", () => {
    const sequence = new DerReader(value).enter(TAG.sequence);
    while (!sequence.isEmpty) {
      const access = sequence.enter(TAG.sequence);
      const method = toOid(access.read(TAG.oid)).join(".");
      const location = access.optional(contextTag(6));
      if (location === undefined) continue;
      if (method === "1.3.6.1.5.5.7.48.1") known.ocspServers.push(latin1(location.content));
      if (method === "1.3.6.1.5.5.7.48.2") known.issuingCertificateUrls.push(latin1(location.content));
    }
  });
  return true;
}

function ia5(content: Uint8Array, what: string): string {
  const text = latin1(content);
  if (/[^\x00-\x7f]/.test(text)) throw new X509Error(`x509: ${what}`);
  return text;
}

function latin1(content: Uint8Array): string {
  let text = "";
  for (const byte of content) text += String.fromCharCode(byte);
  return text;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Runs a reading step; what is malformed in it is reported as `what`. */
function reading<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof DerError ? new X509Error(`x509: ${what}`, { cause: error }) : error;
  }
}
