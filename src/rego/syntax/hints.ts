import type { Diagnostic } from "./ast.ts";

type Version = "v0" | "v1";

/** Advice on a parse error, found by its message and by the text it points at. The first that fits is given. */
interface Advice {
  readonly message: RegExp;
  /** The text from the error's place to the end of its line. */
  readonly at?: RegExp;
  readonly version?: Version;
  readonly hint: string;
}

const ADVICE: readonly Advice[] = [
  {
    message: /^`if` keyword is required/,
    hint: "write `if` before the body, as in `p if { … }`, or run with --v0-compatible",
  },
  {
    message: /^`contains` keyword is required/,
    hint: "write `p contains x if { … }`, or run with --v0-compatible",
  },
  {
    message: /must have value assignment and\/or body declaration/,
    hint: "give it a value, as in `p := true`, or a body, as in `p if { … }`",
  },
  {
    message: /keyword cannot be used for rule name/,
    hint: "choose another name: this word is a keyword of Rego v1",
  },
  {
    message: /^rule name conflicts with built-in function/,
    at: /^[^#\n]*[^=!<>:]==[^=]/,
    hint: "`==` compares. To define a rule, write `:=`",
  },
  {
    message: /^rule name conflicts with built-in function/,
    hint: "a comparison or a call of a builtin function defines no rule. Put it in a body, as in `p if { … }`",
  },
  {
    message: /^var cannot be used for rule name/,
    version: "v1",
    hint: "a name alone is no rule: write `p := true` or `p if { … }`",
  },
  { message: /^package expected/, hint: "begin the file with `package` and a name, as in `package example`" },
  { message: /^illegal ! character/, hint: "negation is written `not x`" },
  {
    message: /^unexpected and /,
    at: /^&/,
    hint: "conditions hold together when they stand on lines of their own, or between `;`. There is no `&&`",
  },
  {
    message: /^unexpected or /,
    at: /^\|/,
    hint: "for alternatives write the rule once for each of them, or `import future.keywords.or`. There is no `||`",
  },
  {
    message: /^unexpected identifier token: expected \\n or ;/,
    at: /^and\b/,
    hint: "add `import future.keywords.and`, or put the conditions on lines of their own",
  },
  {
    message: /^unexpected identifier token: expected \\n or ;/,
    at: /^or\b/,
    hint: "add `import future.keywords.or`, or write the rule once for each alternative",
  },
  { message: /^illegal token/, at: /^'/, hint: "strings stand in double quotes, or in backticks if they are raw" },
  {
    message: /^non-terminated string/,
    at: /^\$?"/,
    hint: "a string in double quotes ends on its line. Strings of several lines stand in backticks",
  },
  {
    message: /^illegal escape sequence/,
    hint: "write the backslash twice, or the string in backticks, as in `\\d+` for a regular expression",
  },
  {
    message: /^found empty body/,
    hint: "a body holds at least one condition. One that is always met is `true`",
  },
  { message: /^unexpected .* token: expected else value/, hint: "write `else := value`, `else if { … }`, or both" },
];

/**
 * Adds our own advice to parse errors, beyond OPA's text. `parsesAs` tells whether the whole text would be fine in the
 * other language, which explains most errors of policies that have not been migrated.
 */
export function withHints(
  diagnostics: readonly Diagnostic[],
  version: Version,
  parsesAs: (other: Version) => boolean,
): readonly Diagnostic[] {
  const advised = diagnostics.map((diagnostic) => {
    const hint = diagnostic.hint ?? adviceFor(diagnostic, version);
    return hint === undefined ? diagnostic : { ...diagnostic, hint };
  });
  const [first, ...rest] = advised;
  if (first === undefined || first.hint !== undefined) return advised;
  const other = version === "v1" ? "v0" : "v1";
  if (!parsesAs(other)) return advised;
  const hint =
    version === "v1"
      ? "this is Rego v0: write it as v1 (with `if` and `contains`), or run with --v0-compatible"
      : "this is Rego v1: add `import rego.v1`, or run without --v0-compatible";
  return [{ ...first, hint }, ...rest];
}

function adviceFor({ message, at }: Diagnostic, version: Version): string | undefined {
  let line = "";
  if (at !== undefined) {
    const { text } = at.source;
    const end = text.indexOf("\n", at.offset);
    line = text.slice(at.offset, end === -1 ? undefined : end);
  }
  return ADVICE.find(
    (advice) =>
      (advice.version === undefined || advice.version === version) &&
      advice.message.test(message) &&
      (advice.at === undefined || advice.at.test(line)),
  )?.hint;
}
