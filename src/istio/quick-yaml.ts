import type { YamlEntry, YamlMap, YamlNode, YamlScalar, YamlSeq } from "./node.ts";

/**
 * Reads the plain part of YAML that policy files are written in, about ten times as fast as the full parser: block and
 * flow collections, plain scalars on one line, quoted scalars on one line, comments. Whatever it does not know for sure
 * (anchors, tags, block scalars, folded lines, tabs, odd indentation, duplicate keys, errors) it leaves to the full
 * parser by returning undefined. Where it answers, its answer is the full parser's: a test compares the two.
 */
export function readQuickYaml(text: string, start: number, end: number): YamlNode | undefined {
  // Other line breaks, other blanks, control characters: where JavaScript and YAML could disagree.
  if (UNUSUAL.test(text.slice(start, end))) return undefined;
  try {
    return new QuickReader(text, start, end).document();
  } catch (error) {
    if (error === UNSURE) return undefined;
    throw error;
  }
}

const UNUSUAL = /[^\x20-\x7e\r\n]|\r(?!\n)/;

const UNSURE = new Error("left to the full parser");
const MAX_DEPTH = 100;

const SPACE = 0x20;
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const HASH = 0x23;
const COLON = 0x3a;
const DASH = 0x2d;
const COMMA = 0x2c;
const DOUBLE_QUOTE = 0x22;
const SINGLE_QUOTE = 0x27;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Characters that may not begin a plain scalar, or that begin something else. */
const INDICATORS = new Set(Array.from("?:,[]{}#&*!|>'\"%@`", (c) => c.charCodeAt(0)));

function unsure(): never {
  throw UNSURE;
}

class QuickReader {
  readonly #text: string;
  readonly #end: number;
  #at: number;
  /** Start of the line that `#at` is on. */
  #line: number;
  #depth = 0;

  constructor(text: string, start: number, end: number) {
    this.#text = text;
    this.#at = start;
    this.#line = start;
    this.#end = end;
  }

  document(): YamlNode {
    const indent = this.#nextContent();
    if (indent === -1) return this.#nothing(this.#at);
    const node = this.#block(indent, -1);
    if (this.#nextContent() !== -1) unsure();
    return node;
  }

  #code(offset = 0): number {
    return this.#at + offset < this.#end ? this.#text.charCodeAt(this.#at + offset) : LF;
  }

  /** Moves to the next character that is neither blank nor comment; its column if it begins a line, -1 at the end. */
  #nextContent(): number {
    for (;;) {
      while (this.#at < this.#end && this.#code() === SPACE) this.#at++;
      if (this.#at >= this.#end) return -1;
      const code = this.#code();
      if (code === LF) {
        this.#at++;
        this.#line = this.#at;
      } else if (code === CR && this.#code(1) === LF) {
        this.#at++;
      } else if (code === HASH) {
        while (this.#at < this.#end && this.#code() !== LF) this.#at++;
      } else if (code === TAB || code === CR) {
        unsure();
      } else {
        return this.#at - this.#line;
      }
    }
  }

  #nothing(at: number): YamlScalar {
    return { kind: "scalar", value: null, text: "", plain: true, start: at, end: at };
  }

  /** A block node whose first character is at `#at`, in column `indent`; `parent` is the column of what holds it. */
  #block(indent: number, parent: number): YamlNode {
    if (++this.#depth > MAX_DEPTH) unsure();
    const code = this.#code();
    let node: YamlNode;
    if (code === DASH && this.#isBlank(1)) node = this.#sequence(indent);
    else if (this.#looksLikeEntry()) node = this.#mapping(indent);
    else node = this.#inline(parent);
    this.#depth--;
    return node;
  }

  #isBlank(offset: number): boolean {
    const code = this.#code(offset);
    return code === SPACE || code === LF || code === CR;
  }

  /** Does a `key:` begin here? Quoted keys and plain ones; anything stranger is left to the full parser elsewhere. */
  #looksLikeEntry(): boolean {
    const code = this.#code();
    if (code === OPEN_BRACKET || code === OPEN_BRACE) return false;
    if (code === DOUBLE_QUOTE || code === SINGLE_QUOTE) {
      const close = this.#closingQuote(code);
      return this.#text.charCodeAt(close + 1) === COLON && close + 1 < this.#end;
    }
    for (let i = this.#at; i < this.#end; i++) {
      const c = this.#text.charCodeAt(i);
      if (c === LF) return false;
      if (c === HASH && this.#text.charCodeAt(i - 1) === SPACE) return false;
      if (c === COLON && (i + 1 >= this.#end || isSpaceOrEnd(this.#text.charCodeAt(i + 1)))) return true;
    }
    return false;
  }

  #sequence(indent: number): YamlSeq {
    const start = this.#at;
    const items: YamlNode[] = [];
    let end = start;
    for (;;) {
      this.#at++; // the dash
      const dashEnd = this.#at;
      const row = this.#line;
      const column = this.#nextContent();
      let item: YamlNode;
      if (column !== -1 && (this.#line === row || column > indent)) item = this.#block(column, indent);
      else item = this.#nothing(dashEnd);
      items.push(item);
      end = item.end;
      const next = this.#nextContent();
      if (next === -1 || next < indent) break;
      if (next !== indent) unsure();
      if (this.#code() !== DASH || !this.#isBlank(1)) break;
    }
    return { kind: "seq", items, start, end };
  }

  #mapping(indent: number): YamlMap {
    const start = this.#at;
    const entries: YamlEntry[] = [];
    const seen = new Set<string>();
    let end = start;
    for (;;) {
      const keyStart = this.#at;
      const key = this.#key(false);
      const keyEnd = this.#at;
      if (seen.has(key)) unsure();
      seen.add(key);
      // `key :` is legal and rare; `"key":value` is legal in flow collections only.
      if (this.#code() !== COLON || !this.#isBlank(1)) unsure();
      this.#at++; // the colon
      const valueAt = this.#at;
      const row = this.#line;
      const column = this.#nextContent();
      let value: YamlNode;
      if (column === -1) value = this.#nothing(valueAt);
      else if (this.#line === row) {
        if (this.#code() === DASH && this.#isBlank(1)) unsure();
        value = this.#inline(indent);
      } else if (column > indent || (column === indent && this.#code() === DASH && this.#isBlank(1))) {
        value = this.#block(column, column === indent ? indent - 1 : indent);
      } else value = this.#nothing(valueAt);
      entries.push({ key, value, start: keyStart, end: keyEnd });
      end = value.end;
      const next = this.#nextContent();
      if (next === -1 || next < indent) break;
      if (next !== indent || !this.#looksLikeEntry()) unsure();
    }
    return { kind: "map", entries, start, end };
  }

  #key(inFlow: boolean): string {
    const code = this.#code();
    if (code === DOUBLE_QUOTE || code === SINGLE_QUOTE) return this.#quoted(code).value as string;
    if (INDICATORS.has(code) || (code === DASH && (this.#isBlank(1) || inFlow))) unsure();
    const start = this.#at;
    for (; this.#at < this.#end; this.#at++) {
      const c = this.#code();
      if (c === LF || c === TAB || (c === HASH && this.#code(-1) === SPACE)) unsure();
      if (inFlow && (c === COMMA || c === OPEN_BRACKET || c === CLOSE_BRACKET || c === OPEN_BRACE || c === CLOSE_BRACE))
        unsure();
      if (c === COLON && this.#isBlank(1)) break;
    }
    const text = this.#text.slice(start, this.#at);
    const trimmed = text.trimEnd();
    if (trimmed !== text) unsure();
    // A key that is no string (`8080:`) is named by its text, as the API server would after JSON.
    return text;
  }

  /** A scalar or flow collection that begins on this line. */
  #inline(parent: number): YamlNode {
    const code = this.#code();
    let node: YamlNode;
    if (code === OPEN_BRACKET || code === OPEN_BRACE) node = this.#flow(parent);
    else if (code === DOUBLE_QUOTE || code === SINGLE_QUOTE) node = this.#quoted(code);
    else return this.#plain(parent);
    this.#lineEnd();
    return node;
  }

  /** Only blanks or a comment may follow on this line. */
  #lineEnd(): void {
    const before = this.#at;
    while (this.#at < this.#end && this.#code() === SPACE) this.#at++;
    const code = this.#code();
    if (code === LF || (code === CR && this.#code(1) === LF)) return;
    if (code === HASH && this.#at > before) return;
    unsure();
  }

  #plain(parent: number): YamlScalar {
    if (INDICATORS.has(this.#code()) || (this.#code() === DASH && this.#isBlank(1))) unsure();
    const start = this.#at;
    for (; this.#at < this.#end; this.#at++) {
      const c = this.#code();
      if (c === LF) break;
      if (c === TAB) unsure();
      if (c === HASH && this.#code(-1) === SPACE) break;
      if (c === COLON && this.#isBlank(1)) unsure();
    }
    const raw = this.#text.slice(start, this.#at);
    const text = raw.trimEnd();
    const scalar = plainScalar(text, start);
    // A deeper line that follows would fold into this scalar.
    const mark = this.#at;
    const line = this.#line;
    const column = this.#nextContent();
    if (column > parent && column !== -1) unsure();
    this.#at = mark;
    this.#line = line;
    return scalar;
  }

  #closingQuote(quote: number): number {
    for (let i = this.#at + 1; i < this.#end; i++) {
      const c = this.#text.charCodeAt(i);
      if (c === LF) unsure();
      if (quote === DOUBLE_QUOTE && c === 0x5c) i++;
      else if (c === quote) {
        if (quote === SINGLE_QUOTE && this.#text.charCodeAt(i + 1) === SINGLE_QUOTE) i++;
        else return i;
      }
    }
    return unsure();
  }

  #quoted(quote: number): YamlScalar {
    const start = this.#at;
    const close = this.#closingQuote(quote);
    const raw = this.#text.slice(start, close + 1);
    this.#at = close + 1;
    let value = raw.slice(1, -1);
    if (quote === SINGLE_QUOTE) value = value.replaceAll("''", "'");
    else if (value.includes("\\")) {
      try {
        value = JSON.parse(raw) as string; // JSON's escapes mean the same in YAML; others do not parse
      } catch {
        unsure();
      }
    }
    if (value.includes("\t")) unsure();
    return { kind: "scalar", value, text: value, plain: false, start, end: this.#at };
  }

  #flow(parent: number): YamlNode {
    if (++this.#depth > MAX_DEPTH) unsure();
    const start = this.#at;
    const isMap = this.#code() === OPEN_BRACE;
    const close = isMap ? CLOSE_BRACE : CLOSE_BRACKET;
    this.#at++;
    const items: YamlNode[] = [];
    const entries: YamlEntry[] = [];
    const seen = new Set<string>();
    this.#flowBlank(parent);
    while (this.#code() !== close) {
      if (isMap) {
        const keyStart = this.#at;
        const key = this.#key(true);
        const keyEnd = this.#at;
        if (seen.has(key) || this.#code() !== COLON) unsure();
        seen.add(key);
        this.#at++;
        this.#flowBlank(parent);
        entries.push({ key, value: this.#flowValue(parent), start: keyStart, end: keyEnd });
      } else {
        items.push(this.#flowValue(parent));
      }
      this.#flowBlank(parent);
      if (this.#code() === COMMA) {
        this.#at++;
        this.#flowBlank(parent);
      } else if (this.#code() !== close) unsure();
    }
    this.#at++;
    this.#depth--;
    const end = this.#at;
    return isMap ? { kind: "map", entries, start, end } : { kind: "seq", items, start, end };
  }

  #flowValue(parent: number): YamlNode {
    const code = this.#code();
    if (code === OPEN_BRACKET || code === OPEN_BRACE) return this.#flow(parent);
    if (code === DOUBLE_QUOTE || code === SINGLE_QUOTE) return this.#quoted(code);
    if (INDICATORS.has(code) || (code === DASH && (this.#isBlank(1) || isFlowPunctuation(this.#code(1))))) unsure();
    const start = this.#at;
    for (; this.#at < this.#end; this.#at++) {
      const c = this.#code();
      if (c === COMMA || c === CLOSE_BRACKET || c === CLOSE_BRACE || c === LF) break;
      if (c === OPEN_BRACKET || c === OPEN_BRACE || c === TAB || (c === HASH && this.#code(-1) === SPACE)) unsure();
      if (c === COLON && (this.#isBlank(1) || isFlowPunctuation(this.#code(1)))) unsure();
    }
    const text = this.#text.slice(start, this.#at).trimEnd();
    if (this.#code() === LF) {
      // The next line must go on with punctuation, or the scalar folds.
      this.#flowBlank(parent);
      const c = this.#code();
      if (c !== COMMA && c !== CLOSE_BRACKET && c !== CLOSE_BRACE) unsure();
    }
    return plainScalar(text, start);
  }

  #flowBlank(parent: number): void {
    const line = this.#line;
    const before = this.#at;
    const column = this.#nextContent();
    if (column === -1) unsure();
    if (this.#line !== line && column <= parent) unsure();
    // A `#` is a comment only after a blank.
    if (this.#at === before || this.#text.charCodeAt(before) !== HASH) return;
    unsure();
  }
}

function isSpaceOrEnd(code: number): boolean {
  return code === SPACE || code === LF || code === CR;
}

function isFlowPunctuation(code: number): boolean {
  return (
    code === COMMA || code === OPEN_BRACKET || code === CLOSE_BRACKET || code === OPEN_BRACE || code === CLOSE_BRACE
  );
}

function plainScalar(text: string, start: number): YamlScalar {
  return { kind: "scalar", value: coreSchema(text), text, plain: true, start, end: start + text.length };
}

const INTEGER = /^[-+]?[0-9]+$/;
const OCTAL = /^0o[0-7]+$/;
const HEX = /^0x[0-9a-fA-F]+$/;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;

/** YAML 1.2 core schema. */
function coreSchema(text: string): string | number | boolean | null {
  switch (text) {
    case "":
    case "~":
    case "null":
    case "Null":
    case "NULL":
      return null;
    case "true":
    case "True":
    case "TRUE":
      return true;
    case "false":
    case "False":
    case "FALSE":
      return false;
    default:
      break;
  }
  const first = text.charCodeAt(0);
  if (!((first >= 0x30 && first <= 0x39) || first === 0x2e || first === DASH || first === 0x2b)) return text;
  if (INTEGER.test(text) || FLOAT.test(text)) return Number(text);
  if (OCTAL.test(text)) return Number.parseInt(text.slice(2), 8);
  if (HEX.test(text)) return Number.parseInt(text.slice(2), 16);
  if (/^[-+]?\.(?:inf|Inf|INF)$/.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  if (/^\.(?:nan|NaN|NAN)$/.test(text)) return Number.NaN;
  return text;
}
