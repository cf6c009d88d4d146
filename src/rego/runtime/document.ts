import {
  compareValues,
  getKey,
  isObject,
  lookup,
  type ObjectValue,
  RegoObject,
  sortedKeys,
  type Value,
  valuesEqual,
} from "../value/index.ts";
import type { DataPath, Evaluation } from "./evaluation.ts";

/** A node of the tree of virtual documents. Made by the code generator, walked here where a reference is not ground. */
export interface DocumentNode {
  readonly path: DataPath;
  readonly children: readonly { readonly key: Value; readonly node: DocumentNode }[];
  /** The document the rules at this node (and, for partial documents, below it) define; null where only children do. */
  readonly value: ((evaluation: Evaluation) => Value | undefined) | null;
  /** Only functions live here: no document at all. */
  readonly isFunction: boolean;
}

/** True where a `with` has replaced this path or something above it. */
export function isHidden(evaluation: Evaluation, path: DataPath): boolean {
  if (evaluation.hidden === null) return false;
  return evaluation.hidden.some(
    (target) => target.length <= path.length && target.every((key, i) => valuesEqual(key, path[i] as Value)),
  );
}

/** The base document at `path`. */
export function baseAt(evaluation: Evaluation, path: DataPath): Value | undefined {
  let value: Value | undefined = evaluation.data;
  for (const key of path) {
    if (value === undefined) return undefined;
    value = lookup(value, key);
  }
  return value;
}

/**
 * A place in `data` while a reference is walked dynamically: a node of virtual documents, base data, or both.
 * Where a rule defines the place, its value hides the base data.
 */
export interface Cursor {
  readonly node: DocumentNode | undefined;
  readonly base: Value | undefined;
}

export function cursorAt(evaluation: Evaluation, node: DocumentNode): Cursor {
  return settle(evaluation, node, baseAt(evaluation, node.path));
}

function settle(evaluation: Evaluation, node: DocumentNode | undefined, base: Value | undefined): Cursor {
  if (node === undefined || node.isFunction || isHidden(evaluation, node.path)) return { node: undefined, base };
  if (node.value !== null) return { node: undefined, base: node.value(evaluation) };
  return { node, base };
}

export function cursorStep(evaluation: Evaluation, cursor: Cursor, key: Value): Cursor | undefined {
  const base = cursor.base === undefined ? undefined : lookup(cursor.base, key);
  const child = cursor.node?.children.find((entry) => valuesEqual(entry.key, key))?.node;
  if (child === undefined && base === undefined) return undefined;
  const next = settle(evaluation, child, base);
  return next.node === undefined && next.base === undefined ? undefined : next;
}

/** Keys to try below a cursor, in Rego's order. */
export function cursorKeys(cursor: Cursor): readonly Value[] {
  const fromBase = cursor.base === undefined ? [] : keysOf(cursor.base);
  if (cursor.node === undefined) return fromBase;
  const keys = [...fromBase];
  for (const { key } of cursor.node.children) if (!fromBase.some((other) => valuesEqual(other, key))) keys.push(key);
  return keys.sort(compareValues);
}

function keysOf(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value.map((_, i) => i);
  if (typeof value !== "object" || value === null) return [];
  if ("sorted" in value && typeof value.sorted === "function") return value.sorted() as readonly Value[];
  return isObject(value) ? sortedKeys(value) : [];
}

export function cursorValue(evaluation: Evaluation, cursor: Cursor): Value | undefined {
  return cursor.node === undefined ? cursor.base : documentAt(evaluation, cursor.node, cursor.base);
}

/**
 * The whole extent of a node: base data and everything rules define below it. Undefined documents and functions are
 * left out; where both are objects they merge, else the base document wins (OPA v1/topdown/eval.go, mergeVirtualDocs).
 * `data.system` is not part of the root.
 */
export function documentAt(evaluation: Evaluation, node: DocumentNode, base: Value | undefined): Value | undefined {
  const document = new RegoObject();
  for (const { key, node: child } of node.children) {
    if (node.path.length === 0 && key === "system") continue;
    if (child.isFunction || isHidden(evaluation, child.path)) continue;
    const value = child.value !== null ? child.value(evaluation) : documentAt(evaluation, child, undefined);
    if (value !== undefined) document.set(key, value);
  }
  return base === undefined ? document : merge(base, document);
}

function merge(base: Value, virtual: Value): Value {
  if (!isObject(base) || !isObject(virtual)) return base;
  const merged = RegoObject.from(base);
  for (const key of sortedKeys(virtual as ObjectValue)) {
    const value = getKey(virtual, key) as Value;
    const below = getKey(base, key);
    merged.set(key, below === undefined ? value : merge(below, value));
  }
  return merged;
}
