import path from "node:path";
import { describe, expect, test } from "vitest";
import { caseFolder, readRegoCases } from "../support/cases.ts";
import { runRegoCase } from "../support/rego-cases.ts";

/**
 * OPA's own conformance cases, all of them, in process. A known issue is listed with its reason and what the real
 * program answers; the list turns red when a case on it passes, or names no case.
 */
const KNOWN_ISSUES: ReadonlyMap<string, string> = new Map([
  [
    "reachable/test-reachable-paths-1022.json: reachable_paths/cycle_1022_3",
    "written for OPA before 1.19, which shared visited nodes between siblings; opa 1.20.2 answers as we do (rego-diagnostics/reachable has its expectation)",
  ],
]);

const SUITES = [
  { folder: "rego-v1", version: "v1" },
  { folder: "rego-v0", version: "v0" },
  ...[
    "aggregates",
    "arithmetic",
    "logic_operators",
    "negation",
    "reachable",
    "strings",
    "units",
    "uribuiltins",
    "uuid",
  ].map((name) => ({
    folder: path.join("rego-diagnostics", name),
    version: "v1" as const,
  })),
] as const;

for (const { folder, version } of SUITES) {
  const place = caseFolder(folder);
  describe.skipIf(place === undefined)(folder, () => {
    const cases = place === undefined ? [] : readRegoCases(place);
    const groups = new Map<string, typeof cases>();
    for (const tc of cases) groups.set(path.dirname(tc.file), [...(groups.get(path.dirname(tc.file)) ?? []), tc]);
    for (const [group, members] of groups) {
      test(`${path.basename(group)}: ${members.length} cases`, () => {
        const failures: string[] = [];
        for (const tc of members) {
          const key = `${path.basename(path.dirname(tc.file))}/${path.basename(tc.file)}: ${tc.note}`;
          const problem = runRegoCase(tc, version);
          const known = KNOWN_ISSUES.get(key);
          if (known === undefined && problem !== undefined) failures.push(`${key}: ${problem}`);
          if (known !== undefined && problem === undefined)
            failures.push(`${key} passes now: take it off the list of known issues`);
        }
        expect(failures).toEqual([]);
      });
    }
    test("has cases", () => expect(cases.length).toBeGreaterThan(0));
  });
}
