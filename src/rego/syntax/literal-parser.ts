import type { Location } from "../../base/index.ts";
import type { Body, CallTerm, Expr, ExprForm, RefTerm, Term, VarTerm, With } from "./ast.ts";
import { isBuiltinInfix, VOID_BUILTINS } from "./builtin-names.ts";
import { expr as makeExpr, formOf, operatorName } from "./construct.ts";
import { TermParser } from "./term-parser.ts";
import { NESTING, type State } from "./token-stream.ts";
import { displayName, type TokenKind } from "./tokens.ts";

/** One operand of `and`, `or` or `not`. */
interface Operand {
  readonly body: Body;
  /** Written with braces. */
  readonly explicit: boolean;
  readonly at: Location;
}

/** What reading `(` as a group of logical operands came to: undefined where it is no such group. */
type Group = Operand | "failed" | undefined;

/** Reads bodies and their literals: expressions, declarations, negations, and chains of `and` and `or`. */
export abstract class LiteralParser extends TermParser {
  protected braced(): Body | undefined {
    this.advance();
    const body = this.body("}");
    if (body !== undefined) this.advance();
    return body;
  }

  protected body(end: TokenKind): Body | undefined {
    if (!this.enter(NESTING)) return undefined;
    const body = this.query(false, end);
    this.depth -= NESTING;
    return body;
  }

  protected query(requireSemicolon: boolean, end: TokenKind): Body | undefined {
    if (this.is(end)) {
      this.error(this.here(), "found empty body");
      return undefined;
    }
    const body: Expr[] = [];
    for (;;) {
      const start = this.save();
      const literal = this.literal();
      if (literal === undefined) return undefined;
      body.push(literal.index === body.length ? literal : { ...literal, index: body.length });
      if (this.is(";")) {
        this.advance();
        continue;
      }
      if (this.is(end) || requireSemicolon) return body;
      if (!this.token.newline) {
        if (this.errors.length === 0) {
          this.hintMembership(start);
          this.illegal(`expected \\n or ; or ${displayName(end)}`);
        }
        return undefined;
      }
    }
  }

  /** A literal that stops too early may be v0 that lacks an import. */
  protected hintMembership(start: State): void {
    if (this.options.version === "v1" || this.hints.length > 0 || this.keywords.has("in")) return;
    const stopped = this.save();
    this.restore(start);
    const would = this.wouldParse(() => {
      const form = this.literal()?.form;
      if (form?.kind !== "call" || this.index <= stopped.index) return false;
      const operands = [
        operatorName(form.operator),
        ...form.args.map((arg) => arg.kind === "call" && operatorName(arg.operator)),
      ];
      return operands.some((name) => name === "internal.member_2" || name === "internal.member_3");
    });
    this.restore(stopped);
    if (would) this.hint("`import future.keywords.in` for `x in xs` expressions");
  }

  protected literal(): Expr | undefined {
    const start = this.here();
    const literal = this.literalAt();
    if (literal === undefined) return undefined;
    const at = this.span(start);
    const form = literal.form;
    if (form.kind === "not" && !form.explicit) {
      // The expression inside is reported where its `not` stands.
      return { ...literal, at, form: { ...form, body: form.body.map((inner) => ({ ...inner, at })) } };
    }
    return { ...literal, at };
  }

  protected literalAt(): Expr | undefined {
    if (this.is("{") && this.logicalActive) {
      const leading = this.leadingBody();
      if (leading !== undefined) return leading === "failed" ? undefined : leading;
    }
    if (this.is("(") && this.logicalActive) {
      const group = this.group(false, "");
      if (group !== undefined) return group === "failed" ? undefined : this.logicalTail(group);
    }
    if (this.nameAhead()) return this.literalExpr(undefined);
    let not: Location | undefined;
    if (this.isNegation()) {
      not = this.here();
      this.advance();
    }
    if (not !== undefined && this.notBodies && this.is("{")) {
      const expr = this.notBody(not);
      return expr && this.logicalTail({ body: [expr], explicit: false, at: expr.at });
    }
    if (this.is("some") || this.is("every")) {
      if (not !== undefined) {
        this.illegal(`illegal negation of '${this.kind}'`);
        return undefined;
      }
      return this.is("some") ? this.some() : this.every();
    }
    return this.literalExpr(not);
  }

  /** `{ body } and …`: braces that open a literal are a body only if an operator follows them. */
  protected leadingBody(): Expr | "failed" | undefined {
    const state = this.save();
    const start = this.here();
    const body = this.braced();
    if (body !== undefined && this.atLogical()) {
      if (isAmbiguousUnion(body)) {
        this.errorAmbiguousUnion(start, body, "");
        return "failed";
      }
      return this.withWiths(this.orChain({ body, explicit: true, at: start })) ?? "failed";
    }
    this.restore(state);
    return undefined;
  }

  protected literalExpr(not: Location | undefined): Expr | undefined {
    const state = this.save();
    const start = this.here();
    if (not !== undefined && this.notBodies && this.is("(")) {
      const group = this.group(true, "not ");
      if (group === "failed") return undefined;
      if (group !== undefined) {
        const expr = this.notExpr(group.body, group.explicit, this.span(not));
        return this.logicalTail({ body: [expr], explicit: false, at: expr.at });
      }
    }
    let expr = this.expr();
    if (expr === undefined) return undefined;
    let withAt: Location | undefined;
    if (this.is("with")) {
      withAt = this.here();
      const withs = this.withs();
      if (withs === undefined) return undefined;
      expr = { ...expr, with: withs };
    }
    if (this.options.version === "v0" && expr.form.kind === "term" && isVarNamed(expr.form.term, "every")) {
      const after = this.save();
      this.restore(state);
      const would = this.wouldParse(() => this.every() !== undefined);
      this.restore(after);
      if (would) this.hint("`import future.keywords.every` for `every x in xs { ... }` expressions");
    }
    if (not !== undefined && this.notBodies) {
      const withs = expr.with;
      expr = { ...this.notExpr([{ ...expr, with: [] }], false, this.span(not)), with: withs };
    } else if (not !== undefined) {
      expr = { ...expr, negated: true };
    }
    if (!this.atLogical()) return expr;
    if (withAt !== undefined) {
      this.errorWithOnOperand(withAt);
      return undefined;
    }
    if (expr.form.kind !== "not") expr = { ...expr, at: this.span(start) };
    if (not === undefined && this.source.text[start.offset] === "{") {
      if (isEmptyObject(expr)) this.error(expr.at, "found empty body");
      else this.errorBraceLed(expr.at, this.source.text.slice(expr.at.offset, expr.at.end), displayName(this.kind));
      return undefined;
    }
    return this.withWiths(this.orChain({ body: [expr], explicit: false, at: expr.at }));
  }

  protected notExpr(body: Body, explicit: boolean, at: Location): Expr {
    return makeExpr({ kind: "not", body, explicit, at }, { at });
  }

  protected withs(): readonly With[] | undefined {
    const withs: With[] = [];
    do {
      const start = this.here();
      this.advance();
      if (!this.is("identifier")) {
        this.illegal("expected ident");
        return undefined;
      }
      const target = this.term();
      if (target === undefined) return undefined;
      if (target.kind !== "ref" && target.kind !== "var") this.illegal("expected with target path");
      if (!this.is("as")) {
        this.illegal("expected as keyword");
        return undefined;
      }
      this.advance();
      const value = this.infix();
      if (value === undefined) return undefined;
      withs.push({ target: target as RefTerm | VarTerm, value, at: this.span(start) });
    } while (this.is("with"));
    return withs;
  }

  /** Reads the `with` modifiers that follow a finished expression. */
  protected withWiths(expr: Expr | undefined): Expr | undefined {
    if (expr === undefined || !this.is("with")) return expr;
    const withs = this.withs();
    return withs && { ...expr, with: withs };
  }

  protected some(): Expr | undefined {
    const start = this.here();
    const state = this.save();
    this.advance();
    const term = this.infix();
    if (term?.kind === "call") return this.someIn(start, term);
    this.restore(state);

    let would = false;
    if (this.options.version === "v0") {
      would = this.wouldParse(() => {
        this.advance();
        const guess = this.infix();
        return guess?.kind === "call" && memberArity(guess) !== undefined;
      });
    }
    if (would) this.hint("`import future.keywords.in` for `some x in xs` expressions");

    const symbols: Term[] = [];
    do {
      this.advance();
      if (!this.is("identifier")) {
        this.illegal("expected var");
        return undefined;
      }
      symbols.push(this.variable());
      this.advance();
    } while (this.is(","));
    const at = this.span(start);
    return makeExpr({ kind: "some", symbols, at }, { at });
  }

  protected someIn(start: Location, call: CallTerm): Expr | undefined {
    const arity = memberArity(call);
    if (arity === undefined) {
      this.illegal("expected `x in xs` or `x, y in xs` expression");
      return undefined;
    }
    if (call.args.length !== arity) {
      this.illegal("illegal domain");
      return undefined;
    }
    const at = this.span(start);
    return this.withWiths(makeExpr({ kind: "some", symbols: [call], at }, { at }));
  }

  protected every(): Expr | undefined {
    const start = this.here();
    this.advance();
    const term = this.infix();
    if (term === undefined) return undefined;
    const arity = term.kind === "call" ? memberArity(term) : undefined;
    if (term.kind !== "call" || arity === undefined) {
      this.illegal("expected `x[, y] in xs { ... }` expression");
      return undefined;
    }
    if (term.args.length !== arity) {
      this.illegal("illegal domain");
      return undefined;
    }
    const key = arity === 3 ? term.args[0] : undefined;
    const [value, domain] = term.args.slice(-2) as [Term, Term];
    if (key !== undefined && key.kind !== "var") {
      this.illegal("expected key to be a variable");
      return undefined;
    }
    if (value.kind !== "var") {
      this.illegal("expected value to be a variable");
      return undefined;
    }
    if (!this.is("{")) {
      this.illegal("missing body");
      return undefined;
    }
    const body = this.braced();
    if (body === undefined) return undefined;
    const at = this.span(start);
    return this.withWiths(makeExpr({ kind: "every", key, value, domain, body, at }, { at }));
  }

  /** A term, infix call, or two of them joined by `:=` or `=`. */
  protected expr(): Expr | undefined {
    const start = this.here();
    const left = this.infix();
    if (left === undefined) return undefined;
    if (this.is("assign") || this.is("eq")) {
      const operator = this.operator();
      const right = this.infix();
      if (right === undefined) return undefined;
      return makeExpr({ kind: "call", operator, args: [left, right] }, { at: this.span(start) });
    }
    return makeExpr(formOf(left), { at: this.span(start) });
  }
  protected notBody(not: Location): Expr | undefined {
    const start = this.here();
    const state = this.save();
    this.advance();
    const empty = this.is("}");
    const body = this.body("}");
    if (body === undefined) {
      if (!empty) {
        this.explainValue(state, (term) => this.errorNeedsBody(start, term));
      }
      return undefined;
    }
    this.advance();
    if (isAmbiguousUnion(body)) {
      this.errorAmbiguousUnion(start, body, "not ");
      return undefined;
    }
    return this.notExpr(body, true, this.span(not));
  }

  /** Braces that hold no body may hold a value: then the error says so. */
  protected explainValue(braces: State, explain: (term: Term) => void): void {
    const failed = this.save();
    this.restore(braces);
    const term = this.infix();
    if (term !== undefined) explain(term);
    else this.restore(failed);
  }

  protected orChain(first: Operand): Expr | undefined {
    const depth = this.depth;
    if (!this.enter()) return undefined;
    const expr = this.orLinks(first);
    this.depth = depth;
    return expr;
  }

  protected orLinks(first: Operand): Expr | undefined {
    let left = first;
    if (this.is("and")) {
      const chain = this.andChain(left);
      if (chain === undefined) return undefined;
      left = chain;
    }
    while (this.is("or")) {
      this.advance();
      let right = this.operand("or");
      if (right !== undefined && this.is("and")) right = this.andChain(right);
      if (right === undefined || !this.enter()) return undefined;
      left = this.joined("or", left, right);
    }
    return left.body[0];
  }

  protected andChain(first: Operand): Operand | undefined {
    let left = first;
    while (this.is("and")) {
      this.advance();
      const right = this.operand("and");
      if (right === undefined || !this.enter()) return undefined;
      left = this.joined("and", left, right);
    }
    return left;
  }

  protected joined(operator: "and" | "or", left: Operand, right: Operand): Operand {
    for (const operand of [left, right]) this.checkVoid(operand.body, operator);
    const at = this.span(left.at);
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
  protected operand(operator: "and" | "or" | ""): Operand | undefined {
    const start = this.here();
    if (this.is("{")) return this.bracedOperand(start, operator);
    let not: Location | undefined;
    if (this.isNegation()) {
      not = start;
      this.advance();
    }
    if (not !== undefined && this.notBodies && this.is("{")) {
      const expr = this.notBody(not);
      return expr && { body: [expr], explicit: false, at: expr.at };
    }
    if (this.is("(") && this.logicalActive && (not === undefined || this.notBodies)) {
      const group = this.group(true, not === undefined ? "" : "not ");
      if (group === "failed") return undefined;
      if (group !== undefined) {
        if (not === undefined) return group;
        const at = this.span(not);
        return { body: [this.notExpr(group.body, group.explicit, at)], explicit: false, at };
      }
    }
    let expr = this.expr();
    if (expr === undefined) return undefined;
    if (not !== undefined && this.notBodies) expr = this.notExpr([expr], false, this.span(not));
    else if (not !== undefined) expr = { ...expr, negated: true };
    return { body: [expr], explicit: false, at: expr.at };
  }

  protected bracedOperand(start: Location, operator: "and" | "or" | ""): Operand | undefined {
    const state = this.save();
    this.advance();
    const empty = this.is("}");
    const body = this.body("}");
    if (body === undefined) {
      if (!empty && operator !== "") {
        this.explainValue(state, () => {
          this.errorBraceLed(start, this.source.text.slice(start.offset, this.lastEnd), operator);
        });
      }
      return undefined;
    }
    this.advance();
    if (isAmbiguousUnion(body)) this.errorAmbiguousUnion(start, body, "");
    return { body, explicit: true, at: start };
  }

  /** Reads the operators that follow a complete operand, and the `with` of the whole. */
  protected logicalTail(operand: Operand): Expr | undefined {
    return this.withWiths(this.atLogical() ? this.orChain(operand) : operand.body[0]);
  }

  /** `( … )` around logical operands. Anything else in parentheses is a term, and is left to the term's reader. */
  protected group(isOperand: boolean, prefix: string): Group {
    const depth = this.depth;
    if (!this.enter(NESTING)) return "failed";
    const group = this.groupAt(isOperand, prefix);
    this.depth = depth;
    return group;
  }

  protected groupAt(isOperand: boolean, prefix: string): Group {
    const state = this.save();
    const open = this.here();
    this.advance();
    if (this.is(")")) {
      if (isOperand) {
        this.error(open, "empty parenthesized group");
        return "failed";
      }
      this.restore(state);
      return undefined;
    }
    const left = this.operand("");
    if (left === undefined) {
      this.restore(state);
      return undefined;
    }
    const close = (body: Body): Group => {
      if (!this.is(")")) {
        this.error(this.here(), "expected ) to close parenthesized group");
        return "failed";
      }
      this.advance();
      return { body, explicit: false, at: this.span(open) };
    };
    if (this.atLogical()) {
      const expr = this.withWiths(this.orChain(left));
      return expr === undefined ? "failed" : close([expr]);
    }
    const only = left.body.length === 1 ? left.body[0] : undefined;
    if (this.is("with") && !left.explicit && only !== undefined) {
      const withAt = this.here();
      const expr = this.withWiths(only);
      if (expr === undefined) return "failed";
      if (this.atLogical()) {
        this.errorWithOnOperand(withAt);
        return "failed";
      }
      const group = close([expr]);
      if (group === "failed" || isOperand || this.atLogical()) return group;
      this.restore(state);
      return undefined;
    }
    if (left.explicit) {
      const braces = this.source.text.slice(left.at.offset, this.lastEnd);
      this.restore(state);
      this.advance();
      const value = this.term();
      this.restore(state);
      if (value !== undefined) return undefined;
      this.hint(`drop the parens to keep the body: \`${prefix}${braces}\``);
      this.error(open, "`(...)` in an operand position cannot contain a body");
      return "failed";
    }
    if (only !== undefined && (only.form.kind === "logical" || only.form.kind === "not" || only.negated)) {
      return close(left.body);
    }
    this.restore(state);
    return undefined;
  }

  protected errorWithOnOperand(at: Location): void {
    const keyword = displayName(this.kind);
    this.hint(
      `Wrap the operand in \`(...)\` or \`{...}\` to scope, or move \`with\` after the \`${keyword}\` expression to apply it to the whole expression`,
    );
    this.error(at, `\`with\` modifier is not allowed on operand of \`${keyword}\``);
  }

  protected errorBraceLed(at: Location, operand: string, operator: string): void {
    this.hint(`wrap the operand to keep the value: \`(${operand}) ${operator} ...\``);
    this.error(at, `operand of \`${operator}\` cannot begin with \`{\` unless the braces hold a body`);
  }

  protected errorNeedsBody(braces: Location, term: Term): void {
    const operand = this.source.text.slice(braces.offset, this.lastEnd);
    this.hint(`write \`not (${operand})\` to negate the value, or \`not {${operand}}\` for a body holding it`);
    this.error(braces, `\`{...}\` in an operand position must contain expression(s), got: ${braceLedValue(term).kind}`);
  }

  protected errorAmbiguousUnion(braces: Location, body: Body, prefix: string): void {
    const text = this.source.text;
    const all = text.slice(braces.offset, this.lastEnd);
    const first = (body[0] as Expr).at;
    const union = `${text.slice(braces.offset, first.offset)}(${text.slice(first.offset, first.end)})${text.slice(first.end, this.lastEnd)}`;
    this.hint(`write \`${prefix}(${all})\` for the comprehension, or \`${prefix}${union}\` for the set union`);
    this.error(
      braces,
      "ambiguous `{ ... | ... }` operand: read as a body holding a set-union expression, not as a comprehension",
    );
  }

  protected checkVoid(body: Body, operator: string): void {
    let found: { name: string; at: Location } | undefined;
    for (const expr of body) {
      if (expr.negated || expr.form.kind !== "call") return;
      const name = operatorName(expr.form.operator);
      if (name === undefined || !VOID_BUILTINS.has(name)) return;
      found ??= { name, at: expr.at };
    }
    if (found === undefined) return;
    this.hint(
      `\`${found.name}\` produces no value and always succeeds, so the operand can never fail; move it out of the operand, or add an expression that can fail`,
    );
    this.error(found.at, `operand of \`${operator}\` cannot consist only of calls to \`${found.name}\``);
  }
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
