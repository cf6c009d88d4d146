import type { Location } from "../../base/index.ts";
import type { Body, Expr, ExprForm, Head, Module, RefTerm, Rule, Term, VarTerm, With } from "./ast.ts";

/** What a traversal may stand on. */
export type Visitable = Term | Expr | Body;

export interface Visitor {
  /** Called before the children; `false` leaves them out. */
  term?(term: Term): boolean | undefined;
  expr?(expr: Expr): boolean | undefined;
  with?(modifier: With): boolean | undefined;
}

/** Visits a term, expression or body and everything inside, in source order. */
export function visit(node: Visitable, visitor: Visitor): void {
  if (Array.isArray(node)) for (const expr of node as Body) visitExpr(expr, visitor);
  else if ("form" in node) visitExpr(node, visitor);
  else visitTerm(node as Term, visitor);
}

function visitTerm(term: Term, visitor: Visitor): void {
  if (visitor.term?.(term) === false) return;
  switch (term.kind) {
    case "ref":
      for (const part of term.terms) visitTerm(part, visitor);
      return;
    case "array":
    case "set":
      for (const item of term.items) visitTerm(item, visitor);
      return;
    case "object":
      for (const [key, value] of term.entries) {
        visitTerm(key, visitor);
        visitTerm(value, visitor);
      }
      return;
    case "arraycomprehension":
    case "setcomprehension":
      visitTerm(term.term, visitor);
      visit(term.body, visitor);
      return;
    case "objectcomprehension":
      visitTerm(term.key, visitor);
      visitTerm(term.value, visitor);
      visit(term.body, visitor);
      return;
    case "call":
      visitTerm(term.operator, visitor);
      for (const arg of term.args) visitTerm(arg, visitor);
      return;
    case "templatestring":
      for (const part of term.parts) visit(part, visitor);
      return;
    case "null":
    case "boolean":
    case "number":
    case "string":
    case "var":
  }
}

function visitExpr(expr: Expr, visitor: Visitor): void {
  if (visitor.expr?.(expr) === false) return;
  const { form } = expr;
  switch (form.kind) {
    case "term":
      visitTerm(form.term, visitor);
      break;
    case "call":
      visitTerm(form.operator, visitor);
      for (const arg of form.args) visitTerm(arg, visitor);
      break;
    case "some":
      for (const symbol of form.symbols) visitTerm(symbol, visitor);
      break;
    case "every":
      if (form.key !== undefined) visitTerm(form.key, visitor);
      visitTerm(form.value, visitor);
      visitTerm(form.domain, visitor);
      visit(form.body, visitor);
      break;
    case "not":
      visit(form.body, visitor);
      break;
    case "logical":
      visit(form.left, visitor);
      visit(form.right, visitor);
  }
  for (const modifier of expr.with) {
    if (visitor.with?.(modifier) === false) continue;
    visitTerm(modifier.target, visitor);
    visitTerm(modifier.value, visitor);
  }
}

/** Visits every term of a node, outer before inner. A visitor that answers `false` does not see the term's children. */
export function walkTerms(node: Visitable, visitor: (term: Term) => boolean | undefined): void {
  visit(node, { term: visitor });
}

/** Visits the terms of a head and body, of a default value and of all `else` branches. */
export function walkRule(rule: Rule, visitor: Visitor): void {
  for (let branch: Rule | undefined = rule; branch !== undefined; branch = branch.else) {
    const { head } = branch;
    visit(head.reference, visitor);
    for (const arg of head.args ?? []) visit(arg, visitor);
    if (head.key !== undefined) visit(head.key, visitor);
    if (head.value !== undefined) visit(head.value, visitor);
    visit(branch.body, visitor);
  }
}

export function walkModule(module: Module, visitor: Visitor): void {
  for (const rule of module.rules) walkRule(rule, visitor);
}

export interface Mapper {
  /** Called after the children were mapped. Answer the same term to keep it. */
  term?(term: Term): Term;
  expr?(expr: Expr): Expr;
  /** Called before the children; an answer replaces the term without looking inside. */
  before?(term: Term): Term | undefined;
  /** Maps a nested body as a whole: that of a comprehension, `every`, `not` or logical operand. */
  body?(body: Body): Body;
  /** Leave comprehensions alone. */
  readonly skipClosures?: boolean;
}

/** A copy of a term with a mapper's replacements. Unchanged parts are shared with the original. */
export function mapTerm(term: Term, mapper: Mapper): Term {
  const replaced = mapper.before?.(term);
  if (replaced !== undefined) return replaced;
  const mapped = mapTermChildren(term, mapper);
  return mapper.term === undefined ? mapped : mapper.term(mapped);
}

/** As `mapTerm`, for the children only. */
export function mapTermChildren(term: Term, mapper: Mapper): Term {
  switch (term.kind) {
    case "ref": {
      const terms = mapList(term.terms, (part) => mapTerm(part, mapper));
      return terms === term.terms ? term : { ...term, terms };
    }
    case "array":
    case "set": {
      const items = mapList(term.items, (item) => mapTerm(item, mapper));
      return items === term.items ? term : { ...term, items };
    }
    case "object": {
      const entries = mapList(term.entries, (entry) => {
        const [key, value] = entry;
        const newKey = mapTerm(key, mapper);
        const newValue = mapTerm(value, mapper);
        return newKey === key && newValue === value ? entry : ([newKey, newValue] as const);
      });
      return entries === term.entries ? term : { ...term, entries };
    }
    case "arraycomprehension":
    case "setcomprehension": {
      if (mapper.skipClosures === true) return term;
      const head = mapTerm(term.term, mapper);
      const body = mapNested(term.body, mapper);
      return head === term.term && body === term.body ? term : { ...term, term: head, body };
    }
    case "objectcomprehension": {
      if (mapper.skipClosures === true) return term;
      const key = mapTerm(term.key, mapper);
      const value = mapTerm(term.value, mapper);
      const body = mapNested(term.body, mapper);
      return key === term.key && value === term.value && body === term.body ? term : { ...term, key, value, body };
    }
    case "call": {
      const operator = mapTerm(term.operator, mapper) as RefTerm;
      const args = mapList(term.args, (arg) => mapTerm(arg, mapper));
      return operator === term.operator && args === term.args ? term : { ...term, operator, args };
    }
    case "templatestring": {
      const parts = mapList(term.parts, (part) => ("form" in part ? mapExpr(part, mapper) : part));
      return parts === term.parts ? term : { ...term, parts };
    }
    case "null":
    case "boolean":
    case "number":
    case "string":
    case "var":
      return term;
  }
}

export function mapBody(body: Body, mapper: Mapper): Body {
  return mapList(body, (expr) => mapExpr(expr, mapper));
}

function mapNested(body: Body, mapper: Mapper): Body {
  return mapper.body === undefined ? mapBody(body, mapper) : mapper.body(body);
}

export function mapExpr(expr: Expr, mapper: Mapper): Expr {
  const form = mapForm(expr.form, mapper);
  const withs = mapList(expr.with, (modifier) => mapWith(modifier, mapper));
  const mapped = form === expr.form && withs === expr.with ? expr : { ...expr, form, with: withs };
  return mapper.expr === undefined ? mapped : mapper.expr(mapped);
}

function mapWith(modifier: With, mapper: Mapper): With {
  const target = mapTerm(modifier.target, mapper) as RefTerm | VarTerm;
  const value = mapTerm(modifier.value, mapper);
  return target === modifier.target && value === modifier.value ? modifier : { ...modifier, target, value };
}

function mapForm(form: ExprForm, mapper: Mapper): ExprForm {
  switch (form.kind) {
    case "term": {
      const term = mapTerm(form.term, mapper);
      if (term === form.term) return form;
      return term.kind === "call" ? { kind: "call", operator: term.operator, args: term.args } : { kind: "term", term };
    }
    case "call": {
      const operator = mapTerm(form.operator, mapper) as RefTerm;
      const args = mapList(form.args, (arg) => mapTerm(arg, mapper));
      return operator === form.operator && args === form.args ? form : { ...form, operator, args };
    }
    case "some": {
      const symbols = mapList(form.symbols, (symbol) => mapTerm(symbol, mapper));
      return symbols === form.symbols ? form : { ...form, symbols };
    }
    case "every": {
      const key = form.key && (mapTerm(form.key, mapper) as VarTerm);
      const value = mapTerm(form.value, mapper) as VarTerm;
      const domain = mapTerm(form.domain, mapper);
      const body = mapNested(form.body, mapper);
      const same = key === form.key && value === form.value && domain === form.domain && body === form.body;
      return same ? form : { ...form, key, value, domain, body };
    }
    case "not": {
      const body = mapNested(form.body, mapper);
      return body === form.body ? form : { ...form, body };
    }
    case "logical": {
      const left = mapNested(form.left, mapper);
      const right = mapNested(form.right, mapper);
      return left === form.left && right === form.right ? form : { ...form, left, right };
    }
  }
}

/** Maps a list, and answers the same list if no item changed. */
export function mapList<T>(list: readonly T[], map: (item: T) => T): readonly T[] {
  let result: T[] | undefined;
  for (let i = 0; i < list.length; i++) {
    const item = list[i] as T;
    const mapped = map(item);
    if (result === undefined && mapped !== item) result = list.slice(0, i);
    result?.push(mapped);
  }
  return result ?? list;
}

/** No variables. The head of a ref is a name, not a variable to be bound, and does not count. */
export function isGroundTerm(term: Term): boolean {
  let ground = true;
  walkTerms(term, (inner) => {
    if (inner.kind === "var") ground = false;
    if (inner.kind !== "ref") return ground;
    const [head, ...path] = inner.terms;
    if (head !== undefined && head.kind !== "var" && !isGroundTerm(head)) ground = false;
    for (const part of path) if (!isGroundTerm(part)) ground = false;
    return false;
  });
  return ground;
}

/** The same term with one place for all of its parts. */
export function relocateTerm<T extends Term>(term: T, at: Location): T {
  return mapTerm(term, relocation(at)) as T;
}

export function relocateExpr(expr: Expr, at: Location): Expr {
  return mapExpr(expr, relocation(at));
}

/** The name keeps its place. */
export function relocateHead(head: Head, at: Location): Head {
  return {
    ...head,
    args: head.args?.map((arg) => relocateTerm(arg, at)),
    key: head.key && relocateTerm(head.key, at),
    value: head.value && relocateTerm(head.value, at),
    at,
  };
}

function relocation(at: Location): Mapper {
  return {
    term: (term) => ({ ...term, at }),
    expr: (expr) => ({
      ...expr,
      at,
      form: "at" in expr.form ? { ...expr.form, at } : expr.form,
      with: expr.with.map((modifier) => ({ ...modifier, at })),
    }),
  };
}
