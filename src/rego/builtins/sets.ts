import { isSet, RegoSet, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, operandTypeError, result, types } from "./define.ts";

/** Members of `a` that are not in `b`. */
export function difference(a: RegoSet, b: RegoSet): RegoSet {
  if (a.size === 0 || b.size === 0) return a;
  const kept = new RegoSet();
  for (const member of a.values()) if (!b.has(member)) kept.add(member);
  return kept;
}

/** Members of both; where equal numbers are written differently, those of `a`. */
export function intersect(a: RegoSet, b: RegoSet): RegoSet {
  const kept = new RegoSet();
  if (a.size <= b.size) for (const member of a.values()) b.has(member) && kept.add(member);
  else {
    for (const member of b.values()) {
      const own = a.get(member);
      if (own !== undefined) kept.add(own);
    }
  }
  return kept;
}

function unite(sets: Iterable<RegoSet>): RegoSet {
  const all = new RegoSet();
  for (const set of sets) for (const member of set.values()) all.add(member);
  return all;
}

const setOfSets = operands.of<RegoSet>(types.set(types.set()), "set");

function setsOf(outer: RegoSet): readonly RegoSet[] {
  return outer.sorted().map((member: Value) => {
    if (!isSet(member)) throw operandTypeError(1, ["set"], member);
    return member;
  });
}

const pair = [arg("x", operands.set, "the first set"), arg("y", operands.set, "the second set")] as const;

export const setBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "and",
    category: "sets",
    about: "The members two sets share.",
    infix: "&",
    args: pair,
    result: result("z", types.set(), "the intersection of `x` and `y`"),
    call: (_context, x, y) => intersect(x, y),
  }),
  defineBuiltin({
    name: "or",
    category: "sets",
    about: "The members of two sets together.",
    infix: "|",
    args: pair,
    result: result("z", types.set(), "the union of `x` and `y`"),
    call: (_context, x, y) => (x.size === 0 ? y : y.size === 0 ? x : unite([x, y])),
  }),
  defineBuiltin({
    name: "intersection",
    category: "sets",
    about: "The members that all given sets share; none if no set is given.",
    args: [arg("xs", setOfSets, "the sets")],
    result: result("y", types.set(), "their intersection"),
    call: (_context, xs) => {
      const [first, ...rest] = setsOf(xs);
      return first === undefined ? new RegoSet() : rest.reduce(intersect, first);
    },
  }),
  defineBuiltin({
    name: "union",
    category: "sets",
    about: "The members of all given sets together.",
    args: [arg("xs", setOfSets, "the sets")],
    result: result("y", types.set(), "their union"),
    call: (_context, xs) => unite(setsOf(xs)),
  }),
];
