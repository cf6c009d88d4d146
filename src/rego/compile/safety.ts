import { type Body, type Expr, type Head, isScalar, type Rule, type Term } from "../syntax/index.ts";
import { type ArityOf, type Environment, type Findings, sourceName } from "./context.ts";
import { mapChildren, mapForm, mapList, type Mapper, mapWith } from "./map.ts";
import { outputsOf, outputsOfEquality, VISIBLE } from "./outputs.ts";
import type { Names } from "./program.ts";
import { refText } from "./text.ts";
import { addBodyVars, addVars, type VarParams, varsOf } from "./vars.ts";
import {
  branchesOf,
  chainBranches,
  isEquality,
  isGenerated,
  isWildcard,
  numbered,
  ROOT_DOCUMENTS,
  walkExpr,
} from "./walk.ts";

/**
 * Orders bodies so that every variable is bound before it is needed, and finds those that never are.
 * The order is stable: a literal moves only behind those it needs.
 * @source OPA v1/ast/compile.go, reorderBodyForSafety
 */

/** Expressions and the variables that stay unbound in them. */
type Unsafe = Map<Expr, Set<string>>;

interface Ordered {
  readonly body: Body;
  readonly unsafe: Unsafe;
}

interface Literal {
  readonly expr: Expr;
  /** Variables the expression shows, and those its closures share with the body. */
  readonly direct: ReadonlySet<string>;
  readonly closed: ReadonlySet<string>;
  placed: boolean;
  /** A variable it mentions became safe since it was last looked at. */
  stale: boolean;
  unsafe: Set<string>;
}

export function orderBody(body: Body, arityOf: ArityOf, globals: ReadonlySet<string>): Ordered {
  const params = visibleWith(arityOf);
  const bodyVars = new Set<string>();
  addBodyVars(body, bodyVars, params);
  const safe = new Set<string>();
  for (const name of bodyVars) if (globals.has(name)) safe.add(name);

  const mentions = new Map<string, Literal[]>();
  const literals = body.map((expr) => {
    const direct = varsOf(expr, params);
    const closed = new Set<string>();
    for (const name of closureVars(expr)) if (bodyVars.has(name) && !globals.has(name)) closed.add(name);
    const literal: Literal = { expr, direct, closed, placed: false, stale: true, unsafe: minus(direct, safe) };
    for (const name of new Set([...direct, ...closed])) {
      const list = mentions.get(name);
      if (list === undefined) mentions.set(name, [literal]);
      else list.push(literal);
    }
    return literal;
  });

  const placed: Literal[] = [];
  for (let before = -1; before < placed.length; ) {
    before = placed.length;
    for (const literal of literals) {
      if (literal.placed || !literal.stale) continue;
      literal.stale = false;
      const outputs = outputsOf(literal.expr, arityOf, safe);
      if (literal.closed.size > 0) {
        // A comprehension that needs what its own expression binds (`x = [y | y = x]`) stays unsafe.
        if (equalSets(literal.closed, outputs)) continue;
        // From here on OPA only asks for what the closures need: `[x | x == y] != z` passes, whatever `z` is.
        literal.unsafe = new Set(literal.closed);
      }
      literal.unsafe = minus(minus(literal.unsafe, safe), outputs);
      if (literal.unsafe.size > 0) continue;
      literal.placed = true;
      placed.push(literal);
      for (const name of outputs) {
        if (safe.has(name)) continue;
        safe.add(name);
        for (const other of mentions.get(name) ?? []) other.stale = true;
      }
    }
  }

  const unsafe: Unsafe = new Map();
  for (const literal of literals) if (!literal.placed) unsafe.set(literal.expr, literal.unsafe);

  // Closures see what the literals before them bind.
  const inner = new Set(globals);
  let last: Literal | undefined;
  const ordered = placed.map((literal) => {
    if (last !== undefined) for (const name of last.direct) inner.add(name);
    last = literal;
    return orderClosures(literal.expr, arityOf, inner, unsafe);
  });
  return { body: numbered(ordered), unsafe };
}

function equalSets(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && minus(a, b).size === 0;
}

function minus(set: ReadonlySet<string>, other: ReadonlySet<string>): Set<string> {
  const rest = new Set<string>();
  for (const name of set) if (!other.has(name)) rest.add(name);
  return rest;
}

function visibleWith(arityOf: ArityOf): VarParams {
  return { ...VISIBLE, implicitBody: (body, into) => addNeededVars(body, arityOf, into) };
}

/**
 * Variables that an implicit body of `not`, `and` or `or` needs from outside: all of a single literal; of several, those that
 * no literal of the body binds for another.
 */
function addNeededVars(body: Body, arityOf: ArityOf, into: Set<string>): void {
  const occurrences = new Map<string, number>();
  for (const expr of body)
    for (const name of varsOf(expr, VISIBLE)) occurrences.set(name, (occurrences.get(name) ?? 0) + 1);
  if (body.length === 1) {
    for (const name of occurrences.keys()) into.add(name);
    return;
  }
  const bound = new Set<string>();
  for (const expr of body) {
    const { form } = expr;
    if (form.kind !== "call") continue;
    if (isEquality(expr)) {
      const [left, right] = form.args;
      if (form.args.length === 2) {
        for (const name of outputsOfEquality(
          left as Term,
          right as Term,
          new Set(),
          expr.fromAssignment === true,
          expr,
        ))
          bound.add(name);
      }
      continue;
    }
    const arity = arityOf(form.operator);
    if (arity === undefined) continue;
    for (const arg of form.args.slice(arity)) {
      addVars(arg, bound, { skipClosures: true, skipSets: true, skipObjectKeys: true, skipRefHead: true });
    }
  }
  for (const [name, count] of occurrences) if (!bound.has(name) || count === 1) into.add(name);
}

/** Variables inside the closures of an expression. */
function closureVars(expr: Expr): Set<string> {
  const vars = new Set<string>();
  walkExpr(expr, {
    expr: ({ form }) => {
      switch (form.kind) {
        case "every":
        case "not":
          addBodyVars(form.body, vars);
          return true;
        case "logical":
          addBodyVars(form.left, vars);
          addBodyVars(form.right, vars);
          return true;
        default:
          return false;
      }
    },
    term: (term) => {
      switch (term.kind) {
        case "arraycomprehension":
        case "setcomprehension":
        case "objectcomprehension":
          addVars(term, vars);
          return true;
        default:
          return false;
      }
    },
  });
  return vars;
}

/** Orders the bodies of closures in an expression. */
function orderClosures(expr: Expr, arityOf: ArityOf, globals: Set<string>, unsafe: Unsafe): Expr {
  const closure = (body: Body, head: ReadonlySet<string>): Body => {
    const known = new Set(globals);
    addBodyVars(body, known, visibleWith(arityOf));
    for (const name of head) {
      if (known.has(name)) continue;
      const vars = unsafe.get(expr);
      if (vars === undefined) unsafe.set(expr, new Set([name]));
      else vars.add(name);
    }
    const ordered = orderBody(body, arityOf, globals);
    if (ordered.unsafe.size === 0) return ordered.body;
    for (const [inner, vars] of ordered.unsafe) unsafe.set(inner, new Set([...(unsafe.get(inner) ?? []), ...vars]));
    return body;
  };
  const mapper: Mapper = {
    body: (body) => closure(body, new Set()),
    expr: (inner) => mapLiteral(inner),
    term: (term) => {
      switch (term.kind) {
        case "arraycomprehension":
        case "setcomprehension":
          return { ...term, body: closure(term.body, varsOf(term.term)) };
        case "objectcomprehension":
          return { ...term, body: closure(term.body, new Set([...varsOf(term.key), ...varsOf(term.value)])) };
        default:
          return mapChildren(term, mapper);
      }
    },
  };
  const mapLiteral = (literal: Expr): Expr => {
    const { form } = literal;
    if (form.kind === "every") {
      if (form.key !== undefined) globals.add(form.key.name);
      globals.add(form.value.name);
    }
    const mapped = mapForm(form, mapper);
    const modifiers = mapList(literal.with, (modifier) => mapWith(modifier, mapper));
    return mapped === form && modifiers === literal.with ? literal : { ...literal, form: mapped, with: modifiers };
  };
  return mapLiteral(expr);
}

const FUTURE_KEYWORDS: ReadonlySet<string> = new Set(["in", "every", "contains", "if", "not", "and", "or"]);

/** Orders the bodies of a rule's branches; reports unsafe variables. */
export function orderRule(
  rule: Rule,
  environment: Environment,
  arityOf: ArityOf,
  scopes: RuleRows,
  suggest: Suggest,
): Rule {
  const branches = branchesOf(rule).map((branch) => {
    const globals = new Set(ROOT_DOCUMENTS);
    for (const arg of branch.head.args ?? []) addVars(arg, globals);
    const { body, unsafe } = orderBody(branch.body, arityOf, globals);
    if (unsafe.size === 0) return { ...branch, body };
    reportUnsafe(unsafe, environment, environment.findings, scopes.suffix(branch), suggest);
    return branch;
  });
  return chainBranches(branches);
}

/** Advice about an unbound name, if there is any. */
export type Suggest = (name: string, expr: Expr) => string | undefined;

export function reportUnsafe(unsafe: Unsafe, names: Names, findings: Findings, suffix: string, suggest: Suggest): void {
  const first = new Map<string, Expr>();
  for (const [expr, vars] of unsafe) {
    for (const name of vars) {
      const known = first.get(name);
      if (known === undefined || compareAt(expr, known) < 0) first.set(name, expr);
    }
  }
  const sorted = [...first].sort(([, a], [, b]) => compareAt(a, b));
  let reported = false;
  for (const [name, expr] of sorted) {
    const source = names.sources.get(name) ?? name;
    if (isGenerated(source)) continue;
    reported = true;
    const shown = sourceName(names, name);
    const keyword = FUTURE_KEYWORDS.has(source)
      ? ` (hint: \`import future.keywords.${source}\` to import a future keyword)`
      : "";
    const hint = isWildcard(source) ? undefined : suggest(source, expr);
    findings.add(
      "rego_unsafe_var_error",
      `var ${shown} is unsafe${suffix}${keyword}`,
      expr.at,
      hint === undefined ? {} : { hint },
    );
  }
  if (reported) return;
  // Generated names mean nothing to anybody: name the expressions, each generated variable once.
  const seen = new Set<string>();
  for (const [expr, vars] of [...unsafe].sort(([a], [b]) => compareAt(a, b))) {
    const before = seen.size;
    for (const name of vars) if (isGenerated(name)) seen.add(name);
    if (seen.size > before) findings.add("rego_unsafe_var_error", `expression is unsafe${suffix}`, expr.at);
  }
}

function compareAt(a: Expr, b: Expr): number {
  return a.at.row === b.at.row ? a.at.col - b.at.col : a.at.row - b.at.row;
}

/** Every variable of a head must occur in its body or arguments. */
export function checkHead(rule: Rule, environment: Environment, scopes: RuleRows, suggest: Suggest): void {
  for (const branch of branchesOf(rule)) {
    const { head } = branch;
    if (!mayHaveVars(head)) continue;
    const known = new Set<string>();
    addBodyVars(branch.body, known, VISIBLE);
    for (const arg of head.args ?? []) addVars(arg, known);
    const reported = new Set<string>();
    for (const part of [...head.reference.terms.slice(1), head.key, head.value]) {
      if (part === undefined) continue;
      visitVars(part, (name, at) => {
        if (known.has(name) || reported.has(name)) return;
        reported.add(name);
        const source = environment.sources.get(name) ?? name;
        // OPA trusts what looks like its own names, and then fails on the variable's missing value.
        if (isGenerated(source) && !environment.names.isTaken(source)) return;
        const hint = isWildcard(source) ? undefined : suggest(source, undefined as never);
        environment.findings.add(
          "rego_unsafe_var_error",
          `var ${sourceName(environment, name)} is unsafe${scopes.suffix(branch)}`,
          at,
          hint === undefined ? {} : { hint },
        );
      });
    }
  }
}

function visitVars(term: Term, visit: (name: string, at: Term["at"]) => void): void {
  walkExpr(
    { form: { kind: "term", term: term as never }, negated: false, with: [], index: 0, generated: true, at: term.at },
    {
      term: (part) => {
        if (part.kind === "var") visit(part.name, part.at);
        return false;
      },
    },
  );
}

function mayHaveVars(head: Head): boolean {
  return (
    (head.args ?? []).some((arg) => !isScalar(arg)) ||
    (head.key !== undefined && !isScalar(head.key)) ||
    (head.value !== undefined && !isScalar(head.value)) ||
    head.reference.terms.slice(1).some((part) => !isScalar(part))
  );
}

/** Says ` in rule p` where a line holds rules of several names and the place alone is ambiguous. */
export class RuleRows {
  readonly #rules: readonly Rule[];
  #shared: ReadonlySet<number> | undefined;

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }

  suffix(rule: Rule): string {
    this.#shared ??= this.#sharedRows();
    return this.#shared.has(rule.at.row) ? ` in rule ${groundName(rule)}` : "";
  }

  #sharedRows(): ReadonlySet<number> {
    const first = new Map<number, string>();
    const shared = new Set<number>();
    for (const rule of this.#rules) {
      for (const branch of branchesOf(rule)) {
        const name = groundName(branch);
        const known = first.get(branch.at.row);
        if (known === undefined) first.set(branch.at.row, name);
        else if (known !== name) shared.add(branch.at.row);
      }
    }
    return shared;
  }
}

function groundName({ head }: Rule): string {
  const { terms } = head.reference;
  const end = terms.findIndex((term, i) => i > 0 && !isScalar(term));
  return refText({ terms: end === -1 ? terms : terms.slice(0, end) });
}
