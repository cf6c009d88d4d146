/** A template could not be parsed or run. The message is Go's (text/template). */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

export type TokenKind =
  | "text"
  | "left"
  | "right"
  | "space"
  | "bool"
  | "char"
  | "number"
  | "field"
  | "variable"
  | "identifier"
  | "dot"
  | "nil"
  | "keyword"
  | "string"
  | "pipe"
  | "declare"
  | "assign"
  | "lparen"
  | "rparen"
  | "comma"
  | "error"
  | "eof";

export interface Token {
  readonly kind: TokenKind;
  /** As written; for errors the message. */
  readonly text: string;
  readonly at: number;
  readonly line: number;
}

const KEYWORDS: ReadonlySet<string> = new Set([
  "block",
  "break",
  "continue",
  "define",
  "else",
  "end",
  "if",
  "range",
  "template",
  "with",
]);
const SPACE = " \t\r\n";

/** Splits a template into tokens; ends with an `eof` or `error` token. @source Go src/text/template/parse/lex.go */
export function lexTemplate(source: string): readonly Token[] {
  return new Lexer(source).run();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
  }

  run(): readonly Token[] {
    while (this.#text());
    return this.#tokens;
  }

  #push(kind: TokenKind, end: number): void {
    const text = this.#source.slice(this.#at, end);
    this.#tokens.push({ kind, text, at: this.#at, line: this.#line });
    this.#skip(end);
  }

  #skip(end: number): void {
    for (let i = this.#at; i < end; i++) if (this.#source[i] === "\n") this.#line++;
    this.#at = end;
  }

  #fail(message: string): false {
    this.#tokens.push({ kind: "error", text: message, at: this.#at, line: this.#line });
    return false;
  }

  /** Text up to an action, and the action. False at the end. */
  #text(): boolean {
    const source = this.#source;
    const open = source.indexOf("{{", this.#at);
    const end = open === -1 ? source.length : open;
    let kept = end;
    const trims = open !== -1 && source[open + 2] === "-" && isSpace(source[open + 3]);
    if (trims) while (kept > this.#at && isSpace(source[kept - 1])) kept--;
    if (kept > this.#at) this.#push("text", kept);
    this.#skip(end);
    if (open === -1) {
      this.#push("eof", end);
      return false;
    }
    const inside = open + (trims ? 4 : 2);
    if (source.startsWith("/*", inside)) return this.#comment(inside);
    this.#push("left", open + 2);
    this.#skip(inside);
    this.#depth = 0;
    return this.#action();
  }

  #comment(start: number): boolean {
    const close = this.#source.indexOf("*/", start);
    if (close === -1) return this.#fail("unclosed comment");
    const length = this.#rightDelimiter(close + 2);
    if (length === 0) return this.#fail("comment ends before closing delimiter");
    this.#skip(close + 2 + length);
    if (length > 2) this.#skipSpace();
    return true;
  }

  #skipSpace(): void {
    let end = this.#at;
    while (isSpace(this.#source[end])) end++;
    this.#skip(end);
  }

  /** Length of the closing delimiter here, 0 if there is none; with a trim marker it is longer than 2. */
  #rightDelimiter(at: number): number {
    const source = this.#source;
    if (isSpace(source[at]) && source.startsWith("-}}", at + 1)) return 4;
    return source.startsWith("}}", at) ? 2 : 0;
  }

  #action(): boolean {
    const source = this.#source;
    for (;;) {
      const length = this.#rightDelimiter(this.#at);
      if (length > 0) {
        if (this.#depth > 0) return this.#fail("unclosed left paren");
        this.#push("right", this.#at + length);
        if (length > 2) this.#skipSpace();
        return true;
      }
      const char = source[this.#at];
      if (char === undefined) return this.#fail("unclosed action");
      if (isSpace(char)) {
        let end = this.#at;
        while (isSpace(source[end]) && this.#rightDelimiter(end) === 0) end++;
        this.#push("space", end);
      } else if (!this.#token(char)) return false;
    }
  }

  #token(char: string): boolean {
    const source = this.#source;
    const rest = source.slice(this.#at, this.#at + 2);
    switch (char) {
      case "=":
        this.#push("assign", this.#at + 1);
        return true;
      case ":":
        if (rest !== ":=") return this.#fail("expected :=");
        this.#push("declare", this.#at + 2);
        return true;
      case "|":
        this.#push("pipe", this.#at + 1);
        return true;
      case ",":
        this.#push("comma", this.#at + 1);
        return true;
      case '"':
        return this.#quoted('"', "string", "unterminated quoted string");
      case "'":
        return this.#quoted("'", "char", "unterminated character constant");
      case "`": {
        const close = source.indexOf("`", this.#at + 1);
        if (close === -1) return this.#fail("unterminated raw quoted string");
        this.#push("string", close + 1);
        return true;
      }
      case "(":
        this.#depth++;
        this.#push("lparen", this.#at + 1);
        return true;
      case ")":
        if (--this.#depth < 0) return this.#fail("unexpected right paren");
        this.#push("rparen", this.#at + 1);
        return true;
      case "$":
        return this.#word("variable", this.#at + 1);
      default:
        break;
    }
    if (char === "." && !/[0-9]/.test(source[this.#at + 1] ?? "0")) return this.#word("field", this.#at + 1);
    if (/[.+\-0-9]/.test(char)) return this.#number();
    if (isAlphanumeric(this.#codePoint(this.#at))) return this.#identifier();
    return this.#fail(`unrecognized character in action: ${shown(this.#codePoint(this.#at))}`);
  }

  #codePoint(at: number): string {
    const code = this.#source.codePointAt(at);
    return code === undefined ? "" : String.fromCodePoint(code);
  }

  #wordEnd(start: number): number {
    let end = start;
    for (let char = this.#codePoint(end); isAlphanumeric(char); char = this.#codePoint(end)) end += char.length;
    return end;
  }

  /** `.name` or `$name`, where the name may be missing. */
  #word(kind: "field" | "variable", start: number): boolean {
    const end = this.#wordEnd(start);
    if (end > start && !this.#atTerminator(end)) return this.#fail(`bad character ${shown(this.#codePoint(end))}`);
    if (end === start && kind === "field" && !this.#atTerminator(end)) {
      return this.#fail(`bad character ${shown(this.#codePoint(end))}`);
    }
    this.#push(kind === "field" && end === start ? "dot" : kind, end);
    return true;
  }

  #identifier(): boolean {
    const end = this.#wordEnd(this.#at);
    if (!this.#atTerminator(end)) return this.#fail(`bad character ${shown(this.#codePoint(end))}`);
    const word = this.#source.slice(this.#at, end);
    if (KEYWORDS.has(word)) this.#push("keyword", end);
    else if (word === "true" || word === "false") this.#push("bool", end);
    else this.#push(word === "nil" ? "nil" : "identifier", end);
    return true;
  }

  #atTerminator(at: number): boolean {
    const char = this.#source[at];
    return char === undefined || isSpace(char) || ".,|:()".includes(char) || this.#source.startsWith("}}", at);
  }

  #quoted(quote: string, kind: "string" | "char", complaint: string): boolean {
    for (let at = this.#at + 1; ; at++) {
      const char = this.#source[at];
      if (char === "\\" && this.#source[at + 1] !== undefined && this.#source[at + 1] !== "\n") at++;
      else if (char === undefined || char === "\n" || char === "\\") return this.#fail(complaint);
      else if (char === quote) {
        this.#push(kind, at + 1);
        return true;
      }
    }
  }

  #number(): boolean {
    const pattern =
      /[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*|0[bB][01_]*|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?/y;
    pattern.lastIndex = this.#at;
    const end = this.#at + (pattern.exec(this.#source)?.[0].length ?? 0);
    if (isAlphanumeric(this.#codePoint(end))) {
      const wrong = this.#source.slice(this.#at, end + this.#codePoint(end).length);
      return this.#fail(`bad number syntax: ${JSON.stringify(wrong)}`);
    }
    this.#push("number", end);
    return true;
  }
}

function isSpace(char: string | undefined): boolean {
  return char !== undefined && SPACE.includes(char);
}

function isAlphanumeric(char: string): boolean {
  return char !== "" && /[_\p{L}\p{Nd}]/u.test(char);
}

function shown(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")} '${char}'`;
}
