import { describe, expect, test } from "vitest";
import { SchemaError, schemaType, typeText } from "../../../src/rego/types/index.ts";
import { parseJson } from "../../../src/rego/value/index.ts";

/** Expectations are those of OPA v1/ast/schema_test.go. */
describe("types of JSON schemas", () => {
  test.for<readonly [string, string]>([
    ["{}", "any"],
    ["true", "any"],
    ['{"type": "string"}', "string"],
    ['{"type": "integer"}', "number"],
    ['{"type": ["string", "null"]}', "string"],
    ['{"type": "null"}', "any"],
    ['{"type": "object"}', "object[any: any]"],
    ['{"type": "array"}', "array[any]"],
    ['{"properties": {"b": {"type": "number"}, "a": {"type": "string"}}}', "object<a: string, b: number>"],
    ['{"type": "array", "items": {"type": "string"}}', "array[string]"],
    ['{"type": "array", "items": [{"type": "string"}, {"type": "number"}]}', "array<string, number>"],
    ['{"enum": ["a", "b"]}', "any"],
    ['{"$ref": "#/$defs/a", "$defs": {"a": {"type": "boolean"}}}', "boolean"],
    [
      '{"definitions": {"a/b": {"type": "boolean"}}, "properties": {"x": {"$ref": "#/definitions/a~1b"}}}',
      "object<x: boolean>",
    ],
    ['{"anyOf": [{"type": "string"}, {"type": "number"}]}', "any<number, string>"],
    [
      '{"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"properties": {"b": {"type": "number"}}}]}',
      "any<object<a: string>, object<b: number>>",
    ],
    [
      '{"allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "number"}}}]}',
      "object<a: string, b: number>",
    ],
    [
      '{"type": "object", "properties": {"c": {"type": "null"}}, "allOf": [{"properties": {"a": {"type": "string"}}}]}',
      "object<a: string, c: any>",
    ],
    [
      '{"$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "v": {"type": "number"}}}}, "$ref": "#/$defs/node"}',
      "object<next: recursive(#/$defs/node), v: number>",
    ],
  ])("%s", ([schema, want]) => {
    expect(typeText(schemaType(parseJson(schema)))).toBe(want);
  });

  test.for<readonly [string, string]>([
    ["null", "no schema as input to compile"],
    ['{"type": "nope"}', "has a primitive type that is NOT VALID -- given: /nope/"],
    ['{"$ref": "#/nope"}', "unable to compile the schema: Object has no key 'nope'"],
    ['{"$ref": "https://example.com/x.json"}', "remote reference loading disabled"],
    [
      '{"allOf": [{"type": "string"}, {"type": "number"}]}',
      "unable to merge these schemas: type mismatch: string and number",
    ],
    ['{"type": "array", "allOf": [{"type": "string"}]}', "unable to merge these schemas"],
    ['{"allOf": [{"$ref": "#"}]}', "nested too deeply"],
  ])("refuses %s", ([schema, message]) => {
    expect(() => schemaType(parseJson(schema))).toThrow(SchemaError);
    expect(() => schemaType(parseJson(schema))).toThrow(message);
  });
});
