import type { Location } from "../../base/index.ts";
import type { Body, CallTerm, Comprehension, Expr, Head, RefTerm, Rule, Term, VarTerm, With } from "../syntax/index.ts";

/** Called before a node's children; true leaves the children out. */
export interface Visitor {
  readonly term?: (term: Term) => boolean;
  readonly expr?: (expr: Expr) => boolean;
  readonly body?: (body: Body) => boolean;
  readonly with?: (modifier: With) => boolean;
}

export function walkTerm(term: Term, visitor: Visitor): void {
  if (visitor.term?.(term) === true) return;
  switch (term.kind) {
    case "null":
    case "boolean":
    case "number":
    case "string":
    case "var":
      return;
    case "ref":
      for (const part of term.terms) walkTerm(part, visitor);
      return;
    case "array":
    case "set":
      for (const item of term.items) walkTerm(item, visitor);
      return;
    case "object":
      for (const [key, value] of term.entries) {
        walkTerm(key, visitor);
        walkTerm(value, visitor);
      }
      return;
    case "arraycomprehension":
    case "setcomprehension":
      walkTerm(term.term, visitor);
      walkBody(term.body, visitor);
      return;
    case "objectcomprehension":
      walkTerm(term.key, visitor);
      walkTerm(term.value, visitor);
      walkBody(term.body, visitor);
      return;
    case "call":
      walkTerm(term.operator, visitor);
      for (const arg of term.args) walkTerm(arg, visitor);
      return;
    case "templatestring":
      for (const part of term.parts) {
        if ("form" in part) walkExpr(part, visitor);
        else walkTerm(part, visitor);
      }
      return;
  }
}

export function walkBody(body: Body, visitor: Visitor): void {
  if (visitor.body?.(body) === true) return;
  for (const expr of body) walkExpr(expr, visitor);
}

export function walkExpr(expr: Expr, visitor: Visitor): void {
  if (visitor.expr?.(expr) === true) return;
  const { form } = expr;
  switch (form.kind) {
    case "term":
      walkTerm(form.term, visitor);
      break;
    case "call":
      walkTerm(form.operator, visitor);
      for (const arg of form.args) walkTerm(arg, visitor);
      break;
    case "some":
      for (const symbol of form.symbols) walkTerm(symbol, visitor);
      break;
    case "every":
      if (form.key !== undefined) walkTerm(form.key, visitor);
      walkTerm(form.value, visitor);
      walkTerm(form.domain, visitor);
      walkBody(form.body, visitor);
      break;
    case "not":
      walkBody(form.body, visitor);
      break;
    case "logical":
      walkBody(form.left, visitor);
      walkBody(form.right, visitor);
      break;
  }
  for (const modifier of expr.with) walkWith(modifier, visitor);
}

export function walkWith(modifier: With, visitor: Visitor): void {
  if (visitor.with?.(modifier) === true) return;
  walkTerm(modifier.target, visitor);
  walkTerm(modifier.value, visitor);
}

/** Arguments, key and value; not the reference. */
export function walkHead(head: Head, visitor: Visitor): void {
  for (const arg of head.args ?? []) walkTerm(arg, visitor);
  if (head.key !== undefined) walkTerm(head.key, visitor);
  if (head.value !== undefined) walkTerm(head.value, visitor);
}

/** Head and body, without `else`. */
export function walkRule(rule: Rule, visitor: Visitor): void {
  walkHead(rule.head, visitor);
  walkBody(rule.body, visitor);
}

/** The rule and its `else` branches. */
export function branchesOf(rule: Rule): readonly Rule[] {
  if (rule.else === undefined) return [rule];
  const branches: Rule[] = [];
  for (let branch: Rule | undefined = rule; branch !== undefined; branch = branch.else) branches.push(branch);
  return branches;
}

/** Makes every branch of a rule anew. */
export function mapBranches(rule: Rule, change: (branch: Rule) => Rule): Rule {
  if (rule.else === undefined) return change(rule);
  const changed: Rule[] = [];
  for (let branch: Rule | undefined = rule; branch !== undefined; branch = branch.else) changed.push(change(branch));
  return chainBranches(changed);
}

/** Branches as one rule: each becomes the `else` of the one before it. */
export function chainBranches(branches: readonly Rule[]): Rule {
  let chained: Rule | undefined;
  for (let i = branches.length - 1; i >= 0; i--) {
    const branch = branches[i] as Rule;
    chained = branch.else === chained ? branch : { ...branch, else: chained };
  }
  return chained as Rule;
}

export function isComprehension(term: Term): term is Comprehension {
  return term.kind === "arraycomprehension" || term.kind === "setcomprehension" || term.kind === "objectcomprehension";
}

/** No variables, refs, calls or closures in it. */
export function isGround(term: Term): boolean {
  switch (term.kind) {
    case "null":
    case "boolean":
    case "number":
    case "string":
      return true;
    case "array":
    case "set":
      return term.items.every(isGround);
    case "object":
      return term.entries.every(([key, value]) => isGround(key) && isGround(value));
    case "ref":
      return term.terms.every((part, i) => i === 0 || isGround(part));
    default:
      return false;
  }
}

export const ROOT_DOCUMENTS: ReadonlySet<string> = new Set(["data", "input"]);

/** `input` or `data` alone, in whichever form. */
export function rootDocument(term: Term): string | undefined {
  const head = term.kind === "ref" && term.terms.length === 1 ? (term.terms[0] as Term) : term;
  return head.kind === "var" && ROOT_DOCUMENTS.has(head.name) ? head.name : undefined;
}

export function refHeadName(ref: RefTerm): string | undefined {
  const head = ref.terms[0] as Term;
  return head.kind === "var" ? head.name : undefined;
}

export function isWildcard(name: string): boolean {
  return name.startsWith("$");
}

export function isGenerated(name: string): boolean {
  return name.startsWith("__local");
}

/** Name of the operator of a call when it is one plain word (`eq`, `plus`). */
export function operatorWord(operator: RefTerm): string | undefined {
  return operator.terms.length === 1 ? refHeadName(operator) : undefined;
}

/** `internal.print`, `data.a.f`: an operator's name, as builtins are named; brackets where an element is no plain word. */
export function operatorName(operator: RefTerm): string {
  let name = "";
  for (const term of operator.terms) {
    if (term.kind === "var" || term.kind === "string")
      name +=
        name === ""
          ? term.kind === "var"
            ? term.name
            : term.value
          : `.${term.kind === "var" ? term.name : term.value}`;
    else name += "[]";
  }
  return name;
}

export function isCallOf(expr: Expr, name: string): boolean {
  return expr.form.kind === "call" && operatorName(expr.form.operator) === name;
}

/** `x = y` of two operands. */
export function isEquality(expr: Expr): boolean {
  return expr.form.kind === "call" && operatorWord(expr.form.operator) === "eq";
}

export function isAssignment(expr: Expr): boolean {
  return expr.form.kind === "call" && operatorWord(expr.form.operator) === "assign";
}

// --- making nodes ---

export function varTerm(name: string, at: Location): VarTerm {
  return { kind: "var", name, at };
}

export function refOf(name: string, at: Location): RefTerm {
  const [head, ...rest] = name.split(".");
  return {
    kind: "ref",
    terms: [varTerm(head as string, at), ...rest.map((value) => ({ kind: "string" as const, value, at }))],
    at,
  };
}

export function callExpr(operator: RefTerm, args: readonly Term[], at: Location, extra?: Partial<Expr>): Expr {
  return { form: { kind: "call", operator, args }, negated: false, with: [], index: 0, generated: false, at, ...extra };
}

export function termExpr(term: Exclude<Term, CallTerm>, at: Location, extra?: Partial<Expr>): Expr {
  return { form: { kind: "term", term }, negated: false, with: [], index: 0, generated: false, at, ...extra };
}

/** `variable = term`, made by the compiler. */
export function equals(variable: string, term: Term): Expr {
  return callExpr(refOf("eq", term.at), [varTerm(variable, term.at), term], term.at, { generated: true });
}

/** The body that says nothing: what `p := 1` has. */
export function isTrueBody(body: Body): boolean {
  const [only] = body;
  if (body.length !== 1 || only === undefined || only.negated || only.with.length > 0) return false;
  return only.form.kind === "term" && only.form.term.kind === "boolean" && only.form.term.value;
}

/** The body with more literals at its end; a body that only says `true` gives way. */
export function appendToBody(body: Body, exprs: readonly Expr[]): Body {
  if (exprs.length === 0) return body;
  return numbered(isTrueBody(body) ? exprs : [...body, ...exprs]);
}

/** The literals with their positions. */
export function numbered(exprs: readonly Expr[]): Body {
  return exprs.map((expr, index) => (expr.index === index ? expr : { ...expr, index }));
}
