import { CompileError } from "../rego/engine/index.ts";
import { moduleToJson, parseModule } from "../rego/syntax/index.ts";
import type { Command } from "./command.ts";
import { outputErrors } from "./failure.ts";
import { type Flag, type FlagValues, UsageError } from "./flags.ts";
import { prettyJson, withSortedMaps } from "./output.ts";
import { readTextFile } from "./documents.ts";
import { VERSION_FLAGS, versionOf } from "./program.ts";
import { syntaxTreeText } from "./syntax-tree.ts";
import type { Terminal } from "./terminal.ts";
import { FORMAT_FLAG } from "./usual-flags.ts";

const FLAGS: readonly Flag[] = [
  ...VERSION_FLAGS,
  FORMAT_FLAG,
  {
    name: "json-include",
    kind: "string",
    about: "include or exclude optional elements: locations, comments; a - before a name excludes it",
  },
];

export const parseCommand: Command = {
  usage: "parse <path>",
  about: "Parse Rego source file",
  help: "Parse Rego source file and print its syntax tree.",
  flags: FLAGS,
  run: parse,
};

async function parse(values: FlagValues, terminal: Terminal): Promise<number> {
  const [path, ...more] = values.positional;
  if (path === undefined) throw new UsageError("no source file specified");
  if (more.length > 0) throw new UsageError("specify exactly one file");
  const include = includedElements(values.string("json-include"));
  try {
    const text = await readTextFile(path);
    const parsed = parseModule({ file: path, text }, { version: versionOf(values), annotations: true });
    if (parsed.diagnostics !== undefined) throw new CompileError(parsed.diagnostics);
    terminal.out(
      values.string("format") === "json"
        ? prettyJson(withSortedMaps(moduleToJson(parsed.value, include)))
        : syntaxTreeText(parsed.value),
    );
    return 0;
  } catch (error) {
    // Errors are JSON in every format, as in OPA.
    terminal.err(prettyJson({ errors: outputErrors(error).map(({ document }) => document) }));
    return 1;
  }
}

interface Included {
  readonly locations: boolean;
  readonly comments: boolean;
}

function includedElements(list: string | undefined): Included {
  const included = { locations: false, comments: true };
  for (const word of (list ?? "").split(",").filter((item) => item !== "")) {
    const name = word.replace(/^-/, "");
    if (name !== "locations" && name !== "comments") {
      throw new UsageError(`invalid json include option: ${JSON.stringify(name)}: options are locations, comments`);
    }
    included[name] = !word.startsWith("-");
  }
  return included;
}
