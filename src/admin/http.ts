import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzipSync, gzip, type ZlibOptions } from "node:zlib";
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

/** What is taken and sent; defaults are OPA's (`server.decoding`, `server.encoding`). */
export interface BodyOptions {
  /** Bytes of a request as sent, and unzipped. */
  readonly bodyBytes: number;
  readonly unzippedBodyBytes: number;
  /** Replies of this many bytes are zipped for clients that take that. */
  readonly gzipBytes: number;
  readonly gzipLevel: number;
}

const IDLE_BODY_MS = 30_000;

const TOO_LARGE = "request body too large";

/** Refuses a body that says itself that it is too large. @throws {ApiError} */
export function checkLength({ headers }: IncomingMessage, { bodyBytes }: BodyOptions): void {
  if (Number(headers["content-length"] ?? 0) > bodyBytes) throw new ApiError(400, "invalid_parameter", TOO_LARGE);
}

/** @throws {ApiError} */
export async function readBody(message: IncomingMessage, limits: BodyOptions): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  const timer = setTimeout(() => message.destroy(new Error("body timed out")), IDLE_BODY_MS);
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > limits.bodyBytes) throw new ApiError(400, "invalid_parameter", TOO_LARGE);
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  const bytes = Buffer.concat(chunks);
  return message.headers["content-encoding"]?.includes("gzip") === true
    ? unzip(bytes, limits.unzippedBodyBytes)
    : bytes.toString("utf8");
}

function unzip(bytes: Buffer, limit: number): string {
  try {
    return gunzipSync(bytes, { maxOutputLength: limit }).toString("utf8");
  } catch (cause) {
    const isTooLarge = (cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    const problem = isTooLarge ? "gzip payload too large" : "gzip: invalid body";
    throw new ApiError(400, "invalid_parameter", `could not decompress the body: ${problem}`);
  }
}

/** A reply as it goes on the wire. */
export interface WireReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: string | Uint8Array;
}

/** @param zipping  Whether a reply of this kind may be zipped. */
export async function toWire(
  { status, body, contentType = "application/json", headers: own }: ApiReply,
  { headers }: IncomingMessage,
  zipping: BodyOptions | undefined,
): Promise<WireReply> {
  const headersOf = (bytes: string | Uint8Array): Record<string, string | number> => ({
    ...own,
    ...(zipping !== undefined && { vary: "Accept-Encoding" }),
    ...(body !== undefined && { "content-type": contentType, "content-length": Buffer.byteLength(bytes) }),
  });
  if (body === undefined || zipping === undefined || !takesGzip(headers) || Buffer.byteLength(body) < zipping.gzipBytes)
    return { status, headers: headersOf(body ?? ""), body: body ?? "" };
  const zipped = await inGzip(body, { level: zipping.gzipLevel });
  return { status, headers: { ...headersOf(zipped), "content-encoding": "gzip" }, body: zipped };
}

const inGzip = promisify<string, ZlibOptions, Buffer>(gzip);

function takesGzip(headers: IncomingMessage["headers"]): boolean {
  const accepted = String(headers["accept-encoding"] ?? "").split(",");
  return accepted.map((part) => part.trim()).some((part) => part === "gzip" || part.startsWith("gzip;"));
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
