import { eachInSteps, type Steps } from "../../base/index.ts";
import type { CompiledRule, Program } from "../compile/index.ts";
import type { DocumentNode, Evaluation } from "../runtime/index.ts";
import type { Term } from "../syntax/index.ts";
import { canonicalText, compareValues, type Value } from "../value/index.ts";

/** How the rules at one node define its document. */
export type GroupKind = "complete" | "function" | "set" | "partial";

/** All rules with one ground path: together they define one document or one function. */
export interface Group {
  readonly id: number;
  readonly kind: GroupKind;
  readonly node: Node;
  readonly rules: readonly CompiledRule[];
  readonly arity: number;
  /** Can be evaluated at one key: a set, or an object whose rules all are `p[k] := v`. */
  readonly isKeyed: boolean;
}

/** The tree of virtual documents, as the generator needs it and as dynamic references walk it at run time. */
export class Node implements DocumentNode {
  readonly path: readonly Value[];
  readonly rules: CompiledRule[] = [];
  group: Group | undefined;
  value: ((evaluation: Evaluation) => Value | undefined) | null = null;
  readonly #children = new Map<string, { readonly key: Value; readonly node: Node }>();
  #sorted: readonly { readonly key: Value; readonly node: Node }[] | undefined;

  constructor(path: readonly Value[]) {
    this.path = path;
  }

  get isFunction(): boolean {
    return this.group?.kind === "function";
  }

  get children(): readonly { readonly key: Value; readonly node: Node }[] {
    this.#sorted ??= [...this.#children.values()].sort((a, b) => compareValues(a.key, b.key));
    return this.#sorted;
  }

  child(key: Value): Node | undefined {
    return this.#children.get(canonicalText(key))?.node;
  }

  makeChild(key: Value): Node {
    const text = canonicalText(key);
    let entry = this.#children.get(text);
    if (entry === undefined) {
      entry = { key, node: new Node([...this.path, key]) };
      this.#children.set(text, entry);
      this.#sorted = undefined;
    }
    return entry.node;
  }

  at(path: readonly Value[]): Node | undefined {
    let node: Node | undefined = this;
    for (const key of path) node = node?.child(key);
    return node;
  }
}

export interface DocumentTree {
  readonly root: Node;
  readonly groups: readonly Group[];
}

/** Arranges the rules of a program by the documents they define. */
export function* buildDocuments(program: Program): Steps<DocumentTree> {
  const root = new Node([]);
  yield* eachInSteps(program.modules, (module) => {
    let node = root;
    for (const term of module.package.path.terms.slice(1))
      if (term.kind === "string") node = node.makeChild(term.value);
  });
  yield* eachInSteps(program.rules, (rule) => {
    let node = root;
    for (const key of rule.groundPath) node = node.makeChild(key);
    node.rules.push(rule);
  });
  const groups: Group[] = [];
  const visit = function* (node: Node): Steps<void> {
    if (node.rules.length > 0) {
      const kind = kindOf(node.rules);
      const group: Group = {
        id: groups.length,
        kind,
        node,
        rules: node.rules,
        arity: node.rules[0]?.rule.head.args?.length ?? 0,
        isKeyed: kind === "set" || (kind === "partial" && node.children.length === 0 && node.rules.every(hasOneKey)),
      };
      node.group = group;
      groups.push(group);
    }
    for (const [i, child] of node.children.entries()) {
      if (i % 64 === 63) yield;
      yield* visit(child.node);
    }
  };
  yield* visit(root);
  return { root, groups };
}

function kindOf(rules: readonly CompiledRule[]): GroupKind {
  const kinds = new Set(rules.map((rule) => rule.kind));
  if (kinds.has("function")) return "function";
  if (kinds.has("object") || kinds.has("setobject")) return "partial";
  if (kinds.has("set")) return "set";
  return "complete";
}

function hasOneKey(rule: CompiledRule): boolean {
  return rule.kind === "object" && dynamicPath(rule).length === 1;
}

/** The part of a rule's path after its ground prefix. */
export function dynamicPath(rule: CompiledRule): readonly Term[] {
  return rule.path.slice(rule.groundPath.length + 1);
}
