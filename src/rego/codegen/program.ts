import { eachInSteps, finish, type Steps } from "../../base/index.ts";
import type { CompiledQuery, Program } from "../compile/index.ts";
import type { Evaluation } from "../runtime/index.ts";
import { canonicalText, type Value } from "../value/index.ts";
import { buildDocuments, type DocumentTree, type Group } from "./documents.ts";
import { BodyEmitter, type Scope } from "./emit-body.ts";
import { emitGroup } from "./emit-rules.ts";
import { Js, js } from "./js.ts";
import { type GroupCode, load, materialised, ProgramLoader, scriptsOf, type Table } from "./load.ts";
import { type CallableBuiltin, type Constant, Unit } from "./unit.ts";

/** What a `with` may replace, of the program and of all queries it must serve. */
export interface Replaceable {
  readonly data: readonly (readonly Value[])[];
  readonly functions: ReadonlySet<string>;
}

export interface GenerateOptions {
  readonly builtins: ReadonlyMap<string, CallableBuiltin>;
  readonly replaceable: Replaceable;
  /** Report what is evaluated to the session's tracer. Slower; another build of the same program. */
  readonly traced: boolean;
  /**
   * False: code that does what the modules say and no more, without rule index, look-up by key, inlined builtins, folded
   * constants, shared look-ups and tests ahead. The build to compare the optimised one with. Default true.
   */
  readonly optimised?: boolean;
}

type Run = (evaluation: Evaluation, ...args: Value[]) => Value | undefined;
type Keyed = (evaluation: Evaluation, key: Value) => Value | undefined;

/** A program as text. */
export interface ProgramCode {
  readonly documents: DocumentTree;
  readonly options: GenerateOptions;
  readonly scripts: readonly Js[];
  readonly constants: readonly Constant[];
  /** How many lists of functions its scripts fill. */
  readonly tables: number;
}

/** A program as JavaScript functions. */
export interface GeneratedProgram {
  readonly documents: DocumentTree;
  /** By group id. */
  readonly functions: readonly Run[];
  readonly keyed: readonly (Keyed | undefined)[];
  readonly options: GenerateOptions;
}

/** A query as text. */
export interface QueryCode {
  readonly source: Js;
  readonly constants: readonly Constant[];
}

/** A query as a JavaScript function: calls `emit` once per solution with the values of the asked-for variables. */
export type GeneratedQuery = (evaluation: Evaluation, emit: (values: readonly Value[]) => void) => void;

/** Compiles checked modules to JavaScript and loads it. */
export function generateProgram(program: Program, options: GenerateOptions): GeneratedProgram {
  return finish(generateProgramInSteps(program, options));
}

/** The same piece by piece. */
export function* generateProgramInSteps(program: Program, options: GenerateOptions): Steps<GeneratedProgram> {
  return yield* loadProgram(yield* emitProgram(program, options));
}

/** Compiles checked modules to JavaScript. */
export function* emitProgram(program: Program, options: GenerateOptions): Steps<ProgramCode> {
  const documents = yield* buildDocuments(program);
  const unit = new Unit();
  const scope = scopeOf(
    unit,
    documents,
    options,
    (group) => Js.ident(`r${group.id}`),
    (group) => Js.ident(`q${group.id}`),
  );
  const groups: GroupCode[] = [];
  for (const group of documents.groups) {
    const code = yield* emitGroup(scope, group);
    groups.push({ group, code, main: scope.groupFunction(group), keyed: scope.keyedFunction(group) });
    if (groups.length % 16 === 0) yield;
  }
  const scripts = yield* scriptsOf(groups, scope.tables, unit);
  return { documents, options, scripts, constants: unit.constants, tables: scope.tables.length };
}

/** Makes functions of a program's text. */
function* loadProgram({ documents, options, scripts, constants, tables }: ProgramCode): Steps<GeneratedProgram> {
  const loader = new ProgramLoader(tables);
  yield* eachInSteps(constants, (constant) => loader.constant(constant));
  for (const script of scripts) {
    loader.script(script);
    yield;
  }
  const { functions, keyed } = loader.links;
  bindDocuments(documents, functions);
  return { documents, functions, keyed, options };
}

/** Lets references that are not ground find the documents' functions. */
export function bindDocuments({ groups }: DocumentTree, functions: readonly Run[]): void {
  for (const group of groups) group.node.value = group.kind === "function" ? null : (functions[group.id] as Run);
}

/** Compiles a query against a program. `variables` are the names whose values each solution reports. */
export function generateQuery(
  query: CompiledQuery,
  program: GeneratedProgram,
  variables: readonly string[],
): GeneratedQuery {
  return loadQuery(emitQuery(query, program, variables), program);
}

/** The same as text. */
export function emitQuery(
  query: CompiledQuery,
  { documents, options }: Pick<ProgramCode, "documents" | "options">,
  variables: readonly string[],
): QueryCode {
  const unit = new Unit();
  const scope = scopeOf(
    unit,
    documents,
    options,
    (group) => unit.group(group.id, false),
    (group) => unit.group(group.id, true),
  );
  const label = unit.fresh("d");
  const emitter = new BodyEmitter(scope, js`break ${label};`, { ordered: true });
  emitter.body(query.body, () => {
    const values = variables.map((name) => emitter.variable(name) ?? js`undefined`);
    emitter.line(js`emit([${Js.list(values)}]);`);
  });
  const source = js`${unit.prologue()}
return (c, emit) => { ${label}: {
${emitter.source}
} };`;
  return { source, constants: unit.constants };
}

/** Makes a function of a query's text. */
export function loadQuery(
  { source, constants }: QueryCode,
  program: Pick<GeneratedProgram, "functions" | "keyed">,
): GeneratedQuery {
  const values = constants.map((constant) => materialised(constant, program));
  return load(source, values) as GeneratedQuery;
}

function scopeOf(
  unit: Unit,
  documents: DocumentTree,
  options: GenerateOptions,
  groupFunction: (group: Group) => Js,
  keyedFunction: (group: Group) => Js,
): Scope & { readonly tables: readonly Table[] } {
  const hidden = options.replaceable.data;
  const optimised = options.optimised !== false;
  const tables: Table[] = [];
  return {
    tables,
    table: (functions) => {
      const name = unit.fresh("table");
      tables.push({ name, functions });
      return name;
    },
    unit,
    root: documents.root,
    builtins: options.builtins,
    groupFunction,
    keyedFunction: (group) => (optimised && group.isKeyed ? keyedFunction(group) : undefined),
    mayBeHidden: (path) =>
      hidden.some(
        (target) =>
          target.length <= path.length &&
          target.every((key, i) => canonicalText(key) === canonicalText(path[i] as Value)),
      ),
    mayBeMocked: (name) => options.replaceable.functions.has(name),
    traced: options.traced,
    optimised,
  };
}
