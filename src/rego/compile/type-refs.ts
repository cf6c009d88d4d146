import type { Body, Expr, RefTerm, Term } from "../syntax/index.ts";
import { ANY, keysOf, knownKeys, STRING, type Type, unifies, valuesOf } from "../types/index.ts";
import { compareValues, type Value } from "../value/index.ts";
import { isRoot, selectConstant, type TypeEnv, type TypeTree } from "./type-env.ts";
import { invalidRefError, type TypeDiagnostic, unsupportedRefError } from "./type-errors.ts";
import { unifyWithType } from "./type-unify.ts";
import { isComprehension, walkExpr, walkTerm } from "./walk.ts";

/** Shows a ref with the names its author knows. */
export type ShowRef = (ref: RefTerm) => readonly Term[];

/**
 * Checks the refs of one expression against what is known of the documents they lead into, and gives types to the variables in them.
 * Comprehensions are left out: their bodies are checked as bodies. Source: OPA v1/ast/check.go, refChecker.
 */
export function checkRefs(expr: Expr, env: TypeEnv, show: ShowRef): readonly TypeDiagnostic[] {
  const checker = new RefChecker(env, show);
  checker.expr(expr);
  return checker.errors;
}

class RefChecker {
  readonly errors: TypeDiagnostic[] = [];
  readonly #env: TypeEnv;
  readonly #show: ShowRef;

  constructor(env: TypeEnv, show: ShowRef) {
    this.#env = env;
    this.#show = show;
  }

  /** Operators are no refs to documents; targets of `with` need not exist, but those of `every` and the like are read as refs. */
  expr(expr: Expr): boolean {
    const { form } = expr;
    switch (form.kind) {
      case "call":
        for (const arg of form.args) this.#term(arg);
        return true;
      case "term":
        this.#term(form.term);
        return true;
      case "not":
        this.#body(form.body);
        return true;
      default:
        walkExpr(expr, { term: (term) => this.#visit(term), expr: (inner) => inner.form !== form && this.expr(inner) });
        return true;
    }
  }

  #body(body: Body): void {
    for (const expr of body) this.expr(expr);
  }

  #term(term: Term): void {
    walkTerm(term, { term: (part) => this.#visit(part), expr: (inner) => this.expr(inner) });
  }

  #visit(term: Term): boolean {
    if (isComprehension(term)) return true;
    if (term.kind !== "ref") return false;
    const of = this.#env.typeOfRef(term.terms);
    if (of?.kind === "function") {
      this.errors.push(unsupportedRefError(term, this.#show(term), term.terms.length - 1, of));
      return true;
    }
    const error = this.#inTree(this.#env, this.#env.tree, term, 0);
    if (error !== undefined) this.errors.push(error);
    return false;
  }

  #invalid(
    ref: RefTerm,
    position: number,
    have: Type | undefined,
    want: Type | undefined,
    oneOf: readonly Value[],
  ): TypeDiagnostic {
    return invalidRefError(ref, this.#show(ref), position, have, want, oneOf);
  }

  #inTree(env: TypeEnv, node: TypeTree, ref: RefTerm, position: number): TypeDiagnostic | undefined {
    const head = ref.terms[position];
    if (head === undefined) return undefined;
    // The shortest path of a rule is data.package.name: its parts are strings.
    if ((position === 1 || position === 2) && head.kind !== "var" && head.kind !== "string") {
      return this.#invalid(ref, position, this.#env.typeOf(head), STRING, nodeKeys(node));
    }
    if (head.kind === "var" && position !== 0) {
      const keys = keysOf(node.extent);
      const known = this.#env.typeOf(head);
      if (known === undefined) this.#env.vars.put([head], keys);
      else if (!unifies(keys, known)) return this.#invalid(ref, position, known, keys, nodeKeys(node));
    }
    const child = node.child(head);
    if (child === undefined) return this.#inOuter(env, node, ref, position);
    if (child.type !== undefined) return this.#inType(child.type, ref, position + 1);
    return this.#inTree(env, child, ref, position + 1);
  }

  /** What this scope does not know, an outer one may; what none knows may be a base document. */
  #inOuter(env: TypeEnv, node: TypeTree, ref: RefTerm, position: number): TypeDiagnostic | undefined {
    if (env.next !== undefined) return this.#inTree(env.next, env.next.tree, ref, 0);
    if (!isRoot(ref.terms[0] as Term)) return this.#inType(ANY, ref, 0);
    if (position === 0) return this.#inType(ANY, ref, 1);
    // Any of the children may be meant: they only tell what variables may be.
    for (const child of node.children()) this.#inTree(env, child, ref, position + 1);
    return undefined;
  }

  #inType(type: Type | undefined, ref: RefTerm, position: number): TypeDiagnostic | undefined {
    const head = ref.terms[position];
    if (head === undefined) return undefined;
    const keys = keysOf(type);
    if (keys === undefined) return unsupportedRefError(ref, this.#show(ref), position - 1, type);
    switch (head.kind) {
      case "var": {
        const known = this.#env.typeOf(head);
        if (known === undefined) this.#env.vars.put([head], keys);
        else if (!unifies(known, keys)) return this.#invalid(ref, position, known, keys, sortedKeysOf(type));
        break;
      }
      case "ref": {
        const known = this.#env.typeOfRef(head.terms);
        if (known !== undefined && !unifies(known, keys))
          return this.#invalid(ref, position, known, keys, sortedKeysOf(type));
        break;
      }
      case "array":
      case "object":
      case "set":
        if (!unifyWithType(this.#env, head, keys))
          return this.#invalid(ref, position, this.#env.typeOf(head), keys, []);
        break;
      default: {
        const member = selectConstant(type, head);
        if (member === undefined) return this.#invalid(ref, position, undefined, keys, sortedKeysOf(type));
        return this.#inType(member, ref, position + 1);
      }
    }
    return this.#inType(valuesOf(type), ref, position + 1);
  }
}

function nodeKeys(node: TypeTree): readonly Value[] {
  const keys: Value[] = [];
  for (const { key } of node.children())
    if (key !== undefined && "value" in key && typeof key.value !== "object") keys.push(key.value as Value);
  return keys.sort(compareValues);
}

function sortedKeysOf(type: Type | undefined): readonly Value[] {
  return [...knownKeys(type)].sort(compareValues);
}
