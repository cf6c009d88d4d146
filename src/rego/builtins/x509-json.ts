import { encodeBase64 } from "../../base/index.ts";
import { fromBigInt, type JsonObject, type Value } from "../value/index.ts";
import { type DerElement, DerError, DerReader, type Oid, TAG, toInteger, unsigned } from "./der.ts";
import { ipText } from "./ip.ts";
import {
  type AlternativeNames,
  type Certificate,
  type Extension,
  type IpRange,
  type NameAttribute,
  type PublicKey,
  stringOf,
} from "./x509-certificate.ts";
import type { CertificateRequest } from "./x509-request.ts";

/** A certificate as Go's encoding/json writes an x509.Certificate: nil slices are null, bytes base64. */
export function certificateToValue(certificate: Certificate): JsonObject {
  const { known, publicKeyInfo } = certificate;
  const { names, permitted, excluded } = known;
  return {
    Raw: base64(certificate.raw),
    RawTBSCertificate: base64(certificate.rawTbs),
    RawSubjectPublicKeyInfo: base64(publicKeyInfo.raw),
    RawSubject: base64(certificate.rawSubject),
    RawIssuer: base64(certificate.rawIssuer),
    Signature: base64(certificate.signature),
    SignatureAlgorithm: certificate.signatureAlgorithm,
    PublicKeyAlgorithm: publicKeyInfo.algorithm,
    PublicKey: publicKeyToValue(publicKeyInfo.key),
    Version: certificate.version,
    SerialNumber: fromBigInt(certificate.serialNumber),
    Issuer: nameToValue(certificate.issuer),
    Subject: nameToValue(certificate.subject),
    NotBefore: timeText(certificate.notBeforeMs),
    NotAfter: timeText(certificate.notAfterMs),
    KeyUsage: known.keyUsage,
    Extensions: orNull(certificate.extensions.map(extensionToValue)),
    ExtraExtensions: null,
    UnhandledCriticalExtensions: orNull(known.unhandledCritical.map(oidToValue)),
    ExtKeyUsage: orNull(known.extKeyUsage),
    UnknownExtKeyUsage: orNull(known.unknownExtKeyUsage.map(oidToValue)),
    BasicConstraintsValid: known.basicConstraints !== undefined,
    IsCA: known.basicConstraints?.isCa ?? false,
    MaxPathLen: known.basicConstraints?.maxPathLength ?? 0,
    MaxPathLenZero: known.basicConstraints?.maxPathLength === 0,
    SubjectKeyId: known.subjectKeyId === undefined ? null : base64(known.subjectKeyId),
    AuthorityKeyId: known.authorityKeyId === undefined ? null : base64(known.authorityKeyId),
    OCSPServer: orNull(known.ocspServers),
    IssuingCertificateURL: orNull(known.issuingCertificateUrls),
    ...namesToValue(names),
    PermittedDNSDomainsCritical: known.isNameConstraintsCritical,
    PermittedDNSDomains: orNull(permitted?.dnsDomains),
    ExcludedDNSDomains: orNull(excluded?.dnsDomains),
    PermittedIPRanges: orNull(permitted?.ipRanges.map(ipRangeToValue)),
    ExcludedIPRanges: orNull(excluded?.ipRanges.map(ipRangeToValue)),
    PermittedEmailAddresses: orNull(permitted?.emailAddresses),
    ExcludedEmailAddresses: orNull(excluded?.emailAddresses),
    PermittedURIDomains: orNull(permitted?.uriDomains),
    ExcludedURIDomains: orNull(excluded?.uriDomains),
    CRLDistributionPoints: orNull(known.crlDistributionPoints),
    PolicyIdentifiers: known.policies?.map(oidToValue) ?? null,
    Policies: orNull(known.policies?.map((oid) => oid.join("."))),
    InhibitAnyPolicy: known.inhibitAnyPolicy ?? 0,
    InhibitAnyPolicyZero: known.inhibitAnyPolicy === 0,
    InhibitPolicyMapping: known.inhibitPolicyMapping ?? 0,
    InhibitPolicyMappingZero: known.inhibitPolicyMapping === 0,
    RequireExplicitPolicy: known.requireExplicitPolicy ?? 0,
    RequireExplicitPolicyZero: known.requireExplicitPolicy === 0,
    PolicyMappings: orNull(
      known.policyMappings.map(({ issuer, subject }) => ({
        IssuerDomainPolicy: issuer.join("."),
        SubjectDomainPolicy: subject.join("."),
      })),
    ),
  };
}

/** A certificate with OPA's addition: its URIs as text too. */
export function extendedCertificateToValue(certificate: Certificate): JsonObject {
  return { ...certificateToValue(certificate), URIStrings: orNull(certificate.known.names.uris) };
}

/** A request as Go's encoding/json writes an x509.CertificateRequest. */
export function requestToValue(request: CertificateRequest): JsonObject {
  return {
    Raw: base64(request.raw),
    RawTBSCertificateRequest: base64(request.rawTbs),
    RawSubjectPublicKeyInfo: base64(request.publicKeyInfo.raw),
    RawSubject: base64(request.rawSubject),
    Version: request.version,
    Signature: base64(request.signature),
    SignatureAlgorithm: request.signatureAlgorithm,
    PublicKeyAlgorithm: request.publicKeyInfo.algorithm,
    PublicKey: publicKeyToValue(request.publicKeyInfo.key),
    Subject: nameToValue(request.subject),
    Attributes: orNull(
      request.attributes.map(({ type, sets }) => ({
        Type: oidToValue(type),
        Value: sets.map((set) => set.map((item) => ({ Type: oidToValue(item.type), Value: anyToValue(item.value) }))),
      })),
    ),
    Extensions: orNull(request.extensions.map(extensionToValue)),
    ExtraExtensions: null,
    ...namesToValue(request.names),
  };
}

export function publicKeyToValue(key: PublicKey | undefined): Value {
  switch (key?.kind) {
    case undefined:
      return null;
    case "rsa":
      return { N: fromBigInt(key.n), E: fromBigInt(key.e) };
    case "ec":
      return { Curve: {}, X: fromBigInt(key.x), Y: fromBigInt(key.y) };
    case "ed25519":
      return base64(key.bytes);
    case "dsa":
      return { P: fromBigInt(key.p), Q: fromBigInt(key.q), G: fromBigInt(key.g), Y: fromBigInt(key.y) };
  }
}

/** The members of Go's pkix.Name by attribute type; those of lists first. */
const NAME_LISTS = {
  Country: "2.5.4.6",
  Organization: "2.5.4.10",
  OrganizationalUnit: "2.5.4.11",
  Locality: "2.5.4.7",
  Province: "2.5.4.8",
  StreetAddress: "2.5.4.9",
  PostalCode: "2.5.4.17",
} as const;

function nameToValue(attributes: readonly NameAttribute[]): JsonObject {
  const values = (type: string) => attributes.filter((pair) => pair.type.join(".") === type).map(({ value }) => value);
  const lists = Object.entries(NAME_LISTS).map(([name, type]) => [name, orNull(values(type))] as const);
  return {
    ...Object.fromEntries(lists),
    SerialNumber: values("2.5.4.5").at(-1) ?? "",
    CommonName: values("2.5.4.3").at(-1) ?? "",
    Names: orNull(attributes.map(({ type, value }) => ({ Type: oidToValue(type), Value: value }))),
    ExtraNames: null,
  };
}

function namesToValue({ dnsNames, emailAddresses, ipAddresses, uris }: AlternativeNames): JsonObject {
  return {
    DNSNames: orNull(dnsNames),
    EmailAddresses: orNull(emailAddresses),
    IPAddresses: orNull(ipAddresses.map(addressText)),
    URIs: orNull(uris.map(urlToValue)),
  };
}

function extensionToValue({ id, isCritical, value }: Extension): JsonObject {
  return { Id: oidToValue(id), Critical: isCritical, Value: base64(value) };
}

function oidToValue(oid: Oid): Value {
  return oid;
}

function ipRangeToValue({ ip, mask }: IpRange): JsonObject {
  return { IP: addressText(ip), Mask: base64(mask) };
}

/** An attribute value of any type as Go's encoding/asn1 decodes it into an interface. */
function anyToValue(element: DerElement): Value {
  try {
    switch (element.tag) {
      case TAG.boolean:
        return new DerReader(element.raw).readBoolean();
      case TAG.integer:
        return fromBigInt(toInteger(element.content));
      case TAG.octetString:
        return base64(element.content);
      case TAG.oid:
        return new DerReader(element.raw).readOid();
      case TAG.utcTime:
      case TAG.generalizedTime:
        return timeText(new DerReader(element.raw).readTime());
      default:
        return stringOf(element);
    }
  } catch (error) {
    if (error instanceof DerError) return null;
    throw error;
  }
}

/** An address in the text form Go prints: addresses of IPv4 in dotted form, also those mapped into IPv6. */
export function addressText(bytes: Uint8Array): string {
  const isMapped = bytes.length === 16 && unsigned(bytes.subarray(0, 12)) === 0xffffn;
  const shown = isMapped ? bytes.subarray(12) : bytes;
  return ipText({ bits: shown.length === 4 ? 32 : 128, value: unsigned(shown) });
}

/** A URI as Go's encoding/json writes a url.URL. */
function urlToValue(uri: string): JsonObject {
  const [beforeFragment, fragment = ""] = splitOnce(uri, "#");
  const match = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(beforeFragment);
  const scheme = match?.[1]?.toLowerCase() ?? "";
  const afterScheme = beforeFragment.slice(match?.[0].length ?? 0);
  const [hierarchy, query] = splitOnce(afterScheme, "?");
  const isOpaque = scheme !== "" && !hierarchy.startsWith("/");
  const authority = isOpaque ? undefined : /^\/\/([^/]*)/.exec(hierarchy)?.[1];
  const rawPath = isOpaque ? "" : hierarchy.slice(authority === undefined ? 0 : authority.length + 2);
  const at = authority?.lastIndexOf("@") ?? -1;
  const path = unescaped(rawPath);
  const fragmentText = unescaped(fragment);
  return {
    Scheme: scheme,
    Opaque: isOpaque ? hierarchy : "",
    // Go's url.Userinfo has no exported members.
    User: at < 0 ? null : {},
    Host: authority?.slice(at + 1) ?? "",
    Path: path,
    RawPath: path !== rawPath && encodeURI(path) !== rawPath ? rawPath : "",
    OmitHost: scheme !== "" && authority === undefined && !isOpaque,
    ForceQuery: query === "",
    RawQuery: query ?? "",
    Fragment: fragmentText,
    RawFragment: fragmentText !== fragment && encodeURI(fragmentText) !== fragment ? fragment : "",
  };
}

function splitOnce(text: string, separator: string): readonly [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not UTF-8; Go would keep the bytes, JSON cannot
  }
}

/** Go's RFC 3339 text of an instant in UTC. */
function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.000Z$/, "Z");
}

function base64(bytes: Uint8Array): string {
  return encodeBase64(bytes);
}

function orNull<T extends Value>(items: readonly T[] | undefined): Value {
  return items === undefined || items.length === 0 ? null : items;
}
