import { describe, expect, test } from "vitest";
import {
  ANY,
  anyOf,
  arrayType,
  BOOLEAN,
  compareTypes,
  functionType,
  isUnknown,
  keysOf,
  mergeTypes,
  NULL,
  NUMBER,
  objectType,
  overrideMember,
  readType,
  STRING,
  selectMember,
  setType,
  type Type,
  TypeFormatError,
  typeOfValue,
  typeText,
  unifies,
  union,
  valuesOf,
  writeType,
} from "../../../src/rego/types/index.ts";
import { parseNumber, RegoObject, RegoSet, type Value } from "../../../src/rego/value/index.ts";

const open = objectType([], { key: ANY, value: ANY });
const record = (members: Readonly<Record<string, Type>>) =>
  objectType(Object.entries(members).map(([key, value]) => ({ key, value })));

describe("text", () => {
  // OPA v1/types/types_test.go, TestStrings, and the messages of v1/ast/check_test.go.
  test.for<readonly [Type | undefined, string]>([
    [undefined, "???"],
    [ANY, "any"],
    [anyOf([STRING, arrayType([], ANY), open, setType(ANY)]), "any<string, array[any], object[any: any], set[any]>"],
    [anyOf([STRING, NUMBER]), "any<number, string>"],
    [arrayType([NUMBER, undefined]), "array<number, ???>"],
    [arrayType([NUMBER], STRING), "array<number>[string]"],
    [arrayType([]), "array"],
    [record({ b: NUMBER, a: STRING }), "object<a: string, b: number>"],
    [objectType([{ key: "a", value: STRING }], { key: STRING, value: ANY }), "object<a: string>[string: any]"],
    [
      objectType([
        { key: [1, "x"], value: NULL },
        { key: null, value: NULL },
        { key: { k: 1 }, value: NULL },
      ]),
      "object<<nil>: null, [1 x]: null, map[k:1]: null>",
    ],
    [setType(undefined), "set[???]"],
    [functionType([NUMBER, ANY], STRING), "(number, any) => string"],
    [{ kind: "function", args: [], result: undefined, variadic: ANY }, "(any...) => ???"],
    [{ kind: "recursive", name: "#/$defs/a", type: NUMBER }, "recursive(#/$defs/a)"],
  ])("%#", ([type, text]) => {
    expect(typeText(type)).toBe(text);
  });
});

describe("union", () => {
  // OPA v1/types/types_test.go, TestOr.
  test.for<readonly [Type | undefined, Type | undefined, string]>([
    [undefined, NUMBER, "number"],
    [NUMBER, undefined, "number"],
    [NUMBER, NUMBER, "number"],
    [STRING, NUMBER, "any<number, string>"],
    [anyOf([STRING, NUMBER]), BOOLEAN, "any<boolean, number, string>"],
    [anyOf([STRING, NUMBER]), anyOf([NUMBER, NULL]), "any<null, number, string>"],
    [ANY, STRING, "any"],
    [anyOf([STRING]), ANY, "any"],
    [functionType([NUMBER], NUMBER), functionType([STRING], NUMBER), "(any<number, string>) => number"],
    [functionType([NUMBER], NUMBER), functionType([], NUMBER), "???"],
    [functionType([NUMBER], NUMBER), NUMBER, "???"],
  ])("%#", ([a, b, text]) => {
    expect(typeText(union(a, b))).toBe(text);
  });

  test("order does not matter", () => {
    const all = [
      NULL,
      BOOLEAN,
      NUMBER,
      STRING,
      arrayType([NUMBER]),
      arrayType([], NUMBER),
      open,
      record({ a: NUMBER }),
      setType(STRING),
    ];
    for (const a of all) for (const b of all) expect(compareTypes(union(a, b), union(b, a))).toBe(0);
  });
});

describe("merging what rules say of one document", () => {
  // OPA v1/ast/env_test.go, TestMergeTypes.
  test.for<readonly [Type, Type, string]>([
    [setType(NUMBER), setType(STRING), "set[any<number, string>]"],
    [
      objectType([], { key: STRING, value: NUMBER }),
      objectType([], { key: NUMBER, value: STRING }),
      "object[any<number, string>: any<number, string>]",
    ],
    [
      objectType([], { key: STRING, value: setType(NUMBER) }),
      objectType([], { key: STRING, value: setType(STRING) }),
      "object[string: set[any<number, string>]]",
    ],
    [record({ a: NUMBER }), record({ b: NUMBER }), "any<object<a: number>, object<b: number>>"],
    [NUMBER, STRING, "any<number, string>"],
    [
      anyOf([STRING, objectType([], { key: STRING, value: NUMBER })]),
      objectType([], { key: STRING, value: STRING }),
      "any<string, object[string: any<number, string>]>",
    ],
  ])("%#", ([a, b, text]) => {
    expect(typeText(mergeTypes(a, b))).toBe(text);
  });

  test("a member at a path of constants is replaced or added", () => {
    const type = record({ a: record({ b: NUMBER }) });
    expect(typeText(overrideMember(type, ["a", "b"], STRING))).toBe("object<a: object<b: string>>");
    expect(typeText(overrideMember(type, ["c", "d"], STRING))).toBe(
      "object<a: object<b: number>, c: object<d: string>>",
    );
    expect(typeText(overrideMember(NUMBER, ["c"], STRING))).toBe("object<c: string>[any: any]");
  });
});

describe("members", () => {
  test.for<readonly [Type, Value, string]>([
    [arrayType([NUMBER, STRING]), 1, "string"],
    [arrayType([NUMBER]), 1, "???"],
    [arrayType([NUMBER], BOOLEAN), 7, "boolean"],
    [arrayType([NUMBER]), -1, "???"],
    [arrayType([NUMBER]), parseNumber("0.5"), "???"],
    [arrayType([NUMBER]), "0", "???"],
    [record({ a: NUMBER }), "a", "number"],
    [record({ a: NUMBER }), "__proto__", "???"],
    [objectType([{ key: 1, value: STRING }]), 1, "string"],
    [objectType([], { key: STRING, value: BOOLEAN }), "x", "boolean"],
    [objectType([], { key: STRING, value: BOOLEAN }), 1, "???"],
    [setType(STRING), "x", "string"],
    [setType(STRING), 1, "???"],
    [setType(anyOf([STRING, NUMBER])), 1, "number"],
    [anyOf([record({ a: NUMBER }), record({ a: STRING })]), "a", "any<number, string>"],
    [ANY, "a", "any"],
    [NUMBER, "a", "???"],
  ])("%#", ([type, key, text]) => {
    expect(typeText(selectMember(type, key))).toBe(text);
  });

  test.for<readonly [Type, string, string]>([
    [arrayType([NUMBER, STRING], NULL), "number", "any<null, number, string>"],
    [
      objectType([{ key: "a", value: NUMBER }], { key: NUMBER, value: STRING }),
      "any<number, string>",
      "any<number, string>",
    ],
    [setType(BOOLEAN), "boolean", "boolean"],
    [ANY, "any", "any"],
    [anyOf([arrayType([], STRING), setType(NULL)]), "any<null, number>", "any<null, string>"],
    [STRING, "???", "???"],
  ])("keys and values of %#", ([type, keys, values]) => {
    expect([typeText(keysOf(type)), typeText(valuesOf(type))]).toEqual([keys, values]);
  });

  test("types of values", () => {
    const value = RegoObject.of([
      ["s", RegoSet.of([1])],
      [1, [true, null]],
    ]);
    expect(typeText(typeOfValue(value))).toBe("object<1: array<boolean, null>, s: array<number>>");
  });
});

describe("unifies", () => {
  // OPA v1/ast/check_test.go, TestCheckMatchErrors and TestCheckInference.
  test.for<readonly [Type | undefined, Type | undefined, boolean]>([
    [NUMBER, NUMBER, true],
    [NUMBER, STRING, false],
    [undefined, NUMBER, false],
    [ANY, undefined, false],
    [ANY, setType(STRING), true],
    [anyOf([NUMBER, STRING]), STRING, true],
    [anyOf([NUMBER, STRING]), anyOf([STRING, NULL]), true],
    [anyOf([NUMBER, STRING]), NULL, false],
    [arrayType([NUMBER]), arrayType([NUMBER, NUMBER]), false],
    [arrayType([], NUMBER), arrayType([NUMBER, NUMBER]), true],
    [arrayType([], NUMBER), arrayType([], STRING), false],
    [record({ a: NUMBER }), record({ a: NUMBER, b: NUMBER }), false],
    [objectType([{ key: "a", value: NUMBER }], { key: STRING, value: ANY }), record({ a: NUMBER, b: NUMBER }), true],
    [record({ a: NUMBER }), record({ a: STRING }), false],
    [setType(NUMBER), setType(STRING), false],
    [functionType([NUMBER], STRING), functionType([ANY], NUMBER), true],
    [functionType([NUMBER], STRING), functionType([NUMBER, NUMBER], STRING), false],
    [ANY, functionType([NUMBER], STRING), false],
  ])("%#", ([a, b, want]) => {
    expect([unifies(a, b), unifies(b, a)]).toEqual([want, want]);
  });

  test("recursive schemas end", () => {
    const tree = (): Type => {
      const knot: Type = { kind: "recursive", name: "#", type: undefined };
      knot.type = record({ next: knot, value: NUMBER });
      return knot;
    };
    expect(unifies(tree(), tree())).toBe(true);
    expect(isUnknown(tree())).toBe(false);
  });
});

describe("unknown parts", () => {
  test.for<readonly [Type | undefined, boolean]>([
    [undefined, true],
    [arrayType([undefined]), true],
    [arrayType([]), false],
    [setType(undefined), true],
    [objectType([{ key: "a", value: undefined }]), true],
    [objectType([], { key: undefined, value: ANY }), true],
    [functionType([NUMBER], undefined), true],
    [anyOf([arrayType([undefined])]), false],
  ])("%#", ([type, want]) => {
    expect(isUnknown(type)).toBe(want);
  });
});

describe("json", () => {
  test("there and back", () => {
    const type: Type = {
      kind: "function",
      args: [
        { type: anyOf([STRING, setType(NUMBER)]) },
        { type: objectType([{ key: "a", value: NULL }], { key: STRING, value: BOOLEAN }) },
      ],
      result: { type: arrayType([NUMBER], ANY) },
      variadic: undefined,
    };
    expect(compareTypes(readType(writeType(type)), type)).toBe(0);
  });

  test.for<readonly [Value, string]>([
    [{ type: "nope" }, "unsupported type 'nope'"],
    [{}, "unsupported type ''"],
    [3, "unsupported type ''"],
    [{ type: "set" }, "unsupported type ''"],
    [{ type: "any", of: 3 }, "invalid type: of must be an array"],
  ])("refuses %j", ([json, message]) => {
    expect(() => readType(json)).toThrow(new TypeFormatError(message));
  });
});
