import { canonicalText, type Value } from "../value/index.ts";

/**
 * Which definitions of a document can succeed, by tests of their bodies on a few references (`input.method == "GET"`,
 * `input.path in {…}`, `startswith(input.path, "/api")`). A definition is listed wherever it cannot be excluded.
 */
export interface RuleIndex {
  /** Definitions that are candidates whatever the references say. */
  readonly always: readonly number[];
  readonly test: IndexTest | undefined;
}

export interface IndexTest {
  /** Which of the values handed to `candidates`. */
  readonly reference: number;
  /** By the string the reference must equal. */
  readonly strings: ReadonlyMap<string, RuleIndex>;
  /** By the canonical text of the value it must equal, where that is no string. */
  readonly others: ReadonlyMap<string, RuleIndex>;
  /** By the prefix the reference must have, grouped by its length. */
  readonly prefixes: ReadonlyMap<number, ReadonlyMap<string, RuleIndex>>;
  /** Definitions with no test on this reference. */
  readonly rest: RuleIndex | undefined;
}

const NOTHING: readonly number[] = [];

/** The definitions worth evaluating, given the values of the index's references (undefined where a reference is). */
export function candidates(index: RuleIndex, values: readonly (Value | undefined)[]): readonly number[] {
  const { test } = index;
  if (test === undefined) return index.always;
  let found = index.always;
  const value = values[test.reference];
  if (value !== undefined) {
    const same = typeof value === "string" ? test.strings.get(value) : otherThanString(test, value);
    if (same !== undefined) found = join(found, candidates(same, values));
    if (typeof value === "string") {
      for (const [length, byText] of test.prefixes) {
        if (length > value.length) continue;
        const below = byText.get(value.slice(0, length));
        if (below !== undefined) found = join(found, candidates(below, values));
      }
    }
  }
  return test.rest === undefined ? found : join(found, candidates(test.rest, values));
}

function otherThanString({ others }: IndexTest, value: Value): RuleIndex | undefined {
  return others.size === 0 ? undefined : others.get(canonicalText(value));
}

function join(a: readonly number[], b: readonly number[]): readonly number[] {
  if (a.length === 0) return b;
  return b.length === 0 ? a : [...a, ...b];
}

export const EMPTY_INDEX: RuleIndex = { always: NOTHING, test: undefined };
