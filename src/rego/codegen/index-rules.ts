import { eachInSteps, mapInSteps, type Steps } from "../../base/index.ts";
import { EMPTY_INDEX, type IndexTest, type RuleIndex } from "../runtime/index.ts";
import type { Body, Expr, Rule, Term } from "../syntax/index.ts";
import { canonicalText, isArray, isObject, isSet, type Value } from "../value/index.ts";
import { constantOf } from "./constants.ts";

/** A reference that an index can test: a path of strings below `input` or below an argument of a function. */
export interface IndexedReference {
  /** Position of the argument; undefined: `input`. */
  readonly argument: number | undefined;
  readonly path: readonly string[];
}

/** A test some body makes: without it holding, the body has no solution. */
type Condition = { readonly reference: string } & (
  | { readonly kind: "equal"; readonly values: readonly Value[] }
  | { readonly kind: "prefix"; readonly prefix: string }
);

interface Entry {
  readonly definition: number;
  readonly conditions: readonly Condition[];
}

export interface BuiltIndex {
  readonly index: RuleIndex;
  readonly references: readonly IndexedReference[];
}

/** Indexes pay from this many definitions on. */
const MIN_ENTRIES = 4;
const MAX_DEPTH = 6;

/**
 * Builds the index of a group's definitions, or nothing if their bodies have no tests to tell them apart.
 * Sound: a definition is left out only where one of its own tests fails. (OPA v1/ast/index.go does the same for `==`.)
 */
export function* indexDefinitions(rules: readonly Rule[]): Steps<BuiltIndex | undefined> {
  const references = new Map<string, IndexedReference>();
  const entries = yield* mapInSteps(rules, (rule, definition) => ({
    definition,
    conditions: rule.else === undefined ? conditionsOf(rule, references) : [],
  }));
  const used: IndexedReference[] = [];
  const slots = new Map<string, number>();
  const slotOf = (text: string): number => {
    let slot = slots.get(text);
    if (slot === undefined) {
      slot = used.length;
      slots.set(text, slot);
      used.push(references.get(text) as IndexedReference);
    }
    return slot;
  };
  const index = yield* build(entries, slotOf, 0);
  return index.test === undefined ? undefined : { index, references: used };
}

function* build(entries: readonly Entry[], slotOf: (text: string) => number, depth: number): Steps<RuleIndex> {
  const reference = entries.length < MIN_ENTRIES || depth > MAX_DEPTH ? undefined : yield* busiestReference(entries);
  if (reference === undefined)
    return entries.length === 0 ? EMPTY_INDEX : { always: entries.map((entry) => entry.definition), test: undefined };
  const strings = new Map<string, Entry[]>();
  const others = new Map<string, Entry[]>();
  const prefixes = new Map<number, Map<string, Entry[]>>();
  const rest: Entry[] = [];
  yield* eachInSteps(entries, (entry) => {
    const condition = entry.conditions.find((one) => one.reference === reference);
    if (condition === undefined) {
      rest.push(entry);
      return;
    }
    const remaining = { definition: entry.definition, conditions: entry.conditions.filter((one) => one !== condition) };
    if (condition.kind === "equal") {
      const texts = new Set<string>();
      for (const value of condition.values) {
        if (typeof value !== "string") texts.add(canonicalText(value));
        else if (strings.get(value)?.at(-1) !== remaining) push(strings, value, remaining);
      }
      for (const text of texts) push(others, text, remaining);
    } else {
      let byText = prefixes.get(condition.prefix.length);
      if (byText === undefined) {
        byText = new Map();
        prefixes.set(condition.prefix.length, byText);
      }
      push(byText, condition.prefix, remaining);
    }
  });
  const slot = slotOf(reference);
  const below = function* <K>(lists: ReadonlyMap<K, readonly Entry[]>): Steps<Map<K, RuleIndex>> {
    const indexes = new Map<K, RuleIndex>();
    for (const [key, list] of lists) {
      indexes.set(key, yield* build(list, slotOf, depth + 1));
      if (indexes.size % 16 === 0) yield;
    }
    return indexes;
  };
  const belowStrings = yield* below(strings);
  const belowOthers = yield* below(others);
  const belowPrefixes = new Map<number, ReadonlyMap<string, RuleIndex>>();
  for (const [length, byText] of prefixes) belowPrefixes.set(length, yield* below(byText));
  const test: IndexTest = {
    reference: slot,
    strings: belowStrings,
    others: belowOthers,
    prefixes: belowPrefixes,
    rest: rest.length === 0 ? undefined : yield* build(rest, slotOf, depth + 1),
  };
  return { always: [], test };
}

function push<K>(map: Map<K, Entry[]>, key: K, entry: Entry): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [entry]);
  else list.push(entry);
}

function indexKey(value: Value): string {
  return typeof value === "string" ? `"${value}` : canonicalText(value);
}

/** The reference most entries test, if that tells at least some of them apart. */
function* busiestReference(entries: readonly Entry[]): Steps<string | undefined> {
  const counts = new Map<string, { entries: number; keys: Set<string> }>();
  yield* eachInSteps(entries, ({ conditions }) => {
    for (const reference of new Set(conditions.map((condition) => condition.reference))) {
      let count = counts.get(reference);
      if (count === undefined) {
        count = { entries: 0, keys: new Set() };
        counts.set(reference, count);
      }
      count.entries++;
      const condition = conditions.find((one) => one.reference === reference) as Condition;
      count.keys.add(condition.kind === "prefix" ? `^${condition.prefix}` : condition.values.map(indexKey).join());
    }
  });
  let best: string | undefined;
  let bestScore = 0;
  for (const [reference, { entries: tested, keys }] of counts) {
    // Favour references that cover many definitions and split them into many groups.
    const score = tested * Math.log2(keys.size + 1);
    if (keys.size > 1 && tested >= MIN_ENTRIES / 2 && score > bestScore) {
      best = reference;
      bestScore = score;
    }
  }
  return best;
}

function conditionsOf(rule: Rule, references: Map<string, IndexedReference>): readonly Condition[] {
  const args = new Map<string, number>();
  (rule.head.args ?? []).forEach((arg, i) => {
    if (arg.kind === "var") args.set(arg.name, i);
  });
  const conditions: Condition[] = [];
  // `f("GET", x)`: a constant argument is a test like any other.
  (rule.head.args ?? []).forEach((arg, i) => {
    const value = constantOf(arg);
    if (value !== undefined)
      conditions.push({ reference: note({ argument: i, path: [] }, references), kind: "equal", values: [value] });
  });
  const aliases = aliasesOf(rule.body);
  for (const expr of rule.body) {
    const condition = conditionOf(expr, (term) => referenceText(term, aliases, args, references));
    if (condition !== undefined) conditions.push(condition);
  }
  return conditions;
}

/** Locals that stand for a reference: `x := input.method`. */
function aliasesOf(body: Body): ReadonlyMap<string, Term> {
  const aliases = new Map<string, Term>();
  for (const { form, negated, with: modifiers } of body) {
    if (
      negated ||
      modifiers.length > 0 ||
      form.kind !== "call" ||
      form.args.length !== 2 ||
      operatorName(form.operator.terms) !== "eq"
    )
      continue;
    const [a, b] = form.args as readonly [Term, Term];
    if (a.kind === "var" && b.kind === "ref") aliases.set(a.name, b);
    else if (b.kind === "var" && a.kind === "ref") aliases.set(b.name, a);
  }
  return aliases;
}

function conditionOf(
  { form, negated, with: modifiers }: Expr,
  reference: (term: Term) => string | undefined,
): Condition | undefined {
  if (negated || modifiers.length > 0 || form.kind !== "call" || form.args.length !== 2) return undefined;
  const [a, b] = form.args as readonly [Term, Term];
  switch (operatorName(form.operator.terms)) {
    case "eq":
    case "equal":
      return equalTo(a, b, reference) ?? equalTo(b, a, reference);
    case "internal.member_2": {
      const collection = constantOf(b);
      const text = reference(a);
      const values = collection === undefined ? undefined : membersOf(collection);
      return text === undefined || values === undefined ? undefined : { reference: text, kind: "equal", values };
    }
    case "startswith": {
      const text = reference(a);
      return text === undefined || b.kind !== "string"
        ? undefined
        : { reference: text, kind: "prefix", prefix: b.value };
    }
    default:
      return undefined;
  }
}

function equalTo(a: Term, b: Term, reference: (term: Term) => string | undefined): Condition | undefined {
  const value = constantOf(b);
  const text = value === undefined ? undefined : reference(a);
  return text === undefined || value === undefined ? undefined : { reference: text, kind: "equal", values: [value] };
}

function membersOf(value: Value): readonly Value[] | undefined {
  if (isArray(value)) return value;
  if (isSet(value)) return value.sorted();
  return isObject(value) ? undefined : [];
}

function referenceText(
  term: Term,
  aliases: ReadonlyMap<string, Term>,
  args: ReadonlyMap<string, number>,
  references: Map<string, IndexedReference>,
): string | undefined {
  if (term.kind === "var") {
    const argument = args.get(term.name);
    if (argument !== undefined) return note({ argument, path: [] }, references);
    const alias = aliases.get(term.name);
    return alias === undefined ? undefined : referenceText(alias, new Map(), args, references);
  }
  if (term.kind !== "ref") return undefined;
  const [head, ...rest] = term.terms as readonly [Term, ...Term[]];
  if (head.kind !== "var") return undefined;
  const argument = args.get(head.name);
  if (argument === undefined && head.name !== "input") return undefined;
  const path: string[] = [];
  for (const element of rest) {
    if (element.kind !== "string") return undefined;
    path.push(element.value);
  }
  return note({ argument, path }, references);
}

function note(reference: IndexedReference, references: Map<string, IndexedReference>): string {
  const text = JSON.stringify([reference.argument ?? -1, ...reference.path]);
  if (!references.has(text)) references.set(text, reference);
  return text;
}

function operatorName(terms: readonly Term[]): string {
  return terms.map((term) => (term.kind === "var" ? term.name : term.kind === "string" ? term.value : "?")).join(".");
}
