/** Base64 text was malformed. The message is Go's (encoding/base64), which OPA shows. */
export class Base64Error extends Error {
  override readonly name = "Base64Error";
}

const STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE = STANDARD.slice(0, 62) + "-_";
const STANDARD_DIGITS = digitTable(STANDARD);
const URL_DIGITS = digitTable(URL_SAFE);
const PAD = 0x3d;

function digitTable(alphabet: string): Int8Array {
  const table = new Int8Array(128).fill(-1);
  for (let i = 0; i < alphabet.length; i++) table[alphabet.charCodeAt(i)] = i;
  return table;
}

/**
 * Reads padded standard base64 as Go's `StdEncoding.DecodeString` does: line ends are skipped, surplus bits ignored.
 * @throws {Base64Error} `illegal base64 data at input byte N`
 */
export function decodeBase64(text: string): Uint8Array {
  return decode(text, STANDARD_DIGITS);
}

/**
 * Reads base64url, padded or not (RFC 7515 appendix C), as OPA's `base64url.decode` does.
 * @throws {Base64Error} also for a length no base64 text can have
 */
export function decodeBase64Url(text: string): Uint8Array {
  const missing = text.endsWith("=") ? 0 : text.length % 4;
  if (missing === 1) throw new Base64Error(`illegal base64url string: ${text}`);
  return decode(missing === 2 ? `${text}==` : missing === 3 ? `${text}=` : text, URL_DIGITS);
}

/** Base64url without padding. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return encode(bytes, URL_SAFE, "");
}

/** Padded standard base64. */
export function encodeBase64(bytes: Uint8Array): string {
  return encode(bytes, STANDARD, "=");
}

function encode(bytes: Uint8Array, alphabet: string, pad: string): string {
  let out = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const word = ((bytes[i] as number) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const left = bytes.length - i;
    out += (alphabet[word >> 18] as string) + (alphabet[(word >> 12) & 63] as string);
    out += left > 1 ? (alphabet[(word >> 6) & 63] as string) : pad;
    out += left > 2 ? (alphabet[word & 63] as string) : pad;
  }
  return out;
}

/** Go's decodeQuantum, loop for loop, because error positions are part of OPA's messages. */
function decode(text: string, digits: Int8Array): Uint8Array {
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4) + 3);
  let length = 0;
  let at = 0;
  let word = 0;
  let count = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at++);
    const digit = code < 128 ? (digits[code] as number) : -1;
    if (digit >= 0) {
      word = (word << 6) | digit;
      if (++count === 4) {
        bytes[length++] = (word >> 16) & 255;
        bytes[length++] = (word >> 8) & 255;
        bytes[length++] = word & 255;
        count = 0;
        word = 0;
      }
      continue;
    }
    if (code === 0x0a || code === 0x0d) continue;
    if (code !== PAD || count < 2) throw illegal(at - 1);
    at = finishPadding(text, at, count);
    if (count === 3) {
      bytes[length++] = (word >> 10) & 255;
      bytes[length++] = (word >> 2) & 255;
    } else bytes[length++] = (word >> 4) & 255;
    return bytes.subarray(0, length);
  }
  if (count > 0) throw illegal(text.length - count);
  return bytes.subarray(0, length);
}

/** What may follow the first `=`: the second one where it is due, line ends, nothing else. */
function finishPadding(text: string, start: number, count: number): number {
  let at = start;
  if (count === 2) {
    at = skipLineEnds(text, at);
    if (at === text.length) throw illegal(text.length);
    if (text.charCodeAt(at) !== PAD) throw illegal(at - 1);
    at++;
  }
  at = skipLineEnds(text, at);
  if (at < text.length) throw illegal(at);
  return at;
}

function skipLineEnds(text: string, at: number): number {
  while (text[at] === "\n" || text[at] === "\r") at++;
  return at;
}

/** Go counts bytes of UTF-8; everything before the first illegal character is ASCII, so units and bytes agree. */
function illegal(at: number): Base64Error {
  return new Base64Error(`illegal base64 data at input byte ${at}`);
}
