import { describe, expect, test } from "vitest";
import { CompileError, compile, EvalError, toJsonText, type Value } from "../../../src/rego/index.ts";

/** What `opa eval` 1.20.2 answers for `data.a.p`: a value, `undefined`, or the code of an error. */
const ROWS: readonly (readonly [why: string, text: string, want: string])[] = [
  // A set with an unbound variable in a reference compiles, and matches nothing (v1/topdown/eval.go, biunifyValues).
  ["a set as a pattern in a reference", "q contains {1}\np contains x if q[{x}]", "[]"],
  ["an array as a pattern in a reference", "q contains [4]\np contains x if q[[x]]", "[4]"],
  ["a set as a pattern below input", "p contains x if input.list[{x}]", "[]"],
  ["a set with a known variable in a reference", "m[{3}] := 4\np := m[{y}] if y := 3", "4"],
  // A rule whose indexed tests fail is not evaluated, whatever comes before them in its body (v1/ast/index.go).
  ["an absent reference hides a conflict before it", "f(_) := 1\nf(_) := 2\np if { f(1); input.missing }", "undefined"],
  ["a scalar that is no member hides it", 'f(_) := 1\nf(_) := 2\np if { f(1); "x" in input.list }', "undefined"],
  [
    "a scalar that is a member does not",
    'f(_) := 1\nf(_) := 2\np if { f(1); "y" in input.list }',
    "eval_conflict_error",
  ],
  ["a local in a constant set", "f(_) := 1\nf(_) := 2\np if { f(1); x := input.a; x in {3, 4} }", "undefined"],
  ["a local that is in it", "f(_) := 1\nf(_) := 2\np if { f(1); x := input.a; x in {1, 4} }", "eval_conflict_error"],
  [
    "a body that prints is never left out",
    "f(_) := 1\nf(_) := 2\np if { f(1); print(1); input.missing }",
    "eval_conflict_error",
  ],
  // Of an expression with closures the compiler only asks that these have what they need (v1/ast/compile.go, reorderBodyForSafety).
  ["an unbound operand beside a closure", "p if { v := input.list; [1 | v] != zz }", "eval_internal_error"],
  ["an unbound operand that is not reached", "p if { v := input.missing; [1 | v] != zz }", "undefined"],
  ["a member of what is unbound", "p if { v := input.list; [1 | v] != zz.foo }", "undefined"],
];

const INPUT: Value = { a: 1, list: ["y"] };

function outcome(text: string): string {
  const policy = compile({ modules: [{ file: "a.rego", text: `package a\n${text}` }], keepPrint: true });
  try {
    const value = policy.entrypoint(["a", "p"]).value({ input: INPUT });
    return value === undefined ? "undefined" : toJsonText(value);
  } catch (error) {
    if (!(error instanceof EvalError)) throw error;
    return error.code;
  }
}

describe("answers as OPA's", () => {
  test.each(ROWS)("%s", (_, text, want) => {
    expect(outcome(text)).toBe(want);
  });
});

// OPA takes the name for one of its own, and then crashes.
test("a variable that looks like a generated one must be bound like any other", () => {
  expect(() => outcome("p := __local0__ if { input.a }")).toThrow(CompileError);
  expect(() => outcome("p contains __local7__ if { input.a }")).toThrow(/var __local7__ is unsafe/);
  expect(outcome("p := __local0__ if { __local0__ := 2 }")).toBe("2");
});

// OPA compiles these, and dies of them.
test.each(["p := x if { x = {[3, x]} }", "p if { {x} = x }"])("nothing is a part of itself: %s", (text) => {
  expect(() => outcome(text)).toThrow(/rego_unsafe_var_error: var x is unsafe/);
});
