import { eachInSteps, finish, type Location, Source, type Steps } from "../../base/index.ts";
import { type AnnotationTarget, attachAnnotations, fixedPath } from "./annotations.ts";
import type { Body, Diagnostic, Expr, Head, Import, Module, RefTerm, RegoVersion, Rule, Term, VarTerm } from "./ast.ts";
import { BUILTIN_NAMES } from "./builtin-names.ts";
import { booleanTerm, expr as makeExpr, operatorName, refTerm } from "./construct.ts";
import { withHints } from "./hints.ts";
import { failure, type LanguageOptions, type ParseResult, parseStatements, placeOfStatement } from "./parse.ts";
import type { ParsedStatements, Statement } from "./parser.ts";
import { termToText } from "./text.ts";
import { isReserved } from "./tokens.ts";

/** Longest text that is read a second time, in the other language, to explain an error. */
const MAX_HINTED_LENGTH = 1024 * 1024;

export interface SourceText {
  readonly file: string;
  readonly text: string;
}

export interface ModuleOptions extends LanguageOptions {
  /** Read METADATA comments. */
  readonly annotations?: boolean | undefined;
}

/** Reads a policy. Never throws: what is wrong with the text comes back as diagnostics, in OPA's words. */
export function parseModule(source: Source | SourceText, options: ModuleOptions = {}): ParseResult<Module> {
  return finish(parseModuleInSteps(source, options));
}

/** The same statement by statement. */
export function* parseModuleInSteps(
  source: Source | SourceText,
  options: ModuleOptions = {},
): Steps<ParseResult<Module>> {
  const text = source instanceof Source ? source : new Source(source.file, source.text);
  const parsed = yield* readModule(text, options);
  if (parsed.diagnostics === undefined) return parsed;
  const version = options.version ?? "v1";
  const parsesAs = (other: "v0" | "v1"): boolean =>
    text.text.length <= MAX_HINTED_LENGTH && finish(readModule(text, { version: other })).diagnostics === undefined;
  return { diagnostics: withHints(parsed.diagnostics, version, parsesAs) };
}

function* readModule(source: Source, options: ModuleOptions): Steps<ParseResult<Module>> {
  const parsed = yield* parseStatements(source, options, false);
  if (parsed.diagnostics !== undefined) return { diagnostics: parsed.diagnostics };
  const assembled = yield* assemble(source, parsed.statements, options.version ?? "v1");
  if (assembled.value === undefined || options.annotations !== true) return assembled;
  return attachAnnotations(assembled.value, annotationTargets(assembled.value));
}

/** All that annotations may stand above, in source order. */
function annotationTargets(module: Module): readonly AnnotationTarget[] {
  const targets: AnnotationTarget[] = [
    { kind: "package", at: module.package.at, path: module.package.path.terms },
    ...module.imports.map(({ at }) => ({ kind: "import" as const, at, path: undefined })),
    ...module.rules.map((rule) => ({ kind: "rule" as const, at: rule.at, path: fixedPath(module, rule) })),
  ];
  return targets.sort((a, b) => a.at.offset - b.at.offset);
}

/** Makes a module of its statements. Those that were read as queries are rules written without a body. */
function* assemble(source: Source, parsed: ParsedStatements, language: "v0" | "v1"): Steps<ParseResult<Module>> {
  const [first, ...rest] = parsed.statements;
  if (first === undefined) {
    return failure({ source, row: 0, col: 0, offset: 0, end: 0 }, "empty module");
  }
  const errors: Diagnostic[] = [];
  const report = (at: Location | undefined, message: string): void => {
    errors.push({ code: "rego_parse_error", message, at });
  };
  if (first.kind !== "package") report(placeOfStatement(first), "package expected");
  let version: RegoVersion = language;
  const imports: Import[] = [];
  const rules: Rule[] = [];
  for (const statement of rest) {
    switch (statement.kind) {
      case "import":
        imports.push(statement.import);
        if (version === "v0" && termToText(statement.import.path) === "rego.v1") version = "v0v1";
        break;
      case "rule":
        rules.push(statement.rule);
        break;
      case "package":
        report(statement.package.at, "unexpected package");
        break;
      case "body": {
        const rule = ruleFromBody(statement.body);
        if (typeof rule === "string") report(statement.body[0]?.at, `${rule}${keywordHint(statement, version)}`);
        else rules.push(rule);
      }
    }
  }
  if (version !== "v0") {
    yield* eachInSteps(rules, (rule) => {
      for (let branch: Rule | undefined = rule; branch !== undefined; branch = branch.else) {
        for (const message of versionErrors(branch)) report(branch.at, message);
      }
    });
  }
  if (errors.length > 0 || first.kind !== "package") return { diagnostics: errors };
  return {
    value: {
      file: source.name,
      package: first.package,
      imports,
      rules,
      comments: parsed.comments,
      annotations: [],
      version,
    },
  };
}

/** In v0, a name before `if` or `contains` is a statement of its own unless the keyword was imported. */
function keywordHint(statement: Statement & { readonly kind: "body" }, version: RegoVersion): string {
  if (version === "v1" || statement.body[0]?.form.kind !== "term") return "";
  if (statement.next === "if") return " (hint: `import future.keywords.if` for `p if { ... }` rules)";
  if (statement.next === "contains")
    return " (hint: `import future.keywords.contains` for `p contains x { ... }` rules)";
  return "";
}

/** What v1 demands of a rule beyond its grammar. */
function versionErrors(rule: Rule): readonly string[] {
  const { head } = rule;
  const what = head.args !== undefined && head.args.length > 0 ? "function" : "rule";
  const errors: string[] = [];
  const name = head.name ?? "";
  if (head.reference.terms.length < 2 && isReserved(name, "v1")) {
    errors.push(`${name} keyword cannot be used for rule name`);
  }
  if (rule.generatedBody && head.generatedValue) {
    errors.push(`${what} must have value assignment and/or body declaration`);
  }
  if (!rule.generatedBody && !rule.default && head.keywords?.includes("if") !== true) {
    errors.push(`\`if\` keyword is required before ${what} body`);
  }
  if (head.value === undefined && head.keywords?.includes("contains") !== true) {
    errors.push("`contains` keyword is required for partial set rules");
  }
  return errors;
}

/** The rule a query statement stands for (`p = 1`, `f(x) = y`, v0's `p[1]`), or why it stands for none. */
export function ruleFromBody(body: Body): Rule | string {
  const [only] = body;
  if (only === undefined || body.length !== 1) return "multiple expressions cannot be used for rule head";
  if (only.with.length > 0) return "expressions using with keyword cannot be used for rule head";
  if (only.negated) return "negated expressions cannot be used for rule head";
  const { form } = only;
  switch (form.kind) {
    case "some":
      return "'some' declarations cannot be used for rule head";
    case "term":
      return ruleFromTerm(form.term);
    case "call":
      return ruleFromCall(only, form.operator, form.args);
    default:
      return "expression cannot be used for rule head";
  }
}

function ruleFromTerm(term: Term): Rule | string {
  if (term.kind !== "ref") return `${term.kind} cannot be used for rule name`;
  const [name, key] = term.terms;
  if (term.terms.length < 2) return "refs cannot be used for rule head";
  if (name?.kind !== "var") return `invalid rule head: ${termToText(term)}`;
  if (term.terms.length > 2) {
    const value = booleanTerm(true, term.at);
    return plainRule({ reference: term, value, generatedValue: true, at: term.at }, term.at, term.at);
  }
  const head = { reference: refTerm([name], name.at), key, isSet: true, name: name.name, at: term.at };
  return plainRule(head, term.at, term.at);
}

function ruleFromCall(only: Expr, operator: RefTerm, args: readonly Term[]): Rule | string {
  const name = operatorName(operator);
  if (name === "eq" || name === "assign") {
    const [left, right] = args;
    if (left === undefined || right === undefined) return "assignment requires two operands";
    const rule = ruleFromEquation(left, right);
    if (typeof rule === "string") return rule;
    return { ...rule, at: only.at, head: { ...rule.head, at: only.at, assign: name === "assign" } };
  }
  if (name !== undefined && BUILTIN_NAMES.has(name)) return "rule name conflicts with built-in function";
  if (args.length === 0) return "rule argument list must take at least one argument";
  const { at } = operator;
  if (operator.terms[0]?.kind !== "var") return `invalid rule head: ${termToText(operator)}`;
  const value = booleanTerm(true, at);
  return plainRule({ reference: operator, args, value, generatedValue: false, at }, at, at);
}

function ruleFromEquation(left: Term, value: Term): Rule | string {
  if (left.kind === "call") {
    const { operator } = left;
    if (operator.terms[0]?.kind === "var") {
      const args = left.args.length > 0 ? left.args : undefined;
      return plainRule({ reference: operator, args, value, at: left.at }, left.at, value.at);
    }
  }
  if (left.kind === "ref") {
    const [name, key] = left.terms;
    if (name?.kind !== "var") return `invalid rule head: ${termToText(left)}`;
    if (left.terms.length === 2) {
      return plainRule({ reference: left, key, value, name: name.name, at: value.at }, value.at, value.at);
    }
    return plainRule({ reference: left, value, at: value.at }, value.at, value.at);
  }
  if (left.kind !== "var") return `${left.kind} cannot be used for rule name`;
  return plainRule({ reference: refTerm([left], left.at), value, at: left.at }, left.at, value.at);
}

function plainRule(
  head: Partial<Head> & { readonly reference: RefTerm; readonly at: Location },
  at: Location,
  bodyAt: Location,
): Rule {
  const [first, ...path] = head.reference.terms;
  return {
    head: {
      args: undefined,
      key: undefined,
      value: undefined,
      assign: false,
      generatedValue: false,
      isSet: false,
      keywords: [],
      ...(path.length === 0 && first?.kind === "var" ? { name: (first as VarTerm).name } : {}),
      ...head,
    },
    body: [makeExpr(booleanTerm(true, bodyAt), { at: bodyAt })],
    generatedBody: true,
    default: false,
    else: undefined,
    annotations: [],
    at,
  };
}
