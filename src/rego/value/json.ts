import { numberText, parseNumber } from "./number.ts";
import {
  compareStrings,
  isNumber,
  isObject,
  type JsonObject,
  type ObjectValue,
  RegoObject,
  RegoSet,
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

/** Numbers that JSON.parse would alter or whose text would be lost: fractions, exponents, 16 digits and more. */
const DELICATE_NUMBER = /[-\d]\.\d|\d[eE]|\d{16}|-0/;
const MAX_DEPTH = 10_000;

/**
 * Reads JSON without losing numbers: `12345678901234567890` and `1.50` stay what they are.
 * Of duplicate members the last wins, as in Go. Objects come out plain; `__proto__` is an ordinary own member.
 *
 * @throws {JsonSyntaxError} with Go's wording.
 */
export function parseJson(text: string): Value {
  if (!DELICATE_NUMBER.test(text)) {
    try {
      return JSON.parse(text) as Value;
    } catch {
      // Fall through: the exact reader words the error.
    }
  }
  return new JsonReader(text).readDocument();
}

class JsonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  readDocument(): Value {
    const value = this.#readValue(0);
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail("after top-level value");
    return value;
  }

  #readValue(depth: number): Value {
    if (depth > MAX_DEPTH) throw new JsonSyntaxError("exceeded max depth", this.#at);
    this.#skipSpace();
    const char = this.#text[this.#at];
    switch (char) {
      case "{":
        return this.#readObject(depth);
      case "[":
        return this.#readArray(depth);
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

  #readObject(depth: number): JsonObject {
    const object: Record<string, Value> = {};
    this.#at++;
    this.#skipSpace();
    if (this.#text[this.#at] === "}") {
      this.#at++;
      return object;
    }
    for (;;) {
      this.#skipSpace();
      if (this.#text[this.#at] !== '"') this.#fail("looking for beginning of object key string");
      const key = this.#readString();
      this.#skipSpace();
      if (this.#text[this.#at] !== ":") this.#fail("after object key");
      this.#at++;
      setOwn(object, key, this.#readValue(depth + 1));
      this.#skipSpace();
      const next = this.#text[this.#at];
      if (next !== "," && next !== "}") this.#fail("after object key:value pair");
      this.#at++;
      if (next === "}") return object;
    }
  }

  #readArray(depth: number): readonly Value[] {
    const items: Value[] = [];
    this.#at++;
    this.#skipSpace();
    if (this.#text[this.#at] === "]") {
      this.#at++;
      return items;
    }
    for (;;) {
      items.push(this.#readValue(depth + 1));
      this.#skipSpace();
      const next = this.#text[this.#at];
      if (next !== "," && next !== "]") this.#fail("after array element");
      this.#at++;
      if (next === "]") return items;
    }
  }

  #readString(): string {
    const start = this.#at++;
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (Number.isNaN(code)) throw new JsonSyntaxError("unexpected end of JSON input", this.#at);
      if (code === 0x22) break;
      if (code < 0x20) this.#fail("in string literal");
      if (code === 0x5c) {
        const escape = this.#text[this.#at + 1];
        if (escape === undefined) throw new JsonSyntaxError("unexpected end of JSON input", this.#at + 1);
        if (escape === "u") {
          for (let i = 2; i < 6; i++) {
            if (!/[0-9a-fA-F]/.test(this.#text[this.#at + i] ?? "")) {
              this.#at += i;
              this.#fail("in \\u hexadecimal character escape");
            }
          }
          this.#at += 4;
        } else if (!'"\\/bfnrt'.includes(escape)) {
          this.#at++;
          this.#fail("in string escape code");
        }
        this.#at += 2;
      } else this.#at++;
    }
    this.#at++;
    return JSON.parse(this.#text.slice(start, this.#at)) as string;
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
    return parseNumber(found[0]);
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
    const char = String.fromCodePoint(this.#text.codePointAt(this.#at) as number);
    const shown = char === "'" ? "'\\''" : char === '"' ? "'\"'" : `'${JSON.stringify(char).slice(1, -1)}'`;
    throw new JsonSyntaxError(`invalid character ${shown} ${where}`, this.#at);
  }
}

/** Sets an own member whatever its name: `object.__proto__ = x` would not. */
export function setOwn(object: Record<string, Value>, key: string, value: Value): void {
  if (key === "__proto__")
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

/**
 * A value as a JSON document in JavaScript terms, the way query results leave the engine: sets become arrays in
 * Rego's order, keys that are not strings become their JSON text (`{1: 2}` → `{"1": 2}`).
 */
export function toJsonValue(value: Value): Value {
  if (typeof value !== "object" || value === null || isNumber(value)) return value;
  if (Array.isArray(value)) return value.map(toJsonValue);
  if (value instanceof RegoSet) return value.sorted().map(toJsonValue);
  const object: Record<string, Value> = {};
  for (const [key, member] of entriesOf(value as ObjectValue)) setOwn(object, jsonKey(key), toJsonValue(member));
  return object;
}

/** Compact JSON text; numbers verbatim, keys sorted by code point, as Go's encoding/json prints maps (without HTML escapes). */
export function toJsonText(value: Value): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value === null || typeof value === "boolean") return String(value);
  if (isNumber(value)) return numberText(value);
  if (Array.isArray(value)) return `[${(value as readonly Value[]).map(toJsonText).join(",")}]`;
  if (value instanceof RegoSet) return `[${value.sorted().map(toJsonText).join(",")}]`;
  if (!isObject(value)) throw new TypeError("not a Rego value");
  const members = [...entriesOf(value)].map(([key, member]) => [jsonKey(key), member] as const);
  members.sort(([a], [b]) => compareStrings(a, b));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${toJsonText(member)}`).join(",")}}`;
}

/** OPA prints such keys with Go's encoder, which escapes what HTML could misread (v1/ast/term.go, ast.JSON). */
function jsonKey(key: Value): string {
  return typeof key === "string"
    ? key
    : toJsonText(key).replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function* entriesOf(object: ObjectValue): Generator<readonly [Value, Value]> {
  if (object instanceof RegoObject) yield* object.entries();
  else for (const key of Object.keys(object)) yield [key, object[key] as Value];
}
