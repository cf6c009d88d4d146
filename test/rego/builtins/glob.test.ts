import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { globBuiltins } from "../../../src/rego/builtins/glob.ts";
import { compileGlob } from "../../../src/rego/builtins/glob-matcher.ts";
import type { Value } from "../../../src/rego/value/index.ts";
import { caller } from "../../support/builtin-context.ts";

const call = caller(globBuiltins);

describe("glob.match", () => {
  // Each row was answered the same by opa 1.20.2.
  test.for([
    {
      pattern: "*.github.com",
      delimiters: [],
      yes: ["api.github.com", ".github.com"],
      no: ["api.cdn.github.com", "github.com"],
    },
    { pattern: "*:github:com", delimiters: [":"], yes: ["api:github:com"], no: ["a:b:github:com"] },
    {
      pattern: "api.**.com",
      delimiters: ["."],
      yes: ["api.github.com", "api.cdn.github.com", "api..com"],
      no: ["api.com"],
    },
    { pattern: "*", delimiters: null, yes: ["", "a.b/c"], no: [] },
    { pattern: "*", delimiters: ["/"], yes: ["", "a.b"], no: ["a/b"] },
    { pattern: "?at", delimiters: ["."], yes: ["cat", "😀at"], no: ["at", ".at"] },
    { pattern: "[abc]at", delimiters: null, yes: ["cat"], no: ["lat"] },
    { pattern: "[!cb]at", delimiters: null, yes: ["lat"], no: ["cat"] },
    { pattern: "[a-c]at", delimiters: null, yes: ["cat"], no: ["lat"] },
    { pattern: "[!a-c]at", delimiters: null, yes: ["lat"], no: ["cat"] },
    { pattern: "{cat,bat,[fr]at}", delimiters: null, yes: ["cat", "bat", "fat", "rat"], no: ["at", "lat"] },
    { pattern: "{a,{b,c}*}d", delimiters: ["/"], yes: ["ad", "bd", "cxd"], no: ["d", "c/d"] },
    { pattern: "\\{a\\,b\\}", delimiters: null, yes: ["{a,b}"], no: ["a"] },
    { pattern: "{a,b", delimiters: null, yes: ["a", "b"], no: ["{a,b"] },
    { pattern: "a,b}", delimiters: null, yes: ["a,b}"], no: [] },
    { pattern: "/v[0-9]/*", delimiters: ["/"], yes: ["/v1/users"], no: ["/v1/users/1", "/vx/users"] },
    { pattern: "a*b*c", delimiters: ["/", "."], yes: ["abc", "axbxc"], no: ["a/bc", "ab.c"] },
    { pattern: "", delimiters: null, yes: [""], no: ["a"] },
    { pattern: "a**/b", delimiters: ["/"], yes: ["a/b", "ax/y/b"], no: ["ab"] },
    { pattern: "[\\]]", delimiters: null, yes: ["]"], no: ["\\"] },
  ])("$pattern between $delimiters", ({ pattern, delimiters, yes, no }) => {
    expect(yes.filter((text) => call("glob.match", pattern, delimiters, text) !== true)).toEqual([]);
    expect(no.filter((text) => call("glob.match", pattern, delimiters, text) !== false)).toEqual([]);
  });

  test("a text shorter than both ends together does not match", () => {
    // gobwas's shortcut says it does.
    expect(call("glob.match", "ab*bc", null, "abc")).toBe(false);
    expect(call("glob.match", "ab*bc", ["/"], "abc")).toBe(false);
  });

  test.for([
    { pattern: "[a", want: "unexpected end of input" },
    { pattern: "[", want: "unexpected end of input" },
    { pattern: "[]", want: "could not parse range" },
    { pattern: "[c-a]", want: "hi character 'a' should be greater than lo 'c'" },
    { pattern: "[a-z0-9]", want: "expected close range character" },
    { pattern: "x".repeat(70_000), want: "pattern is longer than 65536 characters" },
    { pattern: "{".repeat(2000), want: "pattern nests too deeply" },
  ])("refuses: $want", ({ pattern, want }) => expect(() => call("glob.match", pattern, null, "x")).toThrow(want));

  test.for([
    { delimiters: [1], want: "operand 2 must be array of strings but got array containing number" },
    { delimiters: ["ab"], want: "operand 2 must be array of runes but got array containing string" },
    { delimiters: "x", want: "operand 2 must be one of {array, null} but got string" },
  ] as { delimiters: Value; want: string }[])("$want", ({ delimiters, want }) => {
    expect(() => call("glob.match", "x", delimiters, "x")).toThrow(want);
  });
});

test("glob.quote_meta escapes what has a meaning", () => {
  expect(call("glob.quote_meta", "*?\\[]{},!-a")).toBe("\\*\\?\\\\\\[\\]\\{\\},!-a");
});

test("matching takes time in proportion to pattern and text", () => {
  const text = `${"a".repeat(5000)}c`;
  expect(compileGlob("*a".repeat(50) + "b", ["/"])(text)).toBe(false);
  expect(compileGlob("{a,aa,*}".repeat(50) + "b", ["/"])(text)).toBe(false);
});

describe("the short ways", () => {
  type Piece = string | { readonly run: "*" | "**" };

  /** The definition, tried out piece by piece. */
  function slowly(pieces: readonly Piece[], delimiters: readonly string[], text: string): boolean {
    const [piece, ...rest] = pieces;
    if (piece === undefined) return text === "";
    if (typeof piece === "string") return text.startsWith(piece) && slowly(rest, delimiters, text.slice(piece.length));
    for (let length = 0; length <= text.length; length++) {
      if (piece.run === "*" && delimiters.some((delimiter) => text.slice(0, length).includes(delimiter))) return false;
      if (slowly(rest, delimiters, text.slice(length))) return true;
    }
    return false;
  }

  const literal = fc.stringMatching(/^[ab/.]{1,3}$/);
  const pieces = fc.array(fc.oneof(literal, fc.constantFrom<Piece>({ run: "*" }, { run: "**" })), { maxLength: 6 });
  const delimiters = fc.constantFrom([], ["/"], ["/", "."]);

  test("patterns of texts and runs match what their definition says", () => {
    fc.assert(
      fc.property(
        pieces,
        delimiters,
        fc.array(fc.stringMatching(/^[ab/.]{0,8}$/), { minLength: 1, maxLength: 5 }),
        (list, stops, texts) => {
          const joined = list.filter((piece, i) => typeof piece === "string" || typeof list[i - 1] !== "object");
          const pattern = joined.map((piece) => (typeof piece === "string" ? piece : piece.run)).join("");
          const glob = compileGlob(pattern, stops);
          // Alternatives take the long way.
          const long = compileGlob(`${pattern}{,}`, stops);
          for (const text of texts) {
            const want = slowly(joined, stops, text);
            expect([pattern, stops, text, glob(text), long(text)]).toEqual([pattern, stops, text, want, want]);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});
