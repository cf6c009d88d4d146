export {
  type CivilDate,
  civilFromDays,
  daysFromCivil,
  daysInMonth,
  isLeapYear,
  SECONDS_PER_DAY,
  weekdayOf,
} from "./civil.ts";
export { Base64Error, decodeBase64, decodeBase64Url, encodeBase64, encodeBase64Url } from "./base64.ts";
export { detached } from "./detached.ts";
export { decodeHex, encodeHex, fromUtf8, HexError, toUtf8 } from "./bytes.ts";
export { LruMap } from "./lru.ts";
export { RecentMap } from "./recent-map.ts";
export { decodePem, type PemBlock } from "./pem.ts";
export { eachInSteps, finish, mapInSteps, type Steps } from "./steps.ts";
export { type Location, locationText, placeOf, Source } from "./source.ts";
export { instantOfLocal, localTimeZone, type TimeZone, timeZone, UTC } from "./time-zone.ts";
export { isYamlTooDeep } from "./yaml-depth.ts";
export { whenKnown } from "./when-known.ts";
export { trimBoth, trimEnd } from "./trim.ts";
