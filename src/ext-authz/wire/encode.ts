import { isArray, isNumber, isObject, type JsonObject, numberText, type Value } from "../../rego/value/index.ts";
import type { DeniedAnswer, RequestChanges } from "../decision.ts";
import type { HeaderPair } from "../decision-form.ts";
import { wellFormed } from "../legality.ts";
import type { CheckResponse } from "../response.ts";
import { WireWriter } from "./writer.ts";

/** envoy.service.auth.v3.CheckResponse; for v2 callers without what that version lacks. */
export function encodeCheckResponse(response: CheckResponse, api: "v3" | "v2"): Buffer {
  const { code, message, http, metadata } = response;
  const writer = new WireWriter();
  const status = writer.open(1);
  if (code !== 0) writer.varintField(1, code);
  if (message !== "") writer.stringField(2, wellFormed(message));
  writer.close(status);
  if (http?.kind === "ok") writeOk(writer, http.changes, api);
  else if (http !== undefined) writeDenied(writer, http.kind === "denied" ? 2 : 5, http.answer);
  if (metadata !== undefined && api === "v3") writeStruct(writer, 4, metadata);
  return writer.finish();
}

function writeOk(writer: WireWriter, changes: RequestChanges, api: "v3" | "v2"): void {
  const ok = writer.open(3);
  for (const pair of changes.headers) writeHeaderOption(writer, 2, pair);
  if (api === "v3") {
    for (const name of changes.headersToRemove) writer.stringField(5, name);
    for (const pair of changes.responseHeadersToAdd) writeHeaderOption(writer, 6, pair);
    for (const pair of changes.queryParametersToSet) writePair(writer, 7, pair);
    for (const name of changes.queryParametersToRemove) writer.stringField(8, name);
  }
  writer.close(ok);
}

function writeDenied(writer: WireWriter, field: number, denied: DeniedAnswer): void {
  const response = writer.open(field);
  const status = writer.open(1);
  writer.varintField(1, denied.httpStatus);
  writer.close(status);
  for (const pair of denied.headers) writeHeaderOption(writer, 2, pair);
  if (denied.body !== "") writer.stringField(3, wellFormed(denied.body));
  writer.close(response);
}

/** `append`, `append_action` and `keep_empty_value` stay unset: set or overwrite, as the plugin asks for. */
function writeHeaderOption(writer: WireWriter, field: number, pair: HeaderPair): void {
  const option = writer.open(field);
  writePair(writer, 1, pair);
  writer.close(option);
}

function writePair(writer: WireWriter, field: number, { key, value }: HeaderPair): void {
  const pair = writer.open(field);
  writer.stringField(1, key);
  if (value !== "") writer.stringField(2, value);
  writer.close(pair);
}

/** google.protobuf.Struct */
function writeStruct(writer: WireWriter, field: number, struct: JsonObject): void {
  const message = writer.open(field);
  for (const key of Object.keys(struct)) {
    const entry = writer.open(1);
    writer.stringField(1, wellFormed(key));
    writeValue(writer, 2, struct[key] as Value);
    writer.close(entry);
  }
  writer.close(message);
}

/** google.protobuf.Value; every number becomes a double. */
function writeValue(writer: WireWriter, field: number, value: Value): void {
  const message = writer.open(field);
  if (value === null) writer.varintField(1, 0);
  else if (isNumber(value)) writer.doubleField(2, Number(numberText(value)));
  else if (typeof value === "string") writer.stringField(3, wellFormed(value));
  else if (typeof value === "boolean") writer.varintField(4, value ? 1 : 0);
  else if (isArray(value)) {
    const list = writer.open(6);
    for (const item of value) writeValue(writer, 1, item);
    writer.close(list);
  } else if (isObject(value)) writeStruct(writer, 5, value as JsonObject);
  writer.close(message);
}
