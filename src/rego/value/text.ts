import { numberText } from "./number.ts";
import { getKey, isNumber, isObject, type ObjectValue, RegoSet, sortedKeys, type Value } from "./value.ts";

/**
 * A value as Rego text: `{"a": [1, 2]}`, sets `{1, 2}` and `set()`, strings quoted as Go's `%q` does.
 * What `print`, `sprintf("%v")` of a composite, and error messages show.
 */
export function toRegoText(value: Value): string {
  if (typeof value === "string") return quoteGo(value);
  if (value === null || typeof value === "boolean") return String(value);
  if (isNumber(value)) return numberText(value);
  if (Array.isArray(value)) return `[${(value as readonly Value[]).map(toRegoText).join(", ")}]`;
  if (value instanceof RegoSet) return value.size === 0 ? "set()" : `{${value.sorted().map(toRegoText).join(", ")}}`;
  if (isObject(value)) return objectText(value);
  throw new TypeError("not a Rego value");
}

function objectText(object: ObjectValue): string {
  const members = sortedKeys(object).map((key) => `${toRegoText(key)}: ${toRegoText(getKey(object, key) as Value)}`);
  return `{${members.join(", ")}}`;
}

const GO_ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x07, "\\a"],
  [0x08, "\\b"],
  [0x0c, "\\f"],
  [0x0a, "\\n"],
  [0x0d, "\\r"],
  [0x09, "\\t"],
  [0x0b, "\\v"],
  [0x22, '\\"'],
  [0x5c, "\\\\"],
]);

/** Go's `strconv.Quote`: printable Unicode stays, everything else is escaped. */
export function quoteGo(text: string): string {
  if (/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(text)) return `"${text}"`;
  let out = '"';
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    const escape = GO_ESCAPES.get(code);
    if (escape !== undefined) out += escape;
    else if (code >= 0xd800 && code <= 0xdfff) out += "\\ufffd";
    else if (code === 0x20 || /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(char)) out += char;
    else if (code < 0x80) out += `\\x${code.toString(16).padStart(2, "0")}`;
    else if (code < 0x10000) out += `\\u${code.toString(16).padStart(4, "0")}`;
    else out += `\\U${code.toString(16).padStart(8, "0")}`;
  }
  return `${out}"`;
}
