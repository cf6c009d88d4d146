import type { Steps } from "../../base/index.ts";
import { type Abi, abi } from "../runtime/index.ts";
import type { Group } from "./documents.ts";
import { Js, js } from "./js.ts";
import { type Constant, Unit } from "./unit.ts";

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

/** The functions of a program, by group id: filled while its scripts are loaded, complete before any of them runs. */
interface Links {
  readonly tables: readonly Generated[][];
  readonly functions: Generated[];
  readonly keyed: (Generated | undefined)[];
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

/** What generated code gets for a constant. @param program needed by queries, which call its functions */
export function materialised(
  constant: Constant,
  program?: { readonly functions: readonly unknown[]; readonly keyed: readonly unknown[] },
): unknown {
  switch (constant.kind) {
    case "value":
      return constant.value;
    case "location":
      return constant.at;
    case "locations":
      return constant.list;
    case "node":
      return constant.node;
    case "index":
      return constant.index;
    case "builtin":
      return constant.builtin.call;
    case "group":
      return (constant.isKeyed ? program?.keyed : program?.functions)?.[constant.id];
  }
}

/** The scripts that make up a program, in the order they are to be loaded; each enters its functions into the links. */
export function* scriptsOf(groups: readonly GroupCode[], tables: readonly Table[], unit: Unit): Steps<readonly Js[]> {
  let length = 0;
  for (const { code } of groups) length += code.text.length;
  for (const { functions } of tables) for (const { text } of functions) length += text.length;
  return length <= WHOLE_LENGTH ? [wholeScript(groups, tables, unit)] : yield* pieceScripts(groups, tables);
}

function wholeScript(groups: readonly GroupCode[], tables: readonly Table[], unit: Unit): Js {
  return Js.lines([
    unit.prologue(),
    ...tables.map(({ name, functions }) => js`const ${name} = ${listed(functions)};`),
    ...groups.map(({ code }) => code),
    ...groups.map(entered),
  ]);
}

function* pieceScripts(groups: readonly GroupCode[], tables: readonly Table[]): Steps<readonly Js[]> {
  const scripts: Js[] = [];
  const linker = new Linker(groups, tables);
  for (const [i, { functions }] of tables.entries()) {
    for (const piece of pieces(functions, (one) => one)) {
      scripts.push(linker.linked(js`for (const one of ${listed(piece)}) l.tables[${i}].push(one);`, piece));
      yield;
    }
  }
  for (const piece of pieces(groups, ({ code }) => code)) {
    const codes = piece.map(({ code }) => code);
    scripts.push(linker.linked(Js.lines([...codes, ...piece.map(entered)]), codes, piece));
    yield;
  }
  return scripts;
}

function listed(functions: readonly Js[]): Js {
  return js`[
${Js.lines(functions.map((one) => js`${one},`))}]`;
}

function entered({ group, main, keyed }: GroupCode): Js {
  return js`l.functions[${group.id}] = ${main}; l.keyed[${group.id}] = ${keyed ?? js`undefined`};`;
}

/** Loads a program: all of its constants, then its scripts in their order. */
export class ProgramLoader {
  readonly links: Links;
  readonly #values: unknown[] = [];

  constructor(tables: number) {
    this.links = { tables: Array.from({ length: tables }, () => []), functions: [], keyed: [] };
  }

  constant(constant: Constant): void {
    this.#values.push(materialised(constant));
  }

  script(script: Js): void {
    load(script, this.#values, this.links);
  }
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
