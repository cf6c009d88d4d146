import { InputError } from "./errors.ts";
import { quoteBytes, textOf } from "./go-text.ts";

/** Go's default for net/url (GODEBUG urlmaxqueryparams). */
const MAX_QUERY_PARAMETERS = 10_000;

/**
 * Splits a request target as the plugin does (envoyauth/request.go getParsedPathAndQuery): cut at the first `?`, decode,
 * strip the leading slashes, split. Never a URL parser: one would take `//admin/x` for a host.
 *
 * @throws {InputError} on a malformed escape or a semicolon in the query.
 */
export function parseTarget(target: string): {
  readonly path: readonly string[];
  readonly query: Map<string, string[]>;
} {
  const cut = target.indexOf("?");
  const rawPath = cut === -1 ? target : target.slice(0, cut);
  const decoded = unescapeGo(rawPath, false);
  let start = 0;
  while (decoded[start] === "/") start++;
  return { path: decoded.slice(start).split("/"), query: parseQuery(cut === -1 ? "" : target.slice(cut + 1)) };
}

/**
 * Go's url.ParseQuery, which also reads form bodies. Of several faults the first is reported, but a semicolon's overrides.
 *
 * @throws {InputError}
 */
export function parseQuery(query: string): Map<string, string[]> {
  const values = new Map<string, string[]>();
  if (query === "") return values;
  let fault: InputError | undefined;
  const pieces = query.split("&");
  if (pieces.length > MAX_QUERY_PARAMETERS) throw new InputError("number of URL query parameters exceeded limit");
  for (const piece of pieces) {
    if (piece.includes(";")) {
      fault = new InputError("invalid semicolon separator in query");
      continue;
    }
    if (piece === "") continue;
    const equals = piece.indexOf("=");
    try {
      const key = unescapeGo(equals === -1 ? piece : piece.slice(0, equals), true);
      const value = equals === -1 ? "" : unescapeGo(piece.slice(equals + 1), true);
      const list = values.get(key);
      if (list === undefined) values.set(key, [value]);
      else list.push(value);
    } catch (cause) {
      if (!(cause instanceof InputError)) throw cause;
      fault ??= cause;
    }
  }
  if (fault !== undefined) throw fault;
  return values;
}

/** Go's url.PathUnescape, or QueryUnescape where `+` is a space. Escapes that are not UTF-8 are no fault; they read as U+FFFD. */
function unescapeGo(text: string, isQuery: boolean): string {
  const spaced = isQuery && text.includes("+") ? text.replaceAll("+", " ") : text;
  if (!spaced.includes("%")) return spaced;
  const bytes = Buffer.from(spaced, "utf8");
  const out = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte !== 0x25) {
      out[length++] = byte;
      continue;
    }
    const high = hexDigit(bytes[i + 1]);
    const low = hexDigit(bytes[i + 2]);
    if (high === -1 || low === -1)
      throw new InputError(`invalid URL escape ${quoteBytes(shownEscape(text, isQuery, bytes, i))}`);
    out[length++] = (high << 4) | low;
    i += 2;
  }
  return textOf(out.subarray(0, length));
}

function shownEscape(text: string, isQuery: boolean, bytes: Buffer, at: number): Buffer {
  const source = isQuery ? Buffer.from(text, "utf8") : bytes;
  return source.subarray(at, at + 3);
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
