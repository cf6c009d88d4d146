import type { JsonObject, Value } from "../rego/value/index.ts";

export interface HeaderPair {
  readonly key: string;
  readonly value: string;
}

/** A decision's document has the wrong form. The message is the plugin's. */
export class DecisionFormError extends Error {
  override readonly name = "DecisionFormError";
}

/** The member of that name, whatever the policy called its other members. */
export function memberOf(object: JsonObject, key: string): Value | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Go's name for a JSON value's type, which the plugin's messages show. */
export function goTypeOf(value: Value): string {
  if (value === null) return "<nil>";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return "string";
  if (Array.isArray(value)) return "[]interface {}";
  return typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype
    ? "map[string]interface {}"
    : "json.Number";
}
