import type { Body, Expr, RefTerm, Term, With } from "../syntax/index.ts";

/** Which variables to leave out. */
export interface VarParams {
  /** Heads of refs. */
  readonly skipRefHead?: boolean;
  /** Heads of the refs that are called or stand in `with`. */
  readonly skipRefCallHead?: boolean;
  readonly skipObjectKeys?: boolean;
  /** Bodies of comprehensions, `every`, `not`, `and`, `or`; template strings. */
  readonly skipClosures?: boolean;
  readonly skipSets?: boolean;
  /** Called with bodies of `not`, `and` and `or` that nobody wrote as such; instead of skipping them. */
  readonly implicitBody?: (body: Body, into: Set<string>) => void;
}

export type VarNode = Term | Expr | With;

/** Names of the variables under a node, operators' heads included unless left out. */
export function varsOf(node: VarNode, params: VarParams = {}): Set<string> {
  const into = new Set<string>();
  addVars(node, into, params);
  return into;
}

const NO_PARAMS: VarParams = {};

export function addVars(node: VarNode, into: Set<string>, params: VarParams = NO_PARAMS): void {
  if ("form" in node) addExprVars(node, into, params);
  else if ("kind" in node) addTermVars(node, into, params);
  else addWithVars(node, into, params);
}

export function addBodyVars(body: Body, into: Set<string>, params: VarParams = NO_PARAMS): void {
  for (const expr of body) addExprVars(expr, into, params);
}

function addTermVars(term: Term, into: Set<string>, params: VarParams): void {
  switch (term.kind) {
    case "null":
    case "boolean":
    case "number":
    case "string":
      return;
    case "var":
      into.add(term.name);
      return;
    case "ref":
      for (let i = params.skipRefHead === true ? 1 : 0; i < term.terms.length; i++)
        addTermVars(term.terms[i] as Term, into, params);
      return;
    case "array":
      for (const item of term.items) addTermVars(item, into, params);
      return;
    case "set":
      if (params.skipSets !== true) for (const item of term.items) addTermVars(item, into, params);
      return;
    case "object":
      for (const [key, value] of term.entries) {
        if (params.skipObjectKeys !== true) addTermVars(key, into, params);
        addTermVars(value, into, params);
      }
      return;
    case "arraycomprehension":
    case "setcomprehension":
      if (params.skipClosures === true) return;
      addTermVars(term.term, into, params);
      addBodyVars(term.body, into, params);
      return;
    case "objectcomprehension":
      if (params.skipClosures === true) return;
      addTermVars(term.key, into, params);
      addTermVars(term.value, into, params);
      addBodyVars(term.body, into, params);
      return;
    case "call":
      addCallVars(term.operator, term.args, into, params);
      return;
    case "templatestring":
      if (params.skipClosures === true) return;
      for (const part of term.parts) if ("form" in part) addExprVars(part, into, params);
      return;
  }
}

function addCallVars(operator: RefTerm, args: readonly Term[], into: Set<string>, params: VarParams): void {
  if (params.skipRefCallHead === true) for (const part of operator.terms.slice(1)) addTermVars(part, into, params);
  else addTermVars(operator, into, params);
  for (const arg of args) addTermVars(arg, into, params);
}

function addExprVars(expr: Expr, into: Set<string>, params: VarParams): void {
  const { form } = expr;
  switch (form.kind) {
    case "term":
      addTermVars(form.term, into, params);
      break;
    case "call":
      addCallVars(form.operator, form.args, into, params);
      break;
    case "some":
      for (const symbol of form.symbols) addTermVars(symbol, into, params);
      break;
    case "every":
      if (params.skipClosures === true) {
        addTermVars(form.domain, into, params);
        return;
      }
      if (form.key !== undefined) into.add(form.key.name);
      into.add(form.value.name);
      addTermVars(form.domain, into, params);
      addBodyVars(form.body, into, params);
      break;
    case "not":
      addClosure(form.body, form.explicit, into, params);
      break;
    case "logical":
      addClosure(form.left, form.explicitLeft === true, into, params);
      addClosure(form.right, form.explicitRight === true, into, params);
      break;
  }
  for (const modifier of expr.with) addWithVars(modifier, into, params);
}

function addClosure(body: Body, explicit: boolean, into: Set<string>, params: VarParams): void {
  if (params.implicitBody !== undefined) {
    if (!explicit) params.implicitBody(body, into);
  } else if (params.skipClosures !== true) addBodyVars(body, into, params);
}

function addWithVars({ target, value }: With, into: Set<string>, params: VarParams): void {
  if (params.skipRefCallHead !== true) {
    addTermVars(target, into, params);
    addTermVars(value, into, params);
    return;
  }
  if (target.kind === "ref") for (const part of target.terms.slice(1)) addTermVars(part, into, params);
  if (value.kind === "ref") for (const part of value.terms.slice(1)) addTermVars(part, into, params);
  else addTermVars(value, into, params);
}
