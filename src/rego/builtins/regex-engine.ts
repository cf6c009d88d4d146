import { RE2JS, RE2JSException } from "re2js";
import { detached, RecentMap } from "../../base/index.ts";
import { BuiltinError } from "../runtime/index.ts";
import { compileQuickTest } from "./regex-dfa.ts";

const MAX_PATTERN = 64 * 1024;
const CACHED_REGEXES = 1024;

/** Start and end offsets of the whole match and of each group, -1 where a group took no part. */
export type MatchIndices = readonly number[];

/** A compiled regular expression with RE2's semantics: leftmost-first, time linear in the text. */
export interface Regex {
  test(text: string): boolean;
  /** Successive matches as Go finds them: an empty match next to the previous match is skipped. @param limit negative: all */
  findAll(text: string, limit: number): readonly MatchIndices[];
  /** Group names by group number; empty for unnamed groups and the whole match. */
  readonly groupNames: readonly string[];
}

const cache = new RecentMap<string, Regex>(CACHED_REGEXES);

/** The compiled pattern, remembered. @throws {BuiltinError} with Go's wording when the pattern is malformed, or when it is too long. */
export function cachedRegex(pattern: string): Regex {
  const known = cache.get(pattern);
  if (known !== undefined) return known;
  const regex = compileRegex(detached(pattern));
  cache.set(pattern, regex);
  return regex;
}

/** @throws {BuiltinError} as `cachedRegex` */
export function compileRegex(pattern: string): Regex {
  if (pattern.length > MAX_PATTERN) throw new BuiltinError(`pattern is longer than ${MAX_PATTERN} characters`);
  const { program, names } = compileProgram(pattern);
  const machine = program.re2();
  const quick = compileQuickTest(pattern);
  return {
    test: quick === undefined ? (text) => program.test(text) : (text) => quick(text) ?? program.test(text),
    findAll: (text, limit) => (machine.findAllSubmatchIndex(text, limit) as number[][] | null) ?? [],
    groupNames: names,
  };
}

function compileProgram(pattern: string): { readonly program: RE2JS; readonly names: readonly string[] } {
  try {
    const program = RE2JS.compile(pattern);
    const names = Array<string>(program.groupCount() + 1).fill("");
    for (const [name, index] of Object.entries(program.namedGroups())) names[index] = name;
    return { program, names };
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    // Go lets groups share a name.
    if (error.message.includes("duplicate capture group name")) return compileWithSharedNames(pattern);
    const message = error.message.endsWith("trailing backslash at end of expression")
      ? `${error.message}: \`\``
      : error.message;
    throw new BuiltinError(message, { cause: error });
  }
}

function compileWithSharedNames(pattern: string): { readonly program: RE2JS; readonly names: readonly string[] } {
  const names = [""];
  let unnamed = "";
  let copied = 0;
  for (const { at, end, name } of groupOpenings(pattern)) {
    names.push(name);
    unnamed += `${pattern.slice(copied, at)}(`;
    copied = end;
  }
  return { program: compileProgram(unnamed + pattern.slice(copied)).program, names };
}

/** Where capturing groups open in a well-formed pattern, in order. */
function* groupOpenings(
  pattern: string,
): Generator<{ readonly at: number; readonly end: number; readonly name: string }> {
  for (let at = 0; at < pattern.length; ) {
    const char = pattern[at];
    if (char === "\\") {
      const quoteEnd = pattern[at + 1] === "Q" ? pattern.indexOf("\\E", at) : at;
      at = quoteEnd === -1 ? pattern.length : quoteEnd + 2;
    } else if (char === "[") at = classEnd(pattern, at);
    else if (char === "(") {
      const name = /^\(\?P?<(\w+)>/.exec(pattern.slice(at, at + 1000));
      if (name !== null) yield { at, end: at + name[0].length, name: name[1] as string };
      else if (pattern[at + 1] !== "?") yield { at, end: at + 1, name: "" };
      at++;
    } else at++;
  }
}

function classEnd(pattern: string, start: number): number {
  let at = start + 1;
  if (pattern[at] === "^") at++;
  if (pattern[at] === "]") at++;
  while (at < pattern.length && pattern[at] !== "]") {
    if (pattern[at] === "\\") at += 2;
    else if (pattern.startsWith("[:", at)) {
      const end = pattern.indexOf(":]", at + 2);
      at = end === -1 ? at + 1 : end + 2;
    } else at++;
  }
  return at + 1;
}

/** Escapes text so that, as a pattern, it matches only itself (Go regexp.QuoteMeta). */
export function quoteRegex(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");
}

/**
 * Replaces all matches by the template, in which `$1`, `${1}`, `$name` and `${name}` stand for groups and `$$` for `$`
 * (Go Regexp.ReplaceAllString and Expand).
 */
export function replaceAll(regex: Regex, text: string, template: string, grow: (length: number) => void): string {
  const matches = regex.findAll(text, -1);
  if (matches.length === 0) return text;
  const parts = readTemplate(template, regex.groupNames);
  let out = "";
  let last = 0;
  for (const match of matches) {
    out += text.slice(last, match[0]);
    for (const part of parts) out += typeof part === "string" ? part : groupText(text, match, part);
    last = match[1] as number;
    grow(out.length);
  }
  return out + text.slice(last);
}

/** Literal text, or the groups a reference may mean: the first of them that took part. */
type TemplatePart = string | readonly number[];

function groupText(text: string, match: MatchIndices, candidates: readonly number[]): string {
  for (const group of candidates) {
    const start = match[2 * group];
    if (start !== undefined && start >= 0) return text.slice(start, match[2 * group + 1]);
  }
  return "";
}

function readTemplate(template: string, groupNames: readonly string[]): readonly TemplatePart[] {
  const parts: TemplatePart[] = [];
  const reference = /^(?:\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/u;
  for (let at = 0; at < template.length; ) {
    const dollar = template.indexOf("$", at);
    if (dollar === -1) {
      parts.push(template.slice(at));
      break;
    }
    parts.push(template.slice(at, dollar));
    at = dollar + 1;
    const found = reference.exec(template.slice(at));
    if (template[at] === "$") {
      parts.push("$");
      at++;
    } else if (found === null) parts.push("$");
    else {
      at += found[0].length;
      const name = (found[1] ?? found[2]) as string;
      if (/^(0|[1-9]\d{0,8})$/.test(name)) parts.push([Number(name)]);
      else parts.push(groupNames.flatMap((groupName, group) => (groupName === name ? [group] : [])));
    }
  }
  return parts;
}

/** Pieces between matches, all of them (Go Regexp.Split with n = -1). */
export function splitAll(regex: Regex, pattern: string, text: string): readonly string[] {
  if (pattern !== "" && text === "") return [""];
  const pieces: string[] = [];
  let start = 0;
  let end = 0;
  for (const match of regex.findAll(text, -1)) {
    end = match[0] as number;
    if (match[1] !== 0) pieces.push(text.slice(start, end));
    start = match[1] as number;
  }
  if (end !== text.length) pieces.push(text.slice(start));
  return pieces;
}
