import { X509Certificate } from "node:crypto";
import { ipText, parseIp } from "./ip.ts";
import { type Certificate, type IpRange, type NameConstraints, sameBytes } from "./x509-certificate.ts";
import { addressText } from "./x509-json.ts";

export interface VerifyOptions {
  /** Checked against the leaf unless empty. */
  readonly dnsName: string;
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  /** Go's numbers; empty means server authentication. */
  readonly keyUsages: readonly number[];
  /** How many names may be compared with constraints. */
  readonly maxConstraintComparisons: number;
}

/** Go's numbers (x509.ExtKeyUsage, x509.KeyUsage, x509.SignatureAlgorithm). */
const ANY_USAGE = 0;
const SERVER_AUTH = 1;
const KEY_CERT_SIGN = 1 << 5;
const SECURE_SIGNATURES: ReadonlySet<number> = new Set([4, 5, 6, 10, 11, 12, 13, 14, 15, 16]);

const MAX_SIGNATURE_CHECKS = 100;
export const DEFAULT_CONSTRAINT_COMPARISONS = 250_000;

/**
 * Finds a chain from the last certificate over any of those between to the first, the only one trusted.
 * @returns the chain from leaf to root, or undefined if there is none that holds.
 * @see RFC 5280 §6; Go's crypto/x509, Certificate.Verify
 */
export function verifyChain(
  certificates: readonly Certificate[],
  options: VerifyOptions,
): readonly Certificate[] | undefined {
  const [root, ...others] = certificates;
  const leaf = others.pop();
  if (root === undefined || leaf === undefined) return undefined;
  return new ChainFinder(root, others, options).find(leaf);
}

class ChainFinder {
  readonly #root: Certificate;
  readonly #intermediates: readonly Certificate[];
  readonly #options: VerifyOptions;
  #signatureChecks = 0;
  #comparisons = 0;

  constructor(root: Certificate, intermediates: readonly Certificate[], options: VerifyOptions) {
    this.#root = root;
    this.#intermediates = intermediates;
    this.#options = options;
  }

  find(leaf: Certificate): readonly Certificate[] | undefined {
    if (!this.#isUsable(leaf)) return undefined;
    if (this.#options.dnsName !== "" && !matchesHost(leaf, this.#options.dnsName)) return undefined;
    if (sameBytes(leaf.raw, this.#root.raw)) return this.#accepts([leaf]) ? [leaf] : undefined;
    return this.#extend([leaf]);
  }

  /** Depth first; the root before the intermediates. */
  #extend(chain: readonly Certificate[]): readonly Certificate[] | undefined {
    const child = chain.at(-1) as Certificate;
    for (const parent of [this.#root, ...this.#intermediates]) {
      const isRoot = parent === this.#root;
      if (!sameBytes(parent.rawSubject, child.rawIssuer) || chain.some((link) => isSameEntity(link, parent))) continue;
      if (++this.#signatureChecks > MAX_SIGNATURE_CHECKS) return undefined;
      if (!isSignedBy(child, parent) || !this.#isUsableIssuer(parent, chain, { isRoot })) continue;
      const longer = [...chain, parent];
      const found = isRoot ? (this.#accepts(longer) ? longer : undefined) : this.#extend(longer);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #isUsable({ known, notBeforeMs, notAfterMs }: Certificate): boolean {
    const { timeMs } = this.#options;
    return known.unhandledCritical.length === 0 && timeMs >= notBeforeMs && timeMs <= notAfterMs;
  }

  #isUsableIssuer(certificate: Certificate, below: readonly Certificate[], { isRoot }: { isRoot: boolean }): boolean {
    const constraints = certificate.known.basicConstraints;
    if (!this.#isUsable(certificate)) return false;
    if (!isRoot && constraints?.isCa !== true) return false;
    const maxPathLength = constraints?.maxPathLength ?? -1;
    return maxPathLength < 0 || below.length - 1 <= maxPathLength;
  }

  #accepts(chain: readonly Certificate[]): boolean {
    // Policy trees are not built: a certificate that insists on one is refused.
    if (chain.some(({ known }) => known.requireExplicitPolicy !== undefined)) return false;
    return this.#usagesHold(chain) && this.#constraintsHold(chain);
  }

  /** Some wanted usage must be allowed by every certificate of the chain. */
  #usagesHold(chain: readonly Certificate[]): boolean {
    const wanted = this.#options.keyUsages.length > 0 ? this.#options.keyUsages : [SERVER_AUTH];
    if (wanted.includes(ANY_USAGE)) return true;
    return wanted.some((usage) =>
      chain.every(({ known: { extKeyUsage, unknownExtKeyUsage } }) => {
        if (extKeyUsage.length === 0 && unknownExtKeyUsage.length === 0) return true;
        return extKeyUsage.includes(ANY_USAGE) || extKeyUsage.includes(usage);
      }),
    );
  }

  #constraintsHold(chain: readonly Certificate[]): boolean {
    return chain.every(({ known }, i) =>
      chain.slice(0, i).every((below) => this.#namesAllowed(below, known.permitted, known.excluded)),
    );
  }

  #namesAllowed(
    { known: { names } }: Certificate,
    permitted: NameConstraints | undefined,
    excluded: NameConstraints | undefined,
  ): boolean {
    if (permitted === undefined && excluded === undefined) return true;
    const holds = <N, C>(
      items: readonly N[],
      allowed: readonly C[] | undefined,
      forbidden: readonly C[] | undefined,
      matches: (name: N, constraint: C) => boolean | undefined,
    ) => items.every((name) => this.#nameAllowed(name, allowed ?? [], forbidden ?? [], matches));
    return (
      holds(names.emailAddresses, permitted?.emailAddresses, excluded?.emailAddresses, matchesEmail) &&
      holds(names.dnsNames, permitted?.dnsDomains, excluded?.dnsDomains, matchesDomain) &&
      holds(names.uris, permitted?.uriDomains, excluded?.uriDomains, matchesUri) &&
      holds(names.ipAddresses, permitted?.ipRanges, excluded?.ipRanges, matchesIp)
    );
  }

  /** A name that cannot be compared (undefined) is not allowed as soon as there is something to compare it with. */
  #nameAllowed<N, C>(
    name: N,
    allowed: readonly C[],
    forbidden: readonly C[],
    matches: (name: N, constraint: C) => boolean | undefined,
  ): boolean {
    this.#comparisons += allowed.length + forbidden.length;
    if (this.#comparisons > this.#options.maxConstraintComparisons) return false;
    if (forbidden.some((constraint) => matches(name, constraint) !== false)) return false;
    return allowed.length === 0 || allowed.some((constraint) => matches(name, constraint) === true);
  }
}

function isSameEntity(a: Certificate, b: Certificate): boolean {
  if (!sameBytes(a.rawSubject, b.rawSubject) || !sameBytes(a.publicKeyInfo.raw, b.publicKeyInfo.raw)) return false;
  const names = (certificate: Certificate) =>
    certificate.extensions.find(({ id }) => id.join(".") === "2.5.29.17")?.value ?? new Uint8Array();
  return sameBytes(names(a), names(b));
}

/** Go's CheckSignatureFrom: the parent must be allowed to sign certificates, and must have signed this one. */
function isSignedBy(child: Certificate, parent: Certificate): boolean {
  const { basicConstraints, keyUsage } = parent.known;
  if (parent.version === 3 && basicConstraints === undefined) return false;
  if (basicConstraints !== undefined && !basicConstraints.isCa) return false;
  if (keyUsage !== 0 && (keyUsage & KEY_CERT_SIGN) === 0) return false;
  if (parent.publicKeyInfo.algorithm === 0 || !SECURE_SIGNATURES.has(child.signatureAlgorithm)) return false;
  try {
    return new X509Certificate(child.raw).verify(new X509Certificate(parent.raw).publicKey);
  } catch {
    return false; // OpenSSL throws at keys it will not use.
  }
}

/** Go's VerifyHostname: IP addresses against IP names, host names against DNS names with wildcards. */
function matchesHost(leaf: Certificate, host: string): boolean {
  const { names } = leaf.known;
  const literal = /^\[(.*)\]$/.exec(host)?.[1] ?? host;
  const ip = parseIp(literal);
  if (ip !== undefined) return names.ipAddresses.some((address) => addressText(address) === ipText(ip));
  const wanted = host.toLowerCase().replace(/\.$/, "").split(".");
  const isValid = wanted.every((label) => /^[a-z0-9_-]+$/.test(label));
  return names.dnsNames.some((name) => {
    if (!isValid) return name.toLowerCase() === host.toLowerCase();
    const pattern = name.toLowerCase().split(".");
    if (pattern.length !== wanted.length) return false;
    return pattern.every((label, i) => (i === 0 && label === "*") || label === wanted[i]);
  });
}

function matchesDomain(domain: string, constraint: string): boolean | undefined {
  if (constraint === "") return true;
  const labels = domain.toLowerCase().split(".").reverse();
  if (labels.some((label) => label === "")) return undefined;
  const needsSubdomain = constraint.startsWith(".");
  const wanted = constraint.toLowerCase().replace(/^\./, "").split(".").reverse();
  if (labels.length < wanted.length || (needsSubdomain && labels.length === wanted.length)) return false;
  return wanted.every((label, i) => label === labels[i]);
}

function matchesEmail(email: string, constraint: string): boolean | undefined {
  const at = email.lastIndexOf("@");
  if (at <= 0) return undefined;
  if (!constraint.includes("@")) return matchesDomain(email.slice(at + 1), constraint);
  const split = constraint.lastIndexOf("@");
  const isLocalSame = constraint.slice(0, split) === email.slice(0, at);
  return isLocalSame && constraint.slice(split + 1).toLowerCase() === email.slice(at + 1).toLowerCase();
}

function matchesUri(uri: string, constraint: string): boolean | undefined {
  const authority = /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/([^/?#]*)/.exec(uri)?.[1] ?? "";
  const host = authority.slice(authority.lastIndexOf("@") + 1).replace(/:\d*$/, "");
  // Constraints on URIs are about domains; a URI without one or with an address cannot be judged.
  if (host === "" || host.startsWith("[") || parseIp(host) !== undefined) return undefined;
  return matchesDomain(host, constraint);
}

function matchesIp(address: Uint8Array, { ip, mask }: IpRange): boolean {
  return (
    address.length === ip.length && address.every((byte, i) => ((byte ^ (ip[i] as number)) & (mask[i] as number)) === 0)
  );
}
