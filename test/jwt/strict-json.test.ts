import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseStrictJson, StrictJsonError } from "../../src/jwt/index.ts";

const parse = (text: string) => parseStrictJson(text, { maxDepth: 32 });

/** Names that repeat, colons in strings, blanks wherever they may be. */
const jsonText = fc.letrec<{ value: string }>((tie) => {
  const blank = fc.constantFrom("", "", " ", "\t", "\r\n");
  const scalar = fc.constantFrom("1", "true", "null", '"a"', '"a:"', '":"', '"\\":"', '" :"');
  const member = fc
    .tuple(fc.constantFrom('"a"', '"b"', '"\\u0061"', '"a:"', '"\\": "'), blank, tie("value"))
    .map(([name, gap, value]) => `${name}${gap}:${value}`);
  const padded = (inner: fc.Arbitrary<string>) =>
    fc.tuple(blank, inner, blank).map(([before, text, after]) => `${before}${text}${after}`);
  return {
    value: padded(
      fc.oneof(
        { maxDepth: 4 },
        scalar,
        fc.array(tie("value"), { maxLength: 3 }).map((items) => `[${items.join(",")}]`),
        fc.array(member, { maxLength: 3 }).map((members) => `{${members.join(",")}}`),
      ),
    ),
  };
}).value;

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

  test("what V8's parser may read is read as any other", () => {
    const outcome = (read: () => unknown): unknown => {
      try {
        return read();
      } catch (error) {
        return error instanceof StrictJsonError ? "refused" : error;
      }
    };
    const text = fc.oneof(
      jsonText,
      fc.json({ maxDepth: 4 }),
      fc.constantFrom(
        '{"__proto__":{"a":1}}',
        '{"2":0,"1":0}',
        '{"a":"\\":"}',
        '{"a" :1,"a":"\\":"}',
        "9007199254740991",
        "9007199254740992",
        '{"a":9007199254740992}',
        "-0",
        "1.0",
        "1e2",
        "-1e400",
        "[[[]]]",
        "[[[[]]]]",
        '["[[[[[["]',
        '"\\u0061"',
        '"\ud800"',
      ),
    );
    fc.assert(
      fc.property(text, (json) => {
        const alone = outcome(() => parseStrictJson(json, { maxDepth: 3 }));
        // So many digits lead past V8's parser.
        const beside = (): unknown =>
          (parseStrictJson(`[${json},1000000000000000]`, { maxDepth: 4 }) as readonly unknown[])[0];
        expect(alone).toEqual(outcome(beside));
      }),
      { numRuns: 1000 },
    );
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
