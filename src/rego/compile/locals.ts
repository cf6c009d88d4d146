import type { Location } from "../../base/index.ts";
import type { Body, Diagnostic, Expr, RefTerm, Rule, Term, VarTerm, With } from "../syntax/index.ts";
import type { Signature } from "../types/index.ts";
import type { NameMaker } from "./context.ts";
import { mapChildren, mapForm, mapList, type Mapper } from "./map.ts";
import { collectDeclaredVars, declaredVars } from "./resolve.ts";
import { outputsOfEquality } from "./outputs.ts";
import { refText } from "./text.ts";
import { addVars, varsOf } from "./vars.ts";
import {
  branchesOf,
  chainBranches,
  isAssignment,
  isComprehension,
  isGenerated,
  isWildcard,
  numbered,
  refOf,
  rootDocument,
  termExpr,
  varTerm,
  walkBody,
  walkHead,
  walkTerm,
} from "./walk.ts";

/**
 * Gives every declared variable a name of its own, and removes declarations: `x := 1` becomes `__local0__ = 1`,
 * `some x` disappears, `some k, v in xs` becomes `v = xs[k]`. Finds redeclarations and unused declarations.
 * @source OPA v1/ast/compile.go, rewriteLocalVars
 */

/**
 * Scopes that one rule may open. As in OPA, what is inside of `every`, `not { }` and `{ } or { }` is gone through twice, so
 * that the work doubles with every level; rules as people write them open a few dozen.
 */
const MAX_SCOPES = 50_000;

/** How many scopes are left; shared by all branches of a rule. */
interface Allowance {
  scopes: number;
}

class NestingError extends Error {}

type Occurrence = "arg" | "seen" | "assigned" | "declared";

class Scope {
  /** Source name → name in force; the same name for variables that are only seen. */
  readonly names = new Map<string, string>();
  readonly occurrences = new Map<string, Occurrence>();
  readonly counts = new Map<string, number>();
}

/** Everything one rule branch (or query) needs while its names are made. */
class Locals {
  readonly #maker: NameMaker;
  readonly #sources: Map<string, string>;
  readonly #strict: boolean;
  readonly #scopes: Scope[];
  readonly #allowance: Allowance;
  readonly findings: Diagnostic[] = [];
  readonly #mapper: Mapper;

  constructor(
    maker: NameMaker,
    sources: Map<string, string>,
    strict: boolean,
    allowance: Allowance,
    scopes: Scope[] = [new Scope()],
  ) {
    this.#allowance = allowance;
    this.#maker = maker;
    this.#sources = sources;
    this.#strict = strict;
    this.#scopes = scopes;
    this.#mapper = {
      term: (term) => this.#term(term),
      expr: (expr) => this.#expr(expr),
      body: (body) => mapList(body, (expr) => this.#expr(expr)),
    };
  }

  /** A copy that starts from the names known here; for `else` branches, which share arguments. */
  fork(): Locals {
    const scope = new Scope();
    for (const known of this.#scopes) {
      for (const [name, local] of known.names) scope.names.set(name, local);
      for (const [name, occurrence] of known.occurrences) scope.occurrences.set(name, occurrence);
      for (const [name, count] of known.counts) scope.counts.set(name, count);
    }
    return new Locals(this.#maker, this.#sources, this.#strict, this.#allowance, [scope]);
  }

  get #scope(): Scope {
    return this.#scopes[this.#scopes.length - 1] as Scope;
  }

  /** The names of the outermost scope. */
  get names(): ReadonlyMap<string, string> {
    return (this.#scopes[0] as Scope).names;
  }

  insert(name: string, local: string, occurrence: Occurrence): void {
    const scope = this.#scope;
    scope.names.set(name, local);
    scope.occurrences.set(name, occurrence);
    scope.counts.set(name, 1);
    if (local !== name) this.#sources.set(local, name);
  }

  fresh(): string {
    return this.#maker.make();
  }

  declared(name: string): string | undefined {
    for (let i = this.#scopes.length - 1; i >= 0; i--) {
      const local = this.#scopes[i]?.names.get(name);
      if (local !== undefined) return local;
    }
    return undefined;
  }

  seen(name: string): void {
    for (let i = this.#scopes.length - 1; i >= 0; i--) {
      const counts = (this.#scopes[i] as Scope).counts;
      const count = counts.get(name);
      if (count !== undefined) {
        counts.set(name, count + 1);
        return;
      }
    }
    this.#scope.counts.set(name, 1);
  }

  count(name: string): number {
    for (let i = this.#scopes.length - 1; i >= 0; i--) {
      const count = this.#scopes[i]?.counts.get(name);
      if (count !== undefined) return count;
    }
    return 0;
  }

  /** Declares a name in the innermost scope; undefined, with a finding, if it is taken there. */
  #declare(name: string, occurrence: Occurrence, at: Location): string | undefined {
    const taken = this.#scope.occurrences.get(name);
    if (taken !== undefined) {
      const shown = isWildcard(name) ? "_" : name;
      const how = {
        arg: `arg ${shown} redeclared`,
        seen: `var ${shown} referenced above`,
        assigned: `var ${shown} assigned above`,
        declared: `var ${shown} declared above`,
      };
      this.#fail(how[taken], at);
      return undefined;
    }
    const local = this.fresh();
    this.insert(name, local, occurrence);
    return local;
  }

  #fail(message: string, at: Location | undefined): void {
    this.findings.push({ code: "rego_compile_error", message, at });
  }

  #nested<T>(work: () => T): T {
    if (--this.#allowance.scopes < 0) throw new NestingError();
    this.#scopes.push(new Scope());
    try {
      return work();
    } finally {
      this.#scopes.pop();
    }
  }

  /** @param used names that the head (of rule or comprehension) uses */
  body(body: Body, used: ReadonlySet<string>): Body {
    const rewritten: (Expr | undefined)[] = [];
    for (const expr of body) rewritten.push(this.#literal(expr));
    let result = rewritten.filter((expr) => expr !== undefined);
    if (result.length === 0) {
      const at = (body[0] as Expr).at;
      result = [termExpr({ kind: "boolean", value: true, at }, at)];
    }
    this.#checkUnusedAssigned(body, rewritten, used);
    this.#checkUnusedDeclared(body, result, used);
    return numbered(result);
  }

  #literal(expr: Expr): Expr | undefined {
    if (isAssignment(expr)) return this.#assignment(expr);
    switch (expr.form.kind) {
      case "some":
        return this.#some(expr);
      case "every":
        return this.#every(expr);
      case "not":
        return this.#not(expr);
      case "logical":
        return this.#logical(expr);
      default:
        return this.#expr(expr);
    }
  }

  #assignment(expr: Expr): Expr {
    const { form } = expr;
    if (form.kind !== "call") return expr;
    if (expr.negated) {
      this.#fail("cannot assign vars inside negated expression", expr.at);
      return expr;
    }
    const [target, value] = form.args;
    if (form.args.length !== 2 || target === undefined || value === undefined) return expr;
    const before = this.findings.length;
    const right = this.#term(value);
    const modifiers = mapList(expr.with, (modifier) => {
      const replacement = this.#term(modifier.value);
      return replacement === modifier.value ? modifier : { ...modifier, value: replacement };
    });
    const left = this.#pattern(target);
    if (this.findings.length > before) return { ...expr, form: { ...form, args: [left, right] }, with: modifiers };
    const operator = refOf("eq", form.operator.at);
    return { ...expr, form: { kind: "call", operator, args: [left, right] }, with: modifiers, fromAssignment: true };
  }

  /** The left side of `:=`: its variables are declared. */
  #pattern(term: Term): Term {
    const root = rootDocument(term);
    if (root !== undefined || term.kind === "var") {
      const local = this.#declare(root ?? (term as VarTerm).name, "assigned", term.at);
      return local === undefined ? term : varTerm(local, term.at);
    }
    switch (term.kind) {
      case "array": {
        return { ...term, items: term.items.map((item) => this.#pattern(item)) };
      }
      case "object":
        return { ...term, entries: term.entries.map(([key, value]) => [key, this.#pattern(value)] as const) };
      default:
        this.#fail(`cannot assign to ${kindName(term)}`, term.at);
        return term;
    }
  }

  #some(expr: Expr): Expr | undefined {
    const { form } = expr;
    if (form.kind !== "some") return expr;
    for (const symbol of form.symbols) {
      if (symbol.kind === "var") {
        if (this.#declare(symbol.name, "declared", form.at) === undefined) return undefined;
      } else if (symbol.kind === "call") {
        const made = symbol.args.length === 3 ? undefined : this.fresh();
        const key = made === undefined ? (symbol.args[0] as Term) : varTerm(made, form.at);
        const value = symbol.args[symbol.args.length - 2] as Term;
        const container = symbol.args[symbol.args.length - 1] as Term;
        const terms = container.kind === "ref" ? [...container.terms, key] : [container, key];
        const ref: RefTerm = { kind: "ref", terms, at: container.at };
        const args = [value, ref] as const;
        const outputs = outputsOfEquality(args[0], args[1], varsOf(container), false);
        for (const name of [...outputs].sort()) {
          if (name !== made && this.#declare(name, "declared", form.at) === undefined) return undefined;
        }
        const some: Expr = { ...expr, form: { kind: "call", operator: refOf("eq", form.at), args } };
        return this.#expr(some);
      }
    }
    return undefined;
  }

  #every(expr: Expr): Expr | undefined {
    const { form } = expr;
    if (form.kind !== "every") return expr;
    const domain = this.#term(form.domain);
    return this.#nested(() => {
      const declare = (declared: VarTerm): VarTerm | undefined => {
        if (isWildcard(declared.name)) return declared;
        const local = this.#declare(declared.name, "declared", form.at);
        return local === undefined ? undefined : varTerm(local, declared.at);
      };
      const key = form.key === undefined ? varTerm(this.fresh(), form.at) : declare(form.key);
      const value = key === undefined ? undefined : declare(form.value);
      if (key === undefined || value === undefined) return undefined;
      const body = this.body(form.body, new Set());
      return this.#expr({ ...expr, form: { ...form, key, value, domain, body } });
    });
  }

  #not(expr: Expr): Expr {
    const { form } = expr;
    if (form.kind !== "not") return expr;
    if (!form.explicit) {
      const before = this.findings.length;
      const body = this.#implicitBody(form.body, "cannot assign vars inside negated expression");
      if (this.findings.length > before) return expr;
      return this.#expr({ ...expr, form: { ...form, body } });
    }
    return this.#nested(() => this.#expr({ ...expr, form: { ...form, body: this.body(form.body, new Set()) } }));
  }

  #logical(expr: Expr): Expr {
    const { form } = expr;
    if (form.kind !== "logical") return expr;
    const before = this.findings.length;
    const message = `cannot assign vars inside implicit ${form.operator} operand`;
    const operand = (body: Body, explicit: boolean): Body =>
      explicit ? this.#nested(() => this.body(body, new Set())) : this.#implicitBody(body, message);
    const left = operand(form.left, form.explicitLeft === true);
    const right = operand(form.right, form.explicitRight === true);
    if (this.findings.length > before) return expr;
    return this.#expr({ ...expr, form: { ...form, left, right } });
  }

  /** A body that nobody wrote as one binds nothing for its surroundings, so nothing may be declared in it. */
  #implicitBody(body: Body, message: string): Body {
    return mapList(body, (expr) => {
      if (isAssignment(expr)) this.#fail(message, expr.at);
      else if (expr.form.kind === "not") return this.#not(expr);
      else if (expr.form.kind === "logical") return this.#logical(expr);
      return expr;
    });
  }

  #expr(expr: Expr): Expr {
    const form = mapForm(expr.form, this.#mapper);
    const modifiers = mapList(expr.with, (modifier) => this.#with(modifier));
    return form === expr.form && modifiers === expr.with ? expr : { ...expr, form, with: modifiers };
  }

  #with(modifier: With): With {
    let target = this.#term(modifier.target) as RefTerm | VarTerm;
    const value = this.#term(modifier.value);
    // A local named `input` does not change what `with input as` means.
    const shadow = this.declared("input");
    if (shadow !== undefined) {
      if (target.kind === "var" && target.name === shadow)
        target = { kind: "ref", terms: [varTerm("input", target.at)], at: target.at };
      else if (target.kind === "ref" && target.terms[0]?.kind === "var" && target.terms[0].name === shadow) {
        target = { ...target, terms: [varTerm("input", target.at), ...target.terms.slice(1)] };
      }
    }
    return target === modifier.target && value === modifier.value ? modifier : { ...modifier, target, value };
  }

  #term(term: Term): Term {
    switch (term.kind) {
      case "var": {
        const local = this.declared(term.name);
        if (local !== undefined) {
          this.seen(term.name);
          return local === term.name ? term : varTerm(local, term.at);
        }
        this.insert(term.name, term.name, "seen");
        return term;
      }
      case "ref": {
        const root = rootDocument(term);
        if (root === undefined) return mapChildren(term, this.#mapper);
        for (let i = this.#scopes.length - 1; i >= 0; i--) {
          const occurrence = this.#scopes[i]?.occurrences.get(root);
          if (occurrence === undefined) continue;
          return occurrence === "seen" ? term : varTerm(this.declared(root) as string, term.at);
        }
        return term;
      }
      case "call": {
        walkTerm(term.operator, {
          term: (part) => {
            if (part.kind === "var") {
              const local = this.declared(part.name);
              if (local !== undefined && local !== part.name)
                this.#fail(`called function ${refText(term.operator)} shadowed`, term.at);
            }
            return false;
          },
        });
        return mapChildren(term, this.#mapper);
      }
      case "arraycomprehension":
      case "setcomprehension": {
        const used = varsOf(term.term);
        return this.#nested(() => {
          const body = this.body(term.body, used);
          return { ...term, body, term: this.#term(term.term) };
        });
      }
      case "objectcomprehension": {
        const used = new Set([...varsOf(term.key), ...varsOf(term.value)]);
        return this.#nested(() => {
          const body = this.body(term.body, used);
          return { ...term, body, key: this.#term(term.key), value: this.#term(term.value) };
        });
      }
      default:
        return mapChildren(term, this.#mapper);
    }
  }

  /** A template string in a rule head: each part is a scope. */
  headTerm(term: Term): Term {
    if (isComprehension(term)) return this.#term(term);
    if (term.kind === "templatestring") {
      return {
        ...term,
        parts: term.parts.map((part) => ("form" in part ? this.#nested(() => this.#expr(part)) : part)),
      };
    }
    return term;
  }

  #checkUnusedAssigned(body: Body, rewritten: readonly (Expr | undefined)[], used: ReadonlySet<string>): void {
    if (!this.#strict || this.findings.length > 0) return;
    const scope = this.#scope;
    const unused = new Map<string, string>();
    for (const [name, occurrence] of scope.occurrences) {
      if (occurrence === "assigned" && !isWildcard(name) && this.count(name) <= 1)
        unused.set(scope.names.get(name) as string, name);
    }
    for (const name of used) unused.delete(this.declared(name) ?? name);
    if (unused.size === 0) return;
    for (const [local, name] of unused) {
      const place = rewritten.find((expr) => expr !== undefined && varsOf(expr).has(local));
      this.#fail(`assigned var ${name} unused`, (place ?? (body[0] as Expr)).at);
    }
  }

  #checkUnusedDeclared(body: Body, result: Body, used: ReadonlySet<string>): void {
    if (this.findings.length > 0) return;
    const scope = this.#scope;
    const declared = new Map<string, string>();
    for (const [name, occurrence] of scope.occurrences)
      if (occurrence === "declared") declared.set(scope.names.get(name) as string, name);
    if (declared.size === 0) return;
    const vars = new Set<string>();
    for (const expr of result) addVars(expr, vars);
    for (const name of used) vars.add(this.declared(name) ?? name);
    for (const [local, name] of declared) {
      if (vars.has(local) || used.has(local) || isGenerated(name)) continue;
      const place = body.find((expr) => {
        const names = new Set<string>();
        collectDeclaredVars(expr, names);
        return names.has(name);
      });
      this.#fail(`declared var ${isWildcard(name) ? "_" : name} unused`, (place ?? (body[0] as Expr)).at);
    }
  }
}

/** The word OPA has for a kind of term in `cannot assign to …`. */
function kindName(term: Term): string {
  return term.kind;
}

/** Does the work on a rule or query. Where it takes too much, that is the finding. */
function bounded<T>(
  at: Location | undefined,
  unchanged: T,
  work: (allowance: Allowance) => { readonly result: T; readonly findings: readonly Diagnostic[] },
): { readonly result: T; readonly findings: readonly Diagnostic[] } {
  try {
    return work({ scopes: MAX_SCOPES });
  } catch (error) {
    if (!(error instanceof NestingError)) throw error;
    const finding: Diagnostic = { code: "rego_compile_error", message: "bodies are nested too deeply", at };
    return { result: unchanged, findings: [finding] };
  }
}

/** Names for the variables of a query. */
export function rewriteQueryLocals(
  body: Body,
  maker: NameMaker,
  sources: Map<string, string>,
  strict: boolean,
): { readonly result: Body; readonly findings: readonly Diagnostic[] } {
  return bounded(body[0]?.at, body, (allowance) => {
    const locals = new Locals(maker, sources, strict, allowance);
    return { result: locals.body(body, new Set()), findings: locals.findings };
  });
}

/** Names for the variables of a rule and its `else` branches. */
export function rewriteRuleLocals(
  rule: Rule,
  maker: NameMaker,
  sources: Map<string, string>,
  options: { readonly strict: boolean; readonly signatures: ReadonlyMap<string, Signature> },
): { readonly result: Rule; readonly findings: readonly Diagnostic[] } {
  return bounded(rule.at, rule, (allowance) => rewriteRule(rule, maker, sources, options, allowance));
}

function rewriteRule(
  rule: Rule,
  maker: NameMaker,
  sources: Map<string, string>,
  options: { readonly strict: boolean; readonly signatures: ReadonlyMap<string, Signature> },
  allowance: Allowance,
): { readonly result: Rule; readonly findings: readonly Diagnostic[] } {
  const findings: Diagnostic[] = [];
  const args = new Locals(maker, sources, options.strict, allowance);
  const unusedArgs = new Set<string>();
  if (options.strict) for (const arg of rule.head.args ?? []) addVars(arg, unusedArgs);
  const headArgs = rule.head.args?.map((arg) => renameArg(arg, args, findings));

  const branches = branchesOf(rule).map((branch, i) => {
    const head = i === 0 && headArgs !== undefined ? { ...branch.head, args: headArgs } : branch.head;
    return rewriteBranch({ ...branch, head }, args, maker, sources, { ...options, allowance }, unusedArgs, findings);
  });
  if (options.strict) {
    for (const name of unusedArgs) {
      if (!isWildcard(name)) {
        findings.push({
          code: "rego_compile_error",
          message: `unused argument ${name}. (hint: use _ (wildcard variable) instead)`,
          at: rule.head.at,
        });
      }
    }
  }
  return { result: chainBranches(branches), findings };
}

function rewriteBranch(
  branch: Rule,
  args: Locals,
  maker: NameMaker,
  sources: Map<string, string>,
  options: {
    readonly strict: boolean;
    readonly signatures: ReadonlyMap<string, Signature>;
    readonly allowance: Allowance;
  },
  unusedArgs: Set<string>,
  findings: Diagnostic[],
): Rule {
  const used = new Set<string>();
  // Comprehensions in the head are scopes apart: `p := [x | x := 1] if { x := 2 }`.
  const nested = (term: Term): Term => {
    if (isComprehension(term) || term.kind === "templatestring") {
      const locals = new Locals(maker, sources, options.strict, options.allowance);
      const changed = locals.headTerm(term);
      findings.push(...locals.findings);
      return changed;
    }
    return mapChildren(term, { term: nested, expr: (expr) => expr, body: (body) => body });
  };
  const head = {
    ...branch.head,
    args: branch.head.args?.map(nested),
    key: branch.head.key === undefined ? undefined : nested(branch.head.key),
    value: branch.head.value === undefined ? undefined : nested(branch.head.value),
  };
  for (const part of head.reference.terms.slice(1)) addVars(part, used);
  if (head.key !== undefined) addVars(head.key, used);
  if (head.value !== undefined) {
    const vars = varsOf(head.value);
    for (const name of vars) {
      used.add(name);
      unusedArgs.delete(name);
    }
  }

  const locals = args.fork();
  shadowBuiltins({ ...branch, head }, locals, options.signatures);
  const body = locals.body(branch.body, used);
  findings.push(...locals.findings);
  for (const name of unusedArgs) if (locals.count(name) > 1) unusedArgs.delete(name);

  const rename = (term: Term): Term => renameVars(term, locals.names);
  const [first, ...rest] = head.reference.terms;
  return {
    ...branch,
    head: {
      ...head,
      reference: { ...head.reference, terms: [first as Term, ...rest.map(rename)] },
      args: head.args?.map(rename),
      key: head.key === undefined ? undefined : rename(head.key),
      value: head.value === undefined ? undefined : rename(head.value),
    },
    body,
  };
}

/** A body variable with the name of a builtin gets a name of its own, lest it be taken for the builtin later. */
function shadowBuiltins(branch: Rule, locals: Locals, signatures: ReadonlyMap<string, Signature>): void {
  const vars = new Set<string>();
  for (const expr of branch.body) addVars(expr, vars, { skipRefCallHead: true, skipClosures: true });
  const candidates = [...vars].filter((name) => signatures.has(name));
  if (candidates.length === 0) return;
  const declared = declaredVars(branch.body);
  const inWith = new Set<string>();
  const collect = {
    with: (modifier: With) => {
      addVars(modifier.target, inWith);
      addVars(modifier.value, inWith);
      return false;
    },
  };
  walkHead(branch.head, collect);
  walkBody(branch.body, collect);
  for (const name of candidates.sort()) {
    if (!declared.has(name) && !inWith.has(name) && locals.declared(name) === undefined)
      locals.insert(name, locals.fresh(), "seen");
  }
}

function renameVars(term: Term, names: ReadonlyMap<string, string>): Term {
  const mapper: Mapper = {
    term: (part) => {
      if (part.kind !== "var") return mapChildren(part, mapper);
      const local = names.get(part.name);
      return local === undefined || local === part.name ? part : varTerm(local, part.at);
    },
    expr: (expr) => {
      const form = mapForm(expr.form, mapper);
      const modifiers = mapList(expr.with, (modifier) => ({
        ...modifier,
        target: mapper.term(modifier.target) as RefTerm | VarTerm,
        value: mapper.term(modifier.value),
      }));
      return { ...expr, form, with: modifiers };
    },
    body: (body) => mapList(body, mapper.expr),
  };
  return mapper.term(term);
}

/** Variables of an argument pattern get their names; a name that occurs twice keeps one. */
function renameArg(term: Term, locals: Locals, findings: Diagnostic[]): Term {
  switch (term.kind) {
    case "var": {
      const known = locals.declared(term.name);
      if (known !== undefined) {
        locals.seen(term.name);
        return varTerm(known, term.at);
      }
      const local = locals.fresh();
      locals.insert(term.name, local, "arg");
      return varTerm(local, term.at);
    }
    case "object":
      return {
        ...term,
        entries: term.entries.map(([key, value]) => [key, renameArg(value, locals, findings)] as const),
      };
    case "array":
      return { ...term, items: term.items.map((item) => renameArg(item, locals, findings)) };
    case "ref":
      return { ...term, terms: term.terms.map((part) => renameArg(part, locals, findings)) };
    case "call":
      findings.push({ code: "rego_compile_error", message: "rule arguments cannot contain calls", at: term.at });
      return term;
    default:
      return term;
  }
}
