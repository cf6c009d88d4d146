/**
 * Binary floating point of a chosen mantissa width, rounding to nearest even: what Go's `big.Float` is to OPA.
 * Rego computes with 64 bits, so that `0.1 + 0.2 == 0.3`, which JavaScript's 53 bits cannot show.
 * The value is `mantissa * 2^exponent`, negated if `negative`; zero has mantissa 0.
 */
export class BigFloat {
  readonly negative: boolean;
  readonly mantissa: bigint;
  readonly exponent: number;
  readonly precision: number;

  constructor(negative: boolean, mantissa: bigint, exponent: number, precision: number) {
    this.negative = negative;
    this.mantissa = mantissa;
    this.exponent = exponent;
    this.precision = precision;
  }

  isZero(): boolean {
    return this.mantissa === 0n;
  }

  isInteger(): boolean {
    if (this.mantissa === 0n || this.exponent >= 0) return true;
    return this.exponent > -4096 && BigInt.asUintN(-this.exponent, this.mantissa) === 0n;
  }
}

/** The width of Rego's arithmetic (`big.Float`'s default). */
export const DEFAULT_PRECISION = 64;
/** Beyond this many bits of magnitude a number cannot be written out in decimal at a bearable price. */
const MAX_EXPONENT = 400_000;

/** A calculation has no result: a zero divisor, a fraction where integers are needed, a magnitude past all bounds. */
export class ArithmeticError extends Error {
  override readonly name = "ArithmeticError";
}

function bitLength(n: bigint): number {
  if (n === 0n) return 0;
  const hex = n.toString(16);
  return hex.length * 4 - (Math.clz32(Number.parseInt(hex[0] as string, 16)) - 28);
}

/** Rounds to `precision` bits. `sticky`: more non-zero bits follow the mantissa, which then has bits to spare. */
function rounded(
  negative: boolean,
  mantissa: bigint,
  exponent: number,
  precision: number,
  sticky: boolean = false,
): BigFloat {
  const excess = bitLength(mantissa) - precision;
  if (excess <= 0) return new BigFloat(negative, mantissa, exponent, precision);
  const shift = BigInt(excess);
  let kept = mantissa >> shift;
  const rest = mantissa - (kept << shift);
  const half = 1n << (shift - 1n);
  if (rest > half || (rest === half && (sticky || (kept & 1n) === 1n))) kept += 1n;
  return new BigFloat(negative, kept, exponent + excess, precision);
}

export function floatOfInteger(n: bigint, precision?: number): BigFloat {
  const magnitude = n < 0n ? -n : n;
  return rounded(n < 0n, magnitude, 0, precision ?? Math.max(DEFAULT_PRECISION, bitLength(magnitude)));
}

/** A decimal `digits * 10^exponent`, rounded as Go's `Float.SetString` rounds it. */
export function floatOfDecimal(digits: bigint, exponent: number, negative: boolean): BigFloat {
  const precision = DEFAULT_PRECISION;
  if (digits === 0n || exponent === 0) return rounded(negative, digits, 0, precision);
  if (Math.abs(exponent) > 0x7fffffff) throw new ArithmeticError("number out of range");
  const power = powerOfFive(Math.abs(exponent), precision + 64);
  const exact = new BigFloat(negative, digits, exponent, precision);
  return exponent < 0 ? divide(exact, power, precision) : multiply(exact, power, precision);
}

/** 5^n at the given width, by the squarings Go does, so that inexact powers are inexact alike. */
function powerOfFive(n: number, precision: number): BigFloat {
  if (n <= 27) return new BigFloat(false, 5n ** BigInt(n), 0, precision);
  let power = new BigFloat(false, 5n ** 27n, 0, precision);
  let factor = new BigFloat(false, 5n, 0, precision + 64);
  for (let rest = n - 27; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) power = multiply(power, factor, precision);
    factor = multiply(factor, factor, precision + 64);
  }
  return power;
}

export function negate(a: BigFloat): BigFloat {
  return new BigFloat(!a.negative, a.mantissa, a.exponent, a.precision);
}

export function add(a: BigFloat, b: BigFloat, precision: number = Math.max(a.precision, b.precision)): BigFloat {
  if (a.mantissa === 0n && b.mantissa === 0n) return new BigFloat(a.negative && b.negative, 0n, 0, precision);
  if (a.mantissa === 0n) return rounded(b.negative, b.mantissa, b.exponent, precision);
  if (b.mantissa === 0n) return rounded(a.negative, a.mantissa, a.exponent, precision);
  const [high, low] = a.exponent >= b.exponent ? [a, b] : [b, a];
  const gap = high.exponent - low.exponent;
  const room = precision + bitLength(low.mantissa) + 8;
  if (gap > room) {
    // The low one is less than the least bit that matters: it only says on which side of `high` the sum lies.
    const widened = high.mantissa << BigInt(precision + 4);
    const nudged = widened + (high.negative === low.negative ? 1n : -1n);
    return rounded(high.negative, nudged, high.exponent - precision - 4, precision);
  }
  const x = signed(high) << BigInt(gap);
  const sum = x + signed(low);
  return rounded(sum < 0n, sum < 0n ? -sum : sum, low.exponent, precision);
}

function signed(a: BigFloat): bigint {
  return a.negative ? -a.mantissa : a.mantissa;
}

export function multiply(a: BigFloat, b: BigFloat, precision: number = Math.max(a.precision, b.precision)): BigFloat {
  const negative = a.negative !== b.negative;
  if (a.mantissa === 0n || b.mantissa === 0n) return new BigFloat(negative, 0n, 0, precision);
  return rounded(negative, a.mantissa * b.mantissa, a.exponent + b.exponent, precision);
}

/** @throws {ArithmeticError} when `b` is zero. */
export function divide(a: BigFloat, b: BigFloat, precision: number = Math.max(a.precision, b.precision)): BigFloat {
  if (b.mantissa === 0n) throw new ArithmeticError("divide by zero");
  const negative = a.negative !== b.negative;
  if (a.mantissa === 0n) return new BigFloat(negative, 0n, 0, precision);
  const shift = Math.max(0, precision + 2 - bitLength(a.mantissa) + bitLength(b.mantissa));
  const dividend = a.mantissa << BigInt(shift);
  const quotient = dividend / b.mantissa;
  const sticky = quotient * b.mantissa !== dividend;
  // One more bit, so that the remainder cannot be mistaken for an exact half.
  const mantissa = (quotient << 1n) | (sticky ? 1n : 0n);
  return rounded(negative, mantissa, a.exponent - b.exponent - shift - 1, precision, sticky);
}

/** The integer part, towards zero. @throws {ArithmeticError} past all bounds. */
export function truncate(a: BigFloat): bigint {
  if (a.exponent > MAX_EXPONENT) throw new ArithmeticError("number out of range");
  const magnitude =
    a.exponent >= 0
      ? a.mantissa << BigInt(a.exponent)
      : a.exponent < -MAX_EXPONENT
        ? 0n
        : a.mantissa >> BigInt(-a.exponent);
  return a.negative ? -magnitude : magnitude;
}

export function compareFloats(a: BigFloat, b: BigFloat): number {
  const difference = add(a, negate(b));
  return difference.mantissa === 0n ? 0 : difference.negative ? -1 : 1;
}

/**
 * OPA's text of a computed number: integers without exponent, otherwise the shortest decimal that comes back to the same float,
 * in exponent form from 10^6 upwards and below 10^-4.
 * @source OPA v1/topdown/builtins FloatToNumber; Go math/big ftoa.go
 */
export function floatText(a: BigFloat): string {
  const sign = a.negative ? "-" : "";
  if (a.mantissa === 0n) return `${sign}0`;
  const { digits, point } = shortestDigits(a);
  if (a.isInteger()) return sign + digits.padEnd(point, "0");
  const exponent = point - 1;
  if (exponent < -4 || exponent >= 6) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    const magnitude = String(Math.abs(exponent)).padStart(2, "0");
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? "-" : "+"}${magnitude}`;
  }
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  if (point >= digits.length) return sign + digits.padEnd(point, "0");
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** The value reads `0.digits * 10^point`. */
interface Digits {
  readonly digits: string;
  readonly point: number;
}

/** The fewest digits that identify the float among its neighbours, chosen as Go's `roundShortest` does. */
function shortestDigits(a: BigFloat): Digits {
  // Give the mantissa one bit more than the precision, so that its last bit is half a unit.
  const shift = a.precision + 1 - bitLength(a.mantissa);
  const mantissa = shift >= 0 ? a.mantissa << BigInt(shift) : a.mantissa >> BigInt(-shift);
  const exponent = a.exponent - shift;
  const middle = leadingDigits(mantissa, exponent);
  const lower = leadingDigits(mantissa - 1n, exponent).digits;
  const upper = leadingDigits(mantissa + 1n, exponent).digits;
  const inclusive = (mantissa & 2n) === 0n;
  const { digits, point } = middle;
  for (let i = 0; i < digits.length; i++) {
    const l = lower[i] ?? "0";
    const m = digits[i] as string;
    const u = upper[i] ?? "0";
    const downOk = l !== m || (inclusive && i + 1 === lower.length);
    const upOk = m !== u && (inclusive || Number(m) + 1 < Number(u) || i + 1 < upper.length);
    if (downOk && upOk) return roundDigits(digits, point, i + 1, roundsUp(digits, i + 1));
    if (downOk) return roundDigits(digits, point, i + 1, false);
    if (upOk) return roundDigits(digits, point, i + 1, true);
  }
  return middle;
}

function roundsUp(digits: string, count: number): boolean {
  const next = digits[count];
  if (next === undefined) return false;
  if (next === "5" && count + 1 === digits.length) return Number(digits[count - 1] ?? "0") % 2 === 1;
  return next >= "5";
}

function roundDigits(digits: string, point: number, count: number, up: boolean): Digits {
  let kept = digits.slice(0, count);
  if (up) {
    const raised = (BigInt(kept) + 1n).toString();
    if (raised.length > kept.length) point++;
    kept = raised;
  }
  return { digits: withoutTrailingZeros(kept), point };
}

function withoutTrailingZeros(digits: string): string {
  let end = digits.length;
  while (end > 1 && digits.charCodeAt(end - 1) === 0x30) end--;
  return digits.slice(0, end);
}

/** Enough decimal digits of `mantissa * 2^exponent` to choose from; a last `1` stands for all that follow. */
function leadingDigits(mantissa: bigint, exponent: number): Digits {
  if (Math.abs(exponent) > MAX_EXPONENT) throw new ArithmeticError("number out of range");
  const wanted = Math.ceil(bitLength(mantissa) / 3.32) + 20;
  const place = Math.floor((bitLength(mantissa) - 1 + exponent) * 0.30102999566398);
  const scale = wanted - place;
  let numerator = exponent >= 0 ? mantissa << BigInt(exponent) : mantissa;
  let denominator = exponent < 0 ? 1n << BigInt(-exponent) : 1n;
  if (scale >= 0) numerator *= 10n ** BigInt(scale);
  else denominator *= 10n ** BigInt(-scale);
  const quotient = numerator / denominator;
  const exact = quotient * denominator === numerator;
  const text = quotient.toString();
  return { digits: exact ? withoutTrailingZeros(text) : `${text}1`, point: text.length - scale };
}
