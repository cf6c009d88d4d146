import { describe, expect, test } from "vitest";
import { nodeBuiltins } from "../../../src/rego/builtins/node-registry.ts";
import { CompileError, compile, formatDiagnostic } from "../../../src/rego/engine/index.ts";
import { parseJson, type Value } from "../../../src/rego/value/index.ts";

function findings(body: string, schemas?: ReadonlyMap<string, Value>): readonly string[] {
  try {
    compile({
      modules: [{ file: "t.rego", text: `package t\n${body}\n` }],
      builtins: nodeBuiltins,
      annotations: true,
      ...(schemas !== undefined && { schemas }),
    });
    return [];
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    return error.diagnostics.map((diagnostic) => formatDiagnostic(diagnostic).replaceAll("\t", "  "));
  }
}

/**
 * Texts and details are those of `opa check` 1.20.2. Rows of findings about refs to rules are those of the refs themselves,
 * where OPA shows the last ref of the package.
 */
const CASES: readonly (readonly [name: string, policy: string, findings: readonly string[]])[] = [
  [
    "operands that never fit",
    `x := count(1)
y := sum([1, "a"])
z := concat(1, ["a"])`,
    [
      `t.rego:2: rego_type_error: count: invalid argument(s)
  have: (number, ???)
  want: (collection: any<string, array[any], object[any: any], set[any]>, n: number)`,
      `t.rego:3: rego_type_error: sum: invalid argument(s)
  have: (array<number, string>, ???)
  want: (collection: any<array[number], set[number]>, n: number)`,
      `t.rego:4: rego_type_error: concat: invalid argument(s)
  have: (number, array<string>, ???)
  want: (delimiter: string, collection: any<array[string], set[string]>, output: string)`,
    ],
  ],
  [
    "results that never fit",
    `p if count("a") == "x"
q if { x := count("a"); startswith(x, "a") }`,
    [
      `t.rego:2: rego_type_error: match error
  left  : number
  right : string`,
      `t.rego:3: rego_type_error: startswith: invalid argument(s)
  have: (number, string)
  want: (search: string, base: string, result: boolean)`,
    ],
  ],
  [
    "rules are checked after those they depend on",
    `a := b.x
b := {"x": 1}
c := a.y`,
    [
      `t.rego:4: rego_type_error: undefined ref: data.t.a.y
  data.t.a.y
  ^^^^^^^^
  have: number`,
    ],
  ],
  [
    "several definitions make a union",
    `a := 1 if input.x
a := "s" if input.y
b if a == true`,
    [
      `t.rego:4: rego_type_error: match error
  left  : any<number, string>
  right : boolean`,
    ],
  ],
  [
    "partial sets and objects",
    `s contains 1
s contains "a"
t if s[true]
o[k] := v if some k, v in {"a": 1}
u if o[1]
w if o.a.b`,
    [
      `t.rego:4: rego_type_error: undefined ref: data.t.s[true]
  data.t.s[true]
           ^
           have: true
           want (type): any<number, string>`,
      `t.rego:6: rego_type_error: undefined ref: data.t.o[1]
  data.t.o[1]
           ^
           have: 1
           want (type): string`,
      `t.rego:7: rego_type_error: undefined ref: data.t.o.a.b
  data.t.o.a.b
  ^^^^^^^^^^
  have: number`,
    ],
  ],
  [
    "members of rules with names in parts",
    `o.a := 1
o.b.c := "x"
p if o.a.z
q if o.b.c.d
r if o.other`,
    [
      `t.rego:4: rego_type_error: undefined ref: data.t.o.a.z
  data.t.o.a.z
  ^^^^^^^^^^
  have: number`,
      `t.rego:5: rego_type_error: undefined ref: data.t.o.b.c.d
  data.t.o.b.c.d
  ^^^^^^^^^^^^
  have: string`,
    ],
  ],
  [
    "functions",
    `f(x) := count(x)
g(x, y) := x + y
p if f(1, 2)
q if { y := f("a"); y.z }
r if g("a", 1) == "x"`,
    [
      `t.rego:4: rego_type_error: data.t.f: invalid argument(s)
  have: (number, number)
  want: (any<string, array[any], object[any: any], set[any]>, number)`,
      `t.rego:5: rego_type_error: undefined ref: y.z
  y.z
  ^
  have: number`,
      `t.rego:6: rego_type_error: data.t.g: invalid argument(s)
  have: (string, number, ???)
  want: (number, number, number)`,
    ],
  ],
  [
    "unused arguments may be anything",
    `f(_, [x]) := x
p if f({1}, ["a"])
q if f(1, {"a": 2})`,
    [
      `t.rego:4: rego_type_error: data.t.f: invalid argument(s)
  have: (number, object<a: number>)
  want: (any, array<any>, any)`,
    ],
  ],
  [
    "unions of function definitions",
    `f(1) := "a"
f("b") := 2
p if f(true)
q if f(1) == null`,
    [
      `t.rego:4: rego_type_error: data.t.f: invalid argument(s)
  have: (boolean)
  want: (any<number, string>, any<number, string>)`,
      `t.rego:5: rego_type_error: match error
  left  : any<number, string>
  right : null`,
    ],
  ],
  [
    "variables get types from both sides",
    `p if { [x, y] = [1, "a"]; x == y }
q if { {"a": x} = {"a": [1]}; x.b }`,
    [
      `t.rego:2: rego_type_error: match error
  left  : number
  right : string`,
      `t.rego:3: rego_type_error: undefined ref: x.b
  x.b
    ^
    have: "b"
    want (type): number`,
    ],
  ],
  [
    "comprehensions",
    `a := [x | x := input.a]
b := [x | x := 1]
c := {k: v | some k, v in ["a"]}
p if b[0].y
q if c[0].z
r if c["k"]`,
    [
      `t.rego:5: rego_type_error: undefined ref: data.t.b[0].y
  data.t.b[0].y
  ^^^^^^^^^^^
  have: number`,
      `t.rego:6: rego_type_error: undefined ref: data.t.c[0].z
  data.t.c[0].z
  ^^^^^^^^^^^
  have: string`,
      `t.rego:7: rego_type_error: undefined ref: data.t.c.k
  data.t.c.k
           ^
           have: "k"
           want (type): number`,
    ],
  ],
  [
    "errors in comprehensions come alone",
    `p if { x := [y | y := count(1)]; x == 1 }`,
    [
      `t.rego:2: rego_type_error: count: invalid argument(s)
  have: (number, ???)
  want: (collection: any<string, array[any], object[any: any], set[any]>, n: number)`,
    ],
  ],
  [
    "with replaces documents by any of both types",
    `a := 1
p if a == "x" with data.t.a as "x"
q if a == null with data.t.a as "x"
b := a + 1
r if b == "s" with data.t.a as 3`,
    [
      `t.rego:4: rego_type_error: match error
  left  : any<number, string>
  right : null`,
    ],
  ],
  ["with of input is not checked", `p if input.x == 1 with input as {"x": "a"}`, []],
  [
    "replacing functions",
    `f(x) := x
g(x, y) := x + y
h(x) := 1
p if f(1) with f as g
q if count("a") with count as g
r if count("a") with count as h
s if f(1) with f as 1`,
    [
      `t.rego:5: rego_type_error: data.t.f: arity mismatch
  have: (number, number)
  want: (any)`,
      `t.rego:6: rego_type_error: count: arity mismatch
  have: (number, number)
  want: (collection: any<string, array[any], object[any: any], set[any]>)`,
    ],
  ],
  [
    "functions are no values",
    `f(x) := x
a := f
b := [f]
c if f.x`,
    [
      `t.rego:3: rego_type_error: function data.t.f used as reference, not called
  data.t.f
  ^^^^^^^^
  have: (any) => any`,
      `t.rego:4: rego_type_error: function data.t.f used as reference, not called
  data.t.f
  ^^^^^^^^
  have: (any) => any`,
      `t.rego:5: rego_type_error: function data.t.f.x used as reference, not called
  data.t.f.x
  ^^^^^^^^
  have: (any) => any`,
    ],
  ],
  [
    "undefined functions",
    `p if nope(1)
q if input.f(1)
r := data.other.f(1)`,
    [
      `t.rego:2: rego_type_error: undefined function nope`,
      `t.rego:3: rego_type_error: undefined function input.f`,
      `t.rego:4: rego_type_error: undefined function data.other.f`,
    ],
  ],
  [
    "arity",
    `f(x) := x
a := f()
b := f(1, 2, 3)
c := count()
d := startswith("a")
e := count(1, 2, 3)`,
    [
      `t.rego:3: rego_type_error: function data.t.f has arity 1, got 0 arguments`,
      `t.rego:4: rego_type_error: function data.t.f has arity 1, got 3 arguments`,
      `t.rego:5: rego_type_error: count: arity mismatch
  have: (???)
  want: (collection: any<string, array[any], object[any: any], set[any]>)`,
      `t.rego:6: rego_type_error: startswith: arity mismatch
  have: (string, ???)
  want: (search: string, base: string)`,
      `t.rego:7: rego_type_error: count: arity mismatch
  have: (number, number, number, ???)
  want: (collection: any<string, array[any], object[any: any], set[any]>)`,
    ],
  ],
  [
    "bodies of every are checked for refs only",
    `a := {"x": 1}
p if every y in [1] { count(1) > y }
q if every y in [1] { a.z == y }`,
    [
      `t.rego:4: rego_type_error: undefined ref: data.t.a.z
  data.t.a.z
           ^
           have: "z"
           want (one of): ["x"]`,
    ],
  ],
  [
    "keys of packages are strings",
    `p if data[1]
q if data.t[1]
r if data.t[[1]]`,
    [
      `t.rego:3: rego_type_error: undefined ref: data.t[1]
  data.t[1]
         ^
         have (type): number
         want (one of): ["p"]`,
      `t.rego:4: rego_type_error: undefined ref: data.t[[1]]
  data.t[[1]]
         ^
         have (type): array<number>
         want (one of): ["p" "q"]`,
    ],
  ],
  [
    "dynamic keys",
    `a := {"x": 1, "y": "b"}
p if { k := 1; a[k] }
q if { k := "z"; a[k] }
r if { some k; a[k] == null }`,
    [
      `t.rego:3: rego_type_error: undefined ref: data.t.a[k]
  data.t.a[k]
           ^
           have (type): number
           want (one of): ["x" "y"]`,
      `t.rego:5: rego_type_error: match error
  left  : any<number, string>
  right : null`,
    ],
  ],
  [
    "sets look up their members",
    `a := {1, 2}
p if a["x"]
q if a[1].y
r if a[[1]]`,
    [
      `t.rego:3: rego_type_error: undefined ref: data.t.a.x
  data.t.a.x
           ^
           have: "x"
           want (type): number`,
      `t.rego:4: rego_type_error: undefined ref: data.t.a[1].y
  data.t.a[1].y
  ^^^^^^^^^^^
  have: number`,
      `t.rego:5: rego_type_error: undefined ref: data.t.a[[1]]
  data.t.a[[1]]
           ^
           have (type): array<number>
           want (type): number`,
    ],
  ],
  [
    "undefined keys are listed in order",
    `a := {"b": 1, "a": {"c": 2}} 
p if a.c
q if a.a.d`,
    [
      `t.rego:3: rego_type_error: undefined ref: data.t.a.c
  data.t.a.c
           ^
           have: "c"
           want (one of): ["a" "b"]`,
      `t.rego:4: rego_type_error: undefined ref: data.t.a.a.d
  data.t.a.a.d
             ^
             have: "d"
             want (one of): ["c"]`,
    ],
  ],
  [
    "membership",
    `p if 1 in "abc"
q if "a", 1 in ["a"]
r if { some x in 1; x }`,
    [
      `t.rego:4: rego_type_error: match error
  left  : ???
  right : ???`,
    ],
  ],
  [
    "recursive structures of rules",
    `a := {"x": b}
b := {"y": 1}
p if a.x.z
q if a.x.y.w`,
    [
      `t.rego:4: rego_type_error: undefined ref: data.t.a.x.z
  data.t.a.x.z
             ^
             have: "z"
             want (one of): ["y"]`,
      `t.rego:5: rego_type_error: undefined ref: data.t.a.x.y.w
  data.t.a.x.y.w
  ^^^^^^^^^^^^
  have: number`,
    ],
  ],
];

describe("type checker", () => {
  test.for(CASES)("%s", ([, policy, want]) => {
    expect(findings(policy)).toEqual(want);
  });
});

describe("schemas", () => {
  const schemas = new Map<string, Value>([
    ["schema", parseJson('{"properties": {"user": {"type": "string"}, "n": {"type": "integer"}}}')],
    ["schema.acl", parseJson('{"properties": {"alice": {"type": "array", "items": {"type": "string"}}}}')],
    ["schema.broken", parseJson('{"type": "nope"}')],
  ]);

  test("of the input", () => {
    expect(findings("p if input.user == 1\nq if input.nope\nr if input.n == 1", schemas)).toEqual([
      "t.rego:2: rego_type_error: match error\n  left  : string\n  right : number",
      't.rego:3: rego_type_error: undefined ref: input.nope\n  input.nope\n        ^\n        have: "nope"\n        want (one of): ["n" "user"]',
    ]);
  });

  test("of documents, where an annotation applies", () => {
    const annotated =
      "# METADATA\n# schemas:\n# - data.acl: schema.acl\np if data.acl.alice == 1\nq if data.acl.alice == 1";
    expect(findings(annotated, schemas)).toEqual([
      "t.rego:5: rego_type_error: match error\n  left  : array[string]\n  right : number",
    ]);
  });

  test("in place", () => {
    const annotated = "# METADATA\n# schemas:\n# - input.x: {type: boolean}\np if input.x == 1";
    expect(findings(annotated)).toEqual([
      "t.rego:5: rego_type_error: match error\n  left  : boolean\n  right : number",
    ]);
  });

  test.for<readonly [string, string]>([
    ["schema.other", "undefined schema: schema.other"],
    ["schema.broken", "has a primitive type that is NOT VALID"],
  ])("%s cannot be used", ([name, message]) => {
    const [finding] = findings(`# METADATA\n# schemas:\n# - input: ${name}\np := 1`, schemas);
    expect(finding).toContain(message);
  });
});
