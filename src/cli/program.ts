import type { Loaded } from "../policy/index.ts";
import {
  type Builtin,
  CompileError,
  compile,
  type Diagnostic,
  languageOf,
  type Module,
  type Policy,
} from "../rego/engine/index.ts";
import { nodeBuiltins } from "../rego/node.ts";
import { parseModule } from "../rego/syntax/index.ts";
import type { Value } from "../rego/value/index.ts";
import { CommandError } from "./command-error.ts";
import type { Flag, FlagValues } from "./flags.ts";
import type { Restrictions } from "./restrictions.ts";
import type { Timers } from "./timers.ts";
import { IGNORE_FLAG } from "./usual-flags.ts";

/** Flags of every command that reads policies. */
export const LOADING_FLAGS: readonly Flag[] = [
  {
    name: "bundle",
    short: "b",
    kind: "list",
    about: "set bundle file(s) or directory path(s). This flag can be repeated.",
  },
  { name: "data", short: "d", kind: "list", about: "set policy or data file(s). This flag can be repeated." },
  IGNORE_FLAG,
];

/** Flags that choose the language. */
export const VERSION_FLAGS: readonly Flag[] = [
  { name: "v0-compatible", kind: "bool", about: "opt-in to OPA features and behaviors prior to the OPA v1.0 release" },
  {
    name: "v1-compatible",
    kind: "bool",
    about: "opt-in to OPA features and behaviors of OPA v1.0 (the default)",
    hidden: true,
  },
];

export function versionOf(values: FlagValues): "v0" | "v1" {
  // As in OPA, v0 takes precedence over v1.
  return values.bool("v0-compatible") ? "v0" : "v1";
}

type Files = Pick<Loaded, "modules" | "data" | "declarations">;

const NOTHING: Files = { modules: [], data: {}, declarations: [] };

/** Reads what `--data` and `--bundle` name. @throws {LoadError} */
export async function loadFiles(values: FlagValues, timers?: Timers): Promise<Files> {
  const data = values.list("data");
  const bundles = values.list("bundle");
  if (data.length === 0 && bundles.length === 0) return NOTHING;
  // Reading files brings YAML and archives along: only where there are files.
  const { loadPaths, mergeInto } = await import("../policy/index.ts");
  const ignore = values.list("ignore");
  const started = performance.now();
  const loaded = await loadPaths(data, { ignore });
  const bundled = bundles.length > 0 ? await loadPaths(bundles, { ignore, bundle: true }) : undefined;
  timers?.add("rego_load_files", started);
  if (bundled === undefined) return loaded;
  if (!mergeInto(loaded.data, bundled.data)) throw new CommandError("merge error");
  return {
    modules: [...loaded.modules, ...bundled.modules],
    data: loaded.data,
    declarations: [...loaded.declarations, ...bundled.declarations],
  };
}

/**
 * Our own builtins, over the schedules and limits of the policy documents among the files. Only where a module names one:
 * what they are made of is not loaded for others.
 *
 * @throws {CommandError} that lists the errors of the documents.
 */
export async function extensionsFor(files: Pick<Files, "modules" | "declarations">): Promise<readonly Builtin[]> {
  if (!files.modules.some(({ text }) => text.includes("cardea."))) return [];
  const { commandBuiltins } = await import("../policy/index.ts");
  if (files.declarations.length === 0) return commandBuiltins(undefined);
  const { compileFiles } = await import("./istio-files.ts");
  return commandBuiltins(compileFiles(files.declarations));
}

export interface PolicySettings extends Restrictions {
  readonly version: "v0" | "v1";
  readonly strict?: boolean;
  readonly annotations?: boolean;
  readonly errorLimit?: number;
  /** Builtins beside Rego's. */
  readonly extensions?: readonly Builtin[];
  /** Keep `print` calls. Default: they are kept. */
  readonly keepPrint?: boolean;
  /** Functions may be missing: the policy is looked at, never run. */
  readonly isPartial?: boolean;
}

/** Parses modules, each in its own version where a bundle says which. @throws {CompileError} with the errors of all modules. */
export function parseModules(modules: Loaded["modules"], settings: PolicySettings): readonly Module[] {
  const parsed: Module[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const module of modules) {
    const result = parseModule(module, {
      version: module.version ?? settings.version,
      annotations: settings.annotations,
      ...languageOf(settings.capabilities),
    });
    if (result.diagnostics !== undefined) diagnostics.push(...result.diagnostics);
    else parsed.push(result.value);
  }
  if (diagnostics.length > 0) throw new CompileError(diagnostics);
  return parsed;
}

/** @throws {CompileError} */
export function compilePolicy(
  files: Pick<Loaded, "modules" | "data">,
  settings: PolicySettings,
  timers?: Timers,
): Policy {
  let started = performance.now();
  const modules = parseModules(files.modules, settings);
  if (modules.length > 0) timers?.add("rego_module_parse", started);
  started = performance.now();
  try {
    return compileModules(modules, files.data, settings);
  } finally {
    if (modules.length > 0) timers?.add("rego_module_compile", started);
  }
}

/** @throws {CompileError} */
export function compileModules(modules: readonly Module[], data: Value, settings: PolicySettings): Policy {
  const { version, capabilities, schemas, strict, keepPrint, errorLimit, isPartial, extensions = [] } = settings;
  return compile({
    modules,
    version,
    data,
    builtins: extensions.length === 0 ? nodeBuiltins : [...nodeBuiltins, ...extensions],
    keepPrint: keepPrint !== false,
    strict: strict === true,
    ...(errorLimit !== undefined && { errorLimit }),
    ...(isPartial === true && { isPartial }),
    ...(capabilities !== undefined && { capabilities }),
    ...(schemas !== undefined && { schemas }),
  });
}
