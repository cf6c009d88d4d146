import { type Builtin, signatureOf } from "../builtins/index.ts";
import { checkForV1 } from "../compile/index.ts";
import type { Diagnostic, Module } from "../syntax/index.ts";

/** What Rego v1 forbids in a module, and formatting cannot mend: `opa fmt` refuses such a module. */
export function v1Findings(module: Module, builtins: readonly Builtin[]): readonly Diagnostic[] {
  return checkForV1(module, new Map(builtins.map((builtin) => [builtin.name, signatureOf(builtin)] as const)));
}
