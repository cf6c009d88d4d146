import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { exportRego } from "../istio/index.ts";
import type { Command } from "./command.ts";
import { CommandError } from "./command-error.ts";
import { type Flag, type FlagValues, UsageError } from "./flags.ts";
import { compileIstioPaths, MESH_FLAGS, meshOf } from "./istio-files.ts";
import type { Terminal } from "./terminal.ts";
import { IGNORE_FLAG } from "./usual-flags.ts";

const FLAGS: readonly Flag[] = [
  ...MESH_FLAGS,
  IGNORE_FLAG,
  {
    name: "output",
    short: "o",
    kind: "string",
    about: "write modules and data.json into this directory, instead of one module to standard output",
  },
  {
    name: "trust-jwt-authn-metadata",
    kind: "bool",
    about: "have the exported rules take claims from Envoy's jwt_authn metadata",
  },
];

export const exportCommand: Command = {
  usage: "export <path> [path [...]]",
  about: "Print Istio policies as Rego",
  help: `Print Istio policies as Rego that the real opa runs with the same verdicts.

Ask the result for data.cardea.istio.decision (an object with allowed, reason and the rule that decided)
or data.cardea.istio.allow (a boolean), with the input document of OPA's Envoy plugin.`,
  flags: FLAGS,
  run: runExport,
};

async function runExport(values: FlagValues, terminal: Terminal): Promise<number> {
  if (values.positional.length === 0) throw new UsageError("specify at least one file");
  const mesh = { ...meshOf(values), trustJwtAuthnMetadata: values.bool("trust-jwt-authn-metadata") };
  const program = await compileIstioPaths(values.positional, mesh, values.list("ignore"));
  const { module, files, caveats } = exportRego(program);
  for (const caveat of caveats) terminal.err(`note: ${caveat}\n`);
  const directory = values.string("output");
  if (directory === undefined) terminal.out(module);
  else await writeFiles(directory, files);
  return 0;
}

async function writeFiles(directory: string, files: ReadonlyMap<string, string>): Promise<void> {
  try {
    for (const [name, text] of files) {
      const file = path.join(directory, name);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, text);
    }
  } catch (error) {
    throw new CommandError(`cannot write to ${directory}: ${(error as Error).message}`, { cause: error });
  }
}
