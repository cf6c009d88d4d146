import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { nodeBuiltins } from "../../src/rego/builtins/node-registry.ts";
import { capabilitiesOf, readCapabilities } from "../../src/rego/engine/index.ts";
import { canonicalText, type JsonObject, parseJson } from "../../src/rego/value/index.ts";
import { caseFolder } from "../support/cases.ts";

/** The capabilities file of the OPA release we follow lies beside the cases. */
function referenceFile(): string | undefined {
  const cases = caseFolder();
  const folder = cases === undefined ? undefined : path.resolve(cases, "../data");
  if (folder === undefined || !existsSync(folder)) return undefined;
  const name = readdirSync(folder).find((file) => /^capabilities-v[\d.]+\.json$/.test(file));
  return name === undefined ? undefined : path.join(folder, name);
}

const file = referenceFile();

describe.skipIf(file === undefined)("capabilities of OPA", () => {
  const theirs = file === undefined ? {} : (parseJson(readFileSync(file, "utf8")) as JsonObject);
  const ours = capabilitiesOf(nodeBuiltins);
  const byName = (document: JsonObject) =>
    new Map(
      (document["builtins"] as readonly JsonObject[]).map((builtin) => [builtin["name"] as string, builtin] as const),
    );

  test("the same builtins", () => {
    expect([...byName(ours).keys()]).toEqual([...byName(theirs).keys()].sort());
  });

  test("the same types and flags", () => {
    const reference = byName(theirs);
    const differing = [...byName(ours)].filter(([name, builtin]) => {
      const other = reference.get(name);
      return other !== undefined && canonicalText(other) !== canonicalText(builtin);
    });
    expect(differing.map(([name]) => name)).toEqual([]);
  });

  test("the same keywords and features", () => {
    expect(ours["future_keywords"]).toEqual(theirs["future_keywords"]);
    expect(ours["features"]).toEqual(theirs["features"]);
  });

  test("readable", () => {
    expect(readCapabilities(theirs).builtins.size).toBe(byName(theirs).size);
  });
});
