import { describe, expect, test } from "vitest";
import { JsonSyntaxError, parseJson, toJsonText } from "../../../src/rego/value/index.ts";

describe("parseJson", () => {
  test.for([
    '{"a":[1,2.5,null,true,"x"],"b":{}}',
    "[1.50,1e2,-0,12345678901234567890,0.1]",
    '{"ip":"10.0.0.1","n":1.5,"text":"a \\"1.50\\" b","version":"1.50"}',
    '{"n":9007199254740993}',
    '"\\\\"',
    " [ ] ",
  ])("%s keeps its numbers", (text) => {
    expect(toJsonText(parseJson(text))).toBe(text.trim().replace("[ ]", "[]"));
  });

  test("the last of equal members wins, and keeps a plain object plain", () => {
    const object = parseJson('{"a":1.50,"a":2.50,"__proto__":{"x":1.0}}') as object;
    expect(Object.keys(object)).toEqual(["a", "__proto__"]);
    expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
  });

  test("halves of characters are replaced, as in Go", () => {
    expect(parseJson('["\\ud800","\\ud83d\\ude00"]')).toEqual(["\ufffd", "😀"]);
  });

  // Go's encoding/json words.
  test.for([
    ["", "unexpected end of JSON input"],
    ["{", "unexpected end of JSON input"],
    ["[1,]", "invalid character ']' looking for beginning of value"],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ["{a:1}", "invalid character 'a' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 2}', "invalid character '2' after object key:value pair"],
    ["[1 2]", "invalid character '2' after array element"],
    ["1 2", "invalid character '2' after top-level value"],
    ["trux", "invalid character 'x' in literal true (expecting 'e')"],
    ['"\n"', "invalid character '\\n' in string literal"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
    ["-x", "invalid character 'x' in numeric literal"],
    ["'", "invalid character '\\'' looking for beginning of value"],
  ])("%j is refused", ([text, want]) => {
    expect(() => parseJson(text as string)).toThrow(want as string);
    expect(() => parseJson(text as string)).toThrow(JsonSyntaxError);
  });

  test("documents nested ten thousand deep are read, deeper ones are not", () => {
    const nested = (depth: number) => `${"[".repeat(depth)}1.50${"]".repeat(depth)}`;
    expect(toJsonText(parseJson(nested(10_000)))).toBe(nested(10_000));
    expect(() => parseJson(nested(10_001))).toThrow("exceeded max depth");
  });
});
