import { compile, type Policy } from "../rego/engine/index.ts";
import { nodeBuiltins } from "../rego/node.ts";
import type { Value } from "../rego/value/index.ts";
import type { ModuleText, RegoVersion } from "./module-text.ts";

/** Modules and base documents in, compiled policy out. @throws {CompileError} */
export type Compile = (modules: readonly ModuleText[], data: Value) => Policy;

export interface CompilerOptions {
  /** Language of modules that do not say otherwise. */
  readonly version: RegoVersion;
  /** Keep `print` calls; erased, they cost nothing. */
  readonly keepPrint: boolean;
}

/** A compiler with every builtin there is. */
export function regoCompiler({ version, keepPrint }: CompilerOptions): Compile {
  return (modules, data) => compile({ modules, data, version, builtins: nodeBuiltins, keepPrint });
}
