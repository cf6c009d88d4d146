import { BuiltinError, OperandError } from "../runtime/index.ts";
import { isNumber, type NumberValue, parseNumber, quoteGo, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const HEXADECIMAL = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?\d+)$/;

/**
 * A number as Go's `strconv.ParseFloat` accepts it. Text that is a JSON number stays as it is written; other notations
 * (`+5`, `.5`, `1_000`, `0x1p-2`) become the number they denote, because nothing else could print them.
 */
function parseFloatText(text: string): NumberValue {
  const plain = text.includes("_") && underscoresFit(text) ? text.replaceAll("_", "") : text;
  const hexadecimal = HEXADECIMAL.exec(plain);
  let value: number;
  if (hexadecimal !== null && (hexadecimal[2] ?? "") + (hexadecimal[3] ?? "") !== "") value = hexFloat(hexadecimal);
  else if (DECIMAL.test(plain)) value = Number(plain);
  else throw new BuiltinError(`strconv.ParseFloat: parsing ${quoteGo(text)}: invalid syntax`);
  if (!Number.isFinite(value)) {
    throw new BuiltinError(`strconv.ParseFloat: parsing ${quoteGo(text)}: value out of range`);
  }
  if (JSON_NUMBER.test(text)) return parseNumber(text);
  return parseNumber(hexadecimal === null ? normalDecimal(plain) : jsonFloat(value));
}

/** JSON form of a decimal that Go reads and JSON does not: `+5`, `.5`, `5.`, `007`. */
function normalDecimal(text: string): string {
  const [mantissa = "", exponent] = text.replace(/^\+/, "").toLowerCase().split("e");
  const sign = mantissa.startsWith("-") ? "-" : "";
  const [whole = "", fraction = ""] = mantissa.replace(/^-/, "").split(".");
  const integer = whole.replace(/^0+(?=\d)/, "");
  return `${sign}${integer === "" ? "0" : integer}${fraction === "" ? "" : `.${fraction}`}${exponent === undefined ? "" : `e${exponent}`}`;
}

function jsonFloat(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : String(value).replace("e+", "e");
}

function hexFloat([, sign, whole = "", fraction = "", exponent]: RegExpExecArray): number {
  const mantissa = BigInt(`0x0${whole}${fraction}`);
  const magnitude = Number(mantissa) * 2 ** (Number(exponent) - 4 * fraction.length);
  return sign === "-" ? -magnitude : magnitude;
}

/** Go's rule: an underscore stands between digits, or between a base prefix and a digit. */
function underscoresFit(text: string): boolean {
  const body = text.replace(/^[+-]/, "");
  const hexadecimal = /^0[xX]/.test(body);
  const digit = hexadecimal ? /[0-9a-fA-F]/ : /[0-9]/;
  let last = hexadecimal ? "0" : "^";
  for (const char of hexadecimal ? body.slice(2) : body) {
    if (digit.test(char)) last = "0";
    else if (char === "_") {
      if (last !== "0") return false;
      last = "_";
    } else {
      if (last === "_") return false;
      last = "!";
    }
  }
  return last !== "_";
}

export const conversionBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "to_number",
    category: "conversions",
    about: "Reads a number from a string; null and false are 0, true is 1.",
    args: [
      arg(
        "value",
        operands.of<null | boolean | NumberValue | string>(
          types.oneOf(types.null, types.boolean, types.number, types.string),
          "null",
          "boolean",
          "number",
          "string",
        ),
        "what to convert",
      ),
    ],
    result: result("num", types.number, "the number"),
    call: (_context, value: Value) => {
      if (value === null || value === false) return 0;
      if (value === true) return 1;
      if (isNumber(value)) return value;
      const text = value as string;
      if (/^[+-]*(?:inf|infinity|nan)$/i.test(text)) {
        throw new OperandError(1, "must be valid number string but got string");
      }
      return parseFloatText(text);
    },
  }),
];
