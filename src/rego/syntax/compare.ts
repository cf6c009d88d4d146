import { canonicalOf, compareNumbers, compareStrings } from "../value/index.ts";
import type { Body, Expr, ExprForm, Term, TermKind, With } from "./ast.ts";

const ORDER: Readonly<Record<TermKind, number>> = {
  null: 0,
  boolean: 1,
  number: 2,
  string: 3,
  templatestring: 4,
  var: 5,
  ref: 6,
  array: 7,
  object: 8,
  set: 9,
  arraycomprehension: 10,
  objectcomprehension: 11,
  setcomprehension: 12,
  call: 13,
};

const FORM_ORDER: Readonly<Record<ExprForm["kind"], number>> = {
  term: 0,
  call: 1,
  some: 2,
  every: 3,
  logical: 4,
  not: 5,
};

/** OPA's total order of terms (ast.Compare), which sets and objects are printed in. Places do not count. */
export function compareTerms(a: Term, b: Term): number {
  if (a === b) return 0;
  const byKind = ORDER[a.kind] - ORDER[b.kind];
  if (byKind !== 0) return byKind;
  switch (a.kind) {
    case "null":
      return 0;
    case "boolean":
      return Number(a.value) - Number((b as typeof a).value);
    case "number":
      return compareNumbers(a.value, (b as typeof a).value);
    case "string":
      return compareStrings(a.value, (b as typeof a).value);
    case "var":
      return compareStrings(a.name, (b as typeof a).name);
    case "ref":
      return compareLists(a.terms, (b as typeof a).terms, compareTerms);
    case "array":
      return compareLists(a.items, (b as typeof a).items, compareTerms);
    case "object":
      return compareLists(sortedEntries(a.entries), sortedEntries((b as typeof a).entries), compareEntries);
    case "set":
      return compareLists(sortedItems(a.items), sortedItems((b as typeof a).items), compareTerms);
    case "arraycomprehension":
    case "setcomprehension": {
      const other = b as typeof a;
      return inTurn(compareTerms(a.term, other.term), () => compareBodies(a.body, other.body));
    }
    case "objectcomprehension": {
      const other = b as typeof a;
      return inTurn(
        compareTerms(a.key, other.key),
        () => compareTerms(a.value, other.value),
        () => compareBodies(a.body, other.body),
      );
    }
    case "call": {
      const other = b as typeof a;
      return inTurn(compareTerms(a.operator, other.operator), () => compareLists(a.args, other.args, compareTerms));
    }
    case "templatestring":
      return compareLists(a.parts, (b as typeof a).parts, (x, y) => {
        if ("kind" in x) return "kind" in y ? compareTerms(x, y) : -1;
        return "kind" in y ? 1 : compareExprs(x, y);
      });
  }
}

/** The first comparison that tells a difference. */
function inTurn(first: number, ...others: readonly (() => number)[]): number {
  let order = first;
  for (const next of others) {
    if (order !== 0) break;
    order = next();
  }
  return order;
}

export function compareBodies(a: Body, b: Body): number {
  return compareLists(a, b, compareExprs);
}

export function compareExprs(a: Expr, b: Expr): number {
  return inTurn(
    FORM_ORDER[a.form.kind] - FORM_ORDER[b.form.kind],
    () => a.index - b.index,
    () => Number(a.negated) - Number(b.negated),
    () => compareForms(a.form, b.form),
    () => compareLists(a.with, b.with, compareWiths),
  );
}

function compareWiths(a: With, b: With): number {
  return inTurn(compareTerms(a.target, b.target), () => compareTerms(a.value, b.value));
}

/** Both forms are of the same kind. */
function compareForms(a: ExprForm, b: ExprForm): number {
  switch (a.kind) {
    case "term":
      return compareTerms(a.term, (b as typeof a).term);
    case "call": {
      const other = b as typeof a;
      return inTurn(compareTerms(a.operator, other.operator), () => compareLists(a.args, other.args, compareTerms));
    }
    case "some":
      return compareLists(a.symbols, (b as typeof a).symbols, compareTerms);
    case "every": {
      const other = b as typeof a;
      const keys = (every: typeof a): readonly Term[] => (every.key === undefined ? [] : [every.key]);
      return inTurn(
        compareLists(keys(a), keys(other), compareTerms),
        () => compareTerms(a.value, other.value),
        () => compareTerms(a.domain, other.domain),
        () => compareBodies(a.body, other.body),
      );
    }
    case "not":
      return compareBodies(a.body, (b as typeof a).body);
    case "logical": {
      const other = b as typeof a;
      return inTurn(
        compareStrings(a.operator, other.operator),
        () => compareBodies(a.left, other.left),
        () => compareBodies(a.right, other.right),
      );
    }
  }
}

function compareLists<T>(a: readonly T[], b: readonly T[], compare: (x: T, y: T) => number): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const order = compare(a[i] as T, b[i] as T);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

type Entry = readonly [Term, Term];

function compareEntries(a: Entry, b: Entry): number {
  return inTurn(compareTerms(a[0], b[0]), () => compareTerms(a[1], b[1]));
}

export function sortedItems(items: readonly Term[]): readonly Term[] {
  return items.length < 2 ? items : [...items].sort(compareTerms);
}

export function sortedEntries(entries: readonly Entry[]): readonly Entry[] {
  return entries.length < 2 ? entries : [...entries].sort((a, b) => compareTerms(a[0], b[0]));
}

/** The items of a set literal, without those equal to an earlier one. */
export function distinctItems(items: readonly Term[]): readonly Term[] {
  if (items.length < 2) return items;
  const seen = new TermIndex();
  return items.filter((item) => seen.add(item) === undefined);
}

/** The entries of an object literal: of entries with equal keys the last value counts, as in OPA. */
export function distinctEntries(entries: readonly Entry[]): readonly Entry[] {
  if (entries.length < 2) return entries;
  const seen = new TermIndex();
  const result: Entry[] = [];
  for (const entry of entries) {
    const earlier = seen.add(entry[0]);
    if (earlier === undefined) result.push(entry);
    else result[earlier] = [(result[earlier] as Entry)[0], entry[1]];
  }
  return result;
}

/** Finds equal terms by hash. */
class TermIndex {
  readonly #buckets = new Map<number, { readonly term: Term; readonly position: number }[]>();
  #size = 0;

  /** The position of an equal term added before, or undefined if it is new. */
  add(term: Term): number | undefined {
    const hash = hashTerm(term);
    const bucket = this.#buckets.get(hash);
    const entry = { term, position: this.#size };
    if (bucket === undefined) this.#buckets.set(hash, [entry]);
    else {
      const equal = bucket.find((other) => compareTerms(other.term, term) === 0);
      if (equal !== undefined) return equal.position;
      bucket.push(entry);
    }
    this.#size++;
    return undefined;
  }
}

/** Kept, so that nested sets cost one visit per term. */
const hashes = new WeakMap<Term, number>();

function hashTerm(term: Term): number {
  let hash = hashes.get(term);
  if (hash === undefined) {
    hash = Math.imul(hashContent(term), 31) + ORDER[term.kind];
    hashes.set(term, hash);
  }
  return hash;
}

/** Equal terms have equal hashes. Closures hash by their terms' kind only. */
function hashContent(term: Term): number {
  switch (term.kind) {
    case "null":
      return 1;
    case "boolean":
      return term.value ? 2 : 3;
    case "number":
      return hashText(String(canonicalOf(term.value)));
    case "string":
      return hashText(term.value);
    case "var":
      return hashText(term.name);
    case "ref":
      return hashList(term.terms);
    case "array":
      return hashList(term.items);
    case "set":
      return term.items.reduce((sum, item) => (sum + hashTerm(item)) | 0, 0);
    case "object":
      return term.entries.reduce((sum, [key, value]) => (sum + Math.imul(hashTerm(key), 17) + hashTerm(value)) | 0, 0);
    case "call":
      return Math.imul(hashTerm(term.operator), 31) + hashList(term.args);
    case "arraycomprehension":
    case "setcomprehension":
      return hashTerm(term.term);
    case "objectcomprehension":
      return hashTerm(term.key);
    case "templatestring":
      return term.parts.length;
  }
}

function hashList(terms: readonly Term[]): number {
  let hash = 7;
  for (const term of terms) hash = (Math.imul(hash, 31) + hashTerm(term)) | 0;
  return hash;
}

function hashText(text: string): number {
  let hash = 7;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash;
}
