import type { Body, Diagnostic, Expr, Module, RefTerm, Term } from "../syntax/index.ts";
import {
  deprecatedBuiltinVisitor,
  functionVisitor,
  rootAssignmentVisitor,
  unsafeBuiltinVisitor,
  voidCallVisitor,
} from "./calls.ts";
import { createTypeChecker } from "./check-types.ts";
import { ALL_FEATURES, type ArityOf, arityIn, type Environment, type Feature, Findings, NameMaker } from "./context.ts";
import { comprehensionTermsOf, expandBody, rewriteDynamics } from "./expand.ts";
import { rewriteQueryLocals } from "./locals.ts";
import { erasePrints, rewritePrintsInBody } from "./print.ts";
import type { CompiledQuery, Program, QueryExpression, TypeChecker } from "./program.ts";
import { Globals, resolveBody } from "./resolve.ts";
import { orderBody, reportUnsafe } from "./safety.ts";
import { suggestFor } from "./suggest.ts";
import { templateMapper } from "./template.ts";
import { refText } from "./text.ts";
import { TreeNode } from "./tree.ts";
import { addBodyVars, addVars } from "./vars.ts";
import {
  isAssignment,
  isComprehension,
  isEquality,
  isGenerated,
  isWildcard,
  numbered,
  operatorName,
  refHeadName,
  refOf,
  ROOT_DOCUMENTS,
  termExpr,
  varTerm,
  walkBody,
} from "./walk.ts";
import { withMapper } from "./with.ts";

export interface CompileQueryOptions {
  readonly strict?: boolean;
  readonly keepPrint?: boolean;
  readonly unsafeBuiltins?: ReadonlySet<string>;
  readonly features?: ReadonlySet<Feature>;
  readonly checkTypes?: TypeChecker;
  /** How many findings to report at most; 10 by default, as OPA. */
  readonly errorLimit?: number;
  /** Names of rules in this package (`data.a.b`), and of imports, are known to the query. */
  readonly package?: RefTerm;
  readonly imports?: Module["imports"];
}

/** A stage of a query; all share the environment. */
type Stage = (body: Body, query: Query) => Body;

interface Query {
  readonly environment: Environment;
  readonly arityOf: ArityOf;
  readonly program: Program;
  readonly options: CompileQueryOptions;
}

/**
 * Compiles a query to run against a program. Unlike in rules, `==` stays a function that may be false.
 * @source OPA v1/ast/compile.go, queryCompiler; v1/rego/rego.go, rewriteQueryToCaptureValue
 */
export function compileQuery(
  body: Body,
  program: Program,
  options: CompileQueryOptions,
): { readonly diagnostics: readonly Diagnostic[] } | { readonly query: CompiledQuery } {
  const findings = new Findings(options.errorLimit);
  if (body.length === 0) {
    findings.add("rego_compile_error", "empty query cannot be compiled", undefined);
    return { diagnostics: findings.list };
  }
  if (!(program.tree instanceof TreeNode)) throw new TypeError("the program was not made by compileModules");
  const taken = new Set<string>();
  addBodyVars(body, taken);
  const environment: Environment = {
    signatures: program.signatures,
    tree: program.tree,
    names: new NameMaker("__localq", taken),
    sources: new Map(),
    subjects: new Map(),
    strict: options.strict === true,
    keepPrint: options.keepPrint === true,
    unsafeBuiltins: options.unsafeBuiltins ?? new Set(),
    features: options.features ?? ALL_FEATURES,
    findings,
    withTargets: { input: false, data: new Map(), builtins: new Set(), functions: new Set() },
  };
  const query: Query = { environment, arityOf: arityIn(environment), program, options };
  let current = body;
  let expressions: readonly QueryExpression[] = [];
  for (const stage of STAGES) {
    if (stage === capture) {
      const captured = captureValues(current, environment);
      current = captured.body;
      expressions = captured.expressions;
    } else current = stage(current, query);
    if (findings.any) return { diagnostics: findings.list };
  }
  const { sources, subjects, withTargets } = environment;
  return {
    query: {
      body: current,
      variables: variablesOf(current, environment),
      expressions,
      sources,
      subjects,
      withTargets: { ...withTargets, data: [...withTargets.data.values()] },
    },
  };
}

const capture: Stage = (body) => body;

const STAGES: readonly Stage[] = [
  (body, { environment }) => {
    if (environment.strict) walkBody(body, rootAssignmentVisitor(environment.findings));
    return body;
  },
  resolve,
  capture,
  (body, { environment }) => {
    const { names, sources, strict } = environment;
    const { result, findings } = rewriteQueryLocals(body, names, sources, strict);
    environment.findings.report(...findings);
    return result;
  },
  (body, { environment, arityOf }) => templateMapper(environment, arityOf, ROOT_DOCUMENTS).body(body),
  (body, { environment }) => {
    walkBody(body, voidCallVisitor(environment));
    return body;
  },
  (body, { environment, arityOf }) =>
    environment.keepPrint ? rewritePrintsInBody(body, environment, arityOf) : erasePrints.body(body),
  (body, { environment }) => expandBody(body, environment),
  (body, { environment }) => comprehensionTermsOf(environment).body(body),
  (body, { environment }) => withMapper(environment).body(body),
  (body, { environment, arityOf }) => {
    walkBody(body, functionVisitor(environment, arityOf));
    return body;
  },
  order,
  (body, { environment }) => rewriteDynamics(body, environment),
  (body, { environment, program, options }) => {
    const checker = options.checkTypes ?? createTypeChecker();
    environment.findings.report(...checker.checkQuery(body, program, environment));
    return body;
  },
  (body, { environment }) => {
    if (environment.unsafeBuiltins.size > 0) walkBody(body, unsafeBuiltinVisitor(environment));
    if (environment.strict && !environment.findings.any) walkBody(body, deprecatedBuiltinVisitor(environment));
    return body;
  },
];

function resolve(body: Body, { program, options }: Query): Body {
  const path = options.package === undefined ? undefined : refText(options.package);
  const names = new Set<string>();
  if (path !== undefined) {
    for (const { module, rule } of program.rules)
      if (refText(module.package.path) === path) names.add(refHeadName(rule.head.reference) ?? "");
  }
  return resolveBody(body, new Globals(options.package, names, options.imports ?? []));
}

function order(body: Body, { environment, arityOf, program }: Query): Body {
  const ordered = orderBody(body, arityOf, ROOT_DOCUMENTS);
  if (ordered.unsafe.size === 0) return ordered.body;
  const packages = program.modules.map((module) => refText(module.package.path));
  reportUnsafe(ordered.unsafe, environment, environment.findings, "", (name, expr) => {
    const rule = program.rules.find((known) => refHeadName(known.rule.head.reference) === name);
    if (rule !== undefined) return `rules are reached by their path: ${refText(rule.module.package.path)}.${name}`;
    const inside = packages.find((path) => path === `data.${name}` || path.startsWith(`data.${name}.`));
    return inside === undefined
      ? suggestFor(name, expr, ROOT_DOCUMENTS)
      : `packages are found below data: data.${name}`;
  });
  return body;
}

/**
 * Gives every literal that has a value a variable to hold it, for the results. Where several literals stand together (or one
 * has several solutions) the variables must also be true enough for the query to hold.
 */
function captureValues(
  body: Body,
  environment: Environment,
): { readonly body: Body; readonly expressions: readonly QueryExpression[] } {
  const check = body.length > 1 || iterates(body, environment);
  const checks: Expr[] = [];
  const expressions: QueryExpression[] = [];
  const captured = body.map((expr) => {
    const { form, at } = expr;
    const hold = (make: (variable: Term) => Expr["form"]): Expr => {
      const name = environment.names.make();
      const variable = varTerm(name, at);
      expressions.push({ variable: name, at });
      if (check) checks.push(termExpr(variable, at, { generated: true }));
      return { ...expr, form: make(variable) };
    };
    if (!expr.negated && !isAssignment(expr) && !isEquality(expr)) {
      if (form.kind === "term")
        return hold((variable) => ({ kind: "call", operator: refOf("eq", at), args: [form.term, variable] }));
      if (form.kind === "call" && takesExactly(form.operator, form.args.length, environment)) {
        return hold((variable) => ({ ...form, args: [...form.args, variable] }));
      }
    }
    expressions.push({ variable: undefined, at });
    return expr;
  });
  return { body: numbered([...captured, ...checks]), expressions };
}

function takesExactly(operator: RefTerm, given: number, { signatures, tree }: Environment): boolean {
  const signature = signatures.get(operatorName(operator));
  if (signature !== undefined) return signature.type.result !== undefined && signature.type.args.length === given;
  const rule = tree.find(operator)?.rules[0];
  return rule !== undefined && (rule.rule.head.args?.length ?? 0) === given;
}

/** Several solutions are possible: a ref with a variable, or a relation. */
function iterates(body: Body, { signatures }: Environment): boolean {
  let found = false;
  walkBody(body, {
    term: (term) => {
      if (isComprehension(term) || found) return true;
      if (term.kind === "ref") {
        found =
          signatures.get(operatorName(term))?.relation === true ||
          term.terms.some((part, i) => i > 0 && part.kind === "var");
      }
      return found;
    },
  });
  return found;
}

/** Variables of the query itself, not of closures, by their names in the query. */
function variablesOf(body: Body, { sources }: Environment): CompiledQuery["variables"] {
  const seen = new Set<string>();
  for (const expr of body) addVars(expr, seen, { skipRefCallHead: true, skipClosures: true });
  const variables: { name: string; variable: string }[] = [];
  for (const variable of seen) {
    const name = sources.get(variable) ?? variable;
    if (!isWildcard(name) && !isGenerated(name) && !ROOT_DOCUMENTS.has(variable)) variables.push({ name, variable });
  }
  return variables;
}
