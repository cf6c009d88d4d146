import type { Location } from "../../base/index.ts";
import { parseNumber } from "../value/index.ts";
import type { Body, CallTerm, Expr, RefTerm, ScalarTerm, Term, VarTerm } from "./ast.ts";
import { distinctEntries, distinctItems } from "./compare.ts";
import {
  booleanTerm,
  callTerm,
  isScalar,
  numberTerm,
  objectTerm,
  operatorName,
  refTerm,
  setTerm,
  stringTerm,
  varTerm,
} from "./construct.ts";
import { unescapeJson } from "./lexer.ts";
import { LINK, NESTING, type ParseError, type State, TokenStream } from "./token-stream.ts";
import { ALL_FUTURE_KEYWORDS, displayName, type TokenKind } from "./tokens.ts";

/** Longest number literal: OPA refuses what needs more than 100000 bits, which is about 30000 digits. */
const MAX_NUMBER_LENGTH = 50_000;
const MAX_NUMBER_BITS = 100_000;

/** A term that was read, and what reading it did. */
interface CachedTerm {
  readonly term: Term | undefined;
  readonly after: State;
  /** A keyword here may be a name when read from another place, and wildcards are numbered: both make another term. */
  readonly kindBefore: TokenKind;
  readonly wildcardsBefore: number;
  readonly newErrors: readonly ParseError[];
}

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

/**
 * Reads terms. Inside of braces and brackets a comprehension goes before a set, object or array. Terms are remembered by
 * position: however often backtracking comes by, every term is read once.
 */
export abstract class TermParser extends TokenStream {
  protected cache = new Map<number, CachedTerm>();
  /** Only finding out whether a statement would parse with all keywords. */
  protected guessing = false;

  protected abstract body(end: TokenKind): Body | undefined;
  protected abstract literal(): Expr | undefined;

  /** Answers whether a reading with every keyword active succeeds here; changes nothing. */
  protected wouldParse(read: () => boolean): boolean {
    if (this.guessing) return false;
    const state = this.save();
    const { keywords, cache } = { keywords: this.keywords, cache: this.cache };
    this.keywords = new Set([...keywords, ...ALL_FUTURE_KEYWORDS]);
    this.cache = new Map();
    this.guessing = true;
    const success = read();
    this.guessing = false;
    this.keywords = keywords;
    this.cache = cache;
    this.restore(state);
    return success;
  }

  /** An infix term, in a place where `key, value in collection` is possible. */
  protected infix(): Term | undefined {
    return this.membership(true);
  }

  /** An infix term in a list, where a comma separates the items. */
  protected item(): Term | undefined {
    return this.membership(false);
  }

  protected membership(keyed: boolean): Term | undefined {
    const depth = this.depth;
    const term = this.memberships(keyed);
    this.depth = depth;
    return term;
  }

  protected memberships(keyed: boolean): Term | undefined {
    const start = this.here();
    let left = this.binary(1);
    if (left === undefined) return undefined;
    if (keyed && this.is(",")) {
      const state = this.save();
      const pair = this.keyedMembership(start, left);
      if (pair === undefined) this.restore(state);
      else if (!this.is("in")) return pair;
      else left = pair;
    }
    this.nameAhead();
    while (this.is("in")) {
      const operator = this.memberOperator("member_2");
      const right = this.binary(1);
      if (right === undefined || !this.enter()) return left;
      left = this.call(operator, [left, right], start);
    }
    return left;
  }

  protected keyedMembership(start: Location, key: Term): Term | undefined {
    this.advance();
    const value = this.binary(1);
    if (value === undefined || !this.is("in")) return undefined;
    const operator = this.memberOperator("member_3");
    const collection = this.binary(1);
    return collection && this.call(operator, [key, value, collection], start);
  }

  /** Operators of one level associate to the left, comparisons too. */
  protected binary(loosest: number): Term | undefined {
    const start = this.here();
    let left = this.term();
    if (left === undefined) return undefined;
    let limit = TIGHTEST;
    let links = 0;
    for (;;) {
      const level = INFIX_LEVEL.get(this.kind);
      if (level === undefined || level < loosest || level > limit || !this.enter()) break;
      links++;
      const operator = this.operator();
      const right = level === TIGHTEST ? this.term() : this.binary(level + 1);
      // A missing right operand has been reported; what stands there may still continue a looser operator.
      if (right === undefined) limit = level - 1;
      else {
        left = this.call(operator, [left, right], start);
        limit = level;
      }
    }
    this.depth -= links * LINK;
    return left;
  }

  /** Reported where the left operand stands (inside of any parentheses), spanning all of the text. */
  protected call(operator: RefTerm, args: readonly [Term, ...Term[]], start: Location): CallTerm {
    const { row, col } = args[0].at;
    return callTerm(operator, args, { source: this.source, row, col, offset: start.offset, end: this.lastEnd });
  }

  protected operator(): RefTerm {
    const at = this.here();
    const name = displayName(this.kind);
    this.advance();
    return refTerm([varTerm(name, at)], at);
  }

  protected memberOperator(name: "member_2" | "member_3"): RefTerm {
    const at = this.here();
    this.advance();
    return refTerm([varTerm("internal", at), stringTerm(name, at)], at);
  }
  protected term(): Term | undefined {
    const index = this.index;
    const kindBefore = this.kind;
    const wildcardsBefore = this.wildcards;
    const cached = this.cache.get(index);
    if (cached?.kindBefore === kindBefore && cached.wildcardsBefore === wildcardsBefore) {
      const { index: next, kind, wildcards } = cached.after;
      this.index = next;
      this.kind = kind;
      this.wildcards = wildcards;
      const unknown = cached.newErrors.filter((error) => !this.errors.includes(error));
      if (unknown.length > 0) this.errors = [...this.errors, ...unknown];
      return cached.term;
    }
    if (!this.enter(NESTING)) return undefined;
    const errorsBefore = this.errors.length;
    const term = this.uncachedTerm();
    this.depth -= NESTING;
    const newErrors = this.errors.slice(errorsBefore);
    this.cache.set(index, { term, after: this.save(), kindBefore, wildcardsBefore, newErrors });
    return term;
  }

  protected uncachedTerm(): Term | undefined {
    const at = this.here();
    // `and(x, y)` and `or(x, y)` are the functions behind `&` and `|`.
    if (this.atLogical() && this.peekAdjacent() === "(") this.kind = "identifier";
    switch (this.kind) {
      case "null":
        return this.suffixes({ kind: "null", at });
      case "true":
      case "false":
        return this.suffixes(booleanTerm(this.is("true"), at));
      case "minus":
        return this.negative(at);
      case ".":
      case "number":
        return this.suffixes(this.number());
      case "string":
        return this.suffixes(this.string());
      case "template-string-part":
      case "template-string-end":
        return this.suffixes(this.template(false));
      case "raw-template-string-part":
      case "raw-template-string-end":
        return this.suffixes(this.template(true));
      case "identifier":
      case "contains":
        return this.suffixes(this.variable());
      case "[":
        return this.suffixes(this.array());
      case "{":
        return this.suffixes(this.setOrObject());
      case "(":
        return this.suffixes(this.parenthesized(at));
      default:
        this.illegal();
        return undefined;
    }
  }

  /** `-x` on a reference is `0 - x`; on a number it is part of the literal. */
  protected negative(at: Location): Term | undefined {
    const state = this.save();
    this.advance();
    if (this.is("identifier") || this.is("contains")) {
      const term = this.suffixes(this.variable());
      if (term === undefined) return undefined;
      const operator = refTerm([varTerm("minus")]);
      return callTerm(operator, [numberTerm(0, at), term], this.span(at));
    }
    this.restore(state);
    return this.suffixes(this.number());
  }

  protected parenthesized(open: Location): Term | undefined {
    this.advance();
    const term = this.infix();
    if (term === undefined) return undefined;
    if (!this.is(")")) {
      this.error(this.here(), "non-terminated expression");
      return undefined;
    }
    return { ...term, at: { ...term.at, offset: open.offset, end: this.token.end } };
  }

  /** Steps over the last token of `head` and reads the `.x`, `[x]` and `(x)` that follow directly. */
  protected suffixes(head: Term | undefined): Term | undefined {
    if (head === undefined) return undefined;
    this.advanceToSpace();
    switch (this.kind) {
      case "(":
      case ".":
      case "[":
        return this.ref(head);
      case "whitespace":
        this.advance();
        break;
      default:
    }
    return rootOrSelf(head);
  }

  /** As `#suffixes`; the name of a rule may be apart from what follows it. */
  protected headRef(head: VarTerm): Term | undefined {
    this.advanceToSpace();
    if (INFIX_LEVEL.has(this.kind)) this.illegal();
    if (this.is("whitespace")) this.advance();
    if (this.is("(") || this.is(".") || this.is("[")) return this.ref(head);
    return rootOrSelf(head);
  }

  protected ref(first: Term): Term | undefined {
    const depth = this.depth;
    let head = first;
    for (;;) {
      if (!this.enter()) break;
      const result = this.refPath(head);
      if (result === undefined) break;
      if (result.kind !== "ref" && (this.is(".") || this.is("["))) {
        head = result;
        continue;
      }
      if (this.is("whitespace")) this.advance();
      this.depth = depth;
      return result;
    }
    this.depth = depth;
    return undefined;
  }

  /** One head and its path, up to and including the first call. */
  protected refPath(head: Term): Term | undefined {
    if (!REF_HEADS.has(head.kind)) this.error(head.at, `illegal ref (head cannot be ${head.kind})`);
    const terms: Term[] = [head];
    for (;;) {
      switch (this.kind) {
        case ".":
          this.advanceToSpace();
          if (!this.is("identifier") && !this.isRefKeyword(this.kind)) {
            this.illegal("expected identifier");
            return undefined;
          }
          terms.push(stringTerm(this.word(), this.here()));
          this.advanceToSpace();
          break;
        case "[": {
          this.advance();
          const term = this.infix();
          if (term === undefined) return undefined;
          if (!this.is("]")) {
            this.illegal("expected [");
            return undefined;
          }
          terms.push(term);
          this.advanceToSpace();
          break;
        }
        case "(":
          return this.callSuffix(refTerm(terms, this.span(head.at)));
        default:
          return refTerm(terms, this.span(head.at));
      }
    }
  }

  protected callSuffix(operator: RefTerm): Term | undefined {
    this.advance();
    const args = this.list(")", []);
    if (args === undefined) return undefined;
    const at: Location = { ...operator.at, end: this.token.end };
    this.advanceToSpace();
    if (args.length === 0 && operatorName(operator) === "set") return setTerm([], at);
    return callTerm(operator, args, at);
  }

  protected number(): Term | undefined {
    const at = this.here();
    let prefix = "";
    if (this.is("minus")) {
      prefix = "-";
      this.advance();
      if (!this.is("number") && !this.is(".")) {
        this.illegal("expected number");
        return undefined;
      }
    }
    if (this.is(".")) {
      prefix += ".";
      this.advance();
      if (!this.is("number")) {
        this.illegal("expected number");
        return undefined;
      }
    }
    const digits = this.text(this.token);
    if (!prefix.endsWith(".") && /^0(?!$|\.|[eE].)/.test(digits)) {
      this.illegal("expected number without leading zero");
      return undefined;
    }
    const text = prefix + digits;
    // OPA reads `.1.5` as far as Go's number reader does, which is not at all.
    if (prefix.endsWith(".") && digits.includes(".")) {
      this.illegal("invalid float");
      return undefined;
    }
    const { exponent, bits } = magnitude(text);
    // Go's reader of numbers knows 32 bits of exponent.
    if (Math.abs(exponent) >= 2 ** 31) {
      this.illegal("invalid float");
      return undefined;
    }
    if (text.length > MAX_NUMBER_LENGTH || Math.abs(bits) > MAX_NUMBER_BITS) {
      this.error(this.here(), "number too big");
      return undefined;
    }
    return numberTerm(parseNumber(text), this.span(at, this.token.end));
  }

  protected string(): Term | undefined {
    const at = this.here();
    const literal = this.text(this.token);
    const inner = literal.slice(1, -1);
    if (literal.startsWith("`")) return { kind: "string", value: inner, raw: true, at };
    const value = unescapeJson(inner);
    if (value !== undefined) return stringTerm(value, at);
    this.error(at, `illegal string literal: ${literal}`);
    return undefined;
  }

  protected template(raw: boolean): Term | undefined {
    const start = this.here();
    if (!this.options.features.has("template_strings")) {
      this.error(start, "template strings are not supported by current capabilities");
      return undefined;
    }
    const parts: (ScalarTerm | Expr)[] = [];
    for (;;) {
      const { part, comments } = this.token;
      if (part === undefined) {
        this.error(this.here(), `illegal template-string part: ${this.text(this.token)}`);
        return undefined;
      }
      if (part !== "") parts.push(stringTerm(part, this.here()));
      if (this.is("template-string-end") || this.is("raw-template-string-end")) break;
      this.advance();
      const commented = this.token.comments !== comments;
      const literal = this.literal();
      if (literal === undefined) {
        this.error(this.here(), "invalid template-string expression");
        return undefined;
      }
      const refused = refusedInTemplate(literal);
      if (refused !== undefined) {
        this.error(literal.at, `unexpected ${refused} in template-string expression`);
        return undefined;
      }
      const { form } = literal;
      parts.push(form.kind === "term" && isScalar(form.term) && !commented ? form.term : literal);
      if (!this.is("}")) {
        this.error(this.here(), "expected } to end template string expression");
        return undefined;
      }
      this.advance();
    }
    return { kind: "templatestring", parts, multiline: raw, at: this.span(start, this.token.end) };
  }

  /** The current name. An imported `and` makes even `&` a name, one without letters. */
  protected word(): string {
    return this.token.kind === "identifier" ? this.text(this.token) : "";
  }

  protected variable(): VarTerm {
    const at = this.here();
    const name = this.word();
    return name === "_" ? this.wildcard(at) : varTerm(name, at);
  }

  protected wildcard(at: Location): VarTerm {
    return varTerm(`$${this.wildcards++}`, at);
  }
  /** Items up to `end`, which becomes the current token. A last comma is allowed. */
  protected list(end: TokenKind, first: readonly Term[]): readonly Term[] | undefined {
    const items = [...first];
    while (!this.is(end)) {
      const item = this.item();
      if (item === undefined) return undefined;
      items.push(item);
      if (this.is(",")) this.advance();
      else if (!this.is(end)) {
        this.illegal(`expected "," or "${end}"`);
        return undefined;
      }
    }
    return items;
  }

  protected array(): Term | undefined {
    const start = this.here();
    const at = (): Location => this.span(start, this.token.end);
    this.advance();
    if (this.is("]")) return { kind: "array", items: [], at: at() };
    const comprehension = !this.leadingComma();
    const state = this.save();
    // Only a term without infix: `[x | y]` is a comprehension before it is an array of one union.
    const head = this.term();
    if (head === undefined) return undefined;
    if (this.is("]")) return { kind: "array", items: [head], at: at() };
    let first: readonly Term[] = [];
    if (this.is(",")) {
      first = [head];
      this.advance();
    } else {
      if (this.is("|") && comprehension) {
        this.advance();
        const body = this.body("]");
        if (body !== undefined) return { kind: "arraycomprehension", term: head, body, at: at() };
        if (!this.is(",")) return undefined;
      }
      this.restore(state);
    }
    const items = this.list("]", first);
    return items && { kind: "array", items, at: at() };
  }

  /** OPA tolerates `[, x]`. */
  protected leadingComma(): boolean {
    if (!this.is(",")) return false;
    this.advance();
    return true;
  }

  protected setOrObject(): Term | undefined {
    const start = this.here();
    this.advance();
    if (this.is("}")) return objectTerm([], this.span(start, this.token.end));
    const comprehension = !this.leadingComma();
    const state = this.save();
    const head = this.term();
    if (head === undefined) return undefined;
    switch (this.kind) {
      case "|":
        if (comprehension) return this.setOrComprehension(start, state, head);
        break;
      case "}":
      case ",":
        return this.set(start, head);
      case ":":
        return this.object(start, head, comprehension);
      default:
    }
    this.restore(state);
    const item = this.item();
    if (item === undefined) return undefined;
    if (this.is("}") || this.is(",")) return this.set(start, item);
    if (this.is(":")) return this.object(start, item, comprehension);
    this.illegal("non-terminated set");
    return undefined;
  }

  protected set(start: Location, first: Term): Term | undefined {
    if (this.is(",")) this.advance();
    const items = this.list("}", [first]);
    return items && setTerm(distinctItems(items), this.span(start, this.token.end));
  }

  protected setOrComprehension(start: Location, items: State, head: Term): Term | undefined {
    this.advance();
    const body = this.body("}");
    if (body !== undefined) {
      return { kind: "setcomprehension", term: head, body, at: this.span(start, this.token.end) };
    }
    if (!this.is(",")) return undefined;
    this.restore(items);
    const terms = this.list("}", []);
    return terms && setTerm(distinctItems(terms), this.span(start, this.token.end));
  }

  protected object(start: Location, key: Term, comprehension: boolean): Term | undefined {
    this.advance();
    const state = this.save();
    const value = this.term();
    if (value === undefined) return undefined;
    let relation = true;
    if (comprehension) {
      if (this.is("}") || this.is(",")) relation = false;
      if (!relation || this.is("|")) {
        const term = this.objectRest(start, key, value, true);
        if (term !== undefined) return term;
      }
    }
    this.restore(state);
    if (relation) {
      const item = this.item();
      if (item === undefined) return undefined;
      if (this.is("}") || this.is(",")) return this.objectRest(start, key, item, false);
    }
    this.illegal("non-terminated object");
    return undefined;
  }

  protected objectRest(start: Location, key: Term, value: Term, comprehension: boolean): Term | undefined {
    if (this.is("|")) {
      if (!comprehension) return undefined;
      this.advance();
      const body = this.body("}");
      return body && { kind: "objectcomprehension", key, value, body, at: this.span(start, this.token.end) };
    }
    const entries: (readonly [Term, Term])[] = [[key, value]];
    if (this.is(",")) this.advance();
    while (!this.is("}")) {
      const nextKey = this.item();
      if (nextKey === undefined) return undefined;
      if (!this.is(":")) {
        this.illegal('expected ":"');
        return undefined;
      }
      this.advance();
      const nextValue = this.item();
      if (nextValue === undefined) return undefined;
      entries.push([nextKey, nextValue]);
      if (this.is(",")) this.advance();
      else if (!this.is("}")) {
        this.illegal('expected "," or "}"');
        return undefined;
      }
    }
    return objectTerm(distinctEntries(entries), this.span(start, this.token.end));
  }
}

/** `input` and `data` are references even when nothing follows them. */
function rootOrSelf(head: Term): Term {
  return head.kind === "var" && (head.name === "input" || head.name === "data") ? refTerm([head], head.at) : head;
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
