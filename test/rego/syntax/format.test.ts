import { describe, expect, test } from "vitest";
import { type FormatOptions, formatModule, parseModule } from "../../../src/rego/syntax/index.ts";

function format(text: string, options: FormatOptions = {}): string {
  const version = options.target === undefined || options.target === "v1" ? "v1" : "v0";
  const { value, diagnostics } = parseModule({ file: "t.rego", text }, { version });
  if (value === undefined) throw new Error(diagnostics?.[0]?.message);
  return formatModule(value, options);
}

// Outputs of `opa fmt` 1.20.2.
describe("layout", () => {
  test.each([
    ["spaces and braces", "package a\np   :=1 if {x;y}", "package a\n\np := 1 if {\n\tx\n\ty\n}\n"],
    ["one literal stays on its line", "package a\np if {  x }", "package a\n\np if x\n"],
    [
      "imports are sorted in their groups",
      "package a\nimport data.c\nimport data.b\n\nimport data.a\np := 1",
      "package a\n\nimport data.b\nimport data.c\n\nimport data.a\n\np := 1\n",
    ],
    [
      "adjacent one-liners stay together",
      "package a\np := 1\nq := 2\n\n\nr := 3",
      "package a\n\np := 1\nq := 2\n\nr := 3\n",
    ],
    ["lists break where they did", "package a\np := [1,2,\n3]", "package a\n\np := [\n\t1, 2,\n\t3,\n]\n"],
    ["objects", 'package a\np := {"b":1,\n"a":2}', 'package a\n\np := {\n\t"b": 1,\n\t"a": 2,\n}\n'],
    ["else", "package a\np := 1 if x else := 2 if y", "package a\n\np := 1 if x\n\nelse := 2 if y\n"],
    [
      "else on its brace's line",
      "package a\np := 1 if {\n\tx\n} else := 2 if {\n\ty\n}",
      "package a\n\np := 1 if {\n\tx\n} else := 2 if {\n\ty\n}\n",
    ],
    ["raw strings and numbers as written", "package a\np := [`a\\n`, 1.50]", "package a\n\np := [`a\\n`, 1.50]\n"],
    ["parentheses", "package a\np := (1+2)*3", "package a\n\np := (1 + 2) * 3\n"],
    ["comprehensions", "package a\np := {x|x:=1;x>0}", "package a\n\np := {x | x := 1; x > 0}\n"],
    [
      "with",
      "package a\np if q with input as 1 with data.x as 2",
      "package a\n\np if q with input as 1 with data.x as 2\n",
    ],
    ["template strings", 'package a\np := $"a {  x+1 } \\{"', 'package a\n\np := $"a {x + 1} \\{"\n'],
    ["constants in template strings", 'package a\np := $"{ 1 }{ true }{"b"}"', 'package a\n\np := $"1trueb"\n'],
    [
      "constants with a comment in template strings",
      'package a\np := $"{ # c\n42}"',
      'package a\n\np := $"{ # c\n\t42}"\n',
    ],
  ])("%s", (_, text, want) => {
    expect(format(text)).toBe(want);
  });
});

describe("comments", () => {
  test.each([
    ["above", "package a\n# c\np := 1", "package a\n\n# c\np := 1\n"],
    ["at the end of a line", "package a\np := 1 # c", "package a\n\np := 1 # c\n"],
    [
      "in a body",
      "package a\np if {\n\t# one\n\tx # two\n\t# three\n}",
      "package a\n\np if {\n\t# one\n\tx # two\n\t# three\n}\n",
    ],
    [
      "in a list",
      "package a\np := [\n\t1, # one\n\t# two\n\t2,\n]",
      "package a\n\np := [\n\t1, # one\n\t# two\n\t2,\n]\n",
    ],
    ["at the end", "package a\n\n# end", "package a\n\n# end\n"],
    ["beside an import", "package a\nimport data.b # c", "package a\n\nimport data.b # c\n"],
  ])("%s", (_, text, want) => {
    expect(format(text)).toBe(want);
  });

  test("a membership that every goes through keeps its brackets", () => {
    // opa fmt 1.20.2 leaves them out, and refuses what it has written.
    expect(format("package a\np if { every x in (1 in [[1]]) { x } }")).toBe(
      "package a\n\np if every x in (1 in [[1]]) { x }\n",
    );
  });

  test("code is never lost where a comment has no place", () => {
    // opa fmt 1.20.2 writes `1 in []` here.
    expect(format("package a\np if {\n\t1 in [\n# a\n# b\n1]\n}")).toBe(
      "package a\n\np if {\n\t1 in [\n# a\n# b\n1]\n}\n",
    );
  });
});

describe("languages", () => {
  const V0 = "package a\np[x] { x = 1 }\nq = 2 { every_thing }";

  test.each([
    ["v0", "package a\n\np[x] {\n\tx = 1\n}\n\nq = 2 {\n\tevery_thing\n}\n"],
    ["v0v1", "package a\n\nimport rego.v1\n\np contains x if x = 1\nq := 2 if every_thing\n"],
  ] as const)("v0 source as %s", (target, want) => {
    expect(format(V0, { target })).toBe(want);
  });

  test("imports that v1 makes superfluous are dropped on request", () => {
    const text = "package a\nimport rego.v1\nimport future.keywords.in\nimport data.b\np := 1";
    expect(format(text, { dropV0Imports: true })).toBe("package a\n\nimport data.b\n\np := 1\n");
  });
});
