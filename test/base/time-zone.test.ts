import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { instantOfLocal, timeZone, UTC } from "../../src/base/index.ts";

const at = (iso: string) => Date.parse(iso) / 1000;

describe("offsets and abbreviations", () => {
  // Checked against Go 1.26 with the same edition of the tz database.
  test.for([
    { zone: "UTC", at: "2026-07-01T00:00:00Z", offset: 0, name: "UTC" },
    { zone: "Europe/Berlin", at: "2026-01-01T00:00:00Z", offset: 3600, name: "CET" },
    { zone: "Europe/Berlin", at: "2026-03-29T00:59:59Z", offset: 3600, name: "CET" },
    { zone: "Europe/Berlin", at: "2026-03-29T01:00:00Z", offset: 7200, name: "CEST" },
    { zone: "Europe/Berlin", at: "2026-10-25T00:59:59Z", offset: 7200, name: "CEST" },
    { zone: "Europe/Berlin", at: "2026-10-25T01:00:00Z", offset: 3600, name: "CET" },
    { zone: "America/New_York", at: "1943-06-01T00:00:00Z", offset: -14_400, name: "EWT" },
    { zone: "America/New_York", at: "1850-01-01T00:00:00Z", offset: -17_762, name: "LMT" },
    { zone: "America/Sao_Paulo", at: "2026-01-01T00:00:00Z", offset: -10_800, name: "-03" },
    { zone: "Asia/Kolkata", at: "2026-01-01T00:00:00Z", offset: 19_800, name: "IST" },
    { zone: "Asia/Kathmandu", at: "2026-01-01T00:00:00Z", offset: 20_700, name: "+0545" },
    { zone: "Australia/Lord_Howe", at: "2026-01-01T00:00:00Z", offset: 39_600, name: "+11" },
    { zone: "Pacific/Apia", at: "2011-12-30T09:59:59Z", offset: -36_000, name: "-10" },
    { zone: "Pacific/Apia", at: "2011-12-30T10:00:00Z", offset: 50_400, name: "+14" },
    { zone: "EST", at: "2026-07-01T00:00:00Z", offset: -18_000, name: "EST" },
    { zone: "US/Eastern", at: "2200-07-01T00:00:00Z", offset: -14_400, name: "EDT" },
    { zone: "Antarctica/Troll", at: "2000-01-01T00:00:00Z", offset: 0, name: "-00" },
  ])("$zone at $at: $name", ({ zone: zoneName, at: iso, offset, name }) => {
    const zone = timeZone(zoneName);
    expect(zone?.offsetAt(at(iso))).toBe(offset);
    expect(zone?.abbreviationAt(at(iso))).toBe(name);
  });

  test.for(["europe/berlin", "Europe/Nowhere", "+05:30", "", "../etc/passwd", "__proto__"])(
    "there is no zone %j",
    (name) => {
      expect(timeZone(name)).toBeUndefined();
    },
  );
});

describe("instants of local times", () => {
  test.for([
    { why: "ordinary time", zone: "Europe/Berlin", local: "2026-07-01T12:00:00Z", want: "2026-07-01T10:00:00Z" },
    { why: "skipped time", zone: "Europe/Berlin", local: "2026-03-29T02:30:00Z", want: "2026-03-29T01:30:00Z" },
    {
      why: "skipped time in the west",
      zone: "America/New_York",
      local: "2026-03-08T02:30:00Z",
      want: "2026-03-08T06:30:00Z",
    },
    {
      why: "repeated time: the first",
      zone: "America/New_York",
      local: "2026-11-01T01:30:00Z",
      want: "2026-11-01T05:30:00Z",
    },
  ])("$why", ({ zone, local, want }) => {
    expect(new Date(instantOfLocal(timeZone(zone) ?? UTC, at(local)) * 1000).toISOString()).toBe(
      new Date(want).toISOString(),
    );
  });

  test("every instant but those of repeated hours comes back from its local time", () => {
    const zones = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Tehran"].map(
      (name) => timeZone(name) ?? UTC,
    );
    fc.assert(
      fc.property(fc.constantFrom(...zones), fc.integer({ min: -4e9, max: 8e9 }), (zone, sec) => {
        const local = sec + zone.offsetAt(sec);
        const back = instantOfLocal(zone, local);
        expect(back + zone.offsetAt(back)).toBe(local);
      }),
    );
  });
});
