import type { CallTerm, Expr, RefTerm, Rule, TemplateString, Term } from "../syntax/index.ts";
import { type ArityOf, type Environment, sourceName } from "./context.ts";
import { mapBody, mapChildren, mapExpr, mapList, type Mapper, mapWith } from "./map.ts";
import { outputsOfBody, VISIBLE } from "./outputs.ts";
import { captureSet } from "./print.ts";
import { addVars, varsOf } from "./vars.ts";
import { isGround, isTrueBody, operatorName, refHeadName, refOf, ROOT_DOCUMENTS } from "./walk.ts";

/**
 * Makes template strings into calls of `internal.template_string`, whose parts are sets: empty where a part is undefined.
 * @source OPA v1/ast/compile.go, rewriteTemplateString
 */
export function rewriteTemplates(rule: Rule, environment: Environment, arityOf: ArityOf): Rule {
  const globals = new Set(ROOT_DOCUMENTS);
  for (const arg of rule.head.args ?? []) addVars(arg, globals);
  const body = templateMapper(environment, arityOf, globals).body(rule.body);
  for (const name of outputsOfBody(rule.body, arityOf, globals)) globals.add(name);
  const inHead = templateMapper(environment, arityOf, globals);
  const { head } = rule;
  return {
    ...rule,
    head: {
      ...head,
      args: head.args === undefined ? undefined : mapList(head.args, inHead.term),
      key: head.key === undefined ? undefined : inHead.term(head.key),
      value: head.value === undefined ? undefined : inHead.term(head.value),
    },
    body,
  };
}

/** A mapper whose `body` treats what the body binds as known to its templates. */
export function templateMapper(environment: Environment, arityOf: ArityOf, globals: ReadonlySet<string>): Mapper {
  const within = (body: readonly Expr[], more: readonly string[] = []): Mapper => {
    const known = new Set([...globals, ...more]);
    for (const name of outputsOfBody(body, arityOf, known)) known.add(name);
    return templateMapper(environment, arityOf, known);
  };
  const mapper: Mapper = {
    body: (body) => mapBody(body, within(body)),
    expr: (expr) => {
      const { form } = expr;
      if (form.kind !== "every") return mapExpr(expr, mapper);
      const domain = mapper.term(form.domain);
      const names = form.key === undefined ? [form.value.name] : [form.key.name, form.value.name];
      const body = mapBody(form.body, within(form.body, names));
      return {
        ...expr,
        form: { ...form, domain, body },
        with: mapList(expr.with, (modifier) => mapWith(modifier, mapper)),
      };
    },
    term: (term) => {
      switch (term.kind) {
        case "templatestring":
          return templateCall(term, environment, globals, mapper);
        case "arraycomprehension":
        case "setcomprehension":
        case "objectcomprehension": {
          const inner = within(term.body);
          return mapChildren(term, { ...inner, body: (body) => mapBody(body, inner) });
        }
        default:
          return mapChildren(term, mapper);
      }
    },
  };
  return mapper;
}

function templateCall(
  template: TemplateString,
  environment: Environment,
  safe: ReadonlySet<string>,
  mapper: Mapper,
): Term {
  const { at } = template;
  if (!environment.features.has("template_strings")) {
    environment.findings.add("rego_compile_error", "template-strings are not supported", at);
    return template;
  }
  const items: Term[] = template.parts.length === 0 ? [{ kind: "string", value: "", at }] : [];
  for (const part of template.parts) {
    const item = "form" in part ? partTerm(part, environment, safe, mapper) : part;
    if (item !== undefined) items.push(item);
  }
  return { kind: "call", operator: refOf("internal.template_string", at), args: [{ kind: "array", items, at }], at };
}

function partTerm(expr: Expr, environment: Environment, safe: ReadonlySet<string>, mapper: Mapper): Term | undefined {
  const { form } = expr;
  let term: Term;
  if (form.kind === "call") {
    const name = operatorName(form.operator);
    if (environment.signatures.get(name)?.relation === true) {
      const message = `illegal call to relation built-in '${name}' that may cause multiple outputs`;
      environment.findings.add("rego_compile_error", message, undefined);
      return undefined;
    }
    const call: CallTerm = { kind: "call", operator: form.operator, args: form.args, at: expr.at };
    term = call;
  } else if (form.kind === "term") term = form.term;
  else {
    environment.findings.add("rego_compile_error", "unexpected template-string expression", expr.at);
    return undefined;
  }
  if (term.kind === "var" || (term.kind === "ref" && isAlwaysDefined(term, environment)))
    return { kind: "set", items: [term], at: term.at };
  for (const name of [...varsOf(term, VISIBLE)].sort()) {
    if (!safe.has(name))
      environment.findings.add("rego_compile_error", `var ${sourceName(environment, name)} is undeclared`, term.at);
  }
  const modifiers = mapList(expr.with, (modifier) => mapWith(modifier, mapper));
  return captureSet(mapper.term(term), environment, modifiers);
}

/** The ref names a rule that is known to have a value: it has a default, is multi-value, or is one constant. */
function isAlwaysDefined(ref: RefTerm, { tree }: Environment): boolean {
  if (ref.terms.length < 2 || refHeadName(ref) !== "data") return false;
  const rules = tree.find(ref)?.rules ?? [];
  const [first] = rules;
  if (first === undefined || first.kind === "function") return false;
  if (first.rule.default || first.rule.head.value === undefined) return true;
  if (rules.length > 1) return rules.some(({ rule }) => rule.default);
  return isTrueBody(first.rule.body) && isGround(first.rule.head.value) && first.rule.head.value.kind !== "ref";
}
