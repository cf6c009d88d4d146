import { expect, test } from "vitest";
import { isYamlTooDeep } from "../../src/base/index.ts";

const SHAPES: readonly (readonly [string, (n: number) => string])[] = [
  ["sequences in brackets", (n) => `${"[".repeat(n)}1${"]".repeat(n)}`],
  ["maps in braces", (n) => `${"{a: ".repeat(n)}1${"}".repeat(n)}`],
  ["brackets that are not closed", (n) => "[".repeat(n)],
  ["sequences in one line", (n) => `${"- ".repeat(n)}1`],
  ["keys in one line", (n) => `${"? ".repeat(n)}1`],
  [
    "maps by indentation",
    (n) => `${Array.from({ length: n }, (_, i) => `${" ".repeat(i)}a:\n`).join("")}${" ".repeat(n)}1`,
  ],
  [
    "sequences by indentation",
    (n) => Array.from({ length: n }, (_, i) => `${"  ".repeat(i)}- a: 1\n${"  ".repeat(i)}  b:\n`).join(""),
  ],
];

test.each(SHAPES)("%s: few levels pass, many do not", (_, text) => {
  expect(isYamlTooDeep(text(20))).toBe(false);
  expect(isYamlTooDeep(text(150))).toBe(false);
  expect(isYamlTooDeep(text(500))).toBe(true);
  expect(isYamlTooDeep(text(2000))).toBe(true);
});

test.each([
  ["many brackets side by side", "[1], ".repeat(5000).replace(/^/, "[").concat("]")],
  ["brackets in quotes", `a: "${"[".repeat(5000)}"`],
  ["brackets in a block of text", `a: |\n${`  ${"[".repeat(500)}\n`.repeat(3)}b: 1`],
  ["text far to the right", `a: |\n${" ".repeat(500)}x\nb: 1`],
  ["dashes in text", `a: ${"-".repeat(500)}\n${"- ".repeat(1)}x`],
  ["a ruler", `${"-".repeat(500)}\n`],
  ["many items", "- a: 1\n  b:\n  - 2\n".repeat(5000)],
  ["many documents", "---\na:\n  b: 1\n".repeat(500)],
])("%s are not deep", (_, text) => {
  expect(isYamlTooDeep(text)).toBe(false);
});
