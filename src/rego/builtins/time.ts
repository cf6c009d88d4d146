import {
  civilFromDays,
  daysFromCivil,
  daysInMonth,
  instantOfLocal,
  localTimeZone,
  SECONDS_PER_DAY,
  type TimeZone,
  timeZone,
  UTC,
  weekdayOf,
} from "../../base/index.ts";
import { BuiltinError, OperandError, operandTypeError } from "../runtime/index.ts";
import { fromBigInt, isArray, isNumber, type NumberValue, toBigInt, typeName, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import { parseDuration } from "./duration.ts";
import {
  DAY_NAMES,
  formatTime,
  type Instant,
  NAMED_LAYOUTS,
  parseTime,
  RFC3339,
  RFC3339_NANO,
  TimeSyntaxError,
} from "./go-layout.ts";
import { intOperand } from "./operands.ts";

const BILLION = 1_000_000_000;
const MAX_LAYOUT = 4096;
const MIN_NS = -(1n << 63n);
const MAX_NS = (1n << 63n) - 1n;

/** A moment with the zone to show it in, and a layout where one was given: OPA's `ns`, `[ns, tz]` or `[ns, tz, layout]`. */
interface ZonedTime extends Instant {
  readonly zone: TimeZone;
  readonly layout: string;
}

/** OPA names operand 1 in all complaints, whichever it is (topdown/time.go, tzTime). */
function zonedTime(operand: Value): ZonedTime {
  if (isNumber(operand)) return timeOf(operand, UTC, "");
  if (!isArray(operand) || operand.length === 0) {
    throw new OperandError(1, `must be either number (ns) or [number (ns), string (tz)] but got ${typeName(operand)}`);
  }
  const [ns, zoneName, layout] = operand;
  if (!isNumber(ns as Value)) throw operandTypeError(1, ["number"], ns as Value);
  if (zoneName !== undefined && typeof zoneName !== "string") throw operandTypeError(1, ["string"], zoneName);
  if (layout !== undefined && typeof layout !== "string") throw operandTypeError(1, ["string"], layout);
  return timeOf(ns as NumberValue, zoneName === undefined ? UTC : zoneOf(zoneName), layout ?? "");
}

function zoneOf(name: string): TimeZone {
  if (name === "" || name === "UTC") return UTC;
  if (name === "Local") return localTimeZone();
  if (name.includes("..") || name.startsWith("/") || name.startsWith("\\"))
    throw new BuiltinError("time: invalid location name");
  const zone = timeZone(name);
  if (zone === undefined) throw new BuiltinError(`unknown time zone ${name}`);
  return zone;
}

function timeOf(ns: NumberValue, zone: TimeZone, layout: string): ZonedTime {
  let sec: number;
  let nanos: number;
  if (typeof ns === "number" && Number.isSafeInteger(ns)) {
    sec = Math.floor(ns / BILLION);
    nanos = ns - sec * BILLION;
  } else {
    const exact = typeof ns === "bigint" ? ns : toBigInt(ns);
    if (exact === undefined || exact < MIN_NS || exact > MAX_NS) throw new BuiltinError("timestamp too big");
    const whole = exact / 1_000_000_000n;
    sec = Number(whole);
    nanos = Number(exact - whole * 1_000_000_000n);
  }
  return nanos < 0 ? { sec: sec - 1, nanos: nanos + BILLION, zone, layout } : { sec, nanos, zone, layout };
}

function nanoseconds({ sec, nanos }: Instant): Value {
  // Beyond these no int64 fits, and the sum below would not be an integer.
  if (Math.abs(sec) < 1e10) {
    const ns = BigInt(sec) * 1_000_000_000n + BigInt(nanos);
    if (ns >= MIN_NS && ns <= MAX_NS) return fromBigInt(ns);
  }
  throw new BuiltinError("time outside of valid range");
}

interface WallClock {
  readonly days: number;
  /** Second of the day. */
  readonly second: number;
}

function wallClock(sec: number, zone: TimeZone): WallClock {
  const local = sec + zone.offsetAt(sec);
  const days = Math.floor(local / SECONDS_PER_DAY);
  return { days, second: local - days * SECONDS_PER_DAY };
}

function clockOf(second: number): readonly [number, number, number] {
  return [Math.floor(second / 3600), Math.floor(second / 60) % 60, second % 60];
}

function parsed(layout: string, value: string): Value {
  if (layout.length > MAX_LAYOUT || value.length > MAX_LAYOUT)
    throw new BuiltinError(`layout or value is longer than ${MAX_LAYOUT} characters`);
  try {
    return nanoseconds(parseTime(layout, value));
  } catch (error) {
    if (error instanceof TimeSyntaxError) throw new BuiltinError(error.message, { cause: error });
    throw error;
  }
}

/** Go Time.AddDate: the wall clock stays, days and months out of range carry over. */
function addDate(time: ZonedTime, years: number, months: number, days: number): Value {
  const { days: today, second } = wallClock(time.sec, time.zone);
  const { year, month, day } = civilFromDays(today);
  const target = daysFromCivil(year + years, month + months, day + days);
  if (!(Math.abs(target) < 1e6)) throw new BuiltinError("time outside of valid range");
  return nanoseconds({ sec: instantOfLocal(time.zone, target * SECONDS_PER_DAY + second), nanos: time.nanos });
}

/** Years to seconds between two times, on the wall clock of the first operand's zone. */
function difference(a: ZonedTime, b: ZonedTime): readonly number[] {
  const [earlier, later] = a.sec > b.sec || (a.sec === b.sec && a.nanos > b.nanos) ? [b, a] : [a, b];
  const from = wallClock(earlier.sec, a.zone);
  const to = wallClock(later.sec, a.zone);
  const start = civilFromDays(from.days);
  const end = civilFromDays(to.days);
  const [hour1, minute1, second1] = clockOf(from.second);
  const [hour2, minute2, second2] = clockOf(to.second);
  let years = end.year - start.year;
  let months = end.month - start.month;
  let days = end.day - start.day;
  let hours = hour2 - hour1;
  let minutes = minute2 - minute1;
  let seconds = second2 - second1;
  if (seconds < 0) {
    seconds += 60;
    minutes--;
  }
  if (minutes < 0) {
    minutes += 60;
    hours--;
  }
  if (hours < 0) {
    hours += 24;
    days--;
  }
  if (days < 0) {
    days += daysInMonth(start.year, start.month);
    months--;
  }
  if (months < 0) {
    months += 12;
    years--;
  }
  return [years, months, days, hours, minutes, seconds];
}

const pairType = types.tuple(types.number, types.string);
const momentType = types.oneOf(types.number, pairType);
const moment = operands.of<Value>(momentType);
const MOMENT = "nanoseconds since the epoch, or an array of these and a time zone's name";

export const timeBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "time.now_ns",
    category: "time",
    about: "The time at which the evaluation began: the same for all calls within one query.",
    nondeterministic: true,
    args: [],
    result: result("now", types.number, "nanoseconds since the epoch"),
    call: (context) => fromBigInt(context.nowNs),
  }),
  defineBuiltin({
    name: "time.parse_ns",
    category: "time",
    about: "Reads a time by a layout of Go's time package.",
    args: [
      arg(
        "layout",
        operands.string,
        "how the reference time `2006-01-02 15:04:05` would be written, or a Go constant's name",
      ),
      arg("value", operands.string, "the text"),
    ],
    result: result("ns", types.number, "nanoseconds since the epoch; undefined where they do not fit into 64 bits"),
    call: (_context, layout, value) => parsed(NAMED_LAYOUTS.get(layout) ?? layout, value),
  }),
  defineBuiltin({
    name: "time.parse_rfc3339_ns",
    category: "time",
    about: "Reads a time in the format of RFC 3339.",
    args: [arg("value", operands.string, "the text")],
    result: result("ns", types.number, "nanoseconds since the epoch; undefined where they do not fit into 64 bits"),
    call: (_context, value) => parsed(RFC3339, value),
  }),
  defineBuiltin({
    name: "time.parse_duration_ns",
    category: "time",
    about: "Reads a duration: `1h30m`, `1.5s`, `2d`, with the units ns, us, ms, s, m, h, d, w and y.",
    args: [arg("duration", operands.string, "the text")],
    result: result("ns", types.number, "nanoseconds"),
    call: (_context, duration) => fromBigInt(parseDuration(duration)),
  }),
  defineBuiltin({
    name: "time.format",
    category: "time",
    about: "Writes a time as text, by default in the format of RFC 3339.",
    args: [
      arg(
        "x",
        operands.of<Value>(types.oneOf(types.number, pairType, types.tuple(types.number, types.string, types.string))),
        `${MOMENT}, and optionally a layout of Go's time package`,
      ),
    ],
    result: result("formatted timestamp", types.string, "the text"),
    call: (context, x) => {
      const time = zonedTime(x);
      if (time.layout.length > MAX_LAYOUT) throw new BuiltinError(`layout is longer than ${MAX_LAYOUT} characters`);
      context.spend(1);
      return formatTime(
        time.layout === "" ? RFC3339_NANO : (NAMED_LAYOUTS.get(time.layout) ?? time.layout),
        time,
        time.zone,
      );
    },
  }),
  defineBuiltin({
    name: "time.date",
    category: "time",
    about: "The calendar date of a time.",
    args: [arg("x", moment, MOMENT)],
    result: result(
      "date",
      types.tuple(types.number, types.number, types.number),
      "year, month (1 to 12) and day (1 to 31)",
    ),
    call: (_context, x) => {
      const time = zonedTime(x);
      const { year, month, day } = civilFromDays(wallClock(time.sec, time.zone).days);
      return [year, month, day];
    },
  }),
  defineBuiltin({
    name: "time.clock",
    category: "time",
    about: "The wall clock of a time.",
    args: [arg("x", moment, MOMENT)],
    result: result(
      "output",
      types.tuple(types.number, types.number, types.number),
      "hour (0 to 23), minute and second",
    ),
    call: (_context, x) => {
      const time = zonedTime(x);
      return clockOf(wallClock(time.sec, time.zone).second);
    },
  }),
  defineBuiltin({
    name: "time.weekday",
    category: "time",
    about: "The day of the week of a time.",
    args: [arg("x", moment, MOMENT)],
    result: result("day", types.string, "its English name"),
    call: (_context, x) => {
      const time = zonedTime(x);
      return DAY_NAMES[weekdayOf(wallClock(time.sec, time.zone).days)];
    },
  }),
  defineBuiltin({
    name: "time.add_date",
    category: "time",
    about:
      "Adds years, months and days to a time, keeping its wall clock. Days and months out of range carry over: October 32 is November 1.",
    args: [
      arg("ns", operands.of<Value>(types.number), MOMENT),
      arg("years", operands.number, "years to add"),
      arg("months", operands.number, "months to add"),
      arg("days", operands.number, "days to add"),
    ],
    result: result("output", types.number, "nanoseconds since the epoch; undefined where they do not fit into 64 bits"),
    call: (_context, ns, years, months, days) =>
      addDate(zonedTime(ns), intOperand(2, years), intOperand(3, months), intOperand(4, days)),
  }),
  defineBuiltin({
    name: "time.diff",
    category: "time",
    about: "The difference between two times in calendar units, whichever of them is later.",
    args: [arg("ns1", moment, MOMENT), arg("ns2", moment, MOMENT)],
    result: result(
      "output",
      types.tuple(...Array.from({ length: 6 }, () => types.number)),
      "years, months, days, hours, minutes and seconds, on the wall clock of the first time's zone",
    ),
    call: (_context, ns1, ns2) => difference(zonedTime(ns1), zonedTime(ns2)),
  }),
];
