import {
  compareStrings,
  isArray,
  isJsonObject,
  isNumber,
  type JsonObject,
  numberText,
  type Value,
} from "../rego/value/index.ts";
import { DecisionFormError, goTypeOf, type HeaderPair, memberOf } from "./decision-form.ts";
import { ENVOY_HTTP_STATUS } from "./http-status.ts";
import { checkHeaderName, checkHeaderValue } from "./legality.ts";

/**
 * Headers as an object, or an array of objects, of strings or arrays of strings. Names come out sorted, so that equal
 * decisions give equal answers; the plugin leaves the order to Go's maps.
 *
 * @throws {DecisionFormError} beginning with `prefix`
 */
export function readHeaders(decision: JsonObject, key: string, prefix: string): readonly HeaderPair[] {
  const value = memberOf(decision, key);
  if (value === undefined) return [];
  const pairs: HeaderPair[] = [];
  for (const headers of isArray(value) ? value : [value]) {
    if (!isJsonObject(headers))
      throw form(
        prefix,
        `type assertion error, expected headers to be of type 'object' but got '${goTypeOf(headers)}'`,
      );
    for (const name of sortedNames(headers)) readHeader(pairs, name, headers[name] as Value, prefix);
  }
  return pairs;
}

function readHeader(pairs: HeaderPair[], name: string, value: Value, prefix: string): void {
  if (typeof value !== "string" && !isArray(value)) throw form(prefix, `type assertion error for header '${name}'`);
  for (const item of typeof value === "string" ? [value] : value) {
    if (typeof item !== "string") throw form(prefix, `invalid value type ${goTypeOf(item)} for header '${name}'`);
    const fault = checkHeaderName(name) ?? checkHeaderValue(item);
    if (fault !== undefined) throw form(prefix, `header '${printable(name)}' ${fault}`);
    pairs.push({ key: name, value: item });
  }
}

/** @throws {DecisionFormError} */
export function readStrings(decision: JsonObject, key: string, prefix: string): readonly string[] {
  const value = memberOf(decision, key);
  if (value === undefined) return [];
  if (!isArray(value))
    throw form(prefix, `type assertion error, expected ${key} to be of type '[]string' but got '${goTypeOf(value)}'`);
  return value.map((item) => {
    if (typeof item !== "string")
      throw form(
        prefix,
        `type assertion error, expected ${key} value to be of type 'string' but got '${goTypeOf(item)}'`,
      );
    const fault = key.includes("headers") ? checkHeaderName(item) : checkHeaderValue(item);
    if (fault !== undefined) throw form(prefix, `'${printable(item)}' ${fault}`);
    return item;
  });
}

/** @throws {DecisionFormError} */
export function readQueryParameters(decision: JsonObject): readonly HeaderPair[] {
  const prefix = "failed to get request query parameters to set";
  const value = memberOf(decision, "query_parameters_to_set");
  if (value === undefined) return [];
  if (!isJsonObject(value))
    throw form(
      prefix,
      `type assertion error, expected query_parameters_to_set to be a map but got '${goTypeOf(value)}'`,
    );
  const pairs: HeaderPair[] = [];
  for (const key of sortedNames(value)) {
    const member = value[key] as Value;
    if (typeof member !== "string" && !isArray(member))
      throw form(prefix, `type assertion error, expected value to be string or array but got '${goTypeOf(member)}'`);
    for (const item of typeof member === "string" ? [member] : member) {
      if (typeof item !== "string")
        throw form(prefix, `type assertion error: expected array element to be string but got '${goTypeOf(item)}'`);
      const fault = checkHeaderValue(key) ?? checkHeaderValue(item);
      if (fault !== undefined) throw form(prefix, `parameter '${printable(key)}' ${fault}`);
      pairs.push({ key, value: item });
    }
  }
  return pairs;
}

/** @throws {DecisionFormError} */
export function checkMetadata(decision: JsonObject): JsonObject {
  const value = memberOf(decision, "dynamic_metadata");
  if (value === undefined) return {};
  if (isJsonObject(value)) {
    checkMetadataValue(value, 0);
    return value;
  }
  throw form(
    "failed to get dynamic metadata",
    `type assertion error, expected dynamic_metadata to be of type 'object' but got '${goTypeOf(value)}'`,
  );
}

/**
 * Protobuf decoders refuse messages nested more than 100 deep, and one level of a Struct takes three. A denial that Envoy
 * cannot decode is an error to it, and may be let through.
 */
const MAX_METADATA_DEPTH = 32;

/** Metadata travels as doubles: a number beyond them has none (structpb.NewValue). */
function checkMetadataValue(value: Value, depth: number): void {
  if (depth > MAX_METADATA_DEPTH) throw form("failed to get dynamic metadata", "nested too deep");
  if (isNumber(value)) {
    const text = numberText(value);
    if (!Number.isFinite(Number(text)))
      throw form(
        "failed to get dynamic metadata",
        `proto: invalid number format "${text}", expected a float64: strconv.ParseFloat: parsing "${text}": value out of range`,
      );
  } else if (isArray(value)) for (const item of value) checkMetadataValue(item, depth + 1);
  else if (isJsonObject(value))
    for (const key of Object.keys(value)) checkMetadataValue(value[key] as Value, depth + 1);
}

/** @throws {DecisionFormError} */
export function readBody(decision: JsonObject): string {
  const value = memberOf(decision, "body") ?? "";
  if (typeof value === "string") return value;
  throw form(
    "failed to get response body",
    `type assertion error, expected body to be of type 'string' but got '${goTypeOf(value)}'`,
  );
}

/** @throws {DecisionFormError} */
export function readHttpStatus(decision: JsonObject): number {
  const prefix = "failed to get response http status";
  const value = memberOf(decision, "http_status");
  if (value === undefined) return 403;
  if (!isNumber(value))
    throw form(
      prefix,
      `type assertion error, expected http_status to be of type 'number' but got '${goTypeOf(value)}'`,
    );
  // The literal counts, not the number: `403.0` is no integer to Go.
  const text = numberText(value);
  if (!/^[+-]?\d+$/.test(text))
    throw form(
      prefix,
      `error converting JSON number to int: strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  const status = Number(text);
  if (!ENVOY_HTTP_STATUS.has(status)) throw form(prefix, `invalid HTTP status code ${text}`);
  return status;
}

function sortedNames(object: JsonObject): readonly string[] {
  const names = Object.keys(object);
  return names.length < 2 ? names : names.sort(compareStrings);
}

/** Names the fault without carrying it into logs and status messages. */
function printable(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function form(prefix: string, detail: string): DecisionFormError {
  return new DecisionFormError(`${prefix}: ${detail}`);
}
