import {
  compareStrings,
  isArray,
  isJsonObject,
  isNumber,
  numberText,
  toJsonValue,
  type JsonObject,
  type Value,
} from "../rego/value/index.ts";

/** A document in the order its members were written. */
export type Document = Value | undefined | readonly Document[] | { readonly [key: string]: Document };

/** A value as a document with sorted keys, as Go prints maps; sets become arrays. */
export function sorted(value: Value): Value {
  const json = toJsonValue(value);
  if (typeof json !== "object" || json === null || isNumber(json)) return json;
  if (isArray(json)) return json.map(sorted);
  const object = json as JsonObject;
  const keys = Object.keys(object).sort(compareStrings);
  return Object.fromEntries(keys.map((key) => [key, sorted(object[key] as Value)]));
}

/** What a METADATA block may hold as it likes; no node of a syntax tree has members of these names. */
const FREE_FORM = new Set(["custom", "definition", "labels"]);

/** A syntax tree as Go prints it: its maps sorted, its structs in their own order. */
export function withSortedMaps(tree: Value): Value {
  if (isArray(tree)) return tree.map(withSortedMaps);
  if (isNumber(tree) || !isJsonObject(tree)) return tree;
  return Object.fromEntries(
    Object.entries(tree).map(([key, member]) => [key, FREE_FORM.has(key) ? sorted(member) : withSortedMaps(member)]),
  );
}

const HTML = /[<>&\u2028\u2029]/g;

/** A string as Go's encoding/json prints it, HTML characters escaped. */
function stringText(text: string): string {
  return JSON.stringify(text).replace(HTML, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * JSON text as Go's encoder writes it. Absent members are left out; numbers keep their text.
 *
 * @param indent of one level; absent: all on one line.
 */
export function jsonText(document: Document, indent?: string, margin = ""): string {
  if (document === undefined || document === null) return "null";
  if (typeof document === "string") return stringText(document);
  if (typeof document === "boolean") return String(document);
  if (isNumber(document as Value)) return numberText(document as never);
  const inner = indent === undefined ? "" : `\n${margin}${indent}`;
  const end = indent === undefined ? "" : `\n${margin}`;
  const next = indent === undefined ? "" : margin + indent;
  if (Array.isArray(document)) {
    const items = (document as readonly Document[]).map((item) => `${inner}${jsonText(item, indent, next)}`);
    return items.length === 0 ? "[]" : `[${items.join(",")}${end}]`;
  }
  const space = indent === undefined ? "" : " ";
  const members = Object.entries(document as Record<string, Document>)
    .filter(([, member]) => member !== undefined)
    .map(([key, member]) => `${inner}${stringText(key)}:${space}${jsonText(member, indent, next)}`);
  return members.length === 0 ? "{}" : `{${members.join(",")}${end}}`;
}

/** JSON over several lines, with its line end. */
export function prettyJson(document: Document): string {
  return `${jsonText(document, "  ")}\n`;
}

/** Columns a text takes on a terminal. East Asian wide characters take two. */
function widthOf(text: string): number {
  let width = 0;
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    if (/\p{M}/u.test(char)) continue;
    width +=
      (code >= 0x1100 && code <= 0x115f) ||
      (code >= 0x2e80 && code <= 0xa4cf) ||
      (code >= 0xac00 && code <= 0xd7a3) ||
      (code >= 0xf900 && code <= 0xfaff) ||
      (code >= 0xfe30 && code <= 0xfe6f) ||
      (code >= 0xff00 && code <= 0xff60) ||
      (code >= 0x1f300 && code <= 0x1faff)
        ? 2
        : 1;
  }
  return width;
}

/** A table in box-drawing characters: headers centred, cells to the left. */
export function tableText(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = headers.length === 0 ? rows : [headers, ...rows];
  const columns = Math.max(...all.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...all.map((row) => widthOf(row[i] ?? ""))));
  const rule = (left: string, middle: string, right: string) =>
    `${left}${widths.map((width) => "─".repeat(width + 2)).join(middle)}${right}\n`;
  const line = (row: readonly string[], centred: boolean) =>
    `│${widths
      .map((width, i) => {
        const cell = row[i] ?? "";
        const space = width - widthOf(cell);
        const before = centred ? Math.floor(space / 2) : 0;
        return ` ${" ".repeat(before)}${cell}${" ".repeat(space - before)} `;
      })
      .join("│")}│\n`;
  const head = headers.length === 0 ? "" : line(headers, true) + rule("├", "┼", "┤");
  return rule("┌", "┬", "┐") + head + rows.map((row) => line(row, false)).join("") + rule("└", "┴", "┘");
}

/** The first characters of a text, as many bytes as the limit says; 0 is no limit. */
export function limited(text: string, limit: number): string {
  const bytes = new TextEncoder().encode(text);
  return limit > 0 && bytes.length > limit ? `${new TextDecoder().decode(bytes.subarray(0, limit))}...` : text;
}

/** A duration as Go prints it: `1.5s`, `250.5ms`, `9µs`. */
export function durationText(nanoseconds: number): string {
  const plain = (amount: number) => String(Number(amount.toFixed(9)));
  if (nanoseconds < 1000) return `${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${plain(nanoseconds / 1e3)}µs`;
  if (nanoseconds < 1e9) return `${plain(nanoseconds / 1e6)}ms`;
  const seconds = nanoseconds / 1e9;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = `${plain(seconds - hours * 3600 - minutes * 60)}s`;
  return `${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${rest}`;
}
