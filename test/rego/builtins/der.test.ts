import { describe, expect, test } from "vitest";
import { DerError, DerReader, TAG, toInteger, toOid } from "../../../src/rego/builtins/der.ts";

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const reader = (hex: string) => new DerReader(bytes(hex));

describe("DerReader", () => {
  test.for([
    ["00", 0n],
    ["7f", 127n],
    ["0080", 128n],
    ["80", -128n],
    ["ff", -1n],
    ["ff7f", -129n],
    ["0102030405060708090a", 0x0102030405060708090an],
  ] as const)("integer %s is %s", ([hex, want]) => {
    expect(toInteger(bytes(hex))).toBe(want);
  });

  test.for([
    ["2a864886f70d010101", "1.2.840.113549.1.1.1"],
    ["551d11", "2.5.29.17"],
    ["883703", "2.999.3"],
  ] as const)("object identifier %s is %s", ([hex, want]) => {
    expect(toOid(bytes(hex)).join(".")).toBe(want);
  });

  test.for([
    ["17 0d 3130303130323033303430355a", "2010-01-02T03:04:05.000Z"],
    ["17 0d 3530303130323033303430355a", "1950-01-02T03:04:05.000Z"],
    ["18 0f 32303530303130323033303430355a", "2050-01-02T03:04:05.000Z"],
  ] as const)("time %s is %s", ([hex, want]) => {
    expect(new Date(reader(hex).readTime()).toISOString()).toBe(want);
  });

  // X.690 §8.1.3 and §10.1
  test.for([
    ["an indefinite length", "30 80 00 00"],
    ["a length that could be shorter", "04 81 01 00"],
    ["a length with a leading zero", "04 82 00 80"],
    ["content cut short", "04 05 00"],
    ["a multi-byte tag", "1f 81 00 00"],
    ["nothing at all", ""],
  ] as const)("refuses %s", ([, hex]) => {
    expect(() => reader(hex).readAny()).toThrow(DerError);
  });

  test.for([
    ["a boolean that is neither", () => reader("01 01 01").readBoolean()],
    ["a padded integer", () => reader("02 02 00 01").readInteger()],
    ["set padding bits", () => reader("03 02 01 01").readBitString()],
    ["a month that is none", () => reader("17 0d 3130313330323033303430355a").readTime()],
    ["another tag", () => reader("04 00").read(TAG.sequence)],
    ["an unfinished arc", () => toOid(bytes("2a86"))],
  ] as const)("refuses %s", ([, read]) => {
    expect(read).toThrow(DerError);
  });
});
