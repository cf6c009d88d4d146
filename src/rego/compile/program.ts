import type { Location, Steps } from "../../base/index.ts";
import type { Body, Diagnostic, Module, Rule, Term } from "../syntax/index.ts";
import type { Signature } from "../types/index.ts";
import type { Value } from "../value/index.ts";

/**
 * What a rule makes:
 * - `complete`: one value at a ground path (`p := 1`, `p.q.r := 1`);
 * - `function`: head arguments;
 * - `set`: `p contains x`;
 * - `object`: one value at a path with variables (`p[k] := v`, `p.q[x].r[y] := v`);
 * - `setobject`: sets at a path with variables (`p[x] contains y`).
 */
export type RuleKind = "complete" | "function" | "set" | "object" | "setobject";

/** One rule with its `else` branches, ready for evaluation. */
export interface CompiledRule {
  /** Position in `Program.rules`. */
  readonly id: number;
  /** The full name: var `data`, strings of the package, then the head's reference; dynamic parts are var terms. */
  readonly path: readonly Term[];
  /** The longest part of `path` without variables, after `data`. */
  readonly groundPath: readonly Value[];
  readonly kind: RuleKind;
  /** The module as it was parsed. */
  readonly module: Module;
  /**
   * The rewritten rule. In it and its `else` branches refs are absolute, locals are renamed apart, nested calls are hoisted
   * into preceding expressions, and bodies are in an order in which every variable is bound before it is needed.
   */
  readonly rule: Rule;
  readonly isDefault: boolean;
}

/** Rules by path. The root is the node above `data`'s children, that is the node of `data` itself. */
export interface RuleTreeNode {
  /** The path element that leads here; `"data"` at the root. */
  readonly key: Value;
  /** By key. Numbers are keyed by their canonical form: use `childOf`. */
  readonly children: ReadonlyMap<Value, RuleTreeNode>;
  /** The rules whose ground path ends here, in module order. */
  readonly rules: readonly CompiledRule[];
  /** Some rule hangs below this node. */
  readonly hasRulesBelow: boolean;
  /** `data.system`: left out of the extent of `data`. */
  readonly hidden: boolean;
}

/** What `with` modifiers somewhere in the program replace. */
export interface WithTargets {
  readonly input: boolean;
  /** Paths after `data`, cut at the first variable. */
  readonly data: readonly (readonly Value[])[];
  /** Builtins by name. */
  readonly builtins: ReadonlySet<string>;
  /** User functions, by the text of their ref (`data.a.f`). */
  readonly functions: ReadonlySet<string>;
}

/** A rule or one of its `else` branches. */
export interface RuleBranch {
  readonly compiled: CompiledRule;
  readonly rule: Rule;
}

/** What is known of the names the compiler made. */
export interface Names {
  /** Generated variable → the name in the source (`$0` for a wildcard). */
  readonly sources: ReadonlyMap<string, string>;
  /** Generated variable → the term it stands for, for messages about refs. */
  readonly subjects: ReadonlyMap<string, Term>;
}

export interface Program extends Names {
  /** As parsed, in the order of their file names. */
  readonly modules: readonly Module[];
  readonly rules: readonly CompiledRule[];
  readonly tree: RuleTreeNode;
  readonly signatures: ReadonlyMap<string, Signature>;
  readonly withTargets: WithTargets;
  /** Every branch after the branches it depends on. */
  readonly order: readonly RuleBranch[];
  readonly dependencies: Dependencies;
  /** What the type checker learnt, for checking queries; opaque here. */
  readonly types: unknown;
}

export interface Dependencies {
  /** Ids of the rules that evaluating this rule may read directly. */
  of(id: number): ReadonlySet<number>;
  /** Ids of the rules that may read this rule directly. */
  on(id: number): ReadonlySet<number>;
}

/** One literal of a query, for its results. */
export interface QueryExpression {
  /** Variable that holds the literal's value; absent: it is `true` whenever the query holds. */
  readonly variable: string | undefined;
  readonly at: Location;
}

export interface CompiledQuery extends Names {
  readonly body: Body;
  /** Variables to report, in order of appearance: the name in the query and the name in `body`. */
  readonly variables: readonly { readonly name: string; readonly variable: string }[];
  readonly expressions: readonly QueryExpression[];
  readonly withTargets: WithTargets;
}

/**
 * The type checker, injected. It returns its findings, and what it learnt when there are none; the latter comes back with queries.
 */
export interface TypeChecker {
  checkProgram(program: Omit<Program, "types">): Steps<{
    readonly diagnostics: readonly Diagnostic[];
    readonly types: unknown;
  }>;
  checkQuery(body: Body, program: Program, names: Names): readonly Diagnostic[];
}
