import type { TokenRequest } from "../identity/index.ts";
import { isJsonObject, type JsonObject, type Value } from "../rego/value/index.ts";

/** One request, as the phases look at it. */
export interface Subject {
  /** The document Rego sees. */
  readonly input: JsonObject;
  /** The request's attributes in the form of envoy.service.auth.v3, which declarative policies and tokens are read by. */
  readonly attributes: JsonObject | undefined;
}

/** What of a request can carry tokens; undefined where HTTP is not spoken. */
export function tokenRequestOf(attributes: JsonObject | undefined): TokenRequest | undefined {
  const http = member(member(attributes, "request"), "http");
  if (http === undefined) return undefined;
  return { method: text(http, "method"), path: text(http, "path"), headers: headersOf(http) };
}

/** Claims that Envoy's jwt_authn filter has left with the request. */
export function envoyMetadataOf(attributes: JsonObject | undefined): JsonObject | undefined {
  return member(member(member(attributes, "metadataContext"), "filterMetadata"), "envoy.filters.http.jwt_authn");
}

/** With `encode_raw_headers` Envoy sends each field on its own, and no joined ones. */
function headersOf(http: JsonObject): TokenRequest["headers"] {
  const fields = member(http, "headerMap")?.["headers"];
  if (!Array.isArray(fields)) return (member(http, "headers") ?? {}) as TokenRequest["headers"];
  const headers = new Map<string, string[]>();
  for (const field of fields as readonly JsonObject[]) {
    const name = text(field, "key").toLowerCase();
    const raw = text(field, "rawValue");
    const value = raw === "" ? text(field, "value") : Buffer.from(raw, "base64").toString("latin1");
    const known = headers.get(name);
    if (known === undefined) headers.set(name, [value]);
    else known.push(value);
  }
  return Object.fromEntries(headers);
}

function member(object: JsonObject | undefined, key: string): JsonObject | undefined {
  const value: Value | undefined = object !== undefined && Object.hasOwn(object, key) ? object[key] : undefined;
  return value !== undefined && isJsonObject(value) ? value : undefined;
}

function text(object: JsonObject, key: string): string {
  const value = Object.hasOwn(object, key) ? object[key] : undefined;
  return typeof value === "string" ? value : "";
}
