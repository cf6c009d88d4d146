/** The configuration is not usable. The message begins with the path of the member that is at fault. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}
