import type { Body, Expr, Rule, Term } from "../syntax/index.ts";
import { type ArityOf, type Environment, sourceName } from "./context.ts";
import { mapBody, mapChildren, mapExpr, type Mapper, mapperOf, mapRule } from "./map.ts";
import { outputsOfBody, VISIBLE } from "./outputs.ts";
import { addVars, varsOf } from "./vars.ts";
import {
  callExpr,
  equals,
  isCallOf,
  isGenerated,
  numbered,
  refOf,
  ROOT_DOCUMENTS,
  termExpr,
  varTerm,
  walkBody,
} from "./walk.ts";

/** Erases every `print` statement; a body of nothing else becomes `true`. */
export const erasePrints: Mapper = mapperOf((self) => ({
  body: (body) => {
    const kept = body.filter((expr) => !isCallOf(expr, "print"));
    if (kept.length === body.length) return mapBody(body, self);
    const at = (body[0] as Expr).at;
    if (kept.length === 0) return [termExpr({ kind: "boolean", value: true, at }, at)];
    return numbered(mapBody(kept, self));
  },
}));

/**
 * Makes `print(a, b)` into `internal.print([{l | l = a}, {l | l = b}])`: undefined operands print as `<undefined>` and never
 * fail the body. Operands may only use what is bound before them, since printing must not change the order of the body.
 * @source OPA v1/ast/compile.go, rewritePrintCalls
 */
export function rewritePrints(rule: Rule, environment: Environment, arityOf: ArityOf): Rule {
  const globals = new Set(ROOT_DOCUMENTS);
  for (const arg of rule.head.args ?? []) addVars(arg, globals);
  return mapRule(rule, printMapper(environment, arityOf, globals));
}

export function rewritePrintsInBody(body: Body, environment: Environment, arityOf: ArityOf): Body {
  return printMapper(environment, arityOf, ROOT_DOCUMENTS).body(body);
}

function printMapper(environment: Environment, arityOf: ArityOf, globals: ReadonlySet<string>): Mapper {
  const mapper: Mapper = {
    term: (term) => mapChildren(term, mapper),
    expr: (expr) => mapExpr(expr, mapper),
    body: (body) => {
      const result: Expr[] = [];
      for (const [i, expr] of body.entries()) {
        const before = body.slice(0, i);
        if (!isCallOf(expr, "print")) {
          if (!hasClosures(expr)) result.push(expr);
          else {
            const safe = new Set([...globals, ...outputsOfBody(before, arityOf, globals)]);
            if (expr.form.kind === "every") {
              if (expr.form.key !== undefined) safe.add(expr.form.key.name);
              safe.add(expr.form.value.name);
            }
            result.push(mapExpr(expr, printMapper(environment, arityOf, safe)));
          }
          continue;
        }
        const safe = new Set([...globals, ...outputsOfBody(before, arityOf, globals)]);
        for (const other of before) for (const name of varsOf(other)) if (isGenerated(name)) safe.add(name);
        const inner = printMapper(environment, arityOf, safe);
        result.push(printCall(expr, environment, safe, inner));
      }
      return result;
    },
  };
  return mapper;
}

function printCall(expr: Expr, environment: Environment, safe: ReadonlySet<string>, inner: Mapper): Expr {
  if (expr.form.kind !== "call") return expr;
  let bad = false;
  for (const arg of expr.form.args) {
    for (const name of [...varsOf(arg, VISIBLE)].sort()) {
      if (safe.has(name)) continue;
      bad = true;
      environment.findings.add("rego_compile_error", `var ${sourceName(environment, name)} is undeclared`, arg.at);
    }
  }
  if (bad) return expr;
  const items = expr.form.args.map((arg): Term => captureSet(inner.term(arg), environment));
  const { at } = expr;
  return callExpr(refOf("internal.print", at), [{ kind: "array", items, at }], at, {
    index: expr.index,
    with: expr.with,
    negated: expr.negated,
  });
}

/** `{l | l = term}`: empty where the term is undefined. */
export function captureSet(term: Term, environment: Pick<Environment, "names">, modifiers: Expr["with"] = []): Term {
  const name = environment.names.make();
  const capture: Expr = { ...equals(name, term), generated: false, with: modifiers };
  return { kind: "setcomprehension", term: varTerm(name, term.at), body: [capture], at: term.at };
}

function hasClosures(expr: Expr): boolean {
  let found = false;
  walkBody([expr], {
    body: () => found,
    expr: ({ form }) => {
      if (form.kind === "every" || form.kind === "not" || form.kind === "logical") found = true;
      return found;
    },
    term: (term) => {
      if (term.kind === "arraycomprehension" || term.kind === "setcomprehension" || term.kind === "objectcomprehension")
        found = true;
      return found;
    },
  });
  return found;
}
