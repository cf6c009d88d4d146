import { toUtf8 } from "../../base/index.ts";
import {
  entriesOf,
  isArray,
  isNumber,
  isObject,
  isSet,
  type NumberValue,
  numberText,
  toBigInt,
  toJsonText,
  type Value,
} from "../value/index.ts";
import { formatGoFloat } from "./go-float.ts";
import { checkTextSize } from "./operands.ts";
import { YamlError } from "./yaml-reader.ts";
import { resolveScalar } from "./yaml-scalar.ts";

/** Past this column a scalar is continued on the next line. */
const LINE_WIDTH = 80;
/** What go-yaml refuses to read back, and so to write: DEL and the C1 controls but NEL. */
const UNREADABLE = /[\x7f-\x84\x86-\x9f]/;
/** Deeper values are refused: the emitter recurses. */
const MAX_DEPTH = 1000;
const BASE_60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;

/** A value as sigs.k8s.io/yaml writes it. @param spend is told the number of nodes */
export function marshalYaml(value: Value, spend: (steps: number) => void): string {
  return new Emitter(spend).document(value);
}

interface Context {
  readonly mapping: boolean;
  readonly simpleKey: boolean;
}

const ITEM: Context = { mapping: false, simpleKey: false };
const MEMBER: Context = { mapping: true, simpleKey: false };
const SIMPLE_KEY: Context = { mapping: true, simpleKey: true };

/** Block style only. @source go-yaml v2 emitterc.go, encode.go */
class Emitter {
  readonly #spend: (steps: number) => void;
  #out = "";
  #column = 0;
  #indent = -1;
  /** The last thing written was white space, respectively indentation. */
  #whitespace = true;
  #indention = true;
  #depth = 0;

  constructor(spend: (steps: number) => void) {
    this.#spend = spend;
  }

  document(value: Value): string {
    this.#node(value, ITEM);
    this.#indent = -1;
    this.#writeIndent();
    return this.#out;
  }

  #node(value: Value, context: Context): void {
    this.#spend(1);
    if (++this.#depth > MAX_DEPTH) throw new YamlError(`yaml: exceeded max depth of ${MAX_DEPTH}`);
    if (isArray(value)) this.#sequence(value, context);
    else if (isSet(value)) this.#sequence(value.sorted(), context);
    else if (isObject(value)) this.#mapping(value);
    else this.#scalar(value, context);
    this.#depth--;
  }

  #sequence(items: readonly Value[], context: Context): void {
    if (items.length === 0) {
      this.#indicator("[", true, false);
      this.#indicator("]", false, false);
      return;
    }
    const outer = this.#indent;
    // Within a mapping the dashes stand below the key, not to the right of it.
    if (!(context.mapping && !this.#indention)) this.#indent = outer < 0 ? 0 : outer + 2;
    else if (outer < 0) this.#indent = 0;
    for (const item of items) {
      this.#writeIndent();
      this.#indicator("-", true, true);
      this.#node(item, ITEM);
    }
    this.#indent = outer;
  }

  #mapping(object: Parameters<typeof entriesOf>[0]): void {
    const members: (readonly [string, Value])[] = [];
    for (const [key, value] of entriesOf(object))
      members.push([typeof key === "string" ? key : toJsonText(key), value]);
    if (members.length === 0) {
      this.#indicator("{", true, false);
      this.#indicator("}", false, false);
      return;
    }
    members.sort(([a], [b]) => compareKeys(a, b));
    const outer = this.#indent;
    this.#indent = outer < 0 ? 0 : outer + 2;
    for (const [key, value] of members) {
      this.#writeIndent();
      if (isSimpleKey(key)) {
        this.#node(key, SIMPLE_KEY);
        this.#indicator(":", false, false);
      } else {
        this.#indicator("?", true, true);
        this.#node(key, MEMBER);
        this.#writeIndent();
        this.#indicator(":", true, true);
      }
      this.#node(value, MEMBER);
    }
    this.#indent = outer;
  }

  #scalar(value: Value, context: Context): void {
    if (typeof value !== "string") {
      this.#plain(isNumber(value) ? numberScalar(value) : String(value));
      return;
    }
    if (UNREADABLE.test(value)) throw new YamlError("yaml: control characters are not allowed");
    const { blockAllowed, plainAllowed, singleAllowed, multiline } = analyze(value);
    if (value.includes("\n")) {
      if (blockAllowed && !context.simpleKey) this.#literal(value);
      else this.#doubleQuoted(value, !context.simpleKey);
      return;
    }
    const looksOtherwise = resolveScalar(value).kind !== "str" || BASE_60.test(value);
    const mayFold = !context.simpleKey;
    if (looksOtherwise || multiline) this.#doubleQuoted(value, mayFold);
    else if (plainAllowed) this.#folded(value, mayFold, 0);
    else if (singleAllowed) this.#folded(`'${value.replaceAll("'", "''")}'`, mayFold, 1);
    else this.#doubleQuoted(value, mayFold);
  }

  #write(text: string): void {
    checkTextSize(this.#out.length + text.length);
    this.#out += text;
    this.#column += text.length;
  }

  #lineBreak(): void {
    this.#out += "\n";
    this.#column = 0;
    this.#whitespace = true;
    this.#indention = true;
  }

  #writeIndent(): void {
    const indent = Math.max(0, this.#indent);
    if (!this.#indention || this.#column > indent || (this.#column === indent && !this.#whitespace)) this.#lineBreak();
    if (this.#column < indent) this.#write(" ".repeat(indent - this.#column));
    this.#whitespace = true;
    this.#indention = true;
  }

  #indicator(text: string, needsSpace: boolean, isIndention: boolean): void {
    this.#write(needsSpace && !this.#whitespace ? ` ${text}` : text);
    this.#whitespace = false;
    this.#indention = this.#indention && isIndention;
  }

  #plain(text: string): void {
    this.#write(this.#whitespace ? text : ` ${text}`);
    this.#whitespace = false;
    this.#indention = false;
  }

  /** Breaks a scalar of one line at single spaces past the line width. @param margin characters of quotes at each end */
  #folded(text: string, mayFold: boolean, margin: number): void {
    if (!this.#whitespace) this.#write(" ");
    const indent = this.#indent < 0 ? 2 : this.#indent + 2;
    let from = 0;
    if (mayFold && this.#column + text.length > LINE_WIDTH) {
      for (let at = text.indexOf(" ", margin); at !== -1; at = text.indexOf(" ", at + 1)) {
        const alone = text[at - 1] !== " " && text[at + 1] !== " ";
        const within = margin === 0 || (at > margin && at < text.length - margin - 1);
        if (!alone || !within || this.#column + at - from <= LINE_WIDTH) continue;
        this.#write(text.slice(from, at));
        this.#lineBreak();
        this.#write(" ".repeat(indent));
        from = at + 1;
      }
    }
    this.#write(text.slice(from));
    this.#whitespace = false;
    this.#indention = false;
  }

  #doubleQuoted(text: string, mayFold: boolean): void {
    this.#write(this.#whitespace ? '"' : ' "');
    const indent = this.#indent < 0 ? 2 : this.#indent + 2;
    let line = "";
    let spaced = false;
    for (let at = 0; at < text.length; ) {
      const char = String.fromCodePoint(text.codePointAt(at) as number);
      at += char.length;
      if (char !== " ") line += escaped(char);
      else if (mayFold && !spaced && this.#column + line.length > LINE_WIDTH && at > 1 && at < text.length) {
        this.#write(line);
        this.#lineBreak();
        this.#write(" ".repeat(indent));
        line = text[at] === " " ? "\\" : "";
      } else line += " ";
      spaced = char === " ";
    }
    this.#write(`${line}"`);
    this.#whitespace = false;
    this.#indention = false;
  }

  #literal(text: string): void {
    const indent = this.#indent < 0 ? 2 : this.#indent + 2;
    const hint = /^[ \n]/.test(text) ? "2" : "";
    const chomp = !text.endsWith("\n") ? "-" : text === "\n" || text.endsWith("\n\n") ? "+" : "";
    this.#plain(`|${hint}${chomp}`);
    this.#lineBreak();
    const lines = text.split("\n");
    const ended = lines.at(-1) === "";
    if (ended) lines.pop();
    lines.forEach((line, i) => {
      if (line !== "") this.#write(" ".repeat(indent) + line);
      if (ended || i < lines.length - 1) this.#lineBreak();
    });
    if (!ended) {
      this.#whitespace = false;
      this.#indention = false;
    }
  }
}

/** Numbers pass through go-yaml's own number types: int64, uint64, float64. */
function numberScalar(value: NumberValue): string {
  const text = numberText(value);
  const integer = /^-?\d+$/.test(text) ? toBigInt(value) : undefined;
  if (integer !== undefined && integer >= -(1n << 63n) && integer < 1n << 64n) return integer.toString();
  const float = Number(text);
  return Number.isFinite(float) ? formatGoFloat(float, "g", -1) : text;
}

function isSimpleKey(key: string): boolean {
  return !analyze(key).multiline && toUtf8(key).length <= 128;
}

interface Analysis {
  readonly multiline: boolean;
  readonly plainAllowed: boolean;
  readonly singleAllowed: boolean;
  readonly blockAllowed: boolean;
}

const PRINTABLE = /^[\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]$/u;
const LINE_BREAK = /[\n\r\x85\u2028\u2029]/;
const INDICATOR_FIRST = /^(?:[#,[\]{}&*!|>'"%@`]|---|\.\.\.|[?:-](?:[ \t\n]|$))/;
const INDICATOR_LATER = /:(?:[ \t\n]|$)|[ \t\n]#/;

/** Which styles can hold a text. */
function analyze(text: string): Analysis {
  const special = !Array.from(text).every((char) => PRINTABLE.test(char));
  const multiline = LINE_BREAK.test(text);
  const spaceBreak = / [\n\r\x85\u2028\u2029]/.test(text);
  const breakSpace = /[\n\r\x85\u2028\u2029] /.test(text);
  const edges = /^[ \n]|[ \n]$/.test(text);
  const indicators = INDICATOR_FIRST.test(text) || INDICATOR_LATER.test(text.slice(1)) || /^[ \t\n]#/.test(text);
  const unquotable = spaceBreak || special;
  return {
    multiline,
    plainAllowed: !(unquotable || breakSpace || multiline || edges || indicators),
    singleAllowed: !(unquotable || breakSpace),
    blockAllowed: !(unquotable || text.endsWith(" ")) && text !== "",
  };
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\0", "\\0"],
  ["\x07", "\\a"],
  ["\b", "\\b"],
  ["\t", "\\t"],
  ["\n", "\\n"],
  ["\v", "\\v"],
  ["\f", "\\f"],
  ["\r", "\\r"],
  ["\x1b", "\\e"],
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\x85", "\\N"],
  ["\u2028", "\\L"],
  ["\u2029", "\\P"],
]);

function escaped(char: string): string {
  const short = ESCAPES.get(char);
  if (short !== undefined) return short;
  if (PRINTABLE.test(char)) return char;
  const code = char.codePointAt(0) as number;
  const hex = code.toString(16).toUpperCase();
  if (code <= 0xff) return `\\x${hex.padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}

const LETTER = /\p{L}/u;
const DIGIT = /\p{Nd}/u;

/** The order of keys: letters by code point, runs of digits by value. @source go-yaml v2 sorter.go */
export function compareKeys(a: string, b: string): number {
  const x = Array.from(a);
  const y = Array.from(b);
  const n = Math.min(x.length, y.length);
  for (let i = 0; i < n; i++) {
    const p = x[i] as string;
    const q = y[i] as string;
    if (p === q) continue;
    const byCode = (p.codePointAt(0) as number) - (q.codePointAt(0) as number);
    const letterP = LETTER.test(p);
    const letterQ = LETTER.test(q);
    if (letterP && letterQ) return byCode;
    if (letterP || letterQ) return letterQ ? -1 : 1;
    let lead = 0;
    if (p === "0" || q === "0") {
      for (let j = i - 1; j >= 0 && DIGIT.test(x[j] as string); j--) {
        if (x[j] !== "0") {
          lead = 1;
          break;
        }
      }
    }
    const [numberP, endP] = digitRun(x, i, lead);
    const [numberQ, endQ] = digitRun(y, i, lead);
    if (numberP !== numberQ) return numberP < numberQ ? -1 : 1;
    return endP !== endQ ? endP - endQ : byCode;
  }
  return x.length - y.length;
}

function digitRun(chars: readonly string[], start: number, lead: number): [value: bigint, end: number] {
  let value = BigInt(lead);
  let at = start;
  for (; at < chars.length && DIGIT.test(chars[at] as string); at++) {
    value = BigInt.asIntN(64, value * 10n + BigInt(((chars[at] as string).codePointAt(0) as number) - 0x30));
  }
  return [value, at];
}
