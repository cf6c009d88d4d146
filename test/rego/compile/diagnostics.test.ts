import { describe, expect, test } from "vitest";
import type { Value } from "../../../src/rego/value/index.ts";
import { diagnosticsOf, programOf, queryDiagnosticsOf, shown } from "./compiling.ts";

/** What OPA 1.20.2 reports for the same text (`opa check`), by the stage that finds it. */
const REFUSED: readonly {
  readonly why: string;
  readonly text: string;
  readonly want: readonly string[];
  readonly strict?: boolean;
  readonly version?: "v0" | "v1";
}[] = [
  {
    why: "an argument named input",
    text: "f(input) := 1",
    want: ["2:1 rego_compile_error: args must not shadow input (use a different variable name)"],
  },
  {
    why: "a rule named data",
    text: "data := 1",
    want: ["2:1 rego_compile_error: rules must not shadow data (use a different rule name)"],
  },
  {
    why: "a local named input",
    text: "p if { input := 1; input == 1 }",
    want: ["2:8 rego_compile_error: variables must not shadow input (use a different variable name)"],
  },
  {
    why: "an import twice",
    text: "import data.a\nimport input.a",
    want: ["3:1 rego_compile_error: import must not shadow import data.a"],
  },
  {
    why: "an unused import, when strict",
    text: "import data.a",
    want: ["2:1 rego_compile_error: import data.a unused"],
    strict: true,
  },
  {
    why: "an unused argument, when strict",
    text: "f(x) := 1",
    want: ["2:1 rego_compile_error: unused argument x. (hint: use _ (wildcard variable) instead)"],
    strict: true,
  },
  {
    why: "an unused assignment, when strict",
    text: "p if { x := 1 }",
    want: ["2:8 rego_compile_error: assigned var x unused"],
    strict: true,
  },
  { why: "an unused declaration", text: "p if { some x }", want: ["2:8 rego_compile_error: declared var x unused"] },
  {
    why: "an assignment twice",
    text: "p if { x := 1; x := 2 }",
    want: ["2:16 rego_compile_error: var x assigned above"],
  },
  {
    why: "a declaration after use",
    text: "p if { x == 1; some x }",
    want: ["2:16 rego_compile_error: var x referenced above"],
  },
  { why: "an argument assigned to", text: "f(x) if { x := 1 }", want: ["2:11 rego_compile_error: arg x redeclared"] },
  {
    why: "an assignment to a call",
    text: "p if { count(input) := 1 }",
    want: ["2:8 rego_compile_error: cannot assign to call"],
  },
  {
    why: "an assignment to a constant in a pattern",
    text: "p if { [1, x] := input.a; x }",
    want: ["2:9 rego_compile_error: cannot assign to number"],
  },
  {
    why: "an assignment under not",
    text: "p if { not x := 1 }",
    want: ["2:8 rego_compile_error: cannot assign vars inside negated expression"],
  },
  {
    why: "a call in an argument",
    text: "f(count(x)) := 1",
    want: ["2:3 rego_compile_error: rule arguments cannot contain calls"],
  },
  {
    why: "a function named by a local",
    text: "p if { f := 1; x := f(1); x }",
    want: ["2:21 rego_compile_error: called function f shadowed"],
  },
  { why: "print as a value", text: "p := print(1)", want: ["2:6 rego_type_error: print(1) used as value"] },
  {
    why: "a template of what nobody binds",
    text: 'p := $"{input[x]}"',
    want: ["2:9 rego_compile_error: var x is undeclared"],
  },
  { why: "an unknown function", text: "p if nope(1)", want: ["2:6 rego_type_error: undefined function nope"] },
  {
    why: "too many operands of a function",
    text: "f(x) := x\np if f(1, 2, 3)",
    want: ["3:6 rego_type_error: function data.test.f has arity 1, got 3 arguments"],
  },
  { why: "too few operands of a builtin", text: "p if split(1)", want: ["2:6 rego_type_error: split: arity mismatch"] },
  { why: "an unbound variable", text: "p if x == 1", want: ["2:6 rego_unsafe_var_error: var x is unsafe"] },
  { why: "an unbound variable of the head", text: "p := x", want: ["2:6 rego_unsafe_var_error: var x is unsafe"] },
  {
    why: "a wildcard nothing binds",
    text: "p if not input[_] == _",
    want: ["2:6 rego_unsafe_var_error: var _ is unsafe", "2:6 rego_unsafe_var_error: var _ is unsafe"],
  },
  {
    why: "a variable only a closure binds",
    text: "p if { count([1 | x = 1]) > 0; x > 1 }",
    want: ["2:8 rego_unsafe_var_error: var x is unsafe"],
  },
  {
    why: "a keyword that was not imported",
    text: "p { every == 1 }",
    want: [
      "2:5 rego_unsafe_var_error: var every is unsafe (hint: `import future.keywords.every` to import a future keyword)",
    ],
    version: "v0",
  },
  {
    why: "with on something else",
    text: "p if true with foo.bar as 1",
    want: ["2:16 rego_type_error: with keyword target must reference existing input, data, or a function"],
  },
  {
    why: "with on a part of a rule",
    text: "q := {}\np if true with data.test.q.x as 1",
    want: ["3:16 rego_compile_error: with keyword cannot partially replace virtual document(s)"],
  },
  {
    why: "with on a relation",
    text: "p if true with walk as 1",
    want: ["2:16 rego_compile_error: with keyword replacing built-in function: target must not be a relation"],
  },
  {
    why: "rules of two kinds",
    text: "p := 1\np contains 2",
    want: ["2:1 rego_type_error: conflicting rules data.test.p found"],
  },
  {
    why: "a rule below a rule",
    text: "p := {}\np.q.r := 1",
    want: ["2:1 rego_type_error: rule data.test.p conflicts with:\n  rule data.test.p.q.r at a.rego:3"],
  },
  {
    why: "two defaults",
    text: "default p := 1\ndefault p := 2",
    want: ["1:1 rego_type_error: multiple default rules data.test.p found at a.rego:2, a.rego:3"],
  },
  {
    why: "recursion",
    text: "p if q\nq if p",
    want: [
      "2:1 rego_recursion_error: rule data.test.p is recursive: data.test.p -> data.test.q -> data.test.p",
      "3:1 rego_recursion_error: rule data.test.q is recursive: data.test.q -> data.test.p -> data.test.q",
    ],
  },
  {
    why: "recursion through an unknown key",
    text: "p if data.test[input.x]",
    want: ["2:1 rego_recursion_error: rule data.test.p is recursive: data.test.p -> data.test.p"],
  },
  {
    why: "a deprecated builtin",
    text: "p if any([true])",
    want: ["2:6 rego_type_error: deprecated built-in function calls in expression: any"],
  },
];

describe("modules are refused for", () => {
  test.for(REFUSED)("$why", ({ text, want, strict = false, version = "v1" }) => {
    expect(diagnosticsOf(`package test\n${text}`, { strict, version }).map(shown)).toEqual(want);
  });

  test("a package below a rule of another module", () => {
    expect(diagnosticsOf(["package a\nb.c := 1", "package a.b.c\nx := 1"]).map(shown)).toEqual([
      "2:1 rego_type_error: rule data.a.b.c conflicts with:\n  rule data.a.b.c.x at b.rego:2",
      "1:1 rego_type_error: package a.b.c conflicts with rule b.c defined at a.rego:2",
    ]);
  });

  test("builtins the host forbids", () => {
    const unsafeBuiltins = new Set(["http.send"]);
    expect(diagnosticsOf('package test\np if http.send({"url": ""})', { unsafeBuiltins }).map(shown)).toEqual(
      diagnosticsOf('package test\np if http.send({"url": ""})').length === 0
        ? ["2:6 rego_type_error: unsafe built-in function calls in expression: http.send"]
        : ["2:6 rego_type_error: undefined function http.send"],
    );
  });

  test("hiding base documents, where these are given", () => {
    const text = "package a.b\np := 1\nq := 2\nr[x] := 3 if some x in input";
    const conflicts = (baseDocuments: Value): readonly string[] => diagnosticsOf(text, { baseDocuments }).map(shown);
    expect(conflicts({ a: { b: { p: null, other: 1 } } })).toEqual([
      "2:1 rego_compile_error: conflicting rule for data path a/b/p found",
    ]);
    expect(conflicts({ a: { b: {} }, p: 1 })).toEqual([]);
    expect(conflicts({ a: 1 })).toHaveLength(3);
  });

  test("print of what is not bound before it", () => {
    expect(diagnosticsOf("package test\np if { print(x); x = 1 }", { keepPrint: true }).map(shown)).toEqual([
      "2:14 rego_compile_error: var x is undeclared",
    ]);
  });
});

describe("findings", () => {
  test("stop at ten", () => {
    const text = `package test\n${Array.from({ length: 20 }, (_, i) => `p${i} := x${i}`).join("\n")}`;
    const found = diagnosticsOf(text);
    expect(found).toHaveLength(11);
    expect(found[10]).toMatchObject({ code: "rego_compile_error", message: "error limit reached", at: undefined });
    expect(diagnosticsOf(text, { errorLimit: 100 })).toHaveLength(20);
  });

  test("come from the first stage that has any, in the order of file names", () => {
    expect(diagnosticsOf(["package b\np := x", "package a\nq := y\nr := 1\nr contains 2"]).map(shown)).toEqual([
      "3:1 rego_type_error: conflicting rules data.a.r found",
    ]);
    expect(diagnosticsOf(["package b\np := x", "package a\nq := y"]).map(({ at }) => at?.source.name)).toEqual([
      "a.rego",
      "b.rego",
    ]);
  });

  test.for([
    { why: "a rule's name mistyped", text: "allowed := 1\np if alowed == 1", want: "did you mean allowed?" },
    {
      why: "a comparison meant as assignment",
      text: "p if { user == input.user; user != 1 }",
      want: "== compares and binds nothing: use := to assign",
    },
    {
      why: "a comparison meant to take an array apart",
      text: "p if { time.clock(1) == [h, m, s]; h + m + s > 1 }",
      want: "== compares and binds nothing: use := to assign, with the names on its left",
    },
    {
      why: "the same the other way round",
      text: "p if { [h, m] == input.x; h + m > 1 }",
      want: "== compares and binds nothing: use := to assign",
    },
  ])("advise on $why", ({ text, want }) => {
    expect(diagnosticsOf(`package test\n${text}`)[0]?.hint).toBe(want);
  });

  test("name the rule where a line holds several", () => {
    expect(diagnosticsOf("package test\np if { x == 2 } q if { true }").map(shown)).toEqual([
      "2:8 rego_unsafe_var_error: var x is unsafe in rule p",
    ]);
  });
});

describe("queries are refused for", () => {
  const program = programOf("package a\np := 1");
  test.for([
    { query: "x > 1", want: ["1:1 rego_unsafe_var_error: var x is unsafe"] },
    { query: "x := 1; x := 2", want: ["1:9 rego_compile_error: var x assigned above"] },
    { query: "nope(1)", want: ["1:1 rego_type_error: undefined function nope"] },
    { query: "p", want: ["1:1 rego_unsafe_var_error: var p is unsafe"] },
    { query: "", want: ["- rego_compile_error: empty query cannot be compiled"] },
  ])("$query", ({ query, want }) => {
    expect(queryDiagnosticsOf(query, program).map(shown)).toEqual(want);
  });

  test("the name of a rule, with advice where it is", () => {
    expect(queryDiagnosticsOf("p", program)[0]?.hint).toBe("rules are reached by their path: data.a.p");
    expect(queryDiagnosticsOf("a.p", program)[0]?.hint).toBe("packages are found below data: data.a");
  });
});
