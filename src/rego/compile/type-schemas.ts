import type { Annotations, Rule, Term } from "../syntax/index.ts";
import { SchemaError, schemaType, type Type } from "../types/index.ts";
import type { Value } from "../value/index.ts";
import type { CompiledRule, Program } from "./program.ts";
import { refText } from "./text.ts";
import { branchesOf } from "./walk.ts";
import { groundPrefix } from "./type-env.ts";

/** JSON schemas by the text of their ref: `schema`, `schema.input`, `schema["my-schema"]`. */
export type Schemas = ReadonlyMap<string, Value>;

/** The type a JSON schema describes, or OPA's text of what is wrong with it. */
export function schemaTypeOf(schema: Value): { readonly type: Type } | { readonly error: string } {
  try {
    return { type: schemaType(schema) };
  } catch (cause) {
    if (!(cause instanceof SchemaError)) throw cause;
    return { error: cause.message };
  }
}

/** What one annotation says of a document. */
export interface SchemaFact {
  readonly path: readonly Term[];
  readonly type: Type | undefined;
  readonly error?: string;
}

/** `schemas` annotations, by what they apply to. */
export class SchemaAnnotations {
  readonly #schemas: Schemas | undefined;
  readonly #types = new Map<string, Type>();
  readonly #subpackages = new Map<string, Annotations[]>();
  readonly #packages = new Map<string, Annotations[]>();
  readonly #documents = new Map<string, Annotations[]>();

  constructor(program: Pick<Program, "modules" | "rules">, schemas: Schemas | undefined) {
    this.#schemas = schemas;
    for (const module of program.modules) {
      const name = refText(module.package.path);
      for (const annotations of module.annotations) {
        if (annotations.schemas === undefined) continue;
        if (annotations.scope === "package") add(this.#packages, name, annotations);
        else if (annotations.scope === "subpackages") add(this.#subpackages, name, annotations);
      }
    }
    for (const { path, rule } of program.rules) {
      for (const branch of branchesOf(rule)) {
        for (const annotations of branch.annotations) {
          if (annotations.scope === "document")
            add(this.#documents, refText({ terms: groundPrefix(path) }), annotations);
        }
      }
    }
  }

  /** What applies to a rule, the widest scope first. */
  *of({ module, path }: CompiledRule, rule: Rule): Generator<SchemaFact> {
    const name = module.package.path.terms;
    for (let length = 1; length <= name.length; length++)
      yield* this.#facts(this.#subpackages.get(refText({ terms: name.slice(0, length) })));
    yield* this.#facts(this.#packages.get(refText(module.package.path)));
    yield* this.#facts(this.#documents.get(refText({ terms: groundPrefix(path) })));
    yield* this.#facts(rule.annotations.filter(({ scope }) => scope === "rule"));
  }

  *#facts(all: readonly Annotations[] | undefined): Generator<SchemaFact> {
    for (const { schemas } of all ?? []) for (const schema of schemas ?? []) yield this.#fact(schema);
  }

  #fact({ path, schema, definition }: NonNullable<Annotations["schemas"]>[number]): SchemaFact {
    const { terms } = path;
    if (schema === undefined) return { path: terms, type: undefined, ...schemaTypeOf((definition ?? null) as Value) };
    if (this.#schemas === undefined) return { path: terms, type: undefined };
    const name = refText(schema);
    const known = this.#types.get(name);
    if (known !== undefined) return { path: terms, type: known };
    const raw = this.#schemas.get(name);
    if (raw === undefined) return { path: terms, type: undefined, error: `undefined schema: ${name}` };
    const read = schemaTypeOf(raw);
    if ("type" in read) this.#types.set(name, read.type);
    return { path: terms, type: undefined, ...read };
  }
}

function add(map: Map<string, Annotations[]>, key: string, annotations: Annotations): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [annotations]);
  else list.push(annotations);
}
