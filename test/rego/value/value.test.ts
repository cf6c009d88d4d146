import { describe, expect, test } from "vitest";
import {
  canonicalText,
  compareStrings,
  compareValues,
  getKey,
  lookup,
  objectOf,
  parseNumber,
  quoteGo,
  RegoObject,
  RegoSet,
  sortedKeys,
  toJsonText,
  toJsonValue,
  toRegoText,
  type Value,
  valuesEqual,
} from "../../../src/rego/value/index.ts";

const set = (...members: readonly Value[]) => RegoSet.of(members);

describe("order", () => {
  // Least first. @source OPA v1/ast/compare.go
  const ascending: readonly Value[] = [
    null,
    false,
    true,
    -1,
    parseNumber("0.5"),
    1,
    9007199254740993n,
    "",
    "a",
    "\uffff",
    "\u{10000}",
    [],
    [1],
    [1, 0],
    [2],
    {},
    { a: 1 },
    { a: 1, b: 1 },
    { a: 2 },
    { b: 0 },
    set(),
    set(1),
    set(1, 2),
    set(2),
  ];

  test("is total, and agrees with equality", () => {
    ascending.forEach((a, i) => {
      ascending.forEach((b, j) => {
        expect(Math.sign(compareValues(a, b))).toBe(Math.sign(i - j));
        expect(valuesEqual(a, b)).toBe(i === j);
        expect(canonicalText(a) === canonicalText(b)).toBe(i === j);
      });
    });
  });

  test("strings are ordered by their bytes", () => {
    const strings = ["a", "é", "\ue000", "\uffff", "😀", "😀a", "\u{10ffff}"];
    for (const a of strings) {
      for (const b of strings) {
        expect(Math.sign(compareStrings(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }
    }
    expect(sortedKeys({ "😀": 1, "\uffff": 2, b: 3, a: 4 })).toEqual(["a", "b", "\uffff", "😀"]);
  });
});

describe("objects and sets", () => {
  test("equal keys are one, whatever they look like", () => {
    expect(set(1, parseNumber("1.0"), parseNumber("1e0")).size).toBe(1);
    expect(set([1], [parseNumber("1.0")], { a: [] }, objectOf([["a", []]])).size).toBe(2);
    expect(RegoObject.of([[1, "a"]]).get(parseNumber("1.0"))).toBe("a");
    expect(valuesEqual(RegoObject.of([["a", 1]]), { a: 1 })).toBe(true);
  });

  test("names of JavaScript are ordinary keys", () => {
    const object = objectOf([
      ["__proto__", 1],
      ["constructor", 2],
    ]);
    expect(getKey(object, "__proto__")).toBe(1);
    expect(getKey({}, "constructor")).toBe(undefined);
    expect(lookup([], "length")).toBe(undefined);
    expect(toJsonText(object)).toBe('{"__proto__":1,"constructor":2}');
  });

  test("as text", () => {
    const value: Value = [set(3, "a"), set(), RegoObject.of([[[1], { b: null }]]), "é\n\u0000"];
    expect(toRegoText(value)).toBe('[{3, "a"}, set(), {[1]: {"b": null}}, "é\\n\\x00"]');
    expect(toJsonText(value)).toBe('[[3,"a"],[],{"[1]":{"b":null}},"é\\n\\u0000"]');
    expect(toJsonValue(value)).toEqual([[3, "a"], [], { "[1]": { b: null } }, "é\n\u0000"]);
  });

  test("documents need no conversion", () => {
    const document = { a: [1, { b: "x" }] };
    expect(toJsonValue(document)).toBe(document);
  });

  test.for([
    ["a", '"a"'],
    ['"\\', '"\\"\\\\"'],
    ["\u00ad\u200b\u{e0001}", '"\\u00ad\\u200b\\U000e0001"'],
    ["é😀\ufffd", '"é😀\ufffd"'],
    ["\x7f\x07", '"\\x7f\\a"'],
  ])("%j in Go's quotes", ([text, want]) => expect(quoteGo(text as string)).toBe(want));
});

describe("depth", () => {
  const nested = (wrap: (value: Value) => Value, leaf: Value): Value => {
    let value = leaf;
    for (let i = 0; i < 10_000; i++) value = wrap(value);
    return value;
  };

  test.for([
    ["arrays", (value: Value): Value => [value]],
    ["objects", (value: Value): Value => ({ a: value })],
    ["objects with other keys", (value: Value): Value => RegoObject.of([[1, value]])],
  ] as const)("ten thousand %s are within reach", ([, wrap]) => {
    const one = nested(wrap, 1);
    const same = nested(wrap, parseNumber("1.0"));
    const other = nested(wrap, 2);
    expect(compareValues(one, same)).toBe(0);
    expect(compareValues(one, other)).toBe(-1);
    expect(valuesEqual(one, same)).toBe(true);
    expect(valuesEqual(one, other)).toBe(false);
    expect(canonicalText(one)).toBe(canonicalText(same));
    expect(toRegoText(one).length).toBeGreaterThan(20_000);
    expect(toJsonText(toJsonValue(one))).toBe(toJsonText(one));
  });
});
