import { describe, expect, test } from "vitest";
import {
  compareTerms,
  importToText,
  parseModule,
  parseTerm,
  type Term,
  termToText,
} from "../../../src/rego/syntax/index.ts";

function term(text: string): Term {
  const { value, diagnostics } = parseTerm(text);
  if (value === undefined) throw new Error(diagnostics?.[0]?.message);
  return value;
}

// OPA: String() of v1/ast/term.go and policy.go
describe("terms as OPA prints them", () => {
  test.each([
    ["sets in order", '{"b", 2, null, [1], {1}, true, x, input.y}', '{null, true, 2, "b", x, input.y, [1], {1}}'],
    ["objects by key", '{"b": 1, "a": x}', '{"a": x, "b": 1}'],
    ["the last of equal keys", '{"a": 1, "b": 2, "a": 3}', '{"a": 3, "b": 2}'],
    ["words after a dot", 'data.a["b"]["c d"]["if"][x][0]', 'data.a.b["c d"]["if"][x][0]'],
    ["escapes in references", 'data["a\\nb"]["c\\"d"]', 'data["a\\nb"]["c"d"]'],
    ["Go's escapes in strings", '"\\u0007\\u0001é😀\\t"', '"\\a\\x01é😀\\t"'],
    ["numbers as written", "[1.50, 1e2, 12345678901234567890]", "[1.50, 1e2, 12345678901234567890]"],
    ["operators in a comprehension's head", "[(x + 1) | x := 1]", "[(x + 1) | assign(x, 1)]"],
  ])("%s", (_, text, want) => {
    expect(termToText(term(text))).toBe(want);
  });
});

test("imports", () => {
  const { value } = parseModule({ file: "t.rego", text: 'package a\nimport data.b["c-d"] as e\nimport input' });
  expect(value?.imports.map(importToText)).toEqual(['import data.b["c-d"] as e', "import input"]);
});

describe("order", () => {
  const ordered = [
    "null", "false", "true", "-1", "1", "1.5", '"a"', '"\ue000"', '"😀"', "x", "y", "data.a", "data.a.b", "[]", "[1]",
    "{}", '{"a": 1}', '{"a": 2}', "set()", "{1}", "[x | x]", "{x: x | x}", "{x | x}",
  ].map(term); // biome-ignore format: a list in order

  test("is total", () => {
    for (const [i, a] of ordered.entries()) {
      for (const [j, b] of ordered.entries()) expect(Math.sign(compareTerms(a, b))).toBe(Math.sign(i - j));
    }
  });

  test("does not look at the notation of numbers", () => {
    expect(compareTerms(term("1"), term("1.0"))).toBe(0);
  });
});
