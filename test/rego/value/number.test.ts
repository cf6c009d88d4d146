import { describe, expect, test } from "vitest";
import {
  canonicalText,
  compareNumbers,
  divide,
  type NumberValue,
  numbersEqual,
  numberText,
  parseNumber,
  plus,
  product,
  RegoNumber,
  sum,
  toBigInt,
  toInt64,
} from "../../../src/rego/value/index.ts";

const n = parseNumber;

describe("number text", () => {
  test.for(["0", "-0", "1", "-7", "1.5", "1.50", "1e2", "1E+3", "9007199254740993", "0.1234567890123456789", "1e-7"])(
    "%s keeps its text",
    (text) => expect(numberText(n(text))).toBe(text),
  );

  test.for([
    { text: "1", kind: "number" },
    { text: "0.25", kind: "number" },
    { text: "9007199254740993", kind: "bigint" },
    { text: "1.0", kind: "object" },
    // JavaScript prints this one alike, but it is an integer it cannot count with.
    { text: "1e+21", kind: "object" },
  ])("$text is held as $kind", ({ text, kind }) => expect(typeof n(text)).toBe(kind));
});

describe("equality and order", () => {
  test.for([
    ["1", "1.0"],
    ["100", "1e2"],
    ["1e+21", "1000000000000000000000"],
    ["0", "-0"],
    ["0.1", "0.10"],
    ["12345678901234567890", "1234567890123456789e1"],
    ["1e400", "10e399"],
  ])("%s equals %s", ([a, b]) => {
    expect(numbersEqual(n(a as string), n(b as string))).toBe(true);
    expect(compareNumbers(n(a as string), n(b as string))).toBe(0);
    expect(canonicalText(n(a as string))).toBe(canonicalText(n(b as string)));
  });

  test.for([
    ["9007199254740992", "9007199254740993"],
    ["-1e400", "-1e399"],
    ["0.1", "0.10000000000000000001"],
    ["10.0", "1e2"],
    ["1e999999999999", "1e9999999999999"],
  ])("%s is less than %s", ([a, b]) => {
    expect(compareNumbers(n(a as string), n(b as string))).toBeLessThan(0);
    expect(compareNumbers(n(b as string), n(a as string))).toBeGreaterThan(0);
    expect(numbersEqual(n(a as string), n(b as string))).toBe(false);
  });

  test("long runs of zeros cost no more than other digits", () => {
    const a = n(`1${"0".repeat(200_000)}1.5`);
    expect(compareNumbers(a, n(`1${"0".repeat(200_000)}1.50`))).toBe(0);
  });
});

describe("integers", () => {
  test.for([
    { text: "1e3", want: 1000n },
    { text: "2.50e1", want: 25n },
    { text: "2.0", want: 2n },
    { text: "2.5", want: undefined },
    { text: "1e100001", want: undefined }, // an integer, but too long to write out
  ])("$text as an integer", ({ text, want }) => expect(toBigInt(n(text))).toBe(want));

  // OPA v1/util/performance.go Atoi64
  test.for([
    { text: "10", want: 10n },
    { text: "10.00", want: 10n },
    { text: "-9223372036854775808", want: -9223372036854775808n },
    { text: "9223372036854775808", want: undefined },
    { text: "1e2", want: undefined },
    { text: "1.5", want: undefined },
    { text: "1.000000000000000000", want: undefined }, // 20 characters
  ])("$text as an int64", ({ text, want }) => expect(toInt64(n(text))).toBe(want));
});

describe("arithmetic", () => {
  const calculations: readonly (readonly [string, NumberValue, string])[] = [
    ["0.1 + 0.2", plus(n("0.1"), n("0.2")), "0.3"],
    ["1/3", divide(n("1"), n("3")), "0.33333333333333333334"],
    ["1e109 / 1e100", divide(n("1e109"), n("1e100")), "1000000000"],
    ["0.1 + 1e-400", plus(n("0.1"), n("1e-400")), "0.1"],
    ["1e30 + 1", plus(n("1e30"), n("1")), "1000000000000000000000000000001"],
    ["-0 + 0", plus(n("-0"), n("0")), "0"],
    ["sum", sum([n("9007199254740991"), n("1"), n("0.5")]), "9.0071992547409925e+15"],
    // OPA starts products of fractions from a float64.
    ["product", product([n("1.1"), n("3.3"), n("7")], () => {}), "25.410000000000004"],
  ];
  test.for(calculations)("%s", ([, got, want]) => expect(numberText(got)).toBe(want));

  test("magnitudes past all bounds are refused", () => {
    expect(() => plus(new RegoNumber("1e100000000"), new RegoNumber("0.5"))).toThrow("number out of range");
  });

  test("long products are paid for", () => {
    const spent: number[] = [];
    product([n("123456789012345678901234567890"), n("3")], (steps) => spent.push(steps));
    expect(spent).toEqual([1, 1]);
  });
});
