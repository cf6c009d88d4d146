import { isJsonObject, type JsonObject, type Value } from "../rego/value/index.ts";
import { decodeMessage } from "./wire/decode.ts";
import { CHECK_REQUEST } from "./wire/messages.ts";

export type ApiVersion = "v3" | "v2";

/** A CheckRequest, its attributes already in the form policies see, and the facts of its HTTP request within reach. */
export interface CheckRequest {
  readonly api: ApiVersion;
  /** Absent when the message carries none. */
  readonly attributes: JsonObject | undefined;
  readonly http: HttpFacts;
  /** Empty where unknown. */
  readonly sourcePrincipal: string;
}

export interface HttpFacts {
  readonly path: string;
  readonly headers: JsonObject;
  readonly body: string;
  /** Filled when Envoy packs bodies as bytes. */
  readonly rawBody: Buffer;
}

const NOTHING: JsonObject = Object.freeze({});
const NO_BYTES = Buffer.alloc(0);

/** @throws {WireError} when the bytes are no such message. */
export function readCheckRequest(bytes: Buffer, api: ApiVersion): CheckRequest {
  const { attributes } = decodeMessage(CHECK_REQUEST, bytes) as { attributes?: JsonObject };
  const known = attributes ?? NOTHING;
  const http = objectAt(objectAt(known, "request"), "http");
  // The plugin asks v2 messages for no `raw_body`, which that version lacks.
  const raw = api === "v2" ? "" : textAt(http, "rawBody");
  return {
    api,
    attributes,
    http: {
      path: textAt(http, "path"),
      headers: objectAt(http, "headers"),
      body: textAt(http, "body"),
      rawBody: raw === "" ? NO_BYTES : Buffer.from(raw, "base64"),
    },
    sourcePrincipal: textAt(objectAt(known, "source"), "principal"),
  };
}

/** A member that is an object, or an empty object: the members' types are fixed by the message definitions. */
export function objectAt(object: JsonObject, key: string): JsonObject {
  const member = object[key] as Value | undefined;
  return member !== undefined && isJsonObject(member) ? member : NOTHING;
}

function textAt(object: JsonObject, key: string): string {
  const member = object[key];
  return typeof member === "string" ? member : "";
}
