import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { timeBuiltins } from "../../../src/rego/builtins/time.ts";
import type { Value } from "../../../src/rego/value/index.ts";
import { caller } from "../../support/builtin-context.ts";

const call = caller(timeBuiltins);
const NOON = 1_767_355_445_123_456_789n; // 2026-01-02T12:04:05.123456789Z

test("time.now_ns is the time of the query", () => expect(call("time.now_ns")).toBe(1_700_000_000_000_000_000n));

describe("reading times", () => {
  // Go 1.26 time.Parse.
  test.for([
    { layout: "2006-01-02", value: "2026-01-02", want: 1_767_312_000_000_000_000n },
    { layout: "RFC1123", value: "Fri, 02 Jan 2026 12:04:05 GMT", want: 1_767_355_445_000_000_000n },
    {
      layout: "2006-01-02T15:04:05Z07:00",
      value: "2026-01-02T12:04:05.123456789+05:30",
      want: 1_767_335_645_123_456_789n,
    },
    { layout: "Jan _2 2006 3:04PM", value: "feb  3 2020 12:04AM", want: 1_580_688_240_000_000_000n },
    { layout: "2006-002", value: "2020-060", want: 1_582_934_400_000_000_000n },
    { layout: "06-1-2", value: "69-1-2", want: -31_449_600_000_000_000n },
    { layout: "2006-01-02 MST", value: "2020-01-02 PST", want: 1_577_923_200_000_000_000n },
    { layout: "2006-01-02Z070000", value: "2020-01-02+033015", want: 1_577_910_585_000_000_000n },
  ])("$value by $layout", ({ layout, value, want }) => {
    const got = call("time.parse_ns", layout, value);
    expect(BigInt(got as number | bigint)).toBe(want);
  });

  test.for([
    { layout: "2006-01-02", value: "x", want: 'parsing time "x" as "2006-01-02": cannot parse "x" as "2006"' },
    { layout: "2006-01-02", value: "2021-02-29", want: 'parsing time "2021-02-29": day out of range' },
    { layout: "2006-01-02", value: "2020-01-02x", want: 'parsing time "2020-01-02x": extra text: "x"' },
    {
      layout: "RFC3339",
      value: "2020-02-20T24:00:00Z",
      want: 'parsing time "2020-02-20T24:00:00Z": hour out of range',
    },
    { layout: "2006-002", value: "2021-366", want: 'parsing time "2021-366": day-of-year out of range' },
    { layout: "15h", value: "1é", want: 'parsing time "1\\xc3\\xa9" as "15h": cannot parse "\\xc3\\xa9" as "h"' },
    { layout: "2006", value: "1500", want: "time outside of valid range" },
    { layout: "x".repeat(5000), value: "", want: "longer than 4096 characters" },
  ])("$want", ({ layout, value, want }) => expect(() => call("time.parse_ns", layout, value)).toThrow(want));

  test("the range ends where 64 bits do", () => {
    expect(call("time.parse_rfc3339_ns", "2262-04-11T23:47:16.854775807Z")).toBe(9_223_372_036_854_775_807n);
    expect(call("time.parse_rfc3339_ns", "1677-09-21T00:12:43.145224192Z")).toBe(-9_223_372_036_854_775_808n);
    for (const text of ["2262-04-11T23:47:16.854775808Z", "1677-09-21T00:12:43.145224191Z"]) {
      expect(() => call("time.parse_rfc3339_ns", text)).toThrow("time outside of valid range");
    }
  });
});

describe("writing times", () => {
  // Go 1.26 Time.Format.
  test.for([
    { x: NOON, want: "2026-01-02T12:04:05.123456789Z" },
    { x: [NOON], want: "2026-01-02T12:04:05.123456789Z" },
    { x: [NOON, "Asia/Kolkata"], want: "2026-01-02T17:34:05.123456789+05:30" },
    { x: [NOON, "America/New_York", "UnixDate"], want: "Fri Jan  2 07:04:05 EST 2026" },
    {
      x: [NOON, "", "Monday January _2 __2 002 06 3:04:05.000PM pm MST -0700 Z07"],
      want: "Friday January  2   2 002 26 12:04:05.123PM pm UTC +0000 Z",
    },
    { x: [NOON, "UTC", "05.999999999 05,000 Month _2006"], want: "05.123456789 05,123 Month _2026" },
    { x: [0, "UTC", ".999"], want: "" },
    { x: [-1, "UTC", "RFC3339Nano"], want: "1969-12-31T23:59:59.999999999Z" },
  ])("$x", ({ x, want }) => expect(call("time.format", x)).toBe(want));

  test("what is written is read again", () => {
    const layout = "Mon, 02 Jan 2006 15:04:05.000000000 -07:00:00";
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
        fc.constantFrom("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"),
        (ns, zone) => {
          const text = call("time.format", [ns, zone, layout]) as string;
          expect(BigInt(call("time.parse_ns", layout, text) as number | bigint)).toBe(ns);
        },
      ),
    );
  });
});

describe("parts of times", () => {
  test.for([
    { x: NOON, date: [2026, 1, 2], clock: [12, 4, 5], day: "Friday" },
    { x: [NOON, "Pacific/Kiritimati"], date: [2026, 1, 3], clock: [2, 4, 5], day: "Saturday" },
    { x: [-1, ""], date: [1969, 12, 31], clock: [23, 59, 59], day: "Wednesday" },
    { x: [1_582_977_600_123, "Local"], date: [1970, 1, 1], clock: [0, 26, 22], day: "Thursday" },
  ])("$x", ({ x, date, clock, day }) => {
    if (Array.isArray(x) && x[1] === "Local" && new Date().getTimezoneOffset() !== 0) return;
    expect(call("time.date", x)).toEqual(date);
    expect(call("time.clock", x)).toEqual(clock);
    expect(call("time.weekday", x)).toBe(day);
  });

  test.for([
    { x: [NOON, "Mars/Olympus"], want: "unknown time zone Mars/Olympus" },
    { x: [NOON, "../zone"], want: "time: invalid location name" },
    { x: [1n << 63n], want: "timestamp too big" },
    { x: 1.5, want: "timestamp too big" },
    { x: "now", want: "operand 1 must be either number (ns) or [number (ns), string (tz)] but got string" },
    { x: [], want: "operand 1 must be either number (ns) or [number (ns), string (tz)] but got array" },
    { x: ["1"], want: "operand 1 must be number but got string" },
    { x: [1, 2], want: "operand 1 must be string but got number" },
  ] as { x: Value; want: string }[])("$want", ({ x, want }) => expect(() => call("time.clock", x)).toThrow(want));
});

describe("calendar arithmetic", () => {
  const ns = (text: string) => call("time.parse_rfc3339_ns", text) as bigint;

  // Go 1.26 Time.AddDate.
  test.for([
    { from: "2020-01-31T10:00:00Z", zone: "UTC", add: [0, 1, 0], want: "2020-03-02T10:00:00Z" },
    { from: "2020-02-29T10:00:00Z", zone: "UTC", add: [1, 0, 0], want: "2021-03-01T10:00:00Z" },
    { from: "2021-03-13T12:00:00-05:00", zone: "America/New_York", add: [0, 0, 1], want: "2021-03-14T12:00:00-04:00" },
    { from: "2021-03-13T02:30:00-05:00", zone: "America/New_York", add: [0, 0, 1], want: "2021-03-14T01:30:00-05:00" },
    { from: "2020-05-31T00:00:00Z", zone: "UTC", add: [-1, -3, -400], want: "2018-01-27T00:00:00Z" },
  ])("$from plus $add in $zone", ({ from, zone, add, want }) => {
    expect(call("time.add_date", [ns(from), zone], ...add)).toBe(ns(want));
  });

  test.for([{ add: [300, 0, 0] }, { add: [0, 0, 9_007_199_254_740_991] }, { add: [-1e15, 0, 0] }])(
    "$add leaves the range",
    ({ add }) => {
      expect(() => call("time.add_date", 0, ...add)).toThrow("time outside of valid range");
    },
  );

  test.for([
    { a: "2020-01-31T00:00:00Z", b: "2020-03-01T00:00:00Z", want: [0, 1, 1, 0, 0, 0] },
    { a: "2021-03-01T12:30:15Z", b: "2020-01-31T23:45:30Z", want: [1, 1, 0, 12, 44, 45] },
    { a: "2020-01-01T00:00:00Z", b: "2020-01-01T00:00:00Z", want: [0, 0, 0, 0, 0, 0] },
  ])("from $a to $b", ({ a, b, want }) => expect(call("time.diff", ns(a), ns(b))).toEqual(want));
});

describe("durations", () => {
  test.for([
    { text: "1h30m15.5s", want: 5_415_500_000_000 },
    { text: "-2us", want: -2000 },
    { text: "5µs", want: 5000 },
    { text: "0", want: 0 },
    { text: "0.9ns", want: 0 },
    { text: "1d12h", want: 129_600_000_000_000 },
    { text: "1.5w", want: 907_200_000_000_000 },
    { text: "-1y", want: -31_536_000_000_000_000n },
    { text: "9223372036854775807ns", want: 9_223_372_036_854_775_807n },
    { text: "-9223372036854775808ns", want: -9_223_372_036_854_775_808n },
  ])("$text", ({ text, want }) => expect(call("time.parse_duration_ns", text)).toBe(want));

  test.for([
    { text: "", want: 'time: invalid duration ""' },
    { text: "1", want: 'time: missing unit in duration "1"' },
    { text: "1x", want: 'time: unknown unit "x" in duration "1x"' },
    { text: "1x2d", want: 'time: unknown unit "x" in duration "1x2d"' },
    { text: "1d 2h", want: 'time: invalid duration "1d 2h"' },
    { text: "9223372036854775808ns", want: 'time: invalid duration "9223372036854775808ns"' },
    { text: "300y", want: 'time: invalid duration "300y"' },
  ])("$want", ({ text, want }) => expect(() => call("time.parse_duration_ns", text)).toThrow(want));
});
