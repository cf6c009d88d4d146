import { describe, expect, test } from "vitest";
import { regexBuiltins } from "../../../src/rego/builtins/regex.ts";
import { caller } from "../../support/builtin-context.ts";

const call = caller(regexBuiltins);

describe("patterns", () => {
  // Go 1.26 regexp.Compile.
  test.for([
    { pattern: "(", want: "missing closing ): `(`" },
    { pattern: "[", want: "missing closing ]: `[`" },
    { pattern: "a)", want: "unexpected ): `a)`" },
    { pattern: "*", want: "missing argument to repetition operator: `*`" },
    { pattern: "a**", want: "invalid nested repetition operator: `**`" },
    { pattern: "a{1001}", want: "invalid repeat count: `{1001}`" },
    { pattern: "(?=x)", want: "invalid or unsupported Perl syntax: `(?=`" },
    { pattern: "(?<=x)", want: "invalid named capture: `(?<=x)`" },
    { pattern: "\\", want: "trailing backslash at end of expression: ``" },
    { pattern: "\\1", want: "invalid escape sequence: `\\1`" },
    { pattern: "\\Z", want: "invalid escape sequence: `\\Z`" },
    { pattern: "[z-a]", want: "invalid character class range: `z-a`" },
  ])("$pattern: $want", ({ pattern, want }) => {
    expect(() => call("regex.match", pattern, "x")).toThrow(`error parsing regexp: ${want}`);
    expect(call("regex.is_valid", pattern)).toBe(false);
  });

  test("is_valid takes anything", () => {
    expect(call("regex.is_valid", "(?P<a>x)(?<b>y)")).toBe(true);
    expect(call("regex.is_valid", 1)).toBe(false);
  });

  test("groups may share a name, as in Go", () => {
    expect(call("regex.replace", "ab-b", "[)](?P<x>z)|\\Q(\\E(?P<x>y)|(?P<n>a)(b)|(?P<n>b)", "<$n$4>")).toBe(
      "<ab>-<b>",
    );
  });

  test("overlong patterns are refused", () => {
    expect(() => call("regex.match", "a".repeat(70_000), "a")).toThrow("pattern is longer than 65536 characters");
  });

  test("a pattern that ruins backtracking engines is quick", () => {
    expect(call("regex.match", "^(a|aa|a?)+$", `${"a".repeat(20_000)}b`)).toBe(false);
  });
});

describe("find, split and replace", () => {
  // Go 1.26 regexp.
  test.for([
    { pattern: "a*", text: "baaac", all: ["", "aaa", ""], split: ["b", "c"], marked: "<>b<aaa>c<>" },
    { pattern: "x*", text: "日本", all: ["", "", ""], split: ["日", "本"], marked: "<>日<>本<>" },
    { pattern: "[ab]|$", text: "cab", all: ["a", "b"], split: ["c", "", ""], marked: "c<a><b>" },
    { pattern: "$", text: "a\n", all: [""], split: ["a\n"], marked: "a\n<>" },
    { pattern: "", text: "😀b", all: ["", "", ""], split: ["😀", "b"], marked: "<>😀<>b<>" },
    { pattern: "z", text: "ab", all: [], split: ["ab"], marked: "ab" },
    { pattern: "z", text: "", all: [], split: [""], marked: "" },
  ])("$pattern in $text", ({ pattern, text, all, split, marked }) => {
    expect(call("regex.find_n", pattern, text, -1)).toEqual(all);
    expect(call("regex.find_n", pattern, text, 1)).toEqual(all.slice(0, 1));
    expect(call("regex.find_n", pattern, text, 0)).toEqual([]);
    expect(call("regex.split", pattern, text)).toEqual(split);
    expect(call("regex.replace", text, pattern, "<$0>")).toBe(marked);
  });

  test("groups that took no part are empty", () => {
    expect(call("regex.find_all_string_submatch_n", "(a)(b)?", "abaa", -1)).toEqual([
      ["ab", "a", "b"],
      ["a", "a", ""],
      ["a", "a", ""],
    ]);
  });

  test.for([
    { template: "$1x", want: "-" },
    { template: ["$", "{1}x"].join(""), want: "ax-cx" },
    { template: "$first", want: "a-c" },
    { template: "$$", want: "$-$" },
    { template: "$", want: "$-$" },
    { template: "$9", want: "-" },
    { template: "$01", want: "-" },
    { template: ["$", "{"].join(""), want: ["$", "{-$", "{"].join("") },
    { template: "\\1", want: "\\1-\\1" },
  ])("template $template", ({ template, want }) => {
    expect(call("regex.replace", "ab-cd", "(?P<first>\\w)(\\w)", template)).toBe(want);
  });

  test("a result that explodes is refused", () => {
    expect(() => call("regex.replace", "a".repeat(10_000), "a", "b".repeat(100_000))).toThrow("result too large");
  });
});

describe("regex.template_match", () => {
  test.for([
    { template: "urn:foo:{.*}", text: "urn:foo:bar:baz", want: true },
    { template: "urn.foo:{[0-9]+}", text: "urnxfoo:1", want: false },
    { template: "a{[0-9]{2}}b", text: "a12b", want: true },
    { template: "plain", text: "plainx", want: false },
  ])("$template on $text: $want", ({ template, text, want }) => {
    expect(call("regex.template_match", template, text, "{", "}")).toBe(want);
  });

  test.for([
    { operands: ["a{b", "x", "{", "}"], want: 'unbalanced braces in "a{b"' },
    { operands: ["a}b", "x", "{", "}"], want: 'unbalanced braces in "a}b"' },
    { operands: ["a", "x", "<<", "}"], want: "start delimiter has to be exactly one character long but is 2 long" },
    { operands: ["a", "x", "{", ">>"], want: "end delimiter has to be exactly one character long but is 1 long" },
    { operands: ["{*}", "x", "{", "}"], want: "missing argument to repetition operator: `*`" },
    { operands: ["{a)(b}", "x", "{", "}"], want: "unexpected )" },
  ])("refuses: $want", ({ operands, want }) => expect(() => call("regex.template_match", ...operands)).toThrow(want));
});

describe("regex.globs_match", () => {
  // Verdicts of github.com/yashtewari/glob-intersection by way of opa 1.20.2, wrong ones included.
  test.for([
    { a: "a.a.[0-9]+z", b: "b.b.[0-9]+z", want: false },
    { a: "a.a.[0-9]+z", b: "a.b.[0-9]+z", want: false },
    { a: "[a-z]+", b: "[0-9]*", want: false },
    { a: "abcd[a-c]z+", b: "abcd[b-d][yz]*", want: true },
    { a: ".*", b: "", want: false },
    { a: "[ab]+c", b: "[bc]*", want: true },
    { a: "[bc]*b\\*a*", b: "[bc]*\\*[bc]*[ab]", want: true },
    { a: "a*b*c", b: "c", want: false },
    { a: ".*.*.*.*.*.*.*.*.*.*c", b: ".*.*.*.*.*.*.*.*.*.*d", want: false },
  ])("$a and $b: $want", ({ a, b, want }) => expect(call("regex.globs_match", a, b)).toBe(want));

  test.for([
    {
      pattern: "pqrs]",
      want: "input:pqrs], pos:5, set-close ']' with no preceding '[': the input provided is invalid",
    },
    { pattern: "*a", want: "flag '*' must be preceded by a non-flag" },
    { pattern: "a**", want: "flag '*' must be preceded by a non-flag" },
    { pattern: "[ab", want: "found [ without matching ]" },
    { pattern: "[-a]", want: "range character '-' must be preceded by a Unicode character" },
    { pattern: "[a-", want: "range character '-' must be followed by a Unicode character" },
    { pattern: "[b-a]", want: "range is out of order: 'a' comes before 'b' in Unicode" },
    { pattern: "a\\", want: "input ends with a \\ (escape) character" },
    { pattern: "a".repeat(600), want: "pattern is longer than 512 characters" },
  ])("refuses $pattern", ({ pattern, want }) => expect(() => call("regex.globs_match", pattern, "a")).toThrow(want));
});
