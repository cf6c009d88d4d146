#!/usr/bin/env node
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { Script } from "node:vm";

/** What the build puts beside this file (build.mjs): the whole program as one function, and V8's compiled form of it. */
type Program = (exports: object, require: NodeJS.Require, module: { exports: object }, programUrl: string) => void;
const PROGRAM = new URL("cardea.cjs", import.meta.url);
const CODE_CACHE = new URL("cardea.cache", import.meta.url);
const DIGEST_BYTES = 32;

/**
 * Compiled code saves half of the time a server takes to be ready. It is used only if it was made of this very text, whose
 * digest it begins with; of another version of V8, or other flags, V8 refuses it by itself.
 */
function codeCacheOf(text: Buffer): Buffer | undefined {
  let cache: Buffer;
  try {
    cache = readFileSync(CODE_CACHE);
  } catch {
    return undefined;
  }
  const digest = createHash("sha256").update(text).digest();
  return digest.equals(cache.subarray(0, DIGEST_BYTES)) ? cache.subarray(DIGEST_BYTES) : undefined;
}

function loadProgram(): typeof import("./cli/main.ts") {
  const text = readFileSync(PROGRAM);
  const cachedData = codeCacheOf(text);
  const script = new Script(text.toString("utf8"), {
    filename: fileURLToPath(PROGRAM),
    ...(cachedData !== undefined && { cachedData }),
  });
  const module = { exports: {} };
  (script.runInThisContext() as Program)(module.exports, createRequire(PROGRAM), module, PROGRAM.href);
  return module.exports as typeof import("./cli/main.ts");
}

// What many calls at once keep alive for a moment, V8 may take for long-lived, and from then on makes it in the old generation:
// about every second server then spent four times as long on each collection of the young one. Set before the program is
// loaded, as its code cache is made under the same flags (scripts/code-cache.mjs).
setFlagsFromString("--no-allocation-site-pretenuring");
try {
  process.exitCode = await loadProgram().runCli(process.argv.slice(2));
} catch (error) {
  // A fault of ours: its place, but never the (minified) source line Node would print.
  process.stderr.write(`error: internal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 70;
}
