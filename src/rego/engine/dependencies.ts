import {
  type CompiledQuery,
  type CompiledRule,
  childOf,
  compileQuery,
  type Program,
  refText,
  type RuleTreeNode,
} from "../compile/index.ts";
import {
  type Body,
  compareTerms,
  isScalar,
  parseQuery,
  type RefTerm,
  type Rule,
  type Term,
  visit,
} from "../syntax/index.ts";
import { isJsonObject, type Value } from "../value/index.ts";
import { CompileError } from "./errors.ts";

/** The documents a query reads, directly and through rules; refs are cut at their first variable. */
export interface QueryDependencies {
  /** Paths into `input` and base data. */
  readonly base: readonly RefTerm[];
  /** Names of rules. */
  readonly virtual: readonly RefTerm[];
}

/**
 * What a query depends on, as `opa deps` reports it.
 *
 * @throws {CompileError} for a query that is not legal.
 */
export function dependenciesOf({ program }: { readonly program: Program }, text: string): QueryDependencies {
  const compiled = compiledQuery(program, text);
  const search = new Search(program.tree);
  search.read(refsOf(compiled.query.body, []));
  return { base: search.base(), virtual: search.virtual() };
}

function compiledQuery(program: Program, text: string): { readonly query: CompiledQuery } {
  const parsed = parseQuery(text);
  if (parsed.diagnostics !== undefined) throw new CompileError(parsed.diagnostics);
  const compiled = compileQuery(parsed.value, program, {});
  if ("diagnostics" in compiled) throw new CompileError(compiled.diagnostics);
  return compiled;
}

/** A document below `data` that a query names, where there is nothing. */
export interface MissingDocument {
  readonly name: string;
  /** Rules that end in the same name, elsewhere: what may have been meant. At most a few. */
  readonly elsewhere: readonly string[];
}

const MAX_ELSEWHERE = 3;

/**
 * The documents a query itself names at which there are neither rules nor base data. What rules make of an input is not
 * looked at: they may all be undefined.
 *
 * @throws {CompileError} for a query that is not legal.
 */
export function missingDocuments(
  policy: { readonly data: Value; withoutRules(text: string): readonly DocumentWithoutRules[] },
  text: string,
): readonly MissingDocument[] {
  return policy.withoutRules(text).filter(({ path }) => path === undefined || !isInData(policy.data, path));
}

/** A document that no rule defines: base data, or nothing. */
export interface DocumentWithoutRules extends MissingDocument {
  /** Below `data`; undefined where no base document can be. */
  readonly path: readonly Value[] | undefined;
}

/** The documents a query itself names that no rule defines. */
export function documentsWithoutRules({ tree }: Program, { body }: CompiledQuery): readonly DocumentWithoutRules[] {
  return refsOf(body, [])
    .map(constantPrefix)
    .filter((ref) => isBelowData(ref) && rulesAt(tree, ref).length === 0)
    .map((ref) => ({ name: refText(ref), elsewhere: rulesNamed(tree, ref.terms.at(-1)), path: pathOf(ref) }));
}

function pathOf({ terms }: RefTerm): readonly Value[] | undefined {
  const path = terms.slice(1).flatMap((term) => (isScalar(term) && "value" in term ? (term.value as Value) : []));
  return path.length === terms.length - 1 ? path : undefined;
}

function isBelowData({ terms: [head, ...path] }: RefTerm): boolean {
  return head?.kind === "var" && head.name === "data" && path.length > 0;
}

function isInData(data: Value, path: readonly Value[]): boolean {
  let value: Value | undefined = data;
  for (const key of path) value = value === undefined ? undefined : memberOf(value, key);
  return value !== undefined;
}

function memberOf(value: Value, key: Value): Value | undefined {
  if (Array.isArray(value)) return typeof key === "number" ? (value as readonly Value[])[key] : undefined;
  return isJsonObject(value) && typeof key === "string" && Object.hasOwn(value, key) ? value[key] : undefined;
}

function rulesNamed(tree: RuleTreeNode, last: Term | undefined): readonly string[] {
  const found = new Set<string>();
  if (last?.kind !== "string") return [];
  const waiting = [tree];
  for (let node = waiting.pop(); node !== undefined && found.size < MAX_ELSEWHERE; node = waiting.pop()) {
    for (const { path } of node.rules) {
      const name = path.at(-1);
      if (name?.kind === "string" && name.value === last.value) found.add(refText({ terms: path }));
    }
    waiting.push(...node.children.values());
  }
  return [...found].sort();
}

class Search {
  readonly #tree: RuleTreeNode;
  readonly #base = new Map<string, RefTerm>();
  readonly #virtual = new Map<string, RefTerm>();
  readonly #seen = new Set<number>();

  constructor(tree: RuleTreeNode) {
    this.#tree = tree;
  }

  base(): readonly RefTerm[] {
    return inOrder(this.#base);
  }

  virtual(): readonly RefTerm[] {
    return inOrder(this.#virtual);
  }

  read(refs: readonly RefTerm[]): void {
    for (const ref of refs) {
      const prefix = constantPrefix(ref);
      const rules = rulesAt(this.#tree, prefix);
      if (rules.length === 0) this.#base.set(refText(prefix), prefix);
      for (const compiled of rules) this.#readRule(compiled);
    }
  }

  #readRule(compiled: CompiledRule): void {
    if (this.#seen.has(compiled.id)) return;
    this.#seen.add(compiled.id);
    const name = constantPrefix({ kind: "ref", terms: compiled.path, at: compiled.rule.at });
    this.#virtual.set(refText(name), name);
    for (let branch: Rule | undefined = compiled.rule; branch !== undefined; branch = branch.else) {
      const { args = [], key, value } = branch.head;
      this.read(
        refsOf(branch.body, [...args, ...(key === undefined ? [] : [key]), ...(value === undefined ? [] : [value])]),
      );
    }
  }
}

function inOrder(refs: ReadonlyMap<string, RefTerm>): readonly RefTerm[] {
  return [...refs.values()].sort(compareTerms);
}

function constantPrefix(ref: RefTerm): RefTerm {
  const at = ref.terms.findIndex((term, i) => i > 0 && !isScalar(term));
  return at === -1 ? ref : { ...ref, terms: ref.terms.slice(0, at) };
}

/** The rules at a path, on the way to it, and below it. */
function rulesAt(tree: RuleTreeNode, ref: RefTerm): readonly CompiledRule[] {
  const [head, ...path] = ref.terms;
  if (head?.kind !== "var" || head.name !== "data") return [];
  const found: CompiledRule[] = [];
  let node: RuleTreeNode | undefined = tree;
  for (const term of path) {
    node = "value" in term && isScalar(term) ? childOf(node, term.value as string) : undefined;
    if (node === undefined) return found;
    found.push(...node.rules);
  }
  const below = [node];
  for (let next = below.pop(); next !== undefined; next = below.pop()) {
    if (next !== node) found.push(...next.rules);
    below.push(...next.children.values());
  }
  return found;
}

/**
 * The refs into `data` and `input` of a body. `x := input.user; x.name` reads `input.user.name`: a variable that only
 * stands for a ref is replaced by it. Refs that others extend are left out.
 */
function refsOf(body: Body, head: readonly Term[]): readonly RefTerm[] {
  const bound = new Map<string, RefTerm[]>();
  const others = new Map<string, RefTerm>();
  const used = new Set(head.flatMap((term) => (term.kind === "var" ? [term.name] : [])));
  const take = (ref: RefTerm): void => {
    const [first] = ref.terms;
    if (first?.kind !== "var") return;
    if (isRooted(ref)) others.set(refText(ref), ref);
    else
      for (const origin of bound.get(first.name) ?? [])
        take({ ...ref, terms: [...origin.terms, ...ref.terms.slice(1)] });
  };
  const refs: RefTerm[] = [];
  const collect = (node: Term | Body): void =>
    visit(node, {
      term: (term) => {
        if (term.kind === "var") used.add(term.name);
        if (term.kind !== "ref") return true;
        refs.push(term);
        for (const part of term.terms.slice(1)) collect(part);
        return false;
      },
      expr: (expr) => {
        const { form } = expr;
        if (form.kind !== "call") return true;
        if (isRooted(form.operator)) refs.push(form.operator);
        const [left, right] = form.args;
        const isEquality = refText(form.operator) === "eq" && form.args.length === 2;
        const binding = !isEquality
          ? undefined
          : left?.kind === "var" && right?.kind === "ref"
            ? ([left, right] as const)
            : right?.kind === "var" && left?.kind === "ref"
              ? ([right, left] as const)
              : undefined;
        if (binding === undefined) for (const arg of form.args) collect(arg);
        else {
          const [variable, ref] = binding;
          bound.set(variable.name, [...(bound.get(variable.name) ?? []), ref]);
          for (const part of ref.terms.slice(1)) collect(part);
        }
        for (const modifier of expr.with) collect(modifier.value);
        return false;
      },
    });
  collect(body);
  for (const term of head) collect(term);
  for (const ref of refs) take(ref);
  const extended = new Set(refs.flatMap(({ terms: [first] }) => (first?.kind === "var" ? [first.name] : [])));
  for (const [name, origins] of bound)
    if (used.has(name) || !extended.has(name)) for (const origin of origins) take(origin);
  return withoutExtensions([...others.values()].sort(compareTerms));
}

/** Below `data` or `input`, as user functions are and builtins are not. */
function isRooted({ terms: [head] }: RefTerm): boolean {
  return head?.kind === "var" && (head.name === "data" || head.name === "input");
}

/** Of a ref and those that extend it, the shorter says all. */
function withoutExtensions(refs: readonly RefTerm[]): readonly RefTerm[] {
  const kept: RefTerm[] = [];
  for (const ref of refs) {
    const last = kept.at(-1);
    const extendsLast = last?.terms.every(
      (term, i) => ref.terms[i] !== undefined && compareTerms(term, ref.terms[i] as Term) === 0,
    );
    if (extendsLast !== true) kept.push(ref);
  }
  return kept;
}
