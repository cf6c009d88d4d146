import { compareStrings, compareValues } from "../value/index.ts";
import type { ArrayType, FunctionType, ObjectType, RecursiveType, StaticProperty, Type } from "./type.ts";

const RANK = { null: 0, boolean: 1, number: 2, string: 3, array: 4, object: 5, set: 6, any: 7, function: 8 } as const;

/** A type with the knot of a recursive schema untied. */
export function unwrap(type: Type | undefined): Exclude<Type, RecursiveType> | undefined {
  return type?.kind === "recursive" ? unwrap(type.type) : type;
}

/** Types found equal. Types share their parts, so that written out they may be exponentially larger than they are. */
const equal = new WeakMap<Type, WeakSet<Type>>();

function rememberEqual(a: Type, b: Type): void {
  const known = equal.get(a);
  if (known === undefined) equal.set(a, new WeakSet([b]));
  else known.add(b);
}

/** The total order that alternatives of `any` are kept in. The unknown type comes first. */
export function compareTypes(a: Type | undefined, b: Type | undefined): number {
  if (a?.kind === "recursive" && b?.kind === "recursive") return compareStrings(a.name, b.name);
  const x = unwrap(a);
  const y = unwrap(b);
  if (x === y) return 0;
  if (x === undefined || y === undefined) return x === undefined ? -1 : 1;
  if (x.kind !== y.kind) return RANK[x.kind] - RANK[y.kind];
  if (equal.get(x)?.has(y) === true) return 0;
  const difference = compareInside(x, y);
  if (difference === 0 && RANK[x.kind] > RANK.string) rememberEqual(x, y);
  return difference;
}

function compareInside(x: Type, y: Type): number {
  if (x.kind === "array" && y.kind === "array") return compareArrays(x, y);
  if (x.kind === "object" && y.kind === "object") return compareObjects(x, y);
  if (x.kind === "set" && y.kind === "set") return compareTypes(x.of, y.of);
  if (x.kind === "any" && y.kind === "any") return compareLists(x.of, y.of, compareTypes);
  if (x.kind === "function" && y.kind === "function") return compareFunctions(x, y);
  return 0;
}

function inTurn(...orders: readonly (() => number)[]): number {
  for (const order of orders) {
    const difference = order();
    if (difference !== 0) return difference;
  }
  return 0;
}

function compareLists<T>(a: readonly T[], b: readonly T[], compare: (x: T, y: T) => number): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = compare(a[i] as T, b[i] as T);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** What is absent comes before what is there. */
function compareOptional<T>(a: T | undefined, b: T | undefined, compare: (x: T, y: T) => number): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  return compare(a, b);
}

function compareArrays(a: ArrayType, b: ArrayType): number {
  return inTurn(
    () => compareOptional(a.dynamic, b.dynamic, compareTypes),
    () => compareLists(a.static, b.static, compareTypes),
  );
}

function compareObjects(a: ObjectType, b: ObjectType): number {
  return inTurn(
    () =>
      compareOptional(a.dynamic, b.dynamic, (x, y) =>
        inTurn(
          () => compareTypes(x.key, y.key),
          () => compareTypes(x.value, y.value),
        ),
      ),
    () => compareLists(a.static, b.static, compareProperties),
  );
}

function compareProperties(a: StaticProperty, b: StaticProperty): number {
  return inTurn(
    () => compareValues(a.key, b.key),
    () => compareTypes(a.value, b.value),
  );
}

function compareFunctions(a: FunctionType, b: FunctionType): number {
  return inTurn(
    () => a.args.length - b.args.length,
    () => compareLists(a.args, b.args, (x, y) => compareTypes(x.type, y.type)),
    () => compareTypes(a.result?.type, b.result?.type),
    () => compareTypes(a.variadic, b.variadic),
  );
}
