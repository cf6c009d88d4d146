import { BuiltinError } from "../runtime/index.ts";
import { quoteGo, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import { GlobsSyntaxError, globsIntersect } from "./globs-intersect.ts";
import { checkTextSize, intOperand } from "./operands.ts";
import { cachedRegex, compileRegex, quoteRegex, replaceAll, splitAll } from "./regex-engine.ts";

/** The search recurses by the tokens of both sides. */
const MAX_GLOB = 512;

function isValid(pattern: Value): boolean {
  if (typeof pattern !== "string") return false;
  try {
    cachedRegex(pattern);
    return true;
  } catch (error) {
    if (error instanceof BuiltinError) return false;
    throw error;
  }
}

/** Template text is literal; what stands between the delimiters is a pattern. The whole value must match. */
function templatePattern(template: string, open: string, close: string): string {
  const byteLength = (text: string) => new TextEncoder().encode(text).length;
  if (byteLength(open) !== 1)
    throw new BuiltinError(`start delimiter has to be exactly one character long but is ${byteLength(open)} long`);
  // OPA reports the length of the other delimiter here (regex.go, builtinRegexMatchTemplate).
  if (byteLength(close) !== 1)
    throw new BuiltinError(`end delimiter has to be exactly one character long but is ${byteLength(open)} long`);
  let pattern = "^";
  let level = 0;
  let from = 0;
  const unbalanced = () => new BuiltinError(`unbalanced braces in ${quoteGo(template)}`);
  const inner: string[] = [];
  for (let at = 0; at < template.length; at++) {
    if (template[at] === open) {
      if (++level === 1) {
        pattern += quoteRegex(template.slice(from, at));
        from = at + 1;
      }
    } else if (template[at] === close) {
      if (--level < 0) throw unbalanced();
      if (level === 0) {
        inner.push(template.slice(from, at));
        pattern += `(${template.slice(from, at)})`;
        from = at + 1;
      }
    }
  }
  if (level !== 0) throw unbalanced();
  // Each part must be a pattern on its own, or it could close the group it is put into.
  for (const part of inner) compileRegex(`^${part}$`);
  return `${pattern}${quoteRegex(template.slice(from))}$`;
}

const pattern = arg("pattern", operands.string, "the regular expression (RE2 syntax)");
const value = arg("value", operands.string, "the string to search");
const output = (about: string) => result("output", types.array(types.string), about);

export const regexBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "regex.match",
    category: "regex",
    about: "Tells whether a regular expression matches anywhere in a string.",
    args: [pattern, value],
    result: result("result", types.boolean, "whether it matches"),
    call: (_context, re, text) => cachedRegex(re).test(text),
  }),
  defineBuiltin({
    name: "re_match",
    category: "regex",
    about: "The former name of `regex.match`.",
    deprecated: true,
    args: [
      arg("", operands.string, "the regular expression (RE2 syntax)"),
      arg("", operands.string, "the string to search"),
    ],
    result: { type: types.boolean },
    call: (_context, re, text) => cachedRegex(re).test(text),
  }),
  defineBuiltin({
    name: "regex.is_valid",
    category: "regex",
    about: "Tells whether a text is a regular expression in RE2 syntax.",
    args: [arg("pattern", operands.of<Value>(types.string), "the text")],
    result: result("result", types.boolean, "whether it is one; false for anything that is not a string"),
    call: (_context, re) => isValid(re),
  }),
  defineBuiltin({
    name: "regex.split",
    category: "regex",
    about: "Splits a string at all matches of a regular expression.",
    args: [pattern, value],
    result: output("the pieces between the matches"),
    call: (context, re, text) => {
      const pieces = splitAll(cachedRegex(re), re, text);
      context.spend(pieces.length);
      return pieces;
    },
  }),
  defineBuiltin({
    name: "regex.find_n",
    category: "regex",
    about: "Finds the first matches of a regular expression in a string.",
    args: [pattern, value, arg("number", operands.number, "how many to return; negative for all")],
    result: output("the matched texts"),
    call: (context, re, text, number) => {
      const matches = cachedRegex(re).findAll(text, intOperand(3, number));
      context.spend(matches.length);
      return matches.map(([start, end]) => text.slice(start, end));
    },
  }),
  defineBuiltin({
    name: "regex.find_all_string_submatch_n",
    category: "regex",
    about: "Finds the first matches of a regular expression in a string, with the texts of their groups.",
    args: [pattern, value, arg("number", operands.number, "how many to return; negative for all")],
    result: result(
      "output",
      types.array(types.array(types.string)),
      "per match its text, then those of its groups; empty where a group took no part",
    ),
    call: (context, re, text, number) => {
      const regex = cachedRegex(re);
      const matches = regex.findAll(text, intOperand(3, number));
      context.spend(matches.length * regex.groupNames.length);
      return matches.map((match) =>
        regex.groupNames.map((_name, group) => {
          const start = match[2 * group] as number;
          return start < 0 ? "" : text.slice(start, match[2 * group + 1]);
        }),
      );
    },
  }),
  defineBuiltin({
    name: "regex.replace",
    category: "regex",
    about:
      "Replaces all matches of a regular expression. `$1` and `$name`, also with braces around the number or name, stand for groups, `$$` for a dollar.",
    args: [
      arg("s", operands.string, "the string to change"),
      arg("pattern", operands.string, "the regular expression (RE2 syntax)"),
      arg("value", operands.string, "what to put in place of each match"),
    ],
    result: result("output", types.string, "the string with all matches replaced"),
    call: (context, text, re, template) => {
      let spent = 0;
      return replaceAll(cachedRegex(re), text, template, (length) => {
        checkTextSize(length);
        context.spend(1 + ((length - spent) >> 6));
        spent = length;
      });
    },
  }),
  defineBuiltin({
    name: "regex.template_match",
    category: "regex",
    about:
      "Matches a whole string against a template that holds regular expressions between delimiters: `urn:foo:{.*}`.",
    args: [
      arg("template", operands.string, "the template"),
      arg("value", operands.string, "the string"),
      arg("delimiter_start", operands.string, "the character that begins a regular expression"),
      arg("delimiter_end", operands.string, "the character that ends it"),
    ],
    result: result("result", types.boolean, "whether it matches"),
    call: (_context, template, text, open, close) => cachedRegex(templatePattern(template, open, close)).test(text),
  }),
  defineBuiltin({
    name: "regex.globs_match",
    category: "regex",
    about:
      "Tells whether two glob-like expressions (characters, `.`, `[sets]`, each with `*` or `+`) match a common non-empty string.",
    args: [arg("glob1", operands.string, "an expression"), arg("glob2", operands.string, "another expression")],
    result: result("result", types.boolean, "whether there is such a string"),
    call: (context, glob1, glob2) => {
      if (glob1.length > MAX_GLOB || glob2.length > MAX_GLOB)
        throw new BuiltinError(`pattern is longer than ${MAX_GLOB} characters`);
      context.spend(1 + ((glob1.length * glob2.length) >> 6));
      try {
        return globsIntersect(glob1, glob2);
      } catch (error) {
        if (error instanceof GlobsSyntaxError) throw new BuiltinError(error.message, { cause: error });
        throw error;
      }
    },
  }),
];
