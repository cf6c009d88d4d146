import type { Value } from "../../rego/value/index.ts";
import { InputError } from "../errors.ts";
import { quoteBytes, textOf } from "../go-text.ts";
import { parseJsonBody } from "./json.ts";
import { parseMediaType } from "./media-type.ts";

/** Parts one body may have; Go leaves this open. */
const MAX_PARTS = 10_000;
/** Headers of one part, and their bytes: Go's limits. */
const MAX_HEADERS = 10_000;
const MAX_HEADER_BYTES = 10 * 1024 * 1024;
/** Go reads the lines around parts, and those of quoted-printable, through a buffer of this size. */
const MAX_LINE_BYTES = 4096;
/** Go shows a first line only up to this length, and complains about the length otherwise. */
const MAX_SHOWN_BYTES = 80;

/**
 * A multipart/form-data body: form name → values in order. Parts without a name are skipped, JSON parts are decoded, files
 * are text like all others (envoyauth/request.go).
 *
 * @returns undefined when the media type names no boundary.
 * @throws {InputError}
 */
export function parseMultipartBody(contentType: string, bytes: Buffer): Map<string, Value[]> | undefined {
  const boundary = parseMediaType(contentType).parameters.get("boundary");
  if (boundary === undefined) return undefined;
  const values = new Map<string, Value[]>();
  let parts = 0;
  for (const part of readParts(bytes, boundary)) {
    if (++parts > MAX_PARTS) throw new InputError("multipart: message too large");
    const name = formName(part.headers.get("content-disposition"));
    if (name === "") continue;
    if (!part.isTerminated) throw new InputError("unexpected EOF");
    const text = textOf(decodeTransfer(part));
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
  /** False where the message ends before a delimiter: an error only for parts that are read. */
  readonly isTerminated: boolean;
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

/** The parts as Go's multipart.Reader finds them. LF alone ends a line too if it ends the first delimiter. */
function* readParts(bytes: Buffer, boundary: string): Generator<Part> {
  if (boundary === "") throw new InputError("multipart: boundary is empty");
  const dashes = Buffer.from(`--${boundary}`);
  let lineEnd = "\r\n";
  let at = 0;
  for (let isFirst = true; ; isFirst = false) {
    const line = nextDelimiter(bytes, at, dashes, isFirst ? undefined : lineEnd);
    if (line.isFinal) return;
    lineEnd = line.lineEnd;
    const header = readHeader(bytes, line.next);
    // What ends within a header ends the message, without a complaint.
    if (header === undefined) return;
    const end = endOfContent(bytes, header.next, dashes, lineEnd);
    yield { headers: header.fields, content: bytes.subarray(header.next, end.at), isTerminated: end.isTerminated };
    at = end.at;
  }
}

interface Delimiter {
  readonly next: number;
  readonly isFinal: boolean;
  readonly lineEnd: string;
}

/** @param lineEnd  As the first delimiter set it; undefined before that, when other lines are a preamble. */
function nextDelimiter(bytes: Buffer, start: number, dashes: Buffer, lineEnd: string | undefined): Delimiter {
  for (let at = start, isSecondLine = false; ; isSecondLine = true) {
    const newline = bytes.indexOf(0x0a, at);
    const next = newline === -1 ? bytes.length : newline + 1;
    const line = bytes.subarray(at, next);
    if (line.length > MAX_LINE_BYTES) throw new InputError("multipart: NextPart: bufio: buffer full");
    const rest = afterDashes(line, dashes);
    if (rest !== undefined && /^--[ \t]*$/.test(rest)) return { next, isFinal: true, lineEnd: "" };
    if (newline === -1) throw new InputError("multipart: NextPart: EOF");
    const ending = rest === undefined ? undefined : /^[ \t]*(\r?\n)$/.exec(rest)?.[1];
    if (ending !== undefined && ending === (lineEnd ?? ending)) return { next, isFinal: false, lineEnd: ending };
    if (rest?.startsWith("--") === true && rest.slice(2).replace(/^[ \t]*/, "") === (lineEnd ?? "\r\n"))
      return { next, isFinal: true, lineEnd: "" };
    if (isSecondLine && lineEnd !== undefined)
      throw new InputError(`multipart: expecting a new Part; got line ${quoteBytes(line)}`);
    if (lineEnd !== undefined && line.toString("latin1") !== lineEnd)
      throw new InputError(`multipart: unexpected line in Next(): ${quoteBytes(line)}`);
    at = next;
  }
}

/** What a line has behind the dashes and the boundary, or undefined. */
function afterDashes(line: Buffer, dashes: Buffer): string | undefined {
  return line.subarray(0, dashes.length).equals(dashes) ? line.toString("latin1", dashes.length) : undefined;
}

/** A part's header (net/textproto); undefined where the message ends in it. */
function readHeader(
  bytes: Buffer,
  start: number,
): { readonly fields: Map<string, string>; readonly next: number } | undefined {
  const fields = new Map<string, string>();
  if (bytes[start] === 0x20 || bytes[start] === 0x09) {
    const { line } = lineAt(bytes, start);
    if (line.length > MAX_SHOWN_BYTES) throw new InputError("multipart: message too large");
    throw new InputError(`malformed MIME header initial line: ${quoteBytes(line)}`);
  }
  let count = 0;
  for (const { line, next } of headerLines(bytes, start)) {
    if (line.length === 0) return { fields, next };
    if (++count > MAX_HEADERS || next - start > MAX_HEADER_BYTES) throw new InputError("multipart: message too large");
    const colon = line.indexOf(0x3a);
    const name = line.toString("latin1", 0, Math.max(colon, 0));
    const value = line.subarray(colon + 1);
    if (
      !/^[!#$%&'*+\-.^_`|~0-9A-Za-z ]+$/.test(name) ||
      value.some((byte) => (byte < 0x20 && byte !== 0x09) || byte === 0x7f)
    )
      throw new InputError(`malformed MIME header line: ${quoteBytes(line)}`);
    const key = name.toLowerCase();
    // Header.Get answers with the first of several.
    if (!fields.has(key)) fields.set(key, textOf(value).replace(/^[ \t]+/, ""));
  }
  return undefined;
}

/** Header lines with their continuations; the last may lack its line end. */
function* headerLines(bytes: Buffer, start: number): Generator<{ readonly line: Buffer; readonly next: number }> {
  for (let at = start; at < bytes.length; ) {
    let { line, next } = lineAt(bytes, at);
    if (line.length > 0 && !line.includes(0x3a))
      throw new InputError(`malformed MIME header: missing colon: ${quoteBytes(line)}`);
    if (line.length > 0) {
      line = trimBlanks(line);
      while (bytes[next] === 0x20 || bytes[next] === 0x09) {
        const more = lineAt(bytes, next);
        line = Buffer.concat([line, Buffer.from(" "), trimBlanks(more.line)]);
        next = more.next;
      }
    }
    yield { line, next };
    at = next;
  }
}

function lineAt(bytes: Buffer, at: number): { line: Buffer; next: number } {
  const newline = bytes.indexOf(0x0a, at);
  if (newline === -1) return { line: bytes.subarray(at), next: bytes.length };
  return {
    line: bytes.subarray(at, newline > at && bytes[newline - 1] === 0x0d ? newline - 1 : newline),
    next: newline + 1,
  };
}

function trimBlanks(line: Buffer): Buffer {
  const isBlank = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x09;
  let start = 0;
  let end = line.length;
  while (isBlank(line[start])) start++;
  while (end > start && isBlank(line[end - 1])) end--;
  return line.subarray(start, end);
}

/** Where a part's content ends: before the line end that belongs to the next delimiter. */
function endOfContent(
  bytes: Buffer,
  start: number,
  dashes: Buffer,
  lineEnd: string,
): { readonly at: number; readonly isTerminated: boolean } {
  // An empty part's delimiter follows the header at once, its line end being the header's.
  if (isDelimiterAt(bytes, start, dashes)) return { at: start, isTerminated: true };
  const delimiter = Buffer.concat([Buffer.from(lineEnd), dashes]);
  for (let from = start; ; ) {
    const found = bytes.indexOf(delimiter, from);
    if (found === -1) return { at: bytes.length, isTerminated: false };
    if (isDelimiterAt(bytes, found, delimiter)) return { at: found, isTerminated: true };
    from = found + delimiter.length;
  }
}

/** A delimiter is followed by a blank, a line end, two dashes or nothing; else it is content that looks alike. */
function isDelimiterAt(bytes: Buffer, at: number, delimiter: Buffer): boolean {
  const after = at + delimiter.length;
  if (!bytes.subarray(at, after).equals(delimiter)) return false;
  return after === bytes.length || /^(?:[ \t\r\n]|--)/.test(bytes.toString("latin1", after, after + 2));
}

/** quoted-printable is undone silently, as Go's reader does; base64 is left as it is. */
function decodeTransfer({ headers, content }: Part): Buffer {
  if (headers.get("content-transfer-encoding")?.toLowerCase() !== "quoted-printable") return content;
  const lines = content.toString("latin1").match(/[^\n]*\n|[^\n]+$/g) ?? [];
  return Buffer.from(lines.map(decodeQuotedPrintable).join(""), "latin1");
}

/** One line with its end, each character a byte. */
function decodeQuotedPrintable(whole: string): string {
  if (whole.length > MAX_LINE_BYTES) throw new InputError("bufio: buffer full");
  const trimmed = whole.replace(/[\n\r \t]+$/, "");
  const isSoft = trimmed.endsWith("=");
  const ending = isSoft ? "" : (/\r?\n$/.exec(whole)?.[0] ?? "");
  const decoded = unescapeQuotedPrintable((isSoft ? trimmed.slice(0, -1) : trimmed) + ending);
  const behind = whole.slice(trimmed.length).replace(/^[ \t]+/, "");
  // A message may end in "=", but not be that alone.
  if (isSoft && !/^\r?\n/.test(behind) && (behind !== "" || trimmed === "="))
    throw new InputError(`quotedprintable: invalid bytes after =: ${quoteBytes(Buffer.from(behind, "latin1"))}`);
  return decoded;
}

function unescapeQuotedPrintable(line: string): string {
  return line.replace(
    /=([0-9A-Fa-f]{2})|=$|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g,
    (whole, hex: string | undefined) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      if (whole === "=") throw new InputError("unexpected EOF");
      throw new InputError(
        `quotedprintable: invalid unescaped byte 0x${whole.charCodeAt(0).toString(16).padStart(2, "0")} in body`,
      );
    },
  );
}
