import type { Import, Module, RegoVersion } from "./ast.ts";
import { NOWHERE, operatorName, refOf } from "./construct.ts";
import { termToText } from "./text.ts";
import { visit, walkModule } from "./traverse.ts";

/** Keywords that `future.keywords.…` still imports in v1. */
const FUTURE_IN_V1: ReadonlySet<string> = new Set(["not", "and", "or"]);

/** An import and the row it is laid out at. Added ones have no text of their own. */
export interface PlacedImport {
  readonly statement: Import;
  readonly row: number;
  readonly col: number;
  readonly added: boolean;
}

/** What the imports of a module make of its layout. */
export interface ImportFacts {
  readonly futureKeywords: readonly string[];
  readonly contains: boolean;
  readonly ifs: boolean;
}

/** The keyword a `future.keywords.x` import names. */
function futureKeyword(statement: Import): string | undefined {
  const [root, keywords, word] = statement.path.terms;
  const isFuture = root?.kind === "var" && root.name === "future" && statement.path.terms.length === 3;
  return isFuture && keywords?.kind === "string" && keywords.value === "keywords" && word?.kind === "string"
    ? word.value
    : undefined;
}

export function isFutureImport(statement: Import): boolean {
  const [root] = statement.path.terms;
  return root?.kind === "var" && root.name === "future";
}

function importsAll(statement: Import): boolean {
  return termToText(statement.path) === "future.keywords";
}

function isRegoV1(statement: Import): boolean {
  return termToText(statement.path) === "rego.v1";
}

export function importFacts(module: Module): ImportFacts {
  const futureKeywords: string[] = [];
  let contains = false;
  let ifs = false;
  for (const statement of module.imports) {
    const word = futureKeyword(statement);
    if (word !== undefined) futureKeywords.push(word);
    const all = isRegoV1(statement) || importsAll(statement);
    if (all || word === "contains") contains = true;
    if (all || word === "if") ifs = true;
  }
  return { futureKeywords, contains, ifs };
}

/** The imports to write: those of the module, less what the target makes superfluous, plus what its keywords need. */
export function placedImports(
  module: Module,
  target: RegoVersion,
  facts: ImportFacts,
  dropV0Imports: boolean,
): readonly PlacedImport[] {
  let imports: readonly PlacedImport[] = module.imports.map((statement) => ({
    statement,
    row: statement.at.row,
    col: statement.at.col,
    added: false,
  }));
  if (target === "v1" && dropV0Imports) imports = imports.filter(({ statement }) => !isRegoV1(statement));
  else if (target === "v0v1" && !imports.some(({ statement }) => isRegoV1(statement))) {
    imports = withImport(imports, "rego", "v1");
  }
  const hasRegoV1 = imports.some(({ statement }) => isRegoV1(statement));
  const needed = neededKeywords(module);
  if (target === "v0" && !hasRegoV1) {
    for (const word of needed) imports = withKeyword(imports, word);
    return imports;
  }
  if (!dropV0Imports && !hasRegoV1) for (const word of facts.futureKeywords) imports = withKeyword(imports, word);
  else imports = imports.filter(({ statement }) => !isFutureImport(statement));
  for (const word of needed) if (FUTURE_IN_V1.has(word)) imports = withKeyword(imports, word);
  return imports;
}

function neededKeywords(module: Module): readonly string[] {
  const words = new Set<string>();
  walkModule(module, {
    expr({ form, negated }) {
      if (form.kind === "call") {
        const name = operatorName(form.operator);
        if (name === "internal.member_2" || name === "internal.member_3") words.add("in");
      } else if (form.kind === "every" || form.kind === "not") words.add(form.kind);
      else if (form.kind === "logical") {
        words.add(form.operator);
        if (negated) words.add("not");
      }
      return true;
    },
  });
  return [...words].sort();
}

function withKeyword(imports: readonly PlacedImport[], word: string): readonly PlacedImport[] {
  const present = imports.some(({ statement }) => {
    const imported = futureKeyword(statement);
    return importsAll(statement) || imported === word || (imported === "every" && word === "in");
  });
  return present ? imports : withImport(imports, "future", "keywords", word);
}

/** Adds an import below the last keyword import, or at the top. */
function withImport(
  imports: readonly PlacedImport[],
  root: string,
  ...path: readonly string[]
): readonly PlacedImport[] {
  const rows = imports
    .filter(({ statement }) => isRegoV1(statement) || (isFutureImport(statement) && statement.path.terms.length >= 2))
    .map(({ row }) => row);
  const last = Math.max(0, ...rows);
  const statement: Import = { path: refOf(root, ...path), alias: undefined, at: NOWHERE };
  return [...imports, { statement, row: last + 1, col: 1, added: true }];
}

/** Names of wildcards that occur more than once (copied heads): they need a name of their own to be the same variable. */
export function repeatedWildcards(module: Module): ReadonlySet<string> {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  const count = (name: string): void => {
    if (seen.has(name)) repeated.add(name);
    seen.add(name);
  };
  for (const rule of module.rules) {
    for (let branch = rule as typeof rule | undefined; branch !== undefined; branch = branch.else) {
      const { args = [], key, value } = branch.head;
      for (const node of [...args, key, value, branch.body]) {
        if (node === undefined) continue;
        visit(node, {
          term(term) {
            if (term.kind === "var" && term.name.startsWith("$")) count(term.name);
            return true;
          },
        });
      }
    }
  }
  return repeated;
}
