import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { formatModule, moduleToJson, parseModule } from "../../src/rego/syntax/index.ts";
import { parseJson, toJsonText, valuesEqual } from "../../src/rego/value/index.ts";
import { caseFolder, filesBelow } from "../support/cases.ts";

/** The real program. Set CARDEA_OPA to its path if it is not on PATH. */
const opa = process.env["CARDEA_OPA"] ?? "opa";
const isThere = spawnSync(opa, ["version"]).status === 0;
if (!isThere && process.env["CI"] !== undefined) throw new Error("no opa: set CARDEA_OPA");
if (!isThere) console.log("skipped: no opa (set CARDEA_OPA)");

interface Module {
  readonly note: string;
  readonly text: string;
}

/** Modules on which `opa fmt` and we differ, each with a text only it contains, and the reason. */
const KNOWN_DIFFERENCES: readonly { readonly text: string; readonly reason: string }[] = [
  {
    text: '"op": "remove" }',
    reason: "opa fmt writes both of two equal keys of an object; we keep the last, which counts",
  },
  { text: "duplicate ops", reason: "the same" },
  { text: '"foo", (2 in {"bar": 2})', reason: "opa fmt drops the parentheses, which changes the meaning" },
  { text: "1, (2 in [2])", reason: "the same" },
];

const folder = mkdtempSync(path.join(tmpdir(), "opa-syntax-"));
afterAll(() => rmSync(folder, { recursive: true }), 60_000);

function modules(version: "v0" | "v1"): readonly Module[] {
  const place = caseFolder(`rego-${version}`);
  const seen = new Set<string>();
  return (place === undefined ? [] : filesBelow(place)).flatMap((file) => {
    const text = readFileSync(file, "utf8");
    const { cases = [] } = (file.endsWith(".json") ? JSON.parse(text) : parseYaml(text, { maxAliasCount: -1 })) as {
      readonly cases?: readonly { readonly note: string; readonly modules?: readonly string[] }[];
    };
    return cases.flatMap(({ note, modules: texts = [] }) =>
      texts.filter((module) => !seen.has(module) && seen.add(module)).map((module) => ({ note, text: module })),
    );
  });
}

/** `opa fmt` stops at the first file it refuses, so that a batch with one is done again in halves. */
function opaFmt(batch: readonly Module[], flags: readonly string[]): readonly (string | undefined)[] {
  if (batch.length === 0) return [];
  const place = mkdtempSync(path.join(folder, "fmt-"));
  const files = batch.map((_, i) => path.join(place, `m${i}.rego`));
  for (const [i, file] of files.entries()) writeFileSync(file, (batch[i] as Module).text);
  const { status } = spawnSync(opa, ["fmt", "-w", ...flags, place]);
  const formatted = status === 0 ? files.map((file) => readFileSync(file, "utf8")) : undefined;
  rmSync(place, { recursive: true });
  if (formatted !== undefined) return formatted;
  if (batch.length === 1) return [undefined];
  const half = batch.length >> 1;
  return [...opaFmt(batch.slice(0, half), flags), ...opaFmt(batch.slice(half), flags)];
}

describe.runIf(isThere)("opa fmt", () => {
  test.each([
    ["v1", "v1", []],
    ["v0", "v0", ["--v0-compatible"]],
    ["v0", "v0v1", ["--rego-v1"]],
  ] as const)("%s as %s: equal, byte for byte", (version, target, flags) => {
    const all = modules(version);
    const wanted = opaFmt(all, flags);
    const different: string[] = [];
    let equal = 0;
    for (const [i, { note, text }] of all.entries()) {
      const want = wanted[i];
      if (want === undefined) continue;
      const { value } = parseModule({ file: "m.rego", text }, { version });
      const got = value === undefined ? undefined : formatModule(value, { target });
      if (got === want) equal++;
      else if (!KNOWN_DIFFERENCES.some((known) => text.includes(known.text))) different.push(note);
    }
    console.log(`opa fmt ${target}: ${equal} of ${all.length} equal`);
    expect(different).toEqual([]);
  });
});

describe.runIf(isThere)("opa parse", () => {
  test.each(["v0", "v1"] as const)("%s: the same JSON", (version) => {
    const all = modules(version).filter(({ text }) => !KNOWN_DIFFERENCES.some((known) => text.includes(known.text)));
    const sample = all.filter((_, i) => i % Math.ceil(all.length / 60) === 0);
    for (const { note, text } of sample) {
      const file = path.join(folder, "parse.rego");
      writeFileSync(file, text);
      const flags = version === "v0" ? ["--v0-compatible"] : [];
      const want = parseJson(execFileSync(opa, ["parse", "--format", "json", ...flags, file], { encoding: "utf8" }));
      const { value } = parseModule({ file, text }, { version, annotations: true });
      const got = value === undefined ? null : moduleToJson(value);
      expect({ note, got: valuesEqual(got, want) ? "equal" : toJsonText(got) }).toEqual({ note, got: "equal" });
    }
  });
});
