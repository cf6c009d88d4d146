/** The command cannot go on. Printed as it is; exit code 2. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}
