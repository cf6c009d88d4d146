import { finish, type Steps } from "../../base/index.ts";
import type { CompiledQuery, Program } from "../compile/index.ts";
import type { Evaluation } from "../runtime/index.ts";
import { canonicalText, type Value } from "../value/index.ts";
import { buildDocuments, type DocumentTree, type Group } from "./documents.ts";
import { BodyEmitter, type Scope } from "./emit-body.ts";
import { emitGroup, isKeyed } from "./emit-rules.ts";
import { Js, js } from "./js.ts";
import { type GroupCode, load, loadProgram, type Table } from "./load.ts";
import { type CallableBuiltin, Unit } from "./unit.ts";

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

/** A program as JavaScript functions. */
export interface GeneratedProgram {
  readonly documents: DocumentTree;
  /** By group id. */
  readonly functions: readonly Run[];
  readonly keyed: readonly (Keyed | undefined)[];
  readonly options: GenerateOptions;
}

/** A query as a JavaScript function: calls `emit` once per solution with the values of the asked-for variables. */
export type GeneratedQuery = (evaluation: Evaluation, emit: (values: readonly Value[]) => void) => void;

/** Compiles checked modules to JavaScript and loads it. */
export function generateProgram(program: Program, options: GenerateOptions): GeneratedProgram {
  return finish(generateProgramInSteps(program, options));
}

/** The same piece by piece. */
export function* generateProgramInSteps(program: Program, options: GenerateOptions): Steps<GeneratedProgram> {
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
  const { functions, keyed } = yield* loadProgram(groups, scope.tables, unit);
  for (const group of documents.groups) {
    group.node.value = group.kind === "function" ? null : (functions[group.id] as Run);
  }
  return { documents, functions, keyed, options };
}

/** Compiles a query against a program. `variables` are the names whose values each solution reports. */
export function generateQuery(
  query: CompiledQuery,
  program: GeneratedProgram,
  variables: readonly string[],
): GeneratedQuery {
  const unit = new Unit();
  const { documents, options, functions, keyed } = program;
  const scope = scopeOf(
    unit,
    documents,
    options,
    (group) => unit.constant(functions[group.id]),
    (group) => unit.constant(keyed[group.id]),
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
  return load(source, unit.constants) as GeneratedQuery;
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
    keyedFunction: (group) => (optimised && isKeyed(group) ? keyedFunction(group) : undefined),
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
