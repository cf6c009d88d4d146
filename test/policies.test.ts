import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadPaths, pathEntrypoint, PolicyStore, regoCompiler } from "../src/policy/index.ts";

const loaded = await loadPaths([join(import.meta.dirname, "../policies")]);
const store = new PolicyStore(regoCompiler({ version: "v1", keepPrint: false }));
store.updateBase({ modules: loaded.modules, data: loaded.data });

/** Packages and test rules by their text: `opa test` finds the same. */
const tests = loaded.modules
  .filter(({ file }) => file.endsWith("_test.rego"))
  .flatMap(({ text }) => {
    const [, name = ""] = /^package (\S+)/m.exec(text) ?? [];
    return [...text.matchAll(/^(test_\w+)/gm)].map(([, rule = ""]) => `${name.replaceAll(".", "/")}/${rule}`);
  });

describe("the shipped policies", () => {
  test("have tests", () => {
    expect(tests).toHaveLength(30);
  });

  test.for(tests)("%s", (path) => {
    expect(store.current.prepare(pathEntrypoint(path)).value({})).toBe(true);
  });
});
