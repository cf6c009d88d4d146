import metadata from "../../package.json" with { type: "json" };
import type { Command } from "./command.ts";

/** The version of this program. */
export const VERSION: string = metadata.version;

/** The OPA whose language, builtins and messages these are: what `opa.runtime().version` says. */
export const OPA_VERSION = "1.20.2";

export const versionCommand: Command = {
  usage: "version",
  about: "Print the version",
  flags: [
    {
      name: "check",
      short: "c",
      kind: "bool",
      about: "accepted for compatibility; nothing is looked up",
      hidden: true,
    },
  ],
  async run(_values, terminal) {
    const rows = [
      ["Version", VERSION],
      ["OPA Compatibility", OPA_VERSION],
      ["Node Version", process.version],
      ["Platform", `${process.platform}/${process.arch}`],
      ["Rego Version", "v1"],
    ];
    terminal.out(rows.map(([name, value]) => `${name}: ${value}\n`).join(""));
    return 0;
  },
};
