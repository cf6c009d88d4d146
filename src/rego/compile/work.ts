import type { Module, Rule, Term } from "../syntax/index.ts";
import type { Value } from "../value/index.ts";
import type { CompiledRule, RuleKind } from "./program.ts";

/** A rule while its stages run: they replace `rule`. */
export interface WorkRule extends CompiledRule {
  readonly id: number;
  path: readonly Term[];
  groundPath: readonly Value[];
  kind: RuleKind;
  rule: Rule;
}

export interface WorkModule {
  readonly module: Module;
  readonly rules: readonly WorkRule[];
}
