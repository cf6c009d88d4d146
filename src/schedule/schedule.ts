import { civilFromDays, daysFromCivil, SECONDS_PER_DAY, type TimeZone, timeZone, weekdayOf } from "../base/index.ts";

/**
 * Opening hours on the wall clock of a zone. Windows are half-open: `08:00` to `22:00` ends before 22:00. A window whose
 * end is not after its start crosses midnight; it belongs to the day it starts on. A date with exceptions has their hours
 * only: nothing spills into it from the evening before.
 *
 * Clocks are read, not durations added: where an hour is skipped, what lies within it never happens; where one is
 * repeated, it happens twice.
 */
export interface ScheduleSpec {
  /** IANA name. */
  readonly timeZone: string;
  readonly windows: readonly ScheduleWindow[];
  readonly exceptions: readonly ScheduleException[];
}

export interface ScheduleHours {
  /** 0 to 1439. */
  readonly fromMinute: number;
  /** 0 to 1440. */
  readonly toMinute: number;
}

export interface ScheduleWindow extends ScheduleHours {
  /** 0 is Sunday. */
  readonly days: readonly number[];
}

export interface ScheduleException extends ScheduleHours {
  /** `2026-12-25` */
  readonly date: string;
  /** No hours at all, unless another exception of that date has some. */
  readonly closed: boolean;
}

/** Part of one day; `spill` is the minute of the next day at which it ends, 0 when it ends on its own. */
interface Hours {
  readonly from: number;
  readonly end: number;
  readonly spill: number;
}

/** Opening hours, ready to be asked. Made by `compileSchedule`. */
export interface Schedule {
  readonly zone: TimeZone;
  readonly byWeekday: readonly (readonly Hours[])[];
  /** By days since 1970-01-01. */
  readonly byDate: ReadonlyMap<number, readonly Hours[]>;
}

/** @throws {RangeError} for an unknown zone, or a date or minute that does not exist */
export function compileSchedule({ timeZone: zoneName, windows, exceptions }: ScheduleSpec): Schedule {
  const zone = timeZone(zoneName);
  if (zone === undefined) throw new RangeError(`${JSON.stringify(zoneName)} is no IANA time zone`);
  const byWeekday = Array.from({ length: 7 }, (_, day) =>
    windows.filter(({ days }) => days.includes(day)).map(toHours),
  );
  const byDate = new Map<number, readonly Hours[]>();
  for (const exception of exceptions) {
    const day = readDate(exception.date);
    const known = byDate.get(day) ?? [];
    byDate.set(day, exception.closed ? known : [...known, toHours(exception)]);
  }
  return { zone, byWeekday, byDate };
}

function toHours({ fromMinute: from, toMinute: to }: ScheduleHours): Hours {
  const isMinute = (minute: number, last: number) => Number.isInteger(minute) && minute >= 0 && minute <= last;
  if (!isMinute(from, MINUTES_PER_DAY - 1) || !isMinute(to, MINUTES_PER_DAY))
    throw new RangeError(`no minutes of a day: ${from} to ${to}`);
  return to > from ? { from, end: to, spill: 0 } : { from, end: MINUTES_PER_DAY, spill: to };
}

function readDate(text: string): number {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (match !== null) {
    const [year, month, day] = match.slice(1).map(Number) as [number, number, number];
    const days = daysFromCivil(year, month, day);
    const civil = civilFromDays(days);
    if (civil.month === month && civil.day === day) return days;
  }
  throw new RangeError(`${JSON.stringify(text)} is no date`);
}

const MINUTES_PER_DAY = 1440;
const NS_PER_SEC = 1_000_000_000n;

/** @param nowNs nanoseconds since the epoch */
export function isOpen(schedule: Schedule, nowNs: bigint): boolean {
  return isOpenAt(schedule, floorSeconds(nowNs));
}

/**
 * The first instant from `nowNs` on at which the schedule is open: `nowNs` itself where it is open now; undefined where
 * it never opens again.
 */
export function nextOpening(schedule: Schedule, nowNs: bigint): bigint | undefined {
  const now = floorSeconds(nowNs);
  if (isOpenAt(schedule, now)) return nowNs;
  const { zone, byDate } = schedule;
  const today = Math.floor((now + zone.offsetAt(now)) / SECONDS_PER_DAY);
  // Beyond the last exception every week is like the next; two cover a week in which the clock skips the only window.
  let last = Math.max(today, ...byDate.keys()) + 15;
  let first: number | undefined;
  for (let day = today - 1; day <= last; day++) {
    for (const instant of changesOf(schedule, day)) {
      if (instant <= now || (first !== undefined && instant >= first) || !isOpenAt(schedule, instant)) continue;
      // Where the clock changes, instants of one day may lie among those of the next two.
      if (first === undefined) last = Math.min(last, day + 2);
      first = instant;
    }
  }
  return first === undefined ? undefined : BigInt(first) * NS_PER_SEC;
}

function floorSeconds(ns: bigint): number {
  const sec = ns / NS_PER_SEC;
  return Number(sec * NS_PER_SEC > ns ? sec - 1n : sec);
}

function isOpenAt(schedule: Schedule, sec: number): boolean {
  const local = sec + schedule.zone.offsetAt(sec);
  const day = Math.floor(local / SECONDS_PER_DAY);
  const minute = Math.floor((local - day * SECONDS_PER_DAY) / 60);
  for (const { from, end } of hoursOf(schedule, day)) if (minute >= from && minute < end) return true;
  if (schedule.byDate.has(day)) return false;
  for (const { spill } of hoursOf(schedule, day - 1)) if (minute < spill) return true;
  return false;
}

function hoursOf({ byWeekday, byDate }: Schedule, day: number): readonly Hours[] {
  return byDate.get(day) ?? (byWeekday[weekdayOf(day)] as readonly Hours[]);
}

/** All instants of one local day at which a schedule can open: starts of windows, midnight, and changes of the clock. */
function* changesOf(schedule: Schedule, day: number): Generator<number> {
  const { zone } = schedule;
  const midnight = day * SECONDS_PER_DAY;
  const before = zone.offsetAt(midnight - SECONDS_PER_DAY);
  const after = zone.offsetAt(midnight + 2 * SECONDS_PER_DAY);
  for (const minute of [0, ...hoursOf(schedule, day).map(({ from }) => from)]) {
    yield midnight + minute * 60 - before;
    if (after !== before) yield midnight + minute * 60 - after;
  }
  if (after !== before) yield changeBetween(zone, midnight - SECONDS_PER_DAY, midnight + 2 * SECONDS_PER_DAY);
}

/** The first second of the offset that is in force at `high`; it is another than that at `low`. */
function changeBetween(zone: TimeZone, low: number, high: number): number {
  const wanted = zone.offsetAt(high);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (zone.offsetAt(middle) === wanted) high = middle;
    else low = middle;
  }
  return high;
}
