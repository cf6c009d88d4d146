import type { Location } from "../../base/index.ts";
import type { Diagnostic, RefTerm, Term } from "../syntax/index.ts";
import type { Signature } from "../types/index.ts";
import type { Value } from "../value/index.ts";
import type { Names } from "./program.ts";
import type { TreeNode } from "./tree.ts";
import { operatorName } from "./walk.ts";

/** Features of OPA's capabilities that change what the compiler accepts. */
export type Feature =
  | "rego_v1"
  | "rego_v1_import"
  | "rule_head_refs"
  | "rule_head_ref_string_prefixes"
  | "template_strings";

export const ALL_FEATURES: ReadonlySet<Feature> = new Set<Feature>([
  "rego_v1",
  "rego_v1_import",
  "rule_head_refs",
  "rule_head_ref_string_prefixes",
  "template_strings",
]);

/** OPA's (v1/ast/compile.go, `CompileErrorLimitDefault`). */
export const ERROR_LIMIT = 10;

/** Findings, up to a limit. @source OPA v1/ast/compile.go, `Compiler.err` */
export class Findings {
  readonly #limit: number;
  readonly #list: Diagnostic[] = [];
  #full = false;

  constructor(limit: number = ERROR_LIMIT) {
    this.#limit = limit;
  }

  add(
    code: Diagnostic["code"],
    message: string,
    at: Location | undefined,
    more: { details?: readonly string[]; hint?: string } = {},
  ): void {
    this.report({ code, message, at, ...more });
  }

  report(...diagnostics: readonly Diagnostic[]): void {
    for (const diagnostic of diagnostics) {
      if (this.#full) return;
      this.#list.push(diagnostic);
      if (this.#list.length === this.#limit) {
        this.#full = true;
        this.#list.push({ code: "rego_compile_error", message: "error limit reached", at: undefined });
      }
    }
  }

  get any(): boolean {
    return this.#list.length > 0;
  }

  /** No more findings are taken. */
  get full(): boolean {
    return this.#full;
  }

  get list(): readonly Diagnostic[] {
    return this.#list;
  }
}

/** Makes names that no module uses: `__local0__`, `__local1__`, … */
export class NameMaker {
  readonly #taken: ReadonlySet<string>;
  readonly #prefix: string;
  #next = 0;

  constructor(prefix: string, taken: ReadonlySet<string>) {
    this.#prefix = prefix;
    this.#taken = taken;
  }

  /** A name that a module has of its own, though it looks made. */
  isTaken(name: string): boolean {
    return this.#taken.has(name);
  }

  make(): string {
    for (;;) {
      const name = `${this.#prefix}${this.#next++}__`;
      if (!this.#taken.has(name)) return name;
    }
  }
}

/** What the stages for modules and those for queries share. */
export interface Environment {
  readonly signatures: ReadonlyMap<string, Signature>;
  readonly tree: TreeNode;
  readonly names: NameMaker;
  readonly sources: Map<string, string>;
  readonly subjects: Map<string, Term>;
  readonly strict: boolean;
  readonly keepPrint: boolean;
  readonly unsafeBuiltins: ReadonlySet<string>;
  readonly features: ReadonlySet<Feature>;
  readonly findings: Findings;
  readonly withTargets: WithTargetsSoFar;
}

export interface WithTargetsSoFar {
  input: boolean;
  readonly data: Map<string, readonly Value[]>;
  readonly builtins: Set<string>;
  readonly functions: Set<string>;
}

/** The name to show for a variable. */
export function sourceName(names: Names, name: string): string {
  const source = names.sources.get(name) ?? name;
  return source.startsWith("$") ? "_" : source;
}

/** Operands of a function, or undefined where there is no such function; 0 for rules without arguments. */
export type ArityOf = (operator: RefTerm) => number | undefined;

export function arityIn(environment: Pick<Environment, "signatures" | "tree">): ArityOf {
  return (operator) => {
    const signature = environment.signatures.get(operatorName(operator));
    if (signature !== undefined) return signature.type.args.length;
    const rules = environment.tree.find(operator)?.rules;
    return rules === undefined || rules.length === 0 ? undefined : (rules[0]?.rule.head.args?.length ?? 0);
  };
}
