import type { Expr, Import, RefTerm, Term } from "../syntax/index.ts";
import { numberText, quoteGo } from "../value/index.ts";

/** Words that a ref shows in brackets: `input["if"]`. */
const KEYWORDS: ReadonlySet<string> = new Set(
  "as contains default else every false if import in not null package some true with".split(" "),
);

/** A term as OPA's messages show it (v1/ast/term.go, `String`). */
export function termText(term: Term): string {
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
      return varText(term.name);
    case "ref":
      return refText(term);
    case "array":
      return `[${term.items.map(termText).join(", ")}]`;
    case "set":
      return term.items.length === 0 ? "set()" : `{${term.items.map(termText).join(", ")}}`;
    case "object":
      return `{${term.entries.map(([key, value]) => `${termText(key)}: ${termText(value)}`).join(", ")}}`;
    case "arraycomprehension":
      return `[${termText(term.term)} | ${bodyText(term.body)}]`;
    case "setcomprehension":
      return `{${termText(term.term)} | ${bodyText(term.body)}}`;
    case "objectcomprehension":
      return `{${termText(term.key)}: ${termText(term.value)} | ${bodyText(term.body)}}`;
    case "call":
      return callText(term.operator, term.args);
    case "templatestring":
      return `$"${term.parts.map((part) => ("form" in part ? `{${exprText(part)}}` : part.value)).join("")}"`;
  }
}

function varText(name: string): string {
  return name.startsWith("$") ? "_" : name;
}

export function refText(ref: Pick<RefTerm, "terms">): string {
  const [head, ...rest] = ref.terms;
  let text = head === undefined ? "" : head.kind === "string" ? head.value : termText(head);
  for (const part of rest) {
    if (part.kind === "string" && /^[A-Za-z_][A-Za-z0-9_]*$/.test(part.value) && !KEYWORDS.has(part.value))
      text += `.${part.value}`;
    else text += `[${termText(part)}]`;
  }
  return text;
}

function callText(operator: RefTerm, args: readonly Term[]): string {
  return `${refText(operator)}(${args.map(termText).join(", ")})`;
}

function bodyText(body: readonly Expr[]): string {
  return body.map(exprText).join("; ");
}

const INFIX: ReadonlyMap<string, string> = new Map([
  ["eq", "="],
  ["assign", ":="],
  ["equal", "=="],
  ["neq", "!="],
  ["lt", "<"],
  ["lte", "<="],
  ["gt", ">"],
  ["gte", ">="],
  ["plus", "+"],
  ["minus", "-"],
  ["mul", "*"],
  ["div", "/"],
  ["rem", "%"],
  ["and", "&"],
  ["or", "|"],
]);

function exprText(expr: Expr): string {
  const text = formText(expr.form);
  const modifiers = expr.with.map(({ target, value }) => ` with ${termText(target)} as ${termText(value)}`);
  return `${expr.negated ? "not " : ""}${text}${modifiers.join("")}`;
}

function formText(form: Expr["form"]): string {
  switch (form.kind) {
    case "term":
      return termText(form.term);
    case "call": {
      const infix = INFIX.get(refText(form.operator));
      const [left, right] = form.args;
      if (infix !== undefined && form.args.length === 2)
        return `${termText(left as Term)} ${infix} ${termText(right as Term)}`;
      return callText(form.operator, form.args);
    }
    case "some":
      return `some ${form.symbols.map(termText).join(", ")}`;
    case "every":
      return `every ${form.key === undefined ? "" : `${termText(form.key)}, `}${termText(form.value)} in ${termText(form.domain)} { ${bodyText(form.body)} }`;
    case "not":
      return `not { ${bodyText(form.body)} }`;
    case "logical":
      return `{ ${bodyText(form.left)} } ${form.operator} { ${bodyText(form.right)} }`;
  }
}

/** `import data.a.b as c` */
export function importText({ path, alias }: Import): string {
  return `import ${refText(path)}${alias === undefined ? "" : ` as ${alias}`}`;
}
