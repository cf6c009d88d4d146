import fc from "fast-check";
import { RE2JS } from "re2js";
import { describe, expect, test } from "vitest";
import { compileQuickTest } from "../../../src/rego/builtins/regex-dfa.ts";

describe("plain patterns are taken", () => {
  test.for([
    { pattern: "^/api/.*$", yes: ["/api/", "/api/x"], no: ["/ap", "x/api/", "/api/\nx"] },
    {
      pattern: "^/v[0-9]+/(users|orders)(/[^/]+)?$",
      yes: ["/v1/users", "/v22/orders/é"],
      no: ["/v/users", "/v1/users/1/2"],
    },
    { pattern: "^/api/.*", yes: ["/api/", "/api/\n"], no: ["/ap"] },
    { pattern: "\\.html$", yes: ["x.html"], no: ["x.htmlx", "xhtml"] },
    { pattern: "^a\\.b$", yes: ["a.b"], no: ["axb", "a.b\n"] },
    { pattern: "/x/", yes: ["a/x/b", "😀/x/"], no: ["/x"] },
    { pattern: "admin|root", yes: ["xadminx", "root"], no: ["adm", ""] },
    { pattern: "", yes: ["", "x"], no: [] },
    { pattern: "^$", yes: [""], no: ["x"] },
    { pattern: "$^", yes: [""], no: ["x"] },
    { pattern: "^a{2,3}$", yes: ["aa", "aaa"], no: ["a", "aaaa"] },
    { pattern: "^[\\w.+-]+@[a-z\\d]+\\.(?:com|org)$", yes: ["a.b+c@d1.org"], no: ["@d.org", "a@d.net"] },
    { pattern: "^[]a]$", yes: ["]", "a"], no: ["b"] },
    { pattern: "^[^\\s]+$", yes: ["a\u00a0b", "\u000b"], no: ["a b"] },
    { pattern: "(?P<n>x)(?<m>y)", yes: ["axy"], no: ["ax"] },
    { pattern: "^(a*)*b$", yes: ["b", "aaab"], no: ["aaa"] },
    { pattern: "\\A\\d{3}\\z", yes: ["123"], no: ["1234"] },
    { pattern: "a.c", yes: ["abc", "aéc"], no: ["a\nc"] },
  ])("$pattern", ({ pattern, yes, no }) => {
    const quick = compileQuickTest(pattern);
    expect(yes.filter((text) => quick?.(text) !== true)).toEqual([]);
    expect(no.filter((text) => quick?.(text) !== false)).toEqual([]);
  });
});

test.for([
  "(?i)a",
  "\\bfoo",
  "\\pL",
  "[[:alpha:]]",
  "é",
  "\\Qa\\E",
  "\\x41",
  "a{",
  "(?s).",
  "(?m)^a",
  "a{500}{3}",
  "x".repeat(2000),
])("%s is left to RE2", (pattern) => {
  expect(compileQuickTest(pattern)).toBeUndefined();
});

test("texts with surrogates are left to RE2, unless decided before", () => {
  const quick = compileQuickTest("^a.c");
  expect(quick?.("a😀c")).toBeUndefined();
  expect(quick?.("abc😀")).toBe(true);
  expect(quick?.("b😀")).toBe(false);
});

test("an automaton that grows too large is left to RE2", () => {
  const quick = compileQuickTest("(a|b)*a(a|b){14}$");
  let chance = 1;
  const text = Array.from({ length: 60_000 }, () => {
    chance = (chance * 48_271) % 0x7fff_ffff;
    return chance % 2 === 0 ? "a" : "b";
  }).join("");
  expect(quick?.(text)).toBeUndefined();
  expect(quick?.("ab")).toBeUndefined();
});

/** Patterns of everything this matcher knows and some things it does not. */
const atom = fc.constantFrom(
  "a",
  "b",
  "c",
  "ab",
  ".",
  "[ab]",
  "[^a]",
  "[a-c]",
  "[^a-b\\d]",
  "\\d",
  "\\w",
  "\\s",
  "\\W",
  "\\D",
  "\\.",
  "1",
  " ",
  "^",
  "$",
  "\\A",
  "\\z",
  "\\n",
  "[\\w-]",
  "[-a]",
  "[a\\-c]",
  "-",
  "]",
  "\\b",
  "(?i)B",
  "é",
);
const { pattern } = fc.letrec<{ pattern: string; sequence: string; piece: string }>((tie) => ({
  pattern: fc.array(tie("sequence"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("|")),
  sequence: fc.array(tie("piece"), { maxLength: 4 }).map((parts) => parts.join("")),
  piece: fc
    .tuple(
      fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        atom,
        tie("pattern").map((inner) => `(${inner})`),
        tie("pattern").map((inner) => `(?:${inner})`),
      ),
      fc.constantFrom("", "", "", "*", "+", "?", "*?", "+?", "{2}", "{1,2}", "{0}", "{2,}", "{0,2}?"),
    )
    .map(([part, times]) => part + times),
}));
const text = fc
  .array(fc.constantFrom("a", "b", "c", "1", " ", "\n", ".", "-", "]", "é", "B", "😀"), { maxLength: 8 })
  .map((chars) => chars.join(""));

test("where it decides, it decides as RE2 does", () => {
  let decided = 0;
  fc.assert(
    fc.property(pattern, fc.array(text, { minLength: 1, maxLength: 6 }), (source, texts) => {
      let reference: RE2JS;
      try {
        reference = RE2JS.compile(source);
      } catch {
        return; // what RE2 refuses never comes here
      }
      const quick = compileQuickTest(source);
      for (const sample of ["", ...texts]) {
        const verdict = quick?.(sample);
        if (verdict === undefined) continue;
        decided++;
        expect([source, sample, verdict]).toEqual([source, sample, reference.test(sample)]);
      }
    }),
    { numRuns: Number(process.env["RUNS"] ?? 1000) },
  );
  expect(decided).toBeGreaterThan(500);
});
