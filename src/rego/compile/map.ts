import type { Body, Expr, RefTerm, Rule, Term, VarTerm, With } from "../syntax/index.ts";

/** Makes nodes anew. A function replaces a node whole; it calls `mapChildren` itself for what is below. Unchanged nodes stay the same object. */
export interface Mapper {
  readonly term: (term: Term) => Term;
  readonly expr: (expr: Expr) => Expr;
  readonly body: (body: Body) => Body;
}

/** @param make receives the mapper under construction, for recursion. */
export function mapperOf(make: (self: Mapper) => Partial<Mapper>): Mapper {
  const self: Mapper = {
    term: (term) => mapChildren(term, self),
    expr: (expr) => mapExpr(expr, self),
    body: (body) => mapBody(body, self),
  };
  return Object.assign(self, make(self));
}

export function mapList<T>(items: readonly T[], change: (item: T) => T): readonly T[] {
  let changed: T[] | undefined;
  for (let i = 0; i < items.length; i++) {
    const item = items[i] as T;
    const next = change(item);
    if (next !== item && changed === undefined) changed = items.slice(0, i);
    changed?.push(next);
  }
  return changed ?? items;
}

export function mapChildren(term: Term, mapper: Mapper): Term {
  switch (term.kind) {
    case "null":
    case "boolean":
    case "number":
    case "string":
    case "var":
      return term;
    case "ref": {
      const terms = mapList(term.terms, mapper.term);
      return terms === term.terms ? term : { ...term, terms };
    }
    case "array":
    case "set": {
      const items = mapList(term.items, mapper.term);
      return items === term.items ? term : { ...term, items };
    }
    case "object": {
      const entries = mapList(term.entries, (entry) => {
        const key = mapper.term(entry[0]);
        const value = mapper.term(entry[1]);
        return key === entry[0] && value === entry[1] ? entry : ([key, value] as const);
      });
      return entries === term.entries ? term : { ...term, entries };
    }
    case "arraycomprehension":
    case "setcomprehension": {
      const head = mapper.term(term.term);
      const body = mapper.body(term.body);
      return head === term.term && body === term.body ? term : { ...term, term: head, body };
    }
    case "objectcomprehension": {
      const key = mapper.term(term.key);
      const value = mapper.term(term.value);
      const body = mapper.body(term.body);
      return key === term.key && value === term.value && body === term.body ? term : { ...term, key, value, body };
    }
    case "call": {
      const operator = mapper.term(term.operator) as RefTerm;
      const args = mapList(term.args, mapper.term);
      return operator === term.operator && args === term.args ? term : { ...term, operator, args };
    }
    case "templatestring": {
      const parts = mapList(term.parts, (part) => ("form" in part ? mapper.expr(part) : part));
      return parts === term.parts ? term : { ...term, parts };
    }
  }
}

export function mapExpr(expr: Expr, mapper: Mapper): Expr {
  const form = mapForm(expr.form, mapper);
  const modifiers = mapList(expr.with, (modifier) => mapWith(modifier, mapper));
  return form === expr.form && modifiers === expr.with ? expr : { ...expr, form, with: modifiers };
}

export function mapForm(form: Expr["form"], mapper: Mapper): Expr["form"] {
  switch (form.kind) {
    case "term": {
      const term = mapper.term(form.term);
      if (term === form.term) return form;
      return term.kind === "call" ? { kind: "call", operator: term.operator, args: term.args } : { kind: "term", term };
    }
    case "call": {
      const operator = mapper.term(form.operator) as RefTerm;
      const args = mapList(form.args, mapper.term);
      return operator === form.operator && args === form.args ? form : { ...form, operator, args };
    }
    case "some": {
      const symbols = mapList(form.symbols, mapper.term);
      return symbols === form.symbols ? form : { ...form, symbols };
    }
    case "every": {
      const key = form.key === undefined ? undefined : (mapper.term(form.key) as VarTerm);
      const value = mapper.term(form.value) as VarTerm;
      const domain = mapper.term(form.domain);
      const body = mapper.body(form.body);
      return key === form.key && value === form.value && domain === form.domain && body === form.body
        ? form
        : { ...form, key, value, domain, body };
    }
    case "not": {
      const body = mapper.body(form.body);
      return body === form.body ? form : { ...form, body };
    }
    case "logical": {
      const left = mapper.body(form.left);
      const right = mapper.body(form.right);
      return left === form.left && right === form.right ? form : { ...form, left, right };
    }
  }
}

export function mapWith(modifier: With, mapper: Mapper): With {
  const target = mapper.term(modifier.target) as RefTerm | VarTerm;
  const value = mapper.term(modifier.value);
  return target === modifier.target && value === modifier.value ? modifier : { ...modifier, target, value };
}

export function mapBody(body: Body, mapper: Mapper): Body {
  return mapList(body, mapper.expr);
}

/** Arguments, key, value and body of one branch; not the reference. */
export function mapRule(rule: Rule, mapper: Mapper): Rule {
  const { head } = rule;
  const args = head.args === undefined ? undefined : mapList(head.args, mapper.term);
  const key = head.key === undefined ? undefined : mapper.term(head.key);
  const value = head.value === undefined ? undefined : mapper.term(head.value);
  const body = mapper.body(rule.body);
  const headSame = args === head.args && key === head.key && value === head.value;
  return headSame && body === rule.body
    ? rule
    : { ...rule, head: headSame ? head : { ...head, args, key, value }, body };
}
