import { dependenciesOf, type QueryDependencies } from "../rego/engine/index.ts";
import { termToJson, termToText } from "../rego/syntax/index.ts";
import { isObject, getKey } from "../rego/value/index.ts";
import type { Command } from "./command.ts";
import { CommandError } from "./command-error.ts";
import { failureText } from "./failure.ts";
import { type Flag, type FlagValues, UsageError } from "./flags.ts";
import { type Document, prettyJson, tableText } from "./output.ts";
import { compilePolicy, extensionsFor, LOADING_FLAGS, loadFiles, VERSION_FLAGS, versionOf } from "./program.ts";
import type { Terminal } from "./terminal.ts";
import { FORMAT_FLAG } from "./usual-flags.ts";

const FLAGS: readonly Flag[] = [...LOADING_FLAGS, ...VERSION_FLAGS, FORMAT_FLAG];

export const depsCommand: Command = {
  usage: "deps <query>",
  about: "Analyze Rego query dependencies",
  help: `Print dependencies of a query: the paths into input and base data it reads, and the rules.

  $ cardea deps --data policy.rego data.policy.allow`,
  flags: FLAGS,
  run: deps,
};

async function deps(values: FlagValues, terminal: Terminal): Promise<number> {
  const [query, ...more] = values.positional;
  if (query === undefined || more.length > 0) throw new UsageError("specify exactly one query argument");
  let found: QueryDependencies;
  try {
    const files = await loadFiles(values);
    const settings = { version: versionOf(values), keepPrint: false, extensions: await extensionsFor(files) };
    found = dependenciesOf(compilePolicy(files, settings), query);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    terminal.err(`${failureText(error)}\n`);
    return 1;
  }
  terminal.out(values.string("format") === "json" ? prettyJson(jsonOf(found)) : prettyText(found));
  return 0;
}

function jsonOf({ base, virtual }: QueryDependencies): Document {
  const refs = (list: QueryDependencies["base"]): Document =>
    list.length === 0
      ? undefined
      : list.map((ref) => {
          const json = termToJson(ref);
          return isObject(json) ? getKey(json, "value") : json;
        });
  return { base: refs(base), virtual: refs(virtual) };
}

function prettyText({ base, virtual }: QueryDependencies): string {
  const columns = [
    ["BASE DOCUMENTS", base.map(termToText)],
    ["VIRTUAL DOCUMENTS", virtual.map(termToText)],
  ] as const;
  const shown = columns.filter(([, refs]) => refs.length > 0);
  if (shown.length === 0) return "";
  const height = Math.max(...shown.map(([, refs]) => refs.length));
  const rows = Array.from({ length: height }, (_, i) => shown.map(([, refs]) => refs[i] ?? ""));
  return tableText(
    shown.map(([title]) => title),
    rows,
  );
}
