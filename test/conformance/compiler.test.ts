import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { compileModules, compileQuery, createTypeChecker, type Program } from "../../src/rego/compile/index.ts";
import { signatureOf } from "../../src/rego/builtins/index.ts";
import { nodeBuiltins } from "../../src/rego/node.ts";
import { type Diagnostic, type Module, parseModule, parseQuery } from "../../src/rego/syntax/index.ts";
import type { Signature } from "../../src/rego/types/index.ts";
import type { Value } from "../../src/rego/value/index.ts";
import { caseFolder, filesBelow, readRegoCases } from "../support/cases.ts";

/**
 * OPA's corpus of compiler diagnostics (v1/test/compilecases), and that every module of its runtime suite compiles.
 * A known issue has a reason, and turns red when its case passes.
 */
const NEWER = "newer than OPA 1.20.2, which accepts it: operands of `in` are not matched";
const UNUSED = "OPA 1.20.2 in strict mode also reports `unused argument x` instead (opa check --strict)";
const KNOWN_ISSUES: ReadonlyMap<string, string> = new Map([
  ...[
    "array",
    "array-nested",
    "set",
    "object",
    "call",
    "result-captured",
    "with-key-key",
    "with-key-value",
    "with-key-object-key",
  ].flatMap((name) => [[`types/member-${name}`, NEWER] as const, [`types/member-${name}, strict`, NEWER] as const]),
  ["safety/unsafe-var-names-rule-created-by-unimported-keyword, strict", UNUSED],
  ["safety/unsafe-var-names-rule-declared-after-another-on-line, strict", UNUSED],
]);

interface WantedError {
  readonly module?: string;
  readonly code: string;
  /** 0: the error has no place. */
  readonly row: number;
  readonly col?: number;
  readonly message: string;
  readonly detail?: string;
}

interface CompileCase {
  readonly note: string;
  readonly modules?: readonly string[];
  readonly strict?: "enabled" | "disabled";
  readonly want_errors?: readonly WantedError[];
  readonly exhaustive?: boolean;
  readonly query?: { readonly body: string; readonly package?: string; readonly imports?: readonly string[] };
  readonly print_statements?: boolean;
  readonly schemas?: Readonly<Record<string, Value>>;
}

const signatures: ReadonlyMap<string, Signature> = new Map([
  ...nodeBuiltins.map((builtin) => [builtin.name, signatureOf(builtin)] as const),
  // OPA's own harness declares this one.
  [
    "test.sleep",
    {
      name: "test.sleep",
      type: {
        kind: "function",
        args: [{ type: { kind: "string" } }],
        result: { type: { kind: "null" } },
        variadic: undefined,
      },
    },
  ],
]);

function parseModules(texts: readonly string[], version: "v0" | "v1"): readonly Module[] | readonly Diagnostic[] {
  const modules: Module[] = [];
  for (const [i, text] of texts.entries()) {
    const parsed = parseModule({ file: `test-${i}.rego`, text }, { version, annotations: true });
    if (parsed.diagnostics !== undefined) return parsed.diagnostics;
    modules.push(parsed.value);
  }
  return modules;
}

function isDiagnostics(list: readonly Module[] | readonly Diagnostic[]): list is readonly Diagnostic[] {
  return list[0] !== undefined && "code" in list[0];
}

function diagnosticsOf(tc: CompileCase, version: "v0" | "v1", strict: boolean): readonly Diagnostic[] {
  const modules = parseModules(tc.modules ?? [], version);
  if (isDiagnostics(modules)) return modules;
  const schemas = tc.schemas === undefined ? {} : { schemas: new Map(Object.entries(tc.schemas)) };
  const common = {
    strict,
    keepPrint: tc.print_statements === true,
    errorLimit: 1000,
    checkTypes: createTypeChecker(schemas),
  };
  const compiled = compileModules(modules, { signatures, ...common });
  if ("diagnostics" in compiled) return compiled.diagnostics;
  return tc.query === undefined ? [] : queryDiagnostics(tc.query, compiled.program, common);
}

function queryDiagnostics(
  query: NonNullable<CompileCase["query"]>,
  program: Program,
  options: Parameters<typeof compileQuery>[2],
): readonly Diagnostic[] {
  const body = parseQuery(query.body);
  if (body.diagnostics !== undefined) return body.diagnostics;
  const statement = (keyword: string, text: string): string => (text.startsWith(keyword) ? text : `${keyword} ${text}`);
  const text = [
    statement("package", query.package ?? "anywhere"),
    ...(query.imports ?? []).map((imported) => statement("import", imported)),
  ].join("\n");
  const context = parseModule({ file: "", text });
  if (context.diagnostics !== undefined) return context.diagnostics;
  const compiled = compileQuery(body.value, program, {
    ...options,
    imports: context.value.imports,
    ...(query.package !== undefined && { package: context.value.package.path }),
  });
  return "diagnostics" in compiled ? compiled.diagnostics : [];
}

/** What is wrong with the diagnostics of a case; undefined if nothing is. */
function runCase(tc: CompileCase, version: "v0" | "v1", strict: boolean): string | undefined {
  const rest = [...diagnosticsOf(tc, version, strict)];
  const got = rest.map(show).join("\n");
  for (const want of tc.want_errors ?? []) {
    const found = rest.findIndex((diagnostic) => matches(diagnostic, want, tc.query !== undefined));
    if (found === -1) return `missing ${JSON.stringify(want)}, got\n${got}`;
    rest.splice(found, 1);
  }
  const complete = tc.exhaustive === true || (tc.want_errors ?? []).length === 0;
  return complete && rest.length > 0 ? `unexpected ${rest.map(show).join("\n")}` : undefined;
}

function matches({ code, message, at, details }: Diagnostic, want: WantedError, inQuery: boolean): boolean {
  if (code !== want.code || message !== want.message) return false;
  if (want.detail !== undefined && (details ?? []).join("\n") !== want.detail) return false;
  if (want.row === 0) return at === undefined;
  if (at?.row !== want.row || (want.col !== undefined && at.col !== want.col)) return false;
  return inQuery || at.source.name === (want.module ?? "test-0.rego");
}

function show({ code, message, at, details }: Diagnostic): string {
  return `${at?.source.name}:${at?.row}:${at?.col}: ${code}: ${message} ${(details ?? []).join("\\n")}`;
}

const corpus = caseFolder("rego-diagnostics", "compilecases");
describe.skipIf(corpus === undefined)("diagnostics of OPA's compiler corpus", () => {
  const seen = new Set<string>();
  for (const version of ["v0", "v1"] as const) {
    for (const file of corpus === undefined ? [] : filesBelow(path.join(corpus, version))) {
      test(`${version}/${path.basename(file)}`, () => {
        const { cases } = parseYaml(readFileSync(file, "utf8"), { uniqueKeys: false }) as {
          cases: readonly CompileCase[];
        };
        const failures: string[] = [];
        for (const tc of cases) {
          const modes = tc.strict === undefined ? [false, true] : [tc.strict === "enabled"];
          for (const strict of modes) {
            const name = strict && tc.strict === undefined ? `${tc.note}, strict` : tc.note;
            seen.add(name);
            const problem = runCase(tc, version, strict);
            const known = KNOWN_ISSUES.has(name);
            if (problem !== undefined && !known) failures.push(`${name}: ${problem}`);
            if (problem === undefined && known)
              failures.push(`${name} passes now: take it off the list of known issues`);
          }
        }
        expect(failures).toEqual([]);
      });
    }
  }
  test("every known issue names a case", () => {
    expect([...KNOWN_ISSUES.keys()].filter((name) => !seen.has(name))).toEqual([]);
  });
});

for (const [suite, version] of [
  ["rego-v1", "v1"],
  ["rego-v0", "v0"],
] as const) {
  const place = caseFolder(suite);
  describe.skipIf(place === undefined)(`modules of ${suite}`, () => {
    test("compile, and so do their queries", () => {
      const failures: string[] = [];
      const cases = place === undefined ? [] : readRegoCases(place);
      expect(cases.length).toBeGreaterThan(0);
      for (const { note, modules: texts, query } of cases) {
        const modules = parseModules(texts, version);
        if (isDiagnostics(modules)) {
          failures.push(`${note}: ${modules.map(show).join("\n")}`);
          continue;
        }
        const compiled = compileModules(modules, { signatures });
        const diagnostics =
          "diagnostics" in compiled ? compiled.diagnostics : queryDiagnostics({ body: query }, compiled.program, {});
        if (diagnostics.length > 0) failures.push(`${note}: ${diagnostics.map(show).join("\n")}`);
      }
      expect(failures).toEqual([]);
    });
  });
}
