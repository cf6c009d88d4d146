import { type NumberValue, numberText } from "./number.ts";
import { MAX_RECURSION, type Parts, printDeep } from "./print.ts";
import { flatEntries, getKey, isObject, type ObjectValue, RegoSet, sortedKeys, type Value } from "./value.ts";

/**
 * A value as Rego text: `{"a": [1, 2]}`, sets `{1, 2}` and `set()`, strings quoted as Go's `%q` does.
 * What `print`, `sprintf("%v")` of a composite, and error messages show.
 */
export function toRegoText(value: Value): string {
  return textAt(value, 0);
}

function textAt(value: Value, depth: number): string {
  const isList = Array.isArray(value);
  if (!isList && !(value instanceof RegoSet) && !isObject(value)) return scalarText(value);
  if (depth > MAX_RECURSION) return printDeep(value, textParts, scalarText);
  const texts: string[] = [];
  if (isList) {
    for (const element of value as readonly Value[]) texts.push(textAt(element, depth + 1));
    return `[${texts.join(", ")}]`;
  }
  if (value instanceof RegoSet) {
    if (value.size === 0) return "set()";
    for (const member of value.sorted()) texts.push(textAt(member, depth + 1));
  } else {
    const object = value as ObjectValue;
    for (const key of sortedKeys(object)) {
      texts.push(`${textAt(key, depth + 1)}: ${textAt(getKey(object, key) as Value, depth + 1)}`);
    }
  }
  return `{${texts.join(", ")}}`;
}

function scalarText(value: Value): string {
  if (typeof value === "string") return quoteGo(value);
  if (value === null || typeof value === "boolean") return String(value);
  return numberText(value as NumberValue);
}

function textParts(value: Value): Parts<Value> | undefined {
  if (Array.isArray(value)) return { open: "[", close: "]", separator: ", ", items: value };
  if (value instanceof RegoSet) {
    return value.size === 0
      ? { open: "set(", close: ")", separator: "", items: [] }
      : { open: "{", close: "}", separator: ", ", items: value.sorted() };
  }
  if (!isObject(value)) return undefined;
  return { open: "{", close: "}", separator: ", ", colon: ": ", items: flatEntries(value) };
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
    const short = GO_ESCAPES.get(code);
    if (short !== undefined) out += short;
    else if (code >= 0xd800 && code <= 0xdfff) out += "\\ufffd";
    else if (code === 0x20 || /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(char)) out += char;
    else if (code < 0x80) out += `\\x${code.toString(16).padStart(2, "0")}`;
    else if (code < 0x10000) out += `\\u${code.toString(16).padStart(4, "0")}`;
    else out += `\\U${code.toString(16).padStart(8, "0")}`;
  }
  return `${out}"`;
}
