import type { Expr, Term } from "../syntax/index.ts";
import { operatorWord } from "./walk.ts";

/**
 * Advice about an unbound variable: a name it may have been meant to be, or `:=` in place of `==`.
 *
 * @param known names that would have been found
 */
export function suggestFor(name: string, expr: Expr | undefined, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  // Short names are near to everything: one slip in a word of three, two in a longer one.
  let distance = name.length < 3 ? 1 : name.length < 6 ? 2 : 3;
  for (const candidate of known) {
    const found = editDistance(name, candidate, distance);
    if (found < distance && found > 0) {
      best = candidate;
      distance = found;
    }
  }
  if (best !== undefined) return `did you mean ${best}?`;
  if (expr?.form.kind === "call" && operatorWord(expr.form.operator) === "equal") {
    const [left, right] = expr.form.args;
    const advice = "== compares and binds nothing: use := to assign";
    if (isPatternWith(name, right)) return `${advice}, with the names on its left`;
    if (left?.kind === "var" || isPatternWith(name, left)) return advice;
  }
  return undefined;
}

/** Whether assigning to the term would give the name a value. */
function isPatternWith(name: string, term: Term | undefined): boolean {
  if (term?.kind === "var") return term.name === name;
  return term?.kind === "array" && term.items.some((item) => isPatternWith(name, item));
}

/** Levenshtein's distance, or `limit` where it is no less. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return Math.min(row[b.length] as number, limit);
}
