import {
  compareStrings,
  entriesOf,
  isArray,
  isNumber,
  isObject,
  isSet,
  JsonSyntaxError,
  numberText,
  parseJson,
  toJsonText,
  type Value,
} from "../value/index.ts";
import { checkTextSize } from "./operands.ts";

const HTML = /[<>&\u2028\u2029]/g;

/** A string as Go's encoding/json writes it: safe within HTML. */
function quote(text: string): string {
  return JSON.stringify(text).replace(HTML, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** How a document is laid out; absent: on one line without spaces. */
export interface JsonLayout {
  readonly prefix: string;
  readonly indent: string;
}

interface Frame {
  /** Members still to be written, the next one last; keys are already text. */
  readonly pending: { readonly key: string | undefined; readonly value: Value }[];
  readonly close: string;
  first: boolean;
}

/**
 * A value as `json.Marshal` or `json.MarshalIndent` writes it: keys in byte order, numbers as they are.
 * Depth costs memory only, never the call stack.
 * @param spend is told the size of what is written
 */
export function marshalJson(root: Value, layout: JsonLayout | undefined, spend: (steps: number) => void): string {
  let out = "";
  let size = 0;
  const frames: Frame[] = [];
  const write = (text: string): void => {
    size += text.length;
    out += text;
    checkTextSize(size);
  };
  const lineBreak = (depth: number): void => {
    if (layout !== undefined) write(`\n${layout.prefix}${layout.indent.repeat(depth)}`);
  };
  const open = (value: Value): void => {
    spend(1);
    if (typeof value === "string") write(quote(value));
    else if (value === null || typeof value === "boolean") write(String(value));
    else if (isNumber(value)) write(numberText(value));
    else if (isArray(value) || isSet(value)) {
      const members = isArray(value) ? value : value.sorted();
      if (members.length === 0) write("[]");
      else {
        write("[");
        const pending = members.map((member) => ({ key: undefined, value: member })).reverse();
        frames.push({ pending, close: "]", first: true });
      }
    } else if (isObject(value)) {
      const pending: { key: string; value: Value }[] = [];
      for (const [key, member] of entriesOf(value)) {
        pending.push({ key: typeof key === "string" ? key : toJsonText(key), value: member });
      }
      pending.sort((a, b) => compareStrings(b.key, a.key));
      if (pending.length === 0) write("{}");
      else {
        write("{");
        frames.push({ pending, close: "}", first: true });
      }
    }
  };
  open(root);
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    const next = frame.pending.pop();
    if (next === undefined) {
      frames.pop();
      lineBreak(frames.length);
      write(frame.close);
      continue;
    }
    if (!frame.first) write(",");
    frame.first = false;
    lineBreak(frames.length);
    if (next.key !== undefined) write(quote(next.key) + (layout === undefined ? ":" : ": "));
    open(next.value);
  }
  return out;
}

/**
 * Reads JSON as OPA's decoder does, and words errors like it: a stream decoder runs out of text with EOF.
 * @throws {JsonSyntaxError}
 */
export function unmarshalJson(text: string): Value {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw new JsonSyntaxError(wording(text, error), error.offset);
  }
}

function wording(text: string, error: JsonSyntaxError): string {
  if (error.message === "unexpected end of JSON input") return /^[ \t\r\n]*$/.test(text) ? "EOF" : "unexpected EOF";
  if (!error.message.endsWith(" after top-level value")) return error.message;
  // OPA asks the decoder for one more token: what could begin a value is reported by OPA, the rest by the decoder.
  const rest = text.slice(error.offset);
  if (/^(?:[-0-9"[{]|true|false|null)/.test(rest)) return `error: ${error.message}`;
  return error.message.replace("after top-level value", "looking for beginning of value");
}
