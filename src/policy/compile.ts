import type { Steps } from "../base/index.ts";
import {
  allowedBuiltins,
  type Builtin,
  type Capabilities,
  type CompileOptions,
  compileInSteps,
  type Policy,
} from "../rego/engine/index.ts";
import { nodeBuiltins } from "../rego/node.ts";
import type { Value } from "../rego/value/index.ts";
import type { Declared } from "./declared.ts";
import type { ModuleText, RegoVersion } from "./module-text.ts";

/** Modules, base documents and policy documents in, compiled policy out. @throws {CompileError} */
export type Compile = (modules: readonly ModuleText[], data: Value, declared: Declared | undefined) => Steps<Policy>;

export interface CompilerOptions {
  /** Language of modules that do not say otherwise. */
  readonly version: RegoVersion;
  /** Keep `print` calls; erased, they cost nothing. */
  readonly keepPrint: boolean;
  /** What policies may call. Default: every builtin there is. */
  readonly capabilities?: Capabilities | undefined;
  /** Builtins of our own, over the schedules and rate limits of the policy documents. */
  readonly extend?: (declared: Declared | undefined) => readonly Builtin[];
}

export function regoCompiler(options: CompilerOptions): Compile {
  const optionsFor = compileOptions(options);
  return (...set) => compileInSteps(optionsFor(...set));
}

/** What a set of modules is compiled with. */
export function compileOptions({
  version,
  keepPrint,
  capabilities,
  extend = () => [],
}: CompilerOptions): (
  ...set: Parameters<Compile>
) => Omit<CompileOptions, "modules"> & { readonly modules: readonly ModuleText[] } {
  const allowed = allowedBuiltins(nodeBuiltins, capabilities);
  return (modules, data, declared) => ({
    modules: [...modules, ...(declared?.modules ?? [])],
    data,
    version,
    builtins: [...allowed, ...extend(declared)],
    keepPrint,
  });
}
