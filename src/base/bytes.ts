/** Hex text was malformed. The message is Go's (encoding/hex), which OPA shows. */
export class HexError extends Error {
  override readonly name = "HexError";
}

const utf8Encoder = new TextEncoder();
// Go keeps a byte order mark; TextDecoder would drop it.
const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export function toUtf8(text: string): Uint8Array {
  return utf8Encoder.encode(text);
}

/** Bytes as text; what is not UTF-8 becomes U+FFFD, because strings cannot hold it. */
export function fromUtf8(bytes: Uint8Array): string {
  return utf8Decoder.decode(bytes);
}

export function encodeHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** @throws {HexError} `encoding/hex: …` */
export function decodeHex(text: string): Uint8Array {
  const source = toUtf8(text);
  const bytes = new Uint8Array(source.length >> 1);
  for (let i = 0; i < source.length; i++) {
    const digit = hexDigit(source[i] as number);
    // Go looks at whole pairs first, and at a single last digit only to choose between two errors.
    if (digit < 0) throw invalidByte(source[i] as number);
    if (i >> 1 < bytes.length) bytes[i >> 1] = ((bytes[i >> 1] as number) << 4) | digit;
  }
  if (source.length % 2 === 1) throw new HexError("encoding/hex: odd length hex string");
  return bytes;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x61 && code <= 0x66) return code - 0x61 + 10;
  if (code >= 0x41 && code <= 0x46) return code - 0x41 + 10;
  return -1;
}

/** Go prints the byte with `%#U`. */
function invalidByte(byte: number): HexError {
  const code = `U+${byte.toString(16).toUpperCase().padStart(4, "0")}`;
  const printable = (byte >= 0x20 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
  const shown = printable ? ` '${String.fromCharCode(byte)}'` : "";
  return new HexError(`encoding/hex: invalid byte: ${code}${shown}`);
}
