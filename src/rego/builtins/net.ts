import { RecentMap } from "../../base/index.ts";
import { BuiltinError, operandTypeError } from "../runtime/index.ts";
import { isArray, isObject, isSet, getKey, RegoSet, sortedKeys, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import {
  contains,
  type IpNetwork,
  ipText,
  ipv4Value,
  isCidr,
  lastValue,
  maskedValue,
  parseCidr,
  parseIp,
} from "./ip.ts";

/** `net.cidr_expand` of more than this many addresses fails: OPA lets the deadline stop it, which costs the deadline. */
const MAX_EXPANSION = 1 << 20;

/** A network, and where it is one of IPv4 its first address and size as numbers: big integers are slow. */
interface Block extends IpNetwork {
  readonly v4: { readonly first: number; readonly size: number } | undefined;
}

const CACHED_CIDRS = 1024;
const cidrs = new RecentMap<string, Block>(CACHED_CIDRS);

function networkOf(text: string): Block {
  const known = cidrs.get(text);
  if (known !== undefined) return known;
  const network = parseCidr(text);
  if (network === undefined) throw new BuiltinError(`invalid CIDR address: ${text}`);
  const v4 =
    network.bits === 32 ? { first: Number(maskedValue(network)), size: 2 ** (32 - network.prefix) } : undefined;
  const block = { ...network, v4 };
  cidrs.set(text, block);
  return block;
}

function cidrContains(outer: string, inner: string): boolean {
  const network = networkOf(outer);
  if (network.v4 !== undefined) {
    const { first, size } = network.v4;
    const at = ipv4Value(inner);
    if (at !== undefined) return at >= first && at < first + size;
  }
  const address = parseIp(inner);
  if (address !== undefined) return contains(network, address);
  const candidate = parseCidr(inner);
  if (candidate === undefined)
    throw new BuiltinError(`not a valid textual representation of an IP address or CIDR: ${inner}`);
  return (
    contains(network, { bits: candidate.bits, value: maskedValue(candidate) }) &&
    contains(network, { bits: candidate.bits, value: lastValue(candidate) })
  );
}

/** Operand checks inside collections report position 1 whichever side they are on, as OPA's do. */
function stringMember(value: Value): string {
  if (typeof value !== "string") throw operandTypeError(1, ["string"], value);
  return value;
}

/** The CIDRs of one side of `net.cidr_contains_matches`, each with what names it in the result. */
function* matchEntries(position: number, operand: Value): Generator<{ readonly cidr: Value; readonly index: Value }> {
  const cidrOf = (member: Value): Value => {
    if (typeof member === "string") return member;
    const first = isArray(member) ? member[0] : undefined;
    if (first === undefined) throw new BuiltinError(`operand ${position}: element must be string or non-empty array`);
    return first;
  };
  if (typeof operand === "string") yield { cidr: operand, index: operand };
  else if (isArray(operand)) for (const [index, member] of operand.entries()) yield { cidr: cidrOf(member), index };
  else if (isSet(operand)) for (const member of operand.sorted()) yield { cidr: cidrOf(member), index: member };
  else if (isObject(operand))
    for (const key of sortedKeys(operand)) yield { cidr: cidrOf(getKey(operand, key) as Value), index: key };
}

/** A range of addresses in the 16-byte space, where IPv4 lies at `::ffff:0:0`; `network` while it is one prefix as given. */
interface AddressRange {
  readonly first: bigint;
  readonly last: bigint;
  readonly network: IpNetwork | undefined;
}

const V4_BASE = 0xffffn << 32n;
const V4_LAST = V4_BASE | 0xffff_ffffn;

function isV4(value: bigint): boolean {
  return value >= V4_BASE && value <= V4_LAST;
}

function rangeOf(network: IpNetwork): AddressRange {
  const base = network.bits === 32 ? V4_BASE : 0n;
  return { first: base + maskedValue(network), last: base + lastValue(network), network };
}

/** Joins ranges that overlap or touch, working from the highest down (OPA's mergeCIDRs, after netaddr's cidr_merge). */
function mergeRanges(ranges: AddressRange[]): AddressRange[] {
  const sorted = ranges.sort((a, b) => (a.last === b.last ? compare(a.first, b.first) : compare(a.last, b.last)));
  const merged: AddressRange[] = [];
  let current = sorted.pop();
  while (current !== undefined) {
    const below = sorted.pop();
    if (below === undefined) {
      merged.push(current);
      break;
    }
    // The address before 0.0.0.0 and :: is itself: nothing lies below them.
    const previous: bigint = current.first === 0n || current.first === V4_BASE ? current.first : current.first - 1n;
    if (previous <= below.last) {
      const first = compare(below.first, current.first) < 0 ? below.first : current.first;
      current = { first, last: current.last, network: undefined };
    } else {
      merged.push(current);
      current = below;
    }
  }
  return merged.reverse();
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The fewest prefixes that cover a range exactly. */
function* prefixesOf({ first, last }: AddressRange): Generator<IpNetwork> {
  const v4 = isV4(first) && isV4(last);
  const bits = v4 ? 32 : 128;
  for (let at = first; at <= last; ) {
    let host = 0n;
    while (host < BigInt(bits) && (at & ((1n << (host + 1n)) - 1n)) === 0n && at + (1n << (host + 1n)) - 1n <= last)
      host++;
    yield { bits, value: v4 ? at - V4_BASE : at, prefix: bits - Number(host) };
    at += 1n << host;
  }
}

/** The mask an IPv4 address had before CIDR: class A, B or C. Classes D and E have none (Go net.IP.DefaultMask). */
function classfulPrefix(value: bigint): number | undefined {
  const first = value >> 24n;
  return first < 0x80n ? 8 : first < 0xc0n ? 16 : 24;
}

function networkToMerge(member: Value): IpNetwork {
  if (typeof member !== "string") throw new BuiltinError("element must be string");
  const address = parseIp(member);
  if (address === undefined) {
    const network = networkOf(member);
    return { ...network, value: maskedValue(network) };
  }
  const prefix = address.bits === 32 ? classfulPrefix(address.value) : undefined;
  if (prefix === undefined) throw new BuiltinError("IPv6 invalid: needs prefix length");
  return { ...address, prefix };
}

function networkText(network: IpNetwork): string {
  return `${ipText({ bits: network.bits, value: maskedValue(network) })}/${network.prefix}`;
}

function withinExpansionLimit(network: IpNetwork): number {
  const host = network.bits - network.prefix;
  if (host > 30 || 2 ** host > MAX_EXPANSION)
    throw new BuiltinError(`${networkText(network)} has more than ${MAX_EXPANSION} addresses`);
  return 2 ** host;
}

const cidrOrRow = types.oneOf(types.string, types.array());
const matchesOperand = operands.of<Value>(
  types.oneOf(types.string, types.array(cidrOrRow), types.set(cidrOrRow), types.object(types.string, cidrOrRow)),
);

export const netBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "net.cidr_contains",
    category: "net",
    about: "Tells whether an address or a whole network lies within a network, IPv4 or IPv6.",
    args: [
      arg("cidr", operands.string, "the outer network"),
      arg("cidr_or_ip", operands.string, "the address or network to look for"),
    ],
    result: result("result", types.boolean, "whether `cidr_or_ip` lies within `cidr`"),
    call: (_context, cidr, cidrOrIp) => cidrContains(cidr, cidrOrIp),
  }),
  defineBuiltin({
    name: "net.cidr_overlap",
    category: "net",
    about: "The former name of `net.cidr_contains`.",
    deprecated: true,
    args: [
      arg("", operands.string, "the outer network"),
      arg("", operands.string, "the address or network to look for"),
    ],
    result: { type: types.boolean },
    call: (_context, cidr, cidrOrIp) => cidrContains(cidr, cidrOrIp),
  }),
  defineBuiltin({
    name: "net.cidr_intersects",
    category: "net",
    about: "Tells whether two networks have an address in common.",
    args: [arg("cidr1", operands.string, "a network"), arg("cidr2", operands.string, "another network")],
    result: result("result", types.boolean, "whether they intersect"),
    call: (_context, cidr1, cidr2) => {
      const a = networkOf(cidr1);
      const b = networkOf(cidr2);
      return (
        contains(a, { bits: b.bits, value: maskedValue(b) }) || contains(b, { bits: a.bits, value: maskedValue(a) })
      );
    },
  }),
  defineBuiltin({
    name: "net.cidr_is_valid",
    category: "net",
    about: "Tells whether a text is a network in CIDR notation.",
    args: [arg("cidr", operands.of<Value>(types.string), "the text")],
    result: result("result", types.boolean, "whether it is one; false for anything that is not a string"),
    call: (_context, cidr) => typeof cidr === "string" && isCidr(cidr),
  }),
  defineBuiltin({
    name: "net.cidr_contains_matches",
    category: "net",
    about: "Finds all pairs in which a network of the first collection contains an address or network of the second.",
    args: [
      arg("cidrs", matchesOperand, "the outer networks"),
      arg("cidrs_or_ips", matchesOperand, "the addresses and networks to look for"),
    ],
    result: result(
      "output",
      types.set(types.tuple(types.any, types.any)),
      "pairs naming the members: an array's index, an object's key, a set's element, or the string itself",
    ),
    call: (context, outers, inners) => {
      const found = new RegoSet();
      for (const outer of matchEntries(1, outers)) {
        for (const inner of matchEntries(2, inners)) {
          context.spend(1);
          if (cidrContains(stringMember(outer.cidr), stringMember(inner.cidr))) found.add([outer.index, inner.index]);
        }
      }
      return found;
    },
  }),
  defineBuiltin({
    name: "net.cidr_expand",
    category: "net",
    about: `Lists all addresses of a network of up to ${MAX_EXPANSION} addresses.`,
    args: [arg("cidr", operands.string, "the network")],
    result: result("hosts", types.set(types.string), "its addresses"),
    call: (context, cidr) => {
      const network = networkOf(cidr);
      const count = withinExpansionLimit(network);
      context.spend(count);
      const first = maskedValue(network);
      const hosts = new RegoSet();
      for (let i = 0; i < count; i++) hosts.add(ipText({ bits: network.bits, value: first + BigInt(i) }));
      return hosts;
    },
  }),
  defineBuiltin({
    name: "net.cidr_merge",
    category: "net",
    about:
      "Merges networks and addresses into as few networks as possible. Bare IPv4 addresses stand for their classful network; IPv6 needs a prefix length.",
    args: [
      arg(
        "addrs",
        // An alternative of one: OPA declares it so, and prints it in messages.
        operands.of<Value>(types.oneOf(types.array(types.oneOf(types.string)), types.set(types.string))),
        "networks and addresses",
      ),
    ],
    result: result("output", types.set(types.string), "the fewest networks that cover them"),
    call: (context, addrs) => {
      const members = isArray(addrs) ? addrs : isSet(addrs) ? addrs.sorted() : undefined;
      if (members === undefined) throw new BuiltinError("operand must be an array");
      context.spend(members.length);
      const merged = new RegoSet();
      for (const range of mergeRanges(members.map((member) => rangeOf(networkToMerge(member))))) {
        // A bare address that joins no other keeps its host bits: `1.2.3.4` comes back as `1.2.3.4/8`.
        if (range.network !== undefined) merged.add(`${ipText(range.network)}/${range.network.prefix}`);
        else for (const network of prefixesOf(range)) merged.add(networkText(network));
      }
      return merged;
    },
  }),
  defineBuiltin({
    name: "net.lookup_ip_addr",
    category: "net",
    about: "Resolves a host name to its addresses, by the resolver of the host.",
    nondeterministic: true,
    args: [arg("name", operands.string, "the host name")],
    result: result("addrs", types.set(types.string), "its IPv4 and IPv6 addresses"),
    call: (context, name) => {
      const address = parseIp(name);
      if (address !== undefined) return RegoSet.of([ipText(address)]);
      return context.io(`net.lookup_ip_addr\0${name}`, { kind: "net.lookup_ip_addr", name });
    },
  }),
];
