import type { ArrayTerm, ObjectTerm, Term } from "../syntax/index.ts";
import { ANY, elementOf, isAny, isUnknown, type Type, unifies, union, unwrap, valuesOf } from "../types/index.ts";
import { canonicalText } from "../value/index.ts";
import { constantOf, selectConstant, type TypeEnv } from "./type-env.ts";

/** Whether two terms may be equal; variables without a type get that of the other side. Source: OPA v1/ast/check.go, unify2. */
export function unifyTerms(env: TypeEnv, a: Term, b: Term): boolean {
  const typeA = env.typeOf(a);
  const typeB = env.typeOf(b);
  const unknownA = isUnknown(typeA);
  const unknownB = isUnknown(typeB);
  if (unknownA && !unknownB) return unifyWithType(env, a, typeB);
  if (unknownB && !unknownA) return unifyWithType(env, b, typeA);
  if (!unknownA && !unknownB) return unifies(typeA, typeB);
  if (a.kind === "array") return unifyArrays(env, a, b);
  if (a.kind === "object") return unifyObjects(env, a, b);
  if (a.kind === "var") {
    if (b.kind === "var") return unifyWithType(env, a, ANY) && unifyWithType(env, b, env.typeOf(a));
    if (b.kind === "array") return unifyArrays(env, b, a);
    if (b.kind === "object") return unifyObjects(env, b, a);
    if (typeA === undefined && typeB !== undefined) return unifyWithType(env, a, typeB);
  }
  return b.kind === "var" && typeB === undefined && typeA !== undefined && unifyWithType(env, b, typeA);
}

function unifyArrays(env: TypeEnv, a: ArrayTerm, b: Term): boolean {
  if (b.kind === "var") return unifyWithType(env, a, ANY) && unifyWithType(env, b, env.typeOf(a));
  return (
    b.kind === "array" &&
    a.items.length === b.items.length &&
    a.items.every((item, i) => unifyTerms(env, item, b.items[i] as Term))
  );
}

function unifyObjects(env: TypeEnv, a: ObjectTerm, b: Term): boolean {
  if (b.kind === "var") return unifyWithType(env, a, ANY) && unifyWithType(env, b, env.typeOf(a));
  if (b.kind !== "object" || a.entries.length !== b.entries.length) return false;
  const others = new Map(b.entries.map(([key, value]) => [keyText(key), value]));
  const pairs = a.entries.map(([key, value]) => [value, others.get(keyText(key))] as const);
  return pairs.every(([, y]) => y !== undefined) && pairs.every(([x, y]) => unifyTerms(env, x, y as Term));
}

function keyText(key: Term): string {
  if (key.kind === "var") return `$${key.name}`;
  const constant = constantOf(key);
  return constant === undefined ? "" : canonicalText(constant);
}

/**
 * Whether a term may be of a type. Variables without a type get theirs; with `widen` they also get what they may be besides.
 * Source: OPA v1/ast/check.go, unify1.
 */
export function unifyWithType(env: TypeEnv, term: Term, type: Type | undefined, widen = false): boolean {
  switch (term.kind) {
    case "var": {
      const known = env.typeOf(term);
      if (widen) env.vars.put([term], union(known, type));
      else if (known !== undefined) return unifies(known, type);
      else env.vars.put([term], type);
      return true;
    }
    case "array": {
      const of = unwrap(type);
      if (of?.kind !== "array") return unifyWithAlternatives(env, term, type, term.items);
      if (term.items.length !== of.static.length && of.dynamic === undefined) return false;
      return term.items.every((item, i) => unifyWithType(env, item, elementOf(of, i), widen));
    }
    case "object": {
      const of = unwrap(type);
      if (of?.kind !== "object") return unifyWithAlternatives(env, term, type, term.entries.flat());
      if (term.entries.length !== of.static.length && of.dynamic?.value === undefined) return false;
      return term.entries.every(([key, value]) => {
        if (constantOf(key) === undefined) {
          // The members that a dynamic key may select are not told apart.
          unifyWithType(env, value, ANY, widen);
          return true;
        }
        const member = selectConstant(of, key);
        return member !== undefined && unifyWithType(env, value, member, widen);
      });
    }
    case "set":
      if (type?.kind !== "set") return unifyWithAlternatives(env, term, type, term.items);
      return term.items.every((item) => unifyWithType(env, item, valuesOf(type), widen));
    default:
      return unifies(env.typeOf(term), type);
  }
}

function unifyWithAlternatives(env: TypeEnv, term: Term, type: Type | undefined, parts: readonly Term[]): boolean {
  if (type?.kind !== "any") return false;
  if (isAny(type)) {
    for (const part of parts) unifyWithType(env, part, ANY, true);
    return true;
  }
  // All alternatives, not the first that fits: each may say something of the variables.
  return type.of.map((alternative) => unifyWithType(env, term, alternative, true)).includes(true);
}
