import { eachInSteps, type Location } from "../../base/index.ts";
import type { Body, Comprehension, Diagnostic, Expr, RefTerm, Rule, Term, With } from "../syntax/index.ts";
import {
  ANY,
  arrayType,
  functionType,
  isAny,
  isUnknown,
  objectType,
  overrideMember,
  type Signature,
  setType,
  type Type,
  unifies,
  union,
} from "../types/index.ts";
import { compareStrings } from "../value/index.ts";
import { sourceName } from "./context.ts";
import type { CompiledRule, Names, Program, RuleBranch, RuleTreeNode, TypeChecker } from "./program.ts";
import { refText } from "./text.ts";
import { childOf } from "./tree.ts";
import { constantOf, groundPrefix, TypeEnv, TypeTree } from "./type-env.ts";
import { arityError, callError, matchError, type TypeDiagnostic, typeError } from "./type-errors.ts";
import { checkRefs, type ShowRef } from "./type-refs.ts";
import { type Schemas, SchemaAnnotations, schemaTypeOf } from "./type-schemas.ts";
import { unifyTerms, unifyWithType } from "./type-unify.ts";
import { isComprehension, operatorName, refOf, walkExpr } from "./walk.ts";

export interface TypeCheckOptions {
  /** Schemas by the text of their ref: `schema` is that of `input`, others are named by `schemas` annotations. */
  readonly schemas?: Schemas;
  /** Whether `schemas` annotations count. Default: they do. */
  readonly annotations?: boolean;
  /** Functions may be missing. */
  readonly isPartial?: boolean;
}

/** What checking a program has learnt. */
interface CheckedTypes {
  readonly env: TypeEnv;
  readonly relaxed: RelaxedRules;
}

/**
 * The type checker of OPA (v1/ast/check.go): infers the types of rules in the order of their dependencies, and reports
 * operands, unifications and refs that cannot hold for any input. Bodies of `every`, `not { }` and logical expressions are
 * checked for their refs only, as there.
 */
export function createTypeChecker(options: TypeCheckOptions = {}): TypeChecker {
  return {
    *checkProgram(program) {
      const relaxed = new RelaxedRules(program);
      const bodies = new BodyChecker(showRef(program), relaxed, options.isPartial === true);
      const { env, errors } = rootEnv(program, bodies, options);
      const checker = new RuleChecker(env, bodies, program, options);
      yield* eachInSteps(program.order, (branch) => checker.check(branch));
      const diagnostics = [...errors, ...checker.errors.sort(byPlace)];
      const types: CheckedTypes = { env: checker.env, relaxed };
      return { diagnostics: diagnostics.map(withoutCause), types };
    },
    checkQuery(body, program, names) {
      const { env, relaxed } = program.types as CheckedTypes;
      return new BodyChecker(showRef(names), relaxed).check(env, body).errors.map(withoutCause);
    },
  };
}

function withoutCause({ unknownCause: _, ...diagnostic }: TypeDiagnostic): Diagnostic {
  return diagnostic;
}

function byPlace(a: TypeDiagnostic, b: TypeDiagnostic): number {
  if (a.at === undefined || b.at === undefined) return Number(a.at !== undefined) - Number(b.at !== undefined);
  const byFile = compareStrings(a.at.source.name, b.at.source.name);
  if (byFile !== 0) return byFile;
  if (a.at.row !== b.at.row) return a.at.row - b.at.row;
  return a.at.col !== b.at.col ? a.at.col - b.at.col : compareStrings(a.message, b.message);
}

/** Refs as their authors wrote them: made-up variables give way to what they stand for. */
function showRef(names: Names): ShowRef {
  const shown = (term: Term): Term => {
    if (term.kind === "var") return names.subjects.get(term.name) ?? { ...term, name: sourceName(names, term.name) };
    return term.kind === "ref" ? { ...term, terms: term.terms.map(shown) } : term;
  };
  return (ref) => {
    const [head, ...rest] = ref.terms.map(shown);
    // `[1, 2][i]`, and refs into refs read as one.
    return head?.kind === "ref" ? [...head.terms, ...rest] : [head as Term, ...rest];
  };
}

/** Builtins, and `input` where a schema tells of it. */
function rootEnv(
  program: Pick<Program, "signatures">,
  bodies: BodyChecker,
  options: TypeCheckOptions,
): { env: TypeEnv; errors: TypeDiagnostic[] } {
  const env = new TypeEnv((closure, scope) => closureType(bodies, closure, scope));
  for (const signature of program.signatures.values()) env.tree.put(operatorPath(signature), signature.type);
  const inputSchema = options.schemas?.get("schema");
  if (inputSchema === undefined) return { env, errors: [] };
  const input = schemaTypeOf(inputSchema);
  if ("error" in input) return { env, errors: [typeError(undefined, input.error)] };
  env.tree.put([{ kind: "var", name: "input", at: NOWHERE }], input.type);
  return { env, errors: [] };
}

const NOWHERE = undefined as unknown as Location;

function operatorPath(signature: Signature): readonly Term[] {
  return refOf(signature.name, NOWHERE).terms;
}

/** A comprehension with a wrong body has no type: its errors are reported where the body is checked. */
function closureType(bodies: BodyChecker, term: Term, env: TypeEnv): Type | undefined {
  const closure = term as Comprehension;
  const { env: inner, errors } = bodies.check(env, closure.body);
  if (errors.length > 0) return undefined;
  switch (closure.kind) {
    case "arraycomprehension":
      return arrayType([], inner.typeOf(closure.term));
    case "setcomprehension":
      return setType(inner.typeOf(closure.term));
    case "objectcomprehension":
      return objectType([], { key: inner.typeOf(closure.key), value: inner.typeOf(closure.value) });
  }
}

interface CheckedBody {
  readonly env: TypeEnv;
  readonly errors: readonly TypeDiagnostic[];
}

/** Checks bodies. */
class BodyChecker {
  readonly #show: ShowRef;
  readonly #relaxed: RelaxedRules;
  readonly #isPartial: boolean;
  /** A comprehension is asked for several times in one scope; without memory, nested ones would take exponential time. */
  readonly #checked = new WeakMap<TypeEnv, Map<Body, CheckedBody>>();

  constructor(show: ShowRef, relaxed: RelaxedRules, isPartial = false) {
    this.#show = show;
    this.#relaxed = relaxed;
    this.#isPartial = isPartial;
  }

  /** The scope of the body, with the types of its variables, and what is wrong. */
  check(outer: TypeEnv, body: Body): CheckedBody {
    let checked = this.#checked.get(outer);
    if (checked === undefined) {
      checked = new Map();
      this.#checked.set(outer, checked);
    }
    let result = checked.get(body);
    if (result === undefined) {
      result = this.#check(outer, body);
      checked.set(body, result);
    }
    return result;
  }

  #check(outer: TypeEnv, body: Body): CheckedBody {
    const env = outer.wrap();
    const errors: TypeDiagnostic[] = [];
    for (const expr of body) {
      const scope = expr.with.length > 0 ? this.#withScope(env, expr) : env;
      const parts = [...this.#closureErrors(scope, expr), ...checkRefs(expr, scope, this.#show)];
      const own = this.#isPartial && isOfUnknown(scope, expr) ? undefined : checkExpr(scope, expr);
      errors.push(...parts);
      if (own !== undefined && !(parts.length > 0 && own.unknownCause)) errors.push(own);
    }
    return { env, errors };
  }

  #closureErrors(env: TypeEnv, expr: Expr): readonly TypeDiagnostic[] {
    let errors: readonly TypeDiagnostic[] = [];
    walkExpr(expr, {
      term: (term) => {
        if (!isComprehension(term)) return false;
        const found = this.check(env, term.body).errors;
        if (found.length > 0) errors = found;
        return true;
      },
    });
    return errors;
  }

  /** Replaced documents may also be of the type of their replacement, and what depends on them may be anything. */
  #withScope(env: TypeEnv, expr: Expr): TypeEnv {
    let scope = env;
    const replaced: { readonly path: readonly Term[]; readonly type: Type }[] = [];
    for (const modifier of expr.with) {
      if (modifier.target.kind !== "ref") continue;
      const { terms } = modifier.target;
      const type = env.typeOfRef(terms);
      const isFunction = type?.kind === "function";
      const dependents = this.#relaxed.dependents(modifier.target, isFunction);
      if (dependents !== undefined) scope = scope.wrapWith(dependents);
      if (!isFunction) {
        const path = groundPrefix(terms);
        replaced.push({ path, type: path.length === terms.length ? replacedType(env, type, modifier) : ANY });
      }
    }
    if (replaced.length === 0) return scope;
    // Innermost, so that a replaced document keeps its type even if another modifier replaces what it depends on.
    scope = scope.wrapWith();
    for (const { path, type } of replaced) scope.tree.put(path, type);
    return scope;
  }
}

function replacedType(env: TypeEnv, type: Type | undefined, modifier: With): Type {
  const value = env.typeOf(modifier.value);
  return type === undefined || value === undefined ? ANY : (union(type, value) ?? ANY);
}

function isOfUnknown(env: TypeEnv, { form }: Expr): boolean {
  return form.kind === "call" && env.typeOfRef(form.operator.terms) === undefined;
}

function checkExpr(env: TypeEnv, expr: Expr): TypeDiagnostic | undefined {
  for (const modifier of expr.with) {
    const error = checkFunctionReplacement(env, modifier);
    if (error !== undefined) return error;
  }
  if (expr.form.kind !== "call") return undefined;
  const { operator, args } = expr.form;
  return operatorName(operator) === "eq" ? checkEquality(env, expr.at, args) : checkCall(env, expr.at, operator, args);
}

function checkFunctionReplacement(env: TypeEnv, modifier: With): TypeDiagnostic | undefined {
  const target = env.typeOf(modifier.target);
  const value = env.typeOf(modifier.value);
  if (target?.kind !== "function" || value?.kind !== "function" || unifies(target, value)) return undefined;
  const name = modifier.target.kind === "ref" ? refText(modifier.target) : modifier.target.name;
  return arityError(
    modifier.at,
    name,
    value.args.map(({ type }) => type),
    target,
  );
}

function checkEquality(env: TypeEnv, at: Location, args: readonly Term[]): TypeDiagnostic | undefined {
  const have = args.map((arg) => env.typeOf(arg));
  const [left, right] = args;
  const want = functionType([ANY, ANY], undefined);
  if (left === undefined || right === undefined) return callError(at, "eq", "too few arguments", have, want);
  if (args.length > 2) return callError(at, "eq", "too many arguments", have, want);
  return unifyTerms(env, left, right) ? undefined : matchError(at, have[0], have[1]);
}

function checkCall(env: TypeEnv, at: Location, operator: RefTerm, args: readonly Term[]): TypeDiagnostic | undefined {
  const type = env.typeOfRef(operator.terms);
  if (isAny(type)) return undefined;
  if (type?.kind !== "function") return typeError(at, `undefined function ${refText(operator)}`);
  const name = refText(operator);
  const operands = [...type.args, ...(type.result === undefined ? [] : [type.result])].map((operand) => operand.type);
  const have = args.map((arg) => env.typeOf(arg));
  if (args.length > operands.length && type.variadic === undefined)
    return callError(at, name, "too many arguments", have, type);
  if (args.length < type.args.length) return callError(at, name, "too few arguments", have, type);
  for (const [i, arg] of args.entries()) {
    const want = i < operands.length ? operands[i] : type.variadic;
    if (!isUnknown(have[i]) && !unifies(have[i], want)) return callError(at, name, "invalid argument(s)", have, type);
    if (!unifyWithType(env, arg, want)) {
      const learnt = args.map((operand) => env.typeOf(operand));
      return callError(at, name, "invalid argument(s)", learnt, type);
    }
  }
  return undefined;
}

/** Checks rules, and keeps their types for the rules that depend on them. */
class RuleChecker {
  /** Rules by their paths. */
  readonly env: TypeEnv;
  readonly errors: TypeDiagnostic[] = [];
  readonly #bodies: BodyChecker;
  readonly #annotations: SchemaAnnotations | undefined;

  constructor(
    root: TypeEnv,
    bodies: BodyChecker,
    program: Pick<Program, "modules" | "rules">,
    options: TypeCheckOptions,
  ) {
    this.env = root.wrap();
    this.#bodies = bodies;
    this.#annotations = options.annotations === false ? undefined : new SchemaAnnotations(program, options.schemas);
  }

  check({ compiled, rule }: RuleBranch): void {
    const scope = this.env.wrap();
    this.#applySchemas(scope, compiled, rule);
    const { env, errors } = this.#bodies.check(scope, rule.body);
    if (errors.length > 0) {
      this.errors.push(...errors);
      // Whatever refers to this rule has done nothing wrong.
      this.env.tree.put(groundPrefix(compiled.path), ANY);
      return;
    }
    const type = ruleType(env, compiled, rule);
    if (type !== undefined) this.env.tree.insert(groundPrefix(compiled.path), type);
  }

  #applySchemas(scope: TypeEnv, compiled: CompiledRule, rule: Rule): void {
    for (const { path, type, error } of this.#annotations?.of(compiled, rule) ?? []) {
      if (error !== undefined) this.errors.push(typeError(rule.at, error));
      if (type === undefined) continue;
      const known = knownPrefix(scope, path);
      if (known === undefined || known.length === path.length) scope.tree.put(path, type);
      else {
        const keys = path.slice(known.length).map((term) => constantOf(term) ?? null);
        scope.tree.put(path.slice(0, known.length), overrideMember(known.type, keys, type));
      }
    }
  }
}

/** The shortest prefix of a path that something is known of. */
function knownPrefix(
  env: TypeEnv,
  path: readonly Term[],
): { readonly length: number; readonly type: Type } | undefined {
  for (let length = 1; length < Math.max(path.length, 2); length++) {
    const type = env.typeOfRef(path.slice(0, length));
    if (type !== undefined) return { length, type };
  }
  return undefined;
}

function ruleType(env: TypeEnv, compiled: CompiledRule, rule: Rule): Type | undefined {
  const { args = [], key, value } = rule.head;
  if (args.length > 0) {
    for (const arg of args) assumeAny(env, arg);
    return functionType(
      args.map((arg) => env.typeOf(arg)),
      value === undefined ? undefined : env.typeOf(value),
    );
  }
  const isSet = compiled.kind === "set" || compiled.kind === "setobject";
  const of = isSet ? key : value;
  const member = of === undefined ? undefined : env.typeOf(of);
  if (member === undefined) return undefined;
  const dynamic = compiled.path.slice(groundPrefix(compiled.path).length);
  return nestedObject(env, dynamic, isSet ? setType(member) : member);
}

/** Arguments that the body does not use may be anything. */
function assumeAny(env: TypeEnv, term: Term): void {
  walkExpr(
    {
      form: { kind: "call", operator: refOf("eq", term.at), args: [term] },
      negated: false,
      with: [],
      index: 0,
      generated: true,
      at: term.at,
    },
    {
      term: (part) => {
        if (part.kind === "var" && env.typeOf(part) === undefined) env.vars.put([part], ANY);
        return false;
      },
    },
  );
}

/** What hangs at a path with variables: each of its parts is a key of an object. */
function nestedObject(env: TypeEnv, path: readonly Term[], type: Type): Type | undefined {
  const [key, ...rest] = path;
  if (key === undefined) return type;
  const value = nestedObject(env, rest, type);
  const keyType = env.typeOf(key);
  return value === undefined || keyType === undefined ? undefined : objectType([], { key: keyType, value });
}

/** Trees in which the rules that a `with` target reaches are of any type, made once for each target. */
class RelaxedRules {
  readonly #program: Pick<Program, "rules" | "tree" | "dependencies">;
  readonly #trees = new Map<string, TypeTree | undefined>();

  constructor(program: Pick<Program, "rules" | "tree" | "dependencies">) {
    this.#program = program;
  }

  /** @param isFunction the target keeps its declaration: its arity is checked against the replacement's */
  dependents(target: RefTerm, isFunction: boolean): TypeTree | undefined {
    const key = `${isFunction ? "f:" : ""}${refText(target)}`;
    if (!this.#trees.has(key)) this.#trees.set(key, this.#build(target, isFunction));
    return this.#trees.get(key);
  }

  #build(target: RefTerm, isFunction: boolean): TypeTree | undefined {
    const [head] = target.terms;
    if (head?.kind !== "var" || head.name !== "data") return undefined;
    const open = [...rulesUnder(this.#program.tree, target.terms.slice(1))].map(({ id }) => id);
    const seen = new Set<number>();
    let tree: TypeTree | undefined;
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (seen.has(id)) continue;
      seen.add(id);
      open.push(...this.#program.dependencies.on(id));
      const path = groundPrefix((this.#program.rules[id] as CompiledRule).path);
      if (isFunction && refText({ terms: path }) === refText(target)) continue;
      tree ??= new TypeTree();
      tree.put(path, ANY);
    }
    return tree;
  }
}

/** Rules that a ref may read: those on its way, and all below where it ends. */
function* rulesUnder(node: RuleTreeNode, path: readonly Term[]): Generator<CompiledRule> {
  const [head, ...rest] = path;
  const constant = head === undefined ? undefined : constantOf(head);
  const found = constant === undefined ? [...node.children.values()] : [childOf(node, constant)];
  for (const child of found) {
    if (child === undefined) continue;
    yield* child.rules;
    yield* rulesUnder(child, rest);
  }
}
