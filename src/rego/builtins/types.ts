import { isArray, isNumber, isObject, isSet, typeName, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";

function check(name: string, noun: string, holds: (x: Value) => boolean): Builtin {
  return defineBuiltin({
    name,
    category: "types",
    about: `Whether a value is ${noun}; never undefined.`,
    args: [arg("x", operands.any, "the value")],
    result: result("result", types.boolean, `whether \`x\` is ${noun}`),
    call: (_context, x) => holds(x),
  });
}

export const typeBuiltins: readonly Builtin[] = [
  check("is_number", "a number", isNumber),
  check("is_string", "a string", (x) => typeof x === "string"),
  check("is_boolean", "a boolean", (x) => typeof x === "boolean"),
  check("is_array", "an array", isArray),
  check("is_set", "a set", isSet),
  check("is_object", "an object", isObject),
  check("is_null", "null", (x) => x === null),
  defineBuiltin({
    name: "type_name",
    category: "types",
    about: "The name of a value's type.",
    args: [arg("x", operands.any, "the value")],
    result: result("type", types.string, "`null`, `boolean`, `number`, `string`, `array`, `object` or `set`"),
    call: (_context, x) => typeName(x),
  }),
];
