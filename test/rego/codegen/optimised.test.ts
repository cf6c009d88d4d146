import { describe, expect, test } from "vitest";
import { nodeBuiltins } from "../../../src/rego/node.ts";
import { parseJson, toJsonText, type Value } from "../../../src/rego/value/index.ts";
import { type BenchPolicy, POLICIES } from "../../bench/policies.ts";
import { type Answer, buildOf } from "../../support/plain-build.ts";

// What makes policies fast must not change what they answer: every policy of the benchmarks, built with and without.

const MOST_INPUTS = 40;

describe.each(POLICIES)("$name", (policy) => {
  test("the optimised build answers as the plain one", { timeout: 120_000 }, () => {
    const [optimised, plain] = [true, false].map((wanted) => builtFrom(policy, wanted)) as [Answer, Answer];
    const answers = new Set<string>();
    for (const input of [undefined, ...inputsNear(policy.input)]) {
      const value = input === undefined ? undefined : parseJson(JSON.stringify(input));
      const answer = textOf(plain(value));
      expect(textOf(optimised(value)), JSON.stringify(input)).toBe(answer);
      answers.add(answer);
    }
    // Inputs that all get one answer would compare little.
    const readsInput = policy.modules.some((text) => text.includes("input."));
    expect(answers.size).toBeGreaterThan(readsInput ? 1 : 0);
  });
});

test("the plain build tries every rule, the optimised one only those its index leaves", () => {
  const modules = [
    `package p\n\n${[1, 2, 3, 4, 5, 6, 7].map((i) => `s contains ${i} if input.n == ${i}\n`).join("\n")}\n`,
  ];
  const reads = (optimised: boolean): number => {
    let count = 0;
    const input = {
      get n(): number {
        count++;
        return 3;
      },
    };
    const answer = buildOf({ modules, query: "data.p.s", data: {}, builtins: nodeBuiltins }, optimised);
    expect(textOf(answer(input))).toBe("[3]");
    return count;
  };
  expect(reads(false)).toBeGreaterThanOrEqual(7);
  expect(reads(true)).toBeLessThan(7);
});

test("an index over values of all kinds leaves the same rules as trying them all", () => {
  const tests = [
    '== "1"',
    "== 1",
    "== true",
    "== null",
    '== ["1"]',
    '== {"a": 1}',
    'in {"1", 1}',
    'in ["x", "x", 2]',
    "== 1.0",
  ];
  const modules = [
    `package p\n\n${tests.map((test, i) => `s contains ${i} if input.x ${test}`).join("\n\n")}\n\ns contains 99 if startswith(input.x, "x")\n`,
  ];
  const [optimised, plain] = [true, false].map((wanted) =>
    buildOf({ modules, query: "data.p.s", data: {}, builtins: nodeBuiltins }, wanted),
  ) as [Answer, Answer];
  const answers = ['"1"', "1", "1.0", "true", "null", '["1"]', '{"a": 1}', '"x"', '"xy"', "2", "[]", '"\\"1"'].map(
    (x) => {
      const input = parseJson(`{"x": ${x}}`);
      expect(textOf(optimised(input)), x).toBe(textOf(plain(input)));
      return textOf(plain(input));
    },
  );
  expect(answers.slice(0, 4)).toEqual(["[0,6]", "[1,6,8]", "[1,6,8]", "[2]"]);
});

function builtFrom({ modules, data, entrypoint }: BenchPolicy, optimised: boolean): Answer {
  const query = `data.${entrypoint.join(".")}`;
  return buildOf({ modules, query, data: parseJson(JSON.stringify(data ?? {})), builtins: nodeBuiltins }, optimised);
}

function textOf(value: Value | undefined): string {
  return value === undefined ? "undefined" : toJsonText(value);
}

/** The input, and inputs like it with one leaf changed or one member gone. */
function inputsNear(input: unknown): readonly unknown[] {
  const places = placesOf(input);
  const step = Math.max(1, Math.ceil(places.length / MOST_INPUTS));
  const near: unknown[] = [input];
  for (let i = 0; i < places.length; i += step) {
    const place = places[i] as readonly string[];
    near.push(
      changed(input, place, (value) => other(value)),
      changed(input, place, () => undefined),
    );
  }
  return near;
}

function placesOf(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [path];
  return [
    ...(path.length > 0 ? [path] : []),
    ...Object.keys(value).flatMap((key) => placesOf((value as Record<string, unknown>)[key], [...path, key])),
  ];
}

function other(value: unknown): unknown {
  if (typeof value === "string") return `${value}x`;
  if (typeof value === "number") return value + 1;
  return typeof value === "boolean" ? !value : "other";
}

function changed(value: unknown, [key, ...rest]: readonly string[], change: (value: unknown) => unknown): unknown {
  if (key === undefined) return change(value);
  const copy = structuredClone(value) as Record<string, unknown>;
  const inner = changed(copy[key], rest, change);
  if (inner === undefined && !Array.isArray(copy)) delete copy[key];
  else copy[key] = inner ?? null;
  return copy;
}
