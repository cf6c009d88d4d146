/** Decimal digits of a positive number: it reads `0.digits * 10^point`, without trailing zeros. */
interface Digits {
  readonly digits: string;
  readonly point: number;
}

/** No float64 has more digits than this behind its point; what a format asks for beyond them is zeros. */
const MAX_FRACTION = 1100;

/**
 * `strconv.FormatFloat(x, verb, precision, 64)`.
 * @param verb one of b e E f g G x X
 * @param precision -1: as many digits as identify the number
 */
export function formatGoFloat(x: number, verb: string, precision: number): string {
  const sign = x < 0 || Object.is(x, -0) ? "-" : "";
  const magnitude = Math.abs(x);
  switch (verb) {
    case "b":
      return sign + binary(magnitude);
    case "x":
    case "X": {
      const text = hexadecimal(magnitude, precision);
      return sign + (verb === "X" ? text.toUpperCase() : text);
    }
    case "e":
    case "E": {
      const digits = precision < 0 ? shortest(magnitude) : significant(magnitude, precision + 1);
      return sign + exponential(digits, precision < 0 ? digits.digits.length - 1 : precision, verb);
    }
    case "f": {
      const digits = precision < 0 ? shortest(magnitude) : fixed(magnitude, precision);
      return sign + positional(digits, precision < 0 ? Math.max(0, digits.digits.length - digits.point) : precision);
    }
    default:
      return sign + general(magnitude, precision, verb === "G" ? "E" : "e");
  }
}

function general(x: number, precision: number, letter: string): string {
  const digits = precision < 0 ? shortest(x) : significant(x, Math.max(1, precision));
  const count = digits.digits.length;
  let least = precision < 0 ? 6 : Math.max(1, precision);
  if (precision >= 0 && least > count && count >= digits.point) least = count;
  const exponent = digits.point - 1;
  if (exponent < -4 || exponent >= least) return exponential(digits, count - 1, letter);
  return positional(digits, Math.max(0, count - digits.point));
}

function exponential({ digits, point }: Digits, precision: number, letter: string): string {
  const zero = digits === "0";
  const exponent = zero ? 0 : point - 1;
  const fraction = precision > 0 ? `.${digits.slice(1).padEnd(precision, "0")}` : "";
  const size = String(Math.abs(exponent)).padStart(2, "0");
  return `${digits[0]}${fraction}${letter}${exponent < 0 ? "-" : "+"}${size}`;
}

function positional({ digits, point }: Digits, precision: number): string {
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, "0") : "0";
  if (precision === 0) return whole;
  const fraction = point > 0 ? digits.slice(point) : "0".repeat(-point) + digits;
  return `${whole}.${fraction.slice(0, precision).padEnd(precision, "0")}`;
}

const ZERO: Digits = { digits: "0", point: 1 };

/** The digits JavaScript prints are the shortest that identify the number, as Go's. */
function shortest(x: number): Digits {
  if (x === 0) return ZERO;
  const [mantissa = "", exponent = "0"] = x.toExponential().split("e");
  return trimmed(mantissa.replace(".", ""), Number(exponent) + 1);
}

function trimmed(digits: string, point: number): Digits {
  let end = digits.length;
  while (end > 1 && digits[end - 1] === "0") end--;
  return { digits: digits.slice(0, end), point };
}

/** `count` significant digits, exact halves to even. */
function significant(x: number, count: number): Digits {
  if (x === 0) return ZERO;
  const wanted = Math.min(count, MAX_FRACTION);
  const exponent = Number(x.toExponential().split("e")[1]);
  const rounded = scaled(x, wanted - 1 - exponent).toString();
  return trimmed(rounded, exponent + 1 + rounded.length - wanted);
}

/** Digits up to `precision` places behind the point. */
function fixed(x: number, precision: number): Digits {
  const places = Math.min(precision, MAX_FRACTION);
  const rounded = scaled(x, places);
  if (rounded === 0n) return ZERO;
  const text = rounded.toString();
  return trimmed(text, text.length - places);
}

/** `x * 10^places` as an integer, exact halves to even. */
function scaled(x: number, places: number): bigint {
  const { mantissa, exponent } = parts(x);
  let numerator = mantissa;
  let denominator = 1n;
  if (exponent >= 0) numerator <<= BigInt(exponent);
  else denominator <<= BigInt(-exponent);
  if (places >= 0) numerator *= 10n ** BigInt(places);
  else denominator *= 10n ** BigInt(-places);
  const quotient = numerator / denominator;
  const rest = (numerator - quotient * denominator) * 2n;
  const up = rest > denominator || (rest === denominator && (quotient & 1n) === 1n);
  return up ? quotient + 1n : quotient;
}

/** `mantissa * 2^exponent`, with the mantissa as the float64 stores it. */
function parts(x: number): { readonly mantissa: bigint; readonly exponent: number } {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, x);
  const word = bits.getBigUint64(0);
  const biased = Number((word >> 52n) & 0x7ffn);
  const fraction = word & 0xfffffffffffffn;
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: biased - 1075 };
}

function binary(x: number): string {
  const { mantissa, exponent } = parts(x);
  return `${mantissa}p${exponent < 0 ? "-" : "+"}${Math.abs(exponent)}`;
}

/** @source Go src/strconv/ftoa.go fmtX */
function hexadecimal(x: number, precision: number): string {
  const stored = parts(x);
  let mantissa = stored.mantissa << 8n;
  let exponent = mantissa === 0n ? 0 : stored.exponent + 52;
  while (mantissa !== 0n && (mantissa & (1n << 60n)) === 0n) {
    mantissa <<= 1n;
    exponent--;
  }
  if (precision >= 0 && precision < 15) {
    const keep = BigInt(precision * 4);
    const extra = (mantissa << keep) & ((1n << 60n) - 1n);
    mantissa >>= 60n - keep;
    if ((extra | (mantissa & 1n)) > 1n << 59n) mantissa++;
    mantissa <<= 60n - keep;
    if ((mantissa & (1n << 61n)) !== 0n) {
      mantissa >>= 1n;
      exponent++;
    }
  }
  const all = (mantissa & ((1n << 60n) - 1n)).toString(16).padStart(15, "0");
  const fraction = precision < 0 ? all.replace(/0+$/, "") : all.padEnd(precision, "0").slice(0, precision);
  const size = String(Math.abs(exponent)).padStart(2, "0");
  const point = fraction === "" ? "" : `.${fraction}`;
  return `0x${(mantissa >> 60n) & 1n}${point}p${exponent < 0 ? "-" : "+"}${size}`;
}
