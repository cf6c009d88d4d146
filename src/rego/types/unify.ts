import { unwrap } from "./order.ts";
import type { AnyType, ArrayType, ObjectType, Type } from "./type.ts";
import { elementOf, propertyOf, valuesOf } from "./union.ts";

type Pair = readonly [Type, Type];

/** Answers for pairs of types that assume nothing: types share parts, and each pair of parts is asked for many times. */
const answers = new WeakMap<Type, WeakMap<Type, boolean>>();

/**
 * Whether some value is of both types. False where either is unknown. Source: OPA v1/ast/check.go, unifies.
 *
 * @param assumed pairs of recursive types under comparison: a pair met again unifies unless something else forbids it.
 */
export function unifies(left: Type | undefined, right: Type | undefined, assumed: readonly Pair[] = []): boolean {
  const a = unwrap(left);
  const b = unwrap(right);
  if (a === undefined || b === undefined) return false;
  if (left?.kind === "recursive" || right?.kind === "recursive") {
    if (assumed.some(([x, y]) => x === a && y === b)) return true;
    assumed = [...assumed, [a, b]];
  }
  if (assumed.length > 0 || !isComposite(a) || !isComposite(b)) return unifiesInside(a, b, assumed);
  let known = answers.get(a);
  if (known === undefined) {
    known = new WeakMap();
    answers.set(a, known);
  }
  let answer = known.get(b);
  if (answer === undefined) {
    answer = unifiesInside(a, b, assumed);
    known.set(b, answer);
  }
  return answer;
}

function isComposite({ kind }: Type): boolean {
  return kind === "array" || kind === "object" || kind === "any";
}

function unifiesInside(a: Type, b: Type, assumed: readonly Pair[]): boolean {
  if (a.kind === "any" || b.kind === "any")
    return (a.kind === "any" && anyUnifies(a, b, assumed)) || (b.kind === "any" && anyUnifies(b, a, assumed));
  if (a.kind === "array" && b.kind === "array") return arraysUnify(a, b, assumed);
  if (a.kind === "object" && b.kind === "object") return objectsUnify(a, b, assumed);
  if (a.kind === "set" && b.kind === "set") return unifies(valuesOf(a), valuesOf(b), assumed);
  if (a.kind === "function" && b.kind === "function") {
    return a.args.length === b.args.length && a.args.every(({ type }, i) => unifies(type, b.args[i]?.type, assumed));
  }
  return a.kind === b.kind;
}

function anyUnifies(any: AnyType, type: Type, assumed: readonly Pair[]): boolean {
  if (type.kind === "function") return false;
  return any.of.length === 0 || any.of.some((alternative) => unifies(alternative, type, assumed));
}

function arraysUnify(a: ArrayType, b: ArrayType, assumed: readonly Pair[]): boolean {
  const covered = (x: ArrayType, y: ArrayType) =>
    x.static.every((member, i) => unifies(member, elementOf(y, i), assumed));
  return (
    covered(a, b) &&
    covered(b, a) &&
    (a.dynamic === undefined || b.dynamic === undefined || unifies(a.dynamic, b.dynamic, assumed))
  );
}

function objectsUnify(a: ObjectType, b: ObjectType, assumed: readonly Pair[]): boolean {
  const valueA = a.dynamic?.value;
  const valueB = b.dynamic?.value;
  const covered = (x: ObjectType, y: ObjectType) =>
    x.static.every(({ key, value }) => {
      const other = propertyOf(y, key);
      return other === undefined ? valueA !== undefined || valueB !== undefined : unifies(value, other, assumed);
    });
  return (
    covered(a, b) && covered(b, a) && (valueA === undefined || valueB === undefined || unifies(valueA, valueB, assumed))
  );
}
