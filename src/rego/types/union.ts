import {
  canonicalText,
  getKey,
  sortedKeys,
  type ObjectValue,
  type RegoSet,
  type Value,
  typeName,
  valuesEqual,
} from "../value/index.ts";
import { ANY, anyOf, arrayType, BOOLEAN, isAny, NULL, NUMBER, objectType, setType, STRING } from "./make.ts";
import { compareTypes, unwrap } from "./order.ts";
import type { AnyType, FunctionType, ObjectType, Type } from "./type.ts";

/** The type of a value. */
export function typeOfValue(value: Value): Type {
  switch (typeName(value)) {
    case "null":
      return NULL;
    case "boolean":
      return BOOLEAN;
    case "number":
      return NUMBER;
    case "string":
      return STRING;
    case "array":
      return arrayType((value as readonly Value[]).map(typeOfValue));
    case "set":
      // As a key a set is known by its JSON form only.
      return arrayType((value as RegoSet).sorted().map(typeOfValue));
    case "object": {
      const object = value as ObjectValue;
      return objectType(sortedKeys(object).map((key) => ({ key, value: typeOfValue(getKey(object, key) as Value) })));
    }
  }
}

/** Whether `a` is `any` over, or equal to, `b`. */
export function contains(a: Type | undefined, b: Type | undefined): boolean {
  if (a?.kind === "any") return anyContains(a, b);
  return compareTypes(a, b) === 0;
}

function anyContains(any: AnyType, type: Type | undefined): boolean {
  if (type?.kind === "function") return false;
  return any.of.length === 0 || (type !== undefined && search(any.of, type).found);
}

/** Where a type is, or belongs, among alternatives in order. */
function search(of: readonly Type[], type: Type): { readonly index: number; readonly found: boolean } {
  let low = 0;
  let high = of.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareTypes(of[middle], type);
    if (order === 0) return { index: middle, found: true };
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return { index: low, found: false };
}

/** The smallest type that holds both. Undefined when both are unknown, or one alone is a function. */
export function union(a: Type | undefined, b: Type | undefined): Type | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  if (a.kind === "function" || b.kind === "function")
    return a.kind === b.kind ? functionUnion(a as FunctionType, b as FunctionType) : undefined;
  if (a.kind === "any") return addToAny(a, b);
  if (b.kind === "any") return addToAny(b, a);
  return compareTypes(a, b) === 0 ? a : anyOf([a, b]);
}

function addToAny(any: AnyType, type: Type): AnyType {
  if (any.of.length === 0) return ANY;
  if (type.kind !== "any") {
    const { index, found } = search(any.of, type);
    return found ? any : { kind: "any", of: any.of.toSpliced(index, 0, type) };
  }
  if (type.of.length === 0) return ANY;
  return anyOf([...any.of, ...type.of.filter((alternative) => !anyContains(any, alternative))]);
}

function functionUnion(a: FunctionType, b: FunctionType): FunctionType | undefined {
  if (a.args.length !== b.args.length || (a.variadic === undefined) !== (b.variadic === undefined)) return undefined;
  const result = union(a.result?.type, b.result?.type);
  return {
    kind: "function",
    args: a.args.map(({ type }, i) => ({ type: union(type, b.args[i]?.type) })),
    result: result === undefined ? undefined : { type: result },
    variadic: union(a.variadic, b.variadic),
  };
}

function unionOf(types: Iterable<Type | undefined>): Type | undefined {
  let all: Type | undefined;
  for (const type of types) all = union(all, type);
  return all;
}

/** Large objects (packages) are enumerated by many refs. */
const objectKeys = new WeakMap<object, { readonly type: Type | undefined }>();
const objectValues = new WeakMap<object, { readonly type: Type | undefined }>();

function remembered(
  memory: WeakMap<object, { readonly type: Type | undefined }>,
  of: object,
  make: () => Type | undefined,
): Type | undefined {
  let known = memory.get(of);
  if (known === undefined) {
    known = { type: make() };
    memory.set(of, known);
  }
  return known.type;
}

/** What can be enumerated as the key of a value of this type; undefined where nothing can be looked up. */
export function keysOf(type: Type | undefined): Type | undefined {
  const of = unwrap(type);
  switch (of?.kind) {
    case "array":
      return NUMBER;
    case "object":
      return remembered(objectKeys, of, () =>
        union(unionOf(of.static.map(({ key }) => typeOfValue(key))), of.dynamic?.key),
      );
    case "set":
      return of.of;
    case "any":
      return isAny(of) ? ANY : unionOf(of.of.map(keysOf));
    default:
      return undefined;
  }
}

/** What can be enumerated as a member of a value of this type. */
export function valuesOf(type: Type | undefined): Type | undefined {
  const of = unwrap(type);
  switch (of?.kind) {
    case "array":
      return union(unionOf(of.static), of.dynamic);
    case "object":
      return remembered(objectValues, of, () => union(unionOf(of.static.map(({ value }) => value)), of.dynamic?.value));
    case "set":
      return of.of;
    case "any":
      return isAny(of) ? ANY : unionOf(of.of.map(valuesOf));
    default:
      return undefined;
  }
}

/** The type of the member at a constant key; undefined where there can be none. */
export function selectMember(type: Type | undefined, key: Value): Type | undefined {
  const of = unwrap(type);
  switch (of?.kind) {
    case "array":
      return typeof key === "number" && Number.isInteger(key) && key >= 0 ? elementOf(of, key) : undefined;
    case "object":
      return propertyOf(of, key);
    case "set": {
      const wanted = typeOfValue(key);
      if (compareTypes(of.of, wanted) === 0) return of.of;
      return of.of?.kind === "any" && anyContains(of.of, wanted) ? wanted : undefined;
    }
    case "any":
      return isAny(of) ? ANY : unionOf(of.of.map((alternative) => selectMember(alternative, key)));
    default:
      return undefined;
  }
}

/** The type of an array's element. */
export function elementOf(
  type: { readonly static: readonly (Type | undefined)[]; readonly dynamic: Type | undefined },
  index: number,
): Type | undefined {
  return index < type.static.length ? type.static[index] : type.dynamic;
}

/** The type of an object's member. */
export function propertyOf(type: ObjectType, key: Value): Type | undefined {
  const property = type.static.find((candidate) => valuesEqual(candidate.key, key));
  if (property !== undefined) return property.value;
  return type.dynamic !== undefined && contains(type.dynamic.key, typeOfValue(key)) ? type.dynamic.value : undefined;
}

/** Whether any part of a type is not known. Alternatives of `any` count as known. */
export function isUnknown(type: Type | undefined): boolean {
  return hasUnknown(type, new Set());
}

/** @param seen parts that are being looked at, or are known throughout. */
function hasUnknown(type: Type | undefined, seen: Set<Type>): boolean {
  const of = unwrap(type);
  if (of === undefined) return true;
  if (seen.has(of)) return false;
  const inside = (part: Type | undefined) => hasUnknown(part, seen);
  switch (of.kind) {
    case "function":
      seen.add(of);
      return of.args.some((arg) => inside(arg.type)) || inside(of.result?.type);
    case "array":
      seen.add(of);
      return of.static.some(inside) || (of.dynamic !== undefined && inside(of.dynamic));
    case "object":
      seen.add(of);
      return (
        of.static.some(({ value }) => inside(value)) ||
        (of.dynamic !== undefined && (inside(of.dynamic.key) || inside(of.dynamic.value)))
      );
    case "set":
      seen.add(of);
      return inside(of.of);
    default:
      return false;
  }
}

/**
 * Merges what several rules say of one document: sets and objects without static keys by their members, all else as a union.
 * Source: OPA v1/ast/env.go, mergeTypes.
 */
export function mergeTypes(left: Type | undefined, right: Type | undefined): Type | undefined {
  const a = unwrap(left);
  const b = unwrap(right);
  if (a === undefined || b === undefined) return a ?? b;
  if (a.kind === "any" && b.kind !== "any") return mergeTypes(b, a);
  if (a.kind === "set" && b.kind === "set") return setType(union(a.of, b.of));
  if (a.kind === "object" && a.static.length === 0 && a.dynamic !== undefined) {
    if (b.kind === "object" && b.static.length === 0 && b.dynamic !== undefined) {
      return objectType([], {
        key: union(a.dynamic.key, b.dynamic.key),
        value: mergeTypes(a.dynamic.value, b.dynamic.value),
      });
    }
    const open =
      b.kind === "any"
        ? b.of.find(
            (alternative): alternative is ObjectType =>
              alternative.kind === "object" && alternative.static.length === 0,
          )
        : undefined;
    if (b.kind === "any" && open?.dynamic !== undefined) {
      const merged = objectType([], {
        key: union(open.dynamic.key, a.dynamic.key),
        value: union(open.dynamic.value, a.dynamic.value),
      });
      return anyOf([...b.of.filter((alternative) => alternative !== open), merged]);
    }
  }
  return union(a, b);
}

/** An object type with one more member, at a path of keys given by their types. */
export function insertMember(
  object: ObjectType,
  path: readonly (Type | undefined)[],
  type: Type | undefined,
): ObjectType {
  const [key, ...rest] = path;
  if (path.length === 0) return object;
  const value = rest.length === 0 ? type : insertMember(objectType([]), rest, type);
  const { dynamic } = object;
  return objectType(
    object.static,
    dynamic === undefined ? { key, value } : { key: union(dynamic.key, key), value: union(dynamic.value, value) },
  );
}

/** An object type with the member at a path of constant keys replaced, or added. Source: OPA v1/ast/check.go, override. */
export function overrideMember(type: Type | undefined, path: readonly Value[], member: Type): Type {
  const object = unwrap(type);
  const [key, ...rest] = path;
  if (key === undefined) return member;
  if (object?.kind !== "object") return nestedMember(path, member, { key: ANY, value: ANY });
  const properties = object.static.map((property) =>
    valuesEqual(property.key, key) ? { key, value: overrideMember(property.value, rest, member) } : property,
  );
  if (!object.static.some((property) => valuesEqual(property.key, key))) {
    properties.push({ key, value: nestedMember(rest, member, object.dynamic) });
  }
  return objectType(properties, object.dynamic);
}

function nestedMember(path: readonly Value[], member: Type, dynamic: ObjectType["dynamic"]): Type {
  const [key, ...rest] = path;
  return key === undefined ? member : objectType([{ key, value: nestedMember(rest, member, dynamic) }], dynamic);
}

/** Static keys a value of this type may have, in order and once each. */
export function knownKeys(type: Type | undefined): readonly Value[] {
  const of = unwrap(type);
  if (of?.kind === "object") return of.static.map(({ key }) => key);
  if (of?.kind !== "any") return [];
  const keys = new Map<string, Value>();
  for (const alternative of of.of) for (const key of knownKeys(alternative)) keys.set(canonicalText(key), key);
  return [...keys.values()];
}
