import { finish, type Steps } from "../../base/index.ts";
import type { Program } from "../compile/index.ts";
import type { Value } from "../value/index.ts";
import {
  bounded,
  type Compiled,
  compileModulesOf,
  type CompileOptions,
  type QueryOptions,
} from "./compiled-modules.ts";
import type { DocumentWithoutRules } from "./dependencies.ts";
import { type Query, RunnableQuery } from "./query.ts";

/**
 * Compiles modules to JavaScript.
 *
 * @throws {CompileError} with everything that is wrong with them.
 */
export function compile(options: CompileOptions): Policy {
  return finish(compileInSteps(options));
}

/**
 * The same rule by rule, for whoever has other things to do meanwhile.
 *
 * @throws {CompileError} with everything that is wrong with them.
 */
export function compileInSteps(options: CompileOptions): Steps<Policy> {
  return bounded(compileUnbounded(options));
}

function* compileUnbounded(options: CompileOptions): Steps<Policy> {
  return new Policy(yield* compileModulesOf(options), options.data ?? {});
}

/** Compiled modules with base documents. */
export class Policy {
  readonly #compiled: Compiled;
  readonly data: Value;

  constructor(compiled: Compiled, data: Value) {
    this.#compiled = compiled;
    this.data = data;
  }

  get program(): Program {
    return this.#compiled.program;
  }

  /** The same modules with other base documents. */
  withData(data: Value): Policy {
    return new Policy(this.#compiled, data);
  }

  /** Generates now what most queries run, which the first of them would else wait for. @throws {CompileError} */
  prepareInSteps(): Steps<void> {
    return this.#compiled.prepareInSteps();
  }

  /** False where preparing a query begins with compiling the modules, as they came as an image without it. */
  isReadyFor(text: string): boolean {
    return this.#compiled.isReadyFor(text);
  }

  /** Compiles what an image came without. @throws {CompileError} */
  completeInSteps(): Steps<void> {
    return this.#compiled.completeInSteps();
  }

  /** The documents a query itself names that no rule defines. @throws {CompileError} */
  withoutRules(text: string): readonly DocumentWithoutRules[] {
    return this.#compiled.withoutRules(text);
  }

  /** The query for the document at `path` below `data`. */
  entrypoint(path: readonly (string | number)[]): Query {
    return this.query(entrypointText(path));
  }

  /** @throws {CompileError} */
  query(text: string, options: QueryOptions = {}): Query {
    return new RunnableQuery(this.#compiled.query(text, options), this.data);
  }
}

/** The query for the document at a path below `data`. */
export function entrypointText(path: readonly (string | number)[]): string {
  return `data${path.map((element) => `[${typeof element === "string" ? JSON.stringify(element) : element}]`).join("")}`;
}
