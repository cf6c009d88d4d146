import { isArray, isObject, isSet, sortedKeys, getKey, toRegoText, type Value } from "../value/index.ts";
import type { FunctionType, NamedType, Type } from "./type.ts";

/** A type as OPA prints it: `any<string, array[any]>`, `object<a: string>[any: any]`, `(number) => string`; `???` where unknown. */
export function typeText(type: Type | undefined): string {
  if (type === undefined) return "???";
  switch (type.kind) {
    case "array":
      return `array${bracketed(type.static.map(typeText))}${type.dynamic === undefined ? "" : `[${typeText(type.dynamic)}]`}`;
    case "object": {
      const members = type.static.map(({ key, value }) => `${goText(key)}: ${typeText(value)}`);
      const dynamic =
        type.dynamic === undefined ? "" : `[${typeText(type.dynamic.key)}: ${typeText(type.dynamic.value)}]`;
      return `object${bracketed(members)}${dynamic}`;
    }
    case "set":
      return `set[${typeText(type.of)}]`;
    case "any":
      return `any${bracketed(type.of.map(typeText))}`;
    case "function":
      return `${argsText(
        type.args.map((arg) => ({ type: arg.type })),
        type.variadic,
      )} => ${typeText(type.result?.type)}`;
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
