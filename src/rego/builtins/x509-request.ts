import { constructedTag, type DerElement, DerError, DerReader, type Oid, TAG } from "./der.ts";
import {
  type AlternativeNames,
  type Extension,
  type NameAttribute,
  parseAlternativeNames,
  parseExtension,
  parseName,
  parsePublicKeyInfo,
  type SubjectPublicKeyInfo,
  signatureAlgorithmOf,
  X509Error,
} from "./x509-certificate.ts";

/** An attribute whose values are sets of type and value pairs; others are left out, as in Go. */
export interface RequestAttribute {
  readonly type: Oid;
  readonly sets: readonly (readonly { readonly type: Oid; readonly value: DerElement }[])[];
}

/** A PKCS #10 certificate signing request (RFC 2986). */
export interface CertificateRequest {
  readonly raw: Uint8Array;
  readonly rawTbs: Uint8Array;
  readonly version: number;
  readonly signature: Uint8Array;
  readonly signatureAlgorithm: number;
  readonly rawSubject: Uint8Array;
  readonly subject: readonly NameAttribute[];
  readonly publicKeyInfo: SubjectPublicKeyInfo;
  readonly attributes: readonly RequestAttribute[];
  readonly extensions: readonly Extension[];
  readonly names: AlternativeNames;
}

const EXTENSION_REQUEST = "1.2.840.113549.1.9.14";
const SUBJECT_ALTERNATIVE_NAME = "2.5.29.17";

/**
 * Reads a certificate signing request.
 * @throws {X509Error} beginning `asn1:` where Go's reflective reader fails, else `x509:`
 */
export function parseRequest(der: Uint8Array): CertificateRequest {
  try {
    return readRequest(der);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    const kind = error.message.startsWith("data truncated") ? "syntax" : "structure";
    throw new X509Error(`asn1: ${kind} error: ${error.message}`, { cause: error });
  }
}

function readRequest(der: Uint8Array): CertificateRequest {
  const reader = new DerReader(der);
  const outer = reader.readElement(TAG.sequence);
  if (!reader.isEmpty) throw new X509Error("asn1: syntax error: trailing data");
  const request = new DerReader(outer.content);
  const tbsElement = request.readElement(TAG.sequence);
  const signatureAlgorithm = signatureAlgorithmOf(request.read(TAG.sequence));
  const signature = request.readBitString().bytes;
  const tbs = new DerReader(tbsElement.content);
  const version = Number(tbs.readInteger());
  const subject = tbs.readElement(TAG.sequence);
  const publicKeyInfo = parsePublicKeyInfo(tbs.readElement(TAG.sequence));
  const attributesElement = tbs.optional(constructedTag(0));
  const rawAttributes: DerElement[] = [];
  const sequence = new DerReader(attributesElement?.content ?? new Uint8Array());
  while (!sequence.isEmpty) rawAttributes.push(sequence.readElement(TAG.sequence));
  const extensions = rawAttributes.flatMap(readRequestedExtensions);
  if (new Set(extensions.map(({ id }) => id.join("."))).size < extensions.length) {
    throw new X509Error("x509: certificate request contains duplicate requested extensions");
  }
  const alternative = extensions.find(({ id }) => id.join(".") === SUBJECT_ALTERNATIVE_NAME);
  return {
    raw: outer.raw,
    rawTbs: tbsElement.raw,
    version,
    signature,
    signatureAlgorithm,
    rawSubject: subject.raw,
    subject: parseName(subject),
    publicKeyInfo,
    attributes: rawAttributes.flatMap((element) => readAttribute(element) ?? []),
    extensions,
    names:
      alternative === undefined
        ? { dnsNames: [], emailAddresses: [], ipAddresses: [], uris: [] }
        : parseAlternativeNames(alternative.value),
  };
}

function readAttribute({ content }: DerElement): RequestAttribute | undefined {
  try {
    const reader = new DerReader(content);
    const type = reader.readOid();
    const values = reader.enter(TAG.set);
    const sets: { type: Oid; value: DerElement }[][] = [];
    while (!values.isEmpty) {
      const set = values.enter(TAG.sequence);
      const pairs: { type: Oid; value: DerElement }[] = [];
      while (!set.isEmpty) {
        const pair = set.enter(TAG.sequence);
        pairs.push({ type: pair.readOid(), value: pair.readAny() });
      }
      sets.push(pairs);
    }
    return { type, sets };
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

function readRequestedExtensions({ content }: DerElement): readonly Extension[] {
  const reader = new DerReader(content);
  if (reader.readOid().join(".") !== EXTENSION_REQUEST) return [];
  const sequence = reader.enter(TAG.set).enter(TAG.sequence);
  const extensions: Extension[] = [];
  while (!sequence.isEmpty) extensions.push(parseExtension(sequence.enter(TAG.sequence)));
  return extensions;
}
