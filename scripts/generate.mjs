// Writes what is made from the records of the builtins: docs/builtins.md and capabilities.json. `--check` compares only.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const folder = mkdtempSync(join("node_modules", ".generate-"));
try {
  const outfile = join(folder, "catalogue.mjs");
  await build({
    entryPoints: ["scripts/catalogue.ts"],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
    logLevel: "warning",
  });
  const { catalogueFiles } = await import(pathToFileURL(outfile).href);
  const stale = [];
  for (const [path, text] of catalogueFiles()) {
    let current;
    try {
      current = readFileSync(path, "utf8");
    } catch {
      current = undefined;
    }
    if (current === text) continue;
    stale.push(path);
    if (!process.argv.includes("--check")) writeFileSync(path, text);
  }
  if (process.argv.includes("--check") && stale.length > 0) {
    console.error(`out of date: ${stale.join(", ")}; run \`npm run generate\``);
    process.exitCode = 1;
  } else if (stale.length > 0) console.log(`written: ${stale.join(", ")}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
