import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** What src/main.ts does before it loads the program: V8 takes a code cache only under the flags it was made with. */
const [, flag] = /^setFlagsFromString\("(.+)"\);$/m.exec(readFileSync("src/main.ts", "utf8")) ?? [];

const PROBE = `
const { createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { Script } = require("node:vm");
require("node:v8").setFlagsFromString(process.argv[1]);
const text = readFileSync("dist/cardea.cjs");
const cache = readFileSync("dist/cardea.cache");
const digest = createHash("sha256").update(text).digest();
const script = new Script(text.toString("utf8"), { filename: "cardea.cjs", cachedData: cache.subarray(digest.length) });
console.log(JSON.stringify({ isOfThisText: digest.equals(cache.subarray(0, digest.length)), isRejected: script.cachedDataRejected }));
`;

test("V8 takes the code cache that the build has made", () => {
  expect(flag).toBeDefined();
  const { stdout, stderr } = spawnSync(process.execPath, ["-e", PROBE, "--", flag as string], { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toEqual({ isOfThisText: true, isRejected: false });
});
