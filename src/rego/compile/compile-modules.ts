import { eachInSteps, finish, mapInSteps, type Steps } from "../../base/index.ts";
import { type Diagnostic, type Module, parseModule, type Rule } from "../syntax/index.ts";
import type { Signature } from "../types/index.ts";
import { compareStrings, type Value } from "../value/index.ts";
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
import { checkConflicts, checkDataConflicts } from "./conflicts.ts";
import { ALL_FEATURES, type ArityOf, arityIn, type Environment, type Feature, Findings, NameMaker } from "./context.ts";
import type { WorkModule, WorkRule } from "./work.ts";
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
import { AnnotationSet, rewriteMetadata } from "./metadata.ts";
import { erasePrints, rewritePrints } from "./print.ts";
import type { Program, TypeChecker } from "./program.ts";
import { Globals, importName, resolveRule, unusedImports } from "./resolve.ts";
import { checkHead, orderRule, RuleRows, type Suggest } from "./safety.ts";
import { suggestFor } from "./suggest.ts";
import { type Parts, surveyRule } from "./survey.ts";
import { rewriteTemplates } from "./template.ts";
import { importText, refText } from "./text.ts";
import { checkImports } from "./v1-checks.ts";
import { buildTree, fullPath, groundPathOf, kindOf } from "./tree.ts";
import { withMapper } from "./with.ts";
import { branchesOf, mapBranches, refHeadName, type Visitor, walkRule } from "./walk.ts";

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
  /** Base documents that rules must not hide, as bundles are checked; by default rules may. */
  readonly baseDocuments?: Value;
  /** How many findings to report at most; 10 by default, as OPA. */
  readonly errorLimit?: number;
  /** Functions may be missing: the program is looked at, never run. */
  readonly isPartial?: boolean;
}

/** The compiler's working state: each stage replaces the rules. */
interface Compilation {
  readonly modules: readonly WorkModule[];
  readonly rules: readonly WorkRule[];
  /** What each rule holds, by its id. */
  readonly parts: readonly Parts[];
  readonly environment: Environment;
  readonly arityOf: ArityOf;
  readonly options: CompileModulesOptions;
  readonly checkTypes: TypeChecker;
  graph: Graph | undefined;
  types: unknown;
}

type Stage = (compilation: Compilation) => Steps<void>;

/**
 * Checks modules and brings their rules into the form that evaluation needs. Stages run in OPA's order and stop at the
 * first that found something; at most ten findings are reported.
 * @source OPA v1/ast/compile.go
 */
export function compileModules(modules: readonly Module[], options: CompileModulesOptions): CompiledModules {
  return finish(compileModulesInSteps(modules, options));
}

export type CompiledModules = { readonly diagnostics: readonly Diagnostic[] } | { readonly program: Program };

/** The same rule by rule. */
export function* compileModulesInSteps(
  modules: readonly Module[],
  options: CompileModulesOptions,
): Steps<CompiledModules> {
  const sorted = [...modules].sort((a, b) => compareStrings(a.file, b.file));
  const findings = new Findings(options.errorLimit);
  const works = startRules(sorted);
  yield* resolveRefs(works, options, findings);
  if (findings.any) return { diagnostics: findings.list };
  const taken = new Set<string>();
  const rules = works.flatMap((work) => work.rules);
  const parts = yield* mapInSteps(rules, ({ rule }) => surveyRule(rule, options.signatures, taken));
  const names = new NameMaker("__local", taken);
  const subjects: Environment["subjects"] = new Map();
  const features = options.features ?? ALL_FEATURES;
  yield* rewriteHeadRefs(rules, { names, subjects }, features, findings);
  if (findings.any) return { diagnostics: findings.list };
  const environment: Environment = {
    signatures: options.signatures,
    tree: yield* buildTree(works),
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
    rules,
    parts,
    environment,
    arityOf: arityIn(environment),
    options,
    checkTypes: options.checkTypes ?? createTypeChecker({ isPartial: options.isPartial === true }),
    graph: undefined,
    types: undefined,
  };
  for (const stage of STAGES) {
    yield* stage(compilation);
    if (findings.any) return { diagnostics: findings.list };
  }
  return { program: { ...programOf(compilation), types: compilation.types } };
}

const STAGES: readonly Stage[] = [
  checkKeywordOverrides,
  checkDuplicateImports,
  rewriteLocals,
  eachBranch(
    "templates",
    ({ environment, arityOf }) =>
      (branch) =>
        rewriteTemplates(branch, environment, arityOf),
  ),
  inspect("voidCalls", ({ environment }) => voidCallVisitor(environment)),
  eachBranch("prints", ({ environment, arityOf }) =>
    environment.keepPrint
      ? (branch) => rewritePrints(branch, environment, arityOf)
      : (branch) => mapRule(branch, erasePrints),
  ),
  eachBranch(
    "all",
    ({ environment }) =>
      (branch) =>
        expandRule(branch, environment),
  ),
  rewriteMetadataCalls,
  eachBranch("comprehensions", ({ environment }) => {
    const mapper = comprehensionTermsOf(environment);
    return (branch) => mapRule(branch, mapper);
  }),
  eachBranch(
    "all",
    ({ environment }) =>
      (branch) =>
        rewriteRefsInHead(branch, environment),
  ),
  eachBranch("withs", ({ environment }) => {
    const mapper = withMapper(environment);
    return (branch) => mapRule(branch, mapper);
  }),
  function* ({ environment, modules, options }) {
    yield* checkConflicts(environment.tree, modules, environment, environment.findings);
    if (options.baseDocuments !== undefined) {
      checkDataConflicts(environment.tree, options.baseDocuments, environment.findings);
    }
  },
  ofWholePrograms(inspect("all", ({ environment, arityOf }) => functionVisitor(environment, arityOf))),
  checkHeads,
  ofWholePrograms(orderBodies),
  eachBranch("comparisons", () => (branch) => mapRule(branch, equalsMapper)),
  eachBranch("all", ({ environment }) => (branch) => ({ ...branch, body: rewriteDynamics(branch.body, environment) })),
  checkRecursion,
  checkTypes,
  function* ({ rules, environment }) {
    if (environment.unsafeBuiltins.size > 0) yield* inspectRules(rules, unsafeBuiltinVisitor(environment));
  },
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

function* resolveRefs(
  works: readonly WorkModule[],
  { strict, features = ALL_FEATURES }: CompileModulesOptions,
  findings: Findings,
): Steps<void> {
  const exports = new Map<string, Set<string>>();
  yield* eachInSteps(works, ({ module }) => {
    const path = refText(module.package.path);
    let names = exports.get(path);
    if (names === undefined) {
      names = new Set();
      exports.set(path, names);
    }
    for (const { head } of module.rules) names.add(refHeadName(head.reference) ?? "");
  });
  const knowsV1 = features.has("rego_v1_import") || features.has("rego_v1");
  for (const { module, rules } of works) {
    const globals = new Globals(module.package.path, exports.get(refText(module.package.path)) ?? [], module.imports);
    yield;
    yield* eachInSteps(rules, (work) => {
      const resolved = resolveRule(work.rule, globals);
      if ("shadows" in resolved) {
        findings.add(
          "rego_compile_error",
          `args must not shadow ${resolved.shadows} (use a different variable name)`,
          work.rule.at,
        );
      } else work.rule = resolved;
    });
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
  rules: readonly WorkRule[],
  names: Pick<Environment, "names" | "subjects">,
  features: ReadonlySet<Feature>,
  findings: Findings,
): Steps<void> {
  const v1 = features.has("rego_v1");
  const general = v1 || features.has("rule_head_refs");
  const prefixes = v1 || general || features.has("rule_head_ref_string_prefixes");
  return eachInSteps(rules, (work) => {
    const { head, at } = work.rule;
    const { terms } = head.reference;
    if (!prefixes && terms.length > 2) {
      findings.add("rego_compile_error", `rule heads with refs are not supported: ${refText(head.reference)}`, at);
      return;
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
      return;
    }
    work.rule = rewriteHeadRef(work.rule, names);
    placeRule(work);
  });
}

function placeRule(work: WorkRule): void {
  work.path = fullPath(work.module, work.rule.head);
  work.groundPath = groundPathOf(work.path);
  work.kind = kindOf(work.rule.head);
}

function* checkKeywordOverrides({ modules, environment }: Compilation): Steps<void> {
  const { findings, strict } = environment;
  for (const { module, rules } of modules) {
    if (!strict && !isV1Compatible(module)) continue;
    checkRuleNames(
      rules.map(({ rule }) => rule),
      findings,
    );
    yield;
    yield* inspectRules(rules, rootAssignmentVisitor(findings));
  }
}

function checkDuplicateImports({ modules, environment }: Compilation): Steps<void> {
  return eachInSteps(modules, ({ module }) => {
    if (environment.strict || isV1Compatible(module)) checkImports(module, environment.findings);
  });
}

function rewriteLocals({ rules, environment }: Compilation): Steps<void> {
  const { names, sources, strict, signatures, findings } = environment;
  return eachInSteps(rules, (work) => {
    const local = rewriteRuleLocals(work.rule, names, sources, { strict, signatures });
    work.rule = local.result;
    work.path = fullPath(work.module, work.rule.head);
    findings.report(...local.findings);
  });
}

/** A stage for the rules that hold something. @param make is called once per compilation */
function eachBranch(holding: keyof Parts | "all", make: (compilation: Compilation) => (branch: Rule) => Rule): Stage {
  return (compilation) => {
    const change = make(compilation);
    return eachInSteps(compilation.rules, (work) => {
      if (holding === "all" || compilation.parts[work.id]?.[holding] === true)
        work.rule = mapBranches(work.rule, change);
    });
  };
}

function inspect(holding: keyof Parts | "all", make: (compilation: Compilation) => Visitor): Stage {
  return (compilation) => {
    const { rules, parts } = compilation;
    return inspectRules(
      holding === "all" ? rules : rules.filter(({ id }) => parts[id]?.[holding] === true),
      make(compilation),
    );
  };
}

/** Of a part of a program it is not known what functions there are, nor then what their calls bind. */
function ofWholePrograms(stage: Stage): Stage {
  return function* (compilation) {
    if (compilation.options.isPartial !== true) yield* stage(compilation);
  };
}

function inspectRules(rules: readonly WorkRule[], visitor: Visitor): Steps<void> {
  return eachInSteps(rules, ({ rule }) => {
    for (const branch of branchesOf(rule)) walkRule(branch, visitor);
  });
}

function* rewriteMetadataCalls({ modules, rules, parts, environment }: Compilation): Steps<void> {
  if (!parts.some(({ metadata }) => metadata)) return;
  const set = new AnnotationSet(
    modules.map((work) => ({ ...work, module: withAnnotations(work.module, environment.findings) })),
  );
  environment.findings.report(...set.findings);
  yield* eachInSteps(rules, (work) => {
    if (parts[work.id]?.metadata === true)
      work.rule = mapBranches(work.rule, (branch) => rewriteMetadata(work, branch, set, environment));
  });
}

/** Annotations are read when somebody asks for them, if not before. */
function withAnnotations(module: Module, findings: Findings): Module {
  if (module.annotations.length > 0 || !module.comments.some(({ text }) => text.includes("METADATA"))) return module;
  const parsed = parseModule(module.package.at.source, {
    version: module.version === "v1" ? "v1" : "v0",
    annotations: true,
  });
  if (parsed.diagnostics === undefined) return { ...module, annotations: parsed.value.annotations };
  findings.report(...parsed.diagnostics);
  return module;
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

function* checkHeads({ modules, environment }: Compilation): Steps<void> {
  for (const work of modules) {
    const rows = new RuleRows(work.module.rules);
    const suggest = suggestIn(work);
    yield;
    yield* eachInSteps(work.rules, ({ rule }) => checkHead(rule, environment, rows, suggest));
  }
}

function* orderBodies({ modules, environment, arityOf }: Compilation): Steps<void> {
  for (const work of modules) {
    const rows = new RuleRows(work.module.rules);
    const suggest = suggestIn(work);
    yield;
    yield* eachInSteps(work.rules, (rule) => {
      rule.rule = orderRule(rule.rule, environment, arityOf, rows, suggest);
    });
  }
}

function* checkRecursion(compilation: Compilation): Steps<void> {
  const { rules, environment } = compilation;
  compilation.graph = yield* Graph.of(rules, environment.tree);
  yield* compilation.graph.checkRecursion(environment.findings);
}

function* checkTypes(compilation: Compilation): Steps<void> {
  const { diagnostics, types } = yield* compilation.checkTypes.checkProgram(programOf(compilation));
  compilation.environment.findings.report(...diagnostics);
  compilation.types = types;
}

function* checkDeprecated({ modules, environment }: Compilation): Steps<void> {
  const visitor = deprecatedBuiltinVisitor(environment);
  for (const { module, rules } of modules) {
    if (!environment.strict && !isV1Compatible(module)) continue;
    yield;
    yield* inspectRules(rules, visitor);
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
