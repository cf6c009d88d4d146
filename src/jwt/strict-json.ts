/** JSON that a token must not carry. */
export class StrictJsonError extends Error {
  override readonly name = "StrictJsonError";
}

export type StrictJson =
  | null
  | boolean
  | string
  | number
  | bigint
  | readonly StrictJson[]
  | { readonly [key: string]: StrictJson };

export interface StrictJsonLimits {
  readonly maxDepth: number;
}

/**
 * Reads JSON (RFC 8259) as a verifier should: member names may not repeat (RFC 7515 §4, RFC 7519 §4), numbers must be
 * finite, nesting is bounded. Integers past 2^53 come out as bigint. `__proto__` is an ordinary own member.
 *
 * @throws {StrictJsonError}
 */
export function parseStrictJson(text: string, limits: StrictJsonLimits): StrictJson {
  return parsePlainJson(text, limits) ?? new StrictJsonReader(text, limits.maxDepth).readDocument();
}

/**
 * V8's own parser, where it loses nothing: no repeated member, no digit of an integer. Undefined where that is not certain.
 */
function parsePlainJson(text: string, { maxDepth }: StrictJsonLimits): StrictJson | undefined {
  const colons = plainColons(text, maxDepth);
  if (colons === undefined) return undefined;
  try {
    const value = JSON.parse(text) as StrictJson;
    // Of a repeated member the parser keeps one, but each has its colon.
    return membersIn(value) === colons ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Counts the colons that may stand between a name and its value: an upper bound, as some may be part of a string.
 * Undefined where the text may nest too deep or hold an integer past 2^53.
 */
function plainColons(text: string, maxDepth: number): number | undefined {
  let colons = 0;
  let brackets = 0;
  let digits = 0;
  let previous = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= DIGIT_0 && code <= DIGIT_9) {
      if (++digits > SAFE_DIGITS) return undefined;
    } else {
      digits = 0;
      if (code === COLON && (previous === QUOTE || previous <= BLANK)) colons++;
      else if ((code === OPEN_BRACE || code === OPEN_BRACKET) && ++brackets > maxDepth) return undefined;
    }
    previous = code;
  }
  return colons;
}

/** Members of all objects in a value; not a number if one of its numbers is not finite. */
function membersIn(value: StrictJson): number {
  if (typeof value === "number") return Number.isFinite(value) ? 0 : Number.NaN;
  if (typeof value !== "object" || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) for (const item of value as readonly StrictJson[]) count += membersIn(item);
  else for (const member of Object.values(value as object)) count += 1 + membersIn(member as StrictJson);
  return count;
}

/** An integer of so many digits is below 2^53. */
const SAFE_DIGITS = 15;
const BLANK = 0x20;
const QUOTE = 0x22;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const OPEN_BRACE = 0x7b;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SPACE = /[ \t\n\r]*/y;

class StrictJsonReader {
  readonly #text: string;
  readonly #maxDepth: number;
  #at = 0;

  constructor(text: string, maxDepth: number) {
    this.#text = text;
    this.#maxDepth = maxDepth;
  }

  readDocument(): StrictJson {
    const value = this.#readValue(0);
    this.#take(SPACE);
    if (this.#at < this.#text.length) throw new StrictJsonError("something follows the value");
    return value;
  }

  #readValue(depth: number): StrictJson {
    if (depth > this.#maxDepth) throw new StrictJsonError(`nested more than ${this.#maxDepth} levels deep`);
    this.#take(SPACE);
    switch (this.#text[this.#at]) {
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

  #readObject(depth: number): StrictJson {
    const object: Record<string, StrictJson> = {};
    this.#at++;
    if (this.#skip("}")) return object;
    do {
      this.#take(SPACE);
      if (this.#text[this.#at] !== '"') throw new StrictJsonError("a member name is missing");
      const name = this.#readString();
      if (Object.hasOwn(object, name)) throw new StrictJsonError("a member name is repeated");
      if (!this.#skip(":")) throw new StrictJsonError("a colon is missing");
      const value = this.#readValue(depth + 1);
      Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
    } while (this.#skip(","));
    if (!this.#skip("}")) throw new StrictJsonError("an object is not closed");
    return object;
  }

  #readArray(depth: number): StrictJson {
    const items: StrictJson[] = [];
    this.#at++;
    if (this.#skip("]")) return items;
    do items.push(this.#readValue(depth + 1));
    while (this.#skip(","));
    if (!this.#skip("]")) throw new StrictJsonError("an array is not closed");
    return items;
  }

  #readString(): string {
    const literal = this.#take(STRING);
    if (literal === undefined) throw new StrictJsonError("a string is malformed");
    return JSON.parse(literal) as string;
  }

  #readWord<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw new StrictJsonError("a value is malformed");
    this.#at += word.length;
    return value;
  }

  #readNumber(): number | bigint {
    const literal = this.#take(NUMBER);
    if (literal === undefined || literal === "") throw new StrictJsonError("a value is malformed");
    const number = Number(literal);
    if (!Number.isFinite(number)) throw new StrictJsonError("a number is not finite");
    return Number.isSafeInteger(number) || !/^-?\d+$/.test(literal) ? number : BigInt(literal);
  }

  #skip(char: string): boolean {
    this.#take(SPACE);
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }
}
