import { describe, expect, test } from "vitest";
import { cryptoBuiltins } from "../../../src/rego/builtins/crypto.ts";
import { builtinContext, caller } from "../../support/builtin-context.ts";

const call = caller(cryptoBuiltins);

describe("digests", () => {
  test.for([
    ["crypto.md5", "hello", "5d41402abc4b2a76b9719d911017c592"],
    ["crypto.sha1", "hello", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"],
    ["crypto.sha256", "hello", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"],
    ["crypto.sha256", "héllo 😀", "a53c56966616f0ec3ed9db7ea07a6034430149528bbaba8966c284f9373669c2"], // its UTF-8 bytes
  ] as const)("%s(%s)", ([name, text, want]) => {
    expect(call(name, text)).toBe(want);
  });

  test("charge long input to the budget", () => {
    let spent = 0;
    const charge = (steps: number) => {
      spent += steps;
    };
    const charged = caller(cryptoBuiltins, builtinContext({ spend: charge }));
    charged("crypto.sha256", "x".repeat(10 * 1024));
    expect(spent).toBe(10);
  });

  test("refuse what is not a string", () => {
    expect(() => call("crypto.md5", 1)).toThrow("operand 1 must be string but got number");
  });
});

describe("HMACs", () => {
  // RFC 2202 and RFC 4231, test case 2.
  test.for([
    ["crypto.hmac.md5", "750c783e6ab0b503eaa86e310a5db738"],
    ["crypto.hmac.sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"],
    ["crypto.hmac.sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"],
    [
      "crypto.hmac.sha512",
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
    ],
  ] as const)("%s", ([name, want]) => {
    expect(call(name, "what do ya want for nothing?", "Jefe")).toBe(want);
  });

  test.for([
    ["abc", "abc", true],
    ["abc", "abd", false],
    ["abc", "ab", false],
    ["", "", true],
  ] as const)("crypto.hmac.equal(%s, %s) is %s", ([a, b, want]) => {
    expect(call("crypto.hmac.equal", a, b)).toBe(want);
  });
});
