import type { Location } from "../base/index.ts";
import type { Module } from "../rego/engine/index.ts";
import {
  type Body,
  callExpr,
  type Expr,
  isWildcard,
  operatorName,
  type Rule,
  type Term,
  visit,
} from "../rego/syntax/index.ts";

/** One test rule. */
export interface TestCase {
  readonly at: Location;
  /** `data.policy_test`. */
  readonly package: string;
  /** With `#01` and so on where several rules share it. */
  readonly name: string;
  /** Below `data`. */
  readonly path: readonly (string | number)[];
  /** `todo_test_…` */
  readonly isSkipped: boolean;
  /** A rule with keys in its name: each member of its document is a test of its own. */
  readonly isTable: boolean;
}

const TEST = "test_";
const SKIPPED = "todo_test_";

/**
 * Finds the test rules of modules, and makes the modules ready: rules of one name become tests of their own, and
 * table-driven tests say which case they have reached. Source: OPA v1/tester/runner.go.
 */
export function discoverTests(modules: readonly Module[]): {
  readonly modules: readonly Module[];
  readonly tests: readonly TestCase[];
} {
  const tests: TestCase[] = [];
  const counts = new Map<string, number>();
  const prepared = modules.map((module) => ({
    ...module,
    rules: module.rules.map((rule) => {
      const found = testName(rule);
      if (found === undefined) return rule;
      const packageName = pathOf(module.package.path.terms);
      const key = JSON.stringify([packageName, found.path]);
      const count = counts.get(key) ?? 0;
      counts.set(key, count + 1);
      const isTest = found.name.startsWith(TEST);
      const name = isTest && count > 0 ? `${found.name}#${String(count).padStart(2, "0")}` : found.name;
      const renamed = name === found.name ? rule : renameRule(rule, found.length, name);
      const path = [...packageName, ...found.path.slice(0, -1), name];
      const isTable = rule.head.reference.terms.length > found.length && rule.head.value !== undefined;
      tests.push({
        at: rule.at,
        package: refText(["data", ...packageName]),
        name: refText([...found.path.slice(0, -1), name]),
        path,
        isSkipped: !isTest,
        isTable,
      });
      return isTest && isTable ? announceCases(renamed, found.length) : renamed;
    }),
  }));
  return { modules: prepared, tests };
}

function pathOf(terms: readonly Term[]): readonly string[] {
  return terms.slice(1).map((term) => (term.kind === "string" ? term.value : ""));
}

function refText(path: readonly string[]): string {
  return path
    .map((part, i) => (i === 0 ? part : /^[A-Za-z_]\w*(#\d+)?$/.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`))
    .join("");
}

/** The first word of a rule's name that makes it a test, and how much of the name that takes. */
function testName(
  rule: Rule,
): { readonly name: string; readonly path: readonly string[]; readonly length: number } | undefined {
  const path: string[] = [];
  for (const [i, term] of rule.head.reference.terms.entries()) {
    const word = term.kind === "string" || (term.kind === "var" && i === 0) ? wordOf(term) : undefined;
    if (word === undefined) return undefined;
    path.push(word);
    if (word.startsWith(TEST) || word.startsWith(SKIPPED)) return { name: word, path, length: i + 1 };
  }
  return undefined;
}

function wordOf(term: Term): string | undefined {
  return term.kind === "string" ? term.value : term.kind === "var" ? term.name : undefined;
}

function renameRule(rule: Rule, length: number, name: string): Rule {
  const { reference } = rule.head;
  const terms = reference.terms.map((term, i) => {
    if (i !== length - 1) return term;
    return term.kind === "string" ? { ...term, value: name } : { kind: "var" as const, name, at: term.at };
  });
  return { ...rule, head: { ...rule.head, reference: { ...reference, terms } } };
}

/** Names the case as soon as its keys are known, so that a case that fails further on is not lost. */
function announceCases(rule: Rule, length: number): Rule {
  const keys = rule.head.reference.terms.slice(length);
  if (rule.generatedBody || callsTestCase(rule.body)) return rule;
  const names = new Set(keys.flatMap((key) => variablesOf(key)));
  let position = 0;
  for (const name of names) {
    const first = rule.body.findIndex((expr) => variablesOf(expr).includes(name));
    position = Math.max(position, first + 1);
  }
  const announcement = callExpr("internal.test_case", [{ kind: "array", items: keys, at: rule.head.at }], {
    at: rule.head.at,
  });
  const body = [...rule.body.slice(0, position), announcement, ...rule.body.slice(position)];
  return { ...rule, body: body.map((expr, index) => ({ ...expr, index })) };
}

function callsTestCase(body: Body): boolean {
  let found = false;
  visit(body, {
    expr: ({ form }) => {
      if (form.kind === "call" && operatorName(form.operator) === "internal.test_case") found = true;
      return true;
    },
  });
  return found;
}

function variablesOf(node: Term | Expr): readonly string[] {
  const names: string[] = [];
  visit(node, {
    term: (term) => {
      if (term.kind === "var" && !isWildcard(term)) names.push(term.name);
      return true;
    },
  });
  return names;
}
