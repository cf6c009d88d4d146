import { compareValues } from "../value/index.ts";
import { compareTypes } from "./order.ts";
import type {
  AnyType,
  ArrayType,
  DynamicProperty,
  FunctionType,
  ObjectType,
  ScalarType,
  SetType,
  StaticProperty,
  Type,
} from "./type.ts";

export const NULL: ScalarType = { kind: "null" };
export const BOOLEAN: ScalarType = { kind: "boolean" };
export const NUMBER: ScalarType = { kind: "number" };
export const STRING: ScalarType = { kind: "string" };
/** The top type. */
export const ANY: AnyType = { kind: "any", of: [] };

export function arrayType(members: readonly (Type | undefined)[], dynamic?: Type): ArrayType {
  return { kind: "array", static: members, dynamic };
}

export function objectType(properties: readonly StaticProperty[], dynamic?: DynamicProperty): ObjectType {
  return { kind: "object", static: [...properties].sort((a, b) => compareValues(a.key, b.key)), dynamic };
}

export function setType(of: Type | undefined): SetType {
  return { kind: "set", of };
}

/** One of several types. */
export function anyOf(of: readonly Type[]): AnyType {
  return of.length === 0 ? ANY : { kind: "any", of: [...of].sort(compareTypes) };
}

export function functionType(args: readonly (Type | undefined)[], result: Type | undefined): FunctionType {
  return {
    kind: "function",
    args: args.map((type) => ({ type })),
    result: result === undefined ? undefined : { type: result },
    variadic: undefined,
  };
}

/** Whether a type is the top type. */
export function isAny(type: Type | undefined): boolean {
  return type?.kind === "any" && type.of.length === 0;
}
