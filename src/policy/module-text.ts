export type RegoVersion = "v0" | "v1";

/** A policy file as text. */
export interface ModuleText {
  /** The name diagnostics show. */
  readonly file: string;
  readonly text: string;
  /** Where a bundle's manifest says so; otherwise the process's default. */
  readonly version?: RegoVersion;
}
