import { quoteGo, type Value } from "../../rego/value/index.ts";
import { InputError } from "../errors.ts";
import { parseJsonBody } from "./json.ts";
import { type MediaType, parseMediaType } from "./media-type.ts";

/** Parts one body may have. Go's multipart reader has the same bound on headers; parts it leaves open. */
const MAX_PARTS = 10_000;
/** Bytes all headers of one part may have together. */
const MAX_HEADER_BYTES = 64 * 1024;

/**
 * A multipart/form-data body: form name → values in order. Parts without a name are skipped, JSON parts are decoded, files
 * are text like all others (envoyauth/request.go).
 *
 * @returns undefined when the media type names no boundary.
 * @throws {InputError}
 */
export function parseMultipartBody(contentType: string, bytes: Buffer): Map<string, Value[]> | undefined {
  const boundary = mediaType(contentType).parameters.get("boundary");
  if (boundary === undefined) return undefined;
  const values = new Map<string, Value[]>();
  let parts = 0;
  for (const part of readParts(bytes, boundary)) {
    if (++parts > MAX_PARTS) throw new InputError("multipart: message too large");
    const name = formName(part.headers.get("content-disposition"));
    if (name === "") continue;
    const content = decodeTransfer(part);
    const text = content.toString("utf8");
    const value = (part.headers.get("content-type") ?? "").includes("application/json") ? parseJsonBody(text) : text;
    const list = values.get(name);
    if (list === undefined) values.set(name, [value]);
    else list.push(value);
  }
  return values;
}

interface Part {
  readonly headers: ReadonlyMap<string, string>;
  readonly content: Buffer;
}

function mediaType(text: string): MediaType {
  try {
    return parseMediaType(text);
  } catch (cause) {
    throw cause instanceof InputError ? cause : new InputError(String(cause));
  }
}

function formName(disposition: string | undefined): string {
  if (disposition === undefined) return "";
  try {
    const { type, parameters } = parseMediaType(disposition);
    return type === "form-data" ? (parameters.get("name") ?? "") : "";
  } catch {
    return "";
  }
}

/** Go reads lines: LF alone ends one too, and then does so in the whole message. */
function* readParts(bytes: Buffer, boundary: string): Generator<Part> {
  const dashes = `--${boundary}`;
  const first = firstDelimiter(bytes, dashes);
  if (first.isFinal) return;
  let at = first.next;
  const lineEnd = first.lineEnd;
  const delimiter = Buffer.from(`${lineEnd}${dashes}`);
  for (;;) {
    const header = readHeader(bytes, at);
    at = header.next;
    const end = endOfPart(bytes, at, delimiter, dashes, lineEnd);
    yield { headers: header.fields, content: bytes.subarray(at, end.contentEnd) };
    if (end.isFinal) return;
    at = end.next;
  }
}

interface Delimiter {
  readonly next: number;
  readonly isFinal: boolean;
  readonly lineEnd: "\r\n" | "\n";
}

/** Skips the preamble. */
function firstDelimiter(bytes: Buffer, dashes: string): Delimiter {
  let at = 0;
  while (at < bytes.length) {
    const newline = bytes.indexOf(0x0a, at);
    const end = newline === -1 ? bytes.length : newline + 1;
    const line = bytes.toString("latin1", at, end);
    const encoded = Buffer.from(dashes, "utf8").toString("latin1");
    if (line.startsWith(encoded)) {
      const rest = line.slice(encoded.length);
      if (/^--[ \t]*(?:\r?\n)?$/.test(rest)) return { next: end, isFinal: true, lineEnd: "\r\n" };
      if (/^[ \t]*\r\n$/.test(rest)) return { next: end, isFinal: false, lineEnd: "\r\n" };
      if (/^[ \t]*\n$/.test(rest)) return { next: end, isFinal: false, lineEnd: "\n" };
    }
    at = end;
  }
  throw new InputError("multipart: NextPart: EOF");
}

function readHeader(bytes: Buffer, start: number): { readonly fields: Map<string, string>; readonly next: number } {
  const fields = new Map<string, string>();
  let at = start;
  let last: string | undefined;
  for (;;) {
    const newline = bytes.indexOf(0x0a, at);
    if (newline === -1) throw new InputError("multipart: NextPart: EOF");
    if (newline - start > MAX_HEADER_BYTES) throw new InputError("multipart: message too large");
    const line = bytes.toString("utf8", at, newline).replace(/\r$/, "");
    at = newline + 1;
    if (line === "") return { fields, next: at };
    if (/^[ \t]/.test(line) && last !== undefined) {
      fields.set(last, `${fields.get(last) ?? ""} ${line.trim()}`);
      continue;
    }
    const colon = line.indexOf(":");
    if (colon <= 0) throw new InputError(`multipart: NextPart: malformed MIME header line: ${line}`);
    last = line.slice(0, colon).toLowerCase();
    // Header.Get answers with the first of several.
    if (!fields.has(last)) fields.set(last, line.slice(colon + 1).trim());
  }
}

function endOfPart(
  bytes: Buffer,
  start: number,
  delimiter: Buffer,
  dashes: string,
  lineEnd: string,
): { contentEnd: number; next: number; isFinal: boolean } {
  // An empty part's delimiter follows the header at once, its line end being the header's.
  const immediate = matchAfter(bytes, start, Buffer.from(dashes), lineEnd);
  if (immediate !== undefined) return { contentEnd: start, ...immediate };
  let from = start;
  for (;;) {
    const found = bytes.indexOf(delimiter, from);
    if (found === -1) throw new InputError("unexpected EOF");
    const match = matchAfter(bytes, found, delimiter, lineEnd);
    if (match !== undefined) return { contentEnd: found, ...match };
    from = found + 1;
  }
}

/** The delimiter must be followed by its line end, blanks, or the closing dashes; else it is content that looks alike. */
function matchAfter(
  bytes: Buffer,
  at: number,
  delimiter: Buffer,
  lineEnd: string,
): { readonly next: number; readonly isFinal: boolean } | undefined {
  if (bytes.compare(delimiter, 0, delimiter.length, at, Math.min(at + delimiter.length, bytes.length)) !== 0)
    return undefined;
  const after = at + delimiter.length;
  if (bytes.toString("latin1", after, after + 2) === "--") return { next: after + 2, isFinal: true };
  const newline = bytes.indexOf(0x0a, after);
  const tail = bytes.toString("latin1", after, newline === -1 ? bytes.length : newline + 1);
  if (newline !== -1 && new RegExp(`^[ \\t]*${lineEnd}$`).test(tail)) return { next: newline + 1, isFinal: false };
  return undefined;
}

/** quoted-printable is undone silently, as Go's reader does; base64 is left as it is. */
function decodeTransfer({ headers, content }: Part): Buffer {
  if (headers.get("content-transfer-encoding")?.toLowerCase() !== "quoted-printable") return content;
  const text = content.toString("latin1").replace(/[ \t]+(?=\r?\n|$)/g, "");
  const soft = text.replace(/=\r?\n/g, "");
  const decoded = soft.replace(/=([0-9A-Fa-f]{2})?/g, (whole, hex: string | undefined) => {
    if (hex === undefined) throw new InputError(`quotedprintable: invalid hex byte ${quoteGo(whole)}`);
    return String.fromCharCode(Number.parseInt(hex, 16));
  });
  return Buffer.from(decoded, "latin1");
}
