import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CompileError, v1Findings } from "../rego/engine/index.ts";
import { nodeBuiltins } from "../rego/node.ts";
import { type FormatOptions, formatModule, parseModule } from "../rego/syntax/index.ts";
import type { Command } from "./command.ts";
import { errorsText, outputErrors } from "./failure.ts";
import type { Flag, FlagValues } from "./flags.ts";
import { lineDiff } from "./line-diff.ts";
import { VERSION_FLAGS } from "./program.ts";
import type { Terminal } from "./terminal.ts";

const FLAGS: readonly Flag[] = [
  ...VERSION_FLAGS,
  {
    name: "check-result",
    kind: "bool",
    default: "true",
    about: "assert that the formatted code is valid and can be successfully parsed",
  },
  { name: "diff", short: "d", kind: "bool", about: "only display a diff of the changes" },
  {
    name: "drop-v0-imports",
    kind: "bool",
    about: "drop v0 imports from the formatted code, such as 'rego.v1' and 'future.keywords'",
  },
  { name: "fail", kind: "bool", about: "non zero exit code on reformat" },
  { name: "list", short: "l", kind: "bool", about: "list all files who would change when formatted" },
  { name: "rego-v1", kind: "bool", about: "the former name of --v0-v1", hidden: true },
  { name: "v0-v1", kind: "bool", about: "format module(s) to be compatible with both Rego v0 and v1" },
  { name: "write", short: "w", kind: "bool", about: "overwrite the original source file" },
  { name: "capabilities", kind: "string", about: "accepted for compatibility", hidden: true },
];

export const fmtCommand: Command = {
  usage: "fmt [path [...]]",
  about: "Format Rego source files",
  help: `Format Rego source files.

Prints the formatted files, or those below the given directories; without a path, formats standard input. With --write the
files are overwritten, with --list only the names of files that would change are printed, with --diff the changes.`,
  flags: FLAGS,
  run: format,
};

/** A file could not be formatted, or would change. */
class FormatFailure extends Error {
  override readonly name = "FormatFailure";
}

class MissingFile extends Error {
  override readonly name = "MissingFile";
}

const FAILURE_CODE = 2;

async function format(values: FlagValues, terminal: Terminal): Promise<number> {
  const settings = settingsOf(values);
  try {
    if (values.positional.length === 0) {
      terminal.out(formatted("stdin", await terminal.input(), settings));
      return 0;
    }
    for (const path of values.positional) await formatPath(path, values, settings, terminal);
    return 0;
  } catch (error) {
    if (error instanceof CompileError || error instanceof MissingFile) {
      terminal.err(`${error instanceof MissingFile ? error.message : errorsText(outputErrors(error))}\n`);
      return 1;
    }
    if (!(error instanceof FormatFailure)) throw error;
    terminal.err(`${error.message}\n`);
    return FAILURE_CODE;
  }
}

interface Settings extends FormatOptions {
  /** The language the files are in. */
  readonly version: "v0" | "v1";
  readonly target: "v0" | "v0v1" | "v1";
  readonly checksResult: boolean;
}

function settingsOf(values: FlagValues): Settings {
  const forBoth = values.bool("v0-v1") || values.bool("rego-v1");
  const isV0 = values.bool("v0-compatible");
  return {
    // What is to be made fit for both is read as v0, unless it is said to be v1.
    version: isV0 || (forBoth && !values.bool("v1-compatible")) ? "v0" : "v1",
    target: forBoth ? "v0v1" : isV0 ? "v0" : "v1",
    dropV0Imports: values.bool("drop-v0-imports"),
    checksResult: values.bool("check-result"),
  };
}

/** @throws {CompileError} */
function formatted(file: string, text: string, { version, target, dropV0Imports }: Settings): string {
  const parsed = parseModule({ file, text }, { version });
  if (parsed.diagnostics !== undefined) throw new CompileError(parsed.diagnostics);
  const forbidden = target === "v0" ? [] : v1Findings(parsed.value, nodeBuiltins);
  if (forbidden.length > 0) throw new CompileError(forbidden);
  return formatModule(parsed.value, { target, dropV0Imports: dropV0Imports === true });
}

async function formatPath(path: string, values: FlagValues, settings: Settings, terminal: Terminal): Promise<void> {
  for (const file of await regoFiles(path)) {
    const text = await readFile(file, "utf8");
    let result: string;
    try {
      result = formatted(file, text, settings);
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      throw new FormatFailure(`failed to format Rego source file: ${errorsText(outputErrors(error))}`);
    }
    if (settings.checksResult) checkResult(file, result, settings);
    await report(file, text, result, values, terminal);
  }
}

/** The files at and below a path, in the order of their names. */
async function regoFiles(path: string): Promise<readonly string[]> {
  let isDirectory: boolean;
  try {
    isDirectory = (await stat(path)).isDirectory();
  } catch (error) {
    throw new MissingFile(`lstat ${path}: no such file or directory`, { cause: error });
  }
  if (!isDirectory) return path.endsWith(".rego") ? [path] : [];
  const files: string[] = [];
  for (const name of (await readdir(path)).sort()) files.push(...(await regoFiles(join(path, name))));
  return files;
}

function checkResult(file: string, text: string, { target }: Settings): void {
  const parsed = parseModule({ file: "formatted", text }, { version: target === "v1" ? "v1" : "v0" });
  if (parsed.diagnostics === undefined) return;
  const why = errorsText(outputErrors(new CompileError(parsed.diagnostics)));
  throw new FormatFailure(
    `${file} was successfully formatted, but the result is invalid: ${why}\n\nTo inspect the formatted Rego, you can turn off this check with --check-result=false.`,
  );
}

async function report(
  file: string,
  before: string,
  after: string,
  values: FlagValues,
  terminal: Terminal,
): Promise<void> {
  const changed = before !== after;
  const refuse = (): void => {
    if (changed && values.bool("fail")) throw new FormatFailure("unexpected diff");
  };
  if (values.bool("list")) {
    if (changed) terminal.out(`${file}\n`);
    refuse();
  } else if (values.bool("diff")) {
    if (changed) terminal.out(lineDiff(before, after));
    refuse();
  } else {
    refuse();
    if (!values.bool("write")) terminal.out(after);
    else if (changed) await writeFile(file, after);
  }
}
