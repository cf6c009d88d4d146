import type { JsonObject, Value } from "../value/index.ts";

/** The drafts that schemas can name in `$schema` or refer to, by their URL without fragment. */
export const DRAFTS: ReadonlyMap<string, number> = new Map([4, 6, 7].map((draft) => [urlOf(draft), draft]));

function urlOf(draft: number): string {
  return `http://json-schema.org/draft-0${draft}/schema`;
}

const SELF = { $ref: "#" };
const TEXT = { type: "string" };
const NUMBER = { type: "number" };
const FLAG = { type: "boolean", default: false };
const TEXTS = { $ref: "#/definitions/stringArray" };
const MAP_OF_SCHEMAS = { type: "object", additionalProperties: SELF, default: {} };

/**
 * The schema of schemas of a draft (draft-zyp-json-schema-04, draft-wright-json-schema-01, draft-handrews-json-schema-01).
 */
export function metaSchema(draft: number): JsonObject {
  const isDraft4 = draft === 4;
  const size = isDraft4 ? "positiveInteger" : "nonNegativeInteger";
  const reference = (name: string) => ({ $ref: `#/definitions/${name}` });
  const anything: Value = draft >= 7 ? true : {};
  const booleanOrSchema: JsonObject = isDraft4 ? { anyOf: [{ type: "boolean" }, SELF], default: {} } : SELF;
  return {
    [isDraft4 ? "id" : "$id"]: `${urlOf(draft)}#`,
    $schema: `${urlOf(draft)}#`,
    definitions: {
      schemaArray: { type: "array", minItems: 1, items: SELF },
      [size]: { type: "integer", minimum: 0 },
      [`${size}Default0`]: { allOf: [reference(size), { default: 0 }] },
      simpleTypes: { enum: ["array", "boolean", "integer", "null", "number", "object", "string"] },
      stringArray: { type: "array", items: TEXT, uniqueItems: true, ...(isDraft4 ? { minItems: 1 } : { default: [] }) },
    },
    type: isDraft4 ? "object" : ["object", "boolean"],
    properties: {
      ...(isDraft4 ? { id: TEXT, $schema: TEXT } : LATER_IDENTIFIERS),
      ...(draft >= 7 && DRAFT_7_KEYWORDS),
      title: TEXT,
      description: TEXT,
      default: anything,
      ...(isDraft4 ? DRAFT_4_NUMBERS : LATER_NUMBERS),
      maximum: NUMBER,
      minimum: NUMBER,
      maxLength: reference(size),
      minLength: reference(`${size}Default0`),
      pattern: { type: "string", format: "regex" },
      additionalItems: booleanOrSchema,
      items: { anyOf: [SELF, reference("schemaArray")], default: anything },
      maxItems: reference(size),
      minItems: reference(`${size}Default0`),
      uniqueItems: FLAG,
      maxProperties: reference(size),
      minProperties: reference(`${size}Default0`),
      required: TEXTS,
      additionalProperties: booleanOrSchema,
      definitions: MAP_OF_SCHEMAS,
      properties: MAP_OF_SCHEMAS,
      patternProperties: { ...MAP_OF_SCHEMAS, ...(draft >= 7 && { propertyNames: { format: "regex" } }) },
      dependencies: { type: "object", additionalProperties: { anyOf: [SELF, TEXTS] } },
      ...(!isDraft4 && {
        contains: SELF,
        propertyNames: SELF,
        const: anything,
        examples: { type: "array", items: anything },
      }),
      enum: { type: "array", minItems: 1, uniqueItems: true },
      type: {
        anyOf: [
          reference("simpleTypes"),
          { type: "array", items: reference("simpleTypes"), minItems: 1, uniqueItems: true },
        ],
      },
      format: TEXT,
      allOf: reference("schemaArray"),
      anyOf: reference("schemaArray"),
      oneOf: reference("schemaArray"),
      not: SELF,
    },
    ...(isDraft4 && { dependencies: { exclusiveMaximum: ["maximum"], exclusiveMinimum: ["minimum"] } }),
  };
}

const DRAFT_4_NUMBERS = {
  multipleOf: { type: "number", minimum: 0, exclusiveMinimum: true },
  exclusiveMaximum: FLAG,
  exclusiveMinimum: FLAG,
};
const LATER_NUMBERS = {
  multipleOf: { type: "number", exclusiveMinimum: 0 },
  exclusiveMaximum: NUMBER,
  exclusiveMinimum: NUMBER,
};
const LATER_IDENTIFIERS = {
  $id: { type: "string", format: "uri-reference" },
  $schema: { type: "string", format: "uri" },
  $ref: { type: "string", format: "uri-reference" },
};
const DRAFT_7_KEYWORDS = {
  $comment: TEXT,
  readOnly: FLAG,
  contentMediaType: TEXT,
  contentEncoding: TEXT,
  if: SELF,
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: SELF,
  else: SELF,
};
