import { describe, expect, test } from "vitest";
import { finish, Source } from "../../../src/base/index.ts";
import { type Token, tokenize, unescapeJson } from "../../../src/rego/syntax/lexer.ts";

function scan(text: string): readonly Token[] {
  return finish(tokenize(new Source("t.rego", text))).tokens;
}

const kinds = (text: string): string =>
  scan(text)
    .map(({ kind }) => kind)
    .join(" ");

describe("tokens", () => {
  test.each([
    ["words", "package _x a1 É", "identifier identifier identifier illegal eof"],
    [
      "operators",
      "+ - * / % & | = == := != < <= > >=",
      "plus minus mul div rem & | eq equal assign neq lt lte gt gte eof",
    ],
    ["signs", "[ ] { } ( ) , : ; .", "[ ] { } ( ) , : ; . eof"],
    ["numbers", "0 1.5 1e2 1E-2 0.1e+3", "number number number number number eof"],
    ["strings", '"a" `b\n` ""', "string string string eof"],
    ["a lone ! and $", "! $", "illegal illegal eof"],
    ["nothing", "", "eof"],
  ])("%s", (_, text, want) => {
    expect(kinds(text)).toBe(want);
  });

  // OPA: v1/ast/internal/scanner
  test.each([
    ["1.", "expected fraction"],
    ["1e", "expected exponent"],
    ["1a", "illegal number format"],
    ['"a', "non-terminated string"],
    ['"a\nb"', "non-terminated string"],
    ["`a", "non-terminated string"],
    ['"\\x"', "illegal escape sequence"],
    ["a\u0000", "illegal null character"],
    ["a\ufeff", "illegal byte-order mark"],
    ["a\ud800", "illegal utf-8 character"],
    ['$"a', "non-terminated string"],
    ["$`a", "non-terminated string"],
  ])("%j: %s", (text, message) => {
    const [first] = scan(text);
    expect(first).toMatchObject({ kind: "illegal", errors: [message] });
  });

  test("a byte-order mark at the start is stepped over", () => {
    expect(scan("\ufeffx")[0]).toMatchObject({ kind: "identifier", offset: 1, row: 1, col: 2 });
  });
});

describe("places", () => {
  test.each([
    ["rows and columns start at 1", "a\n  b", 1, { row: 2, col: 3, offset: 4, end: 5 }],
    ["a tab is one column", "\ta", 0, { row: 1, col: 2 }],
    ["a column is a code point", '"😀" a', 1, { row: 1, col: 5, offset: 5 }],
    ["raw strings span rows", "`a\nb` c", 1, { row: 2, col: 4 }],
    ["the end is at the last character", "ab", 1, { kind: "eof", row: 1, col: 2 }],
    ["the end of a finished line is in column 0", "ab\n", 1, { kind: "eof", row: 2, col: 0 }],
  ])("%s", (_, text, index, want) => {
    expect(scan(text)[index]).toMatchObject(want);
  });

  test.each([
    ["a.b", { adjacent: true, newline: false }],
    ["a .b", { adjacent: false, newline: false }],
    ["a\n.b", { adjacent: false, newline: true }],
    ["a#c\n.b", { adjacent: false, newline: true, comments: 1 }],
  ])("what stands between tokens: %j", (text, want) => {
    expect(scan(text)[1]).toMatchObject(want);
  });
});

describe("template strings", () => {
  test.each([
    ['$"a"', "template-string-end eof"],
    ['$"a{x}b"', "template-string-part identifier } template-string-end eof"],
    ['$"{{1}}"', "template-string-part { number } } template-string-end eof"],
    [
      '$"{$"{x}"}"',
      "template-string-part template-string-part identifier } template-string-end } template-string-end eof",
    ],
    ["$`a\n{x}`", "raw-template-string-part identifier } raw-template-string-end eof"],
  ])("%s", (text, want) => {
    expect(kinds(text)).toBe(want);
  });

  test.each([
    ['$"a\\{b\\n"', "a{b\n"],
    ["$`a\\{b\\n`", "a{b\\n"],
    ['$"\\u0041"', "A"],
  ])("%s is %j", (text, part) => {
    expect(scan(text)[0]?.part).toBe(part);
  });
});

test("comments keep their text without carriage returns", () => {
  const { comments } = finish(tokenize(new Source("t.rego", "#a\r\n  # b ")));
  expect(comments.map(({ text, at }) => [text, at.row, at.col])).toEqual([
    ["a", 1, 1],
    [" b ", 2, 3],
  ]);
});

test.each([
  ["\\ud83d\\ude00", "😀"],
  ["\\ud83d", "\ufffd"],
  ["a\\u00e9", "aé"],
  ["\\n\u0001", undefined],
  ["\u0001", "\u0001"],
  ["\\uZZZZ", undefined],
])("unescapes %j as JSON does", (inner, want) => {
  expect(unescapeJson(inner)).toBe(want);
});
