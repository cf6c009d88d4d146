import type { Body, Expr, Module, Rule, Term } from "../rego/syntax/index.ts";
import { compareTerms, termToText } from "../rego/syntax/index.ts";

/** A module as an indented tree, one node a line, as `opa parse` prints it (v1/ast/pretty.go). */
export function syntaxTreeText(module: Module): string {
  const tree = new TreeText();
  tree.module(module);
  return tree.text;
}

class TreeText {
  text = "";

  module(module: Module): void {
    this.#line(0, "module");
    this.#line(1, "package");
    this.#term(module.package.path, 2);
    for (const { path, alias } of module.imports) {
      this.#line(1, "import");
      this.#term(path, 2);
      this.#line(2, alias ?? "");
    }
    for (const rule of module.rules) this.#rule(rule, 1);
    for (const _ of module.annotations) this.#line(1, "annotations");
    for (const _ of module.comments) this.#line(1, "comment");
  }

  #line(depth: number, text: string): void {
    this.text += `${" ".repeat(depth)}${text}\n`;
  }

  #rule({ head, body, else: otherwise }: Rule, depth: number): void {
    this.#line(depth, "rule");
    this.#line(depth + 1, "head");
    this.#term(head.reference, depth + 2);
    if (head.args !== undefined && head.args.length > 0) {
      this.#line(depth + 2, "args");
      for (const arg of head.args) this.#term(arg, depth + 3);
    }
    if (head.value !== undefined) this.#term(head.value, depth + 2);
    this.#body(body, depth + 1);
    if (otherwise !== undefined) this.#rule(otherwise, depth + 1);
  }

  #body(body: Body, depth: number): void {
    this.#line(depth, "body");
    for (const expr of body) this.#expr(expr, depth + 1);
  }

  #expr({ form, negated, index, with: modifiers }: Expr, depth: number): void {
    this.#line(depth, `expr ${negated ? "negated " : ""}index=${index}`);
    const inner = depth + 1;
    switch (form.kind) {
      case "term":
        this.#term(form.term, inner);
        break;
      case "call":
        this.#term(form.operator, inner);
        for (const arg of form.args) this.#term(arg, inner);
        break;
      case "some":
        this.#line(inner, "somedecl");
        for (const symbol of form.symbols) this.#term(symbol, inner + 1);
        break;
      case "every":
        this.#line(inner, "every");
        if (form.key !== undefined) this.#term(form.key, inner + 1);
        this.#term(form.value, inner + 1);
        this.#term(form.domain, inner + 1);
        this.#body(form.body, inner + 1);
        break;
      case "not":
        this.#line(inner, "not");
        this.#body(form.body, inner + 1);
        break;
      case "logical":
        this.#line(inner, form.operator === "and" ? "logicaland" : "logicalor");
        this.#body(form.left, inner + 1);
        this.#body(form.right, inner + 1);
        break;
    }
    for (const { target, value } of modifiers) {
      this.#line(inner, "with");
      this.#term(target, inner + 1);
      this.#term(value, inner + 1);
    }
  }

  #term(term: Term, depth: number): void {
    switch (term.kind) {
      case "null":
      case "boolean":
      case "number":
      case "string":
      case "var":
        this.#line(depth, termToText(term));
        return;
      case "templatestring":
        this.#line(depth, term.kind);
        return;
      case "call":
        this.#line(depth, term.kind);
        this.#term(term.operator, depth + 1);
        for (const arg of term.args) this.#term(arg, depth + 1);
        return;
      default:
        this.#line(depth, term.kind);
    }
    switch (term.kind) {
      case "ref":
        for (const part of term.terms) this.#term(part, depth + 1);
        return;
      case "set":
        for (const item of [...term.items].sort(compareTerms)) this.#term(item, depth + 1);
        return;
      case "array":
        for (const item of term.items) this.#term(item, depth + 1);
        return;
      case "object":
        for (const [key, value] of [...term.entries].sort(([a], [b]) => compareTerms(a, b))) {
          this.#term(key, depth + 1);
          this.#term(value, depth + 1);
        }
        return;
      case "arraycomprehension":
      case "setcomprehension":
        this.#term(term.term, depth + 1);
        this.#body(term.body, depth + 1);
        return;
      case "objectcomprehension":
        this.#term(term.key, depth + 1);
        this.#term(term.value, depth + 1);
        this.#body(term.body, depth + 1);
        return;
    }
  }
}
