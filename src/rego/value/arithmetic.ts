import {
  ArithmeticError,
  add,
  BigFloat,
  compareFloats,
  DEFAULT_PRECISION,
  divide as divideFloats,
  floatOfDecimal,
  floatOfInteger,
  floatText,
  multiply as multiplyFloats,
  negate,
  truncate,
} from "./big-float.ts";
import { decimalOf, fromBigInt, type NumberValue, numberText, parseNumber, RegoNumber, toBigInt } from "./number.ts";

/**
 * Rego's arithmetic: exact for integers of any size and notation, 64-bit binary floats for everything else.
 * @source OPA v1/topdown/arithmetic.go
 */
export function plus(a: NumberValue, b: NumberValue): NumberValue {
  if (typeof a === "number" && typeof b === "number") {
    const sum = a + b;
    if (Number.isSafeInteger(sum) && Number.isSafeInteger(a) && Number.isSafeInteger(b)) return sum + 0;
  }
  const x = toBigInt(a);
  const y = x === undefined ? undefined : toBigInt(b);
  if (x !== undefined && y !== undefined) return fromBigInt(x + y);
  return fromFloat(add(toFloat(a), toFloat(b)));
}

export function minus(a: NumberValue, b: NumberValue): NumberValue {
  if (typeof a === "number" && typeof b === "number") {
    const difference = a - b;
    if (Number.isSafeInteger(difference) && Number.isSafeInteger(a) && Number.isSafeInteger(b)) return difference + 0;
  }
  const x = toBigInt(a);
  const y = x === undefined ? undefined : toBigInt(b);
  if (x !== undefined && y !== undefined) return fromBigInt(x - y);
  return fromFloat(add(toFloat(a), negate(toFloat(b))));
}

export function times(a: NumberValue, b: NumberValue): NumberValue {
  if (typeof a === "number" && typeof b === "number") {
    const product = a * b;
    if (Number.isSafeInteger(product) && Number.isSafeInteger(a) && Number.isSafeInteger(b)) return product + 0;
  }
  const x = toBigInt(a);
  const y = x === undefined ? undefined : toBigInt(b);
  if (x !== undefined && y !== undefined) return fromBigInt(x * y);
  return fromFloat(multiplyFloats(toFloat(a), toFloat(b)));
}

/** @throws {ArithmeticError} `divide by zero` */
export function divide(a: NumberValue, b: NumberValue): NumberValue {
  if (typeof a === "number" && typeof b === "number" && b !== 0 && a !== 0) {
    const quotient = a / b;
    // An integral quotient of safe integers is exact: rounding cannot reach an integer from so far away.
    if (Number.isSafeInteger(quotient) && Number.isSafeInteger(a) && Number.isSafeInteger(b) && quotient * b === a) {
      return quotient;
    }
  }
  return fromFloat(divideFloats(toFloat(a), toFloat(b)));
}

/** The remainder with the sign of the dividend. @throws {ArithmeticError} for fractions and a zero divisor. */
export function remainder(a: NumberValue, b: NumberValue): NumberValue {
  if (Number.isSafeInteger(a) && Number.isSafeInteger(b) && b !== 0) return ((a as number) % (b as number)) + 0;
  const x = toBigInt(a);
  const y = toBigInt(b);
  if (x === undefined || y === undefined) throw new ArithmeticError("modulo on floating-point number");
  if (y === 0n) throw new ArithmeticError("modulo by zero");
  return fromBigInt(x % y);
}

export function absolute(a: NumberValue): NumberValue {
  if (Number.isSafeInteger(a)) return Math.abs(a as number);
  const x = toFloat(a);
  return fromFloat(new BigFloat(false, x.mantissa, x.exponent, x.precision));
}

const HALF = new BigFloat(false, 1n, -1, 53);
const ONE = floatOfInteger(1n, 53);

/** To the nearest integer, halves away from zero. */
export function round(a: NumberValue): NumberValue {
  if (Number.isSafeInteger(a)) return (a as number) + 0;
  const x = toFloat(a);
  return fromFloat(floatOfInteger(truncate(add(x, x.negative ? negate(HALF) : HALF))));
}

/**
 * The least integer not below `a` — except in (-1, 0), where OPA answers 1: it looks at the sign of the truncated value,
 * which is then zero. Kept, because policies see it.
 */
export function ceil(a: NumberValue): NumberValue {
  if (Number.isSafeInteger(a)) return (a as number) + 0;
  const x = toFloat(a);
  const integral = floatOfInteger(truncate(x));
  if (integral.negative || compareFloats(x, integral) === 0) return fromFloat(integral);
  return fromFloat(add(integral, ONE));
}

/** The greatest integer not above `a` — except in (-1, 0), where OPA answers 0, for the reason given at `ceil`. */
export function floor(a: NumberValue): NumberValue {
  if (Number.isSafeInteger(a)) return (a as number) + 0;
  const x = toFloat(a);
  const integral = floatOfInteger(truncate(x));
  if (!integral.negative || compareFloats(x, integral) === 0) return fromFloat(integral);
  return fromFloat(add(integral, negate(ONE)));
}

export function sum(numbers: readonly NumberValue[]): NumberValue {
  let fast = 0;
  let i = 0;
  for (; i < numbers.length; i++) {
    const n = numbers[i] as NumberValue;
    if (!Number.isSafeInteger(n) || !Number.isSafeInteger(fast + (n as number))) break;
    fast += n as number;
  }
  if (i === numbers.length) return fast;
  let exact = 0n;
  for (const n of numbers) {
    const integer = toBigInt(n);
    if (integer === undefined) {
      return fromFloat(numbers.reduce((total, x) => add(total, toFloat(x)), floatOfInteger(0n, DEFAULT_PRECISION)));
    }
    exact += integer;
  }
  return fromBigInt(exact);
}

/** Of integers exact; of others in 53 bits, because OPA starts from a float64. `spend` is told the size of what grows. */
export function product(numbers: readonly NumberValue[], spend: (steps: number) => void): NumberValue {
  let fast = 1;
  let i = 0;
  for (; i < numbers.length; i++) {
    const n = numbers[i] as NumberValue;
    if (!Number.isSafeInteger(n) || !Number.isSafeInteger(fast * (n as number))) break;
    fast *= n as number;
  }
  if (i === numbers.length) return fast + 0;
  const integers: bigint[] = [];
  for (const n of numbers) {
    const integer = toBigInt(n);
    if (integer === undefined) {
      return fromFloat(numbers.reduce((total, x) => multiplyFloats(total, toFloat(x), 53), floatOfInteger(1n, 53)));
    }
    integers.push(integer);
  }
  let exact = 1n;
  let digits = 0;
  for (let at = 0; at < integers.length; at++) {
    digits += numberText(numbers[at] as NumberValue).length;
    spend(Math.ceil(digits / 64));
    exact *= integers[at] as bigint;
  }
  return fromBigInt(exact);
}

/** A number as the float OPA computes with. */
export function toFloat(a: NumberValue): BigFloat {
  if (typeof a === "number" && Number.isSafeInteger(a)) {
    return new BigFloat(a < 0 || Object.is(a, -0), BigInt(Math.abs(a)), 0, DEFAULT_PRECISION);
  }
  if (typeof a === "bigint") return floatOfInteger(a, DEFAULT_PRECISION);
  const text = numberText(a);
  const { digits, exponent } = decimalOf(text);
  const magnitude = digits < 0n ? -digits : digits;
  return floatOfDecimal(magnitude, exponent, text.startsWith("-"));
}

export function fromFloat(a: BigFloat): NumberValue {
  return parseNumber(floatText(a));
}

/** The number as the nearest float64, as `strconv.ParseFloat`; undefined where it is out of range. */
export function toFloat64(a: NumberValue): number | undefined {
  const n = typeof a === "number" ? a : Number(numberText(a));
  return Number.isFinite(n) ? n : undefined;
}

/**
 * The int64 that OPA reads from a number's text where it needs one: digits, at most 19, optionally followed by a point and zeros.
 * `1e2` and greater integers are none.
 * @source OPA v1/util/performance.go Atoi64
 */
export function toInt64(a: NumberValue): bigint | undefined {
  if (typeof a === "number" && Number.isSafeInteger(a)) return BigInt(a);
  return parseInt64(numberText(a));
}

/** The int64 that OPA reads from a text, by the rule of `toInt64`. */
export function parseInt64(text: string): bigint | undefined {
  const match = /^([+-]?)((\d+)(?:\.0*)?)$/.exec(text);
  if (match === null || (match[2] as string).length > 19) return undefined;
  const n = BigInt(`${match[1] === "-" ? "-" : ""}${match[3]}`);
  return n === BigInt.asIntN(64, n) ? n : undefined;
}

/** Whether a number is an integer in whatever notation. */
export function isInteger(a: NumberValue): boolean {
  return Number.isSafeInteger(a) || typeof a === "bigint" || (a instanceof RegoNumber && toBigInt(a) !== undefined);
}
