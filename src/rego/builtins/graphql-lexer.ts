/** Where a token begins. Columns count code points; strings are placed just inside their opening quotes, as in gqlparser. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A GraphQL text, or a schema or query made of it, was refused. The messages are gqlparser's, which OPA shows. */
export class GraphqlError extends Error {
  override readonly name = "GraphqlError";
  /** Absent for syntax trees that did not come from text. */
  readonly position: Position | undefined;

  constructor(message: string, position: Position | undefined) {
    super(message);
    this.position = position;
  }
}

/** Token kinds by the text gqlparser's messages show for them. */
export type TokenKind =
  | "<Invalid>"
  | "<EOF>"
  | "!"
  | "$"
  | "&"
  | "("
  | ")"
  | "..."
  | ":"
  | "="
  | "@"
  | "["
  | "]"
  | "{"
  | "}"
  | "|"
  | "Name"
  | "Int"
  | "Float"
  | "String"
  | "BlockString"
  | "Comment";

export interface Token {
  readonly kind: TokenKind;
  /** Names, numbers and comments as written; strings without quotes and escapes; empty for punctuation. */
  readonly value: string;
  readonly position: Position;
  /** What is wrong with an invalid token. */
  readonly error?: GraphqlError;
}

const PUNCTUATION: ReadonlySet<string> = new Set("!$&():=@[]{}|");
const NAME = /[_A-Za-z][_0-9A-Za-z]*/y;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["/", "/"],
  ["\\", "\\"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/** Splits GraphQL text into tokens, comments included. @source gqlparser v2 lexer/lexer.go */
export class GraphqlLexer {
  readonly #text: string;
  #at = 0;
  #line = 1;
  /** Code points read so far, and at the start of this line. */
  #points = 0;
  #lineStart = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next token; after the end, `<EOF>` for ever. A malformed one comes out as `<Invalid>` with its error. */
  read(): Token {
    this.#skipSpace();
    const start = this.#position();
    const char = this.#text[this.#at];
    if (char === undefined) return { kind: "<EOF>", value: "", position: start };
    if (PUNCTUATION.has(char)) {
      this.#advance();
      return { kind: char as TokenKind, value: "", position: start };
    }
    if (this.#text.startsWith("...", this.#at)) {
      this.#advance(3);
      return { kind: "...", value: "", position: start };
    }
    if (char === "#") return { kind: "Comment", value: this.#readComment(), position: start };
    NAME.lastIndex = this.#at;
    const name = NAME.exec(this.#text)?.[0];
    if (name !== undefined) {
      this.#advance(name.length);
      return { kind: "Name", value: name, position: start };
    }
    if (char === "-" || isDigit(char)) return this.#readNumber(start);
    if (this.#text.startsWith('"""', this.#at)) return this.#readBlockString();
    if (char === '"') return this.#readString();
    return this.#invalid(unexpectedCharacter(this.#text.codePointAt(this.#at) as number));
  }

  #position(): Position {
    return { line: this.#line, column: this.#points - this.#lineStart + 1 };
  }

  /** Steps over characters of the basic plane. */
  #advance(count = 1): void {
    this.#at += count;
    this.#points += count;
  }

  #advancePoint(): string {
    const point = String.fromCodePoint(this.#text.codePointAt(this.#at) as number);
    this.#at += point.length;
    this.#points++;
    return point;
  }

  #newLine(): void {
    this.#line++;
    this.#lineStart = this.#points;
  }

  #invalid(message: string): Token {
    const position = this.#position();
    return { kind: "<Invalid>", value: "", position, error: new GraphqlError(message, position) };
  }

  #skipSpace(): void {
    for (;;) {
      switch (this.#text[this.#at]) {
        case "\t":
        case " ":
        case ",":
        case "\uFEFF":
          this.#advance();
          break;
        case "\n":
          this.#advance();
          this.#newLine();
          break;
        case "\r":
          this.#advance();
          this.#newLine();
          if (this.#text[this.#at] === "\n") this.#advance();
          break;
        default:
          return;
      }
    }
  }

  #readComment(): string {
    const start = this.#at;
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (Number.isNaN(code) || (code < 0x20 && code !== 0x09)) return this.#text.slice(start, this.#at);
      this.#advancePoint();
    }
  }

  #readNumber(position: Position): Token {
    const start = this.#at;
    let isFloat = false;
    if (this.#text[this.#at] === "-") this.#advance();
    if (this.#text[this.#at] === "0") {
      this.#advance();
      if (isDigit(this.#text[this.#at])) {
        return this.#invalid(`Invalid number, unexpected digit after 0: ${this.#next()}.`);
      }
    } else if (!this.#skipDigits()) return this.#missingDigit();
    if (this.#text[this.#at] === ".") {
      isFloat = true;
      this.#advance();
      if (!this.#skipDigits()) return this.#missingDigit();
    }
    if (/[eE]/.test(this.#text[this.#at] ?? "")) {
      isFloat = true;
      this.#advance();
      if (/[-+]/.test(this.#text[this.#at] ?? "")) this.#advance();
      if (!this.#skipDigits()) return this.#missingDigit();
    }
    return { kind: isFloat ? "Float" : "Int", value: this.#text.slice(start, this.#at), position };
  }

  #skipDigits(): boolean {
    const start = this.#at;
    while (isDigit(this.#text[this.#at])) this.#advance();
    return this.#at > start;
  }

  #missingDigit(): Token {
    return this.#invalid(`Invalid number, expected digit but got: ${this.#next()}.`);
  }

  #next(): string {
    const code = this.#text.codePointAt(this.#at);
    return code === undefined ? "<EOF>" : `"${leadingByte(code)}"`;
  }

  #readString(): Token {
    this.#advance();
    const position = this.#position();
    let value = "";
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined || char === "\n" || char === "\r") return this.#invalid("Unterminated string.");
      if (char < " " && char !== "\t") return this.#invalidInString(char);
      if (char === '"') {
        this.#advance();
        return { kind: "String", value, position };
      }
      if (char !== "\\") {
        value += this.#advancePoint();
        continue;
      }
      const escaped = this.#readEscape();
      if (typeof escaped !== "string") return escaped;
      value += escaped;
    }
  }

  #readEscape(): string | Token {
    const letter = this.#text[this.#at + 1];
    if (letter === undefined) {
      this.#advance();
      return this.#invalid("Invalid character escape sequence.");
    }
    if (letter !== "u") {
      const plain = ESCAPES.get(letter);
      if (plain !== undefined) {
        this.#advance(2);
        return plain;
      }
      this.#advance();
      return this.#invalid(
        `Invalid character escape sequence: \\${leadingByte(this.#text.codePointAt(this.#at) as number)}.`,
      );
    }
    const rest = this.#text.slice(this.#at + 1, this.#at + 6);
    if (this.#at + 6 >= this.#text.length || !/^u[0-9a-fA-F]{4}$/.test(rest)) {
      this.#advance();
      return this.#invalid(`Invalid character escape sequence: \\${rest}.`);
    }
    this.#advance(6);
    const code = Number.parseInt(rest.slice(1), 16);
    return code >= 0xd800 && code <= 0xdfff ? "\uFFFD" : String.fromCharCode(code);
  }

  #readBlockString(): Token {
    this.#advance(3);
    const start = this.#points;
    let raw = "";
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) return this.#invalid("Unterminated string.");
      if (char === '"') {
        let quotes = 1;
        while (this.#text[this.#at + quotes] === '"') quotes++;
        if (quotes >= 3) {
          // The position is taken on the last line, with the start counted from there: gqlparser's arithmetic.
          const position = { line: this.#line, column: start - this.#lineStart + 1 };
          this.#advance(quotes);
          return { kind: "BlockString", value: blockStringValue(raw + '"'.repeat(quotes - 3)), position };
        }
      }
      if (char < " " && char !== "\t" && char !== "\n" && char !== "\r") return this.#invalidInString(char);
      if (this.#text.startsWith('\\"""', this.#at)) {
        raw += '"""';
        this.#advance(4);
      } else if (char === "\r") {
        this.#advance(this.#text[this.#at + 1] === "\n" ? 2 : 1);
        raw += "\n";
        this.#newLine();
      } else {
        raw += this.#advancePoint();
        if (char === "\n") this.#newLine();
      }
    }
  }

  #invalidInString(char: string): Token {
    return this.#invalid(`Invalid character within String: "\\u${hex4(char.charCodeAt(0))}".`);
  }
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= "0" && char <= "9";
}

function unexpectedCharacter(code: number): string {
  if (code < 0x20) return `Cannot contain the invalid character "\\u${hex4(code)}"`;
  if (code === 0x27) return `Unexpected single quote character ('), did you mean to use a double quote (")?`;
  return `Cannot parse the unexpected character "${leadingByte(code)}".`;
}

/** gqlparser shows the first byte of a character's UTF-8 form as if it were a character. */
function leadingByte(code: number): string {
  if (code < 0x80) return String.fromCharCode(code);
  if (code < 0x800) return String.fromCharCode(0xc0 | (code >> 6));
  return String.fromCharCode(code < 0x10000 ? 0xe0 | (code >> 12) : 0xf0 | (code >> 18));
}

function hex4(code: number): string {
  return code.toString(16).padStart(4, "0");
}

/** The specification's BlockStringValue(): common indentation and blank first and last lines removed. */
function blockStringValue(raw: string): string {
  const lines = raw.split("\n");
  const indents = lines.map((line) => line.search(/[^ \t]/)).filter((indent) => indent >= 0);
  const common = indents.length === 0 ? 0 : Math.min(...indents);
  const cut = lines.map((line, i) => (i === 0 ? line : line.slice(common)));
  while (cut.length > 0 && isBlank(cut[0] as string)) cut.shift();
  while (cut.length > 0 && isBlank(cut.at(-1) as string)) cut.pop();
  return cut.join("\n");
}

function isBlank(line: string): boolean {
  return /^[ \t]*$/.test(line);
}
