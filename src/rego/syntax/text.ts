import { numberText, quoteGo } from "../value/index.ts";
import type { Body, Expr, Head, Import, RefTerm, Rule, ScalarTerm, Term, With } from "./ast.ts";
import { isBuiltinInfix, infixOf } from "./builtin-names.ts";
import { sortedEntries, sortedItems } from "./compare.ts";
import { isWildcard, operatorName } from "./construct.ts";
import { isReserved } from "./tokens.ts";

/** A term on one line, exactly as OPA's `String()` prints it: what error messages show. */
export function termToText(term: Term): string {
  switch (term.kind) {
    case "null":
      return "null";
    case "boolean":
      return String(term.value);
    case "number":
      return numberText(term.value);
    case "string":
      return quoteGo(term.value);
    case "var":
      return isWildcard(term) ? "_" : term.name;
    case "ref":
      return refToText(term);
    case "array":
      return `[${listToText(term.items)}]`;
    case "set":
      return term.items.length === 0 ? "set()" : `{${listToText(sortedItems(term.items))}}`;
    case "object":
      return `{${sortedEntries(term.entries)
        .map(([key, value]) => `${termToText(key)}: ${termToText(value)}`)
        .join(", ")}}`;
    case "arraycomprehension":
      return `[${headToText(term.term)} | ${bodyToText(term.body)}]`;
    case "setcomprehension":
      return `{${headToText(term.term)} | ${bodyToText(term.body)}}`;
    case "objectcomprehension":
      return `{${headToText(term.key)}: ${headToText(term.value)} | ${bodyToText(term.body)}}`;
    case "call":
      return callToText(term.operator, term.args);
    case "templatestring":
      return `$"${term.parts.map(templatePartToText).join("")}"`;
  }
}

function listToText(terms: readonly Term[]): string {
  return terms.map(termToText).join(", ");
}

function callToText(operator: RefTerm, args: readonly Term[]): string {
  return `${termToText(operator)}(${listToText(args)})`;
}

const WORD = /^[A-Za-z_][A-Za-z0-9_]*$/;

function refToText(ref: RefTerm): string {
  const [head, ...path] = ref.terms;
  if (head === undefined) return "";
  let text = head.kind === "string" ? head.value : termToText(head);
  for (const part of path) {
    if (part.kind !== "string") text += `[${termToText(part)}]`;
    else if (WORD.test(part.value) && !isReserved(part.value, "v1")) text += `.${part.value}`;
    else text += `[${/[\\\p{Cc}]/u.test(part.value) ? quoteGo(part.value) : `"${part.value}"`}]`;
  }
  return text;
}

/** The head of a comprehension shows operators between their operands: `|` would be read as the body's bar. */
function headToText(term: Term): string {
  if (term.kind !== "call" || term.args.length !== 2) return termToText(term);
  const infix = infixOf(operatorName(term.operator));
  if (infix === undefined || infix === "in") return termToText(term);
  return `(${headToText(term.args[0] as Term)} ${infix} ${headToText(term.args[1] as Term)})`;
}

function templatePartToText(part: ScalarTerm | Expr): string {
  if ("form" in part) return `{${exprToText(part)}}`;
  if (part.kind !== "string") return termToText(part);
  return quoteGo(part.value)
    .slice(1, -1)
    .replace(/(?<!\\)\{/g, "\\{");
}

export function bodyToText(body: Body): string {
  return body.map(exprToText).join("; ");
}

/** One literal of a body. Of the operators only `=` prints between its operands: `x = [1, 2]`, but `plus(1, 2)`. */
export function exprToText(expr: Expr): string {
  const parts = [expr.negated ? `not ${formToText(expr)}` : formToText(expr)];
  for (const modifier of expr.with) parts.push(withToText(modifier));
  return parts.join(" ");
}

function withToText(modifier: With): string {
  return `with ${termToText(modifier.target)} as ${termToText(modifier.value)}`;
}

function formToText({ form }: Expr): string {
  switch (form.kind) {
    case "term":
      return termToText(form.term);
    case "call": {
      const { operator, args } = form;
      const [left, right] = args;
      if (args.length === 2 && operatorName(operator) === "eq" && left !== undefined && right !== undefined) {
        return `${termToText(left)} = ${termToText(right)}`;
      }
      return callToText(operator, args);
    }
    case "some":
      return `some ${someToText(form.symbols)}`;
    case "every": {
      const key = form.key === undefined ? "" : `${termToText(form.key)}, `;
      return `every ${key}${termToText(form.value)} in ${termToText(form.domain)} { ${bodyToText(form.body)} }`;
    }
    case "not":
      if (form.explicit || form.body.length !== 1) return `not {${bodyToText(form.body)}}`;
      return notNeedsParens(form.body) ? `not (${bodyToText(form.body)})` : `not ${bodyToText(form.body)}`;
    case "logical": {
      const left = operandToText(form.left, form.explicitLeft === true, form.operator, false);
      const right = operandToText(form.right, form.explicitRight === true, form.operator, true);
      return `${left} ${form.operator} ${right}`;
    }
  }
}

function someToText(symbols: readonly Term[]): string {
  const [first] = symbols;
  if (first?.kind !== "call") return listToText(symbols);
  const operands = first.args.map(termToText);
  const collection = operands.pop() ?? "";
  return isBuiltinInfix(operatorName(first.operator), first.args.length)
    ? `${operands.join(", ")} in ${collection}`
    : listToText(symbols);
}

function operandToText(body: Body, explicit: boolean, operator: "and" | "or", right: boolean): string {
  if (explicit || body.length !== 1) return `{ ${bodyToText(body)} }`;
  return operandNeedsParens(body, operator, right) ? `(${bodyToText(body)})` : bodyToText(body);
}

/** Whether the only expression of an operand must stand in parentheses to be read back as it is. */
export function operandNeedsParens(body: Body, operator: "and" | "or", right: boolean): boolean {
  const only = body[0];
  if (only === undefined || body.length !== 1) return false;
  if (only.with.length > 0) return true;
  if (only.form.kind === "logical") {
    return only.form.operator === "or" ? operator === "and" || right : operator === "and" && right;
  }
  return only.form.kind === "term" && startsWithBrace(only.form.term);
}

/** The same for the operand of `not`. */
export function notNeedsParens(body: Body): boolean {
  const only = body[0];
  if (only === undefined || body.length !== 1) return false;
  if (only.with.length > 0 || only.form.kind === "logical" || only.form.kind === "not") return true;
  return only.form.kind === "term" && startsWithBrace(only.form.term);
}

function startsWithBrace(term: Term): boolean {
  switch (term.kind) {
    case "set":
      return term.items.length > 0;
    case "object":
    case "setcomprehension":
    case "objectcomprehension":
      return true;
    case "ref":
      return term.terms[0] !== undefined && startsWithBrace(term.terms[0]);
    default:
      return false;
  }
}

/** The name of a rule as written: `p.q[x]`. */
export function ruleRefToText(rule: Rule | Head): string {
  return termToText("head" in rule ? rule.head.reference : rule.reference);
}

/** `import data.foo as bar`. */
export function importToText(statement: Import): string {
  const alias = statement.alias === undefined ? "" : ` as ${statement.alias}`;
  return `import ${termToText(statement.path)}${alias}`;
}
