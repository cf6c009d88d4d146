import type { Command } from "./command.ts";
import { CommandError } from "./command-error.ts";
import { prettyJson } from "./output.ts";
import { ownCapabilities } from "./own-capabilities.ts";
import { readTextFile } from "./documents.ts";
import { VERSION_FLAGS, versionOf } from "./program.ts";
import { OPA_VERSION } from "./version.ts";

export const capabilitiesCommand: Command = {
  usage: "capabilities",
  about: "Print the capabilities of this version",
  help: `Print the capabilities of this version: its builtins, future keywords and language features.

Without flags, prints the name of the version whose capabilities are known; with --current, the capabilities.`,
  flags: [
    ...VERSION_FLAGS,
    { name: "current", kind: "bool", about: "print current capabilities" },
    { name: "file", kind: "string", about: "print capabilities defined by a file" },
    { name: "version", kind: "string", about: "print capabilities of a specific version" },
  ],
  async run(values, terminal) {
    const file = values.string("file");
    const version = values.string("version");
    if (values.bool("current")) terminal.out(prettyJson(ownCapabilities(versionOf(values), "described")));
    else if (version === `v${OPA_VERSION}`) terminal.out(prettyJson(ownCapabilities(versionOf(values))));
    else if (file !== undefined) terminal.out(await readTextFile(file));
    else if (version !== undefined) throw new CommandError(`no capabilities version found ${version}`);
    else terminal.out(`v${OPA_VERSION}\n`);
    return 0;
  },
};
