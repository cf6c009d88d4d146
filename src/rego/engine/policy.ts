import { finish, locationText, type Steps } from "../../base/index.ts";
import { type Builtin, portableBuiltins, signatureOf } from "../builtins/index.ts";
import {
  type CallableBuiltin,
  type CodePiece,
  emitProgram,
  emitQuery,
  type GeneratedProgram,
  type GeneratedQuery,
  type GenerateOptions,
  generateProgramInSteps,
  generateQuery,
  imageOfProgram,
  imageOfQuery,
  loadImage,
  type QueryImage,
} from "../codegen/index.ts";
import {
  type CompiledQuery,
  compileModulesInSteps,
  compileQuery,
  createTypeChecker,
  type Feature,
  type Program,
  type WithTargets,
} from "../compile/index.ts";
import { EvalError, Evaluation, Session, type SessionOptions, Suspension } from "../runtime/index.ts";
import { type Module, parseModule, parseModuleInSteps, parseQuery, type RefTerm } from "../syntax/index.ts";
import { canonicalText, setOwn, type Value } from "../value/index.ts";
import { allowedBuiltins, type Capabilities } from "./capabilities.ts";
import { type DocumentWithoutRules, documentsWithoutRules } from "./dependencies.ts";
import { CompileError } from "./errors.ts";

export interface ModuleText {
  readonly file: string;
  readonly text: string;
  /** This module's own language version, where a bundle says so. */
  readonly version?: "v0" | "v1";
}

export interface CompileOptions {
  readonly modules: readonly (ModuleText | Module)[];
  /** Language of modules that do not say otherwise. Default "v1". */
  readonly version?: "v0" | "v1";
  /** Base documents. Default `{}`. */
  readonly data?: Value;
  readonly strict?: boolean;
  /** The builtins there are. Default: those that need nothing of Node. */
  readonly builtins?: readonly Builtin[];
  /** Keep `print` calls; else they are erased. */
  readonly keepPrint?: boolean;
  /** Parse METADATA annotations even where no rule asks for them. */
  readonly annotations?: boolean;
  /** Restricts builtins, keywords and features. Default: all there are. */
  readonly capabilities?: Capabilities;
  /** How many findings to report at most. Default 10; 0 is no limit. */
  readonly errorLimit?: number;
  /** JSON schemas for the type checker: `schema` is that of `input`; others are named by annotations (`schema.name`). */
  readonly schemas?: ReadonlyMap<string, Value>;
  /** Functions may be missing: the policy is looked at, never run. */
  readonly isPartial?: boolean;
}

/** What one evaluation is given. With a `tracer` the query runs in its traced build. */
export interface EvaluateOptions extends SessionOptions {
  readonly input?: Value;
  /** Receives the builtin errors that made calls undefined. */
  readonly onBuiltinErrors?: (errors: readonly EvalError[]) => void;
}

/** One way a query holds. */
export interface Solution {
  readonly bindings: Readonly<Record<string, Value>>;
  readonly expressions: readonly {
    readonly value: Value;
    readonly text: string;
    readonly location: { readonly row: number; readonly col: number };
  }[];
}

/** A query ready to run, as often as wanted. */
export interface Query {
  /** @throws {EvalError} when evaluation fails. @throws {Suspension} when it waits for I/O. */
  evaluate(options?: EvaluateOptions): readonly Solution[];
  /** The value of the first expression in the first solution; for an entrypoint its document. Undefined: no result. */
  value(options?: EvaluateOptions): Value | undefined;
}

export interface QueryOptions {
  readonly file?: string;
  /** Import paths, e.g. `data.foo as bar`. */
  readonly imports?: readonly string[];
  /** Package whose names the query sees, e.g. `data.foo`. */
  readonly package?: string;
  readonly strict?: boolean;
}

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

function* compileModulesOf(options: CompileOptions): Steps<CompiledModules> {
  const modules = yield* readModules(options);
  const builtins = allowedBuiltins(options.builtins ?? portableBuiltins, options.capabilities);
  const signatures = new Map(builtins.map((builtin) => [builtin.name, signatureOf(builtin)] as const));
  const compiled = yield* compileModulesInSteps(modules, {
    signatures,
    ...(options.strict === true && { strict: true }),
    ...(options.keepPrint === true && { keepPrint: true }),
    ...(options.capabilities !== undefined && {
      features: new Set(options.capabilities.features as readonly Feature[]),
    }),
    ...(options.errorLimit !== undefined && { errorLimit: options.errorLimit }),
    ...(options.isPartial === true && { isPartial: true }),
    ...(options.schemas !== undefined && { checkTypes: createTypeChecker({ schemas: options.schemas }) }),
  });
  if ("diagnostics" in compiled) throw new CompileError(compiled.diagnostics);
  const { keepPrint = false, capabilities } = options;
  return new CompiledModules(compiled.program, callables(builtins), { keepPrint, capabilities });
}

function* readModules(options: CompileOptions): Steps<readonly Module[]> {
  const modules: Module[] = [];
  // Annotations cost time to parse: only where somebody asks for them, from any module.
  const annotations =
    options.annotations === true ||
    options.modules.some((source) => "text" in source && source.text.includes("rego.metadata."));
  for (const source of options.modules) {
    if ("rules" in source) {
      modules.push(source);
      continue;
    }
    const parsed = yield* parseModuleInSteps(source, {
      version: source.version ?? options.version ?? "v1",
      ...(annotations && { annotations: true }),
      ...languageOf(options.capabilities),
    });
    if (parsed.diagnostics !== undefined) throw new CompileError(parsed.diagnostics);
    modules.push(parsed.value);
  }
  return modules;
}

/** What capabilities allow the parser. */
export function languageOf(capabilities: Capabilities | undefined): {
  features?: readonly string[];
  allowedKeywords?: readonly string[];
} {
  return capabilities === undefined
    ? {}
    : { features: capabilities.features, allowedKeywords: capabilities.futureKeywords };
}

/** The builtins as the code generator wants them. */
export function callables(builtins: readonly Builtin[]): ReadonlyMap<string, CallableBuiltin> {
  return new Map(
    builtins.map((builtin) => [
      builtin.name,
      {
        name: builtin.name,
        accepts: builtin.args.map((arg) => arg.operand.accepts),
        relation: builtin.relation === true,
        isVoid: builtin.result === undefined,
        nondeterministic: builtin.nondeterministic === true,
        variadic: builtin.variadic !== undefined,
        call: builtin.call,
      },
    ]),
  );
}

/** What queries are compiled with as the modules were. Never the documents: compiled modules outlive them. */
interface QueryLanguage {
  readonly keepPrint: boolean;
  readonly capabilities: Capabilities | undefined;
}

/** What prepares queries. */
interface Compiled {
  readonly program: Program;
  /** Generates now what most queries run, which the first of them would else wait for. @throws {CompileError} */
  prepareInSteps(): Steps<void>;
  /** Whether a query needs nothing but what is there. */
  isReadyFor(text: string): boolean;
  /** Compiles what is missing for queries that nobody has prepared. @throws {CompileError} */
  completeInSteps(): Steps<void>;
  /** @throws {CompileError} */
  query(text: string, options: QueryOptions): PreparedQuery;
  /** @throws {CompileError} */
  withoutRules(text: string): readonly DocumentWithoutRules[];
}

/** The checked program, and its builds: plain and traced, and one more where a query's `with` replaces what no rule does. */
class CompiledModules implements Compiled {
  readonly program: Program;
  readonly #builtins: ReadonlyMap<string, CallableBuiltin>;
  readonly #options: QueryLanguage;
  readonly #builds = new Map<string, GeneratedProgram>();

  constructor(program: Program, builtins: ReadonlyMap<string, CallableBuiltin>, options: QueryLanguage) {
    this.program = program;
    this.#builtins = builtins;
    this.#options = options;
  }

  *prepareInSteps(): Steps<void> {
    yield* bounded(this.#build(NOTHING_MORE, false));
  }

  isReadyFor(): boolean {
    return true;
  }

  *completeInSteps(): Steps<void> {}

  query(text: string, options: QueryOptions): PreparedQuery {
    const query = this.#compile(text, options);
    const { names, expressions, variables } = shapeOf(query);
    const generate = (traced: boolean): GeneratedQuery => {
      const build = finish(bounded(this.#build(query.withTargets, traced)));
      return generateQuery(query, build, variables);
    };
    return { names, expressions, plain: generate(false), traced: () => generate(true) };
  }

  withoutRules(text: string): readonly DocumentWithoutRules[] {
    return documentsWithoutRules(this.program, text);
  }

  /** Everything that the given queries run, for another thread. Those that do not compile are left out. */
  *image(queries: readonly string[]): Steps<PolicyImage> {
    const code = yield* emitProgram(this.program, this.#buildOptions(NOTHING_MORE, false));
    const pieces = yield* imageOfProgram(code);
    const prepared: PreparedImage[] = [];
    for (const text of queries) {
      const query = this.#compileIfLegal(text);
      // What a query replaces may need another build of the program.
      if (query === undefined || replaces(query.withTargets)) continue;
      const { names, expressions, variables } = shapeOf(query);
      prepared.push({
        query: text,
        names,
        expressions,
        withoutRules: this.withoutRules(text),
        code: imageOfQuery(emitQuery(query, code, variables), code.documents),
      });
      yield;
    }
    return { pieces, prepared };
  }

  #compileIfLegal(text: string): CompiledQuery | undefined {
    try {
      return this.#compile(text, {});
    } catch (error) {
      if (error instanceof CompileError) return undefined;
      throw error;
    }
  }

  #compile(text: string, options: QueryOptions): CompiledQuery {
    const { capabilities, keepPrint } = this.#options;
    const parsed = parseQuery(text, {
      ...(options.file !== undefined && { file: options.file }),
      ...languageOf(capabilities),
    });
    if (parsed.diagnostics !== undefined) throw new CompileError(parsed.diagnostics);
    const compiled = compileQuery(parsed.value, this.program, {
      ...(options.strict === true && { strict: true }),
      ...(keepPrint && { keepPrint: true }),
      ...contextOf(options),
    });
    if ("diagnostics" in compiled) throw new CompileError(compiled.diagnostics);
    return compiled.query;
  }

  *#build(extra: Pick<WithTargets, "data" | "builtins" | "functions">, traced: boolean): Steps<GeneratedProgram> {
    const options = this.#buildOptions(extra, traced);
    const { data, functions } = options.replaceable;
    const key = JSON.stringify([traced, data.map(canonicalText).sort(), [...functions].sort()]);
    let build = this.#builds.get(key);
    if (build === undefined) {
      build = yield* generateProgramInSteps(this.program, options);
      this.#builds.set(key, build);
    }
    return build;
  }

  #buildOptions(extra: Pick<WithTargets, "data" | "builtins" | "functions">, traced: boolean): GenerateOptions {
    const own = this.program.withTargets;
    const data = new Map([...own.data, ...extra.data].map((path) => [canonicalText(path), path] as const));
    const functions = new Set([...own.builtins, ...own.functions, ...extra.builtins, ...extra.functions]);
    return { builtins: this.#builtins, replaceable: { data: [...data.values()], functions }, traced };
  }
}

const NOTHING_MORE = { data: [], builtins: new Set<string>(), functions: new Set<string>() };

function replaces({ data, builtins, functions }: WithTargets): boolean {
  return data.length + builtins.size + functions.size > 0;
}

/** What results are made of, and the variables that hold it. */
function shapeOf(query: CompiledQuery): Pick<PreparedQuery, "names" | "expressions"> & {
  readonly variables: readonly string[];
} {
  return {
    names: query.variables.map(({ name }) => name),
    expressions: query.expressions.map(({ variable, at }) => ({
      text: locationText(at),
      location: { row: at.row, col: at.col },
      isBound: variable !== undefined,
    })),
    variables: [
      ...query.variables.map(({ variable }) => variable),
      ...query.expressions.flatMap(({ variable }) => variable ?? []),
    ],
  };
}

/** A compiled policy as plain data. */
export interface PolicyImage {
  readonly pieces: readonly CodePiece[];
  readonly prepared: readonly PreparedImage[];
}

interface PreparedImage extends Pick<PreparedQuery, "names" | "expressions"> {
  readonly query: string;
  readonly withoutRules: readonly DocumentWithoutRules[];
  readonly code: QueryImage;
}

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
 */
export function* policyOfImage(
  image: { readonly pieces: Iterable<CodePiece>; readonly prepared: Iterable<PreparedImage> },
  { data = {}, ...options }: CompileOptions,
): Steps<Policy> {
  const builtins = callables(allowedBuiltins(options.builtins ?? portableBuiltins, options.capabilities));
  const loaded = yield* loadImage(image.pieces, builtins);
  const prepared = new Map<string, LoadedQuery>();
  const modules = new LoadedModules(prepared, options);
  for (const { query, names, expressions, withoutRules, code } of image.prepared) {
    const traced = (): GeneratedQuery => modules.whole.query(query, {}).traced();
    prepared.set(query, { names, expressions, withoutRules, plain: loaded.query(code), traced });
    yield;
  }
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

function contextOf(options: QueryOptions): { imports?: Module["imports"]; package?: RefTerm } {
  if (options.package === undefined && options.imports === undefined) return {};
  const name = options.package?.replace(/^data\./, "") ?? "__query__";
  const text = [`package ${name}`, ...(options.imports ?? []).map((path) => `import ${path}`)].join("\n");
  const parsed = parseModule({ file: "", text }, { version: "v1" });
  if (parsed.diagnostics !== undefined) throw new CompileError(parsed.diagnostics);
  return {
    imports: parsed.value.imports,
    ...(options.package !== undefined && { package: parsed.value.package.path }),
  };
}

/** The query for the document at a path below `data`. */
export function entrypointText(path: readonly (string | number)[]): string {
  return `data${path.map((element) => `[${typeof element === "string" ? JSON.stringify(element) : element}]`).join("")}`;
}

/** A query without base documents. */
interface PreparedQuery {
  /** Of the variables that results bind, in the order in which a solution begins with their values. */
  readonly names: readonly string[];
  /** What is the same in every solution. A bound one has the next value of it. */
  readonly expressions: readonly {
    readonly text: string;
    readonly location: { readonly row: number; readonly col: number };
    readonly isBound: boolean;
  }[];
  readonly plain: GeneratedQuery;
  /** Made when it is asked for. */
  traced(): GeneratedQuery;
}

class RunnableQuery implements Query {
  readonly #query: PreparedQuery;
  readonly #data: Value;
  #traced: GeneratedQuery | undefined;

  constructor(query: PreparedQuery, data: Value) {
    this.#query = query;
    this.#data = data;
  }

  evaluate(options: EvaluateOptions = {}): readonly Solution[] {
    const solutions: Solution[] = [];
    this.#run(options, (values) => solutions.push(this.#solution(values)));
    return solutions;
  }

  value(options: EvaluateOptions = {}): Value | undefined {
    let first: Value | undefined;
    const { names, expressions } = this.#query;
    const isBound = expressions[0]?.isBound === true;
    this.#run(options, (values) => {
      first ??= isBound ? values[names.length] : true;
    });
    return first;
  }

  #run(options: EvaluateOptions, emit: (values: readonly Value[]) => void): void {
    let run = this.#query.plain;
    if (options.tracer !== undefined) {
      this.#traced ??= this.#query.traced();
      run = this.#traced;
    }
    const session = new Session(options);
    try {
      run(new Evaluation(session, options.input, this.#data), emit);
    } catch (error) {
      throw asEvalError(error);
    }
    if (session.builtinErrors !== undefined) options.onBuiltinErrors?.(session.builtinErrors);
  }

  #solution(values: readonly Value[]): Solution {
    const bindings: Record<string, Value> = {};
    const { names, expressions } = this.#query;
    for (let i = 0; i < names.length; i++) {
      const value = values[i];
      if (value !== undefined) setOwn(bindings, names[i] as string, value);
    }
    let next = names.length;
    return {
      bindings,
      expressions: expressions.map(({ text, location, isBound }) => ({
        value: isBound ? (values[next++] as Value) : true,
        text,
        location,
      })),
    };
  }
}

/** Compiling nests as deeply as policies do: where the stack ends, that is a finding about the policy. @throws {CompileError} */
function* bounded<T>(work: Steps<T>): Steps<T> {
  try {
    return yield* work;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CompileError([
      { code: "rego_compile_error", message: "policy is nested too deeply or a rule body is too long", at: undefined },
    ]);
  }
}

/** What leaves the engine is an EvalError or a Suspension; anything else is a fault of ours, or the stack's end. */
function asEvalError(error: unknown): EvalError | Suspension {
  if (error instanceof EvalError || error instanceof Suspension) return error;
  if (error instanceof RangeError)
    return new EvalError("eval_internal_error", "evaluation nested too deeply", undefined, { cause: error });
  return new EvalError("eval_internal_error", error instanceof Error ? error.message : "unknown fault", undefined, {
    cause: error,
  });
}
