import { isNumber, JsonSyntaxError, numberText, parseJson, type Value } from "../../rego/value/index.ts";
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
    const end = endOfDocument(cause);
    if (end === undefined) throw new InputError(decoderMessage(text, cause), { cause });
    const message = trailing(text.slice(end));
    if (message !== undefined) throw new InputError(message, { cause });
    return parseJson(text.slice(0, end));
  }
}

/** Where a document ends that something follows. */
function endOfDocument(fault: JsonSyntaxError): number | undefined {
  return fault.message.endsWith("after top-level value") ? fault.offset : undefined;
}

function decoderMessage(text: string, fault: JsonSyntaxError): string {
  // A stream decoder tells an empty input from one that breaks off.
  if (fault.message === "unexpected end of JSON input") return text.trim() === "" ? "EOF" : "unexpected EOF";
  return fault.message;
}

/**
 * OPA asks the decoder for one token more (v1/util/json.go unmarshalJSON): a good one is named, a bad one is the fault. A `null`
 * looks to it like no token at all, and hides all that follows.
 */
function trailing(rest: string): string | undefined {
  const first = rest.slice(0, 1);
  if ("{[".includes(first)) return `error: invalid character '${first}' after top-level value`;
  let token: Value;
  try {
    token = firstValue(rest);
  } catch (cause) {
    if (cause instanceof JsonSyntaxError) return decoderMessage(rest, cause);
    throw cause;
  }
  if (token === null) return undefined;
  const shown = typeof token === "boolean" ? `%!s(bool=${token})` : isNumber(token) ? numberText(token) : String(token);
  return `error: invalid character '${shown}' after top-level value`;
}

/** @throws {JsonSyntaxError} */
function firstValue(text: string): Value {
  try {
    return parseJson(text);
  } catch (cause) {
    const end = cause instanceof JsonSyntaxError ? endOfDocument(cause) : undefined;
    if (end === undefined) throw cause;
    return parseJson(text.slice(0, end));
  }
}
