import { compareStrings, quoteGo } from "../value/index.ts";
import { formatGoFloat } from "./go-float.ts";
import { checkTextSize, codePointCount } from "./operands.ts";

/** An integer with its Go type, which messages name. */
export class GoInt {
  readonly value: bigint;
  readonly type: "int" | "int64" | "int32";

  constructor(value: bigint, type: "int" | "int64" | "int32") {
    this.value = value;
    this.type = type;
  }
}

/** A `*big.Int`. */
export class GoBigInt {
  readonly value: bigint;

  constructor(value: bigint) {
    this.value = value;
  }
}

/** A `json.Number`: a string kind with the text of a number. */
export class GoJsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What Go's fmt and text/template see of a value; a JavaScript number is a float64. */
export type GoValue =
  | null
  | boolean
  | string
  | number
  | GoInt
  | GoBigInt
  | GoJsonNumber
  | readonly GoValue[]
  | ReadonlyMap<string, GoValue>;

export function goTypeName(value: GoValue): string {
  if (value === null) return "<nil>";
  if (value instanceof GoInt) return value.type;
  if (value instanceof GoBigInt) return "*big.Int";
  if (value instanceof GoJsonNumber) return "json.Number";
  if (value instanceof Map) return "map[string]interface {}";
  if (Array.isArray(value)) return "[]interface {}";
  if (typeof value === "number") return "float64";
  return typeof value === "boolean" ? "bool" : "string";
}

/** Keys of a map in the order Go prints and ranges over them. */
export function sortedMapKeys(map: ReadonlyMap<string, GoValue>): readonly string[] {
  return [...map.keys()].sort(compareStrings);
}

/** `fmt.Sprintf`. @param spend is told the work that widths and precisions ask for. */
export function goSprintf(format: string, args: readonly GoValue[], spend: (steps: number) => void): string {
  return new Printer(spend).printf(format, args);
}

/** `fmt.Sprint`: operands next to each other, with a space between two that are both no strings. */
export function goSprint(args: readonly GoValue[], spend: (steps: number) => void): string {
  let out = "";
  args.forEach((value, i) => {
    if (i > 0 && !isStringKind(value) && !isStringKind(args[i - 1] as GoValue)) out += " ";
    out += new Printer(spend).printOne(value);
  });
  return out;
}

function isStringKind(value: GoValue): boolean {
  return typeof value === "string" || value instanceof GoJsonNumber;
}

/** `fmt.Sprintln`: operands with spaces between them and a line feed. */
export function goSprintln(args: readonly GoValue[], spend: (steps: number) => void): string {
  return `${args.map((value) => new Printer(spend).printOne(value)).join(" ")}\n`;
}

interface Flags {
  plus: boolean;
  minus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  plusV: boolean;
  sharpV: boolean;
  /** Undefined: not given. */
  width: number | undefined;
  precision: number | undefined;
}

function noFlags(): Flags {
  return {
    plus: false,
    minus: false,
    sharp: false,
    space: false,
    zero: false,
    plusV: false,
    sharpV: false,
    width: undefined,
    precision: undefined,
  };
}

/** fmt refuses numbers past this for widths, precisions and indexes. */
const TOO_LARGE = 1_000_000;
const MAX_RUNE = 0x10ffffn;

/** One run of Go's `fmt` printer. @source Go src/fmt/print.go, format.go */
class Printer {
  readonly #spend: (steps: number) => void;
  #out = "";
  #flags = noFlags();
  #format = "";
  #args: readonly GoValue[] = [];
  #arg: GoValue = null;
  #argNumber = 0;
  #reordered = false;
  #goodArgNumber = true;
  /** Printing a complaint: methods of values are not asked again. */
  #complaining = false;

  constructor(spend: (steps: number) => void) {
    this.#spend = spend;
  }

  printOne(value: GoValue): string {
    this.#printArg(value, "v");
    return this.#out;
  }

  printf(format: string, args: readonly GoValue[]): string {
    this.#format = format;
    this.#args = args;
    let at = 0;
    while (at < format.length) {
      this.#goodArgNumber = true;
      const percent = format.indexOf("%", at);
      const end = percent === -1 ? format.length : percent;
      if (end > at) this.#write(format.slice(at, end));
      if (percent === -1) break;
      at = this.#directive(percent + 1);
    }
    if (!this.#reordered && this.#argNumber < args.length) this.#printExtra();
    return this.#out;
  }

  /** Reads and prints one directive from behind its `%`; returns where the format goes on. */
  #directive(start: number): number {
    const format = this.#format;
    const flags = noFlags();
    this.#flags = flags;
    let at = start;
    flagLoop: for (; at < format.length; at++) {
      switch (format[at]) {
        case "#":
          flags.sharp = true;
          break;
        case "0":
          flags.zero = true;
          break;
        case "+":
          flags.plus = true;
          break;
        case "-":
          flags.minus = true;
          break;
        case " ":
          flags.space = true;
          break;
        default:
          break flagLoop;
      }
    }
    let indexed: boolean;
    [at, indexed] = this.#readIndex(at);
    if (format[at] === "*") {
      at++;
      const width = this.#intArg();
      if (width === undefined) this.#write("%!(BADWIDTH)");
      else {
        flags.width = Math.abs(width);
        if (width < 0) {
          flags.minus = true;
          flags.zero = false;
        }
      }
      indexed = false;
    } else {
      [flags.width, at] = this.#readNumber(at);
      if (indexed && flags.width !== undefined) this.#goodArgNumber = false;
    }
    if (format[at] === ".") {
      at++;
      if (indexed) this.#goodArgNumber = false;
      [at, indexed] = this.#readIndex(at);
      if (format[at] === "*") {
        at++;
        const precision = this.#intArg();
        if (precision === undefined || precision < 0) this.#write("%!(BADPREC)");
        else flags.precision = precision;
        indexed = false;
      } else {
        [flags.precision, at] = this.#readNumber(at);
        flags.precision ??= 0;
      }
    }
    if (!indexed) [at] = this.#readIndex(at);
    if (at >= format.length) {
      this.#write("%!(NOVERB)");
      return format.length;
    }
    const verb = String.fromCodePoint(format.codePointAt(at) as number);
    at += verb.length;
    this.#spend(1 + ((flags.width ?? 0) >> 6) + ((flags.precision ?? 0) >> 6));
    if (verb === "%") this.#write("%");
    else if (!this.#goodArgNumber) this.#write(`%!${verb}(BADINDEX)`);
    else if (this.#argNumber >= this.#args.length) this.#write(`%!${verb}(MISSING)`);
    else {
      if (verb === "v") {
        flags.sharpV = flags.sharp;
        flags.sharp = false;
        flags.plusV = flags.plus;
        flags.plus = false;
      }
      this.#printArg(this.#args[this.#argNumber++] as GoValue, verb);
    }
    return at;
  }

  /** `[n]`: chooses the next argument. Returns the place behind it, and whether there was one. */
  #readIndex(at: number): [at: number, found: boolean] {
    const format = this.#format;
    if (format[at] !== "[") return [at, false];
    this.#reordered = true;
    const close = format.indexOf("]", at + 1);
    if (close === -1 || format.length - at < 3) {
      this.#goodArgNumber = false;
      return [at + 1, false];
    }
    const [number, end] = this.#readNumber(at + 1, close);
    if (number === undefined || end !== close) {
      this.#goodArgNumber = false;
      return [close + 1, false];
    }
    if (number >= 1 && number <= this.#args.length) this.#argNumber = number - 1;
    else this.#goodArgNumber = false;
    return [close + 1, true];
  }

  #readNumber(start: number, end: number = this.#format.length): [value: number | undefined, at: number] {
    let value: number | undefined;
    let at = start;
    for (; at < end; at++) {
      const digit = this.#format.charCodeAt(at) - 0x30;
      if (digit < 0 || digit > 9) break;
      if ((value ?? 0) > TOO_LARGE) return [undefined, end];
      value = (value ?? 0) * 10 + digit;
    }
    return [value, at];
  }

  /** The next argument as a width or precision. */
  #intArg(): number | undefined {
    if (this.#argNumber >= this.#args.length) return undefined;
    const arg = this.#args[this.#argNumber++] as GoValue;
    if (!(arg instanceof GoInt)) return undefined;
    const n = Number(arg.value);
    return Math.abs(n) > TOO_LARGE ? undefined : n;
  }

  #printExtra(): void {
    this.#flags = noFlags();
    this.#write("%!(EXTRA ");
    this.#args.slice(this.#argNumber).forEach((arg, i) => {
      if (i > 0) this.#write(", ");
      if (arg === null) this.#write("<nil>");
      else {
        this.#write(`${goTypeName(arg)}=`);
        this.#printArg(arg, "v");
      }
    });
    this.#write(")");
  }

  #write(text: string): void {
    checkTextSize(this.#out.length + text.length);
    this.#out += text;
  }

  #printArg(arg: GoValue, verb: string): void {
    this.#arg = arg;
    if (arg === null) {
      if (verb === "T" || verb === "v") this.#pad("<nil>");
      else this.#badVerb(verb);
      return;
    }
    if (verb === "T") this.#printString(goTypeName(arg), "s");
    else if (verb === "p") this.#badVerb(verb);
    else this.#printValue(arg, verb);
  }

  #printValue(arg: GoValue, verb: string): void {
    if (arg === null) this.#write("<nil>");
    else if (typeof arg === "string") this.#printString(arg, verb);
    else if (typeof arg === "boolean") {
      if (verb === "t" || verb === "v") this.#pad(String(arg));
      else this.#badVerb(verb);
    } else if (typeof arg === "number") this.#printFloat(arg, verb);
    else if (arg instanceof GoInt) this.#printInteger(arg.value, verb);
    else if (arg instanceof GoBigInt) this.#printBigInt(arg.value, verb);
    else if (arg instanceof GoJsonNumber) this.#printString(arg.text, verb);
    else if (arg instanceof Map) this.#printMap(arg, verb);
    else this.#printList(arg as readonly GoValue[], verb);
  }

  #printList(list: readonly GoValue[], verb: string): void {
    const { sharpV } = this.#flags;
    this.#write(sharpV ? "[]interface {}{" : "[");
    list.forEach((element, i) => {
      if (i > 0) this.#write(sharpV ? ", " : " ");
      this.#printMember(element, verb);
    });
    this.#write(sharpV ? "}" : "]");
  }

  #printMap(map: ReadonlyMap<string, GoValue>, verb: string): void {
    const { sharpV } = this.#flags;
    this.#write(sharpV ? "map[string]interface {}{" : "map[");
    sortedMapKeys(map).forEach((key, i) => {
      if (i > 0) this.#write(sharpV ? ", " : " ");
      this.#printValue(key, verb);
      this.#write(":");
      this.#printMember(map.get(key) as GoValue, verb);
    });
    this.#write(sharpV ? "}" : "]");
  }

  #printMember(member: GoValue, verb: string): void {
    this.#spend(1);
    this.#arg = member;
    if (member === null && this.#flags.sharpV) this.#write("interface {}(nil)");
    else this.#printValue(member, verb);
  }

  #badVerb(verb: string): void {
    this.#complaining = true;
    this.#write(`%!${verb}(`);
    if (this.#arg === null) this.#write("<nil>");
    else {
      this.#write(`${goTypeName(this.#arg)}=`);
      this.#printArg(this.#arg, "v");
    }
    this.#write(")");
    this.#complaining = false;
  }

  #padding(count: number): string {
    if (count <= 0) return "";
    checkTextSize(this.#out.length + count);
    return (this.#flags.zero && !this.#flags.minus ? "0" : " ").repeat(count);
  }

  #pad(text: string): void {
    const { width, minus } = this.#flags;
    if (width === undefined || width === 0) {
      this.#write(text);
      return;
    }
    const padding = this.#padding(width - codePointCount(text));
    this.#write(minus ? text + padding : padding + text);
  }

  /** Pads with spaces whatever the zero flag says: integers have taken it into account already. */
  #padWithSpaces(text: string): void {
    const { zero } = this.#flags;
    this.#flags.zero = false;
    this.#pad(text);
    this.#flags.zero = zero;
  }

  #printString(text: string, verb: string): void {
    switch (verb) {
      case "v":
        this.#pad(this.#flags.sharpV ? this.#quoted(text) : this.#truncated(text));
        return;
      case "s":
        this.#pad(this.#truncated(text));
        return;
      case "x":
      case "X":
        this.#printHex(text, verb);
        return;
      case "q":
        this.#pad(this.#quoted(text));
        return;
      default:
        this.#badVerb(verb);
    }
  }

  #truncated(text: string): string {
    const { precision } = this.#flags;
    if (precision === undefined || text.length <= precision) return text;
    return Array.from(text).slice(0, precision).join("");
  }

  #quoted(text: string): string {
    const shown = this.#truncated(text);
    if (this.#flags.sharp && canBackquote(shown)) return `\`${shown}\``;
    return this.#flags.plus ? toAscii(quoteGo(shown)) : quoteGo(shown);
  }

  #printHex(text: string, verb: "x" | "X"): void {
    const { precision, space, sharp, minus, width } = this.#flags;
    let bytes = new TextEncoder().encode(text);
    if (precision !== undefined && precision < bytes.length) bytes = bytes.subarray(0, precision);
    if (bytes.length === 0) {
      this.#write(this.#padding(width ?? 0));
      return;
    }
    this.#spend(bytes.length >> 6);
    checkTextSize(bytes.length * 5);
    const pairs = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
    const prefix = sharp ? "0x" : "";
    const joined = space ? pairs.map((pair) => prefix + pair).join(" ") : prefix + pairs.join("");
    const shown = verb === "X" ? joined.toUpperCase() : joined;
    const padding = this.#padding((width ?? 0) - shown.length);
    this.#write(minus ? shown + padding : padding + shown);
  }

  #printInteger(n: bigint, verb: string): void {
    switch (verb) {
      case "v":
      case "d":
        this.#printDigits(n, 10, verb);
        return;
      case "b":
        this.#printDigits(n, 2, verb);
        return;
      case "o":
      case "O":
        this.#printDigits(n, 8, verb);
        return;
      case "x":
      case "X":
        this.#printDigits(n, 16, verb);
        return;
      case "c":
        this.#pad(runeText(n));
        return;
      case "q":
        this.#pad(this.#quotedRune(runeText(n)));
        return;
      case "U":
        this.#printUnicode(n);
        return;
      default:
        this.#badVerb(verb);
    }
  }

  #printDigits(n: bigint, base: number, verb: string): void {
    const { precision, zero, minus, width, plus, space, sharp } = this.#flags;
    const negative = n < 0n;
    let least = 0;
    if (precision !== undefined) {
      if (precision === 0 && n === 0n) {
        this.#write(" ".repeat(width ?? 0));
        return;
      }
      least = precision;
    } else if (zero && !minus && width !== undefined) {
      least = width - (negative || plus || space ? 1 : 0);
    }
    let digits = (negative ? -n : n).toString(base).padStart(least, "0");
    if (sharp) {
      if (base === 2) digits = `0b${digits}`;
      else if (base === 8 && !digits.startsWith("0")) digits = `0${digits}`;
      else if (base === 16) digits = `0x${digits}`;
    }
    if (verb === "X") digits = digits.toUpperCase();
    if (verb === "O") digits = `0o${digits}`;
    this.#padWithSpaces((negative ? "-" : plus ? "+" : space ? " " : "") + digits);
  }

  #quotedRune(char: string): string {
    const inner = char === "'" ? "\\'" : char === '"' ? '"' : quoteGo(char).slice(1, -1);
    return `'${this.#flags.plus ? toAscii(inner) : inner}'`;
  }

  #printUnicode(n: bigint): void {
    const code = BigInt.asUintN(64, n);
    const digits = code
      .toString(16)
      .toUpperCase()
      .padStart(Math.max(4, this.#flags.precision ?? 0), "0");
    let shown = `U+${digits}`;
    if (this.#flags.sharp && code <= MAX_RUNE && (code < 0xd800n || code > 0xdfffn)) {
      const char = String.fromCodePoint(Number(code));
      const quoted = quoteGo(char).slice(1, -1);
      if (quoted === char || char === '"' || char === "\\") shown += ` '${char}'`;
    }
    this.#padWithSpaces(shown);
  }

  /** `(*big.Int).Format`. @source Go src/math/big/intconv.go */
  #printBigInt(n: bigint, verb: string): void {
    if (verb === "w") {
      this.#badVerb(verb);
      return;
    }
    const base = BIG_INT_BASES.get(verb);
    if (base === undefined) {
      this.#write(`%!${verb}(big.Int=${n})`);
      return;
    }
    if (this.#complaining) {
      this.#write(n.toString());
      return;
    }
    const { plus, plusV, space, sharp, sharpV, precision, width, minus, zero } = this.#flags;
    const sign = n < 0n ? "-" : plus || plusV ? "+" : space ? " " : "";
    const prefix = verb === "O" ? "0o" : sharp || sharpV ? (BIG_INT_PREFIXES.get(verb) ?? "") : "";
    let digits = (n < 0n ? -n : n).toString(base);
    if (verb === "X") digits = digits.toUpperCase();
    if (precision !== undefined) {
      if (digits === "0" && precision === 0) return;
      digits = digits.padStart(precision, "0");
    }
    const room = (width ?? 0) - sign.length - prefix.length - digits.length;
    if (room <= 0) this.#write(sign + prefix + digits);
    else if (minus) this.#write(sign + prefix + digits + " ".repeat(room));
    else if (zero && precision === undefined) this.#write(sign + prefix + "0".repeat(room) + digits);
    else this.#write(" ".repeat(room) + sign + prefix + digits);
  }

  #printFloat(x: number, verb: string): void {
    switch (verb) {
      case "v":
        this.#printFloatAs(x, "g", -1);
        return;
      case "b":
      case "g":
      case "G":
      case "x":
      case "X":
        this.#printFloatAs(x, verb, -1);
        return;
      case "e":
      case "E":
      case "f":
        this.#printFloatAs(x, verb, 6);
        return;
      case "F":
        this.#printFloatAs(x, "f", 6);
        return;
      default:
        this.#badVerb(verb);
    }
  }

  #printFloatAs(x: number, verb: string, defaultPrecision: number): void {
    const { precision, plus, space, sharp, zero, minus, width } = this.#flags;
    const digits = formatGoFloat(x, verb, precision ?? defaultPrecision);
    let sign = digits.startsWith("-") ? "-" : "+";
    let body = digits.replace(/^[+-]/, "");
    if (space && sign === "+" && !plus) sign = " ";
    if (sharp && verb !== "b") body = withPoint(body, verb, precision ?? defaultPrecision);
    if (!plus && sign === "+") {
      this.#pad(body);
      return;
    }
    if (zero && !minus && width !== undefined && width > body.length + 1) {
      this.#write(sign + this.#padding(width - body.length - 1) + body);
    } else this.#pad(sign + body);
  }
}

const BIG_INT_BASES: ReadonlyMap<string, number> = new Map([
  ["b", 2],
  ["o", 8],
  ["O", 8],
  ["d", 10],
  ["s", 10],
  ["v", 10],
  ["x", 16],
  ["X", 16],
]);
const BIG_INT_PREFIXES: ReadonlyMap<string, string> = new Map([
  ["b", "0b"],
  ["o", "0"],
  ["x", "0x"],
  ["X", "0X"],
]);

/** `#`: always a decimal point, and trailing zeros for `%g`. */
function withPoint(number: string, verb: string, precision: number): string {
  const hexadecimal = verb === "x" || verb === "X";
  let missing = verb === "g" || verb === "G" || verb === "x" ? (precision === -1 ? 6 : precision) : 0;
  const tailAt = number.search(hexadecimal ? /[pP]/ : /[eEpP]/);
  const tail = tailAt === -1 ? "" : number.slice(tailAt);
  let body = tailAt === -1 ? number : number.slice(0, tailAt);
  const significant = body.replace(".", "").replace(/^0+/, "");
  missing -= significant.length;
  if (!body.includes(".")) {
    if (body === "0") missing--;
    body += ".";
  }
  return body + "0".repeat(Math.max(0, missing)) + tail;
}

function runeText(n: bigint): string {
  const code = BigInt.asUintN(64, n);
  if (code > MAX_RUNE || (code >= 0xd800n && code <= 0xdfffn)) return "\ufffd";
  return String.fromCodePoint(Number(code));
}

function canBackquote(text: string): boolean {
  return !/[\x00-\x08\x0a-\x1f`\x7f\ufeff]/.test(text);
}

/** Escapes what `quoteGo` has left above ASCII, as `strconv.QuoteToASCII`. */
function toAscii(quoted: string): string {
  return quoted.replace(/[^\x00-\x7f]/gu, (char) => {
    const code = char.codePointAt(0) as number;
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
