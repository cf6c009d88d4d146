import { createTypeChecker } from "./check-types.ts";
import {
  checkRuleNames,
  deprecatedBuiltinVisitor,
  functionVisitor,
  isV1Compatible,
  rootAssignmentVisitor,
  unsafeBuiltinVisitor,
  voidCallVisitor,
} from "./calls.ts";
import { checkConflicts } from "./conflicts.ts";
import {
  ALL_FEATURES,
  type ArityOf,
  arityIn,
  type Environment,
  type Feature,
  Findings,
  NameMaker,
  type WorkModule,
  type WorkRule,
} from "./context.ts";
import {
  comprehensionTermsOf,
  equalsMapper,
  expandRule,
  rewriteDynamics,
  rewriteHeadRef,
  rewriteRefsInHead,
} from "./expand.ts";
import { Graph } from "./graph.ts";
import { rewriteRuleLocals } from "./locals.ts";
import { mapRule } from "./map.ts";
import { AnnotationSet, rewriteMetadata, usesMetadata } from "./metadata.ts";
import { erasePrints, rewritePrints } from "./print.ts";
import type { Program, TypeChecker } from "./program.ts";
import { Globals, importName, resolveRule, unusedImports } from "./resolve.ts";
import { checkHead, orderRule, RuleRows, type Suggest } from "./safety.ts";
import { suggestFor } from "./suggest.ts";
import { rewriteTemplates } from "./template.ts";
import { importText, refText } from "./text.ts";
import { buildTree, fullPath, groundPathOf, kindOf } from "./tree.ts";
import { withMapper } from "./with.ts";
import { branchesOf, isGenerated, mapBranches, refHeadName, type Visitor, walkRule, walkTerm } from "./walk.ts";
import type { Diagnostic, Module, Rule } from "../syntax/index.ts";
import type { Signature } from "../types/index.ts";
import { compareStrings } from "../value/index.ts";

export interface CompileModulesOptions {
  /** Builtins by name. */
  readonly signatures: ReadonlyMap<string, Signature>;
  /** Also report unused imports, assignments and arguments, and in v0 what v1 forbids. */
  readonly strict?: boolean;
  /** Keep `print` calls; by default they are erased. */
  readonly keepPrint?: boolean;
  /** Builtins that policies may not call. */
  readonly unsafeBuiltins?: ReadonlySet<string>;
  /** Language features, as in OPA's capabilities; all by default. */
  readonly features?: ReadonlySet<Feature>;
  /** Default: OPA's type checks without schemas. */
  readonly checkTypes?: TypeChecker;
  /** How many findings to report at most; 10 by default, as OPA. */
  readonly errorLimit?: number;
}

/** The compiler's working state: each stage replaces the rules. */
interface Compilation {
  readonly modules: readonly WorkModule[];
  readonly rules: readonly WorkRule[];
  readonly environment: Environment;
  readonly arityOf: ArityOf;
  readonly options: CompileModulesOptions;
  readonly checkTypes: TypeChecker;
  graph: Graph | undefined;
  types: unknown;
}

type Stage = (compilation: Compilation) => void;

/**
 * Checks modules and brings their rules into the form that evaluation needs. Stages run in OPA's order and stop at the
 * first that found something; at most ten findings are reported.
 * @source OPA v1/ast/compile.go
 */
export function compileModules(
  modules: readonly Module[],
  options: CompileModulesOptions,
): { readonly diagnostics: readonly Diagnostic[] } | { readonly program: Program } {
  const sorted = [...modules].sort((a, b) => compareStrings(a.file, b.file));
  const findings = new Findings(options.errorLimit);
  const works = startRules(sorted);
  resolveRefs(works, options, findings);
  if (findings.any) return { diagnostics: findings.list };
  const names = new NameMaker("__local", takenNames(sorted));
  const subjects: Environment["subjects"] = new Map();
  const features = options.features ?? ALL_FEATURES;
  rewriteHeadRefs(works, { names, subjects }, features, findings);
  if (findings.any) return { diagnostics: findings.list };
  const environment: Environment = {
    signatures: options.signatures,
    tree: buildTree(works),
    names,
    sources: new Map(),
    subjects,
    strict: options.strict === true,
    keepPrint: options.keepPrint === true,
    unsafeBuiltins: options.unsafeBuiltins ?? new Set(),
    features,
    findings,
    withTargets: { input: false, data: new Map(), builtins: new Set(), functions: new Set() },
  };
  const compilation: Compilation = {
    modules: works,
    rules: works.flatMap(({ rules }) => rules),
    environment,
    arityOf: arityIn(environment),
    options,
    checkTypes: options.checkTypes ?? createTypeChecker(),
    graph: undefined,
    types: undefined,
  };
  for (const stage of STAGES) {
    stage(compilation);
    if (findings.any) return { diagnostics: findings.list };
  }
  return { program: { ...programOf(compilation), types: compilation.types } };
}

const STAGES: readonly Stage[] = [
  checkKeywordOverrides,
  checkDuplicateImports,
  rewriteLocals,
  eachBranch((branch, { environment, arityOf }) => rewriteTemplates(branch, environment, arityOf)),
  inspect(({ environment }) => voidCallVisitor(environment)),
  eachBranch((branch, { environment, arityOf }) =>
    environment.keepPrint ? rewritePrints(branch, environment, arityOf) : mapRule(branch, erasePrints),
  ),
  eachBranch((branch, { environment }) => expandRule(branch, environment)),
  rewriteMetadataCalls,
  rewriteComprehensions,
  eachBranch((branch, { environment }) => rewriteRefsInHead(branch, environment)),
  rewriteWiths,
  ({ environment, modules }) => checkConflicts(environment.tree, modules, environment, environment.findings),
  inspect(({ environment, arityOf }) => functionVisitor(environment, arityOf)),
  checkHeads,
  orderBodies,
  eachBranch((branch) => mapRule(branch, equalsMapper)),
  eachBranch((branch, { environment }) => ({ ...branch, body: rewriteDynamics(branch.body, environment) })),
  checkRecursion,
  checkTypes,
  inspect(
    ({ environment }) => unsafeBuiltinVisitor(environment),
    ({ environment }) => environment.unsafeBuiltins.size > 0,
  ),
  checkDeprecated,
];

function startRules(modules: readonly Module[]): readonly WorkModule[] {
  let id = 0;
  return modules.map((module) => ({
    module,
    rules: module.rules.map(
      (rule): WorkRule => ({
        id: id++,
        path: [],
        groundPath: [],
        kind: "complete",
        module,
        rule,
        isDefault: rule.default,
      }),
    ),
  }));
}

/** Names that look generated and stand in a module: policies may hold compiled code. */
function takenNames(modules: readonly Module[]): ReadonlySet<string> {
  const taken = new Set<string>();
  const visitor: Visitor = {
    term: (term) => {
      if (term.kind === "var" && isGenerated(term.name)) taken.add(term.name);
      return false;
    },
  };
  for (const { rules } of modules) {
    for (const rule of rules) {
      for (const branch of branchesOf(rule)) {
        walkTerm(branch.head.reference, visitor);
        walkRule(branch, visitor);
      }
    }
  }
  return taken;
}

function resolveRefs(
  works: readonly WorkModule[],
  { strict, features = ALL_FEATURES }: CompileModulesOptions,
  findings: Findings,
): void {
  const exports = new Map<string, Set<string>>();
  for (const { module } of works) {
    const path = refText(module.package.path);
    let names = exports.get(path);
    if (names === undefined) {
      names = new Set();
      exports.set(path, names);
    }
    for (const { head } of module.rules) names.add(refHeadName(head.reference) ?? "");
  }
  const knowsV1 = features.has("rego_v1_import") || features.has("rego_v1");
  for (const { module, rules } of works) {
    const globals = new Globals(module.package.path, exports.get(refText(module.package.path)) ?? [], module.imports);
    for (const work of rules) {
      const resolved = resolveRule(work.rule, globals);
      if ("shadows" in resolved) {
        findings.add(
          "rego_compile_error",
          `args must not shadow ${resolved.shadows} (use a different variable name)`,
          work.rule.at,
        );
      } else work.rule = resolved;
    }
    if (strict === true)
      for (const imported of unusedImports(module, globals))
        findings.add("rego_compile_error", `${importText(imported)} unused`, imported.at);
    if (!knowsV1) {
      for (const imported of module.imports) {
        if (refText(imported.path) === "rego.v1")
          findings.add("rego_compile_error", "rego.v1 import is not supported", imported.at);
      }
    }
  }
}

function rewriteHeadRefs(
  works: readonly WorkModule[],
  names: Pick<Environment, "names" | "subjects">,
  features: ReadonlySet<Feature>,
  findings: Findings,
): void {
  const v1 = features.has("rego_v1");
  const general = v1 || features.has("rule_head_refs");
  const prefixes = v1 || general || features.has("rule_head_ref_string_prefixes");
  for (const { rules } of works) {
    for (const work of rules) {
      const { head, at } = work.rule;
      const { terms } = head.reference;
      if (!prefixes && terms.length > 2) {
        findings.add("rego_compile_error", `rule heads with refs are not supported: ${refText(head.reference)}`, at);
        continue;
      }
      if (
        !general &&
        terms.some((term, i) => i > 0 && term.kind !== "string" && (head.value === undefined || i !== terms.length - 1))
      ) {
        findings.add(
          "rego_type_error",
          `rule heads with general refs (containing variables) are not supported: ${refText(head.reference)}`,
          at,
        );
        continue;
      }
      work.rule = rewriteHeadRef(work.rule, names);
      placeRule(work);
    }
  }
}

function placeRule(work: WorkRule): void {
  work.path = fullPath(work.module, work.rule.head);
  work.groundPath = groundPathOf(work.path);
  work.kind = kindOf(work.rule.head);
}

function checkKeywordOverrides({ modules, environment }: Compilation): void {
  const { findings, strict } = environment;
  for (const { module, rules } of modules) {
    if (!strict && !isV1Compatible(module)) continue;
    checkRuleNames(
      rules.map(({ rule }) => rule),
      findings,
    );
    const visitor = rootAssignmentVisitor(findings);
    for (const { rule } of rules) for (const branch of branchesOf(rule)) walkRule(branch, visitor);
  }
}

function checkDuplicateImports({ modules, environment }: Compilation): void {
  for (const { module } of modules) {
    if (!environment.strict && !isV1Compatible(module)) continue;
    const seen = new Map<string, Module["imports"][number]>();
    for (const imported of module.imports) {
      const name = importName(imported);
      const earlier = seen.get(name);
      if (earlier === undefined) seen.set(name, imported);
      else environment.findings.add("rego_compile_error", `import must not shadow ${importText(earlier)}`, imported.at);
    }
  }
}

function rewriteLocals({ rules, environment }: Compilation): void {
  const { names, sources, strict, signatures, findings } = environment;
  for (const work of rules) {
    const result = rewriteRuleLocals(work.rule, names, sources, { strict, signatures });
    work.rule = result.rule;
    work.path = fullPath(work.module, work.rule.head);
    findings.report(...result.findings);
  }
}

function eachBranch(change: (branch: Rule, compilation: Compilation) => Rule): Stage {
  return (compilation) => {
    for (const work of compilation.rules) work.rule = mapBranches(work.rule, (branch) => change(branch, compilation));
  };
}

function inspect(
  make: (compilation: Compilation) => Visitor,
  when: (compilation: Compilation) => boolean = () => true,
): Stage {
  return (compilation) => {
    if (!when(compilation)) return;
    const visitor = make(compilation);
    for (const { rule } of compilation.rules) for (const branch of branchesOf(rule)) walkRule(branch, visitor);
  };
}

function rewriteMetadataCalls({ modules, rules, environment }: Compilation): void {
  if (!rules.some(({ rule }) => usesMetadata(rule))) return;
  const set = new AnnotationSet(modules);
  environment.findings.report(...set.findings);
  for (const work of rules)
    work.rule = mapBranches(work.rule, (branch) => rewriteMetadata(work, branch, set, environment));
}

function rewriteComprehensions({ rules, environment }: Compilation): void {
  const mapper = comprehensionTermsOf(environment);
  for (const work of rules) work.rule = mapBranches(work.rule, (branch) => mapRule(branch, mapper));
}

function rewriteWiths({ rules, environment }: Compilation): void {
  const mapper = withMapper(environment);
  for (const work of rules) work.rule = mapBranches(work.rule, (branch) => mapRule(branch, mapper));
}

function suggestIn(work: WorkModule): Suggest {
  const known = [
    ...work.rules.map(({ rule }) => refHeadName(rule.head.reference) ?? ""),
    ...work.module.imports.map(importName),
    "input",
    "data",
  ];
  return (name, expr) => suggestFor(name, expr, known);
}

function checkHeads({ modules, environment }: Compilation): void {
  for (const work of modules) {
    const rows = new RuleRows(work.module.rules);
    const suggest = suggestIn(work);
    for (const { rule } of work.rules) checkHead(rule, environment, rows, suggest);
  }
}

function orderBodies({ modules, environment, arityOf }: Compilation): void {
  for (const work of modules) {
    const rows = new RuleRows(work.module.rules);
    const suggest = suggestIn(work);
    for (const rule of work.rules) rule.rule = orderRule(rule.rule, environment, arityOf, rows, suggest);
  }
}

function checkRecursion(compilation: Compilation): void {
  const { rules, environment } = compilation;
  compilation.graph = new Graph(rules, environment.tree);
  compilation.graph.checkRecursion(environment.findings);
}

function checkTypes(compilation: Compilation): void {
  const { diagnostics, types } = compilation.checkTypes.checkProgram(programOf(compilation));
  compilation.environment.findings.report(...diagnostics);
  compilation.types = types;
}

function checkDeprecated({ modules, environment }: Compilation): void {
  const visitor = deprecatedBuiltinVisitor(environment);
  for (const { module, rules } of modules) {
    if (!environment.strict && !isV1Compatible(module)) continue;
    for (const { rule } of rules) for (const branch of branchesOf(rule)) walkRule(branch, visitor);
  }
}

function programOf({ modules, rules, environment, graph }: Compilation): Omit<Program, "types"> {
  const { tree, signatures, sources, subjects, withTargets } = environment;
  if (graph === undefined) throw new TypeError("rules are put in order before they are used");
  return {
    modules: modules.map(({ module }) => module),
    rules,
    tree,
    signatures,
    sources,
    subjects,
    withTargets: { ...withTargets, data: [...withTargets.data.values()] },
    order: graph.order,
    dependencies: graph,
  };
}
