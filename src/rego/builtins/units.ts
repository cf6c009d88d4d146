import { BuiltinError } from "../runtime/index.ts";
import {
  ArithmeticError,
  decimalOf,
  floatOfInteger,
  fromBigInt,
  multiplyFloats,
  parseNumber,
  toFloat,
  truncate,
  type Value,
} from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import { toLower } from "./strings.ts";

/** Refusals that carry the builtin's name themselves: OPA shows it twice. */
type Refuse = (problem: string) => BuiltinError;

function powers(base: bigint, names: readonly (readonly string[])[]): (readonly [string, bigint])[] {
  return names.flatMap((aliases, i) => aliases.map((name) => [name, base ** BigInt(i + 1)] as const));
}

/** Kubernetes units; `m` is milli and handled apart. Only the first letter's case counts. */
const UNITS: ReadonlyMap<string, bigint> = new Map([
  ["", 1n],
  ...powers(1000n, [["k", "K"], ["M"], ["g", "G"], ["t", "T"], ["p", "P"], ["e", "E"]]),
  ...powers(1024n, [
    ["ki", "Ki"],
    ["mi", "Mi"],
    ["gi", "Gi"],
    ["ti", "Ti"],
    ["pi", "Pi"],
    ["ei", "Ei"],
  ]),
]);

const BYTE_UNITS: ReadonlyMap<string, bigint> = new Map([
  ["", 1n],
  ...powers(1000n, [
    ["kb", "k"],
    ["mb", "m"],
    ["gb", "g"],
    ["tb", "t"],
    ["pb", "p"],
    ["eb", "e"],
  ]),
  ...powers(1024n, [
    ["kib", "ki"],
    ["mib", "mi"],
    ["gib", "gi"],
    ["tib", "ti"],
    ["pib", "pi"],
    ["eib", "ei"],
  ]),
]);

const MAX_EXPONENT_DIGITS = 6;
/** 0.001 is no binary fraction, and OPA multiplies by the float64 next to it: numerator over a power of two. */
const MILLI = { numerator: 1152921504606847n, denominator: 1n << 60n };

/**
 * Where the number ends and the unit begins. An `e` belongs to the number only if a digit or sign follows: `1E` is one exa.
 * @source OPA v1/topdown/parse_bytes.go extractNumAndUnit
 */
function splitUnit(text: string, refuse: Refuse): readonly [number: string, unit: string] {
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (!/[0-9.eE+-]/.test(char)) return [text.slice(0, at), text.slice(at)];
    if (char !== "e" && char !== "E") continue;
    const next = text[at + 1] ?? "";
    if (!/[0-9+-]/.test(next)) return [text.slice(0, at), text.slice(at)];
    if (next === "+" || next === "-") at++;
    const digits = /^[0-9]*/.exec(text.slice(at + 1))?.[0] ?? "";
    if (digits.length > MAX_EXPONENT_DIGITS) throw refuse("exponent too large");
  }
  return [text, ""];
}

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** A fraction as 10 places behind the point, rounded half away from zero, as `Rat.FloatString(10)`. */
function tenPlaces(numerator: bigint, denominator: bigint): string {
  const scaled = numerator * 10n ** 10n;
  const magnitude = scaled < 0n ? -scaled : scaled;
  const rounded = (magnitude * 2n + denominator) / (denominator * 2n);
  const digits = rounded.toString().padStart(11, "0");
  return `${scaled < 0n ? "-" : ""}${digits.slice(0, -10)}.${digits.slice(-10)}`;
}

function parseUnits(text: string): Value {
  const refuse: Refuse = (problem) => new BuiltinError(`units.parse: ${problem}`);
  const plain = text.replaceAll('"', "");
  if (plain.includes(" ")) throw refuse("spaces not allowed in resource strings");
  const [number, given] = splitUnit(plain, refuse);
  if (number === "") throw refuse("no amount provided");
  const unit = given.slice(0, 1) + toLower(given.slice(1));
  const factor = UNITS.get(unit);
  if (factor === undefined && unit !== "m") throw refuse(`unit ${unit} not recognized`);
  if (!DECIMAL.test(number)) throw refuse("could not parse amount to a number");
  const { digits, exponent } = decimalOf(number);
  let numerator = digits * (factor ?? MILLI.numerator);
  let denominator = factor === undefined ? MILLI.denominator : 1n;
  if (exponent >= 0) numerator *= 10n ** BigInt(exponent);
  else denominator *= 10n ** BigInt(-exponent);
  if (numerator % denominator === 0n) return fromBigInt(numerator / denominator);
  return parseNumber(tenPlaces(numerator, denominator));
}

function parseBytes(text: string): Value {
  const refuse: Refuse = (problem) => new BuiltinError(`units.parse_bytes: ${problem}`);
  const plain = toLower(text).replaceAll('"', "");
  if (plain.includes(" ")) throw refuse("spaces not allowed in resource strings");
  const [number, unit] = splitUnit(plain, refuse);
  if (number === "") throw refuse("no byte amount provided");
  const factor = BYTE_UNITS.get(unit);
  if (factor === undefined) throw refuse(`byte unit ${unit} not recognized`);
  if (!DECIMAL.test(number)) throw refuse("could not parse byte amount to a number");
  try {
    const amount = toFloat(parseNumber(jsonNumber(number)));
    return fromBigInt(truncate(multiplyFloats(amount, floatOfInteger(factor))));
  } catch (error) {
    if (error instanceof ArithmeticError) throw new BuiltinError(error.message, { cause: error });
    throw error;
  }
}

/** `+5`, `.5` and `5.` in a form that number text allows. */
function jsonNumber(text: string): string {
  return text
    .replace(/^\+/, "")
    .replace(/^(-?)\./, "$10.")
    .replace(/\.(?=$|[eE])/, "");
}

export const unitBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "units.parse",
    category: "units",
    about: "Reads an amount with a unit as Kubernetes writes them: `100m`, `1.5Gi`, `2k`.",
    args: [arg("x", operands.string, "the amount; quotes do not count")],
    result: result("y", types.number, "the number without the unit"),
    call: (_context, x) => parseUnits(x),
  }),
  defineBuiltin({
    name: "units.parse_bytes",
    category: "units",
    about: "Reads a number of bytes with a unit in any case: `10KB`, `1.5gib`.",
    args: [arg("x", operands.string, "the amount; quotes do not count")],
    result: result("y", types.number, "the number of bytes, without a fraction"),
    call: (_context, x) => parseBytes(x),
  }),
];
