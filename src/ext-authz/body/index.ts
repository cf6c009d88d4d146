import { quoteGo, setOwn, type Value } from "../../rego/value/index.ts";
import { InputError } from "../errors.ts";
import { textOf } from "../go-text.ts";
import type { HttpFacts } from "../request.ts";
import { parseQuery } from "../url.ts";
import { duplicateMember } from "./duplicate-members.ts";
import type { GrpcBodyDecoder } from "./grpc.ts";
import { parseJsonBody } from "./json.ts";
import { parseMultipartBody } from "./multipart.ts";
import type { ParsedBody } from "./parsed-body.ts";

export interface BodyOptions {
  readonly grpcBodies: GrpcBodyDecoder | undefined;
  readonly refusesDuplicateMembers?: boolean;
}

const NOT_PARSED: ParsedBody = { body: null, isTruncated: false };
const TRUNCATED: ParsedBody = { body: null, isTruncated: true };

/**
 * Reads the body by its content type. The types are looked for as substrings, case-sensitively and in this order, as the
 * plugin does (envoyauth/request.go getParsedBody).
 *
 * @throws {InputError}
 */
export function parseBody(
  http: HttpFacts,
  path: readonly string[],
  { grpcBodies, refusesDuplicateMembers = false }: BodyOptions,
): ParsedBody {
  // Envoy's own word for a body it cut off; reliable where content-length is absent.
  if (header(http, "x-envoy-auth-partial-body") === "true") return TRUNCATED;
  const contentType = header(http, "content-type");
  if (contentType === undefined) return NOT_PARSED;
  if (contentType.includes("application/json"))
    return withPayload(http, (bytes, text) => readJson(text ?? textOf(bytes), refusesDuplicateMembers));
  if (contentType.includes("application/grpc"))
    return grpcBodies === undefined || http.rawBody.length === 0 ? NOT_PARSED : grpcBodies.decode(path, http.rawBody);
  if (contentType.includes("application/x-www-form-urlencoded"))
    return withPayload(http, (bytes, text) => fromLists(parseQuery(text ?? textOf(bytes))));
  if (contentType.includes("multipart/form-data")) {
    return withPayload(http, (bytes) => {
      const values = parseMultipartBody(contentType, bytes);
      return values === undefined ? null : fromLists(values);
    });
  }
  return NOT_PARSED;
}

function readJson(text: string, refusesDuplicateMembers: boolean): Value {
  const body = parseJsonBody(text);
  const twice = refusesDuplicateMembers ? duplicateMember(text) : undefined;
  if (twice !== undefined) throw new InputError(`duplicate member ${quoteGo(twice)}`);
  return body;
}

/** @param parse  Gets the payload as bytes, and as text where Envoy sent text. */
function withPayload(http: HttpFacts, parse: (bytes: Buffer, text: string | undefined) => Value): ParsedBody {
  const text = http.body === "" ? undefined : http.body;
  if (text === undefined && http.rawBody.length === 0) return NOT_PARSED;
  const bytes = text === undefined ? http.rawBody : Buffer.from(text, "utf8");
  if (isCutShort(header(http, "content-length"), bytes.length)) return TRUNCATED;
  return { body: parse(bytes, text), isTruncated: false };
}

const MAX_INT64 = 9223372036854775807n;

function isCutShort(contentLength: string | undefined, byteLength: number): boolean {
  if (contentLength === undefined) return false;
  if (!/^[+-]?\d+$/.test(contentLength))
    throw new InputError(`strconv.ParseInt: parsing ${quoteGo(contentLength)}: invalid syntax`);
  const length = BigInt(contentLength.replace(/^\+/, ""));
  if (length > MAX_INT64 || length < -MAX_INT64 - 1n)
    throw new InputError(`strconv.ParseInt: parsing ${quoteGo(contentLength)}: value out of range`);
  return length > BigInt(byteLength);
}

function header(http: HttpFacts, name: string): string | undefined {
  const value = Object.hasOwn(http.headers, name) ? http.headers[name] : undefined;
  return typeof value === "string" ? value : undefined;
}

/** An object of arrays, whatever the names. */
export function fromLists(lists: ReadonlyMap<string, readonly Value[]>): Value {
  const object: Record<string, Value> = {};
  for (const [key, values] of lists) setOwn(object, key, values);
  return object;
}
