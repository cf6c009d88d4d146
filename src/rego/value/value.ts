import { canonicalOf, compareNumbers, type NumberValue, numbersEqual, RegoNumber } from "./number.ts";
import { MAX_RECURSION, type Parts, printDeep } from "./print.ts";

/**
 * A Rego value. `undefined` is never a value: it means "no result".
 *
 * | Rego    | JavaScript |
 * | ------- | ---------- |
 * | null, boolean, string, array | the same |
 * | number  | `number` where its shortest text is the literal's text; `bigint` for integers past 2^53; `RegoNumber` for any other text (`1.50`, `1e2`, 20 digits) |
 * | object  | a plain object as JSON was parsed (own properties only), or `RegoObject` (any value as key) |
 * | set     | `RegoSet` |
 *
 * Values are immutable: nothing may change one after it has been made.
 */
export type Value = null | boolean | string | NumberValue | readonly Value[] | JsonObject | RegoObject | RegoSet;
export type ObjectValue = JsonObject | RegoObject;
export interface JsonObject {
  readonly [key: string]: Value;
}

export const TYPE_NAMES = ["null", "boolean", "number", "string", "array", "object", "set"] as const;
export type TypeName = (typeof TYPE_NAMES)[number];

export function typeName(value: Value): TypeName {
  switch (typeof value) {
    case "string":
      return "string";
    case "boolean":
      return "boolean";
    case "number":
    case "bigint":
      return "number";
    default:
      if (value === null) return "null";
      if (Array.isArray(value)) return "array";
      if (value instanceof RegoSet) return "set";
      if (value instanceof RegoNumber) return "number";
      return "object";
  }
}

export function isNumber(value: Value): value is NumberValue {
  return typeof value === "number" || typeof value === "bigint" || value instanceof RegoNumber;
}

export function isArray(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isSet(value: Value): value is RegoSet {
  return value instanceof RegoSet;
}

export function isObject(value: Value): value is ObjectValue {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof RegoSet) &&
    !(value instanceof RegoNumber)
  );
}

/** A plain (JSON) object, as opposed to a `RegoObject`. */
export function isJsonObject(value: Value): value is JsonObject {
  return isObject(value) && !(value instanceof RegoObject);
}

/** The number of members of an object, array or set. */
export function sizeOf(value: readonly Value[] | ObjectValue | RegoSet): number {
  if (Array.isArray(value)) return value.length;
  if (value instanceof RegoSet || value instanceof RegoObject) return value.size;
  return Object.keys(value).length;
}

/** The member of an object at `key`, by Rego equality; undefined where there is none. */
export function getKey(object: ObjectValue, key: Value): Value | undefined {
  if (object instanceof RegoObject) return object.get(key);
  return typeof key === "string" && Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Sorted keys of large plain objects: data documents are walked again and again. */
const SORTED_KEYS = new WeakMap<JsonObject, readonly string[]>();
const LARGE_OBJECT = 16;

/** Keys of an object in Rego's order. */
export function sortedKeys(object: ObjectValue): readonly Value[] {
  if (object instanceof RegoObject) return object.sortedKeys();
  const known = SORTED_KEYS.get(object);
  if (known !== undefined) return known;
  const keys = sortStrings(Object.keys(object));
  if (keys.length >= LARGE_OBJECT) SORTED_KEYS.set(object, keys);
  return keys;
}

const ABOVE_SURROGATES = /[\ud800-\uffff]/;

/** Sorts strings in place as `compareStrings` orders them: with the fast native order where both agree. */
function sortStrings(strings: string[]): string[] {
  if (strings.length < 2) return strings;
  return strings.some((text) => ABOVE_SURROGATES.test(text)) ? strings.sort(compareStrings) : strings.sort();
}

/**
 * Looks `key` up in any value, as a Rego reference does: array index, object key, set member.
 * Undefined where there is nothing, and for scalars.
 */
export function lookup(value: Value, key: Value): Value | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value)) {
    if (typeof key === "number") return value[key]; // a fraction or negative index is no own element
    if (key instanceof RegoNumber) {
      const index = key.canonical;
      return typeof index === "number" ? value[index] : undefined;
    }
    return undefined;
  }
  if (value instanceof RegoObject) return value.get(key);
  if (value instanceof RegoSet) return value.get(key);
  if (value instanceof RegoNumber) return undefined;
  return typeof key === "string" && Object.hasOwn(value, key) ? (value as JsonObject)[key] : undefined;
}

/**
 * The order of strings in Rego: by code point (UTF-8 byte order), which differs from UTF-16 order
 * where a surrogate meets U+E000..U+FFFF.
 */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0;
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    // Lift surrogates above the rest of the basic plane.
    if (x >= 0xd800 && y >= 0xd800) {
      x = x >= 0xe000 ? x - 0x800 : x + 0x2000;
      y = y >= 0xe000 ? y - 0x800 : y + 0x2000;
    }
    return x < y ? -1 : 1;
  }
  return a.length < b.length ? -1 : 1;
}

/** A Rego object with any values as keys. Built with `set` by its maker, then never changed. */
export class RegoObject {
  readonly #scalars = new Map<ScalarKey, Value>();
  #composites: Composites | undefined;
  #sorted: readonly Value[] | undefined;

  /** A copy of `object`, to add to. */
  static from(object: JsonObject | RegoObject): RegoObject {
    const copy = new RegoObject();
    if (object instanceof RegoObject) for (const [key, value] of object.entries()) copy.set(key, value);
    else for (const key of Object.keys(object)) copy.#scalars.set(key, object[key] as Value);
    return copy;
  }

  static of(entries: Iterable<readonly [Value, Value]>): RegoObject {
    const object = new RegoObject();
    for (const [key, value] of entries) object.set(key, value);
    return object;
  }

  get size(): number {
    return this.#scalars.size + (this.#composites?.entries.length ?? 0);
  }

  get(key: Value): Value | undefined {
    const scalar = scalarKey(key);
    const value = scalar === undefined ? undefined : this.#scalars.get(scalar);
    return value !== undefined || this.#composites === undefined ? value : this.#composites.find(key)?.value;
  }

  has(key: Value): boolean {
    return this.get(key) !== undefined;
  }

  /** For the maker of the object only. */
  set(key: Value, value: Value): void {
    this.#sorted = undefined;
    const entry = this.#composites?.find(key);
    if (entry !== undefined) {
      entry.value = value;
      return;
    }
    const scalar = scalarKey(key);
    // A number whose text is not its canonical form (`1e3`) keeps that text as a key.
    if (scalar !== undefined && (!(key instanceof RegoNumber) || this.#scalars.has(scalar)))
      this.#scalars.set(scalar, value);
    else {
      this.#composites ??= new Composites();
      this.#composites.insert({ key, value });
    }
  }

  /** Keys in Rego's order. */
  sortedKeys(): readonly Value[] {
    this.#sorted ??= [...this.keys()].sort(compareValues);
    return this.#sorted;
  }

  /** Keys in no particular order. */
  *keys(): Generator<Value> {
    yield* this.#scalars.keys();
    if (this.#composites !== undefined) for (const { key } of this.#composites.entries) yield key;
  }

  /** Entries in no particular order. */
  *entries(): Generator<readonly [Value, Value]> {
    yield* this.#scalars.entries();
    if (this.#composites !== undefined) for (const { key, value } of this.#composites.entries) yield [key, value];
  }

  /** @throws {TypeError} always: its members are none that JSON.stringify sees; `toJsonText` prints them. */
  toJSON(): never {
    throw new TypeError("JSON.stringify cannot print a RegoObject; use toJsonText");
  }
}

/** A Rego set. Built with `add` by its maker, then never changed. */
export class RegoSet {
  readonly #scalars = new Map<ScalarKey, Value>();
  #composites: Composites | undefined;
  #sorted: readonly Value[] | undefined;
  #members: readonly Value[] | undefined;

  static of(members: Iterable<Value>): RegoSet {
    const set = new RegoSet();
    for (const member of members) set.add(member);
    return set;
  }

  get size(): number {
    return this.#scalars.size + (this.#composites?.entries.length ?? 0);
  }

  /** The member equal to `value` as the set holds it (`1` for `1.0`), or undefined. */
  get(value: Value): Value | undefined {
    const scalar = scalarKey(value);
    if (scalar !== undefined) return this.#scalars.get(scalar);
    return this.#composites?.find(value)?.key;
  }

  has(value: Value): boolean {
    return this.get(value) !== undefined;
  }

  /** For the maker of the set only. Of equal values the first is kept. */
  add(value: Value): void {
    const scalar = scalarKey(value);
    if (scalar !== undefined) {
      if (!this.#scalars.has(scalar)) {
        this.#scalars.set(scalar, value);
        this.#sorted = undefined;
        this.#members = undefined;
      }
      return;
    }
    this.#composites ??= new Composites();
    if (this.#composites.find(value) === undefined) {
      this.#composites.insert({ key: value, value });
      this.#sorted = undefined;
      this.#members = undefined;
    }
  }

  /** Members in Rego's order. */
  sorted(): readonly Value[] {
    this.#sorted ??= [...this.members()].sort(compareValues);
    return this.#sorted;
  }

  /** Members in no particular order; the same list until one is added. */
  members(): readonly Value[] {
    this.#members ??= this.#composites === undefined ? [...this.#scalars.values()] : [...this.values()];
    return this.#members;
  }

  /** Members in no particular order. */
  *values(): Generator<Value> {
    yield* this.#scalars.values();
    if (this.#composites !== undefined) for (const { key } of this.#composites.entries) yield key;
  }

  /** @throws {TypeError} always: its members are none that JSON.stringify sees; `toJsonText` prints them. */
  toJSON(): never {
    throw new TypeError("JSON.stringify cannot print a RegoSet; use toJsonText");
  }
}

interface CompositeEntry {
  readonly key: Value;
  value: Value;
}

/** Entries one bucket of cheap hashes may hold before equality is decided by canonical text. */
const MAX_BUCKET = 16;

/**
 * Arrays, objects and sets as keys. A cheap hash that looks at a few members finds the bucket; where somebody's data
 * defeats it, canonical text takes over, so that look-ups never become a search.
 */
class Composites {
  readonly entries: CompositeEntry[] = [];
  readonly #buckets = new Map<number, CompositeEntry[]>();
  #texts: Map<string, CompositeEntry> | undefined;

  find(key: Value): CompositeEntry | undefined {
    if (this.#texts !== undefined) return this.#texts.get(canonicalText(key));
    return this.#buckets.get(cheapHash(key, 0))?.find((entry) => valuesEqual(entry.key, key));
  }

  /** The key must not be there yet. */
  insert(entry: CompositeEntry): void {
    this.entries.push(entry);
    if (this.#texts !== undefined) {
      this.#texts.set(canonicalText(entry.key), entry);
      return;
    }
    const hash = cheapHash(entry.key, 0);
    const bucket = this.#buckets.get(hash);
    if (bucket === undefined) this.#buckets.set(hash, [entry]);
    else if (bucket.push(entry) > MAX_BUCKET)
      this.#texts = new Map(this.entries.map((each) => [canonicalText(each.key), each]));
  }
}

/** Equal values have equal hashes. Looks two levels deep and at no more than eight members of each. */
function cheapHash(value: Value, depth: number): number {
  switch (typeof value) {
    case "string": {
      const { length } = value;
      if (length === 0) return 17;
      return (
        (Math.imul(length, 0x9e3779b1) ^
          (value.charCodeAt(0) << 16) ^
          (value.charCodeAt(length >> 1) << 8) ^
          value.charCodeAt(length - 1)) |
        0
      );
    }
    case "number":
      return Math.imul(value | 0, 0x85ebca6b) ^ 3;
    case "bigint":
      return Number(BigInt.asIntN(32, value)) ^ 5;
    case "boolean":
      return value ? 7 : 11;
    default:
      break;
  }
  if (value === null) return 13;
  if (value instanceof RegoNumber) {
    const { canonical } = value;
    return typeof canonical === "string" ? canonical.length : cheapHash(canonical, depth);
  }
  if (Array.isArray(value)) {
    let hash = value.length + 0x100;
    if (depth < 3)
      for (let i = 0; i < value.length && i < 12; i++)
        hash = (Math.imul(hash, 31) + cheapHash(value[i], depth + 1)) | 0;
    return hash;
  }
  const size = sizeOf(value as ObjectValue | RegoSet);
  let hash = Math.imul(size, 0x1f351f35) ^ (value instanceof RegoSet ? 0x51 : 0x0b);
  if (depth >= 2 || size > 8) return hash;
  // Members come in no order, so their hashes are added.
  if (value instanceof RegoSet) for (const member of value.values()) hash = (hash + cheapHash(member, depth + 1)) | 0;
  else if (value instanceof RegoObject)
    for (const [key, member] of value.entries())
      hash = (hash + (cheapHash(key, depth + 1) ^ Math.imul(cheapHash(member, depth + 1), 31))) | 0;
  else {
    const object = value as JsonObject;
    for (const key of Object.keys(object))
      hash = (hash + (cheapHash(key, depth + 1) ^ Math.imul(cheapHash(object[key] as Value, depth + 1), 31))) | 0;
  }
  return hash;
}

/** What a Map can hold a scalar under, so that equal Rego values share one key. */
type ScalarKey = null | boolean | string | number | bigint;

/** The Map key of a value that is its own key; undefined for composites and for exotic decimals. */
function scalarKey(value: Value): ScalarKey | undefined {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof RegoNumber) {
    const canonical = value.canonical;
    return typeof canonical === "string" ? undefined : canonical;
  }
  return undefined;
}

/** A text that two values share exactly when they are equal in Rego. */
export function canonicalText(value: Value): string {
  return canonicalAt(value, 0);
}

function canonicalAt(value: Value, depth: number): string {
  if (typeof value !== "object" || value === null || value instanceof RegoNumber) return canonicalScalar(value);
  if (depth > MAX_RECURSION) return printDeep(value, canonicalParts, canonicalScalar);
  let out = "";
  if (Array.isArray(value)) {
    for (const element of value as readonly Value[]) out += (out === "" ? "" : ",") + canonicalAt(element, depth + 1);
    return `[${out}]`;
  }
  if (value instanceof RegoSet) {
    for (const member of value.sorted()) out += (out === "" ? "" : ",") + canonicalAt(member, depth + 1);
    return `<${out}>`;
  }
  for (const key of sortedKeys(value as ObjectValue)) {
    const member = canonicalAt(getKey(value as ObjectValue, key) as Value, depth + 1);
    out += `${out === "" ? "" : ","}${canonicalAt(key, depth + 1)}:${member}`;
  }
  return `{${out}}`;
}

function canonicalScalar(value: Value): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
    case "bigint":
      return String(value === 0 ? 0 : value);
    case "boolean":
      return value ? "true" : "false";
    default:
      return value === null ? "null" : String(canonicalOf(value as RegoNumber));
  }
}

function canonicalParts(value: Value): Parts<Value> | undefined {
  if (Array.isArray(value)) return { open: "[", close: "]", separator: ",", items: value };
  if (isSet(value)) return { open: "<", close: ">", separator: ",", items: value.sorted() };
  if (!isObject(value)) return undefined;
  return { open: "{", close: "}", separator: ",", colon: ":", items: flatEntries(value) };
}

/** Keys and values of an object in turn, in Rego's order. */
export function flatEntries(object: ObjectValue): readonly Value[] {
  return sortedKeys(object).flatMap((key) => [key, getKey(object, key) as Value]);
}

/** Places of the types in Rego's order. */
function rankOf(value: Value): number {
  switch (typeof value) {
    case "string":
      return 3;
    case "number":
    case "bigint":
      return 2;
    case "boolean":
      return 1;
    default:
      if (value === null) return 0;
      if (Array.isArray(value)) return 4;
      if (value instanceof RegoSet) return 6;
      return value instanceof RegoNumber ? 2 : 5;
  }
}

/**
 * Rego's total order over all values: null < boolean < number < string < array < object < set.
 * @source OPA v1/ast/compare.go
 */
export function compareValues(a: Value, b: Value): number {
  if (a === b) return 0;
  if (typeof a === "string" && typeof b === "string") return compareStrings(a, b);
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  return compareAt(a, b, 0);
}

function compareAt(a: Value, b: Value, depth: number): number {
  if (a === b) return 0;
  const rank = rankOf(a);
  const difference = rank - rankOf(b);
  if (difference !== 0) return difference;
  if (rank < 4) return compareScalars(a, b, rank);
  if (depth > MAX_RECURSION) return compareDeep(a, b);
  return rank === 5
    ? compareObjects(a as ObjectValue, b as ObjectValue, depth)
    : compareLists(listOf(a), listOf(b), depth);
}

function compareScalars(a: Value, b: Value, rank: number): number {
  if (rank === 3) return compareStrings(a as string, b as string);
  if (rank === 2) return compareNumbers(a as NumberValue, b as NumberValue);
  return a === b ? 0 : a === false ? -1 : 1;
}

/** Members in the order they are compared in: those of an object as keys and values in turn, which comes to the same. */
function listOf(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value;
  return value instanceof RegoSet ? value.sorted() : flatEntries(value as ObjectValue);
}

function compareLists(a: readonly Value[], b: readonly Value[], depth: number): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const order = compareAt(a[i] as Value, b[i] as Value, depth + 1);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareObjects(a: ObjectValue, b: ObjectValue, depth: number): number {
  const keysA = sortedKeys(a);
  const keysB = sortedKeys(b);
  const n = Math.min(keysA.length, keysB.length);
  for (let i = 0; i < n; i++) {
    const keyA = keysA[i] as Value;
    const keyB = keysB[i] as Value;
    const byKey = compareAt(keyA, keyB, depth + 1);
    if (byKey !== 0) return byKey;
    const byValue = compareAt(getKey(a, keyA) as Value, getKey(b, keyB) as Value, depth + 1);
    if (byValue !== 0) return byValue;
  }
  return keysA.length - keysB.length;
}

/** `compareAt` for composites of one type at any depth, without using the call stack. */
function compareDeep(rootA: Value, rootB: Value): number {
  const open = [{ a: listOf(rootA), b: listOf(rootB), next: 0 }];
  for (let frame = open.at(-1); frame !== undefined; frame = open.at(-1)) {
    const { a, b } = frame;
    if (frame.next === Math.min(a.length, b.length)) {
      if (a.length !== b.length) return a.length - b.length;
      open.pop();
      continue;
    }
    const x = a[frame.next] as Value;
    const y = b[frame.next++] as Value;
    if (x === y) continue;
    const rank = rankOf(x);
    const difference = rank - rankOf(y);
    if (difference !== 0) return difference;
    if (rank >= 4) open.push({ a: listOf(x), b: listOf(y), next: 0 });
    else {
      const order = compareScalars(x, y, rank);
      if (order !== 0) return order;
    }
  }
  return 0;
}

/** Rego equality: structural, numbers by value, never across types. */
export function valuesEqual(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    return typeof a !== "string" && typeof a !== "boolean" && isNumber(a) && isNumber(b) && numbersEqual(a, b);
  }
  return equalAt(a, b, 0);
}

function equalAt(a: Value, b: Value, depth: number): boolean {
  if (a === b) return true;
  const rank = rankOf(a);
  if (rank !== rankOf(b)) return false;
  if (rank < 4) return rank === 2 && numbersEqual(a as NumberValue, b as NumberValue);
  if (depth > MAX_RECURSION) return equalDeep(a, b);
  if (rank === 4) {
    const x = a as readonly Value[];
    const y = b as readonly Value[];
    if (x.length !== y.length) return false;
    for (let i = 0; i < x.length; i++) if (!equalAt(x[i] as Value, y[i] as Value, depth + 1)) return false;
    return true;
  }
  if (rank === 6) return setsEqual(a as RegoSet, b as RegoSet);
  const x = a as ObjectValue;
  const y = b as ObjectValue;
  if (sizeOf(x) !== sizeOf(y)) return false;
  for (const key of x instanceof RegoObject ? x.keys() : Object.keys(x)) {
    const other = getKey(y, key);
    if (other === undefined || !equalAt(getKey(x, key) as Value, other, depth + 1)) return false;
  }
  return true;
}

function setsEqual(a: RegoSet, b: RegoSet): boolean {
  if (a.size !== b.size) return false;
  for (const member of a.values()) if (!b.has(member)) return false;
  return true;
}

/** `equalAt` at any depth, without using the call stack. */
function equalDeep(rootA: Value, rootB: Value): boolean {
  const pending: Value[] = [rootA, rootB];
  while (pending.length > 0) {
    const b = pending.pop() as Value;
    const a = pending.pop() as Value;
    if (a === b) continue;
    const rank = rankOf(a);
    if (rank !== rankOf(b)) return false;
    if (rank < 4) {
      if (rank !== 2 || !numbersEqual(a as NumberValue, b as NumberValue)) return false;
    } else if (rank === 4) {
      const x = a as readonly Value[];
      const y = b as readonly Value[];
      if (x.length !== y.length) return false;
      for (let i = 0; i < x.length; i++) pending.push(x[i] as Value, y[i] as Value);
    } else if (rank === 6) {
      if (!setsEqual(a as RegoSet, b as RegoSet)) return false;
    } else {
      const x = a as ObjectValue;
      const y = b as ObjectValue;
      if (sizeOf(x) !== sizeOf(y)) return false;
      for (const key of x instanceof RegoObject ? x.keys() : Object.keys(x)) {
        const other = getKey(y, key);
        if (other === undefined) return false;
        pending.push(getKey(x, key) as Value, other);
      }
    }
  }
  return true;
}
