import { LruMap } from "../../base/index.ts";
import { type BuiltinContext, BuiltinError, operandTypeError } from "../runtime/index.ts";
import { isObject, type ObjectValue, toJsonText, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import { type QueryDocument, type SchemaDocument, toValue } from "./graphql-ast.ts";
import { decodeQuery, decodeSchema } from "./graphql-decode.ts";
import { GraphqlError } from "./graphql-lexer.ts";
import { parseQuery, parseSchema } from "./graphql-parser.ts";
import { toSchema } from "./graphql-schema.ts";
import { type CompiledSchema, compileSchema, validateQuery } from "./graphql-validate.ts";

/** Documents come as text or as the objects that the parsing builtins return. */
const document = operands.of<Value>(types.oneOf(types.string, types.object()));
const tree = types.object();
const queryArg = arg("query", document, "the GraphQL query");
const schemaArg = arg("schema", document, "the GraphQL schema");

/** Characters read for one step of the evaluation's budget. */
const CHARACTERS_PER_STEP = 16;
const MAX_CACHED_SCHEMAS = 10;

interface KnownSchema {
  readonly document: SchemaDocument;
  readonly tree: Value;
  /** Made when first asked for; a schema that does not hold together is refused each time. */
  compiled: CompiledSchema | undefined;
}

/** Schemas by their text: parsing one is the greater part of checking a query. */
const knownSchemas = new LruMap<KnownSchema>(MAX_CACHED_SCHEMAS);

const parse = defineBuiltin({
  name: "graphql.parse",
  category: "graphql",
  about: "Parses a query and a schema and validates the one against the other; undefined where that fails.",
  args: [queryArg, schemaArg],
  result: result("output", types.tuple(tree, tree), "`[query_ast, schema_ast]`"),
  call: (context, query, schema) =>
    refusing(() => {
      const { queryTree, schemaTree } = readBoth(context, query, schema);
      return [queryTree, schemaTree];
    }),
});

const parseAndVerify = defineBuiltin({
  name: "graphql.parse_and_verify",
  category: "graphql",
  about: "Parses a query and a schema, validates the one against the other, and tells whether that succeeded.",
  args: [queryArg, schemaArg],
  result: result(
    "output",
    types.tuple(types.boolean, tree, tree),
    "`[true, query_ast, schema_ast]`, or `[false, {}, {}]`",
  ),
  call: (context, query, schema) =>
    orElse([false, {}, {}], () => {
      const { queryTree, schemaTree } = readBoth(context, query, schema);
      return [true, queryTree, schemaTree];
    }),
});

const parseQueryBuiltin = defineBuiltin({
  name: "graphql.parse_query",
  category: "graphql",
  about: "The syntax tree of a query.",
  args: [arg("query", operands.string, "GraphQL query text")],
  result: result("output", tree, "the syntax tree as an object"),
  call: (context, query) => refusing(() => toValue(readQuery(context, query, 1))),
});

const parseSchemaBuiltin = defineBuiltin({
  name: "graphql.parse_schema",
  category: "graphql",
  about: "The syntax tree of a schema, which is not validated.",
  args: [arg("schema", operands.string, "GraphQL schema text")],
  result: result("output", tree, "the syntax tree as an object"),
  call: (context, schema) => refusing(() => readSchema(context, schema, 1).tree),
});

const isValid = defineBuiltin({
  name: "graphql.is_valid",
  category: "graphql",
  about: "Whether a query is valid under a schema.",
  args: [queryArg, schemaArg],
  result: result("output", types.boolean, "`true` if the query is valid, else `false`"),
  call: (context, query, schema) =>
    orElse(false, () => {
      readBoth(context, query, schema);
      return true;
    }),
});

const schemaIsValid = defineBuiltin({
  name: "graphql.schema_is_valid",
  category: "graphql",
  about: "Whether a schema is valid.",
  args: [arg("schema", document, "the schema to check")],
  result: result("output", types.boolean, "`true` if the schema is valid, else `false`"),
  call: (context, schema) =>
    orElse(false, () => {
      toSchema(readSchema(context, schema, 1).document);
      return true;
    }),
});

/** Reads query and schema, in this order, and validates. @throws {GraphqlError} */
function readBoth(context: BuiltinContext, query: Value, schema: Value) {
  const queryDocument = readQuery(context, query, 0);
  const known = readSchema(context, schema, 1);
  known.compiled ??= compiled(known.document);
  const [error, ...others] = validateQuery(known.compiled, queryDocument);
  if (error !== undefined) throw new BuiltinError(errorText(error, others));
  return { queryTree: toValue(queryDocument), schemaTree: known.tree };
}

function compiled(schema: SchemaDocument): CompiledSchema {
  try {
    return compileSchema(toSchema(schema));
  } catch (error) {
    if (!(error instanceof GraphqlError)) throw error;
    throw new BuiltinError(`Error in gqlparser SchemaDocument to Schema conversion: ${placedText(error)}`);
  }
}

/** @param position as OPA counts in its message, which starts at 0 here. */
function readQuery(context: BuiltinContext, query: Value, position: number): QueryDocument {
  if (typeof query === "string") {
    spend(context, query);
    return parseQuery(query);
  }
  if (!isObject(query)) throw operandTypeError(position, ["string", "object"], query);
  return decoded(() => decodeQuery(query));
}

function readSchema(context: BuiltinContext, schema: Value, position: number): KnownSchema {
  if (typeof schema !== "string" && !isObject(schema)) throw operandTypeError(position, ["string", "object"], schema);
  // JSON text of an object begins with a brace, which no schema text does.
  const key = typeof schema === "string" ? schema : toJsonText(schema);
  const known = knownSchemas.get(key);
  if (known !== undefined) return known;
  spend(context, key);
  const document =
    typeof schema === "string" ? parseSchema(schema) : decoded(() => decodeSchema(schema as ObjectValue));
  const read: KnownSchema = { document, tree: toValue(document), compiled: undefined };
  knownSchemas.set(key, read);
  return read;
}

/** Trees that are no trees give their message as it is, without a place. */
function decoded<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw error instanceof GraphqlError ? new BuiltinError(error.message) : error;
  }
}

function spend(context: BuiltinContext, text: string): void {
  context.spend(1 + Math.floor(text.length / CHARACTERS_PER_STEP));
}

function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof GraphqlError ? new BuiltinError(errorText(error, undefined)) : error;
  }
}

function orElse<T extends Value>(otherwise: T, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof GraphqlError || error instanceof BuiltinError) return otherwise;
    throw error;
  }
}

/** OPA v1/topdown/graphql.go, formatGqlParserError: the first error's place goes to the end. */
function errorText(first: GraphqlError, others: readonly GraphqlError[] | undefined): string {
  // A list of errors has one on each line; its last full stop is dropped with the line end.
  const list = others === undefined ? "" : ["", ...others.map(placedText), ""].join("\n");
  const { message, position } = first;
  // Columns can come out negative for strings of several lines, and are then not taken for places.
  if (position === undefined || position.column < 0) return `GraphQL parse error: ${placedText(first)}${list}`;
  const text = `${message}${list}`.replace(/\.\n$/, "");
  return `${text} in GraphQL string at location ${position.line}:${position.column}`;
}

function placedText({ message, position }: GraphqlError): string {
  return position === undefined ? `input: ${message}` : `input:${position.line}:${position.column}: ${message}`;
}

/** Parsing and validating GraphQL. @source OPA v1/topdown/graphql.go */
export const graphqlBuiltins: readonly Builtin[] = [
  parse,
  parseAndVerify,
  parseQueryBuiltin,
  parseSchemaBuiltin,
  isValid,
  schemaIsValid,
];
