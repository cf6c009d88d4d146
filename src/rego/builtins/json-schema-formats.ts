import { BuiltinError } from "../runtime/index.ts";
import { parseIp } from "./ip.ts";
import { cachedRegex } from "./regex-engine.ts";

const TIME = /^\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?$/;
const ZONED_TIME = /^\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:\d{2})$/;
const HOSTNAME_LABEL = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/;
const UUID = /^[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$/i;

/** The formats gojsonschema checks (format_checkers.go). Unknown ones hold for every string. */
const FORMATS: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ["date", isDate],
  ["time", isTime],
  ["date-time", isDateTime],
  ["hostname", isHostname],
  ["email", isEmail],
  ["idn-email", isEmail],
  ["ipv4", (text) => parseIp(text) !== undefined && text.includes(".")],
  ["ipv6", (text) => parseIp(text) !== undefined && text.includes(":")],
  ["uri", isUri],
  ["uri-reference", isUriReference],
  ["iri", isUri],
  ["iri-reference", isUriReference],
  ["uri-template", isUriTemplate],
  ["uuid", (text) => UUID.test(text)],
  ["regex", isRegex],
  ["json-pointer", isJsonPointer],
  ["relative-json-pointer", isRelativeJsonPointer],
]);

export function hasFormat(format: string, text: string): boolean {
  return FORMATS.get(format)?.(text) ?? true;
}

function isDate(text: string): boolean {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (match === null) return false;
  const [year, month, day] = match.slice(1).map(Number) as [number, number, number];
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
  return day >= 1 && day <= days;
}

function isTime(text: string): boolean {
  if (!TIME.test(text) && !ZONED_TIME.test(text)) return false;
  const [hour = 0, minute = 0, second = 0] = text.split(":").map((part) => Number.parseInt(part, 10));
  const zone = /[+-](\d{2}):(\d{2})$/.exec(text);
  const isZoneReal = zone === null || (Number(zone[1]) <= 24 && Number(zone[2]) < 60);
  return hour < 24 && minute < 60 && second < 60 && isZoneReal;
}

function isDateTime(text: string): boolean {
  if (isTime(text) || isDate(text)) return true;
  const time = text.slice(11);
  return text[10] === "T" && isDate(text.slice(0, 10)) && ZONED_TIME.test(time) && isTime(time);
}

function isHostname(text: string): boolean {
  return text.length < 256 && text.split(".").every((label) => HOSTNAME_LABEL.test(label));
}

/** An address, or a name before an address in angle brackets (Go's net/mail, RFC 5322). */
function isEmail(text: string): boolean {
  const bare = (/^[^<>@]*<([^<>]+)>\s*$/.exec(text)?.[1] ?? text).trim();
  const at = bare.lastIndexOf("@");
  const [local, domain] = [bare.slice(0, at), bare.slice(at + 1)];
  const isDotAtom = (part: string) => /^[^\s()<>[\]:;@\\,."]+(?:\.[^\s()<>[\]:;@\\,."]+)*$/.test(part);
  const isQuoted = /^"(?:[^"\\]|\\.)*"$/.test(local);
  return at > 0 && (isDotAtom(local) || isQuoted) && (isDotAtom(domain) || /^\[[^\][]*\]$/.test(domain));
}

/** What Go's url.Parse accepts, near enough: no control characters, sound escapes, no blank in the host. */
function isUriReference(text: string): boolean {
  if (/[\x00-\x1f\x7f\\]/.test(text)) return false;
  const [beforeFragment] = text.split("#", 1) as [string];
  const [hierarchy] = beforeFragment.split("?", 1) as [string];
  if (/%(?![0-9a-fA-F]{2})/.test(hierarchy) || /%(?![0-9a-fA-F]{2})/.test(text.slice(beforeFragment.length)))
    return false;
  const scheme = /^[a-zA-Z][a-zA-Z0-9+.-]*:/.exec(hierarchy);
  if (scheme === null) {
    if (hierarchy.startsWith(":")) return false;
    const [first] = hierarchy.split("/", 1) as [string];
    if (first.includes(":")) return false;
  }
  const authority = /^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?\/\/([^/]*)/.exec(hierarchy)?.[1] ?? "";
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  return !/[\s<>"]/.test(host) && /^(?:\[[^\]]*\]|[^:[\]]*)(?::\d*)?$/.test(host);
}

function isUri(text: string): boolean {
  return /^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(text) && isUriReference(text);
}

function isUriTemplate(text: string): boolean {
  if (!isUriReference(text)) return false;
  const path = text.replace(/[?#].*$/s, "");
  // The last brace that opens must close.
  return path.lastIndexOf("{") <= path.lastIndexOf("}");
}

function isRegex(text: string): boolean {
  try {
    cachedRegex(text);
    return true;
  } catch (error) {
    if (error instanceof BuiltinError) return false;
    throw error;
  }
}

function isJsonPointer(text: string): boolean {
  return text === "" || (text.startsWith("/") && !/~(?![01])/.test(text));
}

function isRelativeJsonPointer(text: string): boolean {
  const rest = /^(?:0|[1-9]\d*)(.*)$/s.exec(text)?.[1];
  return rest !== undefined && (rest === "#" || isJsonPointer(rest));
}
