import type { Value } from "../rego/value/index.ts";

export type RegoVersion = "v0" | "v1";

/** A Rego module as text. */
export interface ModuleText {
  readonly file: string;
  readonly text: string;
  /** Where a bundle's manifest says so; otherwise the process's default. */
  readonly version?: RegoVersion;
}

/** What a compiled policy is to this room: the part of the engine's door it needs. */
export interface Program {
  withData(data: Value): Program;
  entrypoint(path: readonly (string | number)[]): PreparedQuery;
  query(text: string, options?: { file?: string; imports?: readonly string[]; package?: string }): PreparedQuery;
}

export interface PreparedQuery {
  evaluate(options: EvaluateOptions): readonly Solution[];
}

export interface Solution {
  readonly bindings: Readonly<Record<string, Value>>;
  readonly expressions: readonly {
    readonly value: Value;
    readonly text: string;
    readonly location: { readonly row: number; readonly col: number };
  }[];
}

export interface EvaluateOptions {
  readonly input?: Value;
  readonly nowNs?: bigint;
  readonly deadlineMs?: number;
  readonly maxSteps?: number;
  readonly strictBuiltinErrors?: boolean;
  print?(line: string, at: { readonly source: { readonly name: string }; readonly row: number } | undefined): void;
  readonly runtime?: Value;
  readonly env?: Record<string, string | undefined>;
}
