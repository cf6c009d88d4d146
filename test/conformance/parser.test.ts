import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { type Diagnostic, parseModule, parseQuery } from "../../src/rego/syntax/index.ts";
import { caseFolder, filesBelow } from "../support/cases.ts";

/** One case of OPA's parser suite (v1/test/parsercases). */
interface ParserCase {
  readonly note: string;
  readonly module: string;
  readonly want_errors: readonly WantedError[];
  readonly exhaustive?: boolean;
}

interface WantedError {
  readonly code: string;
  readonly row: number;
  /** Absent where OPA's own column is of no use: at the end of the input. */
  readonly col?: number;
  readonly message: string;
  /** Detail lines; a trailing `...` makes it a prefix. */
  readonly detail?: string;
}

/** Cases we do not pass, each with its reason. */
const KNOWN_ISSUES: ReadonlyMap<string, string> = new Map();

function isWanted(wanted: WantedError, got: Diagnostic): boolean {
  if (got.code !== wanted.code || got.message !== wanted.message || got.at?.row !== wanted.row) return false;
  if (wanted.col !== undefined && got.at.col !== wanted.col) return false;
  if (wanted.detail === undefined) return true;
  const detail = (got.details ?? []).join("\n");
  const want = wanted.detail.trimEnd();
  return want.endsWith("...") ? detail.startsWith(want.slice(0, -3)) : detail === want;
}

const errorFolder = caseFolder("rego-diagnostics", "parsercases");

describe.runIf(errorFolder !== undefined)("OPA's parser error cases", () => {
  const notes = new Set<string>();
  for (const version of ["v0", "v1"] as const) {
    describe(version, () => {
      for (const file of filesBelow(path.join(errorFolder ?? "", version))) {
        const { cases } = parseYaml(readFileSync(file, "utf8")) as { readonly cases: readonly ParserCase[] };
        for (const { note, module, want_errors: wanted, exhaustive } of cases) {
          const name = `${version} ${note}`;
          notes.add(name);
          const run = (): void => {
            const { diagnostics = [] } = parseModule(
              { file: "test.rego", text: module },
              { version, annotations: true },
            );
            const missing = wanted.filter((error) => !diagnostics.some((got) => isWanted(error, got)));
            expect({ missing, got: missing.length > 0 ? diagnostics : [] }).toEqual({ missing: [], got: [] });
            if (exhaustive === true) expect(diagnostics.length).toBe(wanted.length);
          };
          const reason = KNOWN_ISSUES.get(name);
          if (reason === undefined) test(note, run);
          else test.fails(`${note} (known: ${reason})`, run);
        }
      }
    });
  }

  test("every known issue names a case", () => {
    expect([...KNOWN_ISSUES.keys()].filter((name) => !notes.has(name))).toEqual([]);
  });
});

describe.each(["v0", "v1"] as const)("the runtime suite of %s", (version) => {
  const folder = caseFolder(`rego-${version}`);

  test.runIf(folder !== undefined)("all modules and queries parse", () => {
    let count = 0;
    const refused: string[] = [];
    for (const file of filesBelow(folder ?? "")) {
      const text = readFileSync(file, "utf8");
      const document = (file.endsWith(".json") ? JSON.parse(text) : parseYaml(text, { maxAliasCount: -1 })) as {
        readonly cases?: readonly { readonly note: string; readonly modules?: string[]; readonly query?: string }[];
      };
      for (const { note, modules = [], query = "" } of document.cases ?? []) {
        const parsed = [
          ...modules.map((text) => parseModule({ file: "test.rego", text }, { version, annotations: true })),
          parseQuery(query, { version }),
        ];
        for (const { diagnostics } of parsed) {
          count++;
          if (diagnostics !== undefined) refused.push(`${note}: ${diagnostics[0]?.message}`);
        }
      }
    }
    expect(refused).toEqual([]);
    expect(count).toBeGreaterThan(1000);
  });
});
