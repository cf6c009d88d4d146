import type { Location } from "../../base/index.ts";
import {
  type Annotations,
  type Body,
  type Diagnostic,
  type Expr,
  isScalar,
  type Module,
  type RefTerm,
  type Rule,
  type Term,
} from "../syntax/index.ts";
import { RegoNumber } from "../value/index.ts";
import type { Environment } from "./context.ts";
import type { WorkModule, WorkRule } from "./work.ts";
import { mapExpr, type Mapper, mapperOf, mapRule } from "./map.ts";
import { refText } from "./text.ts";
import { appendToBody, callExpr, equals, isCallOf, refOf, termExpr, varTerm, walkRule } from "./walk.ts";

/**
 * Annotations as constants: calls of `rego.metadata.chain` and `rego.metadata.rule` become variables that the body begins with.
 * @source OPA v1/ast/annotations.go; compile.go, rewriteRegoMetadataCalls
 */

const CHAIN = "rego.metadata.chain";
const RULE = "rego.metadata.rule";

function firstCall(rule: Rule, name: string): Expr | undefined {
  let found: Expr | undefined;
  walkRule(
    { ...rule, else: undefined },
    {
      expr: (expr) => {
        if (found === undefined && isCallOf(expr, name)) found = expr;
        return found !== undefined;
      },
    },
  );
  return found;
}

interface Attached {
  readonly annotations: Annotations;
  /** Path of what is annotated; without dynamic parts. */
  readonly path: readonly Term[];
}

/** The annotations of a program, by what they are attached to. */
export class AnnotationSet {
  readonly #byRule = new Map<number, Annotations[]>();
  readonly #byDocument = new Map<string, Attached>();
  readonly #byPackage = new Map<string, Attached>();
  readonly #bySubpackages = new Map<string, Attached>();
  readonly findings: Diagnostic[] = [];

  constructor(modules: readonly WorkModule[]) {
    for (const work of modules) for (const annotations of work.module.annotations) this.#add(work, annotations);
  }

  #add({ module, rules }: WorkModule, annotations: Annotations): void {
    const rule = attachedRule(module, rules, annotations);
    const path = rule === undefined ? module.package.path.terms : groundPrefix(rule.path);
    const attached = { annotations, path };
    switch (annotations.scope) {
      case "rule":
        if (rule !== undefined) {
          const list = this.#byRule.get(rule.id);
          if (list === undefined) this.#byRule.set(rule.id, [annotations]);
          else list.push(annotations);
        }
        return;
      case "document":
        if (rule !== undefined) this.#put(this.#byDocument, attached);
        return;
      case "package":
        if (rule === undefined) this.#put(this.#byPackage, attached);
        return;
      case "subpackages":
        if (rule === undefined) this.#put(this.#bySubpackages, attached);
        return;
    }
  }

  #put(map: Map<string, Attached>, attached: Attached): void {
    const key = refText({ terms: attached.path });
    const known = map.get(key);
    if (known === undefined) {
      map.set(key, attached);
      return;
    }
    const { scope, at } = attached.annotations;
    const first = known.annotations.at;
    const place = first.source.name === "" ? `${first.row}:${first.col}` : `${first.source.name}:${first.row}`;
    this.findings.push({ code: "rego_type_error", message: `${scope} annotation redeclared: ${place}`, at });
  }

  /** Of several annotations of one rule the first counts. */
  primary(rule: WorkRule): Annotations | undefined {
    return [...(this.#byRule.get(rule.id) ?? [])].sort((a, b) => a.at.row - b.at.row)[0];
  }

  /** From the rule outward: rule, document, package, subpackages. */
  chain(rule: WorkRule): readonly { readonly path: readonly Term[]; readonly annotations: Annotations | undefined }[] {
    const path = groundPrefix(rule.path);
    const own = [...(this.#byRule.get(rule.id) ?? [])].sort((a, b) => b.at.row - a.at.row);
    const chain: { path: readonly Term[]; annotations: Annotations | undefined }[] = own.map((annotations) => ({
      path,
      annotations,
    }));
    if (chain.length === 0) chain.push({ path, annotations: undefined });
    const document = this.#byDocument.get(refText({ terms: path }));
    if (document !== undefined) chain.push(document);
    const packagePath = rule.module.package.path.terms;
    const ofPackage = this.#byPackage.get(refText({ terms: packagePath }));
    if (ofPackage !== undefined) chain.push(ofPackage);
    for (let length = packagePath.length; length > 0; length--) {
      const around = this.#bySubpackages.get(refText({ terms: packagePath.slice(0, length) }));
      if (around !== undefined) chain.push(around);
    }
    return chain;
  }
}

/** Annotations belong to the first statement below them. */
function attachedRule(module: Module, rules: readonly WorkRule[], { at }: Annotations): WorkRule | undefined {
  let first: WorkRule | undefined;
  for (const rule of rules)
    if (rule.rule.at.row > at.row && (first === undefined || rule.rule.at.row < first.rule.at.row)) first = rule;
  return module.package.at.row > at.row ? undefined : first;
}

function groundPrefix(path: readonly Term[]): readonly Term[] {
  const end = path.findIndex((term, i) => i > 0 && !isScalar(term));
  return end === -1 ? path : path.slice(0, end);
}

/** The rule with its metadata calls replaced. Needs calls to be hoisted. */
export function rewriteMetadata(work: WorkRule, branch: Rule, set: AnnotationSet, environment: Environment): Rule {
  const chainCall = firstCall(branch, CHAIN);
  const ruleCall = firstCall(branch, RULE);
  if (chainCall === undefined && ruleCall === undefined) return branch;
  const start: Expr[] = [];
  const bind = (call: Expr | undefined, make: (at: Location) => Term): string | undefined => {
    if (call === undefined) return undefined;
    const name = environment.names.make();
    start.push(equals(name, make(call.at)));
    return name;
  };
  const chainName = bind(chainCall, (at) => chainTerm(set.chain(work), at));
  const ruleName = bind(ruleCall, (at) => annotationsTerm(set.primary(work), at));
  const mapper: Mapper = mapperOf((self) => ({
    expr: (expr) => {
      const name = isCallOf(expr, CHAIN) ? chainName : isCallOf(expr, RULE) ? ruleName : undefined;
      if (name === undefined || expr.form.kind !== "call") return mapExpr(expr, self);
      const { at, index } = expr;
      const [output] = expr.form.args;
      if (output === undefined)
        return termExpr(varTerm(name, at), at, { generated: true, index, negated: expr.negated });
      return callExpr(refOf("eq", at), [output, varTerm(name, at)], at, { generated: true, index });
    },
  }));
  const mapped = mapRule(branch, mapper);
  const body: Body = appendToBody(start, mapped.body);
  return { ...mapped, body };
}

function text(value: string, at: Location): Term {
  return { kind: "string", value, at };
}

function chainTerm(chain: ReturnType<AnnotationSet["chain"]>, at: Location): Term {
  const items = chain.map(({ path, annotations }): Term => {
    const names = path
      .slice(1)
      .map((term) => (term.kind === "string" ? { ...term, at } : text(refText({ terms: [term] }), at)));
    const entries: (readonly [Term, Term])[] = [[text("path", at), { kind: "array", items: names, at }]];
    if (annotations !== undefined) entries.push([text("annotations", at), annotationsTerm(annotations, at)]);
    return { kind: "object", entries, at };
  });
  return { kind: "array", items, at };
}

function annotationsTerm(annotations: Annotations | undefined, at: Location): Term {
  const json: Record<string, unknown> = {};
  if (annotations !== undefined) {
    const { scope, title, entrypoint, description, organizations, relatedResources, authors, schemas, custom, labels } =
      annotations;
    json["scope"] = scope;
    if (title !== undefined && title !== "") json["title"] = title;
    if (entrypoint === true) json["entrypoint"] = true;
    if (description !== undefined && description !== "") json["description"] = description;
    if (organizations !== undefined && organizations.length > 0) json["organizations"] = organizations;
    if (relatedResources !== undefined && relatedResources.length > 0) json["related_resources"] = relatedResources;
    if (authors !== undefined && authors.length > 0) {
      json["authors"] = authors.map(({ name, email }) => ({
        ...(name !== "" && { name }),
        ...(email !== undefined && email !== "" && { email }),
      }));
    }
    if (schemas !== undefined && schemas.length > 0) {
      json["schemas"] = schemas.map(({ path, schema, definition }) => ({
        path: pathNames(path),
        ...(schema !== undefined && { schema: pathNames(schema) }),
        ...(definition !== undefined && { definition }),
      }));
    }
    if (custom !== undefined && Object.keys(custom).length > 0) json["custom"] = custom;
    if (labels !== undefined && Object.keys(labels).length > 0) json["labels"] = labels;
  }
  return jsonTerm(json, at);
}

function pathNames({ terms }: RefTerm): readonly string[] {
  return terms.map((term) => (term.kind === "string" ? term.value : refText({ terms: [term] })));
}

function jsonTerm(value: unknown, at: Location): Term {
  if (value === null || value === undefined) return { kind: "null", at };
  if (typeof value === "boolean") return { kind: "boolean", value, at };
  if (typeof value === "number" || typeof value === "bigint" || value instanceof RegoNumber)
    return { kind: "number", value, at };
  if (typeof value === "string") return text(value, at);
  if (Array.isArray(value)) return { kind: "array", items: value.map((item) => jsonTerm(item, at)), at };
  const entries = Object.entries(value).map(([key, member]) => [text(key, at), jsonTerm(member, at)] as const);
  return { kind: "object", entries, at };
}
