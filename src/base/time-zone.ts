import { daysFromCivil, SECONDS_PER_DAY } from "./civil.ts";
import { RecentMap } from "./recent-map.ts";
import { ZONE_NAMES } from "./zone-names.ts";

/** A time zone of the IANA database, or UTC. */
export interface TimeZone {
  readonly name: string;
  /** Seconds east of UTC in force at that second since the epoch. */
  offsetAt(epochSec: number): number;
  /** The abbreviation in force, as Go prints it: `CEST`, or `-03` where a zone has no letters. */
  abbreviationAt(epochSec: number): string;
}

export const UTC: TimeZone = { name: "UTC", offsetAt: () => 0, abbreviationAt: () => "UTC" };

/**
 * The zone of that IANA name, in the database's spelling (Go and OPA tell `europe/berlin` from `Europe/Berlin`);
 * undefined where there is none.
 */
export function timeZone(name: string): TimeZone | undefined {
  const known = zones.get(name);
  if (known !== undefined) return known;
  const rules = zoneRules().get(name);
  if (rules === undefined) return undefined;
  const zone = name === "UTC" ? UTC : openZone(name, rules);
  if (zone !== undefined) zones.set(name, zone);
  return zone;
}

/** The zone this process runs in. */
export function localTimeZone(): TimeZone {
  return timeZone(new Intl.DateTimeFormat().resolvedOptions().timeZone) ?? UTC;
}

/**
 * The instant at which clocks in `zone` show the given local time, written as seconds since the epoch as if it were UTC.
 * Skipped times come out an hour early west of Greenwich and an hour late east of it, as in Go's time.Date.
 */
export function instantOfLocal(zone: TimeZone, localSec: number): number {
  const offset = zone.offsetAt(localSec);
  if (offset === 0) return localSec;
  return localSec - zone.offsetAt(localSec - offset);
}

const zones = new Map<string, TimeZone>();
let rulesByZone: Map<string, string> | undefined;

function zoneRules(): Map<string, string> {
  if (rulesByZone === undefined) {
    rulesByZone = new Map();
    for (const line of ZONE_NAMES.trim().split("\n")) {
      const [names = "", rules = ""] = line.split("|");
      for (const name of names.split(" ")) rulesByZone.set(name, rules);
    }
  }
  return rulesByZone;
}

/**
 * Offsets are asked of Intl, and remembered by stretches of time. In the whole database no two changes of one zone lie
 * closer together than four days, so a stretch of three holds at most one.
 */
const STRETCH_SEC = 3 * SECONDS_PER_DAY;
const STRETCHES_PER_ZONE = 512;

interface Stretch {
  readonly before: number;
  /** First second at which `after` holds. */
  readonly change: number;
  readonly after: number;
}

/** Zones that never had another offset; the newest database has made them links to places that did. */
const FIXED_ZONES: ReadonlyMap<string, number> = new Map([
  ["EST", -5 * 3600],
  ["HST", -10 * 3600],
  ["MST", -7 * 3600],
]);

function openZone(name: string, rules: string): TimeZone | undefined {
  const fixed = FIXED_ZONES.get(name);
  if (fixed !== undefined) return { name, offsetAt: () => fixed, abbreviationAt: () => name };
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      hourCycle: "h23",
      era: "short",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  } catch {
    return undefined; // a name newer than this runtime's database
  }
  const stretches = new RecentMap<number, Stretch>(STRETCHES_PER_ZONE);
  let last: Stretch | undefined;
  let lastIndex = Number.NaN;
  const abbreviations = readAbbreviations(rules);

  function offsetAt(epochSec: number): number {
    const index = Math.floor(epochSec / STRETCH_SEC);
    let stretch = index === lastIndex ? last : stretches.get(index);
    if (stretch === undefined) {
      stretch = measure(format, index * STRETCH_SEC);
      stretches.set(index, stretch);
    }
    last = stretch;
    lastIndex = index;
    return epochSec < stretch.change ? stretch.before : stretch.after;
  }

  function abbreviationAt(epochSec: number): string {
    const offset = offsetAt(epochSec);
    const eras = abbreviations.get(offset);
    let found = "";
    if (eras !== undefined) for (const era of eras) if (epochSec >= era.from) found = era.text;
    return found === "" ? numericName(offset) : found;
  }

  return { name, offsetAt, abbreviationAt };
}

function measure(format: Intl.DateTimeFormat, start: number): Stretch {
  const end = start + STRETCH_SEC;
  const before = askOffset(format, start);
  const after = askOffset(format, end);
  let low = start;
  let high = end;
  if (before === after) return { before, change: end, after };
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (askOffset(format, middle) === before) low = middle;
    else high = middle;
  }
  return { before, change: high, after };
}

function askOffset(format: Intl.DateTimeFormat, epochSec: number): number {
  const fields = new Map(format.formatToParts(epochSec * 1000).map(({ type, value }) => [type, value]));
  const field = (type: Intl.DateTimeFormatPartTypes) => Number(fields.get(type));
  const year = fields.get("era") === "BC" ? 1 - field("year") : field("year");
  const days = daysFromCivil(year, field("month"), field("day"));
  return days * SECONDS_PER_DAY + field("hour") * 3600 + field("minute") * 60 + field("second") - epochSec;
}

interface NameEra {
  readonly from: number;
  readonly text: string;
}

function readAbbreviations(rules: string): Map<number, readonly NameEra[]> {
  const byOffset = new Map<number, readonly NameEra[]>();
  if (rules === "") return byOffset;
  for (const rule of rules.split(" ")) {
    const [offset = "", names = ""] = rule.split("=");
    const eras = names.split("/").map((name) => {
      const [text = "", from] = name.split("@");
      return { text, from: from === undefined ? Number.NEGATIVE_INFINITY : Number(from) };
    });
    byOffset.set(Number(offset), eras);
  }
  return byOffset;
}

/** The database's own naming of zones without letters: `+0530`, `-03`. */
function numericName(offset: number): string {
  const size = Math.abs(offset);
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor((size % 3600) / 60);
  return `${offset < 0 ? "-" : "+"}${two(Math.floor(size / 3600))}${minutes === 0 ? "" : two(minutes)}`;
}
