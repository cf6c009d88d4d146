// Bundles and runs a TypeScript program of test/: `node scripts/run.mjs test/fuzz/differential.ts --programs 1000`.
import { spawnSync } from "node:child_process";
import { basename, dirname, resolve } from "node:path";
import { build } from "esbuild";

const [entry, ...args] = process.argv.slice(2);
const outfile = `node_modules/.cache/run/${process.pid}/${basename(entry, ".ts")}.mjs`;
await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  logLevel: "warning",
  sourcemap: "inline",
  // What these programs read lies at the same distance from each folder of test/.
  define: { "import.meta.dirname": JSON.stringify(resolve(dirname(entry))) },
});
const { status } = spawnSync(process.execPath, ["--enable-source-maps", outfile, ...args], { stdio: "inherit" });
process.exit(status ?? 1);
