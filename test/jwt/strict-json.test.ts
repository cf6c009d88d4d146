import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseStrictJson, StrictJsonError } from "../../src/jwt/index.ts";

const parse = (text: string) => parseStrictJson(text, { maxDepth: 32 });

describe("parseStrictJson", () => {
  test("reads what JSON.parse reads", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        const rounded = JSON.stringify(parse(text), (_name, value: unknown) =>
          typeof value === "bigint" ? Number(value) : value,
        );
        expect(rounded).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });

  test.for([
    ["a repeated member", '{"a": 1, "a": 2}'],
    ["a member repeated by an escape", '{"a": 1, "\\u0061": 2}'],
    ["an infinite number", "1e400"],
    ["a number with a leading zero", "01"],
    ["a bare word", "nul"],
    ["a comma too many", "[1,]"],
    ["a control character in a string", '"\n"'],
    ["an unfinished string", '"a'],
    ["an unknown escape", '"\\x"'],
    ["something after the end", "{} {}"],
    ["nothing", ""],
    ["deep nesting", "[".repeat(5000)],
  ] as const)("refuses %s", ([, text]) => {
    expect(() => parse(text)).toThrow(StrictJsonError);
  });

  test("compact text, which has a way of its own, is read as any other", () => {
    const outcome = (text: string): unknown => {
      try {
        return parseStrictJson(text, { maxDepth: 3 });
      } catch (error) {
        return error instanceof StrictJsonError ? "refused" : error;
      }
    };
    const text = fc.oneof(
      fc.json({ maxDepth: 4 }),
      fc.constantFrom(
        '{"a":1,"a":2}',
        '{"__proto__":{"a":1}}',
        '{"2":0,"1":0}',
        "9007199254740991",
        "9007199254740992",
        '{"a":9007199254740992}',
        "-0",
        "1.0",
        "1e2",
        "[[[]]]",
        "[[[[]]]]",
        '["[[[[[["]',
        '"\\u0061"',
        '"\ud800"',
      ),
    );
    // A blank in front leads past it.
    fc.assert(fc.property(text, (json) => void expect(outcome(json)).toEqual(outcome(` ${json}`))));
  });

  test("keeps integers exact and names ordinary", () => {
    expect(parse("9007199254740993")).toBe(9007199254740993n);
    const object = parse('{"__proto__": {"admin": true}}') as { admin?: unknown };
    expect(Object.hasOwn(object, "__proto__")).toBe(true);
    expect(object.admin).toBeUndefined();
  });

  test("is linear in malformed text", () => {
    const started = performance.now();
    expect(() => parse(`"${"\\\\".repeat(500_000)}`)).toThrow(StrictJsonError);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
