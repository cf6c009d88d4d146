import type { Location, Source } from "../../base/index.ts";
import type { Comment } from "./ast.ts";
import type { Lexed, Token } from "./lexer.ts";
import {
  BASE_KEYWORDS,
  displayName,
  isKeywordKind,
  isReserved,
  type Keyword,
  type TokenKind,
  V1_KEYWORDS,
} from "./tokens.ts";

/**
 * Deepest tree a parser makes. Brackets and bodies count three, since they take the most stack; the links of
 * operator, `else` and call chains count two. OPA allows 100000 on Go's growing stacks. Node's default stack is about 1 MB, and
 * every later pass walks the same tree, so the limit leaves them a wide margin.
 */
export const MAX_DEPTH = 1000;
export const NESTING = 3;
export const LINK = 2;

export interface ParserOptions {
  readonly version: "v0" | "v1";
  /** Keywords active from the start, as if imported. */
  readonly futureKeywords: readonly string[];
  /** Keywords an import may activate. */
  readonly allowedKeywords: readonly string[];
  readonly features: ReadonlySet<string>;
  /** Read queries only: nothing is a rule. */
  readonly skipRules: boolean;
}

/** All that backtracking must undo. Lists are never changed in place, so that a copy of the record is a snapshot. */
export interface State {
  readonly index: number;
  readonly kind: TokenKind;
  readonly errors: readonly ParseError[];
  readonly hints: readonly string[];
  readonly wildcards: number;
}

export interface ParseError {
  readonly message: string;
  readonly at: Location;
}

/** Where a parser stands in its tokens, which words are keywords there, and what it has to say so far. */
export class TokenStream {
  protected readonly source: Source;
  protected readonly options: ParserOptions;
  protected readonly tokens: readonly Token[];
  protected readonly comments: readonly Comment[];
  protected keywords: ReadonlySet<string>;
  protected index = 0;
  protected kind: TokenKind = "eof";
  protected errors: readonly ParseError[] = [];
  protected hints: readonly string[] = [];
  protected wildcards = 0;
  protected depth = 0;
  /** `not` is the improved negation. */
  protected notBodies: boolean;

  constructor(source: Source, { tokens, comments }: Lexed, options: ParserOptions) {
    this.source = source;
    this.options = options;
    this.tokens = tokens;
    this.comments = comments;
    const keywords = new Set<string>(BASE_KEYWORDS);
    if (options.version === "v1") for (const word of V1_KEYWORDS) keywords.add(word);
    this.keywords = keywords;
    for (const word of options.futureKeywords) this.addKeyword(word);
    this.notBodies = options.futureKeywords.includes("not");
  }

  protected get token(): Token {
    return this.tokens[this.index] as Token;
  }

  /** End of the last token before the current one. */
  protected get lastEnd(): number {
    return this.index === 0 ? 0 : (this.tokens[this.index - 1] as Token).end;
  }

  protected text(token: Token): string {
    return this.source.text.slice(token.offset, token.end);
  }

  protected enterToken(index: number): void {
    this.index = index;
    const token = this.tokens[index] as Token;
    this.kind = token.kind;
    if (token.errors !== undefined) for (const message of token.errors) this.error(this.here(), message);
    else if (token.kind === "identifier") {
      const word = this.text(token);
      if (this.keywords.has(word)) this.kind = word as Keyword;
    }
  }

  protected is(kind: TokenKind): boolean {
    return this.kind === kind;
  }

  /** Moves to the next token. */
  protected advance(): void {
    if (this.is("whitespace")) this.enterToken(this.index);
    else this.enterToken(Math.min(this.index + 1, this.tokens.length - 1));
  }

  /** Moves to the next token, or before it if there is space in between: then the kind is `whitespace`. */
  protected advanceToSpace(): void {
    const next = Math.min(this.index + 1, this.tokens.length - 1);
    const token = this.tokens[next] as Token;
    if (token.adjacent) this.enterToken(next);
    else {
      this.index = next;
      this.kind = "whitespace";
    }
  }

  /** The kind of what follows directly. */
  protected peekAdjacent(): TokenKind {
    const next = this.tokens[this.index + 1];
    if (next === undefined) return "eof";
    return next.adjacent ? next.kind : "whitespace";
  }

  protected save(): State {
    return {
      index: this.index,
      kind: this.kind,
      errors: this.errors,
      hints: this.hints,
      wildcards: this.wildcards,
    };
  }

  protected restore(state: State): void {
    this.index = state.index;
    this.kind = state.kind;
    this.errors = state.errors;
    this.hints = state.hints;
    this.wildcards = state.wildcards;
  }

  protected here(): Location {
    if (this.is("whitespace")) return this.spaceBefore();
    const { row, col, offset, end } = this.token;
    return { source: this.source, row, col, offset, end };
  }

  /** The space (or line end) before the current token: what a `.` with nothing after it is blamed on. */
  protected spaceBefore(): Location {
    const text = this.source.text;
    const token = this.tokens[this.index - 1] as Token;
    let offset = token.end;
    if (text[offset] === "#") {
      const lineEnd = text.indexOf("\n", offset);
      offset = lineEnd === -1 ? text.length : lineEnd;
    }
    if (text[offset] === "\n") return { source: this.source, row: token.row + 1, col: 0, offset, end: offset + 1 };
    let col = token.col;
    for (const _ of text.slice(token.offset, offset)) col++;
    return { source: this.source, row: token.row, col, offset, end: offset + 1 };
  }

  /** From a start to the end of the last token read. */
  protected span(start: Location, end: number = this.lastEnd): Location {
    return {
      source: start.source,
      row: start.row,
      col: start.col,
      offset: start.offset,
      end: Math.max(end, start.offset),
    };
  }
  protected error(at: Location, reason: string): void {
    const hints = this.hints;
    let message = reason;
    if (hints.length > 0) message += ` (${hints.length === 1 ? "hint" : "hints"}: ${hints.join(", ")})`;
    this.errors = [...this.errors, { message, at }];
    this.hints = [];
  }

  protected hint(text: string): void {
    this.hints = [...this.hints, text];
  }

  protected illegal(note = ""): void {
    if (this.is("illegal")) {
      this.error(this.here(), "illegal token");
      return;
    }
    const what = `unexpected ${displayName(this.kind)} ${isKeywordKind(this.kind) ? "keyword" : "token"}`;
    this.error(this.here(), note === "" ? what : `${what}: ${note}`);
  }

  protected enter(levels = LINK): boolean {
    if (this.depth + levels > MAX_DEPTH) {
      this.error(this.here(), "max parsing recursion depth exceeded");
      return false;
    }
    this.depth += levels;
    return true;
  }
  protected addKeyword(word: string): void {
    const keywords = new Set(this.keywords).add(word);
    if (word === "every") keywords.add("in");
    this.keywords = keywords;
  }

  protected isRefKeyword(kind: TokenKind): boolean {
    if (!this.options.features.has("keywords_in_refs")) return false;
    const word = displayName(kind);
    return isReserved(word, this.options.version) || this.keywords.has(word);
  }

  /** Makes a keyword that starts a ref (`if.x`, `not["x"]`) an ordinary name. */
  protected nameAhead(): boolean {
    if (!this.isRefKeyword(this.kind)) return false;
    const next = this.peekAdjacent();
    if (next !== "." && next !== "[") return false;
    this.kind = "identifier";
    return true;
  }

  protected isNegation(): boolean {
    if (!this.is("not")) return false;
    const next = this.peekAdjacent();
    return next !== "." && next !== "[";
  }

  protected atLogical(): boolean {
    return this.is("and") || this.is("or");
  }

  protected get logicalActive(): boolean {
    return this.keywords.has("and") || this.keywords.has("or");
  }
}
