import { JsonSyntaxError, parseJson, type Value } from "../../rego/value/index.ts";
import { InputError } from "../errors.ts";

/**
 * A JSON body: one document, numbers exact. The messages are those of Go's decoder, which clients of the plugin see.
 *
 * @throws {InputError}
 */
export function parseJsonBody(text: string): Value {
  try {
    return parseJson(text);
  } catch (cause) {
    if (!(cause instanceof JsonSyntaxError)) throw cause;
    throw new InputError(decoderMessage(text, cause), { cause });
  }
}

function decoderMessage(text: string, fault: JsonSyntaxError): string {
  // A stream decoder tells an empty input from one that breaks off.
  if (fault.message === "unexpected end of JSON input") return text.trim() === "" ? "EOF" : "unexpected EOF";
  if (fault.message.endsWith("after top-level value")) return trailing(text.slice(fault.offset));
  return fault.message;
}

/** What follows the document is read as a token: a good one is named, a bad one is the fault. */
function trailing(rest: string): string {
  const token = /^(?:[{}[\]]|true|false|null|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/.exec(rest)?.[0];
  if (token === undefined) return `invalid character '${rest.slice(0, 1)}' looking for beginning of value`;
  const shown = token.startsWith('"') ? (JSON.parse(token) as string) : token;
  return `error: invalid character '${shown}' after top-level value`;
}
