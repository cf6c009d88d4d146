import type { Term } from "../syntax/index.ts";
import { RegoObject, RegoSet, type Value } from "../value/index.ts";

/** The value of a term made of scalars only; undefined where evaluation is needed. */
export function constantOf(term: Term): Value | undefined {
  switch (term.kind) {
    case "null":
      return null;
    case "boolean":
    case "number":
    case "string":
      return term.value;
    case "array":
      return constantsOf(term.items);
    case "set": {
      const items = constantsOf(term.items);
      return items === undefined ? undefined : RegoSet.of(items);
    }
    case "object": {
      const keys = constantsOf(term.entries.map(([key]) => key));
      const values = constantsOf(term.entries.map(([, value]) => value));
      if (keys === undefined || values === undefined) return undefined;
      return RegoObject.of(keys.map((key, i) => [key, values[i] as Value] as const));
    }
    default:
      return undefined;
  }
}

function constantsOf(terms: readonly Term[]): Value[] | undefined {
  const values: Value[] = [];
  for (const term of terms) {
    const value = constantOf(term);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}
