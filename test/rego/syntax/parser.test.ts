import { describe, expect, test } from "vitest";
import { locationText } from "../../../src/base/index.ts";
import {
  bodyToText,
  type Diagnostic,
  type Module,
  parseModule,
  parseQuery,
  parseRef,
  parseTerm,
  type Rule,
  ruleRefToText,
  termToText,
} from "../../../src/rego/syntax/index.ts";

function module(text: string, version: "v0" | "v1" = "v1"): Module {
  const { value, diagnostics } = parseModule({ file: "t.rego", text: `package t\n${text}` }, { version });
  if (value === undefined) throw new Error(diagnostics?.map(({ message }) => message).join("\n"));
  return value;
}

function rules(text: string, version: "v0" | "v1" = "v1"): readonly Rule[] {
  return module(text, version).rules;
}

function errors(text: string, version: "v0" | "v1" = "v1"): readonly string[] {
  const { diagnostics = [] } = parseModule({ file: "t.rego", text }, { version });
  return diagnostics.map(({ at, message }: Diagnostic) => `${at?.row}:${at?.col} ${message}`);
}

/** A rule as OPA would print its parts. */
function shape(rule: Rule): string {
  const { head } = rule;
  const parts = [rule.default ? "default " : "", ruleRefToText(rule)];
  if (head.args !== undefined) parts.push(`(${head.args.map(termToText).join(", ")})`);
  if (head.isSet && head.key !== undefined) parts.push(` contains ${termToText(head.key)}`);
  else if (head.key !== undefined) parts.push(` key ${termToText(head.key)}`);
  if (head.value !== undefined) parts.push(` ${head.assign ? ":=" : "="} ${termToText(head.value)}`);
  if (!rule.generatedBody && !rule.default) parts.push(` if { ${bodyToText(rule.body)} }`);
  if (rule.else !== undefined) parts.push(` else ${shape(rule.else)}`);
  return parts.join("");
}

describe("rules of v1", () => {
  test.each([
    ["p := 1", "p := 1"],
    ["p = 1", "p = 1"],
    ["p if x", "p = true if { x }"],
    ["p if { x; y }", "p = true if { x; y }"],
    ["p if {x}", "p = true if { x }"],
    ['p if {"a": 1}', 'p = true if { {"a": 1} }'],
    ["p if {x | y}", "p = true if { {x | y} }"],
    ["p contains x if y", "p contains x if { y }"],
    ["p contains 1", "p contains 1"],
    ["p[x] := 1 if y", "p[x] key x := 1 if { y }"],
    ["p[x] if y", "p[x] key x = true if { y }"],
    ['p["a"] if y', "p.a = true if { y }"],
    ["p.q.r := 1", "p.q.r := 1"],
    ["p.q[x].r[y] := 1 if z", "p.q[x].r[y] := 1 if { z }"],
    ["p[x] contains y if z", "p[x] contains y if { z }"],
    ["f(x, 1) := y if z", "f(x, 1) := y if { z }"],
    ["a.b.f(x) if z", "a.b.f(x) = true if { z }"],
    ["default p := 1", "default p := 1"],
    ["default f(_) := {x | y}", "default f(_) := {x | y}"],
    ["p := 1 if x else := 2 if y else := 3", "p := 1 if { x } else p := 2 if { y } else p := 3"],
    ["if.x := 1", 'if.x key "x" := 1'],
    ["p := x if some x in [1]", "p := x if { some x in [1] }"],
  ])("%s", (text, want) => {
    expect(rules(text).map(shape)).toEqual([want]);
  });

  test("chained bodies share a head", () => {
    expect(rules("f(_) := 1 if { x } { y }").map(shape)).toEqual(["f(_) := 1 if { x }", "f(_) := 1 if { y }"]);
  });
});

describe("rules of v0", () => {
  test.each([
    ["p { x }", "p = true if { x }"],
    ["p[x] { y }", "p contains x if { y }"],
    ["p.x { y }", 'p contains "x" if { y }'],
    ["p[x] = y { z }", "p[x] key x = y if { z }"],
    ["a.b.c", "a.b.c = true"],
    ["p[1]", "p contains 1"],
    ["p = 1", "p = 1"],
    ["f(x) = 1", "f(x) = 1"],
    ["f(x)", "f(x) = true"],
    ["p { x } else = 2 { y }", "p = true if { x } else p = 2 if { y }"],
  ])("%s", (text, want) => {
    expect(rules(text, "v0").map(shape)).toEqual([want]);
  });

  test.each(["if", "contains", "in", "every"])("%s is a name until it is imported", (word) => {
    expect(rules(`${word} := 1`, "v0").map(shape)).toEqual([`${word} := 1`]);
  });

  test("import rego.v1 makes a module v0v1", () => {
    const parsed = module("import rego.v1\np contains x if x := 1", "v0");
    expect([parsed.version, parsed.rules.map(shape)]).toEqual(["v0v1", ["p contains x if { assign(x, 1) }"]]);
  });
});

describe("expressions", () => {
  test.each([
    ["x := 1", "assign(x, 1)"],
    ["x = y", "x = y"],
    ["a - b - c", "minus(minus(a, b), c)"],
    ["a + b * c == d | e & f", "equal(plus(a, mul(b, c)), or(d, and(e, f)))"],
    ["a == b == c", "equal(equal(a, b), c)"],
    ["(a + b) * c", "mul(plus(a, b), c)"],
    ["x in xs", "internal.member_2(x, xs)"],
    ["k, v in xs", "internal.member_3(k, v, xs)"],
    ["1 + 2 in xs == true", "internal.member_2(plus(1, 2), equal(xs, true))"],
    ["[(k, v in xs)]", "[internal.member_3(k, v, xs)]"],
    ["-x", "minus(0, x)"],
    ["- 5", "-5"],
    [".5 + -.5", "plus(.5, -.5)"],
    ["1.50", "1.50"],
    ["not x with input as 1 with data.a as 2", "not x with input as 1 with data.a as 2"],
    ["some x, y", "some x, y"],
    ["some k, v in xs", "some k, v in xs"],
    ["every k, v in xs { k; v }", "every k, v in xs { k; v }"],
    ["f(x)[0].a(1)", "f(x)[0].a(1)"],
    ["[1, 2][0]", "[1, 2][0]"],
    ["{[x] | x := 1}", "{[x] | assign(x, 1)}"],
    ["[x | y]", "[x | y]"],
    ["[a | b, c]", "[or(a, b), c]"],
    ["{a | b, c}", "{c, or(a, b)}"],
    ["{k: v | y}", "{k: v | y}"],
    ["{k: (v | y)}", "{k: or(v, y)}"],
    ["[, 1, 2,]", "[1, 2]"],
    ["{3, 1, 2, 1.0}", "{1, 2, 3}"],
    ["set()", "set()"],
    ["{}", "{}"],
    ["[_, _]", "[_, _]"],
    ["input", "input"],
    ["data.a[input.x].if", 'data.a[input.x]["if"]'],
    ['$"a {x} {1} {"s"} \\{"', '$"a {x} 1 s \\{"'],
    ['"\\u0041\\n"', '"A\\n"'],
    ["`a\\n`", '"a\\\\n"'],
  ])("%s", (text, want) => {
    const { value, diagnostics } = parseQuery(text);
    expect(diagnostics).toBeUndefined();
    expect(value?.map((expr) => bodyToText([expr]))).toEqual([want]);
  });

  // `future.keywords.not/and/or`: OPA 1.17 and later
  test.each([
    ["not { x; y }", "not {x; y}"],
    ["not x", "not x"],
    ["not (a or b)", "not (a or b)"],
    ["a and b or c and d", "a and b or c and d"],
    ["a and (b or c)", "a and (b or c)"],
    ["{ a; b } or c", "{ a; b } or c"],
    ["a and b with input as 1", "a and b with input as 1"],
    ["(a with input as 1) and b", "(a with input as 1) and b"],
    ["and(x, y)", "and(x, y)"],
  ])("%s", (text, want) => {
    const { value } = parseQuery(text, { futureKeywords: ["not", "and", "or"] });
    expect(value && bodyToText(value)).toBe(want);
  });
});

describe("errors", () => {
  test.each([
    ["", "0:0 empty module"],
    ["p := 1", "1:1 package expected"],
    ["package a\npackage b", "2:1 unexpected package"],
    ["package foo.", "1:12 unexpected eof token: expected identifier"],
    ["package foo.\np", "2:0 unexpected whitespace token: expected identifier"],
    ["package a\np { x }", "2:1 `if` keyword is required before rule body"],
    ["package a\np[x] { x := 1 }", "2:1 `if` keyword is required before rule body"],
    ["package a\na.b.c", "2:1 rule must have value assignment and/or body declaration"],
    ["package a\np := [x | ]", "2:11 found empty body"],
    ["package a\np if { a b }", "2:10 unexpected identifier token: expected \\n or ; or }"],
    ["package a\np := 01", "2:6 unexpected number token: expected number without leading zero"],
    ["package a\ndefault p := x", "2:1 illegal default rule (value cannot contain var)"],
    ["package a\ndefault f(1) := 1", "2:1 illegal default rule (arguments cannot contain number)"],
    [
      "package a\nimport foo.bar",
      "2:8 unexpected import path, must begin with one of: {data, future, input, rego}, got: foo (hint: if this is unexpected, try updating OPA)",
    ],
    [
      "package a\nimport data.if",
      "2:13 unexpected import path, must not end with a keyword, got: if (hint: import a different path or use an alias)",
    ],
    [
      "package a\nimport future.keywords.nope",
      "2:8 unexpected keyword, must be one of [and contains every if in not or]",
    ],
    ["package a\np := 1e1000000", "2:6 number too big"],
  ])("%j", (text, want) => {
    expect(errors(text)[0]).toBe(want);
  });

  test("the line and a caret are shown below", () => {
    const { diagnostics } = parseModule({ file: "t.rego", text: "package a\n\tp := ]" });
    expect(diagnostics?.[0]).toMatchObject({ code: "rego_parse_error", details: ["p := ]", "     ^"] });
  });

  test.each([
    ["package a\np { some x in [1] }", "`import future.keywords.in` for `some x in xs` expressions"],
    ["package a\np { every x in [1] { x } }", "`import future.keywords.every` for `every x in xs { ... }` expressions"],
    ["package a\np { x in [1] }", "`import future.keywords.in` for `x in xs` expressions"],
    ["package a\np if { true }", "`import future.keywords.if` for `p if { ... }` rules"],
  ])("v0 names the missing import: %j", (text, hint) => {
    expect(errors(text, "v0")[0]).toContain(`(hint: ${hint})`);
  });
});

describe("places", () => {
  const [rule] = rules("p contains y if {\n\tsome x in (data.a[_] | {1})\n\ty := x.z with input as 1\n}");
  const [some, assign] = rule?.body ?? [];

  test.each([
    ["rule", rule?.at, 2, 1, "p contains y if {\n\tsome x in (data.a[_] | {1})\n\ty := x.z with input as 1\n}"],
    ["head", rule?.head.at, 2, 1, "p contains y"],
    ["some", some?.at, 3, 2, "some x in (data.a[_] | {1})"],
    ["assign", assign?.at, 4, 2, "y := x.z with input as 1"],
    ["with", assign?.with[0]?.at, 4, 11, "with input as 1"],
  ])("of a %s", (_, at, row, col, text) => {
    expect(at && [at.row, at.col, locationText(at)]).toEqual([row, col, text]);
  });

  test("an infix call stands where its left operand stands, and spans its parentheses", () => {
    const value = parseTerm("[(a + b)]").value;
    const at = value?.kind === "array" ? value.items[0]?.at : undefined;
    expect(at && [at.col, locationText(at)]).toEqual([3, "(a + b)"]);
  });
});

describe("single terms", () => {
  test("parseTerm reads constants", () => {
    const { value } = parseTerm('{"a": [1, {2}]}');
    expect(value && termToText(value)).toBe('{"a": [1, {2}]}');
  });

  test.each([
    ["1; 2", "expected exactly one term but got: 1; 2"],
    ["x = 1", "expected term but got x = 1"],
  ])("parseTerm refuses %j", (text, want) => {
    expect(parseTerm(text).diagnostics?.[0]?.message).toBe(want);
  });

  test("parseRef wants a reference", () => {
    const { value } = parseRef("data.a[x]");
    expect(value && termToText(value)).toBe("data.a[x]");
    expect(parseRef("x").diagnostics?.[0]?.message).toBe("expected ref but got x");
  });

  test("an empty query is an empty body", () => {
    expect(parseQuery(" # nothing\n").value).toEqual([]);
  });
});

describe("capabilities", () => {
  test.each([
    [
      "template strings",
      'p := $"x"',
      { features: ["rego_v1"] },
      "template strings are not supported by current capabilities",
    ],
    ["keywords in refs", "p := input.if", { features: ["rego_v1"] }, "unexpected if keyword: expected identifier"],
    ["v1 itself", "p := 1", { features: [] }, "illegal capabilities: rego_v1 feature required for parsing v1 Rego"],
    [
      "future keywords",
      "import future.keywords.or",
      { allowedKeywords: ["not"] },
      "unexpected keyword, must be one of [contains every if in not]",
    ],
    ["unknown keywords", "p := 1", { allowedKeywords: ["nope"] }, "illegal capabilities: unknown keyword: nope"],
  ])("%s", (_, text, options, want) => {
    const { diagnostics } = parseModule({ file: "t.rego", text: `package a\n${text}` }, options);
    expect(diagnostics?.[0]?.message).toBe(want);
  });
});
