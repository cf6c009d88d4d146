#!/usr/bin/env node
import { runCli } from "./cli/main.ts";

try {
  process.exitCode = await runCli(process.argv.slice(2));
} catch (error) {
  // A fault of ours: its place, but never the (minified) source line Node would print.
  process.stderr.write(`error: internal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 70;
}
