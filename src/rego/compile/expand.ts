import {
  type ArrayTerm,
  type Body,
  type CallTerm,
  type Comprehension,
  compareTerms,
  type Expr,
  type ObjectTerm,
  type RefTerm,
  type Rule,
  type SetTerm,
  type Term,
  type VarTerm,
  type With,
} from "../syntax/index.ts";
import type { NameMaker } from "./context.ts";
import { mapChildren, mapExpr, mapList, type Mapper, mapperOf } from "./map.ts";
import {
  appendToBody,
  callExpr,
  equals,
  isComprehension,
  isEquality,
  numbered,
  operatorWord,
  refOf,
  varTerm,
  walkTerm,
} from "./walk.ts";

/**
 * The stages that flatten expressions, so that operands are evaluated before what uses them, from left to right.
 * @source OPA v1/ast/compile.go
 */
export interface Names {
  readonly names: NameMaker;
  readonly subjects: Map<string, Term>;
}

/** Calls nested in terms become expressions of their own: `f(g(x))` → `g(x, l); f(l)`. Needs locals to be rewritten. */
export function expandRule(rule: Rule, names: Names): Rule {
  const { head } = rule;
  let body = rule.body;
  const hoist = (term: Term): Term => {
    const { support, output } = expandTerm(term, names);
    body = appendToBody(body, support);
    return output;
  };
  const args = head.args === undefined ? undefined : mapList(head.args, hoist);
  const key = head.key === undefined ? undefined : hoist(head.key);
  const value = head.value === undefined ? undefined : hoist(head.value);
  return { ...rule, head: { ...head, args, key, value }, body: expandBody(body, names) };
}

export function expandBody(body: Body, names: Names): Body {
  return numbered(body.flatMap((expr) => expandExpr(expr, names)));
}

interface Expanded {
  readonly support: readonly Expr[];
  readonly output: Term;
}

function expandExpr(expr: Expr, names: Names): readonly Expr[] {
  const before: Expr[] = [];
  const modifiers = mapList(expr.with, (modifier) => {
    const { support, output } = expandTerm(modifier.value, names);
    before.push(...support);
    return output === modifier.value ? modifier : { ...modifier, value: output };
  });
  const within = (exprs: readonly Expr[]): readonly Expr[] =>
    modifiers.length === 0 ? exprs : exprs.map((support) => ({ ...support, with: modifiers }));
  const { form } = expr;
  const same = { ...expr, with: modifiers };
  switch (form.kind) {
    case "term": {
      const { support, output } = expandTerm(form.term, names);
      return [
        ...before,
        ...within(support),
        { ...same, form: { kind: "term", term: output as Exclude<Term, CallTerm> } },
      ];
    }
    case "call": {
      const args = form.args.map((arg) => {
        const { support, output } = expandTerm(arg, names);
        before.push(...within(support));
        return output;
      });
      return [...before, { ...same, form: { ...form, args } }];
    }
    case "every": {
      const domain = varTerm(names.names.make(), form.domain.at);
      const equality: Expr = { ...equals(domain.name, form.domain), with: modifiers };
      return [
        ...before,
        ...expandExpr(equality, names),
        { ...same, form: { ...form, domain, body: expandBody(form.body, names) } },
      ];
    }
    case "not":
      return [...before, { ...same, form: { ...form, body: expandBody(form.body, names) } }];
    case "logical":
      return [
        ...before,
        { ...same, form: { ...form, left: expandBody(form.left, names), right: expandBody(form.right, names) } },
      ];
    case "some":
      return [...before, same];
  }
}

function expandTerm(term: Term, names: Names): Expanded {
  switch (term.kind) {
    case "call": {
      const support: Expr[] = [];
      const args = term.args.map((arg) => {
        const expanded = expandTerm(arg, names);
        support.push(...expanded.support);
        return expanded.output;
      });
      const output = varTerm(names.names.make(), term.at);
      support.push(callExpr(term.operator, [...args, output], term.at, { generated: true }));
      return { support, output };
    }
    case "ref":
      return expandRef(term, names);
    case "array":
    case "object":
    case "set": {
      const support: Expr[] = [];
      const output = mapChildren(inOrder(term), {
        term: (part) => {
          const expanded = expandTerm(part, names);
          support.push(...expanded.support);
          return expanded.output;
        },
        expr: (expr) => expr,
        body: (body) => body,
      });
      return { support, output };
    }
    case "arraycomprehension":
    case "setcomprehension": {
      const { support, output } = expandTerm(term.term, names);
      return {
        support: [],
        output: { ...term, term: output, body: expandBody(appendToBody(term.body, support), names) },
      };
    }
    case "objectcomprehension": {
      const key = expandTerm(term.key, names);
      const value = expandTerm(term.value, names);
      const body = expandBody(appendToBody(appendToBody(term.body, key.support), value.support), names);
      return { support: [], output: { ...term, key: key.output, value: value.output, body } };
    }
    default:
      return { support: [], output: term };
  }
}

/** OPA keeps keys and members sorted, so that what they call runs, prints and fails in that order. */
function inOrder(term: ArrayTerm | ObjectTerm | SetTerm): Term {
  switch (term.kind) {
    case "array":
      return term;
    case "object":
      return { ...term, entries: term.entries.toSorted(([a], [b]) => compareTerms(a, b)) };
    case "set":
      return { ...term, items: term.items.toSorted(compareTerms) };
  }
}

function expandRef(ref: RefTerm, names: Names): Expanded {
  const support: Expr[] = [];
  const terms = ref.terms.map((part) => {
    const expanded = expandTerm(part, names);
    support.push(...expanded.support);
    if (part.kind === "call" && expanded.output.kind === "var") names.subjects.set(expanded.output.name, part);
    return expanded.output;
  });
  const head = terms[0] as Term;
  if (head.kind === "array" || head.kind === "object" || head.kind === "set" || isComprehension(head)) {
    const name = names.names.make();
    names.subjects.set(name, head);
    support.push(equals(name, head));
    terms[0] = varTerm(name, head.at);
  }
  return { support, output: { ...ref, terms } };
}

/** Refs or comprehensions in it: it cannot be taken as it stands. */
export function requiresEvaluation(term: Term): boolean {
  let found = false;
  walkTerm(term, {
    term: (part) => {
      if (part.kind === "ref" || isComprehension(part)) found = true;
      return found;
    },
  });
  return found;
}

/** The head of a comprehension becomes a variable of its body when it needs evaluation. Needs calls to be hoisted. */
export function comprehensionTermsOf(names: Names): Mapper {
  return mapperOf((self) => ({
    term: (term) => mapChildren(isComprehension(term) ? bindHead(term, names) : term, self),
  }));
}

function bindHead(term: Comprehension, names: Names): Comprehension {
  let { body } = term;
  const bind = (head: Term): Term => {
    if (!requiresEvaluation(head)) return head;
    const name = names.names.make();
    body = appendToBody(body, [equals(name, head)]);
    return varTerm(name, head.at);
  };
  if (term.kind === "objectcomprehension") {
    const key = bind(term.key);
    const value = bind(term.value);
    return { ...term, key, value, body };
  }
  const head = bind(term.term);
  return { ...term, term: head, body };
}

/** Refs and comprehensions of a head move into the body: `p := data.x` → `p := l if l = data.x`. */
export function rewriteRefsInHead(rule: Rule, names: Names): Rule {
  const { head } = rule;
  let { body } = rule;
  const bind = (term: Term): Term => {
    if (!requiresEvaluation(term)) return term;
    const name = names.names.make();
    body = appendToBody(body, [equals(name, term)]);
    return varTerm(name, term.at);
  };
  const key = head.key === undefined ? undefined : bind(head.key);
  const value = head.value === undefined ? undefined : bind(head.value);
  const args = head.args === undefined ? undefined : mapList(head.args, bind);
  return { ...rule, head: { ...head, args, key, value }, body };
}

/** Elements of a head's ref that are neither scalar nor variable become variables bound in the body. */
export function rewriteHeadRef(rule: Rule, names: Names): Rule {
  const { head } = rule;
  let { body } = rule;
  let { key } = head;
  const last = head.reference.terms.length - 1;
  const terms = head.reference.terms.map((term, i) => {
    if (
      i === 0 ||
      term.kind === "var" ||
      term.kind === "string" ||
      term.kind === "number" ||
      term.kind === "boolean" ||
      term.kind === "null"
    )
      return term;
    const variable = varTerm(names.names.make(), term.at);
    if (i === last && key !== undefined && head.value !== undefined) key = variable;
    body = appendToBody(body, [equals(variable.name, term)]);
    return variable;
  });
  return { ...rule, head: { ...head, reference: { ...head.reference, terms }, key }, body };
}

/** `==` as a statement means `=` in rules, once safety has been checked (for it binds nothing). */
export const equalsMapper: Mapper = mapperOf((self) => ({
  expr: (expr) => {
    const mapped = mapExpr(expr, self);
    const { form } = mapped;
    if (form.kind !== "call" || form.args.length !== 2 || operatorWord(form.operator) !== "equal") return mapped;
    return { ...mapped, form: { ...form, operator: refOf("eq", form.operator.at) } };
  },
}));

/**
 * Refs and comprehensions inside other terms are evaluated first, into variables: `f(data.x) = 1` → `l = data.x; f(l) = 1`.
 * The ref on a side of `=`, and a ref as a statement, stay.
 */
export function rewriteDynamics(body: Body, names: Names): Body {
  const result: Expr[] = [];
  for (const expr of body) result.push(...rewriteDynamicsIn(expr, names));
  return numbered(result);
}

function rewriteDynamicsIn(expr: Expr, names: Names): readonly Expr[] {
  const before: Expr[] = [];
  const top = (term: Term): Term => dynamicTop(term, expr.with, names, before);
  const one = (term: Term): Term => dynamicOne(term, expr.with, names, before);
  const { form } = expr;
  let changed: Expr["form"];
  switch (form.kind) {
    case "term":
      changed = { kind: "term", term: top(form.term) as Exclude<Term, CallTerm> };
      break;
    case "call":
      changed = { ...form, args: mapList(form.args, isEquality(expr) && form.args.length === 2 ? top : one) };
      break;
    case "every": {
      const domain = one(form.domain);
      changed = { ...form, domain, body: rewriteDynamics(form.body, names) };
      break;
    }
    case "not":
      changed = { ...form, body: rewriteDynamics(form.body, names) };
      break;
    case "logical":
      changed = { ...form, left: rewriteDynamics(form.left, names), right: rewriteDynamics(form.right, names) };
      break;
    case "some":
      changed = form;
  }
  return [...before, { ...expr, form: changed }];
}

function dynamicTop(term: Term, modifiers: readonly With[], names: Names, before: Expr[]): Term {
  if (term.kind === "ref") {
    const [head, ...rest] = term.terms;
    const parts = mapList(rest, (part) => dynamicOne(part, modifiers, names, before));
    return parts === rest ? term : { ...term, terms: [head as Term, ...parts] };
  }
  if (isComprehension(term)) return { ...term, body: rewriteDynamics(term.body, names) };
  return dynamicOne(term, modifiers, names, before);
}

function dynamicOne(term: Term, modifiers: readonly With[], names: Names, before: Expr[]): Term {
  switch (term.kind) {
    case "ref": {
      const flat = dynamicTop(term, modifiers, names, before);
      return dynamicVar(flat, modifiers, names, before);
    }
    case "array":
    case "set":
    case "object":
      return mapChildren(term, {
        term: (part) => dynamicOne(part, modifiers, names, before),
        expr: (expr) => expr,
        body: (body) => body,
      });
    case "arraycomprehension":
    case "setcomprehension":
    case "objectcomprehension":
      return dynamicVar({ ...term, body: rewriteDynamics(term.body, names) }, modifiers, names, before);
    default:
      return term;
  }
}

function dynamicVar(term: Term, modifiers: readonly With[], names: Names, before: Expr[]): VarTerm {
  const name = names.names.make();
  names.subjects.set(name, term);
  before.push({ ...equals(name, term), with: modifiers });
  return varTerm(name, term.at);
}
