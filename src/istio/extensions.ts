import { parseWhenKey, WHEN_KEYS } from "./attributes.ts";
import { parseDuration } from "./duration.ts";
import type { FieldReader, Text } from "./fields.ts";
import type { YamlNode } from "./node.ts";
import type { Meta, RateLimit, Schedule, ScheduleException, ScheduleWindow } from "./policies.ts";

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
const DAY_MINUTES = 1440;

/** Reads and validates one Schedule (cardea.dev/v1alpha1). */
export function readSchedule(reader: FieldReader, meta: Meta, spec: YamlNode | undefined): Schedule {
  const members = reader.members(spec, "spec", ["timeZone", "windows", "exceptions"]);
  const zone = reader.string(members.get("timeZone")?.value, "spec.timeZone");
  if (zone !== undefined && !isTimeZone(zone.text)) {
    reader.refuse(
      "istio_value_error",
      zone,
      "spec.timeZone",
      `${JSON.stringify(zone.text)} is no IANA time zone`,
      "write a name like Europe/Berlin, or UTC",
    );
  }
  const windowsEntry = members.get("windows");
  const windows = (reader.list(windowsEntry?.value, "spec.windows") ?? []).map((item, i) =>
    readWindow(reader, item, `spec.windows[${i}]`),
  );
  if (windows.length === 0)
    reader.refuse("istio_value_error", windowsEntry ?? meta, "spec.windows", "a schedule needs at least one window");
  const exceptions = (reader.list(members.get("exceptions")?.value, "spec.exceptions") ?? []).map((item, i) =>
    readException(reader, item, `spec.exceptions[${i}]`),
  );
  return { ...meta, kind: "Schedule", timeZone: zone?.text ?? "UTC", windows, exceptions };
}

function isTimeZone(name: string): boolean {
  // Offsets such as +01:00 are zones to Intl, but not to Go.
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]*$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function readWindow(reader: FieldReader, node: YamlNode, field: string): ScheduleWindow {
  const members = reader.members(node, field, ["days", "from", "to"]);
  const daysEntry = members.get("days");
  const days = (reader.strings(daysEntry?.value, `${field}.days`) ?? []).flatMap((day, i) => {
    const index = DAYS.findIndex((name) => name.toLowerCase() === day.text.slice(0, 3).toLowerCase());
    if (index !== -1 && day.text.length >= 3 && FULL_DAYS[index]?.startsWith(day.text.toLowerCase()) === true)
      return [index];
    reader.refuse(
      "istio_value_error",
      day,
      `${field}.days[${i}]`,
      `${JSON.stringify(day.text)} is no day`,
      `write one of ${DAYS.join(", ")}`,
    );
    return [];
  });
  if (daysEntry !== undefined && days.length === 0)
    reader.refuse("istio_value_error", daysEntry, `${field}.days`, "must not be empty", "leave it out for every day");
  return {
    days: daysEntry === undefined ? [0, 1, 2, 3, 4, 5, 6] : days,
    ...readHours(reader, node, members.get("from")?.value, members.get("to")?.value, field),
  };
}

const FULL_DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

function readHours(
  reader: FieldReader,
  node: YamlNode,
  from: YamlNode | undefined,
  to: YamlNode | undefined,
  field: string,
): { fromMinute: number; toMinute: number } {
  const fromMinute = readMinute(reader, from, `${field}.from`);
  const toMinute = readMinute(reader, to, `${field}.to`);
  if (from === undefined || to === undefined)
    reader.refuse(
      "istio_value_error",
      node,
      field,
      "needs from and to",
      'for a whole day, write from: "00:00" and to: "24:00"',
    );
  if (fromMinute === DAY_MINUTES)
    reader.refuse("istio_value_error", node, `${field}.from`, "24:00 can only end a window");
  return { fromMinute, toMinute };
}

function readMinute(reader: FieldReader, node: YamlNode | undefined, field: string): number {
  const text = reader.string(node, field);
  if (text === undefined) return 0;
  const match = /^([0-9]{1,2}):([0-9]{2})$/.exec(text.text);
  const minute = match === null ? -1 : Number(match[1]) * 60 + Number(match[2]);
  if (match !== null && Number(match[2]) < 60 && minute <= DAY_MINUTES) return minute;
  reader.refuse("istio_value_error", text, field, `${JSON.stringify(text.text)} is no time of day`, 'write "08:00"');
  return 0;
}

function readException(reader: FieldReader, node: YamlNode, field: string): ScheduleException {
  const members = reader.members(node, field, ["date", "closed", "from", "to"]);
  const date = reader.string(members.get("date")?.value, `${field}.date`);
  if (date === undefined || !isDate(date)) {
    reader.refuse("istio_value_error", date ?? node, `${field}.date`, "must be a date", "write 2026-12-25");
  }
  const closed = reader.boolean(members.get("closed")?.value, `${field}.closed`);
  const from = members.get("from")?.value;
  const to = members.get("to")?.value;
  if (from !== undefined || to !== undefined) {
    if (closed === true) reader.refuse("istio_value_error", node, field, "a closed day has no hours");
    return { date: date?.text ?? "", closed: false, ...readHours(reader, node, from, to, field) };
  }
  if (closed === undefined) reader.refuse("istio_value_error", node, field, "needs closed: true, or from and to");
  return { date: date?.text ?? "", closed: closed === true, fromMinute: 0, toMinute: DAY_MINUTES };
}

function isDate({ text }: Text): boolean {
  const match = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/.exec(text);
  if (match === null) return false;
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

/** Reads and validates one RateLimit (cardea.dev/v1alpha1). */
export function readRateLimit(reader: FieldReader, meta: Meta, spec: YamlNode | undefined): RateLimit {
  const members = reader.members(spec, "spec", ["key", "limit", "per", "algorithm", "onStoreFailure"]);
  const key = reader.strings(members.get("key")?.value, "spec.key") ?? [];
  key.forEach((text, i) => {
    const attribute = parseWhenKey(text.text);
    if (attribute === undefined || attribute.kind === "schedule" || attribute.kind === "rateLimit") {
      const known = WHEN_KEYS.filter((name) => !name.startsWith("cardea.")).join(", ");
      reader.refuse(
        "istio_value_error",
        text,
        `spec.key[${i}]`,
        `${JSON.stringify(text.text)} is no attribute to count by`,
        `known: ${known}`,
      );
    }
  });
  const limitEntry = members.get("limit");
  const limit = reader.integer(limitEntry?.value, "spec.limit");
  if (limit === undefined || limit < 1)
    reader.refuse("istio_value_error", limitEntry ?? meta, "spec.limit", "must be an integer of at least 1");
  const perEntry = members.get("per");
  const per = reader.string(perEntry?.value, "spec.per");
  const perMs = per === undefined ? undefined : parseDuration(per.text);
  if (perMs === undefined || perMs < 1)
    reader.refuse(
      "istio_value_error",
      per ?? perEntry ?? meta,
      "spec.per",
      "must be a duration",
      "write 1m, 30s or 1h",
    );
  return {
    ...meta,
    kind: "RateLimit",
    key: key.map((text) => text.text),
    limit: limit ?? 1,
    perMs: perMs ?? 1000,
    algorithm:
      reader.oneOf(members.get("algorithm")?.value, "spec.algorithm", ["token-bucket", "fixed-window"]) ??
      "token-bucket",
    onStoreFailure:
      reader.oneOf(members.get("onStoreFailure")?.value, "spec.onStoreFailure", ["allow", "deny"]) ?? "deny",
  };
}
