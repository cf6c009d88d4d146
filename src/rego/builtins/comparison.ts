import { compareValues, type Value, valuesEqual } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";

function comparison(name: string, infix: string, words: string, holds: (x: Value, y: Value) => boolean): Builtin {
  return defineBuiltin({
    name,
    category: "comparison",
    about: `Compares two values of any type: \`x ${infix} y\`.`,
    infix,
    args: [arg("x", operands.any, "the left side"), arg("y", operands.any, "the right side")],
    result: result("result", types.boolean, `whether \`x\` is ${words} \`y\``),
    call: (_context, x, y) => holds(x, y),
  });
}

/** `=` and `:=` are compiled as statements; called as functions they compare. Their operands have no names in OPA's messages. */
function binding(name: string, infix: string, about: string): Builtin {
  return defineBuiltin({
    name,
    category: "comparison",
    about,
    infix,
    args: [arg("", operands.any, "the left side"), arg("", operands.any, "the right side")],
    result: { type: types.boolean },
    call: (_context, x, y) => valuesEqual(x, y),
  });
}

export const comparisonBuiltins: readonly Builtin[] = [
  binding("assign", ":=", "Declares local variables and binds them."),
  binding("eq", "=", "Unifies two terms: binds what is unbound, compares the rest."),
  comparison("equal", "==", "equal to", valuesEqual),
  comparison("gt", ">", "greater than", (x, y) => compareValues(x, y) > 0),
  comparison("gte", ">=", "greater than or equal to", (x, y) => compareValues(x, y) >= 0),
  comparison("lt", "<", "less than", (x, y) => compareValues(x, y) < 0),
  comparison("lte", "<=", "less than or equal to", (x, y) => compareValues(x, y) <= 0),
  comparison("neq", "!=", "different from", (x, y) => !valuesEqual(x, y)),
];
