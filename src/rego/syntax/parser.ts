import type { Location, Source } from "../../base/index.ts";
import { parseNumber } from "../value/index.ts";
import type {
  Body,
  CallTerm,
  Comment,
  Diagnostic,
  Expr,
  ExprForm,
  Head,
  Import,
  Package,
  RefTerm,
  Rule,
  StringTerm,
  Term,
  VarTerm,
  With,
} from "./ast.ts";
import { distinctEntries, distinctItems } from "./compare.ts";
import {
  booleanTerm,
  callTerm,
  expr as makeExpr,
  formOf,
  isWildcard,
  numberTerm,
  objectTerm,
  operatorName,
  refTerm,
  setTerm,
  stringTerm,
  varTerm,
} from "./construct.ts";
import { type Token, tokenize, unescapeJson } from "./lexer.ts";
import { caretDetails } from "./details.ts";
import { isBuiltinInfix, VOID_BUILTINS } from "./builtin-names.ts";
import { termToText } from "./text.ts";
import { isGroundTerm, relocateExpr, relocateHead, walkTerms } from "./traverse.ts";
import {
  ALL_FUTURE_KEYWORDS,
  BASE_KEYWORDS,
  displayName,
  FUTURE_KEYWORDS,
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
const NESTING = 3;
const LINK = 2;

/** Longest text a parser takes, in UTF-16 units. */
export const MAX_SOURCE_LENGTH = 32 * 1024 * 1024;

/** Longest number literal: OPA refuses what needs more than 100000 bits, which is about 30000 digits. */
const MAX_NUMBER_LENGTH = 50_000;
const MAX_NUMBER_BITS = 100_000;

/** Language features that capabilities may switch off. */
export type Feature = "rego_v1" | "rego_v1_import" | "keywords_in_refs" | "template_strings";

/** What OPA's own capabilities hold for each language. */
export const DEFAULT_FEATURES: Readonly<Record<"v0" | "v1", readonly Feature[]>> = {
  v0: ["rego_v1", "rego_v1_import", "keywords_in_refs"],
  v1: ["rego_v1", "keywords_in_refs", "template_strings"],
};

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

export type Statement =
  | { readonly kind: "package"; readonly package: Package }
  | { readonly kind: "import"; readonly import: Import }
  | { readonly kind: "rule"; readonly rule: Rule }
  /** `next` is the word that follows on the same line. */
  | { readonly kind: "body"; readonly body: Body; readonly next: string | undefined };

export interface ParsedStatements {
  readonly statements: readonly Statement[];
  readonly comments: readonly Comment[];
  readonly errors: readonly Diagnostic[];
}

/** All that backtracking must undo. Lists are never changed in place, so that a copy of the record is a snapshot. */
interface State {
  readonly index: number;
  readonly kind: TokenKind;
  readonly errors: readonly ParseError[];
  readonly hints: readonly string[];
  readonly wildcards: number;
}

interface ParseError {
  readonly message: string;
  readonly at: Location;
}

/** A term that was read, and what reading it did. */
interface CachedTerm {
  readonly term: Term | undefined;
  readonly after: State;
  /** A keyword here may be a name when read from another place, and wildcards are numbered: both make another term. */
  readonly kindBefore: TokenKind;
  readonly wildcardsBefore: number;
  readonly newErrors: readonly ParseError[];
}

/** One operand of `and`, `or` or `not`. */
interface Operand {
  readonly body: Body;
  /** Written with braces. */
  readonly explicit: boolean;
  readonly at: Location;
}

/** What reading `(` as a group of logical operands came to: undefined where it is no such group. */
type Group = Operand | "failed" | undefined;

const INFIX_LEVEL: ReadonlyMap<TokenKind, number> = new Map<TokenKind, number>([
  ["equal", 1],
  ["neq", 1],
  ["lt", 1],
  ["gt", 1],
  ["lte", 1],
  ["gte", 1],
  ["|", 2],
  ["&", 3],
  ["plus", 4],
  ["minus", 4],
  ["mul", 5],
  ["div", 5],
  ["rem", 5],
]);
const TIGHTEST = 5;

const REF_HEADS: ReadonlySet<string> = new Set([
  "var",
  "array",
  "object",
  "set",
  "arraycomprehension",
  "objectcomprehension",
  "setcomprehension",
  "call",
]);

const IMPORT_ROOTS: ReadonlySet<string> = new Set(["data", "input", "future", "rego"]);

/**
 * Recursive descent with backtracking. Statements are tried as package, import, rule, then query; inside braces a
 * comprehension goes before a set or object, and after `if` a literal goes before a body. The order decides which error is
 * reported, so it is OPA's (v1/ast/parser.go). Terms are remembered by position: however often backtracking comes by,
 * every term is read once.
 */
export class Parser {
  readonly #source: Source;
  readonly #options: ParserOptions;
  readonly #tokens: readonly Token[];
  readonly #comments: readonly Comment[];
  #keywords: ReadonlySet<string>;
  #cache = new Map<number, CachedTerm>();
  #index = 0;
  #kind: TokenKind = "eof";
  #errors: readonly ParseError[] = [];
  #hints: readonly string[] = [];
  #wildcards = 0;
  #depth = 0;
  /** `not` is the improved negation. */
  #notBodies: boolean;
  /** Only finding out whether a statement would parse with all keywords. */
  #guessing = false;

  constructor(source: Source, options: ParserOptions) {
    const { tokens, comments } = tokenize(source);
    this.#source = source;
    this.#options = options;
    this.#tokens = tokens;
    this.#comments = comments;
    const keywords = new Set<string>(BASE_KEYWORDS);
    if (options.version === "v1") for (const word of V1_KEYWORDS) keywords.add(word);
    this.#keywords = keywords;
    for (const word of options.futureKeywords) this.#addKeyword(word);
    this.#notBodies = options.futureKeywords.includes("not");
  }

  parse(): ParsedStatements {
    const statements: Statement[] = [];
    this.#enterToken(0);
    while (!this.#is("eof")) {
      this.#cache.clear();
      const before = statements.length;
      this.#statement(statements);
      if (statements.length === before) break;
    }
    return { statements, comments: this.#comments, errors: this.#errors.map((error) => this.#diagnostic(error)) };
  }

  #diagnostic(error: ParseError): Diagnostic {
    return {
      code: "rego_parse_error",
      message: error.message,
      at: error.at,
      details: caretDetails(this.#source.text, error.at.offset),
    };
  }

  #statement(statements: Statement[]): void {
    if (this.#is("package")) {
      const start = this.#save();
      const parsed = this.#package();
      if (parsed !== undefined) statements.push({ kind: "package", package: parsed });
      if (parsed !== undefined || this.#errors.length > 0) return;
      this.#restore(start);
    }
    if (this.#is("import")) {
      const start = this.#save();
      const parsed = this.#import();
      if (parsed !== undefined) {
        this.#activate(parsed);
        statements.push({ kind: "import", import: parsed });
      }
      if (parsed !== undefined || this.#errors.length > 0) return;
      this.#restore(start);
    }
    if (!this.#options.skipRules) {
      const start = this.#save();
      const rules = this.#rules();
      if (rules !== undefined) for (const rule of rules) statements.push({ kind: "rule", rule });
      if (rules !== undefined || this.#errors.length > 0) return;
      this.#restore(start);
    }
    const body = this.#query(true, "eof");
    if (body === undefined) return;
    const word = this.#is("identifier") && !this.#token.newline;
    statements.push({ kind: "body", body, next: word ? this.#text(this.#token) : undefined });
  }

  // --- The token stream -------------------------------------------------------------------------------------------

  get #token(): Token {
    return this.#tokens[this.#index] as Token;
  }

  /** End of the last token before the current one. */
  get #lastEnd(): number {
    return this.#index === 0 ? 0 : (this.#tokens[this.#index - 1] as Token).end;
  }

  #text(token: Token): string {
    return this.#source.text.slice(token.offset, token.end);
  }

  #enterToken(index: number): void {
    this.#index = index;
    const token = this.#tokens[index] as Token;
    this.#kind = token.kind;
    if (token.errors !== undefined) for (const message of token.errors) this.#error(this.#here(), message);
    else if (token.kind === "identifier") {
      const word = this.#text(token);
      if (this.#keywords.has(word)) this.#kind = word as Keyword;
    }
  }

  #is(kind: TokenKind): boolean {
    return this.#kind === kind;
  }

  /** Moves to the next token. */
  #advance(): void {
    if (this.#is("whitespace")) this.#enterToken(this.#index);
    else this.#enterToken(Math.min(this.#index + 1, this.#tokens.length - 1));
  }

  /** Moves to the next token, or before it if there is space in between: then the kind is `whitespace`. */
  #advanceToSpace(): void {
    const next = Math.min(this.#index + 1, this.#tokens.length - 1);
    const token = this.#tokens[next] as Token;
    if (token.adjacent) this.#enterToken(next);
    else {
      this.#index = next;
      this.#kind = "whitespace";
    }
  }

  /** The kind of what follows directly. */
  #peekAdjacent(): TokenKind {
    const next = this.#tokens[this.#index + 1];
    if (next === undefined) return "eof";
    return next.adjacent ? next.kind : "whitespace";
  }

  #save(): State {
    return {
      index: this.#index,
      kind: this.#kind,
      errors: this.#errors,
      hints: this.#hints,
      wildcards: this.#wildcards,
    };
  }

  #restore(state: State): void {
    this.#index = state.index;
    this.#kind = state.kind;
    this.#errors = state.errors;
    this.#hints = state.hints;
    this.#wildcards = state.wildcards;
  }

  #here(): Location {
    if (this.#is("whitespace")) return this.#spaceBefore();
    const { row, col, offset, end } = this.#token;
    return { source: this.#source, row, col, offset, end };
  }

  /** The space (or line end) before the current token: what a `.` with nothing after it is blamed on. */
  #spaceBefore(): Location {
    const text = this.#source.text;
    const token = this.#tokens[this.#index - 1] as Token;
    let offset = token.end;
    if (text[offset] === "#") {
      const lineEnd = text.indexOf("\n", offset);
      offset = lineEnd === -1 ? text.length : lineEnd;
    }
    if (text[offset] === "\n") return { source: this.#source, row: token.row + 1, col: 0, offset, end: offset + 1 };
    let col = token.col;
    for (const _ of text.slice(token.offset, offset)) col++;
    return { source: this.#source, row: token.row, col, offset, end: offset + 1 };
  }

  /** From a start to the end of the last token read. */
  #span(start: Location, end: number = this.#lastEnd): Location {
    return {
      source: start.source,
      row: start.row,
      col: start.col,
      offset: start.offset,
      end: Math.max(end, start.offset),
    };
  }

  // --- Errors -----------------------------------------------------------------------------------------------------

  #error(at: Location, reason: string): void {
    const hints = this.#hints;
    let message = reason;
    if (hints.length > 0) message += ` (${hints.length === 1 ? "hint" : "hints"}: ${hints.join(", ")})`;
    this.#errors = [...this.#errors, { message, at }];
    this.#hints = [];
  }

  #hint(text: string): void {
    this.#hints = [...this.#hints, text];
  }

  #illegal(note = ""): void {
    if (this.#is("illegal")) {
      this.#error(this.#here(), "illegal token");
      return;
    }
    const what = `unexpected ${displayName(this.#kind)} ${isKeywordKind(this.#kind) ? "keyword" : "token"}`;
    this.#error(this.#here(), note === "" ? what : `${what}: ${note}`);
  }

  #enter(levels = LINK): boolean {
    if (this.#depth + levels > MAX_DEPTH) {
      this.#error(this.#here(), "max parsing recursion depth exceeded");
      return false;
    }
    this.#depth += levels;
    return true;
  }

  // --- Keywords ---------------------------------------------------------------------------------------------------

  #addKeyword(word: string): void {
    const keywords = new Set(this.#keywords).add(word);
    if (word === "every") keywords.add("in");
    this.#keywords = keywords;
  }

  #isRefKeyword(kind: TokenKind): boolean {
    if (!this.#options.features.has("keywords_in_refs")) return false;
    const word = displayName(kind);
    return isReserved(word, this.#options.version) || this.#keywords.has(word);
  }

  /** Makes a keyword that starts a ref (`if.x`, `not["x"]`) an ordinary name. */
  #nameAhead(): boolean {
    if (!this.#isRefKeyword(this.#kind)) return false;
    const next = this.#peekAdjacent();
    if (next !== "." && next !== "[") return false;
    this.#kind = "identifier";
    return true;
  }

  #isNegation(): boolean {
    if (!this.#is("not")) return false;
    const next = this.#peekAdjacent();
    return next !== "." && next !== "[";
  }

  #atLogical(): boolean {
    return this.#is("and") || this.#is("or");
  }

  get #logicalActive(): boolean {
    return this.#keywords.has("and") || this.#keywords.has("or");
  }

  /** Answers whether a reading with every keyword active succeeds here; changes nothing. */
  #wouldParse(read: () => boolean): boolean {
    if (this.#guessing) return false;
    const state = this.#save();
    const { keywords, cache } = { keywords: this.#keywords, cache: this.#cache };
    this.#keywords = new Set([...keywords, ...ALL_FUTURE_KEYWORDS]);
    this.#cache = new Map();
    this.#guessing = true;
    const success = read();
    this.#guessing = false;
    this.#keywords = keywords;
    this.#cache = cache;
    this.#restore(state);
    return success;
  }

  // --- Package and imports ----------------------------------------------------------------------------------------

  /** Steps over `package` or `import`. Answers false where the word starts a ref or no path follows. */
  #pathAhead(): boolean {
    this.#advanceToSpace();
    if (this.#is(".") || this.#is("[")) return false;
    if (this.#is("whitespace")) this.#advance();
    if (!this.#is("identifier")) {
      if (!this.#isRefKeyword(this.#kind)) {
        this.#illegal();
        return false;
      }
      this.#kind = "identifier";
    }
    return true;
  }

  #package(): Package | undefined {
    const start = this.#here();
    if (!this.#pathAhead()) return undefined;
    const term = this.#term();
    if (term === undefined) {
      if (this.#errors.length === 0) this.#error(this.#here(), "expected path");
      return undefined;
    }
    const path = this.#packagePath(term);
    return path === undefined ? undefined : { path, at: this.#span(start) };
  }

  #packagePath(term: Term): RefTerm | undefined {
    if (term.kind === "var") return refTerm([varTerm("data", term.at), stringTerm(term.name, term.at)], term.at);
    if (term.kind !== "ref") {
      this.#illegal();
      return undefined;
    }
    const [head, ...rest] = term.terms as readonly [Term, ...Term[]];
    if (head.kind !== "var") {
      this.#error(head.at, `unexpected ${head.kind} token: expecting var`);
      return undefined;
    }
    const wrong = rest.find((part) => part.kind !== "string");
    if (wrong !== undefined) {
      this.#error(wrong.at, `unexpected ${wrong.kind} token: expecting string`);
      return undefined;
    }
    return refTerm([varTerm("data", head.at), stringTerm(head.name, head.at), ...rest], term.at);
  }

  #import(): Import | undefined {
    const start = this.#here();
    if (!this.#pathAhead()) return undefined;
    const path = this.#importPath();
    if (path === undefined) return undefined;
    const head = path.terms[0] as VarTerm;
    if (head.kind !== "var" || !IMPORT_ROOTS.has(head.name)) {
      this.#hint("if this is unexpected, try updating OPA");
      const got = termToText(head);
      this.#error(path.at, `unexpected import path, must begin with one of: {data, future, input, rego}, got: ${got}`);
      return undefined;
    }
    if (this.#is("as")) {
      this.#advance();
      const alias = this.#is("identifier") ? this.#term() : undefined;
      if (alias?.kind === "var") return { path, alias: alias.name, at: this.#span(start) };
      this.#illegal("expected var");
      return undefined;
    }
    const last = path.terms.at(-1) as VarTerm | StringTerm;
    const name = last.kind === "var" ? last.name : last.value;
    if ((path.terms.length === 1 || head.name !== "future") && isReserved(name, this.#options.version)) {
      this.#hint("import a different path or use an alias");
      this.#error(last.at, `unexpected import path, must not end with a keyword, got: ${name}`);
    }
    return { path, alias: undefined, at: this.#span(start) };
  }

  /** Importable words are plain names in an import's path: `import future.keywords.in` may be repeated. */
  #importPath(): RefTerm | undefined {
    const keywords = this.#keywords;
    const plain = new Set(keywords);
    for (const word of ALL_FUTURE_KEYWORDS) plain.delete(word);
    this.#keywords = plain;
    const term = this.#term();
    this.#keywords = keywords;
    if (term?.kind === "var") return refTerm([term], term.at);
    if (term?.kind !== "ref") {
      this.#error(this.#here(), "expected path");
      return undefined;
    }
    const wrong = term.terms.slice(1).find((part) => part.kind !== "string");
    if (wrong === undefined) return term;
    this.#error(wrong.at, `unexpected ${wrong.kind} token: expecting string`);
    return undefined;
  }

  #activate(parsed: Import): void {
    const head = (parsed.path.terms[0] as VarTerm).name;
    if (head === "rego") this.#activateRego(parsed);
    else if (head === "future") this.#activateFuture(parsed);
  }

  #activateFuture(parsed: Import): void {
    const words = parsed.path.terms.slice(1).map((term) => (term as StringTerm).value);
    const at = parsed.path.at;
    if (words[0] !== "keywords") {
      this.#error(at, "invalid import, must be `future.keywords`");
      return;
    }
    if (parsed.alias !== undefined) {
      this.#error(at, "`future` imports cannot be aliased");
      return;
    }
    const { allowedKeywords } = this.#options;
    let wanted = allowedKeywords;
    if (words.length === 2) {
      const word = words[1] as string;
      if (!allowedKeywords.includes(word)) {
        this.#error(at, `unexpected keyword, must be one of [${[...allowedKeywords].sort().join(" ")}]`);
        return;
      }
      wanted = [word];
    }
    for (const word of wanted) {
      if (word === "not") this.#notBodies = true;
      this.#addKeyword(word);
    }
  }

  #activateRego(parsed: Import): void {
    const { features, version } = this.#options;
    const at = parsed.path.at;
    if (!features.has("rego_v1_import") && !features.has("rego_v1")) {
      this.#error(at, "invalid import, `rego.v1` is not supported by current capabilities");
      return;
    }
    if (termToText(parsed.path) !== "rego.v1") {
      this.#error(at, `invalid import \`${termToText(parsed.path)}\`, must be \`rego.v1\``);
      return;
    }
    if (version === "v1") return;
    if (parsed.alias !== undefined) {
      this.#error(at, "`rego` imports cannot be aliased");
      return;
    }
    for (const word of V1_KEYWORDS) this.#addKeyword(word);
  }

  // --- Rules ------------------------------------------------------------------------------------------------------

  #rules(): readonly Rule[] | undefined {
    const start = this.#here();
    this.#nameAhead();
    let isDefault = false;
    if (this.#is("default")) {
      isDefault = true;
      this.#advance();
      this.#nameAhead();
    }
    if (!this.#is("identifier")) return undefined;
    const head = this.#head(isDefault);
    if (head === undefined) return undefined;
    if (isDefault) return this.#defaultRule(start, head);

    const hasIf = this.#is("if");
    const finished = this.#finishHead(head, hasIf);
    if (finished === undefined) return undefined;
    let body: Body | undefined;
    if (hasIf) {
      this.#advance();
      body = this.#ifBody();
    } else if (this.#is("{")) {
      body = this.#braced();
    } else if (finished.isSet && finished.keywords?.includes("contains") === true) {
      const at = finished.at;
      return [this.#rule(finished, at, { body: [this.#trueExpr(start)], generatedBody: true })];
    } else {
      return undefined;
    }
    if (body === undefined) return undefined;

    let otherwise: Rule | undefined;
    if (this.#is("else") && !this.#nameAhead()) {
      const terms = finished.reference.terms;
      if (terms.length > 1 && !isGroundTerm(finished.reference)) {
        this.#error(this.#here(), "else keyword cannot be used on rules with variables in head");
        return undefined;
      }
      if (finished.key !== undefined) {
        this.#error(this.#here(), "else keyword cannot be used on multi-value rules");
        return undefined;
      }
      otherwise = this.#else(finished);
      if (otherwise === undefined) return undefined;
    }
    const rules = [this.#rule(finished, this.#span(start), { body, else: otherwise })];
    while (this.#is("{")) {
      if (otherwise !== undefined) {
        this.#error(this.#here(), "expected else keyword");
        return undefined;
      }
      const brace = this.#here();
      const next = this.#braced();
      if (next === undefined) return undefined;
      const at = this.#span(brace);
      rules.push(this.#rule(relocateHead(this.#freshArgs(finished), at), at, { body: next }));
    }
    return rules;
  }

  #rule(
    head: Head,
    at: Location,
    parts: { body: Body; else?: Rule | undefined; generatedBody?: boolean; default?: boolean },
  ): Rule {
    return {
      head,
      body: parts.body,
      generatedBody: parts.generatedBody ?? false,
      default: parts.default ?? false,
      else: parts.else,
      annotations: [],
      at,
    };
  }

  #trueExpr(at: Location): Expr {
    return makeExpr(booleanTerm(true, at), { at });
  }

  #defaultRule(start: Location, head: Head): readonly Rule[] | undefined {
    const at = this.#span(start);
    if (head.value === undefined) {
      this.#error(start, "illegal default rule (must have a value)");
      return undefined;
    }
    let valid = true;
    const refuse = (reason: string): void => {
      valid = false;
      this.#error(start, `illegal default rule (${reason})`);
    };
    walkTerms(head.value, (term) => {
      if (term.kind.endsWith("comprehension")) return false;
      if (term.kind !== "ref" && term.kind !== "var" && term.kind !== "call") return true;
      refuse(`value cannot contain ${term.kind}`);
      return false;
    });
    if (!valid) return undefined;
    const seen = new Set<string>();
    for (const arg of head.args ?? []) {
      if (arg.kind !== "var") refuse(`arguments cannot contain ${arg.kind}`);
      else if (seen.has(arg.name)) refuse(`arguments cannot be repeated ${arg.name}`);
      else seen.add(arg.name);
    }
    if (!valid) return undefined;
    return [this.#rule(head, at, { body: [this.#trueExpr(start)], default: true })];
  }

  /** Decides what kind of rule a head of two elements is, now that it is known whether `if` follows. */
  #finishHead(head: Head, hasIf: boolean): Head | undefined {
    const contains = head.isSet;
    const terms = head.reference.terms;
    const keywords = [...(head.keywords ?? []), ...(hasIf ? (["if"] as const) : [])];
    if (contains || terms.length !== 2) return { ...head, keywords };
    const [name, key] = terms as readonly [Term, Term];
    const isFunction = head.args !== undefined;
    if (hasIf) {
      // `p[x] if …` is a single value at p[x], and keeps its key unless that is a constant.
      const keyed = !isFunction && (key.kind === "ref" || !isGroundTerm(key));
      if (head.value !== undefined) {
        if (name.kind !== "var") return undefined;
        return { ...head, name: name.name, key: keyed ? key : head.key, keywords };
      }
      return {
        ...head,
        key: keyed ? key : head.key,
        value: booleanTerm(true, head.at),
        generatedValue: true,
        keywords,
      };
    }
    if (isFunction) return { ...head, keywords };
    if (name.kind !== "var") return undefined;
    // Without `if`, v0 reads `p[x]` as a set, and `p[x] = y` as an object.
    if (head.value !== undefined) return { ...head, name: name.name, key, keywords };
    return { ...head, name: name.name, reference: refTerm([name], name.at), key, isSet: true, keywords };
  }

  #braced(): Body | undefined {
    this.#advance();
    const body = this.#body("}");
    if (body !== undefined) this.#advance();
    return body;
  }

  /** After `if`: one literal, or a body in braces. */
  #ifBody(): Body | undefined {
    const start = this.#save();
    const brace = this.#is("{");
    const literal = this.#literal();
    if (literal !== undefined) {
      // A set is never false or undefined, so `if { true }` can only be meant as a body.
      const isSet = brace && literal.form.kind === "term" && literal.form.term.kind === "set";
      if (!isSet) return [literal];
    }
    if (!brace) return undefined;
    this.#restore(start);
    return this.#braced();
  }

  #else(head: Head): Rule | undefined {
    if (!this.#enter()) return undefined;
    const rule = this.#elseBranch(head);
    this.#depth -= LINK;
    return rule;
  }

  #elseBranch(head: Head): Rule | undefined {
    const start = this.#here();
    let own: Head = { ...this.#freshArgs(head), generatedValue: false, keywords: [], at: start };
    this.#advance();
    switch (this.#kind) {
      case "{":
      case "if":
        own = { ...own, generatedValue: true, value: booleanTerm(true) };
        break;
      case "assign":
      case "eq": {
        const assign = this.#is("assign");
        this.#advance();
        const value = this.#infix();
        if (value === undefined) return undefined;
        own = { ...own, value, assign, at: this.#span(start) };
        break;
      }
      default:
        this.#illegal("expected else value term or rule body");
        return undefined;
    }
    const hasIf = this.#is("if");
    if (!hasIf && !this.#is("{")) {
      const at = this.#span(start);
      return this.#rule(own, at, { body: [this.#trueExpr(at)], generatedBody: true });
    }
    if (hasIf) {
      own = { ...own, keywords: ["if"] };
      this.#advance();
    }
    let body: Body | undefined;
    let relocate = false;
    if (this.#is("{")) {
      body = this.#braced();
    } else if (this.#is("eof")) {
      this.#illegal("rule body expected");
    } else {
      const literal = this.#literal();
      if (literal !== undefined) body = [literal];
      relocate = true;
    }
    if (body === undefined) return undefined;
    let otherwise: Rule | undefined;
    if (this.#is("else")) {
      const bodyEnd = this.#lastEnd;
      otherwise = this.#else(head);
      if (otherwise === undefined) return undefined;
      if (relocate) body = body.map((expr) => relocateExpr(expr, this.#span(start, bodyEnd)));
    } else if (relocate) {
      // OPA places all of a body without braces at its `else`.
      body = body.map((expr) => relocateExpr(expr, this.#span(start)));
    }
    return this.#rule(own, this.#span(start), { body, else: otherwise });
  }

  /** A copy of the head for another body: wildcards among the arguments are distinct variables in each. */
  #freshArgs(head: Head): Head {
    if (head.args === undefined) return head;
    return { ...head, args: head.args.map((arg) => (isWildcard(arg) ? this.#wildcard(arg.at) : arg)) };
  }

  #head(isDefault: boolean): Head | undefined {
    const start = this.#here();
    const term = this.#headRef(this.#variable());
    if (term === undefined) {
      this.#illegal("expected rule head name");
      return undefined;
    }
    let reference: RefTerm;
    let args: readonly Term[] | undefined;
    let called = false;
    if (term.kind === "var") reference = refTerm([term], term.at);
    else if (term.kind === "ref") reference = term;
    else if (term.kind === "call") {
      reference = term.operator;
      args = term.args.length > 0 ? term.args : undefined;
      called = true;
      if (reference.terms[0]?.kind !== "var") {
        this.#illegal(`rule head ref ${termToText(reference)} invalid`);
        return undefined;
      }
    } else return undefined;
    const first = reference.terms[0] as Term;
    // OPA's parser cannot read a head such as `f(x).y` either.
    if (first.kind !== "var") return undefined;

    const name = termToText(reference);
    const base: Head = {
      reference,
      args,
      key: undefined,
      value: undefined,
      assign: false,
      generatedValue: false,
      isSet: false,
      keywords: [],
      ...(reference.terms.length === 1 ? { name: first.name } : {}),
      at: start,
    };
    if (this.#is("contains")) return this.#containsHead(base, name, called);
    let value: Term | undefined;
    const assign = this.#is("assign");
    if (assign || this.#is("eq")) {
      this.#advance();
      value = this.#infix();
      if (value === undefined) this.#illegal(missingValue(name, assign, args, isDefault));
    }
    const at = this.#span(start);
    if (value !== undefined) return { ...base, value, assign, at };
    if (reference.terms.length === 2 && args === undefined) return { ...base, assign, at };
    return { ...base, assign, value: booleanTerm(true), generatedValue: true, at };
  }

  #containsHead(base: Head, name: string, called: boolean): Head {
    const start = base.at;
    if (called) {
      this.#illegal(
        `the contains keyword can only be used with multi-value rule definitions (e.g., ${name} contains <VALUE> { ... })`,
      );
    }
    this.#advance();
    const key = this.#infix();
    if (key === undefined) this.#illegal(`expected rule key term (e.g., ${name} contains <VALUE> { ... })`);
    return { ...base, key, isSet: true, keywords: ["contains"], at: this.#span(start) };
  }

  // --- Bodies and literals ----------------------------------------------------------------------------------------

  #body(end: TokenKind): Body | undefined {
    if (!this.#enter(NESTING)) return undefined;
    const body = this.#query(false, end);
    this.#depth -= NESTING;
    return body;
  }

  #query(requireSemicolon: boolean, end: TokenKind): Body | undefined {
    if (this.#is(end)) {
      this.#error(this.#here(), "found empty body");
      return undefined;
    }
    const body: Expr[] = [];
    for (;;) {
      const start = this.#save();
      const literal = this.#literal();
      if (literal === undefined) return undefined;
      body.push(literal.index === body.length ? literal : { ...literal, index: body.length });
      if (this.#is(";")) {
        this.#advance();
        continue;
      }
      if (this.#is(end) || requireSemicolon) return body;
      if (!this.#token.newline) {
        if (this.#errors.length === 0) {
          this.#hintMembership(start);
          this.#illegal(`expected \\n or ; or ${displayName(end)}`);
        }
        return undefined;
      }
    }
  }

  /** A literal that stops too early may be v0 that lacks an import. */
  #hintMembership(start: State): void {
    if (this.#options.version === "v1" || this.#hints.length > 0 || this.#keywords.has("in")) return;
    const stopped = this.#save();
    this.#restore(start);
    const would = this.#wouldParse(() => {
      const form = this.#literal()?.form;
      if (form?.kind !== "call" || this.#index <= stopped.index) return false;
      const operands = [
        operatorName(form.operator),
        ...form.args.map((arg) => arg.kind === "call" && operatorName(arg.operator)),
      ];
      return operands.some((name) => name === "internal.member_2" || name === "internal.member_3");
    });
    this.#restore(stopped);
    if (would) this.#hint("`import future.keywords.in` for `x in xs` expressions");
  }

  #literal(): Expr | undefined {
    const start = this.#here();
    const literal = this.#literalAt();
    if (literal === undefined) return undefined;
    const at = this.#span(start);
    const form = literal.form;
    if (form.kind === "not" && !form.explicit) {
      // The expression inside is reported where its `not` stands.
      return { ...literal, at, form: { ...form, body: form.body.map((inner) => ({ ...inner, at })) } };
    }
    return { ...literal, at };
  }

  #literalAt(): Expr | undefined {
    if (this.#is("{") && this.#logicalActive) {
      const leading = this.#leadingBody();
      if (leading !== undefined) return leading === "failed" ? undefined : leading;
    }
    if (this.#is("(") && this.#logicalActive) {
      const group = this.#group(false, "");
      if (group !== undefined) return group === "failed" ? undefined : this.#logicalTail(group);
    }
    if (this.#nameAhead()) return this.#literalExpr(undefined);
    let not: Location | undefined;
    if (this.#isNegation()) {
      not = this.#here();
      this.#advance();
    }
    if (not !== undefined && this.#notBodies && this.#is("{")) {
      const expr = this.#notBody(not);
      return expr && this.#logicalTail({ body: [expr], explicit: false, at: expr.at });
    }
    if (this.#is("some") || this.#is("every")) {
      if (not !== undefined) {
        this.#illegal(`illegal negation of '${this.#kind}'`);
        return undefined;
      }
      return this.#is("some") ? this.#some() : this.#every();
    }
    return this.#literalExpr(not);
  }

  /** `{ body } and …`: braces that open a literal are a body only if an operator follows them. */
  #leadingBody(): Expr | "failed" | undefined {
    const state = this.#save();
    const start = this.#here();
    const body = this.#braced();
    if (body !== undefined && this.#atLogical()) {
      if (isAmbiguousUnion(body)) {
        this.#errorAmbiguousUnion(start, body, "");
        return "failed";
      }
      return this.#withWiths(this.#orChain({ body, explicit: true, at: start })) ?? "failed";
    }
    this.#restore(state);
    return undefined;
  }

  #literalExpr(not: Location | undefined): Expr | undefined {
    const state = this.#save();
    const start = this.#here();
    if (not !== undefined && this.#notBodies && this.#is("(")) {
      const group = this.#group(true, "not ");
      if (group === "failed") return undefined;
      if (group !== undefined) {
        const expr = this.#notExpr(group.body, group.explicit, this.#span(not));
        return this.#logicalTail({ body: [expr], explicit: false, at: expr.at });
      }
    }
    let expr = this.#expr();
    if (expr === undefined) return undefined;
    let withAt: Location | undefined;
    if (this.#is("with")) {
      withAt = this.#here();
      const withs = this.#withs();
      if (withs === undefined) return undefined;
      expr = { ...expr, with: withs };
    }
    if (this.#options.version === "v0" && expr.form.kind === "term" && isVarNamed(expr.form.term, "every")) {
      const after = this.#save();
      this.#restore(state);
      const would = this.#wouldParse(() => this.#every() !== undefined);
      this.#restore(after);
      if (would) this.#hint("`import future.keywords.every` for `every x in xs { ... }` expressions");
    }
    if (not !== undefined && this.#notBodies) {
      const withs = expr.with;
      expr = { ...this.#notExpr([{ ...expr, with: [] }], false, this.#span(not)), with: withs };
    } else if (not !== undefined) {
      expr = { ...expr, negated: true };
    }
    if (!this.#atLogical()) return expr;
    if (withAt !== undefined) {
      this.#errorWithOnOperand(withAt);
      return undefined;
    }
    if (expr.form.kind !== "not") expr = { ...expr, at: this.#span(start) };
    if (not === undefined && this.#source.text[start.offset] === "{") {
      if (isEmptyObject(expr)) this.#error(expr.at, "found empty body");
      else this.#errorBraceLed(expr.at, this.#source.text.slice(expr.at.offset, expr.at.end), displayName(this.#kind));
      return undefined;
    }
    return this.#withWiths(this.#orChain({ body: [expr], explicit: false, at: expr.at }));
  }

  #notExpr(body: Body, explicit: boolean, at: Location): Expr {
    return makeExpr({ kind: "not", body, explicit, at }, { at });
  }

  #withs(): readonly With[] | undefined {
    const withs: With[] = [];
    do {
      const start = this.#here();
      this.#advance();
      if (!this.#is("identifier")) {
        this.#illegal("expected ident");
        return undefined;
      }
      const target = this.#term();
      if (target === undefined) return undefined;
      if (target.kind !== "ref" && target.kind !== "var") this.#illegal("expected with target path");
      if (!this.#is("as")) {
        this.#illegal("expected as keyword");
        return undefined;
      }
      this.#advance();
      const value = this.#infix();
      if (value === undefined) return undefined;
      withs.push({ target: target as RefTerm | VarTerm, value, at: this.#span(start) });
    } while (this.#is("with"));
    return withs;
  }

  /** Reads the `with` modifiers that follow a finished expression. */
  #withWiths(expr: Expr | undefined): Expr | undefined {
    if (expr === undefined || !this.#is("with")) return expr;
    const withs = this.#withs();
    return withs && { ...expr, with: withs };
  }

  #some(): Expr | undefined {
    const start = this.#here();
    const state = this.#save();
    this.#advance();
    const term = this.#infix();
    if (term?.kind === "call") return this.#someIn(start, term);
    this.#restore(state);

    let would = false;
    if (this.#options.version === "v0") {
      would = this.#wouldParse(() => {
        this.#advance();
        const guess = this.#infix();
        return guess?.kind === "call" && memberArity(guess) !== undefined;
      });
    }
    if (would) this.#hint("`import future.keywords.in` for `some x in xs` expressions");

    const symbols: Term[] = [];
    do {
      this.#advance();
      if (!this.#is("identifier")) {
        this.#illegal("expected var");
        return undefined;
      }
      symbols.push(this.#variable());
      this.#advance();
    } while (this.#is(","));
    const at = this.#span(start);
    return makeExpr({ kind: "some", symbols, at }, { at });
  }

  #someIn(start: Location, call: CallTerm): Expr | undefined {
    const arity = memberArity(call);
    if (arity === undefined) {
      this.#illegal("expected `x in xs` or `x, y in xs` expression");
      return undefined;
    }
    if (call.args.length !== arity) {
      this.#illegal("illegal domain");
      return undefined;
    }
    const at = this.#span(start);
    return this.#withWiths(makeExpr({ kind: "some", symbols: [call], at }, { at }));
  }

  #every(): Expr | undefined {
    const start = this.#here();
    this.#advance();
    const term = this.#infix();
    if (term === undefined) return undefined;
    const arity = term.kind === "call" ? memberArity(term) : undefined;
    if (term.kind !== "call" || arity === undefined) {
      this.#illegal("expected `x[, y] in xs { ... }` expression");
      return undefined;
    }
    if (term.args.length !== arity) {
      this.#illegal("illegal domain");
      return undefined;
    }
    const key = arity === 3 ? term.args[0] : undefined;
    const [value, domain] = term.args.slice(-2) as [Term, Term];
    if (key !== undefined && key.kind !== "var") {
      this.#illegal("expected key to be a variable");
      return undefined;
    }
    if (value.kind !== "var") {
      this.#illegal("expected value to be a variable");
      return undefined;
    }
    if (!this.#is("{")) {
      this.#illegal("missing body");
      return undefined;
    }
    const body = this.#braced();
    if (body === undefined) return undefined;
    const at = this.#span(start);
    return this.#withWiths(makeExpr({ kind: "every", key, value, domain, body, at }, { at }));
  }

  /** A term, infix call, or two of them joined by `:=` or `=`. */
  #expr(): Expr | undefined {
    const start = this.#here();
    const left = this.#infix();
    if (left === undefined) return undefined;
    if (this.#is("assign") || this.#is("eq")) {
      const operator = this.#operator();
      const right = this.#infix();
      if (right === undefined) return undefined;
      return makeExpr({ kind: "call", operator, args: [left, right] }, { at: this.#span(start) });
    }
    return makeExpr(formOf(left), { at: this.#span(start) });
  }

  // --- Logical operators ------------------------------------------------------------------------------------------

  #notBody(not: Location): Expr | undefined {
    const start = this.#here();
    const state = this.#save();
    this.#advance();
    const empty = this.#is("}");
    const body = this.#body("}");
    if (body === undefined) {
      if (!empty) {
        this.#explainValue(state, (term) => this.#errorNeedsBody(start, term));
      }
      return undefined;
    }
    this.#advance();
    if (isAmbiguousUnion(body)) {
      this.#errorAmbiguousUnion(start, body, "not ");
      return undefined;
    }
    return this.#notExpr(body, true, this.#span(not));
  }

  /** Braces that hold no body may hold a value: then the error says so. */
  #explainValue(braces: State, explain: (term: Term) => void): void {
    const failed = this.#save();
    this.#restore(braces);
    const term = this.#infix();
    if (term !== undefined) explain(term);
    else this.#restore(failed);
  }

  #orChain(first: Operand): Expr | undefined {
    const depth = this.#depth;
    if (!this.#enter()) return undefined;
    const expr = this.#orLinks(first);
    this.#depth = depth;
    return expr;
  }

  #orLinks(first: Operand): Expr | undefined {
    let left = first;
    if (this.#is("and")) {
      const chain = this.#andChain(left);
      if (chain === undefined) return undefined;
      left = chain;
    }
    while (this.#is("or")) {
      this.#advance();
      let right = this.#operand("or");
      if (right !== undefined && this.#is("and")) right = this.#andChain(right);
      if (right === undefined || !this.#enter()) return undefined;
      left = this.#joined("or", left, right);
    }
    return left.body[0];
  }

  #andChain(first: Operand): Operand | undefined {
    let left = first;
    while (this.#is("and")) {
      this.#advance();
      const right = this.#operand("and");
      if (right === undefined || !this.#enter()) return undefined;
      left = this.#joined("and", left, right);
    }
    return left;
  }

  #joined(operator: "and" | "or", left: Operand, right: Operand): Operand {
    for (const operand of [left, right]) this.#checkVoid(operand.body, operator);
    const at = this.#span(left.at);
    const form: ExprForm = {
      kind: "logical",
      operator,
      left: left.body,
      right: right.body,
      ...(left.explicit ? { explicitLeft: true } : {}),
      ...(right.explicit ? { explicitRight: true } : {}),
      at,
    };
    return { body: [makeExpr(form, { at })], explicit: false, at };
  }

  /** One operand; `operator` is empty while only trying. */
  #operand(operator: "and" | "or" | ""): Operand | undefined {
    const start = this.#here();
    if (this.#is("{")) return this.#bracedOperand(start, operator);
    let not: Location | undefined;
    if (this.#isNegation()) {
      not = start;
      this.#advance();
    }
    if (not !== undefined && this.#notBodies && this.#is("{")) {
      const expr = this.#notBody(not);
      return expr && { body: [expr], explicit: false, at: expr.at };
    }
    if (this.#is("(") && this.#logicalActive && (not === undefined || this.#notBodies)) {
      const group = this.#group(true, not === undefined ? "" : "not ");
      if (group === "failed") return undefined;
      if (group !== undefined) {
        if (not === undefined) return group;
        const at = this.#span(not);
        return { body: [this.#notExpr(group.body, group.explicit, at)], explicit: false, at };
      }
    }
    let expr = this.#expr();
    if (expr === undefined) return undefined;
    if (not !== undefined && this.#notBodies) expr = this.#notExpr([expr], false, this.#span(not));
    else if (not !== undefined) expr = { ...expr, negated: true };
    return { body: [expr], explicit: false, at: expr.at };
  }

  #bracedOperand(start: Location, operator: "and" | "or" | ""): Operand | undefined {
    const state = this.#save();
    this.#advance();
    const empty = this.#is("}");
    const body = this.#body("}");
    if (body === undefined) {
      if (!empty && operator !== "") {
        this.#explainValue(state, () => {
          this.#errorBraceLed(start, this.#source.text.slice(start.offset, this.#lastEnd), operator);
        });
      }
      return undefined;
    }
    this.#advance();
    if (isAmbiguousUnion(body)) this.#errorAmbiguousUnion(start, body, "");
    return { body, explicit: true, at: start };
  }

  /** Reads the operators that follow a complete operand, and the `with` of the whole. */
  #logicalTail(operand: Operand): Expr | undefined {
    return this.#withWiths(this.#atLogical() ? this.#orChain(operand) : operand.body[0]);
  }

  /** `( … )` around logical operands. Anything else in parentheses is a term, and is left to the term's reader. */
  #group(isOperand: boolean, prefix: string): Group {
    const depth = this.#depth;
    if (!this.#enter(NESTING)) return "failed";
    const group = this.#groupAt(isOperand, prefix);
    this.#depth = depth;
    return group;
  }

  #groupAt(isOperand: boolean, prefix: string): Group {
    const state = this.#save();
    const open = this.#here();
    this.#advance();
    if (this.#is(")")) {
      if (isOperand) {
        this.#error(open, "empty parenthesized group");
        return "failed";
      }
      this.#restore(state);
      return undefined;
    }
    const left = this.#operand("");
    if (left === undefined) {
      this.#restore(state);
      return undefined;
    }
    const close = (body: Body): Group => {
      if (!this.#is(")")) {
        this.#error(this.#here(), "expected ) to close parenthesized group");
        return "failed";
      }
      this.#advance();
      return { body, explicit: false, at: this.#span(open) };
    };
    if (this.#atLogical()) {
      const expr = this.#withWiths(this.#orChain(left));
      return expr === undefined ? "failed" : close([expr]);
    }
    const only = left.body.length === 1 ? left.body[0] : undefined;
    if (this.#is("with") && !left.explicit && only !== undefined) {
      const withAt = this.#here();
      const expr = this.#withWiths(only);
      if (expr === undefined) return "failed";
      if (this.#atLogical()) {
        this.#errorWithOnOperand(withAt);
        return "failed";
      }
      const group = close([expr]);
      if (group === "failed" || isOperand || this.#atLogical()) return group;
      this.#restore(state);
      return undefined;
    }
    if (left.explicit) {
      const braces = this.#source.text.slice(left.at.offset, this.#lastEnd);
      this.#restore(state);
      this.#advance();
      const value = this.#term();
      this.#restore(state);
      if (value !== undefined) return undefined;
      this.#hint(`drop the parens to keep the body: \`${prefix}${braces}\``);
      this.#error(open, "`(...)` in an operand position cannot contain a body");
      return "failed";
    }
    if (only !== undefined && (only.form.kind === "logical" || only.form.kind === "not" || only.negated)) {
      return close(left.body);
    }
    this.#restore(state);
    return undefined;
  }

  #errorWithOnOperand(at: Location): void {
    const keyword = displayName(this.#kind);
    this.#hint(
      `Wrap the operand in \`(...)\` or \`{...}\` to scope, or move \`with\` after the \`${keyword}\` expression to apply it to the whole expression`,
    );
    this.#error(at, `\`with\` modifier is not allowed on operand of \`${keyword}\``);
  }

  #errorBraceLed(at: Location, operand: string, operator: string): void {
    this.#hint(`wrap the operand to keep the value: \`(${operand}) ${operator} ...\``);
    this.#error(at, `operand of \`${operator}\` cannot begin with \`{\` unless the braces hold a body`);
  }

  #errorNeedsBody(braces: Location, term: Term): void {
    const operand = this.#source.text.slice(braces.offset, this.#lastEnd);
    this.#hint(`write \`not (${operand})\` to negate the value, or \`not {${operand}}\` for a body holding it`);
    this.#error(
      braces,
      `\`{...}\` in an operand position must contain expression(s), got: ${braceLedValue(term).kind}`,
    );
  }

  #errorAmbiguousUnion(braces: Location, body: Body, prefix: string): void {
    const text = this.#source.text;
    const all = text.slice(braces.offset, this.#lastEnd);
    const first = (body[0] as Expr).at;
    const union = `${text.slice(braces.offset, first.offset)}(${text.slice(first.offset, first.end)})${text.slice(first.end, this.#lastEnd)}`;
    this.#hint(`write \`${prefix}(${all})\` for the comprehension, or \`${prefix}${union}\` for the set union`);
    this.#error(
      braces,
      "ambiguous `{ ... | ... }` operand: read as a body holding a set-union expression, not as a comprehension",
    );
  }

  #checkVoid(body: Body, operator: string): void {
    let found: { name: string; at: Location } | undefined;
    for (const expr of body) {
      if (expr.negated || expr.form.kind !== "call") return;
      const name = operatorName(expr.form.operator);
      if (name === undefined || !VOID_BUILTINS.has(name)) return;
      found ??= { name, at: expr.at };
    }
    if (found === undefined) return;
    this.#hint(
      `\`${found.name}\` produces no value and always succeeds, so the operand can never fail; move it out of the operand, or add an expression that can fail`,
    );
    this.#error(found.at, `operand of \`${operator}\` cannot consist only of calls to \`${found.name}\``);
  }

  // --- Infix ------------------------------------------------------------------------------------------------------

  /** An infix term, in a place where `key, value in collection` is possible. */
  #infix(): Term | undefined {
    return this.#membership(true);
  }

  /** An infix term in a list, where a comma separates the items. */
  #item(): Term | undefined {
    return this.#membership(false);
  }

  #membership(keyed: boolean): Term | undefined {
    const depth = this.#depth;
    const term = this.#memberships(keyed);
    this.#depth = depth;
    return term;
  }

  #memberships(keyed: boolean): Term | undefined {
    const start = this.#here();
    let left = this.#binary(1);
    if (left === undefined) return undefined;
    if (keyed && this.#is(",")) {
      const state = this.#save();
      const pair = this.#keyedMembership(start, left);
      if (pair === undefined) this.#restore(state);
      else if (!this.#is("in")) return pair;
      else left = pair;
    }
    this.#nameAhead();
    while (this.#is("in")) {
      const operator = this.#memberOperator("member_2");
      const right = this.#binary(1);
      if (right === undefined || !this.#enter()) return left;
      left = this.#call(operator, [left, right], start);
    }
    return left;
  }

  #keyedMembership(start: Location, key: Term): Term | undefined {
    this.#advance();
    const value = this.#binary(1);
    if (value === undefined || !this.#is("in")) return undefined;
    const operator = this.#memberOperator("member_3");
    const collection = this.#binary(1);
    return collection && this.#call(operator, [key, value, collection], start);
  }

  /** Operators of one level associate to the left, comparisons too. */
  #binary(loosest: number): Term | undefined {
    const start = this.#here();
    let left = this.#term();
    if (left === undefined) return undefined;
    let limit = TIGHTEST;
    let links = 0;
    for (;;) {
      const level = INFIX_LEVEL.get(this.#kind);
      if (level === undefined || level < loosest || level > limit || !this.#enter()) break;
      links++;
      const operator = this.#operator();
      const right = level === TIGHTEST ? this.#term() : this.#binary(level + 1);
      // A missing right operand has been reported; what stands there may still continue a looser operator.
      if (right === undefined) limit = level - 1;
      else {
        left = this.#call(operator, [left, right], start);
        limit = level;
      }
    }
    this.#depth -= links * LINK;
    return left;
  }

  /** Reported where the left operand stands (inside of any parentheses), spanning all of the text. */
  #call(operator: RefTerm, args: readonly [Term, ...Term[]], start: Location): CallTerm {
    const { row, col } = args[0].at;
    return callTerm(operator, args, { source: this.#source, row, col, offset: start.offset, end: this.#lastEnd });
  }

  #operator(): RefTerm {
    const at = this.#here();
    const name = displayName(this.#kind);
    this.#advance();
    return refTerm([varTerm(name, at)], at);
  }

  #memberOperator(name: "member_2" | "member_3"): RefTerm {
    const at = this.#here();
    this.#advance();
    return refTerm([varTerm("internal", at), stringTerm(name, at)], at);
  }

  // --- Terms ------------------------------------------------------------------------------------------------------

  #term(): Term | undefined {
    const index = this.#index;
    const kindBefore = this.#kind;
    const wildcardsBefore = this.#wildcards;
    const cached = this.#cache.get(index);
    if (cached?.kindBefore === kindBefore && cached.wildcardsBefore === wildcardsBefore) {
      const { index: next, kind, wildcards } = cached.after;
      this.#index = next;
      this.#kind = kind;
      this.#wildcards = wildcards;
      const unknown = cached.newErrors.filter((error) => !this.#errors.includes(error));
      if (unknown.length > 0) this.#errors = [...this.#errors, ...unknown];
      return cached.term;
    }
    if (!this.#enter(NESTING)) return undefined;
    const errorsBefore = this.#errors.length;
    const term = this.#uncachedTerm();
    this.#depth -= NESTING;
    const newErrors = this.#errors.slice(errorsBefore);
    this.#cache.set(index, { term, after: this.#save(), kindBefore, wildcardsBefore, newErrors });
    return term;
  }

  #uncachedTerm(): Term | undefined {
    const at = this.#here();
    // `and(x, y)` and `or(x, y)` are the functions behind `&` and `|`.
    if (this.#atLogical() && this.#peekAdjacent() === "(") this.#kind = "identifier";
    switch (this.#kind) {
      case "null":
        return this.#suffixes({ kind: "null", at });
      case "true":
      case "false":
        return this.#suffixes(booleanTerm(this.#is("true"), at));
      case "minus":
        return this.#negative(at);
      case ".":
      case "number":
        return this.#suffixes(this.#number());
      case "string":
        return this.#suffixes(this.#string());
      case "template-string-part":
      case "template-string-end":
        return this.#suffixes(this.#template(false));
      case "raw-template-string-part":
      case "raw-template-string-end":
        return this.#suffixes(this.#template(true));
      case "identifier":
      case "contains":
        return this.#suffixes(this.#variable());
      case "[":
        return this.#suffixes(this.#array());
      case "{":
        return this.#suffixes(this.#setOrObject());
      case "(":
        return this.#suffixes(this.#parenthesized(at));
      default:
        this.#illegal();
        return undefined;
    }
  }

  /** `-x` on a reference is `0 - x`; on a number it is part of the literal. */
  #negative(at: Location): Term | undefined {
    const state = this.#save();
    this.#advance();
    if (this.#is("identifier") || this.#is("contains")) {
      const term = this.#suffixes(this.#variable());
      if (term === undefined) return undefined;
      const operator = refTerm([varTerm("minus")]);
      return callTerm(operator, [numberTerm(0, at), term], this.#span(at));
    }
    this.#restore(state);
    return this.#suffixes(this.#number());
  }

  #parenthesized(open: Location): Term | undefined {
    this.#advance();
    const term = this.#infix();
    if (term === undefined) return undefined;
    if (!this.#is(")")) {
      this.#error(this.#here(), "non-terminated expression");
      return undefined;
    }
    return { ...term, at: { ...term.at, offset: open.offset, end: this.#token.end } };
  }

  /** Steps over the last token of `head` and reads the `.x`, `[x]` and `(x)` that follow directly. */
  #suffixes(head: Term | undefined): Term | undefined {
    if (head === undefined) return undefined;
    this.#advanceToSpace();
    switch (this.#kind) {
      case "(":
      case ".":
      case "[":
        return this.#ref(head);
      case "whitespace":
        this.#advance();
        break;
      default:
    }
    return rootOrSelf(head);
  }

  /** As `#suffixes`; the name of a rule may be apart from what follows it. */
  #headRef(head: VarTerm): Term | undefined {
    this.#advanceToSpace();
    if (INFIX_LEVEL.has(this.#kind)) this.#illegal();
    if (this.#is("whitespace")) this.#advance();
    if (this.#is("(") || this.#is(".") || this.#is("[")) return this.#ref(head);
    return rootOrSelf(head);
  }

  #ref(first: Term): Term | undefined {
    const depth = this.#depth;
    let head = first;
    for (;;) {
      if (!this.#enter()) break;
      const result = this.#refPath(head);
      if (result === undefined) break;
      if (result.kind !== "ref" && (this.#is(".") || this.#is("["))) {
        head = result;
        continue;
      }
      if (this.#is("whitespace")) this.#advance();
      this.#depth = depth;
      return result;
    }
    this.#depth = depth;
    return undefined;
  }

  /** One head and its path, up to and including the first call. */
  #refPath(head: Term): Term | undefined {
    if (!REF_HEADS.has(head.kind)) this.#error(head.at, `illegal ref (head cannot be ${head.kind})`);
    const terms: Term[] = [head];
    for (;;) {
      switch (this.#kind) {
        case ".":
          this.#advanceToSpace();
          if (!this.#is("identifier") && !this.#isRefKeyword(this.#kind)) {
            this.#illegal("expected identifier");
            return undefined;
          }
          terms.push(stringTerm(this.#word(), this.#here()));
          this.#advanceToSpace();
          break;
        case "[": {
          this.#advance();
          const term = this.#infix();
          if (term === undefined) return undefined;
          if (!this.#is("]")) {
            this.#illegal("expected [");
            return undefined;
          }
          terms.push(term);
          this.#advanceToSpace();
          break;
        }
        case "(":
          return this.#callSuffix(refTerm(terms, this.#span(head.at)));
        default:
          return refTerm(terms, this.#span(head.at));
      }
    }
  }

  #callSuffix(operator: RefTerm): Term | undefined {
    this.#advance();
    const args = this.#list(")", []);
    if (args === undefined) return undefined;
    const at: Location = { ...operator.at, end: this.#token.end };
    this.#advanceToSpace();
    if (args.length === 0 && operatorName(operator) === "set") return setTerm([], at);
    return callTerm(operator, args, at);
  }

  #number(): Term | undefined {
    const at = this.#here();
    let prefix = "";
    if (this.#is("minus")) {
      prefix = "-";
      this.#advance();
      if (!this.#is("number") && !this.#is(".")) {
        this.#illegal("expected number");
        return undefined;
      }
    }
    if (this.#is(".")) {
      prefix += ".";
      this.#advance();
      if (!this.#is("number")) {
        this.#illegal("expected number");
        return undefined;
      }
    }
    const digits = this.#text(this.#token);
    if (!prefix.endsWith(".") && /^0(?!$|\.|[eE].)/.test(digits)) {
      this.#illegal("expected number without leading zero");
      return undefined;
    }
    const text = prefix + digits;
    // OPA reads `.1.5` as far as Go's number reader does, which is not at all.
    if (prefix.endsWith(".") && digits.includes(".")) {
      this.#illegal("invalid float");
      return undefined;
    }
    const { exponent, bits } = magnitude(text);
    // Go's reader of numbers knows 32 bits of exponent.
    if (Math.abs(exponent) >= 2 ** 31) {
      this.#illegal("invalid float");
      return undefined;
    }
    if (text.length > MAX_NUMBER_LENGTH || Math.abs(bits) > MAX_NUMBER_BITS) {
      this.#error(this.#here(), "number too big");
      return undefined;
    }
    return numberTerm(parseNumber(text), this.#span(at, this.#token.end));
  }

  #string(): Term | undefined {
    const at = this.#here();
    const literal = this.#text(this.#token);
    const inner = literal.slice(1, -1);
    if (literal.startsWith("`")) return { kind: "string", value: inner, raw: true, at };
    const value = unescapeJson(inner);
    if (value !== undefined) return stringTerm(value, at);
    this.#error(at, `illegal string literal: ${literal}`);
    return undefined;
  }

  #template(raw: boolean): Term | undefined {
    const start = this.#here();
    if (!this.#options.features.has("template_strings")) {
      this.#error(start, "template strings are not supported by current capabilities");
      return undefined;
    }
    const parts: (StringTerm | Expr)[] = [];
    for (;;) {
      const { part, comments } = this.#token;
      if (part === undefined) {
        this.#error(this.#here(), `illegal template-string part: ${this.#text(this.#token)}`);
        return undefined;
      }
      if (part !== "") parts.push(stringTerm(part, this.#here()));
      if (this.#is("template-string-end") || this.#is("raw-template-string-end")) break;
      this.#advance();
      const commented = this.#token.comments !== comments;
      const literal = this.#literal();
      if (literal === undefined) {
        this.#error(this.#here(), "invalid template-string expression");
        return undefined;
      }
      const refused = refusedInTemplate(literal);
      if (refused !== undefined) {
        this.#error(literal.at, `unexpected ${refused} in template-string expression`);
        return undefined;
      }
      const { form } = literal;
      parts.push(form.kind === "term" && form.term.kind === "string" && !commented ? form.term : literal);
      if (!this.#is("}")) {
        this.#error(this.#here(), "expected } to end template string expression");
        return undefined;
      }
      this.#advance();
    }
    return { kind: "templatestring", parts, multiline: raw, at: this.#span(start, this.#token.end) };
  }

  /** The current name. An imported `and` makes even `&` a name, one without letters. */
  #word(): string {
    return this.#token.kind === "identifier" ? this.#text(this.#token) : "";
  }

  #variable(): VarTerm {
    const at = this.#here();
    const name = this.#word();
    return name === "_" ? this.#wildcard(at) : varTerm(name, at);
  }

  #wildcard(at: Location): VarTerm {
    return varTerm(`$${this.#wildcards++}`, at);
  }

  // --- Collections ------------------------------------------------------------------------------------------------

  /** Items up to `end`, which becomes the current token. A last comma is allowed. */
  #list(end: TokenKind, first: readonly Term[]): readonly Term[] | undefined {
    const items = [...first];
    while (!this.#is(end)) {
      const item = this.#item();
      if (item === undefined) return undefined;
      items.push(item);
      if (this.#is(",")) this.#advance();
      else if (!this.#is(end)) {
        this.#illegal(`expected "," or "${end}"`);
        return undefined;
      }
    }
    return items;
  }

  #array(): Term | undefined {
    const start = this.#here();
    const at = (): Location => this.#span(start, this.#token.end);
    this.#advance();
    if (this.#is("]")) return { kind: "array", items: [], at: at() };
    const comprehension = !this.#leadingComma();
    const state = this.#save();
    // Only a term without infix: `[x | y]` is a comprehension before it is an array of one union.
    const head = this.#term();
    if (head === undefined) return undefined;
    if (this.#is("]")) return { kind: "array", items: [head], at: at() };
    let first: readonly Term[] = [];
    if (this.#is(",")) {
      first = [head];
      this.#advance();
    } else {
      if (this.#is("|") && comprehension) {
        this.#advance();
        const body = this.#body("]");
        if (body !== undefined) return { kind: "arraycomprehension", term: head, body, at: at() };
        if (!this.#is(",")) return undefined;
      }
      this.#restore(state);
    }
    const items = this.#list("]", first);
    return items && { kind: "array", items, at: at() };
  }

  /** OPA tolerates `[, x]`. */
  #leadingComma(): boolean {
    if (!this.#is(",")) return false;
    this.#advance();
    return true;
  }

  #setOrObject(): Term | undefined {
    const start = this.#here();
    this.#advance();
    if (this.#is("}")) return objectTerm([], this.#span(start, this.#token.end));
    const comprehension = !this.#leadingComma();
    const state = this.#save();
    const head = this.#term();
    if (head === undefined) return undefined;
    switch (this.#kind) {
      case "|":
        if (comprehension) return this.#setOrComprehension(start, state, head);
        break;
      case "}":
      case ",":
        return this.#set(start, head);
      case ":":
        return this.#object(start, head, comprehension);
      default:
    }
    this.#restore(state);
    const item = this.#item();
    if (item === undefined) return undefined;
    if (this.#is("}") || this.#is(",")) return this.#set(start, item);
    if (this.#is(":")) return this.#object(start, item, comprehension);
    this.#illegal("non-terminated set");
    return undefined;
  }

  #set(start: Location, first: Term): Term | undefined {
    if (this.#is(",")) this.#advance();
    const items = this.#list("}", [first]);
    return items && setTerm(distinctItems(items), this.#span(start, this.#token.end));
  }

  #setOrComprehension(start: Location, items: State, head: Term): Term | undefined {
    this.#advance();
    const body = this.#body("}");
    if (body !== undefined) {
      return { kind: "setcomprehension", term: head, body, at: this.#span(start, this.#token.end) };
    }
    if (!this.#is(",")) return undefined;
    this.#restore(items);
    const terms = this.#list("}", []);
    return terms && setTerm(distinctItems(terms), this.#span(start, this.#token.end));
  }

  #object(start: Location, key: Term, comprehension: boolean): Term | undefined {
    this.#advance();
    const state = this.#save();
    const value = this.#term();
    if (value === undefined) return undefined;
    let relation = true;
    if (comprehension) {
      if (this.#is("}") || this.#is(",")) relation = false;
      if (!relation || this.#is("|")) {
        const term = this.#objectRest(start, key, value, true);
        if (term !== undefined) return term;
      }
    }
    this.#restore(state);
    if (relation) {
      const item = this.#item();
      if (item === undefined) return undefined;
      if (this.#is("}") || this.#is(",")) return this.#objectRest(start, key, item, false);
    }
    this.#illegal("non-terminated object");
    return undefined;
  }

  #objectRest(start: Location, key: Term, value: Term, comprehension: boolean): Term | undefined {
    if (this.#is("|")) {
      if (!comprehension) return undefined;
      this.#advance();
      const body = this.#body("}");
      return body && { kind: "objectcomprehension", key, value, body, at: this.#span(start, this.#token.end) };
    }
    const entries: (readonly [Term, Term])[] = [[key, value]];
    if (this.#is(",")) this.#advance();
    while (!this.#is("}")) {
      const nextKey = this.#item();
      if (nextKey === undefined) return undefined;
      if (!this.#is(":")) {
        this.#illegal('expected ":"');
        return undefined;
      }
      this.#advance();
      const nextValue = this.#item();
      if (nextValue === undefined) return undefined;
      entries.push([nextKey, nextValue]);
      if (this.#is(",")) this.#advance();
      else if (!this.#is("}")) {
        this.#illegal('expected "," or "}"');
        return undefined;
      }
    }
    return objectTerm(distinctEntries(entries), this.#span(start, this.#token.end));
  }
}

/** `input` and `data` are references even when nothing follows them. */
function rootOrSelf(head: Term): Term {
  return head.kind === "var" && (head.name === "input" || head.name === "data") ? refTerm([head], head.at) : head;
}

function missingValue(name: string, assign: boolean, args: readonly Term[] | undefined, isDefault: boolean): string {
  if (!assign) return `expected rule value term (e.g., ${name}[<nil>] = <VALUE> { ... })`;
  if (args !== undefined && args.length > 0) {
    return `expected function value term (e.g., ${name}(...) := <VALUE> { ... })`;
  }
  if (isDefault) return `expected default rule value term (e.g., default ${name} := <VALUE>)`;
  return `expected rule value term (e.g., ${name} := <VALUE> { ... })`;
}

function isVarNamed(term: Term, name: string): boolean {
  return term.kind === "var" && term.name === name;
}

/** The number of operands of `in`, or undefined for other calls. */
function memberArity(call: CallTerm): 2 | 3 | undefined {
  const name = operatorName(call.operator);
  if (name === "internal.member_2") return 2;
  return name === "internal.member_3" ? 3 : undefined;
}

function isEmptyObject(expr: Expr): boolean {
  return (
    expr.with.length === 0 &&
    expr.form.kind === "term" &&
    expr.form.term.kind === "object" &&
    expr.form.term.entries.length === 0
  );
}

/** `{ a | b }` as an operand: a body holding a union, or a comprehension? */
function isAmbiguousUnion(body: Body): boolean {
  const first = body[0];
  if (first === undefined || first.form.kind !== "call" || operatorName(first.form.operator) !== "or") return false;
  const { text } = first.at.source;
  return text[first.form.operator.at.offset] === "|" && text[first.at.offset] !== "(";
}

/** The value that the leading brace of an infix expression opens. */
function braceLedValue(term: Term): Term {
  let value = term;
  while (value.kind === "call" && isBuiltinInfix(operatorName(value.operator), value.args.length)) {
    value = value.args[0] as Term;
  }
  return value;
}

function refusedInTemplate(literal: Expr): string | undefined {
  if (literal.negated) return "negation ('not')";
  const { form } = literal;
  if (form.kind === "every" || form.kind === "some") return `'${form.kind}'`;
  if (form.kind !== "call") return undefined;
  const name = operatorName(form.operator);
  if (name === "eq") return "unification ('=')";
  return name === "assign" ? "assignment (':=')" : undefined;
}

/** The binary exponent of a literal. OPA limits it, since larger numbers cost more than linear time to print. */
function magnitude(text: string): { readonly exponent: number; readonly bits: number } {
  const match = /^-?(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text);
  const whole = match?.[1] ?? "";
  const digits = `${whole}${match?.[2] ?? ""}`;
  const leading = digits.search(/[1-9]/);
  if (leading === -1) return { exponent: 0, bits: 0 };
  const exponent = Number(match?.[3] ?? "0");
  const mantissa = Number(`0.${digits.slice(leading, leading + 17)}`);
  const bits = Math.floor(Math.log2(mantissa) + (whole.length - leading + exponent) * Math.log2(10)) + 1;
  return { exponent, bits };
}

/** Every keyword an import may activate when capabilities do not say otherwise. */
export const DEFAULT_ALLOWED_KEYWORDS: readonly string[] = [...V1_KEYWORDS, ...FUTURE_KEYWORDS];
