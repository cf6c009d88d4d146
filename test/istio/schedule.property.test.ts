import fc from "fast-check";
import { expect, test } from "vitest";
import { compileIstio, type Schedule } from "../../src/istio/index.ts";
import { compileSchedule, isOpen } from "../../src/schedule/index.ts";
import { evaluatorOf } from "../support/istio-request.ts";

const time = fc
  .integer({ min: 0, max: 95 })
  .map((quarter) => `${String(quarter >> 2).padStart(2, "0")}:${String((quarter & 3) * 15).padStart(2, "0")}`);
const window = fc.record({
  days: fc.uniqueArray(fc.constantFrom("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"), { minLength: 1 }),
  from: time,
  to: time,
});
// Days on which clocks change, and their neighbours.
const day = fc.constantFrom(
  "2026-03-28",
  "2026-03-29",
  "2026-03-30",
  "2026-10-24",
  "2026-10-25",
  "2026-10-26",
  "2026-06-17",
  "2026-12-31",
);
const exception = fc.oneof(
  day.map((date) => ({ date, closed: true })),
  fc.record({ date: day, from: time, to: time }),
);
const spec = fc.record({
  timeZone: fc.constantFrom("Europe/Berlin", "UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"),
  windows: fc.array(window, { minLength: 1, maxLength: 3 }),
  exceptions: fc.array(exception, { maxLength: 2 }),
});

test("a schedule in policies is open when cardea.schedule.open says so", () => {
  fc.assert(
    fc.property(
      spec,
      fc.array(fc.tuple(day, fc.integer({ min: 0, max: 1439 })), { minLength: 5, maxLength: 5 }),
      (document, moments) => {
        const text = JSON.stringify({
          apiVersion: "cardea.dev/v1alpha1",
          kind: "Schedule",
          metadata: { name: "s" },
          spec: document,
        });
        const program = compileIstio({ files: [{ file: "s.yaml", text }] });
        const { tables, schedules } = program;
        const query = evaluatorOf(program)
          .withData({ cardea: { tables } })
          .query('data.cardea.istio.open(data.cardea.tables.schedules["s"])');
        const schedule = compileSchedule(schedules[0] as Schedule);
        for (const [date, minute] of moments) {
          const ms = Date.parse(`${date}T00:00:00Z`) + minute * 60_000;
          const here = query.value({ nowNs: BigInt(ms) * 1_000_000n }) === true;
          expect({ ms, open: here }).toEqual({ ms, open: isOpen(schedule, BigInt(ms) * 1_000_000n) });
        }
      },
    ),
    { numRuns: 300 },
  );
});
