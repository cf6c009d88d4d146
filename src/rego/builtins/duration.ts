import { BuiltinError } from "../runtime/index.ts";
import { quoteGo } from "../value/index.ts";
import { quoteBytes } from "./go-layout.ts";

const UNITS: ReadonlyMap<string, bigint> = new Map([
  ["ns", 1n],
  ["us", 1_000n],
  ["µs", 1_000n],
  ["μs", 1_000n],
  ["ms", 1_000_000n],
  ["s", 1_000_000_000n],
  ["m", 60_000_000_000n],
  ["h", 3_600_000_000_000n],
]);

/** OPA's own units, in hours. */
const EXTENDED_UNITS: ReadonlyMap<string, number> = new Map([
  ["d", 24],
  ["w", 7 * 24],
  ["y", 365 * 24],
]);

const MAX = 1n << 63n;

/** Nanoseconds of a Go duration (`1h30m`, `-1.5s`), or of one with OPA's days, weeks and years (`1d12h`). @throws {BuiltinError} */
export function parseDuration(text: string): bigint {
  if (!/[dwy]/.test(text)) return parseGoDuration(text);
  const whole = /^([+-]?)((?:[\d.]+(?:ms|us|µs|ns|[a-z]))+)$/.exec(text);
  if (whole === null) throw invalid(text);
  const [, sign = "", segments = ""] = whole;
  const rewritten = segments.replace(/([\d.]+)(ms|us|µs|ns|[a-z])/g, (segment, digits: string, unit: string) => {
    const hours = EXTENDED_UNITS.get(unit);
    if (hours === undefined) return segment;
    const count = /^(\d+\.?\d*|\.\d+)$/.test(digits) ? Number(digits) * hours : Number.POSITIVE_INFINITY;
    if (!Number.isFinite(count)) throw invalid(text);
    return `${decimalText(count)}h`;
  });
  try {
    return parseGoDuration(sign + rewritten);
  } catch (error) {
    if (!(error instanceof BuiltinError)) throw error;
    // The reference quotes the duration as it was given, not as rewritten.
    throw new BuiltinError(`${error.message.slice(0, error.message.lastIndexOf(" "))} ${quoteGo(text)}`, {
      cause: error,
    });
  }
}

/** Go time.ParseDuration, with its int64 limits and its way of dropping what is finer than a nanosecond. */
export function parseGoDuration(text: string): bigint {
  const negative = text.startsWith("-");
  let rest = negative || text.startsWith("+") ? text.slice(1) : text;
  if (rest === "0") return 0n;
  if (rest === "") throw invalid(text);
  let total = 0n;
  while (rest !== "") {
    const digits = /^(\d*)(?:(\.)(\d*))?/.exec(rest) as RegExpExecArray;
    const [, whole = "", , fraction = ""] = digits;
    if (whole === "" && fraction === "") throw invalid(text);
    rest = rest.slice(digits[0].length);
    const unitText = (/^[^.\d]+/.exec(rest) ?? [""])[0];
    if (unitText === "") throw new BuiltinError(`time: missing unit in duration ${quoteBytes(text)}`);
    const unit = UNITS.get(unitText);
    if (unit === undefined)
      throw new BuiltinError(`time: unknown unit ${quoteBytes(unitText)} in duration ${quoteBytes(text)}`);
    rest = rest.slice(unitText.length);
    const count = BigInt(whole === "" ? "0" : whole);
    if (count > MAX / unit) throw invalid(text);
    total += count * unit + fractionOf(fraction, unit);
    if (total > MAX) throw invalid(text);
  }
  if (negative) return -total;
  if (total > MAX - 1n) throw invalid(text);
  return total;
}

/** Go multiplies digits and unit as floats and truncates. */
function fractionOf(digits: string, unit: bigint): bigint {
  if (digits === "") return 0n;
  const kept = leadingFraction(digits);
  return BigInt(Math.trunc(kept.value * (Number(unit) / kept.scale)));
}

/** Digits as an int63 and the power of ten they are divided by; digits that would overflow are ignored. */
function leadingFraction(digits: string): { readonly value: number; readonly scale: number } {
  let value = 0n;
  let scale = 1;
  for (const digit of digits) {
    if (value > (MAX - 1n) / 10n) break;
    const next = value * 10n + BigInt(digit);
    if (next > MAX) break;
    value = next;
    scale *= 10;
  }
  return { value: Number(value), scale };
}

/** A float in plain decimal digits (Go FormatFloat 'f', -1). */
function decimalText(value: number): string {
  const text = String(value);
  if (!text.includes("e")) return text;
  const [mantissa = "", exponentText = "0"] = text.split("e");
  const exponent = Number(exponentText);
  const [whole = "", fraction = ""] = mantissa.split(".");
  if (exponent >= 0)
    return (
      whole +
      fraction.padEnd(exponent, "0").slice(0, exponent) +
      (fraction.length > exponent ? `.${fraction.slice(exponent)}` : "")
    );
  return `0.${"0".repeat(-exponent - 1)}${whole}${fraction}`;
}

function invalid(text: string): BuiltinError {
  return new BuiltinError(`time: invalid duration ${quoteBytes(text)}`);
}
