import type { Location } from "../../base/index.ts";
import type { Module, RefTerm, Rule } from "../syntax/index.ts";
import { type ArityOf, type Environment, type Findings, sourceName } from "./context.ts";
import type { Names } from "./program.ts";
import { refText, termText } from "./text.ts";
import { TypeEnv } from "./type-env.ts";
import { arityError } from "./type-errors.ts";
import { isAssignment, operatorName, refHeadName, rootDocument, type Visitor } from "./walk.ts";

/** Functions without a result (`print`) cannot be used as values. @source OPA v1/ast/compile.go, checkVoidCalls */
export function voidCallVisitor({ signatures, findings }: Environment): Visitor {
  return {
    term: (term) => {
      if (term.kind !== "call") return false;
      const signature = signatures.get(operatorName(term.operator));
      if (signature !== undefined && signature.type.result === undefined) {
        findings.add("rego_type_error", `${termText(term)} used as value`, term.at);
      }
      return false;
    },
  };
}

/**
 * Every called function must exist, and get as many operands as it takes or one more for its output.
 * Needs calls to be hoisted. @source OPA v1/ast/compile.go, checkUndefinedFuncs
 */
export function functionVisitor(environment: Environment, arityOf: ArityOf): Visitor {
  const { findings, signatures } = environment;
  const types = new TypeEnv(() => undefined);
  return {
    expr: (expr) => {
      const { form } = expr;
      if (form.kind !== "call") return false;
      const arity = arityOf(form.operator);
      if (arity === undefined) {
        findings.add("rego_type_error", `undefined function ${shownRef(form.operator, environment)}`, expr.at);
        return true;
      }
      const operands = form.args.length;
      const fits = expr.generated
        ? operands === arity + 1 || operatorName(form.operator) === "eq"
        : operands === arity || operands === arity + 1;
      if (fits) return false;
      const shown = shownRef(form.operator, environment);
      const signature = signatures.get(operatorName(form.operator));
      if (signature !== undefined) {
        const have = form.args.map((arg) => types.typeOf(arg));
        const { unknownCause: _, ...finding } = arityError(expr.at, shown, have, signature.type);
        findings.report(finding);
      } else {
        const given = expr.generated ? operands - 1 : operands;
        findings.add(
          "rego_type_error",
          `function ${shown} has arity ${arity}, got ${given} argument${given === 1 ? "" : "s"}`,
          expr.at,
        );
      }
      return true;
    },
  };
}

function shownRef(operator: RefTerm, names: Names): string {
  return refText({
    terms: operator.terms.map((term) => (term.kind === "var" ? { ...term, name: sourceName(names, term.name) } : term)),
  });
}

/** Builtins the host forbids. */
export function unsafeBuiltinVisitor({ unsafeBuiltins, findings }: Environment): Visitor {
  return {
    expr: ({ form, at }) => {
      if (form.kind !== "call") return false;
      const name = operatorName(form.operator);
      if (unsafeBuiltins.has(name))
        findings.add("rego_type_error", `unsafe built-in function calls in expression: ${name}`, at);
      return false;
    },
  };
}

/** Builtins that v1 (and strict mode) no longer allows. */
export function deprecatedBuiltinVisitor({
  signatures,
  findings,
}: Pick<Environment, "signatures" | "findings">): Visitor {
  const check = (operator: RefTerm, at: Location): void => {
    const name = operatorName(operator);
    if (signatures.get(name)?.deprecated === true) {
      findings.add("rego_type_error", `deprecated built-in function calls in expression: ${name}`, at);
    }
  };
  return {
    term: (term) => {
      if (term.kind === "call") check(term.operator, term.operator.at);
      return false;
    },
    expr: ({ form, at }) => {
      if (form.kind === "call") check(form.operator, at);
      return false;
    },
  };
}

/** Rules and arguments named `input` or `data`. @source OPA v1/ast/rego_v1.go, checkRootDocumentOverrides */
export function checkRuleNames(rules: readonly Rule[], findings: Findings): void {
  for (const { head, at } of rules) {
    const name = refHeadName(head.reference);
    if (name === "input" || name === "data")
      findings.add("rego_compile_error", `rules must not shadow ${name} (use a different rule name)`, at);
    for (const arg of head.args ?? []) {
      const root = rootDocument(arg);
      if (root !== undefined)
        findings.add("rego_compile_error", `args must not shadow ${root} (use a different variable name)`, arg.at);
    }
  }
}

/** `input := …` */
export function rootAssignmentVisitor(findings: Findings): Visitor {
  return {
    expr: (expr) => {
      if (!isAssignment(expr) || expr.form.kind !== "call") return false;
      const [target] = expr.form.args;
      const root = target === undefined ? undefined : rootDocument(target);
      if (root !== undefined)
        findings.add(
          "rego_compile_error",
          `variables must not shadow ${root} (use a different variable name)`,
          expr.at,
        );
      return false;
    },
  };
}

/** The module is of a version in which what v1 forbids is an error. */
export function isV1Compatible({ version }: Module): boolean {
  return version !== "v0";
}
