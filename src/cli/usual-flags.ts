import { type Flag, type FlagValues, UsageError } from "./flags.ts";

// Flags that several commands have, with one meaning and one text.

export const BUNDLE_FLAG: Flag = {
  name: "bundle",
  short: "b",
  kind: "bool",
  about: "load paths as bundle files or root directories",
};

export const FORMAT_FLAG: Flag = {
  name: "format",
  short: "f",
  kind: "enum",
  values: ["pretty", "json"],
  default: "pretty",
  about: "set output format",
};

export const IGNORE_FLAG: Flag = {
  name: "ignore",
  kind: "slice",
  about: "set file and directory names to ignore during loading (e.g., '.*' excludes hidden files)",
};

export const MAX_ERRORS_FLAG: Flag = {
  name: "max-errors",
  short: "m",
  kind: "int",
  default: "10",
  about: "set the number of errors to allow before compilation fails early",
};

export const TARGET_FLAG: Flag = {
  name: "target",
  short: "t",
  kind: "enum",
  values: ["rego", "wasm"],
  default: "rego",
  about: "set the runtime to exercise",
};

/** @throws {UsageError} */
export function checkTarget(values: FlagValues): void {
  if (values.string("target") !== "rego") throw new UsageError("WebAssembly is not supported: --target must be rego");
}
