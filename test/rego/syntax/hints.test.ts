import { describe, expect, test } from "vitest";
import { parseModule } from "../../../src/rego/syntax/index.ts";

function hint(text: string, version: "v0" | "v1" = "v1"): string | undefined {
  return parseModule({ file: "t.rego", text }, { version }).diagnostics?.[0]?.hint;
}

describe("advice beyond OPA's words", () => {
  test.each([
    ["package a\np { true }", "write `if` before the body, as in `p if { … }`, or run with --v0-compatible"],
    ["package a\np[x] { x = 1 }", "write `if` before the body, as in `p if { … }`, or run with --v0-compatible"],
    ['package a\np["x"]', "write `p contains x if { … }`, or run with --v0-compatible"],
    ["package a\na.b.c", "give it a value, as in `p := true`, or a body, as in `p if { … }`"],
    ["package a\np == 1", "`==` compares. To define a rule, write `:=`"],
    ["package a\np", "a name alone is no rule: write `p := true` or `p if { … }`"],
    ["p := 1", "begin the file with `package` and a name, as in `package example`"],
    ["package a\np if !x", "negation is written `not x`"],
    [
      "package a\np if { x && y }",
      "conditions hold together when they stand on lines of their own, or between `;`. There is no `&&`",
    ],
    [
      "package a\np if { x || y }",
      "for alternatives write the rule once for each of them, or `import future.keywords.or`. There is no `||`",
    ],
    ["package a\np if { x or y }", "add `import future.keywords.or`, or write the rule once for each alternative"],
    ["package a\np := 'x'", "strings stand in double quotes, or in backticks if they are raw"],
    [
      'package a\np := "\\d"',
      "write the backslash twice, or the string in backticks, as in `\\d+` for a regular expression",
    ],
    ["package a\np := [", undefined],
  ])("%j", (text, want) => {
    expect(hint(text)).toBe(want);
  });
});

describe("policies in the other language", () => {
  test("v0 under v1", () => {
    expect(hint("package a\nin := 1")).toBe(
      "this is Rego v0: write it as v1 (with `if` and `contains`), or run with --v0-compatible",
    );
  });

  test("v1 under v0", () => {
    expect(hint("package a\np contains x if x := 1", "v0")).toBe(
      "this is Rego v1: add `import rego.v1`, or run without --v0-compatible",
    );
  });
});
