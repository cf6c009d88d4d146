import { isUtf8 } from "node:buffer";
import { quoteGo } from "../rego/value/index.ts";

/** Bytes as text. Each byte that is not UTF-8 reads as one U+FFFD, as Go counts them; a TextDecoder joins some of them. */
export function textOf(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  if (!text.includes("\ufffd") || isUtf8(bytes)) return text;
  let out = "";
  for (let at = 0; at < bytes.length; ) {
    const char = characterAt(bytes, at);
    out += char?.toString("utf8") ?? "\ufffd";
    at += char?.length ?? 1;
  }
  return out;
}

/** Bytes as Go's strconv.Quote shows them. */
export function quoteBytes(bytes: Buffer): string {
  if (isUtf8(bytes)) return quoteGo(bytes.toString("utf8"));
  let out = "";
  for (let at = 0; at < bytes.length; ) {
    const char = characterAt(bytes, at);
    out +=
      char === undefined
        ? `\\x${(bytes[at] as number).toString(16).padStart(2, "0")}`
        : quoteGo(char.toString("utf8")).slice(1, -1);
    at += char?.length ?? 1;
  }
  return `"${out}"`;
}

/** The bytes of the character that starts here, or undefined where none does. */
function characterAt(bytes: Buffer, at: number): Buffer | undefined {
  const first = bytes[at] as number;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const char = bytes.subarray(at, at + length);
  return char.length === length && isUtf8(char) ? char : undefined;
}
