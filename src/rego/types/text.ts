import { isArray, isObject, isSet, sortedKeys, getKey, toRegoText, type Value } from "../value/index.ts";
import type { FunctionType, NamedType, Type } from "./type.ts";

/**
 * Parts of one type that are written out. Types share parts, so that their text may be exponentially larger than they are; OPA
 * writes all of it.
 */
export const MAX_SHOWN_PARTS = 20_000;

/** How many parts may still be written. */
export interface Room {
  parts: number;
}

/** A type as OPA prints it: `any<string, array[any]>`, `object<a: string>[any: any]`, `(number) => string`; `???` where unknown. */
export function typeText(type: Type | undefined, room: Room = { parts: MAX_SHOWN_PARTS }): string {
  if (type === undefined) return "???";
  if (--room.parts < 0) return "…";
  const text = (part: Type | undefined): string => typeText(part, room);
  switch (type.kind) {
    case "array":
      return `array${bracketed(type.static.map(text))}${type.dynamic === undefined ? "" : `[${text(type.dynamic)}]`}`;
    case "object": {
      const members = type.static.map(({ key, value }) => `${goText(key)}: ${text(value)}`);
      const dynamic = type.dynamic === undefined ? "" : `[${text(type.dynamic.key)}: ${text(type.dynamic.value)}]`;
      return `object${bracketed(members)}${dynamic}`;
    }
    case "set":
      return `set[${text(type.of)}]`;
    case "any":
      return `any${bracketed(type.of.map(text))}`;
    case "function":
      return `${argsText(
        type.args.map((arg) => ({ type: arg.type })),
        type.variadic,
      )} => ${text(type.result?.type)}`;
    case "recursive":
      return `recursive(${type.name})`;
    default:
      return type.kind;
  }
}

/** `(haystack: string, needle: string)`. */
export function argsText(args: readonly NamedType[], variadic?: Type): string {
  const shown = args.map(namedText);
  if (variadic !== undefined) shown.push(`${typeText(variadic)}...`);
  return `(${shown.join(", ")})`;
}

/** What a call may be given: operands by name and, last, the result as an output operand. */
export function callText(type: FunctionType): string {
  return argsText(type.result === undefined ? type.args : [...type.args, type.result], type.variadic);
}

function namedText({ name, type }: NamedType): string {
  return name === undefined || name === "" ? typeText(type) : `${name}: ${typeText(type)}`;
}

function bracketed(parts: readonly string[]): string {
  return parts.length === 0 ? "" : `<${parts.join(", ")}>`;
}

/** Go's `%v` of a JSON value: how OPA prints object keys inside types. */
function goText(value: Value): string {
  if (value === null) return "<nil>";
  if (typeof value === "string") return value;
  if (isSet(value)) return `[${value.sorted().map(goText).join(" ")}]`;
  if (isArray(value)) return `[${value.map(goText).join(" ")}]`;
  if (isObject(value)) {
    return `map[${sortedKeys(value)
      .map((key) => `${goText(key)}:${goText(getKey(value, key) as Value)}`)
      .join(" ")}]`;
  }
  return toRegoText(value);
}
