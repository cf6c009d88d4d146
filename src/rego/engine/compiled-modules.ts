import { locationText, finish, type Steps } from "../../base/index.ts";
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
  ImageMaker,
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
import { type Module, parseModule, parseModuleInSteps, parseQuery, type RefTerm } from "../syntax/index.ts";
import { canonicalText, type Value } from "../value/index.ts";
import { allowedBuiltins, type Capabilities } from "./capabilities.ts";
import { type DocumentWithoutRules, documentsWithoutRules } from "./dependencies.ts";
import { CompileError } from "./errors.ts";
import type { PreparedQuery } from "./query.ts";

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

export interface QueryOptions {
  readonly file?: string;
  /** Import paths, e.g. `data.foo as bar`. */
  readonly imports?: readonly string[];
  /** Package whose names the query sees, e.g. `data.foo`. */
  readonly package?: string;
  readonly strict?: boolean;
}

/** Parses and checks modules. @throws {CompileError} */
export function* compileModulesOf(options: CompileOptions): Steps<CompiledModules> {
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
export interface Compiled {
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
export class CompiledModules implements Compiled {
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
    return documentsWithoutRules(this.program, this.#compile(text, {}));
  }

  /** Everything that the given queries run, for another thread. Those that do not compile are left out. */
  *image(queries: readonly string[]): Steps<PolicyImage> {
    const code = yield* emitProgram(this.program, this.#buildOptions(NOTHING_MORE, false));
    const maker = new ImageMaker(code.documents);
    const pieces: PolicyPiece[] = [...(yield* maker.program(code))];
    for (const text of queries) {
      const query = this.#compileIfLegal(text);
      // What a query replaces may need another build of the program.
      if (query === undefined || replaces(query.withTargets)) continue;
      const { names, expressions, variables } = shapeOf(query);
      const withoutRules = documentsWithoutRules(this.program, query);
      const image = maker.query(emitQuery(query, code, variables));
      pieces.push({ kind: "query", text, names, expressions, withoutRules, image });
      yield;
    }
    return pieces;
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

/** A compiled policy as plain data: its code, then the queries it was made for. */
export type PolicyImage = readonly PolicyPiece[];
export type PolicyPiece = CodePiece | PreparedPiece;

interface PreparedPiece extends Pick<PreparedQuery, "names" | "expressions"> {
  readonly kind: "query";
  readonly text: string;
  readonly withoutRules: readonly DocumentWithoutRules[];
  readonly image: QueryImage;
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

/** Compiling nests as deeply as policies do: where the stack ends, that is a finding about the policy. @throws {CompileError} */
export function* bounded<T>(work: Steps<T>): Steps<T> {
  try {
    return yield* work;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CompileError([
      { code: "rego_compile_error", message: "policy is nested too deeply or a rule body is too long", at: undefined },
    ]);
  }
}
