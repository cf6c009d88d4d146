import type { Flag, FlagValues } from "./flags.ts";
import type { Terminal } from "./terminal.ts";

/** One word after the program's name. */
export interface Command {
  /** `eval <query>`. */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly about: string;
  /** More, for `--help`. */
  readonly help?: string;
  readonly flags: readonly Flag[];
  /** The exit code. @throws {UsageError} */
  run(values: FlagValues, terminal: Terminal): Promise<number>;
}
