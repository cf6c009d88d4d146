import type { Body, Diagnostic, Expr, RefTerm, Term, With } from "../syntax/index.ts";
import type { Environment } from "./context.ts";
import { requiresEvaluation } from "./expand.ts";
import { mapExpr, type Mapper, mapperOf } from "./map.ts";
import { refText, termText } from "./text.ts";
import { groundPathOf, type TreeNode } from "./tree.ts";
import { equals, numbered, operatorName, refHeadName, refOf, varTerm } from "./walk.ts";

/**
 * Checks the targets of `with` modifiers, and moves values that need evaluation in front of their expression, outside the
 * reach of the modifier. Needs calls in values to be hoisted.
 * @source OPA v1/ast/compile.go, rewriteWithModifier, validateWith
 */
export function withMapper(environment: Environment): Mapper {
  return mapperOf((self) => ({
    body: (body) => rewriteWiths(body, environment).map((expr) => mapExpr(expr, self)),
  }));
}

function rewriteWiths(body: Body, environment: Environment): Body {
  if (body.every((expr) => expr.with.length === 0)) return body;
  const result: Expr[] = [];
  // Calls hoisted out of an expression share its modifiers, whose values are evaluated once.
  const done = new Map<With, With>();
  for (const expr of body) {
    const modifiers: With[] = [];
    for (const modifier of expr.with) {
      const known = done.get(modifier);
      if (known !== undefined) {
        modifiers.push(known);
        continue;
      }
      const checked = checkWith(modifier, environment);
      if ("code" in checked) {
        environment.findings.report(checked);
        return body;
      }
      record(checked.modifier, environment);
      let rewritten = checked.modifier;
      if (checked.evaluate) {
        const { value } = rewritten;
        const name = environment.names.make();
        result.push(equals(name, value));
        rewritten = { ...rewritten, value: varTerm(name, value.at) };
      }
      done.set(modifier, rewritten);
      modifiers.push(rewritten);
    }
    result.push(modifiers.length === 0 ? expr : { ...expr, with: modifiers });
  }
  return numbered(result);
}

interface Checked {
  readonly modifier: With;
  readonly evaluate: boolean;
}

function checkWith(modifier: With, environment: Environment): Checked | Diagnostic {
  const { tree, signatures } = environment;
  // Builtins by one word are vars so far; as refs they are functions beyond doubt.
  const value = isBuiltinWord(modifier.value, environment)
    ? refOf(modifier.value.name, modifier.value.at)
    : modifier.value;
  const { target } = modifier;
  const unsafe = unsafeBuiltin(target, environment);
  if (unsafe !== undefined) return unsafe;
  const plain = (changed: With): Checked => ({ modifier: changed, evaluate: requiresEvaluation(value) });

  if (target.kind === "ref" && refHeadName(target) === "data") {
    let node: TreeNode | undefined = tree;
    for (let i = 1; i < target.terms.length && node !== undefined; i++) {
      node = node.childOf(target.terms[i] as Term);
      if (node !== undefined && i < target.terms.length - 1 && node.rules.length > 0) {
        return error("rego_compile_error", "with keyword cannot partially replace virtual document(s)", modifier);
      }
    }
    if (node?.rules.some(({ kind }) => kind === "function") === true) {
      const replacement = functionValue(value, environment);
      if (typeof replacement === "object") return replacement;
      if (replacement) return { modifier: { ...modifier, value }, evaluate: false };
    }
    if (value.kind === "ref" && tree.find(value)?.rules.some(({ kind }) => kind === "function") === true) {
      return { modifier: { ...modifier, value }, evaluate: false };
    }
    return plain({ ...modifier, value });
  }
  if (target.kind === "ref" && refHeadName(target) === "input") return plain({ ...modifier, value });
  const name = target.kind === "var" ? target.name : operatorName(target);
  const signature = signatures.get(name);
  if (signature === undefined) {
    return error("rego_type_error", "with keyword target must reference existing input, data, or a function", modifier);
  }
  const invalid = "with keyword replacing built-in function:";
  if (name === "eq" || name === "rego.metadata.chain" || name === "rego.metadata.rule") {
    return error("rego_compile_error", `${invalid} replacement of "${name}" invalid`, modifier);
  }
  if (name.startsWith("internal."))
    return error("rego_compile_error", `${invalid} replacement of internal function "${name}" invalid`, modifier);
  if (signature.relation === true)
    return error("rego_compile_error", `${invalid} target must not be a relation`, modifier);
  if (signature.type.result === undefined)
    return error("rego_compile_error", `${invalid} target must not be a void function`, modifier);
  const changed: With = { ...modifier, target: target.kind === "var" ? refOf(target.name, target.at) : target, value };
  const replacement = functionValue(value, environment);
  if (typeof replacement === "object") return replacement;
  return replacement ? { modifier: changed, evaluate: false } : plain(changed);
}

function isBuiltinWord(term: Term, { signatures }: Environment): term is Extract<Term, { kind: "var" }> {
  return term.kind === "var" && signatures.has(term.name);
}

/** Whether a `with` value is a function (or the ref of a rule) to put in the target's place. */
function functionValue(value: Term, environment: Environment): boolean | Diagnostic {
  if (value.kind !== "ref") return false;
  if (environment.tree.find(value) !== undefined) return true;
  return unsafeBuiltin(value, environment) ?? environment.signatures.has(operatorName(value));
}

function unsafeBuiltin(term: Term, { unsafeBuiltins }: Environment): Diagnostic | undefined {
  if (term.kind !== "ref" && term.kind !== "var") return undefined;
  const name = term.kind === "var" ? term.name : operatorName(term);
  if (!unsafeBuiltins.has(name)) return undefined;
  const message = `with keyword replacing built-in function: target must not be unsafe: ${JSON.stringify(termText(term))}`;
  return { code: "rego_compile_error", message, at: term.at };
}

function error(code: Diagnostic["code"], message: string, { target }: With): Diagnostic {
  return { code, message, at: target.at };
}

function record({ target }: With, { withTargets, signatures, tree }: Environment): void {
  if (target.kind !== "ref") return;
  const head = refHeadName(target);
  if (head === "input") withTargets.input = true;
  else if (head === "data") {
    if (isFunction(target, tree)) withTargets.functions.add(refText(target));
    else {
      const path = groundPathOf(target.terms);
      withTargets.data.set(JSON.stringify(path.map(String)), path);
    }
  } else if (signatures.has(operatorName(target))) withTargets.builtins.add(operatorName(target));
}

function isFunction(target: RefTerm, tree: TreeNode): boolean {
  return tree.find(target)?.rules.some(({ kind }) => kind === "function") === true;
}
