import { describe, expect, test } from "vitest";
import { decodeBase64, decodeBase64Url, encodeBase64, encodeBase64Url } from "../../src/base/index.ts";

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

describe("decodeBase64", () => {
  test.for([
    ["", ""],
    ["Zg==", "f"],
    ["Zm8=", "fo"],
    ["Zm9v", "foo"],
    ["Zm\n9v\r\n", "foo"],
    ["Zg=\n=\n", "f"],
    ["Zh==", "f"], // surplus bits are ignored unless Go's Strict() is asked for
  ] as const)("%j", ([encoded, want]) => {
    expect(text(decodeBase64(encoded))).toBe(want);
  });

  // Positions from Go's encoding/base64 (decodeQuantum).
  test.for([
    ["!", 0],
    ["Zm9v!", 4],
    ["Z", 0],
    ["Zm9vZg", 4],
    ["=", 0],
    ["Z===", 1],
    ["Zg=", 3],
    ["Zg=x", 2],
    ["Zg==x", 4],
    ["Zm8=x", 4],
    ["Zm-v", 2],
    ["Zmé", 2],
  ] as const)("%j is illegal at byte %i", ([encoded, at]) => {
    expect(() => decodeBase64(encoded)).toThrow(`illegal base64 data at input byte ${at}`);
  });
});

describe("decodeBase64Url", () => {
  test.for([
    ["_-8", "\xff\xef"],
    ["_-8=", "\xff\xef"],
    ["Zg", "f"],
  ] as const)("%j", ([encoded, want]) => {
    expect(text(decodeBase64Url(encoded))).toBe(want);
  });

  test("no text has this length", () => {
    expect(() => decodeBase64Url("abcde")).toThrow("illegal base64url string: abcde");
  });
});

test("encoding is node's", () => {
  for (let length = 0; length < 40; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 97 + length * 31) & 255);
    expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
    expect(encodeBase64Url(bytes)).toBe(Buffer.from(bytes).toString("base64url"));
    expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes);
  }
});
