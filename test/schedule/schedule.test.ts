import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileSchedule, isOpen, nextOpening, type ScheduleSpec } from "../../src/schedule/index.ts";

const at = (iso: string) => BigInt(Date.parse(iso)) * 1_000_000n;
const minute = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
const hours = (from: string, to: string) => ({ fromMinute: minute(from), toMinute: minute(to) });
const WEEKDAYS = [1, 2, 3, 4, 5];
const EVERY_DAY = [0, 1, 2, 3, 4, 5, 6];

const business: ScheduleSpec = {
  timeZone: "Europe/Berlin",
  windows: [{ days: WEEKDAYS, ...hours("08:00", "22:00") }],
  exceptions: [
    { date: "2026-12-25", closed: true, ...hours("00:00", "24:00") },
    { date: "2026-12-24", closed: false, ...hours("09:00", "12:00") },
  ],
};

describe("isOpen", () => {
  test.for([
    { now: "2026-07-01T05:59:59.999Z", open: false }, // Wednesday 07:59:59 in Berlin
    { now: "2026-07-01T06:00:00Z", open: true },
    { now: "2026-07-01T19:59:59.999Z", open: true },
    { now: "2026-07-01T20:00:00Z", open: false },
    { now: "2026-07-04T10:00:00Z", open: false }, // Saturday
    { now: "2026-01-07T07:00:00Z", open: true }, // winter
    { now: "2026-01-07T06:59:59Z", open: false },
    { now: "2026-12-25T10:00:00Z", open: false }, // a Friday, but closed
    { now: "2026-12-24T08:00:00Z", open: true },
    { now: "2026-12-24T11:00:00Z", open: false },
    { now: "1969-12-31T09:00:00Z", open: true },
  ])("business hours at $now: $open", ({ now, open }) => expect(isOpen(compileSchedule(business), at(now))).toBe(open));

  const night: ScheduleSpec = {
    timeZone: "UTC",
    windows: [{ days: [5], ...hours("22:00", "06:00") }],
    exceptions: [],
  };

  test.for([
    { now: "2026-07-03T21:59:00Z", open: false }, // Friday
    { now: "2026-07-03T22:00:00Z", open: true },
    { now: "2026-07-04T05:59:00Z", open: true },
    { now: "2026-07-04T06:00:00Z", open: false },
    { now: "2026-07-04T22:00:00Z", open: false },
    { now: "2026-07-03T05:00:00Z", open: false },
  ])("a window over midnight belongs to the day it starts on: $now is $open", ({ now, open }) => {
    expect(isOpen(compileSchedule(night), at(now))).toBe(open);
  });

  test.for([
    {
      why: "nothing spills into an exception",
      date: "2026-07-04",
      closed: true,
      now: "2026-07-04T01:00:00Z",
      open: false,
    },
    {
      why: "an exception drops its own evening and what follows",
      date: "2026-07-03",
      closed: true,
      now: "2026-07-04T01:00:00Z",
      open: false,
    },
    {
      why: "an exception's own hours may cross midnight",
      date: "2026-07-06",
      closed: false,
      now: "2026-07-07T01:00:00Z",
      open: true,
    },
  ])("$why", ({ date, closed, now, open }) => {
    const schedule = compileSchedule({ ...night, exceptions: [{ date, closed, ...hours("23:00", "02:00") }] });
    expect(isOpen(schedule, at(now))).toBe(open);
  });

  test("a day may have several windows, an exception several hours", () => {
    const schedule = compileSchedule({
      timeZone: "UTC",
      windows: [
        { days: EVERY_DAY, ...hours("08:00", "12:00") },
        { days: EVERY_DAY, ...hours("13:00", "17:00") },
      ],
      exceptions: [
        { date: "2026-07-02", closed: true, ...hours("00:00", "24:00") },
        { date: "2026-07-02", closed: false, ...hours("10:00", "11:00") },
        { date: "2026-07-02", closed: false, ...hours("15:00", "16:00") },
      ],
    });
    const openHours = (day: string) =>
      Array.from({ length: 24 }, (_, hour) => hour).filter((hour) =>
        isOpen(schedule, at(`${day}T${String(hour).padStart(2, "0")}:00:00Z`)),
      );
    expect(openHours("2026-07-01")).toEqual([8, 9, 10, 11, 13, 14, 15, 16]);
    expect(openHours("2026-07-02")).toEqual([10, 15]);
  });

  test("00:00 to 24:00 is all day, equal times are a day from then on", () => {
    const all = compileSchedule({
      timeZone: "UTC",
      windows: [{ days: [3], ...hours("00:00", "24:00") }],
      exceptions: [],
    });
    expect(isOpen(all, at("2026-07-01T23:59:59Z"))).toBe(true);
    expect(isOpen(all, at("2026-07-02T00:00:00Z"))).toBe(false);
    const shifted = compileSchedule({
      timeZone: "UTC",
      windows: [{ days: [3], ...hours("06:00", "06:00") }],
      exceptions: [],
    });
    expect(isOpen(shifted, at("2026-07-02T05:59:59Z"))).toBe(true);
    expect(isOpen(shifted, at("2026-07-02T06:00:00Z"))).toBe(false);
  });

  describe("when clocks change", () => {
    const window = (from: string, to: string) =>
      compileSchedule({
        timeZone: "Europe/Berlin",
        windows: [{ days: EVERY_DAY, ...hours(from, to) }],
        exceptions: [],
      });

    test("what lies within a skipped hour never happens", () => {
      const schedule = window("02:15", "02:45"); // 02:00 to 03:00 is skipped on 2026-03-29
      for (let i = 0; i < 24 * 60; i += 5)
        expect(isOpen(schedule, at("2026-03-28T23:00:00Z") + BigInt(i) * 60_000_000_000n)).toBe(false);
    });

    test("a window that reaches into a skipped hour opens after it", () => {
      const schedule = window("02:30", "04:00");
      expect(isOpen(schedule, at("2026-03-29T00:59:59Z"))).toBe(false);
      expect(isOpen(schedule, at("2026-03-29T01:00:00Z"))).toBe(true);
    });

    test("what lies within a repeated hour happens twice", () => {
      const schedule = window("02:15", "02:45"); // 02:00 to 03:00 is repeated on 2026-10-25
      const open = ["00:14", "00:15", "00:44", "00:45", "01:14", "01:15", "01:44", "01:45"].map((time) =>
        isOpen(schedule, at(`2026-10-25T${time}:00Z`)),
      );
      expect(open).toEqual([false, true, true, false, false, true, true, false]);
    });
  });
});

describe("nextOpening", () => {
  test.for([
    { now: "2026-07-01T10:00:00.123Z", next: "2026-07-01T10:00:00.123Z" },
    { now: "2026-07-01T20:00:00Z", next: "2026-07-02T06:00:00Z" },
    { now: "2026-07-03T20:00:00Z", next: "2026-07-06T06:00:00Z" },
    { now: "2026-12-24T11:00:00Z", next: "2026-12-28T07:00:00Z" },
    { now: "2026-03-27T21:00:00Z", next: "2026-03-30T06:00:00Z" },
  ])("from $now: $next", ({ now, next }) => expect(nextOpening(compileSchedule(business), at(now))).toBe(at(next)));

  // The clock goes back on 2026-02-15 at 03:00: that is an instant of an open day, but not its first.
  test("a day on which the clock changes opens when it begins", () => {
    const sundays = compileSchedule({
      timeZone: "Africa/Casablanca",
      windows: [{ days: [0], ...hours("00:00", "24:00") }],
      exceptions: [],
    });
    expect(nextOpening(sundays, at("2026-02-13T00:00:00Z"))).toBe(at("2026-02-14T23:00:00Z"));
  });

  test("a schedule of closed days never opens", () => {
    expect(nextOpening(compileSchedule({ timeZone: "UTC", windows: [], exceptions: [] }), 0n)).toBeUndefined();
    const past = compileSchedule({
      timeZone: "UTC",
      windows: [],
      exceptions: [{ date: "2020-01-01", closed: false, ...hours("10:00", "11:00") }],
    });
    expect(nextOpening(past, at("2020-01-01T11:00:00Z"))).toBeUndefined();
    expect(nextOpening(past, at("2019-06-01T00:00:00Z"))).toBe(at("2020-01-01T10:00:00Z"));
  });
});

describe("against a clock read minute by minute", () => {
  const zones = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Africa/Casablanca",
  ];
  const someHours = fc.record({ fromMinute: fc.nat(1439), toMinute: fc.nat(1440) });
  // Around changes of the clock, a skipped day (Apia, 2011-12-30) and a change at midnight (São Paulo, 2018-11-04).
  const starts = ["2026-03-27", "2026-10-23", "2011-12-28", "2018-11-02", "2026-03-06", "2026-04-03", "2026-02-13"];
  const cases = fc.record({
    timeZone: fc.constantFrom(...zones),
    windows: fc.array(
      fc.tuple(someHours, fc.uniqueArray(fc.nat(6), { maxLength: 3 })).map(([window, days]) => ({ ...window, days })),
      { maxLength: 3 },
    ),
    exceptions: fc.array(
      fc.tuple(someHours, fc.boolean(), fc.constantFrom(...starts), fc.nat(5)).map(([window, closed, start, days]) => ({
        ...window,
        closed,
        date: new Date(Date.parse(start) + days * 86_400_000).toISOString().slice(0, 10),
      })),
      { maxLength: 3 },
    ),
  });

  /** Reads the clock with Intl, and the rules in words. */
  function slowlyOpen({ timeZone, windows, exceptions }: ScheduleSpec): (ms: number) => boolean {
    const format = new Intl.DateTimeFormat("en-CA", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
    });
    const hoursOn = (date: string) => {
      const own = exceptions.filter((exception) => exception.date === date);
      const list =
        own.length > 0
          ? own.filter(({ closed }) => !closed)
          : windows.filter(({ days }) => days.includes(new Date(date).getUTCDay()));
      return list.map(({ fromMinute, toMinute }) => ({
        from: fromMinute,
        length: toMinute > fromMinute ? toMinute - fromMinute : 1440 - fromMinute + toMinute,
      }));
    };
    return (ms) => {
      const [date = "", time = ""] = format.format(ms).split(", ");
      const now = minute(time);
      const yesterday = new Date(Date.parse(date) - 86_400_000).toISOString().slice(0, 10);
      const isException = exceptions.some((exception) => exception.date === date);
      return (
        hoursOn(date).some(({ from, length }) => now >= from && now < from + length) ||
        (!isException && hoursOn(yesterday).some(({ from, length }) => now + 1440 < from + length))
      );
    };
  }

  test("isOpen and nextOpening agree with it", () => {
    fc.assert(
      fc.property(cases, fc.constantFrom(...starts), fc.nat(86_399), (spec, start, offset) => {
        const schedule = compileSchedule(spec);
        const reference = slowlyOpen(spec);
        const from = Date.parse(start) + offset * 1000;
        const next = nextOpening(schedule, BigInt(from) * 1_000_000n);
        let found: number | undefined;
        for (
          let ms = from;
          ms < from + 4 * 86_400_000 && found === undefined;
          ms = Math.floor(ms / 60_000) * 60_000 + 60_000
        ) {
          const open = reference(ms);
          expect(isOpen(schedule, BigInt(ms) * 1_000_000n)).toBe(open);
          if (open) found = ms;
        }
        if (found !== undefined) expect(next).toBe(BigInt(found) * 1_000_000n);
        else if (next !== undefined) expect(next).toBeGreaterThanOrEqual(BigInt(from + 4 * 86_400_000) * 1_000_000n);
      }),
      { numRuns: 12 },
    );
  });
});

test.for([
  { spec: { ...business, timeZone: "Mars/Olympus" }, want: '"Mars/Olympus" is no IANA time zone' },
  {
    spec: { ...business, exceptions: [{ date: "2026-02-29", closed: true, ...hours("00:00", "24:00") }] },
    want: '"2026-02-29" is no date',
  },
  {
    spec: { ...business, windows: [{ days: [1], fromMinute: 1440, toMinute: 10 }] },
    want: "no minutes of a day: 1440 to 10",
  },
])("refuses: $want", ({ spec, want }) => expect(() => compileSchedule(spec)).toThrow(want));
