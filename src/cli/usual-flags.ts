import type { Flag } from "./flags.ts";

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
