import { isArray, isNumber, isObject, type JsonObject, numberText, type Value } from "../../rego/value/index.ts";
import type { HeaderPair } from "../decision-form.ts";
import { wellFormed } from "../legality.ts";
import type { CheckResponse, DeniedHttp } from "../response.ts";
import { WireWriter } from "./writer.ts";

/** envoy.service.auth.v3.CheckResponse; for v2 callers without what that version lacks. */
export function encodeCheckResponse(response: CheckResponse, api: "v3" | "v2"): Buffer {
  const writer = new WireWriter();
  writer.messageField(1, () => {
    if (response.code !== 0) writer.varintField(1, response.code);
    if (response.message !== "") writer.stringField(2, wellFormed(response.message));
  });
  const { http } = response;
  if (http?.kind === "denied") writer.messageField(2, () => writeDenied(writer, http));
  else if (http?.kind === "error") writer.messageField(5, () => writeDenied(writer, http));
  else if (http?.kind === "ok") {
    writer.messageField(3, () => {
      for (const pair of http.headers) writeHeaderOption(writer, 2, pair);
      if (api === "v2") return;
      for (const name of http.headersToRemove) writer.stringField(5, name);
      for (const pair of http.responseHeadersToAdd) writeHeaderOption(writer, 6, pair);
      for (const pair of http.queryParametersToSet) writer.messageField(7, () => writePair(writer, pair));
      for (const name of http.queryParametersToRemove) writer.stringField(8, name);
    });
  }
  const { metadata } = response;
  if (metadata !== undefined && api === "v3") writer.messageField(4, () => writeStruct(writer, metadata));
  return writer.finish();
}

function writeDenied(writer: WireWriter, denied: DeniedHttp): void {
  writer.messageField(1, () => writer.varintField(1, denied.httpStatus));
  for (const pair of denied.headers) writeHeaderOption(writer, 2, pair);
  if (denied.body !== "") writer.stringField(3, wellFormed(denied.body));
}

/** `append`, `append_action` and `keep_empty_value` stay unset: set or overwrite, as the plugin asks for. */
function writeHeaderOption(writer: WireWriter, field: number, pair: HeaderPair): void {
  writer.messageField(field, () => writer.messageField(1, () => writePair(writer, pair)));
}

function writePair(writer: WireWriter, { key, value }: HeaderPair): void {
  writer.stringField(1, key);
  if (value !== "") writer.stringField(2, value);
}

function writeStruct(writer: WireWriter, struct: JsonObject): void {
  for (const key of Object.keys(struct)) {
    writer.messageField(1, () => {
      writer.stringField(1, wellFormed(key));
      writer.messageField(2, () => writeValue(writer, struct[key] as Value));
    });
  }
}

/** google.protobuf.Value; every number becomes a double. */
function writeValue(writer: WireWriter, value: Value): void {
  if (value === null) writer.varintField(1, 0);
  else if (isNumber(value)) writer.doubleField(2, Number(numberText(value)));
  else if (typeof value === "string") writer.stringField(3, wellFormed(value));
  else if (typeof value === "boolean") writer.varintField(4, value ? 1 : 0);
  else if (isArray(value)) {
    writer.messageField(6, () => {
      for (const item of value) writer.messageField(1, () => writeValue(writer, item));
    });
  } else if (isObject(value)) writer.messageField(5, () => writeStruct(writer, value as JsonObject));
}
