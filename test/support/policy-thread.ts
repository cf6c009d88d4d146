import { build } from "esbuild";

/** Builds the program of the compiling thread as build.mjs does. */
export async function buildPolicyThread(outfile: string): Promise<void> {
  await build({
    entryPoints: ["src/policy/policy-thread.ts"],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    mainFields: ["module", "main"],
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    logLevel: "warning",
  });
}
