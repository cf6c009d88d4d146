import type { Location, Source, Steps } from "../../base/index.ts";
import type { Comment } from "./ast.ts";
import type { TokenKind } from "./tokens.ts";

/** Words are always `identifier` here: which of them are keywords depends on imports, so the parser decides. */
export interface Token {
  readonly kind: TokenKind;
  readonly offset: number;
  readonly end: number;
  readonly row: number;
  readonly col: number;
  /** Nothing stands between this token and the one before. */
  readonly adjacent: boolean;
  /** At least one line ends between this token and the one before. */
  readonly newline: boolean;
  /** Number of comments before this token. */
  readonly comments: number;
  /** The scanner's complaints about this token, which is then `illegal`. */
  readonly errors: readonly string[] | undefined;
  /** Decoded text of a part of a template string, or undefined if its escapes are wrong. */
  readonly part?: string | undefined;
}

export interface Lexed {
  readonly tokens: readonly Token[];
  readonly comments: readonly Comment[];
}

/** The template string whose `{expression}` is being scanned, and how many braces are open inside it. */
interface OpenTemplate {
  readonly raw: boolean;
  depth: number;
}

const SIMPLE: ReadonlyMap<string, TokenKind> = new Map<string, TokenKind>([
  ["[", "["],
  ["]", "]"],
  ["(", "("],
  [")", ")"],
  [",", ","],
  [";", ";"],
  [".", "."],
  ["+", "plus"],
  ["-", "minus"],
  ["*", "mul"],
  ["/", "div"],
  ["%", "rem"],
  ["&", "&"],
  ["|", "|"],
]);

/** Signs that change their meaning before `=`. */
const WITH_EQUALS: ReadonlyMap<string, readonly [alone: TokenKind, joined: TokenKind]> = new Map<
  string,
  readonly [TokenKind, TokenKind]
>([
  [":", [":", "assign"]],
  ["=", ["eq", "equal"]],
  [">", ["gt", "gte"]],
  ["<", ["lt", "lte"]],
  ["!", ["illegal", "neq"]],
]);

const BOM = 0xfeff;
const EOF = -1;

/** Splits a source into tokens in one pass. Never throws: what is no token becomes an `illegal` one. */
export function tokenize(source: Source): Steps<Lexed> {
  return new Lexer(source).run();
}

/** Tokens between two pauses. */
const PIECE = 512;

class Lexer {
  readonly #source: Source;
  readonly #text: string;
  readonly #tokens: Token[] = [];
  readonly #comments: Comment[] = [];
  readonly #templates: OpenTemplate[] = [];
  #at = 0;
  #row = 1;
  #lineStart = 0;
  /** Surrogate pairs passed on this line: columns count code points. */
  #pairs = 0;
  #errors: string[] = [];
  #start = 0;
  #startRow = 1;
  #startCol = 1;
  #adjacent = false;
  #newline = false;

  constructor(source: Source) {
    this.#source = source;
    this.#text = source.text;
  }

  *run(): Steps<Lexed> {
    this.#checkChar();
    if (this.#char() === BOM) this.#next();
    for (let i = 1; this.#at < this.#text.length; i++) {
      this.#scan();
      if (i % PIECE === 0) yield;
    }
    const atLineStart = this.#at === this.#lineStart;
    // OPA reports the end of the input at the last character it read.
    this.#start = this.#at;
    this.#startRow = this.#row;
    this.#startCol = atLineStart ? 0 : this.#col() - 1;
    this.#emit("eof");
    return { tokens: this.#tokens, comments: this.#comments };
  }

  #char(): number {
    return this.#at < this.#text.length ? this.#text.charCodeAt(this.#at) : EOF;
  }

  #col(): number {
    return this.#at - this.#lineStart - this.#pairs + 1;
  }

  /** Steps over one code point. */
  #next(): void {
    const code = this.#text.charCodeAt(this.#at);
    this.#at++;
    if (code === 0x0a) {
      this.#row++;
      this.#lineStart = this.#at;
      this.#pairs = 0;
    } else if (code >= 0xd800 && code <= 0xdbff && isLowSurrogate(this.#text.charCodeAt(this.#at))) {
      this.#at++;
      this.#pairs++;
    }
    this.#checkChar();
  }

  /** Go's scanner looks one character ahead, so a forbidden character taints the token before it, too. */
  #checkChar(): void {
    if (this.#at >= this.#text.length) return;
    const code = this.#text.charCodeAt(this.#at);
    if (code === 0) this.#errors.push("illegal null character");
    else if (code < 0xd800) return;
    else if (code === BOM && this.#at > 0) this.#errors.push("illegal byte-order mark");
    else if (code <= 0xdfff && this.#text.codePointAt(this.#at) === code) this.#errors.push("illegal utf-8 character");
  }

  #begin(): void {
    this.#start = this.#at;
    this.#startRow = this.#row;
    this.#startCol = this.#col();
    if (this.#char() === 0x0a) {
      // A line end counts as the start of its next line.
      this.#startRow++;
      this.#startCol = 0;
    }
  }

  #emit(kind: TokenKind, part?: string): void {
    const errors = this.#errors.length > 0 ? this.#errors : undefined;
    this.#tokens.push({
      kind: errors === undefined ? kind : "illegal",
      offset: this.#start,
      end: this.#at,
      row: this.#startRow,
      col: this.#startCol,
      adjacent: this.#adjacent,
      newline: this.#newline,
      comments: this.#comments.length,
      errors,
      part,
    });
    if (errors !== undefined) this.#errors = [];
    this.#adjacent = true;
    this.#newline = false;
  }

  #scan(): void {
    const text = this.#text;
    const code = text.charCodeAt(this.#at);
    if (code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d) {
      this.#begin();
      this.#next();
      this.#adjacent = false;
      if (this.#errors.length > 0) this.#emit("illegal");
      else if (code === 0x0a) this.#newline = true;
      return;
    }
    this.#begin();
    if (isLetter(code)) {
      do this.#at++;
      while (this.#at < text.length && isWordPart(text.charCodeAt(this.#at)));
      this.#checkChar();
      this.#emit("identifier");
      return;
    }
    if (isDecimal(code)) {
      this.#number();
      this.#emit("number");
      return;
    }
    this.#sign(text[this.#at] as string);
  }

  #sign(char: string): void {
    this.#next();
    const simple = SIMPLE.get(char);
    if (simple !== undefined) {
      this.#emit(simple);
      return;
    }
    const pair = WITH_EQUALS.get(char);
    if (pair !== undefined) {
      if (this.#char() === 0x3d) {
        this.#next();
        this.#emit(pair[1]);
      } else {
        if (char === "!") this.#errors.push("illegal ! character");
        this.#emit(pair[0]);
      }
      return;
    }
    switch (char) {
      case "{": {
        const open = this.#templates.at(-1);
        if (open !== undefined) open.depth++;
        this.#emit("{");
        return;
      }
      case "}":
        this.#closeBrace();
        return;
      case "#":
        this.#comment();
        return;
      case '"':
        this.#string();
        this.#emit("string");
        return;
      case "`":
        this.#rawString();
        this.#emit("string");
        return;
      case "$":
        if (this.#char() === 0x22 || this.#char() === 0x60) {
          const raw = this.#char() === 0x60;
          this.#next();
          this.#templatePart(raw, false);
          return;
        }
        this.#errors.push("illegal $ character");
        this.#emit("illegal");
        return;
      default:
        this.#emit("illegal");
    }
  }

  #closeBrace(): void {
    this.#emit("}");
    const open = this.#templates.at(-1);
    if (open === undefined) return;
    if (open.depth > 0) {
      open.depth--;
      return;
    }
    this.#templates.pop();
    this.#begin();
    this.#templatePart(open.raw, true);
  }

  #comment(): void {
    const text = this.#text;
    while (this.#at < text.length && text.charCodeAt(this.#at) !== 0x0a) this.#next();
    this.#adjacent = false;
    if (this.#errors.length > 0) {
      this.#emit("illegal");
      return;
    }
    const at: Location = {
      source: this.#source,
      row: this.#startRow,
      col: this.#startCol,
      offset: this.#start,
      end: this.#at,
    };
    this.#comments.push({ text: text.slice(this.#start + 1, this.#at).replace(/\r+$/, ""), at });
  }

  #number(): void {
    this.#decimals();
    if (this.#char() === 0x2e) {
      this.#at++;
      if (!this.#decimals()) this.#errors.push("expected fraction");
    }
    if ((this.#char() | 0x20) === 0x65 && this.#char() !== EOF) {
      this.#at++;
      if (this.#char() === 0x2b || this.#char() === 0x2d) this.#at++;
      if (!this.#decimals()) this.#errors.push("expected exponent");
    }
    if (isLetter(this.#char())) {
      this.#errors.push("illegal number format");
      while (isWordPart(this.#char())) this.#at++;
    }
    this.#checkChar();
  }

  #decimals(): boolean {
    const from = this.#at;
    while (isDecimal(this.#char())) this.#at++;
    return this.#at > from;
  }

  #string(): void {
    for (;;) {
      const code = this.#char();
      if (code === EOF || code === 0x0a) {
        this.#errors.push("non-terminated string");
        return;
      }
      this.#next();
      if (code === 0x22) return;
      if (code === 0x5c) this.#escape(false);
    }
  }

  /** Steps over what follows a backslash. Answers whether it was `\{`. */
  #escape(template: boolean): boolean {
    const char = this.#text[this.#at];
    if (char === "u") {
      for (let i = 0; i < 4 && this.#at < this.#text.length; i++) this.#next();
      return false;
    }
    if (char !== undefined && '\\"/bfnrt'.includes(char)) {
      this.#next();
      return false;
    }
    if (template && char === "{") {
      this.#next();
      return true;
    }
    this.#errors.push("illegal escape sequence");
    return false;
  }

  #rawString(): void {
    for (;;) {
      const code = this.#char();
      if (code === EOF) {
        this.#errors.push("non-terminated string");
        return;
      }
      this.#next();
      if (code === 0x60) return;
    }
  }

  /** One literal part of a template string, up to and including the `{` or the closing quote. */
  #templatePart(raw: boolean, continued: boolean): void {
    const quote = raw ? 0x60 : 0x22;
    if (continued) this.#adjacent = true;
    let text = "";
    let from = this.#at;
    let ended = false;
    let open = false;
    for (;;) {
      const code = this.#char();
      if (code === EOF || (!raw && code === 0x0a)) {
        this.#errors.push("non-terminated string");
        break;
      }
      this.#next();
      if (code === quote) {
        ended = true;
        break;
      }
      if (code === 0x7b) {
        open = true;
        break;
      }
      if (code !== 0x5c) continue;
      const backslash = this.#at - 1;
      const brace = raw ? this.#char() === 0x7b : this.#escape(true);
      if (raw && brace) this.#next();
      if (brace) {
        text += this.#text.slice(from, backslash);
        from = backslash + 1;
      }
    }
    text += this.#text.slice(from, ended || open ? this.#at - 1 : this.#at);
    const failed = this.#errors.length > 0;
    const name = raw ? "raw-template-string" : "template-string";
    this.#emit(`${name}-${ended ? "end" : "part"}`, raw ? text : unescapeJson(text));
    if (open && !failed) this.#templates.push({ raw, depth: 0 });
  }
}

function isLetter(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === 0x5f;
}

function isDecimal(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function isWordPart(code: number): boolean {
  return isLetter(code) || isDecimal(code);
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

/** Decodes the inside of a quoted string by JSON's rules, as Go does: undefined where JSON refuses it, U+FFFD for a lone surrogate. */
export function unescapeJson(inner: string): string | undefined {
  if (!inner.includes("\\")) return inner;
  try {
    const decoded: unknown = JSON.parse(`"${inner}"`);
    if (typeof decoded !== "string") return undefined;
    return decoded.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
  } catch {
    return undefined;
  }
}
