import type { PolicyText } from "../istio/index.ts";
import type { Command } from "./command.ts";
import { CommandError } from "./command-error.ts";
import { failureText, outputErrors } from "./failure.ts";
import { type Flag, type FlagValues, UsageError } from "./flags.ts";
import { prettyJson } from "./output.ts";
import { compilePolicy, extensionsFor, type PolicySettings, VERSION_FLAGS, versionOf } from "./program.ts";
import { restrictionFlags, restrictionsOf } from "./restrictions.ts";
import type { Terminal } from "./terminal.ts";
import { BUNDLE_FLAG, FORMAT_FLAG, IGNORE_FLAG, MAX_ERRORS_FLAG } from "./usual-flags.ts";

const FLAGS: readonly Flag[] = [
  ...VERSION_FLAGS,
  ...restrictionFlags,
  BUNDLE_FLAG,
  FORMAT_FLAG,
  IGNORE_FLAG,
  MAX_ERRORS_FLAG,
  { name: "rego-v1", kind: "bool", about: "accepted for compatibility", hidden: true },
  { name: "strict", short: "S", kind: "bool", about: "enable compiler strict mode" },
];

export const checkCommand: Command = {
  usage: "check <path> [path [...]]",
  about: "Check Rego source files and Istio policies",
  help: `Check Rego source files for parse and compilation errors.

Succeeds with exit code 0 and no output; otherwise prints the errors and exits with 1.

Istio's and Cardea's policies among the files are validated as Istio does. What is legal and probably wrong is
printed as a warning, with what to write instead; with --strict, warnings also exit with 1.`,
  flags: FLAGS,
  run: check,
};

async function check(values: FlagValues, terminal: Terminal): Promise<number> {
  if (values.positional.length === 0) throw new UsageError("specify at least one file");
  try {
    const settings: PolicySettings = {
      version: versionOf(values),
      strict: values.bool("strict"),
      annotations: true,
      errorLimit: values.int("max-errors"),
      ...(await restrictionsOf(values)),
    };
    const { loadPaths } = await import("../policy/index.ts");
    const files = await loadPaths(values.positional, { ignore: values.list("ignore"), bundle: values.bool("bundle") });
    const { declarations } = files;
    // Documents with errors have nothing to ask, and are reported below.
    compilePolicy(files, { ...settings, extensions: await extensionsFor({ ...files, declarations: [] }) });
    return declarations.length === 0 ? 0 : await checkDeclarations(declarations, values, terminal);
  } catch (error) {
    report(error, values, terminal);
    return 1;
  }
}

async function checkDeclarations(
  declarations: readonly PolicyText[],
  values: FlagValues,
  terminal: Terminal,
): Promise<number> {
  const { checkIstio } = await import("./check-istio.ts");
  const { hasErrors, hasWarnings, text, errors, warnings } = checkIstio(declarations);
  if (values.string("format") !== "json") terminal.err(text);
  else if (hasErrors || warnings.length > 0) {
    terminal.err(prettyJson({ ...(hasErrors && { errors }), ...(warnings.length > 0 && { warnings }) }));
  }
  return hasErrors || (hasWarnings && values.bool("strict")) ? 1 : 0;
}

function report(thrown: unknown, values: FlagValues, terminal: Terminal): void {
  if (thrown instanceof CommandError) {
    terminal.err(`${thrown.message}\n`);
    return;
  }
  const errors = outputErrors(thrown);
  if (values.string("format") === "json") terminal.err(prettyJson({ errors: errors.map(({ document }) => document) }));
  else terminal.err(`${failureText(thrown)}\n`);
}
