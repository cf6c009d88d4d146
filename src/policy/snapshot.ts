import { RecentMap } from "../base/index.ts";
import {
  entrypointText,
  type MissingDocument,
  missingDocuments,
  type Policy,
  type Query,
} from "../rego/engine/index.ts";
import type { JsonObject } from "../rego/value/index.ts";
import type { Declared } from "./declared.ts";
import type { ModuleText } from "./module-text.ts";

/** What a decision asks: the document at a path below `data`, or a query of its own. */
export type Entrypoint =
  | { readonly kind: "path"; readonly path: readonly (string | number)[] }
  | { readonly kind: "query"; readonly text: string };

/** Queries of one snapshot. A client of the API that asks ever other things must not grow it. */
const MAX_QUERIES = 256;

/** A module's first statement is its package. */
const SYSTEM_PACKAGE = /^(?:\s|#[^\n]*\n)*package\s+system(?=[.[\s]|$)/;

/**
 * Everything that decides, as of one moment: compiled modules, base documents and their revisions. Immutable: a request
 * keeps the snapshot it started with, and a reload publishes another.
 */
export class Snapshot {
  /** Counts publications of this process; 0 is the empty snapshot before the first. */
  readonly generation: number;
  readonly modules: readonly ModuleText[];
  readonly data: JsonObject;
  /** Revisions of the bundles in it, by name. */
  readonly bundles: ReadonlyMap<string, string>;
  readonly policy: Policy;
  /** Absent without policy documents. */
  readonly declared: Declared | undefined;
  /** Whether some module may decide requests: those below `data.system` serve logging and the API. */
  readonly hasDecidingModules: boolean;
  readonly #queries = new RecentMap<string, Query>(MAX_QUERIES);
  /** The same by object: requests ask with the one entrypoint that is configured. */
  readonly #prepared = new WeakMap<Entrypoint, Query>();
  readonly #compileNs = new WeakMap<Entrypoint, number>();
  readonly #asked: RecentMap<string, true>;

  constructor(parts: {
    generation: number;
    modules: readonly ModuleText[];
    data: JsonObject;
    bundles: ReadonlyMap<string, string>;
    policy: Policy;
    declared: Declared | undefined;
    /** Where the texts of queries are noted that it is asked for, those of entrypoints among them. */
    asked: RecentMap<string, true>;
  }) {
    this.generation = parts.generation;
    this.modules = parts.modules;
    this.data = parts.data;
    this.bundles = parts.bundles;
    this.policy = parts.policy;
    this.declared = parts.declared;
    this.#asked = parts.asked;
    this.hasDecidingModules = this.modules.some(({ text }) => !SYSTEM_PACKAGE.test(text));
  }

  /** What compiling an entrypoint's query took, to whoever asks first with what it was prepared with; undefined to all others. */
  takeCompileNs(entrypoint: Entrypoint): number | undefined {
    const ns = this.#compileNs.get(entrypoint);
    if (ns !== undefined) this.#compileNs.delete(entrypoint);
    return ns;
  }

  /** Whether an entrypoint can be prepared without compiling the modules again. */
  isReadyFor(entrypoint: Entrypoint): boolean {
    return this.policy.isReadyFor(textOf(entrypoint));
  }

  /** The documents an entrypoint names where there is nothing. @throws {CompileError} */
  missing(entrypoint: Entrypoint): readonly MissingDocument[] {
    return missingDocuments(this.policy, this.#noted(textOf(entrypoint)));
  }

  #noted(text: string): string {
    this.#asked.set(text, true);
    return text;
  }

  /**
   * The compiled query of an entrypoint; compiled once per snapshot, unless many others were asked since.
   *
   * @throws {CompileError} for a query that is not legal in these modules.
   */
  prepare(entrypoint: Entrypoint): Query {
    const prepared = this.#prepared.get(entrypoint);
    if (prepared !== undefined) return prepared;
    const text = this.#noted(textOf(entrypoint));
    let query = this.#queries.get(text);
    if (query === undefined) {
      const startedNs = process.hrtime.bigint();
      query = this.policy.query(text);
      this.#queries.set(text, query);
      this.#compileNs.set(entrypoint, Number(process.hrtime.bigint() - startedNs));
    }
    this.#prepared.set(entrypoint, query);
    return query;
  }
}

/** The query of an entrypoint. */
export function textOf(entrypoint: Entrypoint): string {
  return entrypoint.kind === "path" ? entrypointText(entrypoint.path) : entrypoint.text;
}

/** `a/b/0` as a path below data: empty segments are dropped, whole numbers index arrays, dots are literal. */
export function pathEntrypoint(path: string): Entrypoint {
  const segments = path.split("/").filter((segment) => segment !== "");
  return {
    kind: "path",
    path: segments.map((segment) => (/^[+-]?\d{1,15}$/.test(segment) ? Number(segment) : segment)),
  };
}
