import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parse as parseYaml } from "yaml";
import { caseFolder, filesBelow } from "../support/cases.ts";
import { chance, mutate } from "../support/mutate.ts";
import { exerciseParser } from "../support/parser-fuzz.ts";

/**
 * Mutates the modules of the conformance suite until the time is over. Prints the seed, and the text on which a promise of the
 * parser broke: `--seconds 60 --seed 1`.
 */
const { values } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, seed: { type: "string", default: String(Date.now() % 1e6) } },
});

type Seed = readonly [version: "v0" | "v1", text: string];

function seeds(): readonly Seed[] {
  return (["v0", "v1"] as const).flatMap((version) => {
    const folder = caseFolder(`rego-${version}`);
    return (folder === undefined ? [] : filesBelow(folder)).flatMap((file) => {
      const text = readFileSync(file, "utf8");
      const { cases = [] } = (file.endsWith(".json") ? JSON.parse(text) : parseYaml(text, { maxAliasCount: -1 })) as {
        readonly cases?: readonly { readonly modules?: readonly string[] }[];
      };
      return cases.flatMap(({ modules = [] }) => modules.map((module): Seed => [version, module]));
    });
  });
}

const all = seeds().filter(([, text]) => text.length < 4000);
const seed = Number(values.seed);
const below = chance(seed);
const end = performance.now() + Number(values.seconds) * 1000;
const counts = { accepted: 0, refused: 0 };
while (performance.now() < end) {
  const [version, text] = all[below(all.length)] ?? ["v1", "package a"];
  const mutated = mutate(text, below);
  try {
    counts[exerciseParser(mutated, version)]++;
  } catch (error) {
    console.error(
      `seed ${seed}, ${version}:\n${mutated}\n---\n${error instanceof Error ? error.stack : String(error)}`,
    );
    process.exit(1);
  }
}
console.log(`seed ${seed}: ${counts.accepted} accepted, ${counts.refused} refused`);
