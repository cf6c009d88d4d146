import fc from "fast-check";
import { expect, test } from "vitest";
import { civilFromDays, daysFromCivil, daysInMonth, weekdayOf } from "../../src/base/index.ts";

test("days and dates agree with Date over 20,000 years", () => {
  fc.assert(
    fc.property(fc.integer({ min: -3_650_000, max: 3_650_000 }), (days) => {
      const date = new Date(days * 86_400_000);
      const civil = civilFromDays(days);
      expect(civil).toEqual({ year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() });
      expect(daysFromCivil(civil.year, civil.month, civil.day)).toBe(days);
      expect(weekdayOf(days)).toBe(date.getUTCDay());
    }),
  );
});

test.for([
  { date: [2024, 14, 1], want: [2025, 2, 1] },
  { date: [2024, 0, 31], want: [2023, 12, 31] },
  { date: [2023, 2, 29], want: [2023, 3, 1] },
  { date: [2024, 10, 32], want: [2024, 11, 1] },
  { date: [2024, 1, 0], want: [2023, 12, 31] },
] as { date: [number, number, number]; want: number[] }[])("$date carries over to $want", ({ date, want }) => {
  const { year, month, day } = civilFromDays(daysFromCivil(...date));
  expect([year, month, day]).toEqual(want);
});

test.for([
  { year: 2024, days: 29 },
  { year: 2023, days: 28 },
  { year: 1900, days: 28 },
  { year: 2000, days: 29 },
])("February $year has $days days", ({ year, days }) => expect(daysInMonth(year, 2)).toBe(days));
