import { Base64Error, decodeBase64Url } from "../base/index.ts";
import { JwtError } from "./errors.ts";

/** The three parts of a compact JWS (RFC 7515 §3.1), still encoded. Nothing has been verified. */
export interface CompactToken {
  readonly header: string;
  readonly payload: string;
  readonly signature: string;
  /** What the signature covers: `header.payload`. */
  readonly signed: string;
}

/**
 * Splits a token at its two periods.
 * @throws {JwtError} malformed_token, in OPA's words
 */
export function splitToken(token: string): CompactToken {
  const first = token.indexOf(".");
  if (first < 0) throw new JwtError("malformed_token", "encoded JWT had no period separators");
  const parts = token.split(".");
  if (parts.length !== 3) {
    throw new JwtError("malformed_token", `encoded JWT must have 3 sections, found ${parts.length}`);
  }
  const [header, payload, signature] = parts as [string, string, string];
  return { header, payload, signature, signed: `${header}.${payload}` };
}

/**
 * Decodes one part of a token.
 * @param what begins the message: `JWT header had invalid encoding`; absent for the bare base64 message.
 * @throws {JwtError} malformed_token
 */
export function decodePart(part: string, what?: string): Uint8Array {
  try {
    return decodeBase64Url(part);
  } catch (error) {
    if (!(error instanceof Base64Error)) throw error;
    const message = what === undefined ? error.message : `${what} had invalid encoding: ${error.message}`;
    throw new JwtError("malformed_token", message, { cause: error });
  }
}
