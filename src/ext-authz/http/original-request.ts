import { isUtf8 } from "node:buffer";
import { isIP } from "node:net";
import { InputError } from "../errors.ts";
import { WireWriter } from "../wire/writer.ts";

/**
 * Where a proxy writes the request it asks about. It must be configured and is never guessed: a client can send
 * `x-forwarded-uri` through a proxy that does not overwrite it, and would then choose what is decided
 * (oauth2-proxy, CVE-2026-34457).
 */
export type HttpProxy = "envoy" | "nginx" | "traefik";

export interface OriginalRequestOptions {
  readonly proxy: HttpProxy;
  /** Envoy's `path_prefix`: what the proxy puts before the path. */
  readonly pathPrefix: string;
  /** A header in which the proxy names the client's address; undefined when none is trusted. */
  readonly sourceAddressHeader: string | undefined;
}

/** A request to the HTTP authorization port, as it came. */
export interface AuthorizationCall {
  readonly method: string;
  readonly target: string;
  /** Names and values in turn, as Node's rawHeaders. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

/** The request the proxy asks about. */
export interface OriginalRequest {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly scheme: string | undefined;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  readonly sourceAddress: string | undefined;
}

/** RFC 9110 section 7.6.1: about the connection from the proxy, not about the request. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Where the original request line stands, for proxies that send one of their own. */
const FORWARDED = {
  nginx: { method: "x-original-method", uri: "x-original-uri", host: "x-original-host", scheme: "x-original-proto" },
  traefik: {
    method: "x-forwarded-method",
    uri: "x-forwarded-uri",
    host: "x-forwarded-host",
    scheme: "x-forwarded-proto",
  },
} as const;

/** @throws {InputError} when the original request cannot be told for sure. */
export function readOriginalRequest(call: AuthorizationCall, options: OriginalRequestOptions): OriginalRequest {
  const { headers, counts } = readHeaders(call.rawHeaders);
  const only = (name: string): string | undefined => {
    if ((counts.get(name) ?? 0) > 1) throw new InputError(`${name} was sent more than once`);
    return headers.get(name);
  };
  const common = { headers, body: call.body, sourceAddress: sourceAddress(only, options.sourceAddressHeader) };
  if (options.proxy === "envoy") {
    const path = withoutPrefix(call.target, options.pathPrefix);
    return { ...common, method: call.method, path, host: only("host") ?? "", scheme: undefined };
  }
  const names = FORWARDED[options.proxy];
  const required = (name: string): string => {
    const value = only(name);
    if (value === undefined || value === "") throw new InputError(`${name} is missing`);
    return value;
  };
  return {
    ...common,
    method: required(names.method),
    path: originForm(required(names.uri)),
    host: only(names.host) ?? only("host") ?? "",
    scheme: only(names.scheme),
  };
}

/** The CheckRequest that Envoy's gRPC client would have sent about it, so that policies see the same document. */
export function encodeOriginalRequest(request: OriginalRequest, nowMs: number): Buffer {
  const writer = new WireWriter();
  const attributes = writer.open(1);
  if (request.sourceAddress !== undefined) writeSource(writer, request.sourceAddress);
  const message = writer.open(4);
  const time = writer.open(1);
  writer.varintField(1, Math.floor(nowMs / 1000));
  writer.varintField(2, Math.round((nowMs % 1000) * 1e6));
  writer.close(time);
  writeHttp(writer, request);
  writer.close(message);
  writer.close(attributes);
  return writer.finish();
}

function writeSource(writer: WireWriter, address: string): void {
  const messages = [writer.open(1), writer.open(1), writer.open(1)];
  writer.stringField(2, address);
  for (const message of messages.reverse()) writer.close(message);
}

function writeHttp(writer: WireWriter, { method, path, host, scheme, headers, body }: OriginalRequest): void {
  const http = writer.open(2);
  const id = headers.get("x-request-id");
  if (id !== undefined) writer.stringField(1, id);
  writer.stringField(2, method);
  const header = (key: string, value: string): void => {
    const entry = writer.open(3);
    writer.stringField(1, key);
    writer.stringField(2, value);
    writer.close(entry);
  };
  header(":authority", host);
  header(":method", method);
  header(":path", path);
  if (scheme !== undefined) header(":scheme", scheme);
  for (const [key, value] of headers) if (key !== "host" && !HOP_BY_HOP.has(key)) header(key, value);
  writer.stringField(4, path);
  writer.stringField(5, host);
  if (scheme !== undefined) writer.stringField(6, scheme);
  if (body.length > 0) {
    writer.varintField(9, body.length);
    if (isUtf8(body)) writer.stringField(11, body.toString("utf8"));
    else writer.bytesField(12, body);
  }
  writer.close(http);
}

/** Names in lower case, values of one name joined by commas: Envoy's form. */
function readHeaders(raw: readonly string[]): {
  readonly headers: Map<string, string>;
  readonly counts: ReadonlyMap<string, number>;
} {
  const headers = new Map<string, string>();
  const counts = new Map<string, number>();
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    const value = textOf(raw[i + 1] as string);
    const earlier = headers.get(name);
    headers.set(name, earlier === undefined ? value : `${earlier},${value}`);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return { headers, counts };
}

/** Node reads header bytes as Latin-1. Envoy shows UTF-8, and `!` for bytes that are none. */
function textOf(latin1: string): string {
  if (/^[\x00-\x7f]*$/.test(latin1)) return latin1;
  const bytes = Buffer.from(latin1, "latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : latin1.replace(/[^\x00-\x7f]/g, "!");
}

function withoutPrefix(target: string, prefix: string): string {
  if (!target.startsWith(prefix)) throw new InputError("the path does not begin with the configured prefix");
  return originForm(target.slice(prefix.length));
}

/** RFC 9112 section 3.2: only the origin form has one reading as a path. */
function originForm(target: string): string {
  if (!target.startsWith("/")) throw new InputError("the request target is no path");
  return target;
}

function sourceAddress(only: (name: string) => string | undefined, header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const value = only(header);
  if (value === undefined || isIP(value) === 0) throw new InputError(`${header} names no address`);
  return value;
}
