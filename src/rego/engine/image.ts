import { finish, type Steps } from "../../base/index.ts";
import { portableBuiltins } from "../builtins/index.ts";
import { type GeneratedQuery, ImageLoader } from "../codegen/index.ts";
import type { Program } from "../compile/index.ts";
import { allowedBuiltins } from "./capabilities.ts";
import {
  bounded,
  callables,
  type Compiled,
  type CompiledModules,
  compileModulesOf,
  type CompileOptions,
  type PolicyImage,
  type PolicyPiece,
  type QueryOptions,
} from "./compiled-modules.ts";
import type { DocumentWithoutRules } from "./dependencies.ts";
import { Policy } from "./policy.ts";
import type { PreparedQuery } from "./query.ts";

/**
 * Compiles modules for another thread of this process, which loads the image and need not hold the program.
 *
 * @param queries what the image is to answer without the program
 * @throws {CompileError} with everything that is wrong with the modules.
 */
export function compileImage(options: CompileOptions, queries: readonly string[]): Steps<PolicyImage> {
  return bounded(imageUnbounded(options, queries));
}

function* imageUnbounded(options: CompileOptions, queries: readonly string[]): Steps<PolicyImage> {
  return yield* (yield* compileModulesOf(options)).image(queries);
}

/**
 * Makes a policy of its image, piece by piece.
 *
 * @param options those the image was compiled with; what it does not hold is compiled by them when it is asked for.
 * @throws {TypeError} when pieces are missing
 */
export function* policyOfImage(
  pieces: Iterable<PolicyPiece>,
  { data = {}, ...options }: CompileOptions,
): Steps<Policy> {
  const loader = new ImageLoader(
    callables(allowedBuiltins(options.builtins ?? portableBuiltins, options.capabilities)),
  );
  const prepared = new Map<string, LoadedQuery>();
  const modules = new LoadedModules(prepared, options);
  for (const piece of pieces) {
    if (piece.kind === "query") {
      const { text, image, ...query } = piece;
      const traced = (): GeneratedQuery => modules.whole.query(text, {}).traced();
      prepared.set(text, { ...query, plain: loader.query(image), traced });
    } else loader.take(piece);
    yield;
  }
  loader.finish();
  return new Policy(modules, data);
}

interface LoadedQuery extends PreparedQuery {
  readonly withoutRules: readonly DocumentWithoutRules[];
}

/** Loaded code without its program, which is compiled when somebody asks what nobody has prepared. */
class LoadedModules implements Compiled {
  readonly #prepared: ReadonlyMap<string, LoadedQuery>;
  readonly #options: CompileOptions;
  #whole: CompiledModules | undefined;

  constructor(prepared: ReadonlyMap<string, LoadedQuery>, options: CompileOptions) {
    this.#prepared = prepared;
    this.#options = options;
  }

  get whole(): CompiledModules {
    finish(this.completeInSteps());
    return this.#whole as CompiledModules;
  }

  get program(): Program {
    return this.whole.program;
  }

  *prepareInSteps(): Steps<void> {}

  isReadyFor(text: string): boolean {
    return this.#whole !== undefined || this.#prepared.has(text);
  }

  *completeInSteps(): Steps<void> {
    if (this.#whole !== undefined) return;
    const whole = yield* bounded(compileModulesOf(this.#options));
    yield* whole.prepareInSteps();
    this.#whole = whole;
  }

  query(text: string, options: QueryOptions): PreparedQuery {
    const prepared = Object.keys(options).length === 0 ? this.#prepared.get(text) : undefined;
    return prepared ?? this.whole.query(text, options);
  }

  withoutRules(text: string): readonly DocumentWithoutRules[] {
    return this.#prepared.get(text)?.withoutRules ?? this.whole.withoutRules(text);
  }
}
