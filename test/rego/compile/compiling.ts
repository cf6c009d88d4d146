import { portableBuiltins, signatureOf } from "../../../src/rego/builtins/index.ts";
import {
  type CompiledQuery,
  type CompileModulesOptions,
  type CompileQueryOptions,
  compileModules,
  compileQuery,
  type Program,
} from "../../../src/rego/compile/index.ts";
import { type Diagnostic, type Module, parseModule, parseQuery } from "../../../src/rego/syntax/index.ts";

const signatures = new Map(portableBuiltins.map((builtin) => [builtin.name, signatureOf(builtin)] as const));

type Options = Partial<CompileModulesOptions> & { readonly version?: "v0" | "v1"; readonly annotations?: boolean };

function parsed(text: string, file: string, version: "v0" | "v1", annotations: boolean): Module {
  const result = parseModule({ file, text }, { version, annotations });
  if (result.diagnostics !== undefined) throw new Error(result.diagnostics.map(({ message }) => message).join("; "));
  return result.value;
}

/** Modules named a.rego, b.rego, … */
function compiled(
  texts: readonly string[],
  { version = "v1", annotations = true, ...options }: Options,
): ReturnType<typeof compileModules> {
  const modules = texts.map((text, i) => parsed(text, `${String.fromCharCode(97 + i)}.rego`, version, annotations));
  return compileModules(modules, { signatures, ...options });
}

export function programOf(texts: string | readonly string[], options: Options = {}): Program {
  const result = compiled(typeof texts === "string" ? [texts] : texts, options);
  if ("diagnostics" in result) throw new Error(result.diagnostics.map(shown).join("; "));
  return result.program;
}

export function diagnosticsOf(texts: string | readonly string[], options: Options = {}): readonly Diagnostic[] {
  const result = compiled(typeof texts === "string" ? [texts] : texts, options);
  return "diagnostics" in result ? result.diagnostics : [];
}

function queryResult(text: string, program: Program, options: CompileQueryOptions): ReturnType<typeof compileQuery> {
  const body = parseQuery(text);
  if (body.diagnostics !== undefined) throw new Error(body.diagnostics.map(({ message }) => message).join("; "));
  return compileQuery(body.value, program, options);
}

export function queryOf(text: string, program = programOf([]), options: CompileQueryOptions = {}): CompiledQuery {
  const result = queryResult(text, program, options);
  if ("diagnostics" in result) throw new Error(result.diagnostics.map(shown).join("; "));
  return result.query;
}

export function queryDiagnosticsOf(
  text: string,
  program = programOf([]),
  options: CompileQueryOptions = {},
): readonly Diagnostic[] {
  const result = queryResult(text, program, options);
  return "diagnostics" in result ? result.diagnostics : [];
}

/** `2:8 rego_unsafe_var_error: var x is unsafe` */
export function shown({ code, message, at }: Diagnostic): string {
  return `${at === undefined ? "-" : `${at.row}:${at.col}`} ${code}: ${message}`;
}
