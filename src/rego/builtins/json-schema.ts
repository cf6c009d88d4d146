import { LruMap } from "../../base/index.ts";
import { type BuiltinContext, BuiltinError } from "../runtime/index.ts";
import { isArray, isObject, JsonSyntaxError, parseJson, toJsonText, toJsonValue, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import { type CompiledSchema, compileJsonSchema, SchemaError } from "./json-schema-compile.ts";
import { validateJson } from "./json-schema-validate.ts";

/** JSON text or a value; arrays pass at run time although the declared type leaves them out, as in OPA. */
const document = operands.of<Value>(types.oneOf(types.string, types.object()));
const violation = types.record({ desc: types.string, error: types.string, field: types.string, type: types.string });

const MAX_CACHED_SCHEMAS = 100;
/** Compiled schemas by their JSON text. */
const compiledSchemas = new LruMap<CompiledSchema>(MAX_CACHED_SCHEMAS);

const verifySchema = defineBuiltin({
  name: "json.verify_schema",
  category: "object",
  about:
    "Whether a value is a JSON schema (drafts 4, 6, 7) that can be used. Patterns are of RE2's dialect; references lead within the schema only.",
  args: [arg("schema", document, "the schema to verify")],
  result: result(
    "output",
    types.tuple(types.boolean, types.oneOf(types.null, types.string)),
    "`[true, null]`, or `[false, error]`",
  ),
  call(context, schema) {
    try {
      compiled(context, schema);
      return [true, null];
    } catch (error) {
      if (error instanceof SchemaError || error instanceof BuiltinError) return [false, `jsonschema: ${error.message}`];
      throw error;
    }
  },
});

const matchSchema = defineBuiltin({
  name: "json.match_schema",
  category: "object",
  about:
    "Whether a document matches a JSON schema, and where it does not. Patterns are of RE2's dialect; references lead within the schema only.",
  args: [arg("document", document, "the document to check"), arg("schema", document, "the schema to check it by")],
  result: result(
    "output",
    types.tuple(types.boolean, types.array(violation)),
    "`[true, []]`, or `[false, violations]`",
  ),
  call(context, given, schema) {
    const node = readDocument(given);
    try {
      const violations = validateJson(compiled(context, schema), node, () => context.spend(1));
      const shown = violations.map(({ field, type, description }) => ({
        desc: description,
        error: `${field}: ${description}`,
        field,
        type,
      }));
      return [shown.length === 0, shown];
    } catch (error) {
      throw error instanceof SchemaError ? new BuiltinError(error.message) : error;
    }
  },
});

function compiled(context: BuiltinContext, schema: Value): CompiledSchema {
  const key = typeof schema === "string" ? schema : isObject(schema) || isArray(schema) ? toJsonText(schema) : "";
  const known = compiledSchemas.get(key);
  if (known !== undefined) return known;
  context.spend(1 + Math.floor(key.length / 16));
  const fresh = compileJsonSchema(readDocument(schema));
  compiledSchemas.set(key, fresh);
  return fresh;
}

/** OPA v1/topdown/jsonschema.go, astValueToJSONSchemaLoader. */
function readDocument(value: Value): Value {
  if (typeof value === "string") {
    try {
      return parseJson(value);
    } catch (error) {
      throw error instanceof JsonSyntaxError ? new BuiltinError("invalid JSON string") : error;
    }
  }
  if (isObject(value) || isArray(value)) return toJsonValue(value);
  throw new BuiltinError("wrong type, expected string or object");
}

/** Validation by JSON schema. @source OPA v1/topdown/jsonschema.go */
export const jsonSchemaBuiltins: readonly Builtin[] = [verifySchema, matchSchema];
