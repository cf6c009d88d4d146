import { toRegoText } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";

export const tracingBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "print",
    category: "tracing",
    about: "Prints its operands, separated by spaces. The compiler rewrites it, or removes it where printing is off.",
    args: [],
    variadic: types.any,
    call: (context, ...values) => {
      context.print(values.map((value) => (typeof value === "string" ? value : toRegoText(value))).join(" "));
      return true;
    },
  }),
  defineBuiltin({
    name: "trace",
    category: "tracing",
    about: "Adds a note to the explanation of the query.",
    args: [arg("note", operands.string, "the text of the note")],
    result: result("result", types.boolean, "always `true`"),
    call: (context, note) => {
      context.note(note);
      return true;
    },
  }),
];
