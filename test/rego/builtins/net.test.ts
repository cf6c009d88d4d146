import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contains, ipText, parseCidr, parseIp } from "../../../src/rego/builtins/ip.ts";
import { netBuiltins } from "../../../src/rego/builtins/net.ts";
import { RegoObject, RegoSet, type Value } from "../../../src/rego/value/index.ts";
import { builtinContext, caller } from "../../support/builtin-context.ts";

const call = caller(netBuiltins);
const list = (value: Value | undefined) => (value as RegoSet).sorted();

describe("addresses", () => {
  // Go 1.26 net.ParseIP and IP.String.
  test.for([
    { text: "1.2.3.4", want: "1.2.3.4" },
    { text: "::ffff:1.2.3.4", want: "1.2.3.4" },
    { text: "2001:DB8:0:0:1:0:0:1", want: "2001:db8::1:0:0:1" },
    { text: "1:0:0:2:0:0:0:3", want: "1:0:0:2::3" },
    { text: "::", want: "::" },
    { text: "1::", want: "1::" },
    { text: "1:2:3:4:5:6:7::", want: "1:2:3:4:5:6:7:0" },
    { text: "::1.2.3.4", want: "::102:304" },
  ])("$text is $want", ({ text, want }) => {
    const address = parseIp(text);
    expect(address === undefined ? undefined : ipText(address)).toBe(want);
  });

  test.for([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.",
    "a",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "fe80::1%eth0",
    "12345::",
    "1.2.3.4::",
    "::1.2.3.4:1",
    "0x1.2.3.4",
  ])("%j is none", (text) => expect(parseIp(text)).toBeUndefined());

  test("what is printed is read again", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
        fc.constantFrom(32 as const, 128 as const),
        fc.nat(128),
        (value, bits, zeros) => {
          const address = { bits, value: (bits === 32 ? value & 0xffff_ffffn : value) >> BigInt(zeros) };
          if (bits === 128 && address.value >> 32n === 0xffffn) return;
          expect(parseIp(ipText(address))).toEqual(address);
        },
      ),
    );
  });

  test("a network contains an address exactly when their prefixes agree", () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), fc.nat(32), (a, b, prefix) => {
        const dotted = (n: number) => [24, 16, 8, 0].map((shift) => (n >>> shift) & 255).join(".");
        const binary = (n: number) => n.toString(2).padStart(32, "0").slice(0, prefix);
        const network = parseCidr(`${dotted(a)}/${prefix}`);
        const address = parseIp(dotted(b));
        expect(network !== undefined && address !== undefined && contains(network, address)).toBe(
          binary(a) === binary(b),
        );
      }),
    );
  });
});

describe("net.cidr_contains", () => {
  test.for([
    { cidr: "10.0.0.0/8", inner: "10.255.0.1", want: true },
    { cidr: "10.0.0.0/8", inner: "11.0.0.0", want: false },
    { cidr: "10.0.0.0/8", inner: "10.1.0.0/16", want: true },
    { cidr: "10.1.0.0/16", inner: "10.0.0.0/8", want: false },
    { cidr: "0.0.0.0/0", inner: "1.2.3.4", want: true },
    { cidr: "0.0.0.0/0", inner: "255.255.255.255", want: true },
    { cidr: "255.255.255.255/32", inner: "255.255.255.255", want: true },
    { cidr: "255.255.255.255/32", inner: "255.255.255.254", want: false },
    { cidr: "10.1.2.3/8", inner: "10.255.255.255", want: true },
    { cidr: "10.1.2.3/31", inner: "10.1.2.4", want: false },
    { cidr: "10.0.0.0/8", inner: "::ffff:10.1.2.3", want: true },
    { cidr: "10.0.0.0/8", inner: "2001:db8::1", want: false },
    { cidr: "::/0", inner: "1.2.3.4", want: false },
    { cidr: "2001:db8::/32", inner: "2001:db8:ffff::1", want: true },
    { cidr: "::ffff:10.0.0.0/104", inner: "10.1.2.3", want: true },
  ])("$cidr contains $inner: $want", ({ cidr, inner, want }) => {
    expect(call("net.cidr_contains", cidr, inner)).toBe(want);
    expect(call("net.cidr_overlap", cidr, inner)).toBe(want);
  });

  test.for([
    { operands: ["10.0.0.0", "10.0.0.1"], want: "invalid CIDR address: 10.0.0.0" },
    { operands: ["10.0.0.0/33", "10.0.0.1"], want: "invalid CIDR address: 10.0.0.0/33" },
    { operands: ["10.0.0.0/8", "x"], want: "not a valid textual representation of an IP address or CIDR: x" },
  ])("$want", ({ operands, want }) => expect(() => call("net.cidr_contains", ...operands)).toThrow(want));
});

test("net.cidr_intersects", () => {
  expect(call("net.cidr_intersects", "10.0.0.0/8", "10.1.0.0/16")).toBe(true);
  expect(call("net.cidr_intersects", "10.1.0.0/16", "10.0.0.0/8")).toBe(true);
  expect(call("net.cidr_intersects", "10.0.0.0/16", "10.1.0.0/16")).toBe(false);
});

test("net.cidr_is_valid", () => {
  expect(call("net.cidr_is_valid", "1.2.3.4/08")).toBe(true);
  expect(call("net.cidr_is_valid", "1.2.3.4/32")).toBe(true);
  expect(call("net.cidr_is_valid", "2001:db8::/129")).toBe(false);
  for (const text of ["1.2.3.4/-1", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4", "01.2.3.4/8", "1.2.3/8", "/8", "1.2.3.4/8/8"])
    expect(call("net.cidr_is_valid", text)).toBe(false);
  expect(call("net.cidr_is_valid", 1)).toBe(false);
});

describe("net.cidr_contains_matches", () => {
  test.for([
    { cidrs: "1.1.1.0/24", ips: "1.1.1.128", want: [["1.1.1.0/24", "1.1.1.128"]] },
    { cidrs: ["1.1.2.0/24", ["1.1.1.0/24", "x"]], ips: ["1.1.1.128"], want: [[1, 0]] },
    { cidrs: { a: "1.1.1.0/24", b: ["1.1.2.0/24", 1] }, ips: RegoSet.of(["1.1.2.1"]), want: [["b", "1.1.2.1"]] },
    { cidrs: RegoObject.of([[1, "1.1.1.0/24"]]), ips: [["1.1.1.0/25"]], want: [[1, 0]] },
    { cidrs: [], ips: ["bad"], want: [] },
  ] as { cidrs: Value; ips: Value; want: Value }[])("$cidrs over $ips", ({ cidrs, ips, want }) => {
    expect(list(call("net.cidr_contains_matches", cidrs, ips))).toEqual(want);
  });

  test.for([
    { operands: ["1.1.1.0/24", [1]], want: "operand 2: element must be string or non-empty array" },
    { operands: [[[]], "1.1.1.1"], want: "operand 1: element must be string or non-empty array" },
    { operands: [[[1]], "1.1.1.1"], want: "operand 1 must be string but got number" },
  ] as { operands: Value[]; want: string }[])("$want", ({ operands, want }) => {
    expect(() => call("net.cidr_contains_matches", ...operands)).toThrow(want);
  });
});

describe("net.cidr_expand", () => {
  test("lists all addresses", () => {
    expect(list(call("net.cidr_expand", "192.168.0.3/30"))).toEqual([
      "192.168.0.0",
      "192.168.0.1",
      "192.168.0.2",
      "192.168.0.3",
    ]);
    expect(list(call("net.cidr_expand", "::fffe/127"))).toEqual(["::fffe", "::ffff"]);
  });

  test("is bounded and charged for", () => {
    let spent = 0;
    const charged = caller(
      netBuiltins,
      builtinContext({
        spend: (steps) => {
          spent += steps;
        },
      }),
    );
    charged("net.cidr_expand", "10.0.0.0/22");
    expect(spent).toBe(1024);
    for (const cidr of ["10.0.0.0/11", "::/64", "::/0"])
      expect(() => call("net.cidr_expand", cidr)).toThrow("has more than 1048576 addresses");
  });
});

describe("net.cidr_merge", () => {
  // opa 1.20.2.
  test.for([
    { addrs: ["192.0.128.0/24", "192.0.129.0/24"], want: ["192.0.128.0/23"] },
    { addrs: ["10.0.0.0/24", "10.0.0.0/8", "10.0.0.0/24"], want: ["10.0.0.0/8"] },
    { addrs: ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"], want: ["10.0.1.0/24", "10.0.2.0/23"] },
    { addrs: ["1.2.3.4"], want: ["1.2.3.4/8"] },
    { addrs: ["240.0.0.1"], want: ["240.0.0.1/24"] },
    { addrs: ["1.2.3.4/16"], want: ["1.2.0.0/16"] },
    { addrs: ["2001:db8::/33", "2001:db8:8000::/33"], want: ["2001:db8::/32"] },
    { addrs: ["0.0.0.0/1", "128.0.0.0/1"], want: ["0.0.0.0/0"] },
    { addrs: [], want: [] },
  ])("$addrs", ({ addrs, want }) => {
    expect(list(call("net.cidr_merge", addrs))).toEqual(want);
    expect(list(call("net.cidr_merge", RegoSet.of(addrs)))).toEqual(want);
  });

  test.for([
    { addrs: [1], want: "element must be string" },
    { addrs: ["::1"], want: "IPv6 invalid: needs prefix length" },
    { addrs: ["1.2.3.4/99"], want: "invalid CIDR address: 1.2.3.4/99" },
    { addrs: "1.2.3.4/8", want: "operand must be an array" },
  ] as { addrs: Value; want: string }[])("$want", ({ addrs, want }) =>
    expect(() => call("net.cidr_merge", addrs)).toThrow(want),
  );
});

test("net.lookup_ip_addr asks nobody for an address", () => {
  expect(list(call("net.lookup_ip_addr", "2001:DB8::1"))).toEqual(["2001:db8::1"]);
});
