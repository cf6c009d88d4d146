// Builds dist/: the command (split, so that `eval` never loads the server) and the two library entries.
import { execFileSync } from "node:child_process";
import { chmodSync, rmSync } from "node:fs";
import { build } from "esbuild";

rmSync("dist", { recursive: true, force: true });
const common = {
  outdir: "dist",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  sourcemap: true,
  logLevel: "warning",
};
// The libraries, for other programs to bundle or run as they like.
await build({
  ...common,
  entryPoints: { rego: "src/rego/index.ts", "rego-node": "src/rego/node.ts" },
  packages: "external",
});
// The command starts in half the time when Node need not find and read hundreds of small files. What loads other files
// by itself, or is needed only by the server, stays outside.
await build({
  ...common,
  entryPoints: { main: "src/main.ts" },
  chunkNames: "command-[hash]",
  external: ["@grpc/*", "@opentelemetry/*", "grpc-health-check", "ioredis", "pino", "prom-client", "protobufjs", "zod"],
  mainFields: ["module", "main"],
  minify: true,
  // CommonJS packages among the bundled ones ask for Node's modules.
  banner: {
    js: 'import { createRequire as createRequireHere } from "node:module";const require=createRequireHere(import.meta.url);',
  },
});
chmodSync("dist/main.js", 0o755);
if (process.argv.includes("--types")) {
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.types.json"], {
    stdio: "inherit",
  });
}
