import type { Location } from "../../base/index.ts";
import type { Body, Expr, Import, Module, RefTerm, Rule, StringTerm, Term } from "../syntax/index.ts";
import { mapBody, mapChildren, mapForm, mapList, type Mapper, mapWith } from "./map.ts";
import { termText } from "./text.ts";
import { mapBranches, rootDocument, walkExpr, walkTerm } from "./walk.ts";

/**
 * Makes refs to rules of the package and to imports absolute. Names declared locally (`:=`, `some`, arguments, `every`) stay.
 * @source OPA v1/ast/compile.go, resolveAllRefs
 */
export class Globals {
  readonly #refs = new Map<string, { readonly path: readonly Term[]; used: boolean }>();

  constructor(packagePath: RefTerm | undefined, ruleNames: Iterable<string>, imports: readonly Import[]) {
    if (packagePath !== undefined) {
      for (const name of ruleNames) {
        const named: StringTerm = { kind: "string", value: name, at: packagePath.at };
        this.#refs.set(name, { path: [...packagePath.terms, named], used: false });
      }
    }
    for (const imported of imports) {
      const root = imported.path.terms[0];
      if (root?.kind === "var" && (root.name === "future" || root.name === "rego")) continue;
      this.#refs.set(importName(imported), { path: imported.path.terms, used: false });
    }
  }

  has(name: string): boolean {
    return this.#refs.has(name);
  }

  /** The path a name stands for, placed where the name was. */
  resolve(name: string, at: Location): readonly Term[] | undefined {
    const found = this.#refs.get(name);
    if (found === undefined) return undefined;
    found.used = true;
    return found.path.map((term) => ({ ...term, at }));
  }

  isUsed(name: string): boolean {
    return this.#refs.get(name)?.used === true;
  }
}

/** The name an import introduces. */
export function importName(imported: Import): string {
  if (imported.alias !== undefined) return imported.alias;
  const last = imported.path.terms[imported.path.terms.length - 1];
  return last?.kind === "string" ? last.value : last?.kind === "var" ? last.name : "";
}

/** Names hidden by local declarations, innermost first. */
interface Hidden {
  readonly names: ReadonlySet<string>;
  readonly outer: Hidden | undefined;
}

function isHidden(name: string, hidden: Hidden | undefined): boolean {
  for (let scope = hidden; scope !== undefined; scope = scope.outer) if (scope.names.has(name)) return true;
  return false;
}

/** A rule with absolute refs, or the name of the root document that one of its arguments shadows. */
export function resolveRule(rule: Rule, globals: Globals): Rule | { readonly shadows: string } {
  let shadows: string | undefined;
  const resolved = mapBranches(rule, (branch) => {
    const args = new Set<string>();
    for (const arg of branch.head.args ?? []) shadows ??= collectPatternVars(arg, args);
    const hidden: Hidden = { names: declaredVars(branch.body), outer: { names: args, outer: undefined } };
    const mapper = resolverOf(globals, hidden);
    const { head } = branch;
    const [first, ...rest] = head.reference.terms;
    const reference: RefTerm =
      rest.length === 0 ? head.reference : { ...head.reference, terms: [first as Term, ...rest.map(mapper.term)] };
    return {
      ...branch,
      head: {
        ...head,
        reference,
        key: head.key === undefined ? undefined : mapper.term(head.key),
        value: head.value === undefined ? undefined : mapper.term(head.value),
      },
      body: mapper.body(branch.body),
    };
  });
  return shadows === undefined ? resolved : { shadows };
}

export function resolveBody(body: Body, globals: Globals): Body {
  return resolverOf(globals, { names: declaredVars(body), outer: undefined }).body(body);
}

/** Collects the variables of an argument that patterns can bind; returns the root document it shadows, if any. */
function collectPatternVars(arg: Term, vars: Set<string>): string | undefined {
  let shadows: string | undefined;
  walkTerm(arg, {
    term: (term) => {
      const root = rootDocument(term);
      if (root !== undefined) {
        shadows ??= termText(term);
        return true;
      }
      switch (term.kind) {
        case "var":
          vars.add(term.name);
          return true;
        case "ref":
          for (const part of term.terms) {
            if (part.kind === "var") vars.add(part.name);
            else shadows ??= collectPatternVars(part, vars);
          }
          return true;
        case "object":
          for (const [, value] of term.entries) shadows ??= collectPatternVars(value, vars);
          return true;
        case "set":
        case "arraycomprehension":
        case "setcomprehension":
        case "objectcomprehension":
        case "call":
          return true;
        default:
          return false;
      }
    },
  });
  return shadows;
}

/** Variables declared in a body by `:=` and `some`, in nested bodies too, but not inside comprehensions. */
export function declaredVars(body: Body): Set<string> {
  const vars = new Set<string>();
  for (const expr of body) collectDeclaredVars(expr, vars);
  return vars;
}

export function collectDeclaredVars(expr: Expr, vars: Set<string>): void {
  const add = {
    term: (term: Term) => {
      if (term.kind === "var") vars.add(term.name);
      return false;
    },
  };
  walkExpr(expr, {
    expr: ({ form }) => {
      if (form.kind === "call" && isAssignmentForm(form)) walkTerm(form.args[0] as Term, add);
      if (form.kind === "some") {
        for (const symbol of form.symbols) {
          if (symbol.kind === "var") vars.add(symbol.name);
          else if (symbol.kind === "call") for (const arg of symbol.args.slice(0, -1)) walkTerm(arg, add);
        }
      }
      return false;
    },
    term: (term) =>
      term.kind === "arraycomprehension" || term.kind === "setcomprehension" || term.kind === "objectcomprehension",
  });
}

function isAssignmentForm(form: Extract<Expr["form"], { kind: "call" }>): boolean {
  const [head] = form.operator.terms;
  return form.operator.terms.length === 1 && head?.kind === "var" && head.name === "assign" && form.args.length === 2;
}

function resolverOf(globals: Globals, hidden: Hidden): Mapper {
  const within = (names: ReadonlySet<string>): Mapper => resolverOf(globals, { names, outer: hidden });
  const mapper: Mapper = {
    body: (body) => mapBody(body, mapper),
    expr: (expr) => resolveExpr(expr),
    term: (term) => resolveTerm(term),
  };
  const resolveExpr = (expr: Expr): Expr => {
    const { form } = expr;
    const modifiers = mapList(expr.with, (modifier) => mapWith(modifier, mapper));
    if (form.kind === "some" && form.symbols[0]?.kind === "var")
      return modifiers === expr.with ? expr : { ...expr, with: modifiers };
    if (form.kind === "every") {
      const names = new Set<string>();
      for (const declared of [form.key, form.value]) if (declared !== undefined) names.add(declared.name);
      // The domain is outside the scope of key and value, but OPA resolves it inside; an equal name there would be unsafe anyway.
      const inner = within(names);
      return {
        ...expr,
        form: { ...form, domain: inner.term(form.domain), body: inner.body(form.body) },
        with: modifiers,
      };
    }
    const mapped = mapForm(form, mapper);
    return mapped === form && modifiers === expr.with ? expr : { ...expr, form: mapped, with: modifiers };
  };
  const resolveTerm = (term: Term): Term => {
    switch (term.kind) {
      case "var": {
        const path = isHidden(term.name, hidden) ? undefined : globals.resolve(term.name, term.at);
        if (path !== undefined) return { kind: "ref", terms: path, at: term.at };
        return term;
      }
      case "ref": {
        const [head, ...rest] = term.terms;
        const first = head as Term;
        const path =
          first.kind === "var" && !isHidden(first.name, hidden) ? globals.resolve(first.name, first.at) : undefined;
        const front = path ?? [first.kind === "var" ? first : mapper.term(first)];
        return { ...term, terms: [...front, ...rest.map(mapper.term)] };
      }
      case "arraycomprehension":
      case "setcomprehension":
      case "objectcomprehension":
        return mapChildren(term, within(declaredVars(term.body)));
      default:
        return mapChildren(term, mapper);
    }
  };
  return mapper;
}

/** `import … unused` for imports nobody used. */
export function unusedImports(module: Module, globals: Globals): readonly Import[] {
  return module.imports.filter((imported) => {
    const name = importName(imported);
    return globals.has(name) && !globals.isUsed(name) && !isKeywordImport(imported);
  });
}

function isKeywordImport(imported: Import): boolean {
  const root = imported.path.terms[0];
  return root?.kind === "var" && (root.name === "future" || root.name === "rego");
}
