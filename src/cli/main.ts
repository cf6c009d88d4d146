import type { Command } from "./command.ts";
import { CommandError } from "./command-error.ts";
import { flagsText, parseFlags, UsageError } from "./flags.ts";
import { type Terminal, terminal as processTerminal } from "./terminal.ts";

interface Entry {
  readonly about: string;
  /** Loaded on use: start-up time counts, and `eval` must not pay for the server. */
  load(): Promise<Command>;
}

const COMMANDS: ReadonlyMap<string, Entry> = new Map([
  [
    "capabilities",
    {
      about: "Print the capabilities of this version",
      load: async () => (await import("./capabilities.ts")).capabilitiesCommand,
    },
  ],
  [
    "authz-check",
    {
      about: "Decide one request by Istio policies, and say why",
      load: async () => (await import("./authz-check.ts")).authzCheckCommand,
    },
  ],
  [
    "check",
    {
      about: "Check Rego source files and Istio policies",
      load: async () => (await import("./check.ts")).checkCommand,
    },
  ],
  ["deps", { about: "Analyze Rego query dependencies", load: async () => (await import("./deps.ts")).depsCommand }],
  ["export", { about: "Print Istio policies as Rego", load: async () => (await import("./export.ts")).exportCommand }],
  ["eval", { about: "Evaluate a Rego query", load: async () => (await import("./eval.ts")).evalCommand }],
  ["fmt", { about: "Format Rego source files", load: async () => (await import("./fmt.ts")).fmtCommand }],
  ["run", { about: "Start the authorization server", load: async () => (await import("./run.ts")).runCommand }],
  ["inspect", { about: "Inspect OPA bundle(s)", load: async () => (await import("./inspect.ts")).inspectCommand }],
  ["parse", { about: "Parse Rego source file", load: async () => (await import("./parse.ts")).parseCommand }],
  ["test", { about: "Execute Rego test cases", load: async () => (await import("./test.ts")).testCommand }],
  [
    "start",
    {
      about: "Serve the policies that come with this program, on this machine only",
      load: async () => (await import("./start.ts")).startCommand,
    },
  ],
  ["version", { about: "Print the version", load: async () => (await import("./version.ts")).versionCommand }],
]);

const PROGRAM = "cardea";

/**
 * Runs one command line.
 *
 * @param argv without the program's name.
 * @returns the exit code: 0, 1 for a wrong command line and for negative answers, 2 for errors of the policy, as OPA's.
 */
export async function runCli(argv: readonly string[], terminal: Terminal = processTerminal): Promise<number> {
  // As istioctl spells it.
  const [name, ...rest] = argv[0] === "authz" && argv[1] === "check" ? ["authz-check", ...argv.slice(2)] : argv;
  if (name === undefined || name === "-h" || name === "--help" || (name === "help" && rest.length === 0)) {
    terminal.out(overview());
    return 0;
  }
  if (name === "help") return runCli([rest[0] as string, "--help"], terminal);
  const entry = COMMANDS.get(name);
  if (entry === undefined) {
    const kind = name.startsWith("-") ? `unknown flag: ${name}` : `unknown command "${name}" for "${PROGRAM}"`;
    terminal.err(`Error: ${kind}\nRun '${PROGRAM} --help' for usage.\n`);
    return 1;
  }
  const command = await entry.load();
  try {
    const flags = [...command.flags, HELP];
    const values = parseFlags(flags, rest);
    if (values.bool("help")) {
      terminal.out(`${command.help ?? `${entry.about}.`}\n\n${usageText(command)}`);
      return 0;
    }
    return await command.run(values, terminal);
  } catch (error) {
    if (error instanceof CommandError) {
      terminal.err(`${error.message}\n`);
      return 2;
    }
    if (error instanceof RangeError && error.message.startsWith("Maximum call stack")) {
      terminal.err("error: something in the policy or its data is nested too deeply\n");
      return 2;
    }
    if (!(error instanceof UsageError)) throw error;
    terminal.err(`Error: ${error.message}\n${usageText(command)}\n`);
    return 1;
  }
}

const HELP = { name: "help", short: "h", kind: "bool", about: "show this help" } as const;

function usageText(command: Command): string {
  return `Usage:\n  ${PROGRAM} ${command.usage} [flags]\n\nFlags:\n${flagsText([...command.flags, HELP])}`;
}

function overview(): string {
  const width = Math.max(...[...COMMANDS.keys()].map((name) => name.length));
  const lines = [...COMMANDS]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { about }]) => `  ${name.padEnd(width)} ${about}\n`);
  return (
    `External authorization for Envoy and Istio: Rego compiled to JavaScript.\n\nUsage:\n  ${PROGRAM} [command]\n\nAvailable Commands:\n${lines.join("")}\n` +
    `Use "${PROGRAM} [command] --help" for more information about a command.\n`
  );
}
