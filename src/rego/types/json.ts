import { getKey, isArray, isObject, type JsonObject, type ObjectValue, type Value } from "../value/index.ts";
import { ANY, anyOf, arrayType, BOOLEAN, NULL, NUMBER, objectType, setType, STRING } from "./make.ts";
import { MAX_SHOWN_PARTS, type Room } from "./text.ts";
import type { FunctionType, NamedType, Type } from "./type.ts";

/** A type written in JSON was malformed. The message is OPA's. */
export class TypeFormatError extends Error {
  override readonly name = "TypeFormatError";
}

/** Reads a type as capabilities files write it: `{"type": "array", "dynamic": {"type": "any"}}`. @throws {TypeFormatError} */
export function readType(json: Value): Type {
  const object = objectOf(json);
  const kind = getKey(object, "type");
  switch (kind) {
    case "null":
      return NULL;
    case "boolean":
      return BOOLEAN;
    case "number":
      return NUMBER;
    case "string":
      return STRING;
    case "array": {
      const dynamic = getKey(object, "dynamic");
      return arrayType(listOf(object, "static").map(readType), dynamic === undefined ? undefined : readType(dynamic));
    }
    case "object":
      return readObjectType(object);
    case "set":
      return setType(readType(getKey(object, "of") ?? null));
    case "any": {
      const of = listOf(object, "of");
      return of.length === 0 ? ANY : anyOf(of.map(readType));
    }
    case "function":
      return readFunctionType(object);
    default:
      throw new TypeFormatError(`unsupported type '${typeof kind === "string" ? kind : ""}'`);
  }
}

/** @throws {TypeFormatError} when it is another kind of type. */
export function readFunctionType(json: Value): FunctionType {
  const object = objectOf(json);
  if (getKey(object, "type") !== "function") throw new TypeFormatError("invalid type");
  const result = getKey(object, "result");
  const variadic = getKey(object, "variadic");
  return {
    kind: "function",
    args: listOf(object, "args").map(readNamedType),
    result: result === undefined ? undefined : readNamedType(result),
    variadic: variadic === undefined ? undefined : readType(variadic),
  };
}

function readObjectType(object: ObjectValue): Type {
  const members = listOf(object, "static").map((member) => ({
    key: getKey(objectOf(member), "key") ?? null,
    value: readType(getKey(objectOf(member), "value") ?? null),
  }));
  const dynamic = getKey(object, "dynamic");
  if (dynamic === undefined) return objectType(members);
  const of = objectOf(dynamic);
  return objectType(members, {
    key: readType(getKey(of, "key") ?? null),
    value: readType(getKey(of, "value") ?? null),
  });
}

function readNamedType(json: Value): NamedType {
  const name = getKey(objectOf(json), "name");
  return { type: readType(json), ...(typeof name === "string" && { name }) };
}

function objectOf(json: Value): ObjectValue {
  if (!isObject(json)) throw new TypeFormatError("unsupported type ''");
  return json;
}

function listOf(object: ObjectValue, key: string): readonly Value[] {
  const list = getKey(object, key) ?? [];
  if (!isArray(list)) throw new TypeFormatError(`invalid type: ${key} must be an array`);
  return list;
}

/** Writes a type as capabilities files do: without names and descriptions. Unknown parts are null, parts past a limit `{}`. */
export function writeType(type: Type, room: Room = { parts: MAX_SHOWN_PARTS }): JsonObject {
  if (--room.parts < 0) return {};
  const part = (inner: Type | undefined): JsonObject | null => (inner === undefined ? null : writeType(inner, room));
  switch (type.kind) {
    case "recursive":
      return { name: type.name };
    case "array":
      return {
        ...(type.dynamic !== undefined && { dynamic: part(type.dynamic) }),
        ...(type.static.length > 0 && { static: type.static.map(part) }),
        type: "array",
      };
    case "object":
      return {
        ...(type.dynamic !== undefined && {
          dynamic: { key: part(type.dynamic.key), value: part(type.dynamic.value) },
        }),
        ...(type.static.length > 0 && {
          static: type.static.map(({ key, value }) => ({ key, value: part(value) })),
        }),
        type: "object",
      };
    case "set":
      return { ...(type.of !== undefined && { of: part(type.of) }), type: "set" };
    case "any":
      return { ...(type.of.length > 0 && { of: type.of.map(part) }), type: "any" };
    case "function":
      return {
        ...(type.args.length > 0 && { args: type.args.map((arg) => part(arg.type)) }),
        ...(type.result !== undefined && { result: part(type.result.type) }),
        type: "function",
        ...(type.variadic !== undefined && { variadic: part(type.variadic) }),
      };
    default:
      return { type: type.kind };
  }
}

/** A type in an error's details: what is not known is null; operands have their names and descriptions. Keys are sorted. */
export function describeType({ type, name, about }: NamedType): JsonObject | null {
  if (type === undefined) return null;
  const document: JsonObject = {
    ...writeType(type),
    ...(name !== undefined && name !== "" && { name }),
    ...(about !== undefined && about !== "" && { description: about }),
  };
  return Object.fromEntries(Object.entries(document).sort(([a], [b]) => (a < b ? -1 : 1)));
}
