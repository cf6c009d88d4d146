import { describe, expect, test } from "vitest";
import {
  formatModule,
  MAX_DEPTH,
  MAX_SOURCE_LENGTH,
  moduleToJson,
  parseModule,
  termToText,
  walkModule,
} from "../../../src/rego/syntax/index.ts";

const AND_OR = "import future.keywords\n";

/** Texts whose trees grow with `n`. Those named bad never close what they open. */
const SHAPES: readonly (readonly [string, (n: number) => string])[] = [
  ["arrays", (n) => `x := ${"[".repeat(n)}1${"]".repeat(n)}`],
  ["sets", (n) => `x := ${"{".repeat(n)}1${"}".repeat(n)}`],
  ["objects", (n) => `x := ${'{"a":'.repeat(n)}1${"}".repeat(n)}`],
  ["parentheses", (n) => `x := ${"(".repeat(n)}1${")".repeat(n)}`],
  ["calls", (n) => `x := ${"f(".repeat(n)}1${")".repeat(n)}`],
  ["references", (n) => `x := ${"a[".repeat(n)}1${"]".repeat(n)}`],
  ["sums", (n) => `x := 1${"+1".repeat(n)}`],
  ["sums in products in arrays", (n) => `x := ${"1+(1*[".repeat(n)}1${"])".repeat(n)}`],
  ["comprehensions", (n) => `x := ${"{x|x=".repeat(n)}1${"}".repeat(n)}`],
  ["every", (n) => `x if { ${"every x in y { ".repeat(n)} true ${"}".repeat(n)} }`],
  ["not", (n) => `${AND_OR}x if { ${"not { ".repeat(n)} true ${"}".repeat(n)} }`],
  ["and", (n) => `${AND_OR}x if { a ${" and a".repeat(n)} }`],
  ["groups", (n) => `${AND_OR}x if { ${"(a and ".repeat(n)} a ${")".repeat(n)} }`],
  ["braces in comprehensions", (n) => `${AND_OR}x if { ${"{ x | x = ".repeat(n)} a ${"}".repeat(n)} }`],
  ["braces in parentheses", (n) => `${AND_OR}x if { ${"({".repeat(n)} a ${"})".repeat(n)} }`],
  ["else", (n) => `x := 1 if a ${" else := 2 if b".repeat(n)}`],
  ["template strings", (n) => `x := ${'$"{'.repeat(n)}1${'}"'.repeat(n)}`],
  ["calls of results", (n) => `x := f(1)${".g(1)".repeat(n)}`],
  ["bad braces", (n) => `x if ${"{".repeat(n)}`],
  ["bad comprehensions", (n) => `x if ${"{x|".repeat(n)}`],
  ["bad object comprehensions", (n) => `x if ${"{x:y|".repeat(n)}`],
  ["bad groups", (n) => `${AND_OR}x if ${"({ x | ".repeat(n)}`],
  ["bad not", (n) => `${AND_OR}x if ${"not {".repeat(n)}`],
  ["bad and", (n) => `${AND_OR}x if { ${"a and {".repeat(n)}`],
];

describe("nesting", () => {
  test.each(SHAPES)("%s: any depth ends in a module or a diagnostic, soon", (_, text) => {
    for (const n of [20, 120, MAX_DEPTH, 5000]) {
      const started = performance.now();
      const { value, diagnostics } = parseModule({ file: "t.rego", text: `package a\n${text(n)}\n` });
      expect(value ?? diagnostics?.[0]?.code).toBeDefined();
      if (value !== undefined) {
        walkModule(value, {});
        moduleToJson(value);
        for (const { head } of value.rules) if (head.value !== undefined) termToText(head.value);
      }
      expect(performance.now() - started).toBeLessThan(2000);
    }
  });

  test.each(SHAPES.filter(([name]) => !name.startsWith("bad")))("%s: 50 levels are fine", (_, text) => {
    const { value, diagnostics } = parseModule({ file: "t.rego", text: `package a\n${text(50)}\n` });
    expect(diagnostics).toBeUndefined();
    expect(value && formatModule(value)).toContain("package a");
  });

  test("too deep is said in OPA's words", () => {
    const { diagnostics } = parseModule({ file: "t.rego", text: `package a\nx := ${"[".repeat(MAX_DEPTH)}` });
    expect(diagnostics?.[0]).toMatchObject({
      code: "rego_parse_error",
      message: "max parsing recursion depth exceeded",
    });
  });
});

describe("size", () => {
  test("a source may not be longer than the limit", () => {
    const { diagnostics } = parseModule({ file: "t.rego", text: " ".repeat(MAX_SOURCE_LENGTH + 1) });
    expect(diagnostics?.[0]?.message).toBe(`source is longer than ${MAX_SOURCE_LENGTH} characters`);
  });

  test.each([
    ["items", (n: number) => `x := [${"{1, 2},".repeat(n)}]`],
    ["distinct members", (n: number) => `x := {${Array.from({ length: n }, (_, i) => i).join(",")}}`],
    ["rules", (n: number) => "x if { a; b }\n".repeat(n)],
    ["comments", (n: number) => "# a\n".repeat(n)],
    ["one line of strings", (n: number) => `x := ["${"a".repeat(n)}"]`],
    ["words that are no statement", (n: number) => "x ".repeat(n)],
  ])("time grows with the number of %s, not with its square", (_, text) => {
    const started = performance.now();
    parseModule({ file: "t.rego", text: `package a\n${text(30_000)}` });
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
