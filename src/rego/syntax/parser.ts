import type { Location, Steps } from "../../base/index.ts";
import type {
  Body,
  Comment,
  Diagnostic,
  Expr,
  Head,
  Import,
  Package,
  RefTerm,
  Rule,
  StringTerm,
  Term,
  VarTerm,
} from "./ast.ts";
import { booleanTerm, expr as makeExpr, isWildcard, refTerm, stringTerm, varTerm } from "./construct.ts";
import { caretDetails } from "./details.ts";
import { LiteralParser } from "./literal-parser.ts";
import { termToText } from "./text.ts";
import { LINK, type ParseError } from "./token-stream.ts";
import { ALL_FUTURE_KEYWORDS, FUTURE_KEYWORDS, isReserved, V1_KEYWORDS } from "./tokens.ts";
import { isGroundTerm, relocateExpr, relocateHead, walkTerms } from "./traverse.ts";

/** Longest text a parser takes, in UTF-16 units. */
export const MAX_SOURCE_LENGTH = 32 * 1024 * 1024;

/** Language features that capabilities may switch off. */
export type Feature = "rego_v1" | "rego_v1_import" | "keywords_in_refs" | "template_strings";

/** What OPA's own capabilities hold for each language. */
export const DEFAULT_FEATURES: Readonly<Record<"v0" | "v1", readonly Feature[]>> = {
  v0: ["rego_v1", "rego_v1_import", "keywords_in_refs"],
  v1: ["rego_v1", "keywords_in_refs", "template_strings"],
};

/** Every keyword an import may activate when capabilities do not say otherwise. */
export const DEFAULT_ALLOWED_KEYWORDS: readonly string[] = [...V1_KEYWORDS, ...FUTURE_KEYWORDS];

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

const IMPORT_ROOTS: ReadonlySet<string> = new Set(["data", "input", "future", "rego"]);

/**
 * Recursive descent with backtracking. Statements are tried as package, import, rule, then query; after `if` a literal
 * goes before a body. The order decides which error is reported, so it is OPA's (v1/ast/parser.go).
 */
export class Parser extends LiteralParser {
  *parse(): Steps<ParsedStatements> {
    const statements: Statement[] = [];
    this.enterToken(0);
    while (!this.is("eof")) {
      this.cache.clear();
      const before = statements.length;
      this.statement(statements);
      if (statements.length === before) break;
      yield;
    }
    return { statements, comments: this.comments, errors: this.errors.map((error) => this.diagnostic(error)) };
  }

  protected diagnostic(error: ParseError): Diagnostic {
    return {
      code: "rego_parse_error",
      message: error.message,
      at: error.at,
      ...caretDetails(this.source.text, error.at.offset),
    };
  }

  protected statement(statements: Statement[]): void {
    if (this.is("package")) {
      const start = this.save();
      const parsed = this.package();
      if (parsed !== undefined) statements.push({ kind: "package", package: parsed });
      if (parsed !== undefined || this.errors.length > 0) return;
      this.restore(start);
    }
    if (this.is("import")) {
      const start = this.save();
      const parsed = this.import();
      if (parsed !== undefined) {
        this.activate(parsed);
        statements.push({ kind: "import", import: parsed });
      }
      if (parsed !== undefined || this.errors.length > 0) return;
      this.restore(start);
    }
    if (!this.options.skipRules) {
      const start = this.save();
      const rules = this.rules();
      if (rules !== undefined) for (const rule of rules) statements.push({ kind: "rule", rule });
      if (rules !== undefined || this.errors.length > 0) return;
      this.restore(start);
    }
    const body = this.query(true, "eof");
    if (body === undefined) return;
    const word = this.is("identifier") && !this.token.newline;
    statements.push({ kind: "body", body, next: word ? this.text(this.token) : undefined });
  }
  /** Steps over `package` or `import`. Answers false where the word starts a ref or no path follows. */
  protected pathAhead(): boolean {
    this.advanceToSpace();
    if (this.is(".") || this.is("[")) return false;
    if (this.is("whitespace")) this.advance();
    if (!this.is("identifier")) {
      if (!this.isRefKeyword(this.kind)) {
        this.illegal();
        return false;
      }
      this.kind = "identifier";
    }
    return true;
  }

  protected package(): Package | undefined {
    const start = this.here();
    if (!this.pathAhead()) return undefined;
    const term = this.term();
    if (term === undefined) {
      if (this.errors.length === 0) this.error(this.here(), "expected path");
      return undefined;
    }
    const path = this.packagePath(term);
    return path === undefined ? undefined : { path, at: this.span(start) };
  }

  protected packagePath(term: Term): RefTerm | undefined {
    if (term.kind === "var") return refTerm([varTerm("data", term.at), stringTerm(term.name, term.at)], term.at);
    if (term.kind !== "ref") {
      this.illegal();
      return undefined;
    }
    const [head, ...rest] = term.terms as readonly [Term, ...Term[]];
    if (head.kind !== "var") {
      this.error(head.at, `unexpected ${head.kind} token: expecting var`);
      return undefined;
    }
    const wrong = rest.find((part) => part.kind !== "string");
    if (wrong !== undefined) {
      this.error(wrong.at, `unexpected ${wrong.kind} token: expecting string`);
      return undefined;
    }
    return refTerm([varTerm("data", head.at), stringTerm(head.name, head.at), ...rest], term.at);
  }

  protected import(): Import | undefined {
    const start = this.here();
    if (!this.pathAhead()) return undefined;
    const path = this.importPath();
    if (path === undefined) return undefined;
    const head = path.terms[0] as VarTerm;
    if (head.kind !== "var" || !IMPORT_ROOTS.has(head.name)) {
      this.hint("if this is unexpected, try updating OPA");
      const got = termToText(head);
      this.error(path.at, `unexpected import path, must begin with one of: {data, future, input, rego}, got: ${got}`);
      return undefined;
    }
    if (this.is("as")) {
      this.advance();
      const alias = this.is("identifier") ? this.term() : undefined;
      if (alias?.kind === "var") return { path, alias: alias.name, at: this.span(start) };
      this.illegal("expected var");
      return undefined;
    }
    const last = path.terms.at(-1) as VarTerm | StringTerm;
    const name = last.kind === "var" ? last.name : last.value;
    if ((path.terms.length === 1 || head.name !== "future") && isReserved(name, this.options.version)) {
      this.hint("import a different path or use an alias");
      this.error(last.at, `unexpected import path, must not end with a keyword, got: ${name}`);
    }
    return { path, alias: undefined, at: this.span(start) };
  }

  /** Importable words are plain names in an import's path: `import future.keywords.in` may be repeated. */
  protected importPath(): RefTerm | undefined {
    const keywords = this.keywords;
    const plain = new Set(keywords);
    for (const word of ALL_FUTURE_KEYWORDS) plain.delete(word);
    this.keywords = plain;
    const term = this.term();
    this.keywords = keywords;
    if (term?.kind === "var") return refTerm([term], term.at);
    if (term?.kind !== "ref") {
      this.error(this.here(), "expected path");
      return undefined;
    }
    const wrong = term.terms.slice(1).find((part) => part.kind !== "string");
    if (wrong === undefined) return term;
    this.error(wrong.at, `unexpected ${wrong.kind} token: expecting string`);
    return undefined;
  }

  protected activate(parsed: Import): void {
    const head = (parsed.path.terms[0] as VarTerm).name;
    if (head === "rego") this.activateRego(parsed);
    else if (head === "future") this.activateFuture(parsed);
  }

  protected activateFuture(parsed: Import): void {
    const words = parsed.path.terms.slice(1).map((term) => (term as StringTerm).value);
    const at = parsed.path.at;
    if (words[0] !== "keywords") {
      this.error(at, "invalid import, must be `future.keywords`");
      return;
    }
    if (parsed.alias !== undefined) {
      this.error(at, "`future` imports cannot be aliased");
      return;
    }
    const { allowedKeywords } = this.options;
    let wanted = allowedKeywords;
    if (words.length === 2) {
      const word = words[1] as string;
      if (!allowedKeywords.includes(word)) {
        this.error(at, `unexpected keyword, must be one of [${[...allowedKeywords].sort().join(" ")}]`);
        return;
      }
      wanted = [word];
    }
    for (const word of wanted) {
      if (word === "not") this.notBodies = true;
      this.addKeyword(word);
    }
  }

  protected activateRego(parsed: Import): void {
    const { features, version } = this.options;
    const at = parsed.path.at;
    if (!features.has("rego_v1_import") && !features.has("rego_v1")) {
      this.error(at, "invalid import, `rego.v1` is not supported by current capabilities");
      return;
    }
    if (termToText(parsed.path) !== "rego.v1") {
      this.error(at, `invalid import \`${termToText(parsed.path)}\`, must be \`rego.v1\``);
      return;
    }
    if (version === "v1") return;
    if (parsed.alias !== undefined) {
      this.error(at, "`rego` imports cannot be aliased");
      return;
    }
    for (const word of V1_KEYWORDS) this.addKeyword(word);
  }
  protected rules(): readonly Rule[] | undefined {
    const start = this.here();
    this.nameAhead();
    let isDefault = false;
    if (this.is("default")) {
      isDefault = true;
      this.advance();
      this.nameAhead();
    }
    if (!this.is("identifier")) return undefined;
    const head = this.head(isDefault);
    if (head === undefined) return undefined;
    if (isDefault) return this.defaultRule(start, head);

    const hasIf = this.is("if");
    const finished = this.finishHead(head, hasIf);
    if (finished === undefined) return undefined;
    let body: Body | undefined;
    if (hasIf) {
      this.advance();
      body = this.ifBody();
    } else if (this.is("{")) {
      body = this.braced();
    } else if (finished.isSet && finished.keywords?.includes("contains") === true) {
      const at = finished.at;
      return [this.rule(finished, at, { body: [this.trueExpr(start)], generatedBody: true })];
    } else {
      return undefined;
    }
    if (body === undefined) return undefined;

    let otherwise: Rule | undefined;
    if (this.is("else") && !this.nameAhead()) {
      const terms = finished.reference.terms;
      if (terms.length > 1 && !isGroundTerm(finished.reference)) {
        this.error(this.here(), "else keyword cannot be used on rules with variables in head");
        return undefined;
      }
      if (finished.key !== undefined) {
        this.error(this.here(), "else keyword cannot be used on multi-value rules");
        return undefined;
      }
      otherwise = this.else(finished);
      if (otherwise === undefined) return undefined;
    }
    const rules = [this.rule(finished, this.span(start), { body, else: otherwise })];
    while (this.is("{")) {
      if (otherwise !== undefined) {
        this.error(this.here(), "expected else keyword");
        return undefined;
      }
      const brace = this.here();
      const next = this.braced();
      if (next === undefined) return undefined;
      const at = this.span(brace);
      rules.push(this.rule(relocateHead(this.freshArgs(finished), at), at, { body: next }));
    }
    return rules;
  }

  protected rule(
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

  protected trueExpr(at: Location): Expr {
    return makeExpr(booleanTerm(true, at), { at });
  }

  protected defaultRule(start: Location, head: Head): readonly Rule[] | undefined {
    const at = this.span(start);
    if (head.value === undefined) {
      this.error(start, "illegal default rule (must have a value)");
      return undefined;
    }
    let valid = true;
    const refuse = (reason: string): void => {
      valid = false;
      this.error(start, `illegal default rule (${reason})`);
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
    return [this.rule(head, at, { body: [this.trueExpr(start)], default: true })];
  }

  /** Decides what kind of rule a head of two elements is, now that it is known whether `if` follows. */
  protected finishHead(head: Head, hasIf: boolean): Head | undefined {
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

  /** After `if`: one literal, or a body in braces. */
  protected ifBody(): Body | undefined {
    const start = this.save();
    const brace = this.is("{");
    const literal = this.literal();
    if (literal !== undefined) {
      // A set is never false or undefined, so `if { true }` can only be meant as a body.
      const isSet = brace && literal.form.kind === "term" && literal.form.term.kind === "set";
      if (!isSet) return [literal];
    }
    if (!brace) return undefined;
    this.restore(start);
    return this.braced();
  }

  protected else(head: Head): Rule | undefined {
    if (!this.enter()) return undefined;
    const rule = this.elseBranch(head);
    this.depth -= LINK;
    return rule;
  }

  protected elseBranch(head: Head): Rule | undefined {
    const start = this.here();
    let own: Head = { ...this.freshArgs(head), generatedValue: false, keywords: [], at: start };
    this.advance();
    switch (this.kind) {
      case "{":
      case "if":
        own = { ...own, generatedValue: true, value: booleanTerm(true) };
        break;
      case "assign":
      case "eq": {
        const assign = this.is("assign");
        this.advance();
        const value = this.infix();
        if (value === undefined) return undefined;
        own = { ...own, value, assign, at: this.span(start) };
        break;
      }
      default:
        this.illegal("expected else value term or rule body");
        return undefined;
    }
    const hasIf = this.is("if");
    if (!hasIf && !this.is("{")) {
      const at = this.span(start);
      return this.rule(own, at, { body: [this.trueExpr(at)], generatedBody: true });
    }
    if (hasIf) {
      own = { ...own, keywords: ["if"] };
      this.advance();
    }
    let body: Body | undefined;
    let relocate = false;
    if (this.is("{")) {
      body = this.braced();
    } else if (this.is("eof")) {
      this.illegal("rule body expected");
    } else {
      const literal = this.literal();
      if (literal !== undefined) body = [literal];
      relocate = true;
    }
    if (body === undefined) return undefined;
    let otherwise: Rule | undefined;
    if (this.is("else")) {
      const bodyEnd = this.lastEnd;
      otherwise = this.else(head);
      if (otherwise === undefined) return undefined;
      if (relocate) body = body.map((expr) => relocateExpr(expr, this.span(start, bodyEnd)));
    } else if (relocate) {
      // OPA places all of a body without braces at its `else`.
      body = body.map((expr) => relocateExpr(expr, this.span(start)));
    }
    return this.rule(own, this.span(start), { body, else: otherwise });
  }

  /** A copy of the head for another body: wildcards among the arguments are distinct variables in each. */
  protected freshArgs(head: Head): Head {
    if (head.args === undefined) return head;
    return { ...head, args: head.args.map((arg) => (isWildcard(arg) ? this.wildcard(arg.at) : arg)) };
  }

  protected head(isDefault: boolean): Head | undefined {
    const start = this.here();
    const term = this.headRef(this.variable());
    if (term === undefined) {
      this.illegal("expected rule head name");
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
        this.illegal(`rule head ref ${termToText(reference)} invalid`);
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
    if (this.is("contains")) return this.containsHead(base, name, called);
    let value: Term | undefined;
    const assign = this.is("assign");
    if (assign || this.is("eq")) {
      this.advance();
      value = this.infix();
      if (value === undefined) this.illegal(missingValue(name, assign, args, isDefault));
    }
    const at = this.span(start);
    if (value !== undefined) return { ...base, value, assign, at };
    if (reference.terms.length === 2 && args === undefined) return { ...base, assign, at };
    return { ...base, assign, value: booleanTerm(true), generatedValue: true, at };
  }

  protected containsHead(base: Head, name: string, called: boolean): Head {
    const start = base.at;
    if (called) {
      this.illegal(
        `the contains keyword can only be used with multi-value rule definitions (e.g., ${name} contains <VALUE> { ... })`,
      );
    }
    this.advance();
    const key = this.infix();
    if (key === undefined) this.illegal(`expected rule key term (e.g., ${name} contains <VALUE> { ... })`);
    return { ...base, key, isSet: true, keywords: ["contains"], at: this.span(start) };
  }
}

function missingValue(name: string, assign: boolean, args: readonly Term[] | undefined, isDefault: boolean): string {
  if (!assign) return `expected rule value term (e.g., ${name}[<nil>] = <VALUE> { ... })`;
  if (args !== undefined && args.length > 0) {
    return `expected function value term (e.g., ${name}(...) := <VALUE> { ... })`;
  }
  if (isDefault) return `expected default rule value term (e.g., default ${name} := <VALUE>)`;
  return `expected rule value term (e.g., ${name} := <VALUE> { ... })`;
}
