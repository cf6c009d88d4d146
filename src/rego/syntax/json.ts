import { encodeBase64, type Location, locationText, toUtf8 } from "../../base/index.ts";
import type { Value } from "../value/index.ts";
import type { Annotations, Body, Comment, Expr, Head, Import, Module, RefTerm, Rule, Term, With } from "./ast.ts";
import { sortedEntries, sortedItems } from "./compare.ts";

export interface JsonOptions {
  /** Every node with its file, row, column and text (base64), as `opa parse --json-include locations`. Default false. */
  readonly locations?: boolean;
  /** Default true. */
  readonly comments?: boolean;
}

type Json = Record<string, Value>;

/** A module as OPA writes it in JSON: `opa parse --format json`, and the result of `rego.parse_module`. */
export function moduleToJson(module: Module, options: JsonOptions = {}): Value {
  return new Writer(options.locations === true).module(module, options.comments !== false);
}

/** A term as OPA writes it in JSON: `{"type": …, "value": …}`. */
export function termToJson(term: Term): Value {
  return new Writer(false).term(term);
}

class Writer {
  readonly #locations: boolean;

  constructor(locations: boolean) {
    this.#locations = locations;
  }

  module(module: Module, comments: boolean): Value {
    const { imports, annotations, rules } = module;
    return {
      package: { ...this.#at(module.package.at), path: this.#ref(module.package.path) },
      ...(imports.length > 0 ? { imports: imports.map((statement) => this.#import(statement)) } : {}),
      ...(annotations.length > 0 ? { annotations: annotations.map((block) => this.#annotations(block)) } : {}),
      ...(rules.length > 0 ? { rules: rules.map((rule) => this.#rule(rule)) } : {}),
      ...(comments && module.comments.length > 0
        ? { comments: module.comments.map((comment) => this.#comment(comment)) }
        : {}),
    };
  }

  #at(at: Location): Json {
    return this.#locations && at.row > 0 ? { location: this.#location(at) } : {};
  }

  #location(at: Location): Json {
    const text = this.#locations ? locationText(at) : "";
    return {
      file: at.source.name,
      row: at.row,
      col: at.col,
      ...(text !== "" ? { text: encodeBase64(toUtf8(text)) } : {}),
    };
  }

  #import({ path, alias, at }: Import): Json {
    return { ...(alias === undefined ? {} : { alias }), ...this.#at(at), path: this.term(path) };
  }

  #comment({ text, at }: Comment): Json {
    return { Text: encodeBase64(toUtf8(text)), Location: this.#location(at) };
  }

  #rule(rule: Rule): Json {
    return {
      ...(rule.annotations.length > 0
        ? { annotations: rule.annotations.map((annotations) => this.#annotations(annotations)) }
        : {}),
      body: this.#body(rule.body),
      ...(rule.default ? { default: true } : {}),
      ...(rule.else === undefined ? {} : { else: this.#rule(rule.else) }),
      head: this.#head(rule.head),
      ...this.#at(rule.at),
    };
  }

  #head(head: Head): Json {
    const { name, args, key, value, assign } = head;
    return {
      ...(name === undefined ? {} : { name }),
      ...(args === undefined || args.length === 0 ? {} : { args: args.map((arg) => this.term(arg)) }),
      ...(key === undefined ? {} : { key: this.term(key) }),
      ...(value === undefined ? {} : { value: this.term(value) }),
      ...(assign ? { assign } : {}),
      ref: this.#ref(head.reference),
      ...this.#at(head.at),
    };
  }

  #body(body: Body): readonly Value[] {
    return body.map((expr) => this.#expr(expr));
  }

  #expr(expr: Expr): Json {
    return {
      ...(expr.generated ? { generated: true } : {}),
      index: expr.index,
      ...this.#at(expr.at),
      ...(expr.negated ? { negated: true } : {}),
      terms: this.#form(expr),
      ...(expr.with.length > 0 ? { with: expr.with.map((modifier) => this.#with(modifier)) } : {}),
    };
  }

  #form({ form }: Expr): Value {
    switch (form.kind) {
      case "term":
        return this.term(form.term);
      case "call":
        return [this.term(form.operator), ...form.args.map((arg) => this.term(arg))];
      case "some":
        return { ...this.#at(form.at), symbols: form.symbols.map((symbol) => this.term(symbol)) };
      case "every":
        return {
          body: this.#body(form.body),
          domain: this.term(form.domain),
          key: form.key === undefined ? null : this.term(form.key),
          ...this.#at(form.at),
          value: this.term(form.value),
        };
      // `opa parse` shows no places for these two.
      case "not":
        return { body: this.#body(form.body), explicit_body: form.explicit, type: "not" };
      case "logical":
        return {
          ...(form.explicitLeft === true ? { explicit_lhs: true } : {}),
          ...(form.explicitRight === true ? { explicit_rhs: true } : {}),
          lhs: this.#body(form.left),
          rhs: this.#body(form.right),
          type: form.operator,
        };
    }
  }

  #with(modifier: With): Json {
    return {
      ...this.#at(modifier.at),
      target: this.term(modifier.target),
      value: this.term(modifier.value),
    };
  }

  #ref(ref: RefTerm): readonly Value[] {
    return ref.terms.map((term) => this.term(term));
  }

  term(term: Term): Json {
    return { ...this.#at(term.at), type: term.kind, value: this.#content(term) };
  }

  #content(term: Term): Value {
    switch (term.kind) {
      case "null":
        return {};
      case "boolean":
      case "number":
      case "string":
        return term.value;
      case "var":
        return term.name;
      case "ref":
        return this.#ref(term);
      case "array":
        return term.items.map((item) => this.term(item));
      case "set":
        return sortedItems(term.items).map((item) => this.term(item));
      case "object":
        return sortedEntries(term.entries).map(([key, value]) => [this.term(key), this.term(value)]);
      case "arraycomprehension":
      case "setcomprehension":
        return { term: this.term(term.term), body: this.#body(term.body) };
      case "objectcomprehension":
        return { key: this.term(term.key), value: this.term(term.value), body: this.#body(term.body) };
      case "call":
        return [this.term(term.operator), ...term.args.map((arg) => this.term(arg))];
      case "templatestring":
        return {
          parts:
            term.parts.length === 0
              ? null
              : term.parts.map((part) => ("form" in part ? this.#expr(part) : this.term(part))),
          multi_line: term.multiline,
        };
    }
  }

  #annotations(block: Annotations): Json {
    const { title, description, entrypoint, organizations, relatedResources, authors, schemas, compile } = block;
    return {
      ...(authors === undefined
        ? {}
        : { authors: authors.map(({ name, email }) => ({ name, ...(email === undefined ? {} : { email }) })) }),
      ...(compile === undefined
        ? {}
        : {
            compile: {
              ...(compile.unknowns === undefined ? {} : { unknowns: compile.unknowns.map((ref) => this.#ref(ref)) }),
              ...(compile.maskRule === undefined ? {} : { mask_rule: this.#ref(compile.maskRule) }),
            },
          }),
      ...(block.custom === undefined ? {} : { custom: block.custom as Value }),
      ...(description === undefined ? {} : { description }),
      ...(entrypoint === true ? { entrypoint } : {}),
      ...(block.labels === undefined ? {} : { labels: block.labels as Value }),
      ...this.#at(block.at),
      ...(organizations === undefined ? {} : { organizations }),
      ...(relatedResources === undefined
        ? {}
        : {
            related_resources: relatedResources.map(({ ref, description: about }) => ({
              ...(about === undefined ? {} : { description: about }),
              ref,
            })),
          }),
      ...(schemas === undefined ? {} : { schemas: schemas.map((item) => schemaJson(item)) }),
      scope: block.scope,
      ...(title === undefined ? {} : { title }),
    };
  }
}

/** Paths and schemas were read from YAML, so that their places say nothing. */
function schemaJson(item: NonNullable<Annotations["schemas"]>[number]): Json {
  const writer = new Writer(false);
  const terms = (ref: RefTerm): Value => ref.terms.map((term) => writer.term(term));
  return {
    path: terms(item.path),
    ...(item.schema === undefined ? {} : { schema: terms(item.schema) }),
    ...(item.definition === undefined ? {} : { definition: item.definition as Value }),
  };
}
