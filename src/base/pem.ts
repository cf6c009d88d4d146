import { Base64Error, decodeBase64 } from "./base64.ts";
import { trimEnd } from "./trim.ts";

/** One PEM block (RFC 7468): the words after BEGIN, and the decoded body. */
export interface PemBlock {
  readonly type: string;
  readonly bytes: Uint8Array;
}

const BEGIN = "-----BEGIN ";
const END = "\n-----END ";
const DASHES = "-----";

/**
 * Finds the next PEM block as Go's `pem.Decode` does: text before it and malformed blocks are skipped.
 * @returns undefined if there is none; `rest` is what follows the block's last line.
 */
export function decodePem(text: string): { readonly block: PemBlock; readonly rest: string } | undefined {
  let rest = text;
  for (;;) {
    const end = rest.indexOf(END);
    if (end < 0) return undefined;
    const begin = rest.lastIndexOf(BEGIN, end - BEGIN.length);
    if (begin < 0 || (begin > 0 && rest[begin - 1] !== "\n")) {
      rest = rest.slice(end + END.length);
      continue;
    }
    const found = readBlock(rest.slice(begin + BEGIN.length));
    if (found.block !== undefined) return { block: found.block, rest: found.rest };
    rest = found.rest;
  }
}

function readBlock(text: string): { readonly block: PemBlock | undefined; readonly rest: string } {
  const [typeLine, afterType] = takeLine(text);
  if (!typeLine.endsWith(DASHES)) return { block: undefined, rest: afterType };
  const type = typeLine.slice(0, -DASHES.length);
  const body = skipHeaders(afterType);
  // Without a body the END line follows at once.
  const isEmpty = body.startsWith(END.slice(1));
  const end = isEmpty ? 0 : body.indexOf(END);
  if (end < 0) return { block: undefined, rest: body };
  const trailerStart = end + END.length - (isEmpty ? 1 : 0);
  const [trailer, rest] = takeLine(body.slice(trailerStart));
  if (trailer !== `${type}${DASHES}`) return { block: undefined, rest: body.slice(trailerStart) };
  try {
    return { block: { type, bytes: decodeBase64(body.slice(0, end).replace(/[ \t]/g, "")) }, rest };
  } catch (error) {
    if (error instanceof Base64Error) return { block: undefined, rest: body.slice(trailerStart) };
    throw error;
  }
}

function skipHeaders(text: string): string {
  let rest = text;
  for (;;) {
    const [line, next] = takeLine(rest);
    if (!line.includes(":")) return rest;
    rest = next;
  }
}

/** The first line without trailing blanks, and everything after it. */
function takeLine(text: string): readonly [string, string] {
  const newline = text.indexOf("\n");
  const line = newline < 0 ? text : text.slice(0, newline);
  return [trimEnd(line, " \t\r"), newline < 0 ? "" : text.slice(newline + 1)];
}
