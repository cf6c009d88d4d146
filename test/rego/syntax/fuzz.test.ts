import { expect, test } from "vitest";
import { chance, mutate } from "../../support/mutate.ts";
import { exerciseParser } from "../../support/parser-fuzz.ts";

const SEEDS: readonly (readonly ["v0" | "v1", string])[] = [
  [
    "v1",
    'package a.b\n\nimport data.c as d\nimport rego.v1\n\ndefault allow := false\n\nallow if {\n\tsome x in input.xs\n\tx.y == "z"\n\tnot d[x]\n} else := 2 if every k, v in x { k < v }\n',
  ],
  [
    "v1",
    "package a\n\np contains {k: v | some k, v in input} if input.a[_].b with input as {1, 2} # c\n\nf(x, [_, y]) := (x + y) * -1\n",
  ],
  [
    "v1",
    'package a\n\nimport future.keywords.not\nimport future.keywords.and\nimport future.keywords.or\n\np if { not { a; b } and (c or {d}) }\nq := $"x {f(1)} \\{ {$`{y}`}"\n',
  ],
  [
    "v1",
    "# METADATA\n# title: t\n# custom: {a: [1]}\npackage a\n\n# METADATA\n# scope: document\np.q[x].r := [\n\t1, # one\n\t# two\n\t2,\n] if x := 1\n",
  ],
  [
    "v0",
    'package a\n\nimport future.keywords.in\n\np[x] { x = data.y[_]; not x in [1] }\n\nq = y { y := `raw` } { y := {} } else = 3 { true }\n\nr["a"] = 1\n',
  ],
];

test.each(SEEDS)("mutations of a %s module end in a module or in diagnostics", (version, text) => {
  const below = chance(20_260_101);
  let accepted = 0;
  for (let i = 0; i < 600; i++) {
    const mutated = mutate(text, below);
    try {
      if (exerciseParser(mutated, version) === "accepted") accepted++;
    } catch (error) {
      throw new Error(`${String(error)}\n---\n${mutated}`, { cause: error });
    }
  }
  expect(accepted).toBeGreaterThan(2);
});
