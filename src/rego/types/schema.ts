import { getKey, isArray, isObject, type ObjectValue, sortedKeys, toJsonText, type Value } from "../value/index.ts";
import { ANY, arrayType, BOOLEAN, NUMBER, objectType, STRING } from "./make.ts";
import type { RecursiveType, Type } from "./type.ts";
import { union } from "./union.ts";

/** A JSON schema cannot be read as a type. The message is OPA's. */
export class SchemaError extends Error {
  override readonly name = "SchemaError";
}

const TYPE_NAMES: ReadonlySet<Value> = new Set(["array", "boolean", "integer", "number", "null", "object", "string"]);

/**
 * The type that a JSON schema describes, as far as OPA's type checker looks: types, properties, items, `$ref`, `anyOf` and
 * `allOf`; the rest says nothing here. References leave the document only to fail: nothing is fetched.
 * Source: OPA v1/ast/compile.go, schemaParser.
 *
 * @throws {SchemaError}
 */
export function schemaType(schema: Value): Type {
  if (schema === null) throw new SchemaError("no schema as input to compile");
  return new SchemaReader(schema).read();
}

const MAX_DEPTH = 200;

interface SubSchema {
  readonly ref: string | undefined;
  readonly types: readonly string[];
  readonly properties: readonly (readonly [string, Value])[];
  readonly items: readonly Value[];
  /** `items` is one schema for all elements, not one for each. */
  readonly isUniform: boolean;
  readonly anyOf: readonly Value[] | undefined;
  readonly allOf: readonly Value[] | undefined;
}

class SchemaReader {
  readonly #root: Value;
  /** References read so far; those being read are knots to tie later. */
  readonly #known = new Map<string, { type: Type | undefined; knot: RecursiveType | undefined; open: boolean }>();

  #depth = 0;

  constructor(root: Value) {
    this.#root = root;
  }

  read(): Type {
    return this.#typeOf(this.#parse(this.#root));
  }

  #typeOf(schema: SubSchema): Type {
    // `allOf` that refers to itself has no end.
    if (this.#depth >= MAX_DEPTH) throw new SchemaError("unable to compile the schema: nested too deeply");
    this.#depth++;
    const type = this.#typeOfParts(schema);
    this.#depth--;
    return type;
  }

  #typeOfParts(schema: SubSchema): Type {
    if (schema.ref !== undefined) return this.#referencedType(schema.ref);
    if (schema.anyOf !== undefined) return this.#anyOfType(schema, schema.anyOf);
    if (schema.allOf !== undefined) return this.#allOfType(schema, schema.allOf);
    const types = impliedTypes(schema);
    if (types.includes("boolean")) return BOOLEAN;
    if (types.includes("string")) return STRING;
    if (types.includes("integer") || types.includes("number")) return NUMBER;
    if (types.includes("object")) {
      if (schema.properties.length === 0) return objectType([], { key: ANY, value: ANY });
      return objectType(schema.properties.map(([key, value]) => ({ key, value: this.#typeOf(this.#parse(value)) })));
    }
    if (types.includes("array")) {
      const items = schema.items.map((item) => this.#typeOf(this.#parse(item)));
      if (items.length === 0) return arrayType([], ANY);
      return schema.isUniform ? arrayType([], items[0]) : arrayType(items);
    }
    return ANY;
  }

  #referencedType(ref: string): Type {
    const known = this.#known.get(ref);
    if (known?.open === true) {
      known.knot ??= { kind: "recursive", name: ref, type: undefined };
      return known.knot;
    }
    if (known?.type !== undefined) return known.type;
    const entry: { type: Type | undefined; knot: RecursiveType | undefined; open: boolean } = {
      type: undefined,
      knot: undefined,
      open: true,
    };
    this.#known.set(ref, entry);
    const type = this.#typeOf(this.#parse(this.#resolve(ref)));
    entry.open = false;
    entry.type = type;
    if (entry.knot !== undefined) entry.knot.type = type;
    return type;
  }

  #anyOfType(schema: SubSchema, alternatives: readonly Value[]): Type {
    let type: Type | undefined;
    if (schema.types.length > 0) {
      const core = this.#typeOf({ ...schema, anyOf: undefined });
      if (core.kind === "object" && core.dynamic === undefined) type = core;
    }
    for (const alternative of alternatives) type = union(this.#typeOf(this.#parse(alternative)), type);
    return type ?? ANY;
  }

  #allOfType(schema: SubSchema, parts: readonly Value[]): Type {
    const subschemas: SubSchema[] = [];
    for (const part of parts) {
      let subschema = this.#parse(part);
      for (let hops = 0; subschema.ref !== undefined; hops++) {
        if (hops > this.#known.size + parts.length + 64) throw new SchemaError("unable to merge these schemas");
        subschema = this.#parse(this.#resolve(subschema.ref));
      }
      const isOnlyAnyOf =
        subschema.types.length === 0 &&
        subschema.anyOf !== undefined &&
        subschema.properties.length === 0 &&
        subschema.items.length === 0;
      if (!isOnlyAnyOf) subschemas.push(subschema);
    }
    const [first, ...rest] = subschemas;
    if (first === undefined) return ANY;
    const all = rest.reduce((a, b) => this.#merge(a, b), { ...first, types: impliedTypes(first) });
    if (schema.types.length === 0) return this.#typeOf(all);
    for (const container of ["object", "array"]) {
      if (schema.types.includes(container) && all.types.includes(container))
        return this.#typeOf(this.#merge(all, { ...schema, allOf: undefined }));
    }
    if (typesText(schema.types) !== typesText(all.types)) throw new SchemaError("unable to merge these schemas");
    return this.#typeOf(all);
  }

  #merge(a: SubSchema, b: SubSchema): SubSchema {
    const typesA = typesText(impliedTypes(a));
    const typesB = typesText(impliedTypes(b));
    if (typesA !== typesB)
      throw new SchemaError(`unable to merge these schemas: type mismatch: ${typesA} and ${typesB}`);
    const merged = { ...a, types: impliedTypes(a) };
    if (a.properties.length > 0 && b.properties.length > 0)
      return { ...merged, properties: [...a.properties, ...b.properties] };
    if (a.items.length === 0 || b.items.length === 0) return merged;
    const shared = Math.min(a.items.length, b.items.length);
    for (let i = 0; i < shared; i++) {
      if (typesText(this.#parse(a.items[i] as Value).types) !== typesText(this.#parse(b.items[i] as Value).types)) {
        throw new SchemaError("unable to merge these schemas");
      }
    }
    return { ...merged, items: [...a.items, ...b.items.slice(shared)] };
  }

  #parse(json: Value): SubSchema {
    if (json === true || json === false) return EMPTY;
    if (!isObject(json)) throw new SchemaError("unable to compile the schema: schema must be an object or a boolean");
    const ref = getKey(json, "$ref");
    const items = getKey(json, "items");
    return {
      ref: typeof ref === "string" ? ref : undefined,
      types: typesOf(json),
      properties: propertiesOf(json),
      items: items === undefined ? [] : isArray(items) ? items : [items],
      isUniform: items !== undefined && !isArray(items),
      anyOf: listOf(json, "anyOf"),
      allOf: listOf(json, "allOf"),
    };
  }

  /** Finds `#/definitions/a`, or a subschema by its `$id`. */
  #resolve(ref: string): Value {
    const [, pointer] = ref.split("#");
    if (!ref.startsWith("#") && getKey(this.#root as ObjectValue, "$id") !== ref.split("#")[0]) {
      throw new SchemaError(`unable to compile the schema: remote reference loading disabled: ${ref}`);
    }
    let at: Value | undefined = this.#root;
    for (const part of (pointer ?? "").split("/").slice(1)) {
      const key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
      at = at === undefined ? undefined : isObject(at) ? getKey(at, key) : isArray(at) ? at[Number(key)] : undefined;
      if (at === undefined) throw new SchemaError(`unable to compile the schema: Object has no key '${key}'`);
    }
    return at as Value;
  }
}

const EMPTY: SubSchema = {
  ref: undefined,
  types: [],
  properties: [],
  items: [],
  isUniform: false,
  anyOf: undefined,
  allOf: undefined,
};

/** A schema with properties is one of objects, one with items of arrays. */
function impliedTypes({ types, properties, items }: SubSchema): readonly string[] {
  const implied = properties.length > 0 ? "object" : items.length > 0 ? "array" : undefined;
  return implied === undefined || types.includes(implied) ? types : [...types, implied];
}

function typesOf(schema: ObjectValue): readonly string[] {
  const type = getKey(schema, "type");
  if (type === undefined) return [];
  const list = isArray(type) ? type : [type];
  for (const name of list) {
    if (!TYPE_NAMES.has(name)) {
      throw new SchemaError(
        `unable to compile the schema: has a primitive type that is NOT VALID -- given: /${toJsonText(name).replaceAll('"', "")}/ Expected valid values are:[${[...TYPE_NAMES].join(" ")}]`,
      );
    }
  }
  return list as readonly string[];
}

function typesText(types: readonly string[]): string {
  if (types.length === 0) return "undefined";
  return types.length === 1 ? (types[0] as string) : `[${types.join(",")}]`;
}

function propertiesOf(schema: ObjectValue): readonly (readonly [string, Value])[] {
  const properties = getKey(schema, "properties");
  if (properties === undefined || !isObject(properties)) return [];
  return sortedKeys(properties).map((key) => [String(key), getKey(properties, key) as Value] as const);
}

function listOf(schema: ObjectValue, key: string): readonly Value[] | undefined {
  const list = getKey(schema, key);
  return list !== undefined && isArray(list) ? list : undefined;
}
