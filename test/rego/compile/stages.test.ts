import { describe, expect, test } from "vitest";
import { bodyToText, termToText } from "../../../src/rego/syntax/index.ts";
import { programOf } from "./compiling.ts";

/** The last rule of a module as `head if body`. */
function lastRule(text: string, options: Parameters<typeof programOf>[1] = {}): string {
  const { rules } = programOf(`package test\n${text}`, options);
  const { rule } = rules[rules.length - 1] as (typeof rules)[number];
  const { args, key, value } = rule.head;
  const head = [
    termToText(rule.head.reference),
    args === undefined ? "" : `(${args.map(termToText).join(", ")})`,
    key === undefined || value !== undefined ? "" : ` contains ${termToText(key)}`,
    value === undefined ? "" : ` := ${termToText(value)}`,
  ];
  return `${head.join("")} if ${bodyToText(rule.body)}`;
}

describe("names are resolved", () => {
  test.for([
    { why: "rules of the package", text: "a := 1\np if a == 1", want: "p := true if data.test.a = 1" },
    { why: "imports", text: "import data.x.y as z\np if z.a", want: "p := true if data.x.y.a" },
    { why: "imports of input", text: "import input.u\np if u == 1", want: "p := true if input.u = 1" },
    {
      why: "locals hide rules",
      text: "a := 1\np if { a := 2; a == 2 }",
      want: "p := true if __local0__ = 2; __local0__ = 2",
    },
    { why: "arguments hide rules", text: "a := 1\nf(a) if a == 2", want: "f(__local0__) := true if __local0__ = 2" },
    {
      why: "operators",
      text: "f(x) := x\np := f(1)",
      want: "p := __local1__ if data.test.f(1, __local1__)",
    },
  ])("$why", ({ text, want }) => {
    expect(lastRule(text)).toBe(want);
  });
});

describe("locals get names of their own", () => {
  test.for([
    { why: "some", text: "p if { some x; input[x] == 1 }", want: "p := true if input[__local0__] = 1" },
    {
      why: "some in",
      text: "p contains x if some x in input.xs",
      want: "p contains __local1__ if __local1__ = input.xs[__local0__]",
    },
    {
      why: "some with key and pattern",
      text: "p contains [k, y] if some k, [1, y] in input.xs",
      want: "p contains [__local0__, __local1__] if [1, __local1__] = input.xs[__local0__]",
    },
    {
      why: "comprehensions are scopes",
      text: "p := [x | x := 1] if { x := 2; x == 2 }",
      want: "p := __local2__ if __local1__ = 2; __local1__ = 2; __local2__ = [__local0__ | __local0__ = 1]",
    },
    {
      why: "every",
      text: "p if every k, v in input.o { k != v }",
      want: "p := true if __local2__ = input.o; every __local0__, __local1__ in __local2__ { neq(__local0__, __local1__) }",
    },
    {
      why: "a variable named as a builtin",
      text: "p if { count = 1; count > 0 }",
      want: "p := true if __local0__ = 1; gt(__local0__, 0)",
    },
    {
      why: "names that policies took",
      text: "p if { __local0__ = 1; x := __local0__; x > 0 }",
      want: "p := true if __local0__ = 1; __local1__ = __local0__; gt(__local1__, 0)",
    },
  ])("$why", ({ text, want }) => {
    expect(lastRule(text)).toBe(want);
  });
});

describe("expressions are flattened from left to right", () => {
  test.for([
    {
      why: "nested calls",
      text: "p := count(split(input.x, lower(input.y)))",
      want: "p := __local2__ if __local3__ = input.y; lower(__local3__, __local0__); __local4__ = input.x; split(__local4__, __local0__, __local1__); count(__local1__, __local2__)",
    },
    {
      why: "calls in a comprehension's head stay inside",
      text: "p := [abs(x) | x = input[_]]",
      want: "p := __local1__ if __local1__ = [__local0__ | x = input[_]; abs(x, __local0__)]",
    },
    {
      why: "with goes with what it was written on",
      text: 'p if count(input.x) > 1 with input as {"x": [data.y]}',
      want: 'p := true if __local2__ = data.y; __local1__ = {"x": [__local2__]}; __local3__ = input.x with input as __local1__; count(__local3__, __local0__) with input as __local1__; gt(__local0__, 1) with input as __local1__',
    },
    {
      why: "a function as replacement is not evaluated",
      text: "f(_) := 1\np if count([]) > 0 with count as f",
      want: "p := true if count([], __local1__) with count as data.test.f; gt(__local1__, 0) with count as data.test.f",
    },
    {
      why: "refs into literals",
      text: "p := [1, 2][input.i]",
      want: "p := __local1__ if __local0__ = [1, 2]; __local2__ = input.i; __local1__ = __local0__[__local2__]",
    },
    {
      why: "the head's dynamic parts",
      text: "p[input.x] := input.y",
      want: "p[__local0__] := __local1__ if __local0__ = input.x; __local1__ = input.y",
    },
    { why: "== in a rule is unification, once safe", text: "p if input.x == 1", want: "p := true if input.x = 1" },
  ])("$why", ({ text, want }) => {
    expect(lastRule(text)).toBe(want);
  });
});

describe("bodies are put in an order that binds", () => {
  test.for([
    {
      why: "negation last",
      text: "p if { not input[x]; x = input.y }",
      want: "p := true if x = input.y; not input[x]",
    },
    {
      why: "operands before calls",
      text: "p if { count(x, n); x = input.y; n > 1 }",
      want: "p := true if x = input.y; count(x, n); gt(n, 1)",
    },
    {
      why: "closures after what they use",
      text: "p if { count([1 | input[x]]) > 0; x = input.y }",
      want: "p := true if x = input.y; __local1__ = [1 | input[x]]; count(__local1__, __local0__); gt(__local0__, 0)",
    },
    {
      why: "otherwise as written",
      text: "p if { input.a; input.b; input.c }",
      want: "p := true if input.a; input.b; input.c",
    },
  ])("$why", ({ text, want }) => {
    expect(lastRule(text)).toBe(want);
  });
});

describe("print", () => {
  test("is erased by default", () => {
    expect(lastRule("p if { print(input.x); input.y }")).toBe("p := true if input.y");
    expect(lastRule("p if print(1)")).toBe("p := true if true");
  });

  test("captures operands, so that undefined ones do not fail the body", () => {
    expect(lastRule("p if print(input.x, 1)", { keepPrint: true })).toBe(
      "p := true if __local2__ = {__local0__ | __local0__ = input.x}; __local3__ = {__local1__ | __local1__ = 1}; internal.print([__local2__, __local3__])",
    );
  });
});

describe("template strings", () => {
  test("capture what may be undefined", () => {
    expect(lastRule('p := $"a {input.x} b"')).toBe(
      'p := __local1__ if __local2__ = {__local0__ | __local0__ = input.x}; internal.template_string(["a ", __local2__, " b"], __local1__)',
    );
  });

  test("take variables and always defined rules as they are", () => {
    expect(lastRule('default d := 1\np := $"{x}{d}" if x = 1')).toBe(
      "p := __local0__ if x = 1; __local1__ = data.test.d; internal.template_string([{x}, {__local1__}], __local0__)",
    );
  });
});

describe("rego.metadata", () => {
  test("calls become constants", () => {
    const text = "# METADATA\n# title: T\np := rego.metadata.rule()";
    expect(lastRule(text)).toBe(
      'p := __local0__ if __local1__ = {"scope": "rule", "title": "T"}; __local0__ = __local1__',
    );
  });

  test("annotations are read when they were not parsed", () => {
    const text = "# METADATA\n# title: T\np := rego.metadata.chain()[0].path";
    expect(lastRule(text, { annotations: false })).toContain(
      '{"annotations": {"scope": "rule", "title": "T"}, "path": ["test", "p"]}',
    );
  });
});
