import { isNumber, type NumberValue, numberText, toFloat64, toInt64, toRegoText, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import { GoBigInt, GoInt, goSprintf, type GoValue } from "./go-format.ts";

/** What OPA hands to Go's fmt: numbers by the look of their text, strings as they are, everything else as Rego text. */
function toGo(value: Value): GoValue {
  if (typeof value === "string") return value;
  return isNumber(value) ? numberToGo(value) : toRegoText(value);
}

function numberToGo(value: NumberValue): GoValue {
  const integer = toInt64(value);
  if (integer !== undefined) return new GoInt(integer, "int64");
  const text = numberText(value);
  if (text.includes(".")) return toFloat64(value) ?? text;
  return /^[+-]?\d+$/.test(text) ? new GoBigInt(BigInt(text)) : text;
}

export const sprintfBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "sprintf",
    category: "strings",
    about: "Formats values as Go's `fmt.Sprintf` does.",
    args: [
      arg("format", operands.string, "text with directives such as `%s`, `%d`, `%.2f`, `%v`"),
      arg("values", operands.array, "what the directives show"),
    ],
    result: result("output", types.string, "the text with the values in place"),
    call: (context, format, values) => goSprintf(format, values.map(toGo), (steps) => context.spend(steps)),
  }),
];
