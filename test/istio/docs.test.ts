import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { ISTIO_ERROR_CODES, ISTIO_LINTS } from "../../src/istio/index.ts";

const page = readFileSync(path.resolve(import.meta.dirname, "../../docs/istio.md"), "utf8");

test("docs/istio.md has every code with its meaning, and no other", () => {
  const rows = [...page.matchAll(/^\| `([a-z_]+)` \| (?:(?:note|warning) \| )?(.+) \|$/gm)].map((row) => [
    row[1],
    row[2],
  ]);
  const codes = new Map<string, string>([...Object.entries(ISTIO_LINTS), ...Object.entries(ISTIO_ERROR_CODES)]);
  const listed = rows.filter(([code]) => codes.has(code as string));
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(codes));
  const tables = page.slice(page.indexOf("## Warnings"));
  expect(
    [...tables.matchAll(/^\| `([a-z_]+)`/gm)].map((row) => row[1]).filter((code) => !codes.has(code as string)),
  ).toEqual([]);
});
