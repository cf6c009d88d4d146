import { BuiltinError } from "../runtime/index.ts";
import {
  ArithmeticError,
  compareValues,
  isNumber,
  type NumberValue,
  type ObjectValue,
  product,
  RegoSet,
  sizeOf,
  sum,
  type Value,
} from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import { type Collection, codePointCount, elementError, membersOf, shared } from "./operands.ts";

const countable = operands.of<string | readonly Value[] | ObjectValue | RegoSet>(
  types.oneOf(types.string, types.array(), types.object(), types.set()),
  "array",
  "object",
  "set",
  "string",
);
const numbersOperand = operands.of<Collection>(
  types.oneOf(types.array(types.number), types.set(types.number)),
  "set",
  "array",
);

function numbersOf(collection: Collection): readonly NumberValue[] {
  const members = membersOf(collection);
  for (const member of members) if (!isNumber(member)) throw elementError(1, collection, member, "number");
  return members as readonly NumberValue[];
}

function calculate(calculation: () => NumberValue): NumberValue {
  try {
    return calculation();
  } catch (error) {
    if (error instanceof ArithmeticError) throw new BuiltinError(error.message, { cause: error });
    throw error;
  }
}

/** @param sign 1 for the greatest, -1 for the least; of equal members the last counts, as in OPA */
function extreme(collection: Collection, sign: 1 | -1): Value | undefined {
  let best: Value | undefined;
  for (const member of Array.isArray(collection) ? collection : (collection as RegoSet).values()) {
    if (best === undefined || compareValues(member, best) * sign >= 0) best = member;
  }
  return best;
}

export const aggregateBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "count",
    category: "aggregates",
    about: "The number of members of a collection, or of code points of a string.",
    args: [arg("collection", countable, "the array, object, set or string")],
    result: result("n", types.number, "how many there are"),
    call: (_context, collection) => (typeof collection === "string" ? codePointCount(collection) : sizeOf(collection)),
  }),
  defineBuiltin({
    name: "sum",
    category: "aggregates",
    about: "Adds up numbers; 0 for none.",
    args: [arg("collection", numbersOperand, "the numbers")],
    result: result("n", types.number, "their sum"),
    call: (_context, collection) => calculate(() => sum(numbersOf(collection))),
  }),
  defineBuiltin({
    name: "product",
    category: "aggregates",
    about: "Multiplies numbers; 1 for none.",
    args: [arg("collection", numbersOperand, "the numbers")],
    result: result("n", types.number, "their product"),
    call: (context, collection) => calculate(() => product(numbersOf(collection), (steps) => context.spend(steps))),
  }),
  defineBuiltin({
    name: "max",
    category: "aggregates",
    about: "The greatest member in Rego's order; undefined for none.",
    args: [arg("collection", shared.collection, "the members")],
    result: result("n", types.any, "the greatest"),
    call: (_context, collection) => extreme(collection, 1),
  }),
  defineBuiltin({
    name: "min",
    category: "aggregates",
    about: "The least member in Rego's order; undefined for none.",
    args: [arg("collection", shared.collection, "the members")],
    result: result("n", types.any, "the least"),
    call: (_context, collection) => extreme(collection, -1),
  }),
  defineBuiltin({
    name: "sort",
    category: "aggregates",
    about: "The members in Rego's order.",
    args: [arg("collection", shared.collection, "the members")],
    result: result("n", types.array(), "the same members, ascending"),
    call: (_context, collection) =>
      collection instanceof RegoSet ? collection.sorted() : [...collection].sort(compareValues),
  }),
];
