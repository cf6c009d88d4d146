import type { Body, Expr, RefTerm, Term } from "../syntax/index.ts";
import type { ArityOf } from "./context.ts";
import { termText } from "./text.ts";
import { addVars, varsOf } from "./vars.ts";
import { isEquality, isGround, walkExpr, walkTerm } from "./walk.ts";

/**
 * Which variables an expression binds, given those that are bound already.
 * @source OPA v1/ast/compile.go, outputVarsForExpr; v1/ast/unify.go
 */

export const VISIBLE = { skipRefCallHead: true, skipClosures: true } as const;
const OUTPUT_POSITIONS = { skipClosures: true, skipSets: true, skipObjectKeys: true, skipRefHead: true } as const;
const PATTERN_VARS = { skipRefHead: true, skipObjectKeys: true, skipClosures: true } as const;

type Safe = ReadonlySet<string>;

export function outputsOfBody(body: Body, arityOf: ArityOf, safe: Safe): Set<string> {
  const known = new Set(safe);
  const outputs = new Set<string>();
  for (const expr of body) {
    for (const name of outputsOf(expr, arityOf, known)) {
      known.add(name);
      if (!safe.has(name)) outputs.add(name);
    }
  }
  return outputs;
}

export function outputsOf(expr: Expr, arityOf: ArityOf, safe: Safe): Set<string> {
  if (expr.negated) return new Set();
  for (const modifier of expr.with) if (!allIn(varsOf(modifier, VISIBLE), safe)) return new Set();
  const { form } = expr;
  switch (form.kind) {
    case "term": {
      if (form.term.kind === "templatestring") return new Set();
      const outputs = new Set<string>();
      walkExpr(expr, refOutputs(safe, outputs));
      return outputs;
    }
    case "call": {
      if (isEquality(expr)) {
        const [left, right] = form.args;
        if (form.args.length !== 2 || left === undefined || right === undefined) return new Set();
        return outputsOfEquality(left, right, safe, expr.fromAssignment === true, expr);
      }
      const arity = arityOf(form.operator);
      if (arity === undefined) return new Set();
      const outputs = new Set<string>();
      walkExpr(expr, refOutputs(safe, outputs));
      if (arity >= form.args.length) return outputs;
      const inputs = new Set<string>();
      addVars(form.operator, inputs, OUTPUT_POSITIONS);
      for (const arg of form.args.slice(0, arity)) addVars(arg, inputs, OUTPUT_POSITIONS);
      for (const name of inputs) if (!outputs.has(name) && !safe.has(name)) return new Set();
      for (const arg of form.args.slice(arity)) addVars(arg, outputs, OUTPUT_POSITIONS);
      return outputs;
    }
    case "every": {
      const outputs = new Set<string>();
      walkTerm(form.domain, refOutputs(safe, outputs));
      return outputs;
    }
    case "some":
    case "not":
    case "logical":
      return new Set();
  }
}

/** @param expr the equality itself, for refs in its `with` modifiers */
export function outputsOfEquality(
  left: Term,
  right: Term,
  safe: Safe,
  fromAssignment: boolean,
  expr?: Expr,
): Set<string> {
  const outputs = new Set<string>();
  const visitor = refOutputs(safe, outputs);
  if (expr !== undefined) walkExpr(expr, visitor);
  else {
    walkTerm(left, visitor);
    walkTerm(right, visitor);
  }
  const known = new Set(safe);
  for (const name of outputs) known.add(name);
  // The left side of `:=` is only an output: it must not make the right side safe.
  if (fromAssignment) for (const name of varsOf(left)) known.delete(name);
  const unifier = new Unifier(known);
  unifier.unify(left, right);
  const result = new Set<string>();
  for (const name of known) if (!safe.has(name)) result.add(name);
  for (const name of unifier.unified) if (!safe.has(name)) result.add(name);
  return result;
}

/** Collects the variables in the brackets of refs whose head is safe. */
function refOutputs(safe: Safe, outputs: Set<string>): { readonly term: (term: Term) => boolean } {
  return {
    term: (term) => {
      switch (term.kind) {
        case "arraycomprehension":
        case "setcomprehension":
        case "objectcomprehension":
        case "templatestring":
          return true;
        case "ref":
          if (!isRefSafe(term, safe)) return true;
          if (!isGround(term)) addVars(term, outputs, { skipRefHead: true });
          return false;
        default:
          return false;
      }
    },
  };
}

function isRefSafe(ref: RefTerm, safe: Safe): boolean {
  const head = ref.terms[0] as Term;
  if (head.kind === "var") return safe.has(head.name);
  return allIn(varsOf(head, VISIBLE), safe);
}

function allIn(names: Iterable<string>, set: Safe): boolean {
  for (const name of names) if (!set.has(name)) return false;
  return true;
}

/** Finds what unifying two terms binds. Bindings that wait for other variables are kept as dependencies. */
class Unifier {
  readonly unified = new Set<string>();
  readonly #safe: Safe;
  readonly #waits = new Map<string, Set<string>>();

  constructor(safe: Safe) {
    this.#safe = safe;
  }

  unify(a: Term, b: Term): void {
    if (a.kind === "var" && b.kind === "var") {
      if (this.#isSafe(b.name)) this.#mark(a.name);
      else if (this.#isSafe(a.name)) this.#mark(b.name);
      else {
        this.#wait(a.name, b.name);
        this.#wait(b.name, a.name);
      }
    } else if (a.kind === "var") this.#unifyVar(a.name, b);
    else if (b.kind === "var") this.#unifyVar(b.name, a);
    else if (a.kind === "array" && b.kind === "array") {
      if (a.items.length === b.items.length)
        for (const [i, item] of a.items.entries()) this.unify(item, b.items[i] as Term);
    } else if (a.kind === "object" && b.kind === "object") this.#unifyObjects(a.entries, b.entries);
    else if (a.kind === "array" || a.kind === "object") this.#unifyComposite(a, b, true);
    else if (b.kind === "array" || b.kind === "object") this.#unifyComposite(b, a, false);
  }

  #unifyVar(name: string, other: Term): void {
    // Nothing is its own part. OPA looks over those inside of sets (`x = {[x]}`), and crashes when it evaluates them.
    const isComposite = other.kind === "array" || other.kind === "object" || other.kind === "set";
    if (isComposite && !this.#isSafe(name) && varsOf(other, VISIBLE).has(name)) return;
    switch (other.kind) {
      case "array":
      case "object":
        if (this.#isSafe(name)) this.#markAll(other);
        else {
          const unsafe = [...varsOf(other, PATTERN_VARS)].filter((inner) => !this.#isSafe(inner));
          if (unsafe.length === 0) this.#mark(name);
          else for (const inner of unsafe) this.#wait(name, inner);
        }
        return;
      case "ref":
        if (isRefSafe(other, this.#safe)) this.#mark(name);
        return;
      case "call":
        if (allIn(varsOf(other, VISIBLE), this.#safe)) this.#mark(name);
        return;
      default:
        this.#mark(name);
    }
  }

  /** An array or object with something that is neither of these nor a variable. Which side it is on matters, as in OPA. */
  #unifyComposite(composite: Term, other: Term, isLeft: boolean): void {
    switch (other.kind) {
      case "ref":
        if (isRefSafe(other, this.#safe)) this.#markAll(composite);
        return;
      case "call":
        if (allIn(varsOf(other, VISIBLE), this.#safe)) this.#markAll(composite);
        return;
      case "arraycomprehension":
        if (composite.kind === "array") this.#markAll(composite);
        return;
      case "objectcomprehension":
        if (composite.kind === (isLeft ? "array" : "object")) this.#markAll(composite);
        return;
      case "setcomprehension":
        if (isLeft && composite.kind === "array") this.#markAll(composite);
        return;
      default:
        return;
    }
  }

  #unifyObjects(a: readonly (readonly [Term, Term])[], b: readonly (readonly [Term, Term])[]): void {
    if (a.length !== b.length) return;
    const others = new Map(b.map(([key, value]) => [termText(key), value] as const));
    for (const [key, value] of a) {
      const other = others.get(termText(key));
      if (other !== undefined) this.unify(value, other);
    }
  }

  #isSafe(name: string): boolean {
    return this.#safe.has(name) || this.unified.has(name);
  }

  #markAll(term: Term): void {
    for (const name of varsOf(term, PATTERN_VARS)) this.#mark(name);
  }

  #mark(name: string): void {
    this.unified.add(name);
    const waiting = this.#waits.get(name);
    this.#waits.delete(name);
    if (waiting !== undefined) for (const other of waiting) this.#mark(other);
    for (const [other, needs] of [...this.#waits]) {
      if (needs.delete(name) && needs.size === 0) this.#mark(other);
    }
  }

  #wait(name: string, needs: string): void {
    const set = this.#waits.get(name);
    if (set === undefined) this.#waits.set(name, new Set([needs]));
    else set.add(needs);
  }
}
