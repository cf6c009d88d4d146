import {
  civilFromDays,
  daysFromCivil,
  daysInMonth,
  isLeapYear,
  detached,
  RecentMap,
  SECONDS_PER_DAY,
  type TimeZone,
  weekdayOf,
} from "../../base/index.ts";

/** Times as text by example: the layouts of Go's time package, in which `2006-01-02 15:04:05` is the reference time. */

export const MONTH_NAMES =
  "January February March April May June July August September October November December".split(" ");
export const DAY_NAMES = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const SHORT_MONTHS = MONTH_NAMES.map((name) => name.slice(0, 3));
const SHORT_DAYS = DAY_NAMES.map((name) => name.slice(0, 3));

export const RFC3339 = "2006-01-02T15:04:05Z07:00";
export const RFC3339_NANO = "2006-01-02T15:04:05.999999999Z07:00";

/** Go's constants that OPA accepts by name in place of a layout. */
export const NAMED_LAYOUTS: ReadonlyMap<string, string> = new Map([
  ["ANSIC", "Mon Jan _2 15:04:05 2006"],
  ["UnixDate", "Mon Jan _2 15:04:05 MST 2006"],
  ["RubyDate", "Mon Jan 02 15:04:05 -0700 2006"],
  ["RFC822", "02 Jan 06 15:04 MST"],
  ["RFC822Z", "02 Jan 06 15:04 -0700"],
  ["RFC850", "Monday, 02-Jan-06 15:04:05 MST"],
  ["RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"],
  ["RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"],
  ["RFC3339", RFC3339],
  ["RFC3339Nano", RFC3339_NANO],
]);

/** The value does not fit its layout; the message is Go's. */
export class TimeSyntaxError extends Error {
  override readonly name = "TimeSyntaxError";
}

/** An instant: seconds since the epoch, rounded down, and the nanoseconds on top. */
export interface Instant {
  readonly sec: number;
  readonly nanos: number;
}

interface Field {
  readonly kind:
    | "none"
    | "shortYear"
    | "year"
    | "shortMonth"
    | "monthName"
    | "month"
    | "zeroMonth"
    | "shortDay"
    | "dayName"
    | "day"
    | "spaceDay"
    | "zeroDay"
    | "spaceYearDay"
    | "yearDay"
    | "hour"
    | "hour12"
    | "zeroHour12"
    | "minute"
    | "zeroMinute"
    | "second"
    | "zeroSecond"
    | "PM"
    | "pm"
    | "zoneName"
    | "offset"
    | "fraction";
  /** The field's text in the layout. */
  readonly text: string;
  /** Literal text before it. */
  readonly prefix: string;
}

/** Fields by their text. Where several fit at one place, the first does (nextStdChunk in Go's time/format.go). */
const FIELDS: readonly (readonly [string, Field["kind"]])[] = [
  ["January", "monthName"],
  ["Jan", "shortMonth"],
  ["Monday", "dayName"],
  ["Mon", "shortDay"],
  ["MST", "zoneName"],
  ["01", "zeroMonth"],
  ["02", "zeroDay"],
  ["03", "zeroHour12"],
  ["04", "zeroMinute"],
  ["05", "zeroSecond"],
  ["06", "shortYear"],
  ["002", "yearDay"],
  ["15", "hour"],
  ["1", "month"],
  ["2006", "year"],
  ["2", "day"],
  ["_2", "spaceDay"],
  ["__2", "spaceYearDay"],
  ["3", "hour12"],
  ["4", "minute"],
  ["5", "second"],
  ["PM", "PM"],
  ["pm", "pm"],
  ["-070000", "offset"],
  ["-07:00:00", "offset"],
  ["-0700", "offset"],
  ["-07:00", "offset"],
  ["-07", "offset"],
  ["Z070000", "offset"],
  ["Z07:00:00", "offset"],
  ["Z0700", "offset"],
  ["Z07:00", "offset"],
  ["Z07", "offset"],
];

const FIRST_CHARACTERS = new Map<string, (readonly [string, Field["kind"]])[]>();
for (const field of FIELDS) {
  const char = field[0].charAt(0);
  FIRST_CHARACTERS.set(char, [...(FIRST_CHARACTERS.get(char) ?? []), field]);
}

const layouts = new RecentMap<string, readonly Field[]>(256);

function fieldsOf(layout: string): readonly Field[] {
  const known = layouts.get(layout);
  if (known !== undefined) return known;
  const fields = readLayout(detached(layout));
  layouts.set(layout, fields);
  return fields;
}

/** The layout's fields; the last is `none` and carries the literal text at the end. */
function readLayout(layout: string): readonly Field[] {
  const fields: Field[] = [];
  let from = 0;
  for (let at = 0; at < layout.length; ) {
    const found = fieldAt(layout, at);
    if (found === undefined) {
      at++;
      continue;
    }
    fields.push({ kind: found.kind, text: found.text, prefix: layout.slice(from, found.start) });
    at = found.start + found.text.length;
    from = at;
  }
  fields.push({ kind: "none", text: "", prefix: layout.slice(from) });
  return fields;
}

interface Found {
  readonly kind: Field["kind"];
  readonly text: string;
  readonly start: number;
}

function fieldAt(layout: string, at: number): Found | undefined {
  const char = layout.charAt(at);
  if (char === "." || char === ",") return fractionAt(layout, at);
  // `_2006` is a literal underscore before a year.
  if (layout.startsWith("_2006", at)) return { kind: "year", text: "2006", start: at + 1 };
  for (const [text, kind] of FIRST_CHARACTERS.get(char) ?? []) {
    if (!layout.startsWith(text, at)) continue;
    // `Month` holds no `Mon`.
    if ((kind === "shortMonth" || kind === "shortDay") && /[a-z]/.test(layout.charAt(at + 3))) continue;
    return { kind, text, start: at };
  }
  return undefined;
}

function fractionAt(layout: string, at: number): Found | undefined {
  const digit = layout.charAt(at + 1);
  if (digit !== "0" && digit !== "9") return undefined;
  let end = at + 1;
  while (layout.charAt(end) === digit) end++;
  if (isDigit(layout, end)) return undefined;
  return { kind: "fraction", text: layout.slice(at, end), start: at };
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

function pad(n: number, width: number, fill = "0"): string {
  return n < 0 ? `-${String(-n).padStart(width, fill)}` : String(n).padStart(width, fill);
}

export function formatTime(layout: string, { sec, nanos }: Instant, zone: TimeZone): string {
  const offset = zone.offsetAt(sec);
  const local = sec + offset;
  const days = Math.floor(local / SECONDS_PER_DAY);
  const clock = local - days * SECONDS_PER_DAY;
  const { year, month, day } = civilFromDays(days);
  const hour = Math.floor(clock / 3600);
  const minute = Math.floor(clock / 60) % 60;
  const second = clock % 60;
  const yearDay = () => days - daysFromCivil(year, 1, 1) + 1;
  const hour12 = hour % 12 === 0 ? 12 : hour % 12;

  function show({ kind, text }: Field): string {
    switch (kind) {
      case "none":
        return "";
      case "shortYear":
        return pad(Math.abs(year) % 100, 2);
      case "year":
        return pad(year, 4);
      case "shortMonth":
        return SHORT_MONTHS[month - 1] as string;
      case "monthName":
        return MONTH_NAMES[month - 1] as string;
      case "month":
        return String(month);
      case "zeroMonth":
        return pad(month, 2);
      case "shortDay":
        return SHORT_DAYS[weekdayOf(days)] as string;
      case "dayName":
        return DAY_NAMES[weekdayOf(days)] as string;
      case "day":
        return String(day);
      case "spaceDay":
        return pad(day, 2, " ");
      case "zeroDay":
        return pad(day, 2);
      case "spaceYearDay":
        return pad(yearDay(), 3, " ");
      case "yearDay":
        return pad(yearDay(), 3);
      case "hour":
        return pad(hour, 2);
      case "hour12":
        return String(hour12);
      case "zeroHour12":
        return pad(hour12, 2);
      case "minute":
        return String(minute);
      case "zeroMinute":
        return pad(minute, 2);
      case "second":
        return String(second);
      case "zeroSecond":
        return pad(second, 2);
      case "PM":
        return hour >= 12 ? "PM" : "AM";
      case "pm":
        return hour >= 12 ? "pm" : "am";
      case "zoneName":
        return zone.abbreviationAt(sec);
      case "offset":
        return offsetText(text, offset);
      case "fraction":
        return fractionText(text, nanos);
      default:
        return kind satisfies never;
    }
  }

  let out = "";
  for (const field of fieldsOf(layout)) out += field.prefix + show(field);
  return out;
}

function offsetText(form: string, offset: number): string {
  if (offset === 0 && form.startsWith("Z")) return "Z";
  const minutes = Math.trunc(offset / 60);
  const size = Math.abs(minutes);
  const colon = form.includes(":") ? ":" : "";
  let out = `${minutes < 0 ? "-" : "+"}${pad(Math.floor(size / 60), 2)}${colon}`;
  if (form.length > 3) out += pad(size % 60, 2);
  if (form.length >= 7) out += colon + pad(Math.abs(offset) % 60, 2);
  return out;
}

function fractionText(form: string, nanos: number): string {
  const trims = form.charAt(1) === "9";
  if (trims && nanos === 0) return "";
  const digits = pad(nanos, 9).slice(0, form.length - 1);
  const kept = trims ? digits.replace(/0+$/, "") : digits;
  return kept === "" ? "" : form.charAt(0) + kept;
}

/** Reads `value` by `layout`; without a zone in the value, as UTC. @throws {TimeSyntaxError} */
export function parseTime(layout: string, value: string): Instant {
  return new TimeParser(layout, value).parse();
}

/** The value could not be read as the field at hand. */
const BAD = Symbol("bad value for field");

class TimeParser {
  readonly #layout: string;
  readonly #value: string;
  #rest: string;
  #year = 0;
  #month = -1;
  #day = -1;
  #yearDay = -1;
  #hour = 0;
  #minute = 0;
  #second = 0;
  #nanos = 0;
  #half: "" | "am" | "pm" = "";
  #offset = 0;
  #outOfRange = "";

  constructor(layout: string, value: string) {
    this.#layout = layout;
    this.#value = value;
    this.#rest = value;
  }

  parse(): Instant {
    const fields = fieldsOf(this.#layout);
    for (const [i, field] of fields.entries()) {
      this.#skip(field.prefix);
      if (field.kind === "none") {
        if (this.#rest !== "") this.#fail(`: extra text: ${quoteBytes(this.#rest)}`);
        break;
      }
      const hold = this.#rest;
      const bad = this.#read(field, fields[i + 1]?.kind === "fraction" && fields[i + 1]?.prefix === "") === BAD;
      if (this.#outOfRange !== "") this.#fail(`: ${this.#outOfRange} out of range`);
      if (bad) this.#cannotParse(hold, field.text);
    }
    return this.#finish();
  }

  #finish(): Instant {
    if (this.#half === "pm" && this.#hour < 12) this.#hour += 12;
    else if (this.#half === "am" && this.#hour === 12) this.#hour = 0;
    this.#settleDate();
    const days = daysFromCivil(this.#year, this.#month, this.#day);
    const clock = this.#hour * 3600 + this.#minute * 60 + this.#second;
    return { sec: days * SECONDS_PER_DAY + clock - this.#offset, nanos: this.#nanos };
  }

  #settleDate(): void {
    if (this.#yearDay >= 0) {
      if (this.#yearDay < 1 || this.#yearDay > (isLeapYear(this.#year) ? 366 : 365))
        this.#fail(": day-of-year out of range");
      const { month, day } = civilFromDays(daysFromCivil(this.#year, 1, 1) + this.#yearDay - 1);
      if (this.#month >= 0 && this.#month !== month) this.#fail(": day-of-year does not match month");
      if (this.#day >= 0 && this.#day !== day) this.#fail(": day-of-year does not match day");
      this.#month = month;
      this.#day = day;
      return;
    }
    if (this.#month < 0) this.#month = 1;
    if (this.#day < 0) this.#day = 1;
    if (this.#day < 1 || this.#day > daysInMonth(this.#year, this.#month)) this.#fail(": day out of range");
  }

  #read(field: Field, fractionFollows: boolean): typeof BAD | undefined {
    const { kind, text } = field;
    switch (kind) {
      case "none":
        return undefined;
      case "shortYear": {
        const digits = this.#take(2);
        if (digits === undefined || !/^([+-]?\d+)$/.test(digits)) return BAD;
        const year = Number(digits);
        this.#year = year >= 69 ? year + 1900 : year + 2000;
        return undefined;
      }
      case "year": {
        if (!isDigit(this.#rest, 0)) return BAD;
        const digits = this.#take(4);
        if (digits === undefined || !/^\d{4}$/.test(digits)) return BAD;
        this.#year = Number(digits);
        return undefined;
      }
      case "shortMonth":
      case "monthName": {
        const month = this.#lookup(kind === "shortMonth" ? SHORT_MONTHS : MONTH_NAMES);
        if (month === undefined) return BAD;
        this.#month = month + 1;
        return undefined;
      }
      case "month":
      case "zeroMonth": {
        const month = this.#number(kind === "zeroMonth");
        if (month === undefined) return BAD;
        if (month < 1 || month > 12) this.#outOfRange = "month";
        this.#month = month;
        return undefined;
      }
      case "shortDay":
      case "dayName":
        return this.#lookup(kind === "shortDay" ? SHORT_DAYS : DAY_NAMES) === undefined ? BAD : undefined;
      case "day":
      case "spaceDay":
      case "zeroDay": {
        if (kind === "spaceDay" && this.#rest.startsWith(" ")) this.#rest = this.#rest.slice(1);
        const day = this.#number(kind === "zeroDay");
        if (day === undefined) return BAD;
        this.#day = day;
        return undefined;
      }
      case "spaceYearDay":
      case "yearDay": {
        for (let i = 0; i < 2 && kind === "spaceYearDay" && this.#rest.startsWith(" "); i++)
          this.#rest = this.#rest.slice(1);
        const digits = (/^\d{0,3}/.exec(this.#rest) as RegExpExecArray)[0];
        if (digits === "" || (kind === "yearDay" && digits.length !== 3)) return BAD;
        this.#rest = this.#rest.slice(digits.length);
        this.#yearDay = Number(digits);
        return undefined;
      }
      case "hour":
      case "hour12":
      case "zeroHour12": {
        const hour = this.#number(kind === "zeroHour12");
        if (hour === undefined) return BAD;
        if (kind === "hour" ? hour >= 24 : hour > 12) this.#outOfRange = "hour";
        this.#hour = hour;
        return undefined;
      }
      case "minute":
      case "zeroMinute": {
        const minute = this.#number(kind === "zeroMinute");
        if (minute === undefined) return BAD;
        if (minute >= 60) this.#outOfRange = "minute";
        this.#minute = minute;
        return undefined;
      }
      case "second":
      case "zeroSecond": {
        const second = this.#number(kind === "zeroSecond");
        if (second === undefined) return BAD;
        this.#second = second;
        if (second >= 60) this.#outOfRange = "second";
        // A fraction in the value is read even where the layout shows none.
        else if (!fractionFollows && /^[.,]\d/.test(this.#rest)) this.#fraction();
        return undefined;
      }
      case "PM":
      case "pm": {
        const half = this.#take(2);
        const [am, pm] = kind === "PM" ? ["AM", "PM"] : ["am", "pm"];
        if (half !== am && half !== pm) return BAD;
        this.#half = half === am ? "am" : "pm";
        return undefined;
      }
      case "zoneName":
        return this.#zoneName();
      case "offset":
        return this.#offsetField(text);
      case "fraction": {
        if (text.charAt(1) === "9") {
          if (/^[.,]\d/.test(this.#rest)) this.#fraction();
          return undefined;
        }
        const digits = this.#take(text.length);
        if (digits === undefined || !/^[.,]([+-]?\d+)$/.test(digits)) return BAD;
        this.#nanos = Number(digits.slice(1, 10).padEnd(9, "0"));
        if (this.#nanos < 0) this.#outOfRange = "fractional second";
        return undefined;
      }
      default:
        return kind satisfies never;
    }
  }

  #fraction(): void {
    const digits = (/^[.,](\d+)/.exec(this.#rest) as RegExpExecArray)[1] as string;
    this.#rest = this.#rest.slice(1 + digits.length);
    this.#nanos = Number(digits.slice(0, 9).padEnd(9, "0"));
  }

  #offsetField(form: string): typeof BAD | undefined {
    if (form.startsWith("Z") && this.#rest.startsWith("Z")) {
      this.#rest = this.#rest.slice(1);
      return undefined;
    }
    const text = this.#take(form.length);
    if (text === undefined) return BAD;
    for (let i = 3; i < form.length; i++) if (form.charAt(i) === ":" && text.charAt(i) !== ":") return BAD;
    const digits = text.slice(1).replace(/:/g, "");
    const [hours, minutes, seconds] = [digits.slice(0, 2), digits.slice(2, 4), digits.slice(4, 6)].map(Number) as [
      number,
      number,
      number,
    ];
    const wellFormed = /^\d+$/.test(digits) && digits.length === form.replace(/[^\d]/g, "").length;
    if (hours > 24) this.#outOfRange = "time zone offset hour";
    if (minutes > 60) this.#outOfRange = "time zone offset minute";
    if (seconds > 60) this.#outOfRange = "time zone offset second";
    const size = (hours * 60 + minutes) * 60 + seconds;
    const sign = text.charAt(0);
    if (!wellFormed || (sign !== "+" && sign !== "-")) return BAD;
    this.#offset = sign === "-" ? -size : size;
    return undefined;
  }

  /** Abbreviations are read but mean UTC, `GMT+3` too: Go knows only those of the zone it runs in. */
  #zoneName(): typeof BAD | undefined {
    const length = zoneNameLength(this.#rest);
    if (length === 0) return BAD;
    this.#rest = this.#rest.slice(length);
    return undefined;
  }

  #number(fixed: boolean): number | undefined {
    if (!isDigit(this.#rest, 0)) return undefined;
    const width = isDigit(this.#rest, 1) ? 2 : 1;
    if (fixed && width === 1) return undefined;
    const number = Number(this.#rest.slice(0, width));
    this.#rest = this.#rest.slice(width);
    return number;
  }

  #lookup(names: readonly string[]): number | undefined {
    for (const [i, name] of names.entries()) {
      if (this.#rest.slice(0, name.length).toLowerCase() === name.toLowerCase()) {
        this.#rest = this.#rest.slice(name.length);
        return i;
      }
    }
    return undefined;
  }

  #take(length: number): string | undefined {
    if (this.#rest.length < length) return undefined;
    const taken = this.#rest.slice(0, length);
    this.#rest = this.#rest.slice(length);
    return taken;
  }

  /** Literal text must follow; runs of spaces are alike. */
  #skip(prefix: string): void {
    let literal = prefix;
    while (literal !== "") {
      if (literal.startsWith(" ")) {
        if (this.#rest !== "" && !this.#rest.startsWith(" ")) this.#cannotParse(this.#rest, prefix);
        literal = literal.replace(/^ +/, "");
        this.#rest = this.#rest.replace(/^ +/, "");
        continue;
      }
      if (this.#rest.charAt(0) !== literal.charAt(0)) this.#cannotParse(this.#rest, prefix);
      literal = literal.slice(1);
      this.#rest = this.#rest.slice(1);
    }
  }

  #cannotParse(rest: string, element: string): never {
    throw new TimeSyntaxError(
      `parsing time ${quoteBytes(this.#value)} as ${quoteBytes(this.#layout)}: cannot parse ${quoteBytes(rest)} as ${quoteBytes(element)}`,
    );
  }

  #fail(detail: string): never {
    throw new TimeSyntaxError(`parsing time ${quoteBytes(this.#value)}${detail}`);
  }
}

/** How much of the text looks like a zone abbreviation (Go parseTimeZone); 0 for none. */
function zoneNameLength(text: string): number {
  if (text.startsWith("UTC")) return 3;
  if (text.length < 3) return 0;
  if (text.startsWith("ChST") || text.startsWith("MeST")) return 4;
  if (text.startsWith("GMT")) return 3 + signedOffsetLength(text.slice(3));
  if (text.startsWith("+") || text.startsWith("-")) return signedOffsetLength(text);
  const letters = (/^[A-Z]{0,6}/.exec(text) as RegExpExecArray)[0];
  if (letters.length === 3) return 3;
  if (letters.length === 4) return letters.endsWith("T") || letters === "WITA" ? 4 : 0;
  return letters.length === 5 && letters.endsWith("T") ? 5 : 0;
}

function signedOffsetLength(text: string): number {
  const found = /^[+-](\d+)/.exec(text);
  return found === null || Number(found[1]) > 23 ? 0 : found[0].length;
}

/** Go's time package quotes what is not plain ASCII byte by byte. */
export function quoteBytes(text: string): string {
  let out = '"';
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    if (char === '"' || char === "\\") out += `\\${char}`;
    else if (code >= 0x20 && code < 0x80) out += char;
    else for (const byte of new TextEncoder().encode(char)) out += `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return `${out}"`;
}
