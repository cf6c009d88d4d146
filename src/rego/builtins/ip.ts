/** IP addresses and prefixes as Go's net package reads and prints them (net/ip.go, netip.ParseAddr). */

/** An address as the integer of its 4 or 16 bytes. IPv4 in IPv6 form (`::ffff:1.2.3.4`) is an IPv4 address. */
export interface IpAddress {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

export interface IpNetwork extends IpAddress {
  readonly prefix: number;
}

const MAPPED = 0xffffn;

/** Reads an address without zone; undefined for anything else. */
export function parseIp(text: string): IpAddress | undefined {
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === 0x2e) return parseIpv4(text);
    if (char === 0x3a) return unmap(parseIpv6(text));
  }
  return undefined;
}

/** Reads `address/prefix`; undefined for anything else. The address keeps its host bits. */
export function parseCidr(text: string): IpNetwork | undefined {
  const slash = text.indexOf("/");
  if (slash === -1) return undefined;
  const host = text.slice(0, slash);
  const isV6 = host.includes(":");
  const address = isV6 ? parseIpv6(host) : parseIpv4(host);
  const digits = text.slice(slash + 1);
  if (address === undefined || !/^\d{1,6}$/.test(digits)) return undefined;
  const prefix = Number(digits);
  if (prefix > address.bits) return undefined;
  // An IPv6 prefix of a mapped address: Go masks the 16 bytes and keeps the last four (`::ffff:1.2.3.4/120` is a /24).
  if (isV6 && address.value >> 32n === MAPPED && prefix >= 96)
    return { bits: 32, value: address.value & 0xffff_ffffn, prefix: prefix - 96 };
  return { ...address, prefix };
}

/** Whether `parseCidr` reads a text. */
export function isCidr(text: string): boolean {
  // The common case, without big integers.
  const slash = text.indexOf("/");
  if (slash > 0 && ipv4Value(text.slice(0, slash)) !== undefined && /^\d{1,6}$/.test(text.slice(slash + 1)))
    return Number(text.slice(slash + 1)) <= 32;
  return parseCidr(text) !== undefined;
}

/** The network's first address. */
export function maskedValue({ bits, value, prefix }: IpNetwork): bigint {
  const host = BigInt(bits - prefix);
  return (value >> host) << host;
}

/** The network's last address. */
export function lastValue({ bits, value, prefix }: IpNetwork): bigint {
  const host = BigInt(bits - prefix);
  return value | ((1n << host) - 1n);
}

export function contains(network: IpNetwork, address: IpAddress): boolean {
  if (network.bits !== address.bits) return false;
  const host = BigInt(network.bits - network.prefix);
  return network.value >> host === address.value >> host;
}

export function ipText({ bits, value }: IpAddress): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  // The longest run of two or more zero groups becomes `::`; of equal runs the first (RFC 5952 §4.2).
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; ) {
    let j = i;
    while (j < 8 && groups[j] === 0) j++;
    if (j - i > bestLength) {
      best = i;
      bestLength = j - i;
    }
    i = Math.max(j, i + 1);
  }
  const hex = groups.map((group) => group.toString(16));
  if (best === -1) return hex.join(":");
  return `${hex.slice(0, best).join(":")}::${hex.slice(best + bestLength).join(":")}`;
}

function unmap(address: IpAddress | undefined): IpAddress | undefined {
  if (address === undefined || address.value >> 32n !== MAPPED) return address;
  return { bits: 32, value: address.value & 0xffff_ffffn };
}

function parseIpv4(text: string): IpAddress | undefined {
  const value = ipv4Value(text);
  return value === undefined ? undefined : { bits: 32, value: BigInt(value) };
}

/** The integer of four decimal fields without leading zeros; undefined for anything else. */
export function ipv4Value(text: string): number | undefined {
  let value = 0;
  let field = 0;
  let digits = 0;
  let fields = 0;
  for (let i = 0; i <= text.length; i++) {
    const char = i === text.length ? 0x2e : text.charCodeAt(i);
    if (char === 0x2e) {
      if (digits === 0 || fields === 4) return undefined;
      value = value * 256 + field;
      fields++;
      field = 0;
      digits = 0;
    } else {
      if (char < 0x30 || char > 0x39 || (digits > 0 && field === 0)) return undefined;
      field = field * 10 + (char - 0x30);
      digits++;
      if (field > 255) return undefined;
    }
  }
  return fields === 4 ? value : undefined;
}

function parseIpv6(text: string): IpAddress | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head = "", tail] = halves;
  const left = readGroups(head, tail === undefined);
  const right = tail === undefined ? [] : readGroups(tail, true);
  if (left === undefined || right === undefined) return undefined;
  const missing = 8 - left.length - right.length;
  // `::` stands for at least one group.
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...left, ...Array<number>(missing).fill(0), ...right];
  return { bits: 128, value: groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n) };
}

/** Groups of a colon-separated part; the last may be a dotted IPv4 address where `mayEndInIpv4`. */
function readGroups(part: string, mayEndInIpv4: boolean): number[] | undefined {
  if (part === "") return [];
  const fields = part.split(":");
  const groups: number[] = [];
  for (const [i, field] of fields.entries()) {
    if (mayEndInIpv4 && i === fields.length - 1 && field.includes(".")) {
      const value = ipv4Value(field);
      if (value === undefined) return undefined;
      groups.push(value >>> 16, value & 0xffff);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(field)) return undefined;
      groups.push(Number.parseInt(field, 16));
    }
  }
  return groups;
}
