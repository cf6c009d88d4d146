import { encodeHex, fromUtf8, toUtf8 } from "../../base/index.ts";
import { compareStrings } from "../value/index.ts";

/** A URL or a part of one was malformed. The message is Go's (net/url). */
export class UrlError extends Error {
  override readonly name = "UrlError";
}

const QUERY_SAFE = /[A-Za-z0-9\-_.~]/;

/** `url.QueryEscape` */
export function queryEscape(text: string): string {
  if (/^[A-Za-z0-9\-_.~]*$/.test(text)) return text;
  let out = "";
  for (const char of text) {
    if (QUERY_SAFE.test(char) && char.length === 1) out += char;
    else if (char === " ") out += "+";
    else for (const byte of toUtf8(char)) out += `%${encodeHex(new Uint8Array([byte])).toUpperCase()}`;
  }
  return out;
}

/** `url.QueryUnescape`. @throws {UrlError} `invalid URL escape "%zz"` */
export function queryUnescape(text: string): string {
  return unescapePercent(text.replaceAll("+", " "));
}

/** Percent escapes undone. @throws {UrlError} */
export function unescapePercent(text: string): string {
  if (!text.includes("%")) return text;
  const source = toUtf8(text);
  const bytes = new Uint8Array(source.length);
  let length = 0;
  for (let i = 0; i < source.length; i++) {
    if (source[i] !== 0x25) {
      bytes[length++] = source[i] as number;
      continue;
    }
    const pair = fromUtf8(source.subarray(i + 1, i + 3));
    if (!/^[0-9a-fA-F]{2}$/.test(pair)) {
      throw new UrlError(`invalid URL escape ${quoteEscape(source.subarray(i, i + 3))}`);
    }
    bytes[length++] = Number.parseInt(pair, 16);
    i += 2;
  }
  return fromUtf8(bytes.subarray(0, length));
}

function quoteEscape(bytes: Uint8Array): string {
  return JSON.stringify(fromUtf8(bytes));
}

/** `url.Values.Encode`: keys in byte order, values in theirs. */
export function encodeValues(values: ReadonlyMap<string, readonly string[]>): string {
  const keys = [...values.keys()].sort(compareStrings);
  return keys
    .flatMap((key) =>
      (values.get(key) as readonly string[]).map((value) => `${queryEscape(key)}=${queryEscape(value)}`),
    )
    .join("&");
}

/** `url.ParseQuery`: of several errors the first is reported, as in Go. @throws {UrlError} */
export function parseQuery(text: string): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, string[]>();
  let failure: UrlError | undefined;
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    if (pair.includes(";")) {
      failure ??= new UrlError("invalid semicolon separator in query");
      continue;
    }
    const equals = pair.indexOf("=");
    try {
      const key = queryUnescape(equals === -1 ? pair : pair.slice(0, equals));
      const value = equals === -1 ? "" : queryUnescape(pair.slice(equals + 1));
      const list = values.get(key);
      if (list === undefined) values.set(key, [value]);
      else list.push(value);
    } catch (error) {
      if (!(error instanceof UrlError)) throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return values;
}
