import { BuiltinError } from "../runtime/index.ts";
import {
  compareNumbers,
  getKey,
  isArray,
  isNumber,
  isObject,
  type NumberValue,
  numberText,
  type ObjectValue,
  sortedKeys,
  toBigInt,
  typeName,
  type Value,
} from "../value/index.ts";
import { DRAFTS, metaSchema } from "./json-schema-drafts.ts";
import { cachedRegex, type Regex } from "./regex-engine.ts";

/** A schema is malformed. The messages are gojsonschema's, which OPA shows. */
export class SchemaError extends Error {
  override readonly name = "SchemaError";
}

/** One schema, its keywords checked and its references resolved. Absent keywords are undefined. */
export interface CompiledSchema {
  /** `true` and `false` as schemas. */
  pass?: boolean;
  /** Where `$ref` leads; everything else is then without effect. */
  reference?: CompiledSchema;
  types: string[];
  properties: Map<string, CompiledSchema>;
  additionalProperties?: boolean | CompiledSchema;
  patternProperties: { readonly regex: Regex; readonly schema: CompiledSchema }[];
  propertyNames?: CompiledSchema;
  dependencies: Map<string, readonly string[] | CompiledSchema>;
  items: CompiledSchema | readonly CompiledSchema[] | undefined;
  additionalItems?: boolean | CompiledSchema;
  multipleOf?: NumberValue;
  minimum?: NumberValue | undefined;
  exclusiveMinimum?: NumberValue;
  maximum?: NumberValue | undefined;
  exclusiveMaximum?: NumberValue;
  minLength?: number;
  maxLength?: number;
  pattern?: { readonly regex: Regex; readonly text: string };
  format?: string;
  minProperties?: number;
  maxProperties?: number;
  required: string[];
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  contains?: CompiledSchema;
  /** Constants and enumerated values as the JSON text they are compared by. */
  constant?: string;
  enumeration?: string[];
  oneOf: CompiledSchema[];
  anyOf: CompiledSchema[];
  allOf: CompiledSchema[];
  not?: CompiledSchema;
  if?: CompiledSchema;
  then?: CompiledSchema;
  else?: CompiledSchema;
}

const TYPES = ["array", "boolean", "integer", "number", "null", "object", "string"];
/** Without `$schema` the keywords of all drafts are understood. */
const HYBRID = Number.POSITIVE_INFINITY;
const MAX_DEPTH = 500;

/**
 * Compiles a schema by the rules of gojsonschema (OPA's copy): drafts 4, 6 and 7, or their union. References lead
 * within the schema only: nothing is ever fetched.
 * @throws {SchemaError}
 */
export function compileJsonSchema(document: Value): CompiledSchema {
  return new SchemaCompiler(document).compile();
}

/** A schema within the whole: what `$ref` can lead to. */
interface Place {
  readonly node: Value;
  readonly base: string;
}

class SchemaCompiler {
  readonly #document: Value;
  readonly #draft: number;
  readonly #identified = new Map<string, Place>();
  readonly #references = new Map<string, CompiledSchema>();
  #depth = 0;

  constructor(document: Value) {
    this.#document = document;
    if (typeof document !== "boolean" && !isObject(document)) throw new SchemaError("schema is invalid");
    this.#draft = draftOf(document);
  }

  compile(): CompiledSchema {
    this.#collectIds(this.#document, "", 0);
    return this.#parse(this.#document, "");
  }

  /** What a reference from outside leads to. */
  #compileAt(fragment: string): CompiledSchema {
    this.#collectIds(this.#document, "", 0);
    return this.#parse(followPointer(this.#document, fragment), "");
  }

  /** Registers every `$id`, so that references can name schemas by it. */
  #collectIds(node: Value, base: string, depth: number): void {
    if (depth > MAX_DEPTH) throw new SchemaError(`schema is nested more than ${MAX_DEPTH} levels deep`);
    if (isArray(node)) for (const item of node) this.#collectIds(item, base, depth + 1);
    if (!isObject(node)) return;
    const id = getKey(node, getKey(node, "id") === undefined ? "$id" : "id");
    let inner = base;
    if (typeof id === "string" && isReference(id)) {
      inner = resolve(base, id);
      if (this.#identified.has(inner)) throw new SchemaError(`Reference already exists: "${inner}"`);
      this.#identified.set(inner, { node, base: inner });
    }
    for (const key of sortedKeys(node)) {
      const child = getKey(node, key) as Value;
      if (key === "const" || key === "enum") continue;
      const isMap = key === "properties" || key === "dependencies" || key === "patternProperties";
      if (isMap && isObject(child)) {
        for (const name of sortedKeys(child)) this.#collectIds(getKey(child, name) as Value, inner, depth + 1);
      } else this.#collectIds(child, inner, depth + 1);
    }
  }

  #parse(node: Value, outerBase: string): CompiledSchema {
    const schema: CompiledSchema = {
      types: [],
      properties: new Map(),
      patternProperties: [],
      dependencies: new Map(),
      items: undefined,
      required: [],
      oneOf: [],
      anyOf: [],
      allOf: [],
    };
    this.#parseInto(schema, node, outerBase);
    return schema;
  }

  #parseInto(schema: CompiledSchema, node: Value, outerBase: string): void {
    if (this.#draft >= 6 && typeof node === "boolean") {
      schema.pass = node;
      return;
    }
    if (!isObject(node)) throw new SchemaError("Expected: Valid Schema, given: Invalid JSON");
    if (++this.#depth > MAX_DEPTH) throw new SchemaError(`schema is nested more than ${MAX_DEPTH} levels deep`);
    const base = this.#baseOf(node, outerBase);
    this.#parseDefinitions(node, base);
    optionalText(node, "title");
    optionalText(node, "description");
    const reference = optionalText(node, "$ref");
    if (reference === undefined) this.#parseKeywords(schema, node, base);
    else schema.reference = this.#referenced(reference, base);
    this.#depth--;
  }

  #baseOf(node: ObjectValue, outerBase: string): string {
    const key = this.#draft === 4 || (this.#draft === HYBRID && getKey(node, "id") !== undefined) ? "id" : "$id";
    const id = optionalText(node, key);
    if (id === undefined) return outerBase;
    if (!isReference(id)) throw new SchemaError(`parse ${JSON.stringify(id)}: invalid URL escape`);
    return resolve(outerBase, id);
  }

  #parseDefinitions(node: ObjectValue, base: string): void {
    const definitions = getKey(node, "definitions");
    if (definitions === undefined) return;
    if (!isObject(definitions)) throw invalidType("Array Of Schemas", "definitions");
    for (const name of sortedKeys(definitions)) {
      const definition = getKey(definitions, name) as Value;
      if (typeof definition !== "boolean" && !isObject(definition))
        throw invalidType("Array Of Schemas", "definitions");
      this.#parse(definition, base);
    }
  }

  #referenced(reference: string, base: string): CompiledSchema {
    if (!isReference(reference)) throw new SchemaError(`parse ${JSON.stringify(reference)}: invalid URL escape`);
    const target = resolve(base, reference);
    const known = this.#references.get(target);
    if (known !== undefined) return known;
    const [url, fragment] = splitFragment(target);
    const draft = DRAFTS.get(url);
    if (draft !== undefined && !this.#identified.has(url)) {
      const schema = new SchemaCompiler(metaSchema(draft)).#compileAt(fragment);
      this.#references.set(target, schema);
      return schema;
    }
    const place = this.#find(target);
    if (typeof place.node !== "boolean" && !isObject(place.node)) {
      throw new SchemaError("Valid Schema must be of type object");
    }
    // Registered before it is parsed: schemas may refer to themselves.
    const schema = this.#parse({}, "");
    this.#references.set(target, schema);
    this.#parseInto(schema, place.node, place.base);
    return schema;
  }

  #find(target: string): Place {
    const named = this.#identified.get(target);
    if (named !== undefined) return named;
    const [url, fragment] = splitFragment(target);
    const root = url === "" ? { node: this.#document, base: "" } : this.#identified.get(url);
    if (root === undefined) {
      if (!/^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(url)) throw new SchemaError(`Reference ${target} must be canonical`);
      throw new SchemaError(`remote reference loading disabled: ${url}`);
    }
    return { node: followPointer(root.node, fragment), base: root.base };
  }

  #parseKeywords(schema: CompiledSchema, node: ObjectValue, base: string): void {
    parseTypes(schema, node);
    this.#parseProperties(schema, node, base);
    this.#parseItems(schema, node, base);
    parseNumberLimits(schema, node, this.#draft);
    parseTextLimits(schema, node);
    parseSizeLimits(schema, node, "Properties");
    parseRequired(schema, node);
    parseSizeLimits(schema, node, "Items");
    parseUniqueItems(schema, node);
    const contains = getKey(node, "contains");
    if (contains !== undefined && this.#draft >= 6) schema.contains = this.#parse(contains, base);
    const constant = getKey(node, "const");
    if (constant !== undefined && this.#draft >= 6) schema.constant = comparableText(constant);
    parseEnumeration(schema, node);
    this.#parseCombinations(schema, node, base);
  }

  #parseProperties(schema: CompiledSchema, node: ObjectValue, base: string): void {
    const properties = getKey(node, "properties");
    if (properties !== undefined) {
      if (!isObject(properties)) throw new SchemaError("Properties must be of type object");
      for (const name of sortedKeys(properties)) {
        schema.properties.set(String(name), this.#parse(getKey(properties, name) as Value, base));
      }
    }
    const additional = this.#booleanOrSchema(node, "additionalProperties", base);
    if (additional !== undefined) schema.additionalProperties = additional;
    const patterns = getKey(node, "patternProperties");
    if (patterns !== undefined) {
      if (!isObject(patterns)) throw invalidType("Valid Schema", "patternProperties");
      for (const pattern of sortedKeys(patterns)) {
        const regex = regexOf(String(pattern));
        if (regex === undefined) throw new SchemaError(`Invalid regex pattern '${String(pattern)}'`);
        schema.patternProperties.push({ regex, schema: this.#parse(getKey(patterns, pattern) as Value, base) });
      }
    }
    const names = getKey(node, "propertyNames");
    if (names !== undefined && this.#draft >= 6) {
      if (!isSchema(names)) throw invalidType("Valid Schema", "patternProperties");
      schema.propertyNames = this.#parse(names, base);
    }
    this.#parseDependencies(schema, node, base);
  }

  #parseDependencies(schema: CompiledSchema, node: ObjectValue, base: string): void {
    const dependencies = getKey(node, "dependencies");
    if (dependencies === undefined) return;
    if (!isObject(dependencies)) throw new SchemaError("dependencies must be of type object");
    const wrong = () => new SchemaError("Dependency must be of type Schema Or Array Of Strings");
    for (const name of sortedKeys(dependencies)) {
      const dependency = getKey(dependencies, name) as Value;
      if (isArray(dependency)) {
        if (!dependency.every((item): item is string => typeof item === "string")) throw wrong();
        schema.dependencies.set(String(name), dependency);
      } else if (isSchema(dependency)) schema.dependencies.set(String(name), this.#parse(dependency, base));
      else throw wrong();
    }
  }

  #parseItems(schema: CompiledSchema, node: ObjectValue, base: string): void {
    const items = getKey(node, "items");
    const wrong = () => invalidType("Valid Schema/Array Of Schemas", "items");
    if (isArray(items ?? null)) {
      schema.items = (items as readonly Value[]).map((item) => {
        if (!isSchema(item)) throw wrong();
        return this.#parse(item, base);
      });
    } else if (items !== undefined) {
      if (!isSchema(items)) throw wrong();
      schema.items = this.#parse(items, base);
    }
    const additional = this.#booleanOrSchema(node, "additionalItems", base);
    if (additional !== undefined) schema.additionalItems = additional;
  }

  #booleanOrSchema(node: ObjectValue, key: string, base: string): boolean | CompiledSchema | undefined {
    const value = getKey(node, key);
    if (value === undefined || typeof value === "boolean") return value;
    if (!isObject(value)) throw invalidType("boolean/Valid Schema", key);
    return this.#parse(value, base);
  }

  #parseCombinations(schema: CompiledSchema, node: ObjectValue, base: string): void {
    for (const key of ["oneOf", "anyOf", "allOf"] as const) {
      for (const option of list(node, key) ?? []) schema[key].push(this.#parse(option, base));
    }
    for (const key of this.#draft >= 7 ? (["not", "if", "then", "else"] as const) : (["not"] as const)) {
      const value = getKey(node, key);
      if (value === undefined) continue;
      if (!isSchema(value)) throw new SchemaError(`${key} must be of an object`);
      schema[key] = this.#parse(value, base);
    }
  }
}

function draftOf(document: Value): number {
  const schema = isObject(document) ? getKey(document, "$schema") : undefined;
  if (schema === undefined) return HYBRID;
  if (typeof schema !== "string") throw new SchemaError("$schema must be of type string");
  return DRAFTS.get(schema.replace(/#$/, "")) ?? HYBRID;
}

function isSchema(value: Value): boolean {
  return typeof value === "boolean" || isObject(value);
}

function isReference(text: string): boolean {
  return !/%(?![0-9a-fA-F]{2})/.test(text);
}

/** Resolves a reference against its base URI; a bare `#` is the document itself. */
function resolve(base: string, reference: string): string {
  const [path, fragment] = splitFragment(reference);
  const [basePath] = splitFragment(base);
  return withFragment(path === "" ? basePath : resolvePath(basePath, path), fragment);
}

function resolvePath(base: string, path: string): string {
  if (/^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(path)) return path;
  try {
    return new URL(path, base).href;
  } catch {
    return path.startsWith("/") ? path : `/${path}`; // Go resolves against an empty base to a rooted path.
  }
}

function splitFragment(text: string): readonly [string, string] {
  const hash = text.indexOf("#");
  return hash < 0 ? [text, ""] : [text.slice(0, hash), text.slice(hash + 1)];
}

function withFragment(path: string, fragment: string): string {
  return fragment === "" ? path : `${path}#${fragment}`;
}

/** RFC 6901, in gojsonpointer's words. A fragment that is no pointer leads to the whole document. */
function followPointer(document: Value, fragment: string): Value {
  if (!fragment.startsWith("/")) return document;
  let node = document;
  for (const raw of fragment.slice(1).split("/")) {
    const token = decodeToken(raw);
    if (isObject(node)) {
      const member = getKey(node, token);
      if (member === undefined) throw new SchemaError(`Object has no key '${token}'`);
      node = member;
    } else if (isArray(node)) {
      if (!/^[+-]?\d+$/.test(token)) throw new SchemaError(`Invalid array index '${token}'`);
      const item = node[Number(token)];
      if (item === undefined) {
        throw new SchemaError(`Out of bound array[0,${node.length}] index '${Number(token)}'`);
      }
      node = item;
    } else throw new SchemaError(`Invalid token reference '${token}'`);
  }
  return node;
}

function decodeToken(token: string): string {
  let decoded = token;
  try {
    decoded = decodeURIComponent(token);
  } catch {
    // Not UTF-8 once unescaped: take it as it stands.
  }
  return decoded.replaceAll("~1", "/").replaceAll("~0", "~");
}

function parseTypes(schema: CompiledSchema, node: ObjectValue): void {
  const type = getKey(node, "type");
  if (type === undefined) return;
  const wrong = () => invalidType("type", "string/Array Of Strings");
  if (typeof type !== "string" && !isArray(type)) throw wrong();
  for (const name of isArray(type) ? type : [type]) {
    if (typeof name !== "string") throw wrong();
    if (!TYPES.includes(name)) {
      const given = `given: /${name}/ Expected valid values are:[${TYPES.join(" ")}]`;
      throw new SchemaError(`has a primitive type that is NOT VALID -- ${given}`);
    }
    if (schema.types.includes(name)) throw new SchemaError(`${name} type is duplicated`);
    schema.types.push(name);
  }
}

function parseNumberLimits(schema: CompiledSchema, node: ObjectValue, draft: number): void {
  const multipleOf = getKey(node, "multipleOf");
  if (multipleOf !== undefined) {
    if (!isNumber(multipleOf)) throw invalidType("Number", "multipleOf");
    if (compareNumbers(multipleOf, 0) <= 0) throw new SchemaError("multipleOf must be strictly greater than 0");
    schema.multipleOf = multipleOf;
  }
  parseBound(schema, node, draft, "minimum", "exclusiveMinimum");
  parseBound(schema, node, draft, "maximum", "exclusiveMaximum");
}

/** Draft 4 has a boolean beside the bound, later drafts a bound of its own; without `$schema` both are taken. */
function parseBound(
  schema: CompiledSchema,
  node: ObjectValue,
  draft: number,
  inclusive: "minimum" | "maximum",
  exclusive: "exclusiveMinimum" | "exclusiveMaximum",
): void {
  const bound = getKey(node, inclusive);
  if (bound !== undefined) {
    if (!isNumber(bound)) throw new SchemaError(`${inclusive} must be of a Number`);
    schema[inclusive] = bound;
  }
  const limit = getKey(node, exclusive);
  if (limit === undefined) return;
  if (typeof limit === "boolean" && (draft === 4 || draft === HYBRID)) {
    if (schema[inclusive] === undefined) throw new SchemaError(`${exclusive} cannot be used without ${inclusive}`);
    if (limit) {
      schema[exclusive] = schema[inclusive];
      schema[inclusive] = undefined;
    }
  } else if (isNumber(limit) && draft !== 4) schema[exclusive] = limit;
  else throw invalidType(draft === 4 ? "boolean" : draft === HYBRID ? "boolean/number" : "number", exclusive);
}

function parseTextLimits(schema: CompiledSchema, node: ObjectValue): void {
  const min = size(node, "minLength");
  const max = size(node, "maxLength");
  if (min !== undefined) schema.minLength = min;
  if (max !== undefined) schema.maxLength = max;
  if (min !== undefined && max !== undefined && min > max) {
    throw new SchemaError("minLength cannot be greater than maxLength");
  }
  const pattern = optionalText(node, "pattern");
  if (pattern !== undefined) {
    const regex = regexOf(pattern);
    if (regex === undefined) throw new SchemaError("pattern must be a valid regex");
    schema.pattern = { regex, text: pattern };
  }
  const format = optionalText(node, "format");
  if (format !== undefined) schema.format = format;
}

function parseSizeLimits(schema: CompiledSchema, node: ObjectValue, of: "Properties" | "Items"): void {
  const min = size(node, `min${of}`);
  const max = size(node, `max${of}`);
  if (min !== undefined) schema[`min${of}`] = min;
  if (max !== undefined) schema[`max${of}`] = max;
  if (of === "Properties" && min !== undefined && max !== undefined && min > max) {
    throw new SchemaError("minProperties cannot be greater than maxProperties");
  }
}

function parseRequired(schema: CompiledSchema, node: ObjectValue): void {
  for (const name of list(node, "required") ?? []) {
    if (typeof name !== "string") throw invalidType("string", "required");
    if (schema.required.includes(name)) throw new SchemaError("required items must be unique");
    schema.required.push(name);
  }
}

function parseUniqueItems(schema: CompiledSchema, node: ObjectValue): void {
  const unique = getKey(node, "uniqueItems");
  if (unique === undefined) return;
  if (typeof unique !== "boolean") throw new SchemaError("uniqueItems must be of a boolean");
  schema.uniqueItems = unique;
}

function parseEnumeration(schema: CompiledSchema, node: ObjectValue): void {
  const values = list(node, "enum");
  if (values === undefined) return;
  const texts = values.map(comparableText);
  if (new Set(texts).size < texts.length) throw new SchemaError("enum items must be unique");
  schema.enumeration = texts;
}

function size(node: ObjectValue, key: string): number | undefined {
  const value = getKey(node, key);
  if (value === undefined) return undefined;
  const integer = isNumber(value) ? toBigInt(value) : undefined;
  if (integer === undefined) throw new SchemaError(`${key} must be of an integer`);
  if (integer < 0n) throw new SchemaError(`${key} must be greater than or equal to 0`);
  return Number(integer);
}

function optionalText(node: ObjectValue, key: string): string | undefined {
  const value = getKey(node, key);
  if (value === undefined || typeof value === "string") return value;
  throw invalidType("string", key);
}

function list(node: ObjectValue, key: string): readonly Value[] | undefined {
  const value = getKey(node, key);
  if (value === undefined || isArray(value)) return value;
  throw new SchemaError(`${key} must be of an array`);
}

function invalidType(expected: string, given: string): SchemaError {
  return new SchemaError(`Invalid type. Expected: ${expected}, given: ${given}`);
}

function regexOf(pattern: string): Regex | undefined {
  try {
    return cachedRegex(pattern);
  } catch (error) {
    if (error instanceof BuiltinError) return undefined;
    throw error;
  }
}

/**
 * JSON text that two values share when gojsonschema takes them for equal: numbers as the nearest double, so that `1`
 * and `1.0` agree. Written as Go's encoding/json does.
 */
export function comparableText(value: Value): string {
  if (typeof value === "string") return escaped(value);
  if (value === null || typeof value === "boolean") return String(value);
  if (isNumber(value)) return String(Number(numberText(value)));
  if (isArray(value)) return `[${value.map(comparableText).join(",")}]`;
  if (!isObject(value)) throw new TypeError(`no JSON value: ${typeName(value)}`);
  const members = sortedKeys(value).map(
    (key) => `${escaped(String(key))}:${comparableText(getKey(value, key) as Value)}`,
  );
  return `{${members.join(",")}}`;
}

function escaped(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
