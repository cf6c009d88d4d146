// Builds dist/: the command as one script with its compiled form, and the two library entries.
import { execFileSync } from "node:child_process";
import { chmodSync, rmSync } from "node:fs";
import { build } from "esbuild";

rmSync("dist", { recursive: true, force: true });
const common = {
  outdir: "dist",
  bundle: true,
  platform: "node",
  target: "node20",
  sourcemap: true,
  logLevel: "warning",
};
// The libraries, for other programs to bundle or run as they like.
await build({
  ...common,
  entryPoints: { rego: "src/rego/index.ts", "rego-node": "src/rego/node.ts" },
  splitting: true,
  format: "esm",
  packages: "external",
});
// What src/main.ts runs. It starts in half the time when Node need not find and read hundreds of small files. What few
// need stays outside: tracing, Redis, protobuf descriptors.
await build({
  ...common,
  entryPoints: { cardea: "src/cli/main.ts" },
  format: "cjs",
  outExtension: { ".js": ".cjs" },
  external: [
    "@grpc/proto-loader",
    "@opentelemetry/core",
    "@opentelemetry/exporter-*",
    "@opentelemetry/propagator-*",
    "@opentelemetry/resources",
    "@opentelemetry/sdk-*",
    "ioredis",
    "protobufjs",
  ],
  // A script has no import(): what is imported on use is required on use.
  supported: { "dynamic-import": false },
  mainFields: ["module", "main"],
  minify: true,
  define: { "import.meta.url": "programUrl" },
  banner: { js: "(function (exports, require, module, programUrl) {" },
  footer: { js: "})" },
});
await build({ ...common, entryPoints: { main: "src/main.ts" }, format: "esm" });
// The thread that compiles large sets of modules.
await build({
  ...common,
  entryPoints: { "policy-thread": "src/policy/policy-thread.ts" },
  format: "esm",
  mainFields: ["module", "main"],
  minify: true,
  // Some libraries in it are CommonJS.
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
});
chmodSync("dist/main.js", 0o755);
execFileSync(process.execPath, ["scripts/code-cache.mjs"], { stdio: "inherit" });
if (process.argv.includes("--types")) {
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.types.json"], {
    stdio: "inherit",
  });
}
