import { eachInSteps, type Steps } from "../../base/index.ts";
import type { RefTerm, Term } from "../syntax/index.ts";
import type { Findings } from "./context.ts";
import type { WorkRule } from "./work.ts";
import type { Dependencies, RuleBranch } from "./program.ts";
import { refText, termText } from "./text.ts";
import { fullPath, scalarOf, type TreeNode } from "./tree.ts";
import { branchesOf, refHeadName, walkRule } from "./walk.ts";

/**
 * Which rule branches read which. A ref to a whole part of the tree leads to one vertex for that part, which leads to the
 * rules in it: so the graph stays linear in the size of the program where many rules read a large package.
 */
interface Vertex {
  readonly branch: RuleBranch | undefined;
  readonly edges: Set<Vertex>;
  /** Tarjan's numbers. */
  index: number;
  low: number;
  onStack: boolean;
  component: number;
}

const SORTED_AT_ONCE = 64;

function vertex(branch: RuleBranch | undefined): Vertex {
  return { branch, edges: new Set(), index: -1, low: -1, onStack: false, component: -1 };
}

export class Graph implements Dependencies {
  readonly #branches: Vertex[] = [];
  readonly #byRule = new Map<number, Vertex[]>();
  readonly #extents = new Map<TreeNode, Vertex>();
  readonly #selves = new Map<TreeNode, Vertex>();
  readonly #anyChildren = new Map<TreeNode, Map<string, Vertex>>();
  readonly #tree: TreeNode;
  #order: readonly RuleBranch[] = [];
  #dependents: Map<number, Set<number>> | undefined;

  private constructor(tree: TreeNode) {
    this.#tree = tree;
  }

  static *of(rules: readonly WorkRule[], tree: TreeNode): Steps<Graph> {
    const graph = new Graph(tree);
    yield* eachInSteps(rules, (compiled) => graph.#addRule(compiled));
    yield* eachInSteps(graph.#branches, (from) => graph.#connectAll(from));
    graph.#order = yield* graph.#sort();
    return graph;
  }

  #addRule(compiled: WorkRule): void {
    const own: Vertex[] = [];
    for (const rule of branchesOf(compiled.rule)) own.push(vertex({ compiled, rule }));
    this.#byRule.set(compiled.id, own);
    this.#branches.push(...own);
  }

  #connectAll(from: Vertex): void {
    const { rule } = from.branch as RuleBranch;
    walkRule(rule, {
      term: (term) => {
        if (term.kind === "ref" && refHeadName(term) === "data") this.#connect(from, term, this.#tree, 1);
        return false;
      },
    });
  }

  /**
   * Edges to every rule the ref may reach from its part at `position` on.
   * @source OPA v1/ast/compile.go, GetRulesDynamicWithOpts
   */
  #connect(from: Vertex, ref: RefTerm, start: TreeNode, position: number): void {
    let node = start;
    for (let i = position; i < ref.terms.length; i++) {
      const part = ref.terms[i] as Term;
      const key = scalarOf(part);
      if (key === undefined) {
        // A composite without variables is a key that no rule's path has.
        if (!isConstant(part)) from.edges.add(this.#anyChild(node, ref, i));
        return;
      }
      const child = node.child(key);
      if (child === undefined) return;
      if (child.rules.length > 0) from.edges.add(this.#self(child));
      node = child;
    }
    from.edges.add(this.#extent(node));
  }

  /** What a ref reaches that goes on from any child of a node; shared by the refs that go on alike. */
  #anyChild(node: TreeNode, ref: RefTerm, position: number): Vertex {
    if (position === ref.terms.length - 1) return this.#extent(node);
    const rest = ref.terms
      .slice(position)
      .map((term) => (scalarOf(term) === undefined && !isConstant(term) ? "[_]" : `.${termText(term)}`));
    const path = rest.join("");
    let byPath = this.#anyChildren.get(node);
    if (byPath === undefined) {
      byPath = new Map();
      this.#anyChildren.set(node, byPath);
    }
    let any = byPath.get(path);
    if (any === undefined) {
      any = vertex(undefined);
      byPath.set(path, any);
      for (const child of node.children.values()) {
        if (child.rules.length > 0) any.edges.add(this.#self(child));
        this.#connect(any, ref, child, position + 1);
      }
    }
    return any;
  }

  #self(node: TreeNode): Vertex {
    let self = this.#selves.get(node);
    if (self === undefined) {
      self = vertex(undefined);
      this.#selves.set(node, self);
      for (const rule of node.rules) for (const branch of this.#byRule.get(rule.id) ?? []) self.edges.add(branch);
    }
    return self;
  }

  #extent(top: TreeNode): Vertex {
    const known = this.#extents.get(top);
    if (known !== undefined) return known;
    const made = vertex(undefined);
    this.#extents.set(top, made);
    const pending = [top];
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      const own = this.#extents.get(node) as Vertex;
      if (node.rules.length > 0) own.edges.add(this.#self(node));
      for (const child of node.children.values()) {
        let below = this.#extents.get(child);
        if (below === undefined) {
          below = vertex(undefined);
          this.#extents.set(child, below);
          pending.push(child);
        }
        own.edges.add(below);
      }
    }
    return made;
  }

  /** Every branch after the branches it reads. */
  get order(): readonly RuleBranch[] {
    return this.#order;
  }

  /** Tarjan's algorithm, without recursion of our own: chains of rules can be long. */
  *#sort(): Steps<readonly RuleBranch[]> {
    const order: RuleBranch[] = [];
    const stack: Vertex[] = [];
    let index = 0;
    let component = 0;
    let nextYield = SORTED_AT_ONCE;
    for (const root of this.#branches) {
      if (root.index !== -1) continue;
      if (order.length >= nextYield) {
        nextYield = order.length + SORTED_AT_ONCE;
        yield;
      }
      const work: { readonly at: Vertex; readonly edges: Iterator<Vertex> }[] = [];
      const enter = (at: Vertex): void => {
        at.index = at.low = index++;
        at.onStack = true;
        stack.push(at);
        work.push({ at, edges: at.edges.values() });
      };
      enter(root);
      for (let frame = work[work.length - 1]; frame !== undefined; frame = work[work.length - 1]) {
        const { at, edges } = frame;
        const next = edges.next();
        if (next.done !== true) {
          const to = next.value;
          if (to.index === -1) enter(to);
          else if (to.onStack) at.low = Math.min(at.low, to.index);
          continue;
        }
        work.pop();
        const parent = work[work.length - 1];
        if (parent !== undefined) parent.at.low = Math.min(parent.at.low, at.low);
        if (at.low === at.index) {
          for (let member = stack.pop(); member !== undefined; member = stack.pop()) {
            member.onStack = false;
            member.component = component;
            if (member === at) break;
          }
          component++;
        }
        if (at.branch !== undefined) order.push(at.branch);
      }
    }
    return order;
  }

  /** Rules that read themselves, in the order of the tree. */
  *checkRecursion(findings: Findings): Steps<void> {
    for (const node of this.#tree.depthFirst()) {
      for (const [i, compiled] of node.rules.entries()) {
        if (i % SORTED_AT_ONCE === 0) yield;
        for (const from of this.#byRule.get(compiled.id) ?? []) {
          if (findings.full) return;
          if (!reachesWithin(from)) continue;
          const path = pathToSelf(from).map((at) => branchName(at.branch as RuleBranch));
          const at = (from.branch as RuleBranch).rule.at;
          findings.add("rego_recursion_error", `rule ${path[0]} is recursive: ${path.join(" -> ")}`, at);
        }
      }
    }
  }

  of(id: number): ReadonlySet<number> {
    const found = new Set<number>();
    const seen = new Set<Vertex>();
    const pending = [...(this.#byRule.get(id) ?? [])].flatMap((at) => [...at.edges]);
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      if (at.branch !== undefined) found.add(at.branch.compiled.id);
      else pending.push(...at.edges);
    }
    return found;
  }

  on(id: number): ReadonlySet<number> {
    if (this.#dependents === undefined) {
      this.#dependents = new Map();
      for (const reader of this.#byRule.keys()) {
        for (const read of this.of(reader)) {
          const readers = this.#dependents.get(read);
          if (readers === undefined) this.#dependents.set(read, new Set([reader]));
          else readers.add(reader);
        }
      }
    }
    return this.#dependents.get(id) ?? new Set();
  }
}

/** The vertex lies on a cycle: an edge leads to its own strongly connected component, of which it is not the only part. */
function reachesWithin(from: Vertex): boolean {
  for (const to of from.edges) if (to.component === from.component) return true;
  return false;
}

/** The shortest way from a vertex back to itself, as rule branches. */
function pathToSelf(from: Vertex): readonly Vertex[] {
  const cameFrom = new Map<Vertex, Vertex>();
  const queue: Vertex[] = [from];
  for (let i = 0; i < queue.length; i++) {
    const at = queue[i] as Vertex;
    for (const to of at.edges) {
      if (to === from) {
        const path = [from];
        for (let back: Vertex | undefined = at; back !== undefined && back !== from; back = cameFrom.get(back)) {
          if (back.branch !== undefined) path.unshift(back);
        }
        return [from, ...path];
      }
      if (to.component !== from.component || cameFrom.has(to)) continue;
      cameFrom.set(to, at);
      queue.push(to);
    }
  }
  return [from];
}

function branchName({ compiled, rule }: RuleBranch): string {
  return refText({ terms: fullPath(compiled.module, rule.head) });
}

function isConstant(term: Term): boolean {
  let constant = true;
  const check = (part: Term): void => {
    if (part.kind === "array" || part.kind === "set") part.items.forEach(check);
    else if (part.kind === "object") {
      for (const [key, value] of part.entries) {
        check(key);
        check(value);
      }
    } else if (scalarOf(part) === undefined) constant = false;
  };
  check(term);
  return constant;
}
