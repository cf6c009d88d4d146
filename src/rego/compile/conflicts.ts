import { eachInSteps, type Location, placeOf, type Steps } from "../../base/index.ts";
import type { Term } from "../syntax/index.ts";
import { compareStrings, compareValues, isObject, lookup, type Value } from "../value/index.ts";
import { type Findings, sourceName } from "./context.ts";
import type { WorkModule, WorkRule } from "./work.ts";
import type { Names } from "./program.ts";
import { refText, termText } from "./text.ts";
import { kindOf, scalarOf, type TreeNode } from "./tree.ts";

/**
 * Rules that cannot live together: of different kinds at one path, below a ground rule, functions inside a dynamic extent,
 * several defaults, packages below rules.
 * @source OPA v1/ast/compile.go, checkRuleConflicts
 */
export function* checkConflicts(
  tree: TreeNode,
  modules: readonly WorkModule[],
  names: Names,
  findings: Findings,
): Steps<void> {
  yield* eachInSteps(tree.depthFirst(), (node) => {
    if (!findings.full && node.rules.length > 0) checkNode(node, names, findings);
  });
  if (findings.full) return;
  for (const { module, rules } of modules) {
    yield;
    yield* eachInSteps(rules, ({ rule, path, groundPath }) => {
      if (groundPath.length < path.length - 1) return;
      let node: TreeNode | undefined = tree;
      for (const key of groundPath) node = node?.child(key);
      for (const other of node?.modules ?? []) {
        if (other === module || findings.full) continue;
        const rulePlace = placeOf(rule.at);
        const message = `package ${packageName(other.package.path.terms)} conflicts with rule ${refText(rule.head.reference)} defined at ${rulePlace}`;
        findings.add("rego_type_error", message, module.package.at);
      }
    });
  }
}

/**
 * Rules whose document the base documents have too, so that one would hide the other.
 * @source OPA v1/ast/conflicts.go; v1/storage/storage.go, NonEmpty
 */
export function checkDataConflicts(tree: TreeNode, base: Value, findings: Findings): void {
  const visit = (node: TreeNode, path: string, document: Value): void => {
    for (const child of node.sorted()) {
      if (typeof child.key !== "string" || findings.full) continue;
      const below = lookup(document, child.key);
      // What is no object leaves no room below it for documents of rules.
      const taken = below !== undefined || (path !== "" && !isObject(document));
      const here = path === "" ? child.key : `${path}/${child.key}`;
      const [first] = child.rules;
      if (first === undefined) {
        if (taken) visit(child, here, below ?? document);
      } else if (taken) {
        findings.add("rego_compile_error", `conflicting rule for data path ${here} found`, first.rule.at);
      }
    }
  };
  visit(tree, "", base);
}

/** The path of a package as it is written: without `data`. */
function packageName(path: readonly Term[]): string {
  const [first, ...rest] = path.slice(1);
  return first === undefined ? "data" : refText({ terms: [first, ...rest] });
}

function checkNode(node: TreeNode, names: Names, findings: Findings): void {
  const { rules } = node;
  const first = rules[0] as WorkRule;
  const kinds = new Set<"single" | "multi">();
  const arities = new Set<number>();
  let complete = 0;
  let partial = 0;
  let set = false;
  let sets = false;
  let groundWithChildren = false;
  for (const compiled of rules) {
    const { head } = compiled.rule;
    const ground = compiled.groundPath.length === compiled.path.length - 1;
    const kind = head.value === undefined ? "multi" : "single";
    kinds.add(kind);
    arities.add(head.args?.length ?? 0);
    if (ground && node.children.size > 0) groundWithChildren = true;
    if (kind === "single" && ground) complete++;
    else partial++;
    if (kind === "multi") {
      if (ground) set = true;
      else sets = true;
    }
  }
  const name = pathText((rules[rules.length - 1] as WorkRule).path, names);
  let conflicts = groundWithChildren ? rulesBelow(node, () => true) : [];
  if (
    !groundWithChildren &&
    node.children.size > 0 &&
    rules.some(({ path, groundPath }) => groundPath.length < path.length - 1)
  ) {
    conflicts = rulesBelow(node, ({ rule }) => kindOf(rule.head) === "function");
  }
  const defaults = rules.filter(({ rule }) => rule.default);
  if (groundWithChildren || conflicts.length > 0) {
    const list = conflicts.map(({ path, rule }) => `  rule ${pathText(path, names)} at ${placeOf(rule.at)}`);
    findings.add("rego_type_error", `rule ${name} conflicts with:\n${list.join("\n")}`, first.rule.at);
  } else if (kinds.size > 1 || arities.size > 1 || (complete > 0 && partial > 0) || (set && sets)) {
    findings.add("rego_type_error", `conflicting rules ${name} found`, first.rule.at);
  } else if (defaults.length > 1) {
    const places = defaults.map(({ rule }) => placeOf(rule.at)).join(", ");
    const at: Location = (defaults[0] as WorkRule).module.package.at;
    findings.add("rego_type_error", `multiple default rules ${name} found at ${places}`, at);
  }
}

/** Rules below a node, those under another of them left out, in the order of their paths. */
function rulesBelow(node: TreeNode, wanted: (rule: WorkRule) => boolean): readonly WorkRule[] {
  let found: WorkRule[] = [];
  for (const child of node.sorted()) {
    for (const below of child.depthFirst()) {
      for (const rule of below.rules) {
        if (!wanted(rule) || found.some((known) => isPrefix(known.path, rule.path))) continue;
        found = [rule, ...found.filter((known) => !isPrefix(rule.path, known.path))];
      }
    }
  }
  return found.sort((a, b) => comparePaths(a.path, b.path));
}

function isPrefix(prefix: readonly Term[], path: readonly Term[]): boolean {
  return prefix.length <= path.length && prefix.every((term, i) => termText(term) === termText(path[i] as Term));
}

function comparePaths(a: readonly Term[], b: readonly Term[]): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a[i] as Term;
    const y = b[i] as Term;
    const keyX = scalarOf(x);
    const keyY = scalarOf(y);
    const order = compareParts(keyX, keyY, x, y);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Constants before variables. */
function compareParts(keyX: Value | undefined, keyY: Value | undefined, x: Term, y: Term): number {
  if (keyX !== undefined && keyY !== undefined) return compareValues(keyX, keyY);
  if (keyX !== undefined || keyY !== undefined) return keyX === undefined ? 1 : -1;
  return compareStrings(termText(x), termText(y));
}

/** A rule's path with its variables as they were written. */
function pathText(path: readonly Term[], names: Names): string {
  return refText({
    terms: path.map((term) => (term.kind === "var" ? { ...term, name: sourceName(names, term.name) } : term)),
  });
}
