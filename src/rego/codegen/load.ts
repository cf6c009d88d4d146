import type { Steps } from "../../base/index.ts";
import { type Abi, abi } from "../runtime/index.ts";
import type { Group } from "./documents.ts";
import { Js, js } from "./js.ts";
import { Unit } from "./unit.ts";

// biome-ignore lint/suspicious/noExplicitAny: what generated functions take and give is known to those who call them
type Generated = (...args: any[]) => any;

/** The code of one group, and what its functions are called. */
export interface GroupCode {
  readonly group: Group;
  readonly code: Js;
  readonly main: Js;
  readonly keyed: Js | undefined;
}

/** A list of functions that groups pick from. */
export interface Table {
  readonly name: Js;
  readonly functions: readonly Js[];
}

/** By group id. */
export interface LoadedFunctions {
  readonly functions: readonly Generated[];
  readonly keyed: readonly (Generated | undefined)[];
}

/** Up to here a program is one script, in which functions call each other by name. */
const WHOLE_LENGTH = 256 * 1024;
/** V8 reads a script in one go: this much takes it a few milliseconds. */
const PIECE_LENGTH = 64 * 1024;

/**
 * The only place where text becomes code: `Js` alone can get here, and its scope holds nothing but the ABI and what is
 * passed in by position.
 */
export function load(source: Js, constants: readonly unknown[], links?: Links): unknown {
  const make = new Function("rt", "k", "l", `"use strict";\n${source.text}`) as (
    rt: Abi,
    k: readonly unknown[],
    l: Links | undefined,
  ) => unknown;
  return make(abi, constants, links);
}

/** Loads the functions of a program; a large one in several scripts. */
export function* loadProgram(
  groups: readonly GroupCode[],
  tables: readonly Table[],
  unit: Unit,
): Steps<LoadedFunctions> {
  let length = 0;
  for (const { code } of groups) length += code.text.length;
  for (const { functions } of tables) for (const { text } of functions) length += text.length;
  return length <= WHOLE_LENGTH ? loadWhole(groups, tables, unit) : yield* loadPieces(groups, tables, unit);
}

function loadWhole(groups: readonly GroupCode[], tables: readonly Table[], unit: Unit): LoadedFunctions {
  const source = js`${unit.prologue()}
${Js.lines(tables.map(({ name, functions }) => js`const ${name} = ${listed(functions)};`))}
${Js.lines(groups.map(({ code }) => code))}
return { functions: [${Js.list(groups.map(({ main }) => main))}], keyed: [${Js.list(groups.map(({ keyed }) => keyed ?? js`undefined`))}] };`;
  return load(source, unit.constants) as LoadedFunctions;
}

function listed(functions: readonly Js[]): Js {
  return js`[
${Js.lines(functions.map((one) => js`${one},`))}]`;
}

/** What scripts of one program share: filled while they are loaded, complete before any function runs. */
interface Links {
  readonly tables: readonly Generated[][];
  readonly functions: Generated[];
  readonly keyed: (Generated | undefined)[];
}

function* loadPieces(groups: readonly GroupCode[], tables: readonly Table[], unit: Unit): Steps<LoadedFunctions> {
  const links: Links = { tables: tables.map(() => []), functions: [], keyed: [] };
  const linker = new Linker(groups, tables);
  for (const [i, { functions }] of tables.entries()) {
    for (const piece of pieces(functions, (one) => one)) {
      const loaded = load(linker.linked(js`return ${listed(piece)};`, piece), unit.constants, links) as Generated[];
      for (const one of loaded) (links.tables[i] as Generated[]).push(one);
      yield;
    }
  }
  for (const piece of pieces(groups, ({ code }) => code)) {
    const codes = piece.map(({ code }) => code);
    const ends = piece.map(
      ({ group, main, keyed }) =>
        js`l.functions[${group.id}] = ${main}; l.keyed[${group.id}] = ${keyed ?? js`undefined`};`,
    );
    load(linker.linked(Js.lines([...codes, ...ends]), codes, piece), unit.constants, links);
    yield;
  }
  return links;
}

function* pieces<T>(items: readonly T[], codeOf: (item: T) => Js): Generator<readonly T[]> {
  let piece: T[] = [];
  let length = 0;
  for (const item of items) {
    const own = codeOf(item).text.length;
    if (piece.length > 0 && length + own > PIECE_LENGTH) {
      yield piece;
      piece = [];
      length = 0;
    }
    piece.push(item);
    length += own;
  }
  if (piece.length > 0) yield piece;
}

/** Names of constants, of groups' functions and of tables. */
const SHARED_NAME = /\b(?:[kqr]|table)\d+\b/g;

/** Declares before a script the names it uses and does not define: constants, tables, functions of other scripts. */
class Linker {
  readonly #groups = new Map<string, { readonly group: Group; readonly name: Js; readonly isKeyed: boolean }>();
  readonly #tables = new Map<string, { readonly name: Js; readonly index: number }>();

  constructor(groups: readonly GroupCode[], tables: readonly Table[]) {
    for (const { group, main, keyed } of groups) {
      this.#groups.set(main.text, { group, name: main, isKeyed: false });
      if (keyed !== undefined) this.#groups.set(keyed.text, { group, name: keyed, isKeyed: true });
    }
    tables.forEach(({ name }, index) => {
      this.#tables.set(name.text, { name, index });
    });
  }

  linked(source: Js, codes: readonly Js[], own: readonly GroupCode[] = []): Js {
    const names = new Set<string>();
    // Text that only looks like a name costs a declaration that nobody uses.
    for (const { text } of codes) for (const name of text.match(SHARED_NAME) ?? []) names.add(name);
    for (const { main, keyed } of own) {
      names.delete(main.text);
      if (keyed !== undefined) names.delete(keyed.text);
    }
    const declarations: Js[] = [];
    for (const name of names) {
      const declaration = this.#declaration(name);
      if (declaration !== undefined) declarations.push(declaration);
    }
    return Js.lines([...declarations, source]);
  }

  #declaration(text: string): Js | undefined {
    const constant = Unit.constantIndex(text);
    if (constant !== undefined) return js`const ${Js.ident(text)} = k[${constant}];`;
    const table = this.#tables.get(text);
    if (table !== undefined) return js`const ${table.name} = l.tables[${table.index}];`;
    const other = this.#groups.get(text);
    if (other === undefined) return undefined;
    const { group, name, isKeyed } = other;
    if (isKeyed) return js`function ${name}(c, key) { return l.keyed[${group.id}](c, key); }`;
    const params = Js.list([js`c`, ...Array.from({ length: group.arity }, (_, i) => Js.ident(`a${i}`))]);
    return js`function ${name}(${params}) { return l.functions[${group.id}](${params}); }`;
  }
}
