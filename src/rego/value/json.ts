import { numberText, parseNumber } from "./number.ts";
import { MAX_RECURSION, type Parts, printDeep } from "./print.ts";
import { quoteGo } from "./text.ts";
import {
  compareStrings,
  getKey,
  isNumber,
  isObject,
  type JsonObject,
  type ObjectValue,
  RegoObject,
  RegoSet,
  sortedKeys,
  type Value,
} from "./value.ts";

/** JSON text was malformed. `offset` is in UTF-16 units; the message is Go's (encoding/json), which OPA shows. */
export class JsonSyntaxError extends Error {
  override readonly name = "JsonSyntaxError";
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** As deep as Go's encoding/json reads. */
const MAX_DEPTH = 10_000;

/**
 * Reads JSON without losing numbers: `12345678901234567890` and `1.50` stay what they are.
 * Of duplicate members the last wins, as in Go. Objects come out plain; `__proto__` is an ordinary own member.
 *
 * @throws {JsonSyntaxError} with Go's wording.
 */
export function parseJson(text: string): Value {
  if (!isDelicate(text)) {
    try {
      return JSON.parse(text) as Value;
    } catch {
      // Fall through: the exact reader words the error.
    }
  }
  return new JsonReader(text).readDocument();
}

/**
 * Whether JSON.parse could alter something: numbers whose text a JavaScript number does not keep, and escapes of halves of
 * characters. Looks between the strings only, where numbers are; what dots and digits within strings look like does not matter.
 */
function isDelicate(text: string): boolean {
  if (/\\u[dD]/.test(text)) return true;
  for (let at = 0; ; ) {
    const quote = text.indexOf('"', at);
    if (hasDelicateNumber(text, at, quote === -1 ? text.length : quote)) return true;
    if (quote === -1) return false;
    at = endOfString(text, quote);
    if (at === -1) return true;
  }
}

/** The place behind the string that starts at `quote`; -1 where it does not end. */
function endOfString(text: string, quote: number): number {
  for (let end = text.indexOf('"', quote + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = end;
    while (text.charCodeAt(slashes - 1) === 0x5c) slashes--;
    if ((end - slashes) % 2 === 0) return end + 1;
  }
  return -1;
}

function hasDelicateNumber(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if ((code < 0x30 || code > 0x39) && code !== 0x2d) continue;
    const from = at;
    let plain = code !== 0x2d;
    for (at++; at < end; at++) {
      const next = text.charCodeAt(at);
      if (next >= 0x30 && next <= 0x39) continue;
      if (next !== 0x2e && next !== 0x65 && next !== 0x45 && next !== 0x2b && next !== 0x2d) break;
      plain = false;
    }
    if (plain && at - from < 16) continue;
    const number = text.slice(from, at);
    const value = Number(number);
    if (String(value) !== number || (Number.isInteger(value) && !Number.isSafeInteger(value))) return true;
  }
  return false;
}

/** A container that is being read. */
type OpenContainer =
  | { readonly kind: "array"; readonly items: Value[] }
  | { readonly kind: "object"; readonly object: Record<string, Value>; key: string };

class JsonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  readDocument(): Value {
    const open: OpenContainer[] = [];
    for (;;) {
      let value = this.#readStart(open);
      if (value === undefined) continue;
      // A complete value: put it where it belongs, and close the containers that end with it.
      for (;;) {
        const container = open.at(-1);
        if (container === undefined) {
          this.#skipSpace();
          if (this.#at < this.#text.length) this.#fail("after top-level value");
          return value;
        }
        if (container.kind === "array") container.items.push(value);
        else setOwn(container.object, container.key, value);
        if (!this.#closes(container)) break;
        open.pop();
        value = container.kind === "array" ? container.items : container.object;
      }
    }
  }

  /** Reads a scalar or an empty container, or enters a container and returns undefined. */
  #readStart(open: OpenContainer[]): Value | undefined {
    this.#skipSpace();
    switch (this.#text[this.#at]) {
      case "{": {
        this.#enter(open);
        if (this.#text[this.#at] === "}") {
          this.#at++;
          return {};
        }
        open.push({ kind: "object", object: {}, key: this.#readKey() });
        return undefined;
      }
      case "[":
        this.#enter(open);
        if (this.#text[this.#at] === "]") {
          this.#at++;
          return [];
        }
        open.push({ kind: "array", items: [] });
        return undefined;
      case '"':
        return this.#readString();
      case "t":
        return this.#readWord("true", true);
      case "f":
        return this.#readWord("false", false);
      case "n":
        return this.#readWord("null", null);
      default:
        return this.#readNumber();
    }
  }

  #enter(open: readonly OpenContainer[]): void {
    if (open.length >= MAX_DEPTH) throw new JsonSyntaxError("exceeded max depth", this.#at);
    this.#at++;
    this.#skipSpace();
  }

  #readKey(): string {
    this.#skipSpace();
    if (this.#text[this.#at] !== '"') this.#fail("looking for beginning of object key string");
    const key = this.#readString();
    this.#skipSpace();
    if (this.#text[this.#at] !== ":") this.#fail("after object key");
    this.#at++;
    return key;
  }

  /** Behind a member: whether the container ends; otherwise its next member is due. */
  #closes(container: OpenContainer): boolean {
    this.#skipSpace();
    const next = this.#text[this.#at];
    const isArray = container.kind === "array";
    if (next !== "," && next !== (isArray ? "]" : "}")) {
      this.#fail(isArray ? "after array element" : "after object key:value pair");
    }
    this.#at++;
    if (next !== ",") return true;
    if (container.kind === "object") container.key = this.#readKey();
    return false;
  }

  #readString(): string {
    const start = this.#at++;
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (Number.isNaN(code)) throw new JsonSyntaxError("unexpected end of JSON input", this.#at);
      if (code === 0x22) break;
      if (code < 0x20) this.#fail("in string literal");
      if (code === 0x5c) {
        const escaped = this.#text[this.#at + 1];
        if (escaped === undefined) throw new JsonSyntaxError("unexpected end of JSON input", this.#at + 1);
        if (escaped === "u") {
          for (let i = 2; i < 6; i++) {
            if (!/[0-9a-fA-F]/.test(this.#text[this.#at + i] ?? "")) {
              this.#at += i;
              this.#fail("in \\u hexadecimal character escape");
            }
          }
          this.#at += 4;
        } else if (!'"\\/bfnrt'.includes(escaped)) {
          this.#at++;
          this.#fail("in string escape code");
        }
        this.#at += 2;
      } else this.#at++;
    }
    this.#at++;
    // Go replaces halves of characters; JavaScript would keep them.
    return wellFormed(JSON.parse(this.#text.slice(start, this.#at)) as string);
  }

  #readWord<T extends Value>(word: string, value: T): T {
    for (let i = 1; i < word.length; i++) {
      if (this.#text[this.#at + i] !== word[i]) {
        this.#at += i;
        this.#fail(`in literal ${word} (expecting '${word[i]}')`);
      }
    }
    this.#at += word.length;
    return value;
  }

  #readNumber(): Value {
    const match = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
    match.lastIndex = this.#at;
    const found = match.exec(this.#text);
    if (found === null) {
      if (this.#text[this.#at] === "-") {
        this.#at++;
        this.#fail("in numeric literal");
      }
      this.#fail("looking for beginning of value");
    }
    this.#at += found[0].length;
    this.#failOnBrokenNumber(found[0]);
    return parseNumber(found[0]);
  }

  /** A fraction or an exponent that begins without a digit. */
  #failOnBrokenNumber(number: string): void {
    const next = this.#text[this.#at];
    if (next === "." && !/[.eE]/.test(number)) {
      this.#at++;
      this.#fail("after decimal point in numeric literal");
    }
    if ((next === "e" || next === "E") && !/[eE]/.test(number)) {
      this.#at++;
      if (/[+-]/.test(this.#text[this.#at] ?? "")) this.#at++;
      this.#fail("in exponent of numeric literal");
    }
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #fail(where: string): never {
    if (this.#at >= this.#text.length) throw new JsonSyntaxError("unexpected end of JSON input", this.#at);
    const code = this.#text.codePointAt(this.#at) as number;
    // Go's scanner sees bytes, and shows the first of a longer character as the character of that number.
    const char = code < 0x80 ? String.fromCharCode(code) : String.fromCharCode(firstUtf8Byte(code));
    const shown = char === "'" ? "'\\''" : char === '"' ? "'\"'" : `'${quoteGo(char).slice(1, -1)}'`;
    throw new JsonSyntaxError(`invalid character ${shown} ${where}`, this.#at);
  }
}

function firstUtf8Byte(code: number): number {
  return code < 0x800 ? 0xc0 | (code >> 6) : code < 0x10000 ? 0xe0 | (code >> 12) : 0xf0 | (code >> 18);
}

/** Sets an own member whatever its name: `object.__proto__ = x` would not. */
export function setOwn(object: Record<string, Value>, key: string, value: Value): void {
  if (key === "__proto__")
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udfff]/gu, "\ufffd");
}

/**
 * A value as a JSON document in JavaScript terms, the way query results leave the engine: sets become arrays in
 * Rego's order, keys that are not strings become their JSON text (`{1: 2}` → `{"1": 2}`).
 * What is a JSON document already comes back as it is.
 */
export function toJsonValue(value: Value): Value {
  return jsonValueAt(value, 0);
}

function jsonValueAt(value: Value, depth: number): Value {
  if (typeof value !== "object" || value === null || isNumber(value)) return value;
  if (depth > MAX_RECURSION) return jsonValueDeep(value);
  if (Array.isArray(value)) return convertArray(value as readonly Value[], depth);
  if (value instanceof RegoSet) return convertArray(value.sorted(), depth);
  if (value instanceof RegoObject) {
    const object: Record<string, Value> = {};
    for (const key of value.sortedKeys()) {
      setOwn(object, jsonKey(key), jsonValueAt(value.get(key) as Value, depth + 1));
    }
    return object;
  }
  let copy: Record<string, Value> | undefined;
  const object = value as JsonObject;
  for (const key of Object.keys(object)) {
    const member = object[key] as Value;
    const converted = jsonValueAt(member, depth + 1);
    if (converted === member) continue;
    if (copy === undefined) {
      copy = {};
      for (const each of Object.keys(object)) setOwn(copy, each, object[each] as Value);
    }
    setOwn(copy, key, converted);
  }
  return copy ?? object;
}

function convertArray(items: readonly Value[], depth: number): readonly Value[] {
  let copy: Value[] | undefined;
  for (let i = 0; i < items.length; i++) {
    const item = items[i] as Value;
    const converted = jsonValueAt(item, depth + 1);
    if (converted === item) continue;
    copy ??= [...items];
    copy[i] = converted;
  }
  return copy ?? items;
}

/** `jsonValueAt` at any depth, without using the call stack. */
function jsonValueDeep(root: Value): Value {
  const pending: { readonly from: Value; readonly to: Value[] | Record<string, Value> }[] = [];
  const start = (value: Value): Value => {
    if (typeof value !== "object" || value === null || isNumber(value)) return value;
    const to: Value[] | Record<string, Value> = Array.isArray(value) || value instanceof RegoSet ? [] : {};
    pending.push({ from: value, to });
    return to;
  };
  const converted = start(root);
  for (let job = pending.pop(); job !== undefined; job = pending.pop()) {
    const { from, to } = job;
    if (Array.isArray(to)) {
      const items = from instanceof RegoSet ? from.sorted() : (from as readonly Value[]);
      for (const item of items) to.push(start(item));
    } else {
      const object = from as ObjectValue;
      for (const key of sortedKeys(object)) setOwn(to, jsonKey(key), start(getKey(object, key) as Value));
    }
  }
  return converted;
}

/** Compact JSON text; numbers verbatim, keys sorted by code point, as Go's encoding/json prints maps (without HTML escapes). */
export function toJsonText(value: Value): string {
  return jsonTextAt(value, 0);
}

/**
 * A document as JSON text with members in the order they stand, for logs: several times faster than `toJsonText` where all
 * is plain JSON. Undefined members of the document itself are left out.
 */
export function toJsonLine(document: Readonly<Record<string, Value | undefined>>): string {
  try {
    return JSON.stringify(document);
  } catch {
    // What JSON.stringify cannot print exactly refuses to be printed by it: big integers, and the classes of this room.
    const present: Record<string, Value> = {};
    for (const [key, member] of Object.entries(document)) if (member !== undefined) setOwn(present, key, member);
    return toJsonText(present);
  }
}

function jsonTextAt(value: Value, depth: number): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value !== "object" || value === null || isNumber(value)) return jsonScalar(value);
  if (depth > MAX_RECURSION) return printDeep(value, jsonParts, jsonScalar);
  let out = "";
  if (Array.isArray(value) || value instanceof RegoSet) {
    const items = value instanceof RegoSet ? value.sorted() : (value as readonly Value[]);
    for (const item of items) out += (out === "" ? "" : ",") + jsonTextAt(item, depth + 1);
    return `[${out}]`;
  }
  for (const [key, member] of jsonMembers(value as ObjectValue)) {
    out += `${out === "" ? "" : ","}${JSON.stringify(key)}:${jsonTextAt(member, depth + 1)}`;
  }
  return `{${out}}`;
}

function jsonScalar(value: Value): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value === null || typeof value === "boolean") return String(value);
  if (isNumber(value)) return numberText(value);
  throw new TypeError("not a Rego value");
}

function jsonParts(value: Value): Parts<Value> | undefined {
  if (Array.isArray(value)) return { open: "[", close: "]", separator: ",", items: value };
  if (value instanceof RegoSet) return { open: "[", close: "]", separator: ",", items: value.sorted() };
  if (!isObject(value)) return undefined;
  return { open: "{", close: "}", separator: ",", colon: ":", items: jsonMembers(value).flat() };
}

/** Members with their keys as text, in the order of that text. */
function jsonMembers(object: ObjectValue): readonly (readonly [string, Value])[] {
  if (!(object instanceof RegoObject)) {
    return sortedKeys(object).map((key) => [key as string, object[key as string] as Value]);
  }
  const members = object.sortedKeys().map((key) => [jsonKey(key), object.get(key) as Value] as const);
  return members.sort(([a], [b]) => compareStrings(a, b));
}

/** OPA prints such keys with Go's encoder, which escapes what HTML could misread (v1/ast/term.go, ast.JSON). */
function jsonKey(key: Value): string {
  return typeof key === "string"
    ? key
    : toJsonText(key).replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
