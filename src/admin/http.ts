import type { IncomingMessage, ServerResponse } from "node:http";
import { gunzipSync } from "node:zlib";
import { isNumber, parseJson, toJsonText, type Value } from "../rego/value/index.ts";
import type { Span } from "../telemetry/index.ts";
import { ApiError } from "./api-error.ts";

/** One request to the REST API, read as far as routes need it. */
export interface ApiRequest {
  readonly method: string;
  /** Decoded segments of the path. */
  readonly segments: readonly string[];
  readonly path: string;
  readonly params: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly remoteAddress: string;
  /** Counts requests of this process. */
  readonly id: number;
  /** Identity from the bearer token or client certificate; empty without. */
  readonly identity: string;
  readonly clientCertificates: readonly Value[];
  /** Absent when nothing is traced. */
  readonly span?: Span;
  /** The body, unzipped. @throws {ApiError} when it is too large or not readable. */
  body(): Promise<string>;
}

export interface ApiReply {
  readonly status: number;
  readonly body?: string;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface BodyLimits {
  /** Bytes as sent. */
  readonly sent: number;
  /** Bytes after decompression. */
  readonly unzipped: number;
}

/** OPA's defaults: server.decoding. */
export const BODY_LIMITS: BodyLimits = { sent: 268_435_456, unzipped: 536_870_912 };

const IDLE_BODY_MS = 30_000;

/** @throws {ApiError} */
export async function readBody(message: IncomingMessage, limits: BodyLimits): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  const timer = setTimeout(() => message.destroy(new Error("body timed out")), IDLE_BODY_MS);
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > limits.sent) throw new ApiError(400, "invalid_parameter", "request body too large");
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  const bytes = Buffer.concat(chunks);
  return message.headers["content-encoding"]?.includes("gzip") === true
    ? unzip(bytes, limits.unzipped)
    : bytes.toString("utf8");
}

function unzip(bytes: Buffer, limit: number): string {
  try {
    return gunzipSync(bytes, { maxOutputLength: limit }).toString("utf8");
  } catch {
    throw new ApiError(400, "invalid_parameter", "gzip: invalid or too large body");
  }
}

export function sendReply(response: ServerResponse, reply: ApiReply): void {
  const body = reply.body ?? "";
  const headers: Record<string, string | number> = { ...reply.headers };
  if (reply.body !== undefined) {
    headers["content-type"] = reply.contentType ?? "application/json";
    headers["content-length"] = Buffer.byteLength(body);
  }
  response.writeHead(reply.status, headers);
  response.end(body);
}

/** A JSON reply; with `?pretty` indented. */
export function jsonReply(status: number, value: Value, isPretty = false): ApiReply {
  return { status, body: isPretty ? `${prettyJson(value)}\n` : `${toJsonText(value)}\n` };
}

/** Indents by two, as Go's encoder does; numbers keep their text. */
export function prettyJson(value: Value, indent = ""): string {
  if (value === null || typeof value !== "object" || isNumber(value)) return toJsonText(value);
  const inner = `${indent}  `;
  const text = toJsonText(value);
  if (text === "[]" || text === "{}") return text;
  const reread = parseJson(text);
  if (Array.isArray(reread))
    return `[\n${reread.map((item: Value) => inner + prettyJson(item, inner)).join(",\n")}\n${indent}]`;
  const members = Object.entries(reread as Record<string, Value>).map(
    ([key, member]) => `${inner}${JSON.stringify(key)}: ${prettyJson(member, inner)}`,
  );
  return `{\n${members.join(",\n")}\n${indent}}`;
}

/** A switch in the query: present without a value, or `true`. */
export function flag(params: URLSearchParams, name: string): boolean {
  const values = params.getAll(name);
  return values.some((value) => value === "" || value === "true");
}
