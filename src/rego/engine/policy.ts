import { finish, locationText, type Steps } from "../../base/index.ts";
import { type Builtin, portableBuiltins, signatureOf } from "../builtins/index.ts";
import {
  type CallableBuiltin,
  type GeneratedProgram,
  type GeneratedQuery,
  generateProgramInSteps,
  generateQuery,
  type Replaceable,
} from "../codegen/index.ts";
import {
  type CompiledQuery,
  compileModulesInSteps,
  compileQuery,
  createTypeChecker,
  type Feature,
  type Program,
} from "../compile/index.ts";
import { EvalError, Evaluation, Session, type SessionOptions, Suspension } from "../runtime/index.ts";
import { type Module, parseModule, parseModuleInSteps, parseQuery, type RefTerm } from "../syntax/index.ts";
import { canonicalText, setOwn, type Value } from "../value/index.ts";
import { allowedBuiltins, type Capabilities } from "./capabilities.ts";
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
  const { keepPrint = false, capabilities, data = {} } = options;
  return new Policy(new CompiledPolicy(compiled.program, callables(builtins), { keepPrint, capabilities }), data);
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

/** The checked program, and its builds: plain and traced, and one more where a query's `with` replaces what no rule does. */
class CompiledPolicy {
  readonly program: Program;
  readonly builtins: ReadonlyMap<string, CallableBuiltin>;
  readonly options: QueryLanguage;
  readonly #builds = new Map<string, GeneratedProgram>();

  constructor(program: Program, builtins: ReadonlyMap<string, CallableBuiltin>, options: QueryLanguage) {
    this.program = program;
    this.builtins = builtins;
    this.options = options;
  }

  *build(extra: Replaceable, traced: boolean): Steps<GeneratedProgram> {
    const own = this.program.withTargets;
    const data = new Map([...own.data, ...extra.data].map((path) => [canonicalText(path), path] as const));
    const functions = new Set([...own.builtins, ...own.functions, ...extra.functions]);
    const key = JSON.stringify([traced, [...data.keys()].sort(), [...functions].sort()]);
    let build = this.#builds.get(key);
    if (build === undefined) {
      build = yield* generateProgramInSteps(this.program, {
        builtins: this.builtins,
        replaceable: { data: [...data.values()], functions },
        traced,
      });
      this.#builds.set(key, build);
    }
    return build;
  }
}

/** Compiled modules with base documents. */
export class Policy {
  readonly #compiled: CompiledPolicy;
  readonly data: Value;

  constructor(compiled: CompiledPolicy, data: Value) {
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
  *prepareInSteps(): Steps<void> {
    yield* bounded(this.#compiled.build({ data: [], functions: new Set() }, false));
  }

  /** The query for the document at `path` below `data`. */
  entrypoint(path: readonly (string | number)[]): Query {
    return this.query(entrypointText(path));
  }

  /** @throws {CompileError} */
  query(text: string, options: QueryOptions = {}): Query {
    const parsed = parseQuery(text, {
      ...(options.file !== undefined && { file: options.file }),
      ...languageOf(this.#compiled.options.capabilities),
    });
    if (parsed.diagnostics !== undefined) throw new CompileError(parsed.diagnostics);
    const compiled = compileQuery(parsed.value, this.#compiled.program, {
      ...(options.strict === true && { strict: true }),
      ...(this.#compiled.options.keepPrint && { keepPrint: true }),
      ...contextOf(options),
    });
    if ("diagnostics" in compiled) throw new CompileError(compiled.diagnostics);
    return new PreparedQuery(this.#compiled, compiled.query, this.data);
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

function entrypointText(path: readonly (string | number)[]): string {
  return `data${path.map((element) => `[${typeof element === "string" ? JSON.stringify(element) : element}]`).join("")}`;
}

class PreparedQuery implements Query {
  readonly #policy: CompiledPolicy;
  readonly #query: CompiledQuery;
  readonly #data: Value;
  readonly #variables: readonly string[];
  /** Of each expression what is the same in every solution. */
  readonly #expressions: readonly {
    readonly text: string;
    readonly location: { readonly row: number; readonly col: number };
    readonly isBound: boolean;
  }[];
  #plain: GeneratedQuery | undefined;
  #traced: GeneratedQuery | undefined;

  constructor(policy: CompiledPolicy, query: CompiledQuery, data: Value) {
    this.#policy = policy;
    this.#query = query;
    this.#data = data;
    this.#variables = [
      ...query.variables.map(({ variable }) => variable),
      ...query.expressions.flatMap(({ variable }) => (variable === undefined ? [] : [variable])),
    ];
    this.#expressions = query.expressions.map(({ variable, at }) => ({
      text: locationText(at),
      location: { row: at.row, col: at.col },
      isBound: variable !== undefined,
    }));
    this.#plain = this.#generate(false);
  }

  evaluate(options: EvaluateOptions = {}): readonly Solution[] {
    const solutions: Solution[] = [];
    this.#run(options, (values) => solutions.push(this.#solution(values)));
    return solutions;
  }

  value(options: EvaluateOptions = {}): Value | undefined {
    let first: Value | undefined;
    const expression = this.#query.expressions[0]?.variable;
    const index = expression === undefined ? -1 : this.#variables.indexOf(expression);
    this.#run(options, (values) => {
      first ??= index === -1 ? true : values[index];
    });
    return first;
  }

  #generate(traced: boolean): GeneratedQuery {
    return finish(bounded(this.#generateUnbounded(traced)));
  }

  *#generateUnbounded(traced: boolean): Steps<GeneratedQuery> {
    const { withTargets } = this.#query;
    const program = yield* this.#policy.build(
      { data: withTargets.data, functions: new Set([...withTargets.builtins, ...withTargets.functions]) },
      traced,
    );
    return generateQuery(this.#query, program, this.#variables);
  }

  #run(options: EvaluateOptions, emit: (values: readonly Value[]) => void): void {
    let run: GeneratedQuery;
    if (options.tracer === undefined) {
      this.#plain ??= this.#generate(false);
      run = this.#plain;
    } else {
      this.#traced ??= this.#generate(true);
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
    const { variables } = this.#query;
    for (let i = 0; i < variables.length; i++) {
      const value = values[i];
      if (value !== undefined) setOwn(bindings, (variables[i] as { name: string }).name, value);
    }
    let next = variables.length;
    return {
      bindings,
      expressions: this.#expressions.map(({ text, location, isBound }) => ({
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
