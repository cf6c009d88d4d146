import { describe, expect, test } from "vitest";
import { jsonSchemaBuiltins } from "../../../src/rego/builtins/json-schema.ts";
import type { Value } from "../../../src/rego/value/index.ts";
import { caller } from "../../support/builtin-context.ts";

const call = caller(jsonSchemaBuiltins);

/** The violations' errors, as gojsonschema words them. */
function violations(document: Value, schema: Value): Value[] {
  const [isMatch, found] = call("json.match_schema", document, schema) as [boolean, { error: string }[]];
  expect(isMatch).toBe(found.length === 0);
  return found.map(({ error }) => error);
}

describe("json.match_schema", () => {
  test("describes a violation", () => {
    expect(
      call("json.match_schema", { a: { b: 1 } }, { properties: { a: { properties: { b: { type: "string" } } } } }),
    ).toEqual([
      false,
      [
        {
          desc: "Invalid type. Expected: string, given: integer",
          error: "a.b: Invalid type. Expected: string, given: integer",
          field: "a.b",
          type: "invalid_type",
        },
      ],
    ]);
  });

  // OPA internal/gojsonschema/locales.go and validation.go
  test.for([
    ["1", { type: "integer" }, []],
    ["1.5", { type: "integer" }, ["(Root): Invalid type. Expected: integer, given: number"]],
    ["null", { type: ["string", "array"] }, ["(Root): Invalid type. Expected: [string,array], given: null"]],
    [{}, { required: ["a"] }, ["(Root): a is required"]],
    [{ a: 1 }, { additionalProperties: false }, ["(Root): Additional property a is not allowed"]],
    [
      { ab: 1 },
      { patternProperties: { "^a": { type: "string" } } },
      ["ab: Invalid type. Expected: string, given: integer"],
    ],
    [{ a: 1 }, { dependencies: { a: ["b"] } }, ["(Root): Has a dependency on b"]],
    [
      { a: 1 },
      { propertyNames: { minLength: 2 } },
      ['(Root): Property name of "a" does not match', "(Root): String length must be greater than or equal to 2"],
    ],
    [[1, 1], { uniqueItems: true }, ["(Root): array items[0,1] must be unique"]],
    ["[1, 1.0]", { uniqueItems: true }, ["(Root): array items[0,1] must be unique"]],
    [[1, 2], { items: [{}], additionalItems: false }, ["(Root): No additional items allowed on array"]],
    [[1], { items: { type: "string" } }, ["0: Invalid type. Expected: string, given: integer"]],
    [[], { contains: {} }, ["(Root): At least one of the items must match"]],
    [
      [1],
      { minItems: 2, maxItems: 0 },
      ["(Root): Array must have at least 2 items", "(Root): Array must have at most 0 items"],
    ],
    ['"😀"', { maxLength: 1 }, []],
    ['"ab"', { pattern: "^b" }, ["(Root): Does not match pattern '^b'"]],
    ['"x"', { format: "ipv4" }, ["(Root): Does not match format 'ipv4'"]],
    ["1", { enum: ["a", 2] }, ['(Root): (Root) must be one of the following: "a", 2']],
    ["1", { const: { a: "<" } }, ['(Root): (Root) does not match: {"a":"\\u003c"}']],
    ["7", { multipleOf: 2.5 }, ["(Root): Must be a multiple of 2.5"]],
    ["0.3", { multipleOf: 0.1 }, []],
    ["5", { maximum: 1 }, ["(Root): Must be less than or equal to 1"]],
    ["5", { minimum: 1000000 }, ["(Root): Must be greater than or equal to 1e+06"]],
    [
      "5",
      { exclusiveMinimum: 5, exclusiveMaximum: 5 },
      ["(Root): Must be less than 5", "(Root): Must be greater than 5"],
    ],
    ["5", { minimum: 5, exclusiveMinimum: true }, ["(Root): Must be greater than 5"]],
    [
      "1",
      { anyOf: [{ type: "string" }, { minimum: 2 }] },
      ["(Root): Must validate at least one schema (anyOf)", "(Root): Must be greater than or equal to 2"],
    ],
    ["1", { oneOf: [{}, {}] }, ["(Root): Must validate one and only one schema (oneOf)"]],
    [
      "1",
      { allOf: [{ type: "string" }] },
      ["(Root): Invalid type. Expected: string, given: integer", "(Root): Must validate all the schemas (allOf)"],
    ],
    ["1", { not: {} }, ["(Root): Must not validate the schema (not)"]],
    [
      "1",
      '{"if": {}, "then": false}',
      ['(Root): Must validate "then" as "if" was valid', "(Root): False always fails validation"],
    ],
    [
      "1",
      { if: false, else: false },
      ['(Root): Must validate "else" as "if" was not valid', "(Root): False always fails validation"],
    ],
    [
      { a: { a: 1 } },
      {
        $ref: "#/definitions/n",
        definitions: { n: { properties: { a: { $ref: "#/definitions/n" } }, type: "object" } },
      },
      ["a.a: Invalid type. Expected: object, given: integer"],
    ],
    [
      { type: 1 },
      { $ref: "http://json-schema.org/draft-07/schema#" },
      [
        "type: Must validate at least one schema (anyOf)",
        'type: type must be one of the following: "array", "boolean", "integer", "null", "number", "object", "string"',
      ],
    ],
  ] as [Value, Value, string[]][])("%j by %j", ([document, schema, want]) => {
    expect(violations(document, schema).sort()).toEqual([...want].sort());
  });

  test("members called like JavaScript's own are ordinary", () => {
    expect(violations("{}", { required: ["constructor", "__proto__"] })).toEqual([
      "(Root): constructor is required",
      "(Root): __proto__ is required",
    ]);
  });

  test.for([
    ["{", {}, "invalid JSON string"],
    ["1", "{", "invalid JSON string"],
    [{}, { type: "foo" }, "has a primitive type that is NOT VALID -- given: /foo/"],
    [{}, { $ref: "https://example.com/schema" }, "remote reference loading disabled: https://example.com/schema"],
    [{}, { $ref: "#" }, "levels deep"],
    [1, {}, "wrong type, expected string or object"],
  ] as [Value, Value, string][])("refuses %j by %j", ([document, schema, message]) => {
    expect(() => call("json.match_schema", document, schema)).toThrow(message);
  });
});

describe("json.verify_schema", () => {
  // OPA internal/gojsonschema/schema.go
  test.for([
    [{}, null],
    ["true", null],
    [
      { $schema: "http://json-schema.org/draft-04/schema#", exclusiveMinimum: 1 },
      "Invalid type. Expected: boolean, given: exclusiveMinimum",
    ],
    [{ exclusiveMaximum: true }, "exclusiveMaximum cannot be used without maximum"],
    [{ properties: { a: 1 } }, "Expected: Valid Schema, given: Invalid JSON"],
    [{ type: ["string", "string"] }, "string type is duplicated"],
    [{ pattern: "(?!a)" }, "pattern must be a valid regex"],
    [{ minLength: 2, maxLength: 1 }, "minLength cannot be greater than maxLength"],
    [{ minItems: -1 }, "minItems must be greater than or equal to 0"],
    [{ multipleOf: 0 }, "multipleOf must be strictly greater than 0"],
    [{ required: ["a", "a"] }, "required items must be unique"],
    [{ enum: [1, "1", 1] }, "enum items must be unique"],
    [{ $ref: "#/definitions/x" }, "Object has no key 'definitions'"],
    [{ $ref: "other.json" }, "Reference /other.json must be canonical"],
    [{ $schema: 1 }, "$schema must be of type string"],
    ["x", "invalid JSON string"],
    [1, "wrong type, expected string or object"],
  ] as [Value, string | null][])("%j: %s", ([schema, error]) => {
    expect(call("json.verify_schema", schema)).toEqual(error === null ? [true, null] : [false, `jsonschema: ${error}`]);
  });
});
