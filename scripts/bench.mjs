// Bundles and runs the benchmarks; arguments go to test/bench/<first argument>.ts.
import { spawnSync } from "node:child_process";
import { build } from "esbuild";

const [name, ...args] = process.argv.slice(2);
const outdir = "node_modules/.cache/bench";
await build({
  entryPoints: [name, "load-process", "noop-server", "http2-prototype"].map((file) => `test/bench/${file}.ts`),
  outdir,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  logLevel: "warning",
});
process.exit(spawnSync(process.execPath, [`${outdir}/${name}.mjs`, ...args], { stdio: "inherit" }).status ?? 1);
