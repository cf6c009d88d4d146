export type NumberValue = number | bigint | RegoNumber;

/**
 * A number whose text JavaScript cannot keep: `1.50`, `1e2`, `0.1234567890123456789`. Made only by `parseNumber`.
 * OPA keeps number literals verbatim (json.Number), so the text survives until arithmetic touches it.
 */
export class RegoNumber {
  readonly text: string;
  #canonical: number | bigint | string | undefined;

  constructor(text: string) {
    this.text = text;
  }

  /**
   * The same number in the one form that equal numbers share: a JavaScript number or bigint where there is one,
   * otherwise normal text `-ddd.ddd` without exponent or superfluous zeros, prefixed with `#`.
   */
  get canonical(): number | bigint | string {
    this.#canonical ??= canonicalNumber(this.text);
    return this.#canonical;
  }

  /** @throws {TypeError} always, as BigInt does: JSON.stringify has no way to print such a number exactly; `toJsonText` has. */
  toJSON(): never {
    throw new TypeError("JSON.stringify cannot print a RegoNumber; use toJsonText");
  }
}

const PLAIN_INTEGER = /^-?(0|[1-9]\d*)$/;

/** Reads number text in JSON or Rego form. The text must be valid; use the lexer or JSON reader to find out. */
export function parseNumber(text: string): NumberValue {
  if (PLAIN_INTEGER.test(text)) {
    const n = Number(text);
    return Number.isSafeInteger(n) ? n : BigInt(text);
  }
  const n = Number(text);
  // Integers beyond 2^53 (`1e+21`) are left to RegoNumber, so that they equal the bigint of their value.
  return String(n) === text && (!Number.isInteger(n) || Number.isSafeInteger(n)) ? n : new RegoNumber(text);
}

/** The number's own text: what `print`, `json.marshal` and results show. */
export function numberText(value: NumberValue): string {
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  return typeof value === "bigint" ? value.toString() : value.text;
}

/** Makes a bigint into the representation values use: a JavaScript number where it is safe. */
export function fromBigInt(n: bigint): number | bigint {
  return n >= -9007199254740991n && n <= 9007199254740991n ? Number(n) : n;
}

/** The integer a number denotes in whatever notation (`1e3`, `2.0`), or undefined. */
export function toBigInt(value: NumberValue): bigint | undefined {
  if (typeof value === "bigint") return value;
  if (typeof value === "number")
    return Number.isInteger(value)
      ? Number.isSafeInteger(value)
        ? BigInt(value)
        : decimalOf(String(value)).asInteger()
      : undefined;
  return decimalOf(value.text).asInteger();
}

export function canonicalOf(value: NumberValue): number | bigint | string {
  return value instanceof RegoNumber ? value.canonical : value;
}

export function numbersEqual(a: NumberValue, b: NumberValue): boolean {
  return canonicalOf(a) === canonicalOf(b);
}

/** Numeric order, exact at any size. */
export function compareNumbers(a: NumberValue, b: NumberValue): number {
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "bigint" && typeof b === "bigint") return a < b ? -1 : a > b ? 1 : 0;
  return compareDecimals(decimalOf(numberText(a)), decimalOf(numberText(b)));
}

/** An exact decimal: `digits * 10^exponent`, digits without trailing zeros (0 is `0, 0`). */
export class Decimal {
  readonly digits: bigint;
  readonly exponent: number;

  constructor(digits: bigint, exponent: number) {
    this.digits = digits;
    this.exponent = exponent;
  }

  asInteger(): bigint | undefined {
    if (this.exponent < 0) return undefined;
    return this.exponent > MAX_INTEGER_ZEROS ? undefined : this.digits * 10n ** BigInt(this.exponent);
  }
}

/** `1e1000000` is an integer, but writing it out is a way to take a server down. Past this it is treated as a float. */
const MAX_INTEGER_ZEROS = 100_000;
/** Exponents are clamped here: far beyond any use, and still exact in a JavaScript number. */
const MAX_DECIMAL_EXPONENT = 1e15;

/** Reads number text. Linear in its length, whatever it holds: the text may come from a request. */
export function decimalOf(text: string): Decimal {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) throw new TypeError(`not a number: ${text}`);
  const fraction = match[3] ?? "";
  const all = (match[2] ?? "") + fraction;
  let start = 0;
  let end = all.length;
  while (start < end && all.charCodeAt(start) === 0x30) start++;
  while (end > start && all.charCodeAt(end - 1) === 0x30) end--;
  if (start === end) return new Decimal(0n, 0);
  const given = Number(match[4] ?? "0");
  const exponent = Math.max(-MAX_DECIMAL_EXPONENT, Math.min(MAX_DECIMAL_EXPONENT, given));
  const digits = BigInt(all.slice(start, end));
  return new Decimal(match[1] === "-" ? -digits : digits, exponent - fraction.length + all.length - end);
}

function compareDecimals(a: Decimal, b: Decimal): number {
  const signA = a.digits < 0n ? -1 : a.digits > 0n ? 1 : 0;
  const signB = b.digits < 0n ? -1 : b.digits > 0n ? 1 : 0;
  if (signA !== signB) return signA < signB ? -1 : 1;
  if (signA === 0) return 0;
  // Compare magnitudes by the place of the first digit before aligning, so that 1e100000 costs nothing.
  const placeA = digitCount(a.digits) + a.exponent;
  const placeB = digitCount(b.digits) + b.exponent;
  if (placeA !== placeB) return placeA < placeB === signA > 0 ? -1 : 1;
  const exponent = Math.min(a.exponent, b.exponent);
  const x = a.digits * 10n ** BigInt(a.exponent - exponent);
  const y = b.digits * 10n ** BigInt(b.exponent - exponent);
  return x < y ? -1 : x > y ? 1 : 0;
}

function digitCount(n: bigint): number {
  return (n < 0n ? -n : n).toString().length;
}

function canonicalNumber(text: string): number | bigint | string {
  const decimal = decimalOf(text);
  if (decimal.exponent >= 0 && decimal.exponent < 400)
    return fromBigInt(decimal.digits * 10n ** BigInt(decimal.exponent));
  const n = Number(text);
  if (Number.isFinite(n)) {
    const shortest = decimalOf(String(n));
    if (shortest.digits === decimal.digits && shortest.exponent === decimal.exponent) return n;
  }
  return `#${decimal.digits}e${decimal.exponent}`;
}
