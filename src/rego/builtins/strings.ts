import { type BuiltinContext, BuiltinError, OperandError } from "../runtime/index.ts";
import {
  compareStrings,
  entriesOf,
  type NumberValue,
  numberText,
  type ObjectValue,
  type RegoSet,
  toBigInt,
  toFloat,
  truncate,
  type Value,
} from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import {
  checkTextSize,
  type Collection,
  codePointCount,
  hasSurrogates,
  intOperand,
  isAscii,
  shared,
  stringsOf,
} from "./operands.ts";

/** Simple (one to one) case mappings that `toUpperCase` on one code point does not give. */
const TITLE_IOTA: readonly (readonly [from: number, to: number, offset: number])[] = [
  [0x1f80, 0x1f87, 8],
  [0x1f90, 0x1f97, 8],
  [0x1fa0, 0x1fa7, 8],
  [0x1fb3, 0x1fb3, 9],
  [0x1fc3, 0x1fc3, 9],
  [0x1ff3, 0x1ff3, 9],
];

/** Upper case as Go maps it: code point by code point, never one to many. */
export function toUpper(text: string): string {
  return isAscii(text) ? text.toUpperCase() : mapCodePoints(text, upperCodePoint);
}

/** Lower case as Go maps it: code point by code point, without regard to position. */
export function toLower(text: string): string {
  return isAscii(text) ? text.toLowerCase() : mapCodePoints(text, lowerCodePoint);
}

function mapCodePoints(text: string, map: (char: string) => string): string {
  let out = "";
  for (const char of text) out += map(char);
  return out;
}

function upperCodePoint(char: string): string {
  const code = char.codePointAt(0) as number;
  for (const [from, to, offset] of TITLE_IOTA)
    if (code >= from && code <= to) return String.fromCodePoint(code + offset);
  const upper = char.toUpperCase();
  return upper.length <= 2 && codePointCount(upper) === 1 ? upper : char;
}

function lowerCodePoint(char: string): string {
  if (char === "\u0130") return "i";
  const lower = char.toLowerCase();
  return codePointCount(lower) === 1 ? lower : char;
}

/** White space as Go's `strings.TrimSpace` knows it: Unicode's White_Space, which leaves out U+FEFF and has U+0085. */
function isSpace(code: number): boolean {
  if (code <= 0x20) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  if (code < 0x1680) return code === 0x85 || code === 0xa0;
  return (
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}

export function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function trimCutset(text: string, cutset: string, left: boolean, right: boolean): string {
  const chars = new Set(cutset);
  let start = 0;
  let end = text.length;
  while (left && start < end) {
    const char = String.fromCodePoint(text.codePointAt(start) as number);
    if (!chars.has(char)) break;
    start += char.length;
  }
  while (right && end > start) {
    const low = text.charCodeAt(end - 1);
    const size = low >= 0xdc00 && low <= 0xdfff && end - 2 >= start ? 2 : 1;
    const char = text.slice(end - size, end);
    if (!chars.has(char)) break;
    end -= size;
  }
  return text.slice(start, end);
}

/** Parts as Go's `strings.Split`: an empty separator takes the text apart into code points. */
export function split(text: string, separator: string): readonly string[] {
  if (separator !== "") return text.split(separator);
  return hasSurrogates(text) ? Array.from(text) : text.split("");
}

/** How often `part` occurs without overlap; an empty part occurs around every code point. */
function countOccurrences(text: string, part: string): number {
  if (part === "") return codePointCount(text) + 1;
  let count = 0;
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

/** The part from code point `offset` on, `length` code points long (negative: all). */
function substring(text: string, offset: number, length: number): string {
  if (!hasSurrogates(text)) return text.slice(offset, length < 0 ? undefined : offset + length);
  const points = Array.from(text);
  return points.slice(offset, length < 0 ? undefined : offset + length).join("");
}

function reverse(text: string): string {
  return split(text, "").toReversed().join("");
}

/** Go's `strings.NewReplacer` with one pair. */
function replaceAll(context: BuiltinContext, text: string, from: string, to: string): string {
  if (from === "") return replacePairs(context, text, [["", to]]);
  const count = countOccurrences(text, from);
  if (count === 0) return text;
  const length = text.length + count * (to.length - from.length);
  checkTextSize(length);
  context.spend(length >> 6);
  return text.split(from).join(to);
}

/**
 * Go's `strings.NewReplacer`: at every position the first pair that matches, in the order given.
 * An empty pattern matches between any two bytes, which breaks characters of several bytes into U+FFFD each.
 */
export function replacePairs(
  context: BuiltinContext,
  text: string,
  pairs: readonly (readonly [from: string, to: string])[],
): string {
  const byFirst = new Map<number, (readonly [string, string])[]>();
  let between: string | undefined;
  for (const pair of pairs) {
    if (pair[0] === "") between ??= pair[1];
    else {
      const list = byFirst.get(pair[0].charCodeAt(0));
      if (list === undefined) byFirst.set(pair[0].charCodeAt(0), [pair]);
      else list.push(pair);
    }
  }
  let out = "";
  for (let at = 0; at < text.length; ) {
    if (between !== undefined) out += between;
    const match = byFirst.get(text.charCodeAt(at))?.find(([from]) => text.startsWith(from, at));
    if (match !== undefined) {
      out += match[1];
      at += match[0].length;
      checkTextSize(out.length);
      if ((out.length & 0xff) === 0) context.spend(1);
      continue;
    }
    const code = text.codePointAt(at) as number;
    const bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (between === undefined || between === "" || bytes === 1) out += String.fromCodePoint(code);
    else out += `\ufffd${`${between}\ufffd`.repeat(bytes - 1)}`;
    at += code > 0xffff ? 2 : 1;
    checkTextSize(out.length);
  }
  context.spend(out.length >> 6);
  return between === undefined ? out : out + between;
}

function pairsOf(patterns: ObjectValue): readonly (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  for (const [from, to] of entriesOf(patterns)) {
    if (typeof from !== "string") throw new OperandError(1, "non-string key found in pattern object");
    if (typeof to !== "string") throw new OperandError(1, "non-string value found in pattern object");
    pairs.push([from, to]);
  }
  return pairs.sort(([a], [b]) => compareStrings(a, b));
}

/** Code-point positions of `part` in `text`, overlapping ones included. */
function positions(text: string, part: string, limit: number): readonly number[] {
  if (part === "") throw new BuiltinError("empty search character");
  const found: number[] = [];
  let unit = 0;
  let point = 0;
  const plain = !hasSurrogates(text);
  for (let at = text.indexOf(part); at !== -1 && found.length < limit; at = text.indexOf(part, at + 1)) {
    point += plain ? at - unit : codePointCount(text.slice(unit, at));
    unit = at;
    found.push(point);
  }
  return found;
}

const RADIXES: ReadonlyMap<string, number> = new Map([
  ["2", 2],
  ["8", 8],
  ["10", 10],
  ["16", 16],
]);

function formatInt(n: NumberValue, base: NumberValue): string {
  const radix = RADIXES.get(numberText(base));
  if (radix === undefined) throw new OperandError(2, "must be one of {2, 8, 10, 16}");
  // Only digits are exact here: `1e30` goes through a 64-bit float, as in OPA.
  const exact = typeof n === "bigint" || Number.isSafeInteger(n) ? toBigInt(n) : undefined;
  return (exact ?? truncate(toFloat(n))).toString(radix);
}

const stringOrStrings = operands.of<string | Collection>(
  types.oneOf(types.string, types.array(types.string), types.set(types.string)),
  "string",
  "set",
  "array",
);

function anyMatch(name: string, where: string, matches: (text: string, part: string) => boolean): Builtin {
  return defineBuiltin({
    name,
    category: "strings",
    about: `Whether any of some strings ${where} any of some others.`,
    args: [
      arg("search", stringOrStrings, "the string or strings to look at"),
      arg("base", stringOrStrings, "the string or strings to look for"),
    ],
    result: result("result", types.boolean, `whether one of \`search\` ${where} one of \`base\``),
    call: (context, search, base) => {
      const texts = typeof search === "string" ? [search] : stringsOf(1, search);
      const parts = typeof base === "string" ? [base] : stringsOf(2, base);
      context.spend((texts.length * parts.length) >> 4);
      return texts.some((text) => parts.some((part) => matches(text, part)));
    },
  });
}

function test(
  name: string,
  about: string,
  names: readonly [text: string, part: string],
  holds: (text: string, part: string) => boolean,
): Builtin {
  return defineBuiltin({
    name,
    category: "strings",
    about,
    args: [arg(names[0], operands.string, "the text"), arg(names[1], operands.string, "what to look for")],
    result: result("result", types.boolean, "whether it does"),
    call: (_context, text, part) => holds(text, part),
  });
}

function map(
  name: string,
  about: string,
  parameter: string,
  returns: string,
  change: (text: string) => string,
): Builtin {
  return defineBuiltin({
    name,
    category: "strings",
    about,
    args: [arg(parameter, operands.string, "the text")],
    result: result(returns, types.string, "the changed text"),
    call: (_context, text) => change(text),
  });
}

function trim(name: string, about: string, parameter: string, change: (text: string, what: string) => string): Builtin {
  return defineBuiltin({
    name,
    category: "strings",
    about,
    args: [arg("value", operands.string, "the text"), arg(parameter, operands.string, "what to take away")],
    result: result("output", types.string, "the rest"),
    call: (_context, text, what) => change(text, what),
  });
}

export const stringBuiltins: readonly Builtin[] = [
  anyMatch("strings.any_prefix_match", "starts with", (text, part) => text.startsWith(part)),
  anyMatch("strings.any_suffix_match", "ends with", (text, part) => text.endsWith(part)),
  defineBuiltin({
    name: "concat",
    category: "strings",
    about: "Joins strings, those of a set in Rego's order.",
    args: [
      arg("delimiter", operands.string, "what goes between them"),
      arg("collection", shared.strings, "the strings"),
    ],
    result: result("output", types.string, "the joined text"),
    call: (context, delimiter, collection: readonly Value[] | RegoSet) => {
      const parts = stringsOf(2, collection);
      let length = delimiter.length * Math.max(0, parts.length - 1);
      for (const part of parts) length += part.length;
      checkTextSize(length);
      context.spend(length >> 8);
      // A few texts are added in a fifth of the time that joining them takes.
      if (delimiter !== "" || parts.length > 8) return parts.join(delimiter);
      let text = "";
      for (const part of parts) text += part;
      return text;
    },
  }),
  defineBuiltin({
    name: "format_int",
    category: "strings",
    about: "Writes a number as an integer in a base; what is behind the point is dropped.",
    args: [arg("number", operands.number, "the number"), arg("base", operands.number, "2, 8, 10 or 16")],
    result: result("output", types.string, "its digits, lower case"),
    call: (_context, n, base) => formatInt(n, base),
  }),
  defineBuiltin({
    name: "indexof",
    category: "strings",
    about: "The first place of a text within another, counted in code points.",
    args: [arg("haystack", operands.string, "the text"), arg("needle", operands.string, "what to look for")],
    result: result("output", types.number, "its position from 0, or -1"),
    call: (_context, haystack, needle) => positions(haystack, needle, 1)[0] ?? -1,
  }),
  defineBuiltin({
    name: "indexof_n",
    category: "strings",
    about: "All places of a text within another, counted in code points, overlapping ones included.",
    args: [arg("haystack", operands.string, "the text"), arg("needle", operands.string, "what to look for")],
    result: result("output", types.array(types.number), "its positions from 0"),
    call: (context, haystack, needle) => {
      context.spend(haystack.length >> 6);
      return positions(haystack, needle, Number.POSITIVE_INFINITY);
    },
  }),
  defineBuiltin({
    name: "substring",
    category: "strings",
    about: "A part of a text, counted in code points.",
    args: [
      arg("value", operands.string, "the text"),
      arg("offset", operands.number, "position of the first code point, from 0"),
      arg("length", operands.number, "how many; negative for all that follow"),
    ],
    result: result("output", types.string, "the part"),
    call: (_context, value, offset, length) => {
      const start = intOperand(2, offset);
      const count = intOperand(3, length);
      if (start < 0) throw new BuiltinError("negative offset");
      return substring(value, start, count);
    },
  }),
  test("contains", "Whether a text contains another.", ["haystack", "needle"], (text, part) => text.includes(part)),
  defineBuiltin({
    name: "strings.count",
    category: "strings",
    about: "How often a text occurs in another without overlap.",
    args: [arg("search", operands.string, "the text"), arg("substring", operands.string, "what to look for")],
    result: result("output", types.number, "how often"),
    call: (_context, search, part) => countOccurrences(search, part),
  }),
  test("startswith", "Whether a text starts with another.", ["search", "base"], (text, part) => text.startsWith(part)),
  test("endswith", "Whether a text ends with another.", ["search", "base"], (text, part) => text.endsWith(part)),
  map("lower", "A text in lower case.", "x", "y", toLower),
  map("upper", "A text in upper case.", "x", "y", toUpper),
  defineBuiltin({
    name: "split",
    category: "strings",
    about: "Takes a text apart at a delimiter; an empty one parts all code points.",
    args: [arg("x", operands.string, "the text"), arg("delimiter", operands.string, "what stands between the parts")],
    result: result("ys", types.array(types.string), "the parts"),
    call: (context, text, delimiter) => {
      const parts = split(text, delimiter);
      context.spend(parts.length >> 4);
      return parts;
    },
  }),
  defineBuiltin({
    name: "strings.split_n",
    category: "strings",
    about: "The first or last parts of a text taken apart at a delimiter.",
    args: [
      arg("x", operands.string, "the text"),
      arg("delimiter", operands.string, "what stands between the parts"),
      arg("n", operands.number, "how many parts from the start; negative: from the end"),
    ],
    result: result("ys", types.array(types.string), "at most that many parts"),
    call: (context, text, delimiter, n) => {
      const count = intOperand(3, n);
      const parts = split(text, delimiter);
      context.spend(parts.length >> 4);
      return count >= 0 ? parts.slice(0, count) : parts.slice(Math.max(0, parts.length + count));
    },
  }),
  defineBuiltin({
    name: "replace",
    category: "strings",
    about: "Replaces all occurrences of a text.",
    args: [
      arg("x", operands.string, "the text"),
      arg("old", operands.string, "what to replace"),
      arg("new", operands.string, "what to put in its place"),
    ],
    result: result("y", types.string, "the text after replacing"),
    call: replaceAll,
  }),
  defineBuiltin({
    name: "strings.replace_n",
    category: "strings",
    about: "Replaces several texts at once, never within what was put in; of several that fit the least goes first.",
    args: [
      arg("patterns", operands.of<ObjectValue>(types.object(types.string, types.string), "object"), "old to new texts"),
      arg("value", operands.string, "the text"),
    ],
    result: result("output", types.string, "the text after replacing"),
    call: (context, patterns, value) => replacePairs(context, value, pairsOf(patterns)),
  }),
  trim("trim", "Takes characters away from both ends.", "cutset", (text, set) => trimCutset(text, set, true, true)),
  trim("trim_left", "Takes characters away from the start.", "cutset", (text, set) =>
    trimCutset(text, set, true, false),
  ),
  trim("trim_prefix", "Takes a text away from the start, once.", "prefix", (text, prefix) =>
    text.startsWith(prefix) ? text.slice(prefix.length) : text,
  ),
  trim("trim_right", "Takes characters away from the end.", "cutset", (text, set) =>
    trimCutset(text, set, false, true),
  ),
  trim("trim_suffix", "Takes a text away from the end, once.", "suffix", (text, suffix) =>
    text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : text,
  ),
  map("trim_space", "A text without white space at its ends.", "value", "output", trimSpace),
  map("strings.reverse", "A text back to front, by code points.", "x", "y", reverse),
];
