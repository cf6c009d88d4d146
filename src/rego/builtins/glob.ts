import { detached, RecentMap } from "../../base/index.ts";
import { BuiltinError, OperandError } from "../runtime/index.ts";
import { typeName, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import { compileGlob, type GlobMatcher, GlobSyntaxError, quoteGlob } from "./glob-matcher.ts";

const MAX_PATTERN = 64 * 1024;
const CACHED_GLOBS = 1024;
const NO_DELIMITERS: readonly string[] = [];
const DOT: readonly string[] = ["."];

/** By delimiters, then by pattern. */
const cache = new RecentMap<string, RecentMap<string, GlobMatcher>>(16);

/** The matcher of a pattern, remembered. @throws {BuiltinError} when the pattern is malformed or too long. */
export function cachedGlob(pattern: string, delimiters: readonly string[]): GlobMatcher {
  const key = delimiters.length === 1 ? (delimiters[0] as string) : delimiters.join("");
  let globs = cache.get(key);
  if (globs === undefined) {
    globs = new RecentMap(CACHED_GLOBS);
    cache.set(key, globs);
  }
  const known = globs.get(pattern);
  if (known !== undefined) return known;
  if (pattern.length > MAX_PATTERN) throw new BuiltinError(`pattern is longer than ${MAX_PATTERN} characters`);
  try {
    const glob = compileGlob(detached(pattern), delimiters);
    globs.set(pattern, glob);
    return glob;
  } catch (error) {
    if (error instanceof GlobSyntaxError) throw new BuiltinError(error.message, { cause: error });
    throw error;
  }
}

/** Null: none; empty: a dot. */
export function globDelimiters(operand: null | readonly Value[]): readonly string[] {
  if (operand === null) return NO_DELIMITERS;
  if (operand.length === 0) return DOT;
  for (const element of operand) {
    if (typeof element !== "string")
      throw new OperandError(2, `must be array of strings but got array containing ${typeName(element)}`);
    if ([...element].length !== 1) throw new OperandError(2, "must be array of runes but got array containing string");
  }
  return operand as readonly string[];
}

export const globBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "glob.match",
    category: "glob",
    about:
      "Matches a whole string against a glob: `*` stays between delimiters, `**` crosses them; `?`, `[a-z]`, `[!a-z]` and `{x,y}` work as in shells.",
    args: [
      arg("pattern", operands.string, "the glob"),
      arg(
        "delimiters",
        operands.of<null | readonly Value[]>(types.oneOf(types.array(types.string), types.null), "array", "null"),
        'single characters that `*` and `?` stop at; empty means `["."]`, null means none',
      ),
      arg("match", operands.string, "the string"),
    ],
    result: result("result", types.boolean, "whether it matches"),
    call: (_context, pattern, delimiters, match) => cachedGlob(pattern, globDelimiters(delimiters))(match),
  }),
  defineBuiltin({
    name: "glob.quote_meta",
    category: "glob",
    about: "Escapes a string so that, as a glob, it matches only itself.",
    args: [arg("pattern", operands.string, "the string")],
    result: result("output", types.string, "the escaped string"),
    call: (_context, pattern) => quoteGlob(pattern),
  }),
];
