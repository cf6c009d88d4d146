import { eachInSteps, type Location, type Steps } from "../../base/index.ts";
import { type Head, isScalar, type Module, type RefTerm, type Term } from "../syntax/index.ts";
import { canonicalOf, compareValues, isNumber, type NumberValue, type Value } from "../value/index.ts";
import type { WorkRule } from "./work.ts";
import type { RuleKind, RuleTreeNode } from "./program.ts";
import { refHeadName } from "./walk.ts";

/** A node of the rule tree while it is built. */
export class TreeNode implements RuleTreeNode {
  readonly key: Value;
  readonly children = new Map<Value, TreeNode>();
  readonly rules: WorkRule[] = [];
  hidden = false;
  hasRulesBelow = false;
  /** Modules whose package is this node. */
  readonly modules: Module[] = [];
  #sorted: readonly TreeNode[] | undefined;

  constructor(key: Value) {
    this.key = key;
  }

  /** Hangs a rule at its ground path. */
  add(rule: WorkRule): void {
    let node: TreeNode = this;
    for (const key of rule.groundPath) {
      node.hasRulesBelow = true;
      node = node.reach([key]);
    }
    node.rules.push(rule);
  }

  /** The node at `path`, made if need be. */
  reach(path: readonly Value[]): TreeNode {
    let node: TreeNode = this;
    for (const key of path) {
      const mapKey = childKey(key);
      let child = node.children.get(mapKey);
      if (child === undefined) {
        child = new TreeNode(key);
        node.children.set(mapKey, child);
        node.#sorted = undefined;
      }
      node = child;
    }
    return node;
  }

  child(key: Value): TreeNode | undefined {
    return this.children.get(childKey(key));
  }

  /** The child a path element names; undefined for variables and the like. */
  childOf(term: Term): TreeNode | undefined {
    const key = scalarOf(term);
    return key === undefined ? undefined : this.child(key);
  }

  /** The node a `data…` ref names exactly. */
  find(ref: RefTerm): TreeNode | undefined {
    if (refHeadName(ref) !== "data") return undefined;
    let node: TreeNode | undefined = this;
    for (let i = 1; i < ref.terms.length && node !== undefined; i++) node = node.childOf(ref.terms[i] as Term);
    return node;
  }

  /** Children in Rego's order of keys. */
  sorted(): readonly TreeNode[] {
    this.#sorted ??= [...this.children.values()].sort((a, b) => compareValues(a.key, b.key));
    return this.#sorted;
  }

  /** This node and all below, parents first, in order. */
  *depthFirst(): Generator<TreeNode> {
    const stack: TreeNode[] = [this];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      yield node;
      const below = node.sorted();
      for (let i = below.length - 1; i >= 0; i--) stack.push(below[i] as TreeNode);
    }
  }
}

/** Numbers that JavaScript cannot hold are keyed by text no string key can equal: `child` and `childOf` know. */
function childKey(key: Value): Value {
  if (!isNumber(key)) return key;
  const canonical = canonicalOf(key as NumberValue);
  return typeof canonical === "string" ? `\u0000number${canonical}` : canonical;
}

/** The child of a node at a scalar key. */
export function childOf(node: RuleTreeNode, key: Value): RuleTreeNode | undefined {
  return node.children.get(childKey(key));
}

/** The value of a scalar term. */
export function scalarOf(term: Term): Value | undefined {
  switch (term.kind) {
    case "string":
    case "boolean":
    case "number":
      return term.value;
    case "null":
      return null;
    default:
      return undefined;
  }
}

export function kindOf(head: Head): RuleKind {
  if (head.args !== undefined && head.args.length > 0) return "function";
  const ground = head.reference.terms.every((term, i) => i === 0 || isScalar(term));
  if (head.value === undefined) return ground ? "set" : "setobject";
  return ground ? "complete" : "object";
}

/** Package path and head reference as one: var `data`, then strings, scalars and variables. */
export function fullPath(module: Module, head: Head): readonly Term[] {
  const [first, ...rest] = head.reference.terms;
  const name = first as Term;
  const at: Location = name.at;
  const named: Term = name.kind === "var" ? { kind: "string", value: name.name, at } : name;
  return [...module.package.path.terms, named, ...rest];
}

export function groundPathOf(path: readonly Term[]): readonly Value[] {
  const values: Value[] = [];
  for (const term of path.slice(1)) {
    const value = scalarOf(term);
    if (value === undefined) break;
    values.push(value);
  }
  return values;
}

/**
 * Builds the tree; an empty package has its node too, for `data.pkg` is then `{}`. Rules of shallower packages come first at
 * their node, which findings about them depend on.
 */
export function* buildTree(
  modules: readonly { readonly module: Module; readonly rules: readonly WorkRule[] }[],
): Steps<TreeNode> {
  const root = new TreeNode("data");
  const rulesOf = new Map<Module, readonly WorkRule[]>();
  yield* eachInSteps(modules, ({ module, rules }) => {
    root.reach(groundPathOf(module.package.path.terms)).modules.push(module);
    rulesOf.set(module, rules);
  });
  for (const node of [...root.depthFirst()]) {
    for (const module of node.modules) {
      yield;
      yield* eachInSteps(rulesOf.get(module) ?? [], (rule) => root.add(rule));
    }
  }
  const system = root.child("system");
  if (system !== undefined) system.hidden = true;
  return root;
}
