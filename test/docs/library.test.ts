import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { describe, expect, test, vi } from "vitest";

/** The examples of docs/library.md: each block runs, and prints what its `// →` comments say. */
const page = readFileSync("docs/library.md", "utf8");
const examples: { readonly title: string; readonly code: string }[] = [];
let heading = "";
for (const [, title, code] of page.matchAll(/^## (.*)$|^```ts\n([\s\S]*?)^```$/gm)) {
  if (title !== undefined) heading = title;
  if (code !== undefined) examples.push({ title: `${heading} (${examples.length + 1})`, code });
}

describe("docs/library.md", () => {
  test("has examples", () => expect(examples.length).toBeGreaterThan(6));

  test.for(examples)("$title", async ({ code }) => {
    // Inside the repository, from where packages are found.
    mkdirSync("node_modules/.cache", { recursive: true });
    const folder = mkdtempSync(path.resolve("node_modules/.cache/docs-"));
    const source = path.join(folder, "example.ts");
    const out = path.join(folder, "example.mjs");
    writeFileSync(source, code);
    await build({
      entryPoints: [source],
      outfile: out,
      bundle: true,
      format: "esm",
      platform: "node",
      packages: "external",
      alias: { "cardea/rego": path.resolve("src/rego/index.ts") },
      logLevel: "error",
    });
    const printed: string[] = [];
    const log = vi.spyOn(console, "log").mockImplementation((value: unknown) => void printed.push(String(value)));
    try {
      await import(pathToFileURL(out).href);
    } finally {
      log.mockRestore();
    }
    expect(printed).toEqual([...code.matchAll(/\/\/ → ([^\n]*?)(?= \/\/ → |$)/gm)].map((match) => match[1]));
  });
});

test("the engine bundles for browsers: nothing of Node on the evaluating path", async () => {
  const { outputFiles } = await build({
    entryPoints: ["src/rego/index.ts"],
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
    logLevel: "silent",
  });
  expect(outputFiles[0]?.text).not.toMatch(/from "node:/);
});
