import { describe, expect, test } from "vitest";
import { finish } from "../../../src/base/index.ts";
import {
  type CompileOptions,
  compile,
  compileImage,
  EvalError,
  missingDocuments,
  type Policy,
  policyOfImage,
} from "../../../src/rego/engine/index.ts";
import { nodeBuiltins } from "../../../src/rego/node.ts";
import { parseJson, toJsonText, type Value } from "../../../src/rego/value/index.ts";
import { POLICIES } from "../../bench/policies.ts";

// A policy that was compiled in another thread must answer as one that was compiled here.

/** As it arrives: what is posted to a thread is a structured clone. */
function throughImage(options: CompileOptions, queries: readonly string[]): Policy {
  const image = structuredClone(finish(compileImage(options, queries)));
  return finish(policyOfImage(image, options));
}

function answer(policy: Policy, query: string, input: Value | undefined): string {
  try {
    return policy
      .query(query)
      .evaluate(input === undefined ? {} : { input })
      .map(({ bindings, expressions }) => toJsonText([bindings, expressions.map(({ value, text }) => [value, text])]))
      .join("\n");
  } catch (error) {
    if (!(error instanceof EvalError)) throw error;
    const { code, message, location } = error;
    return `${code}: ${message} at ${location?.source.name}:${location?.row}:${location?.col}`;
  }
}

function expectSame(options: CompileOptions, query: string, inputs: readonly (Value | undefined)[]): void {
  const whole = compile(options);
  const image = throughImage(options, [query]);
  expect(image.isReadyFor(query)).toBe(true);
  for (const input of inputs) expect(answer(image, query, input)).toBe(answer(whole, query, input));
}

const module = (text: string): CompileOptions => ({
  modules: [{ file: "p.rego", text: `package p\n\n${text}` }],
  builtins: nodeBuiltins,
});

// biome-ignore format: table
const ROWS: readonly (readonly [name: string, modules: string, query: string, ...inputs: Value[]])[] = [
  ["a set", 's contains input.x\ns contains {"a": [1, {2}]}', "data.p.s", { x: 1 }],
  ["composite constants", 'o := {"a": {1, 2.50, -0, 12345678901234567890}, [1]: {"b": null}}', "data.p.o"],
  ["an object with computed keys", "o[x] := y if some x, y in input", "data.p.o", { a: 1, b: 2 }],
  ["a document at one key", "o[x] := y if some x, y in input\nr := o.b", "data.p.r", { a: 1, b: 2 }],
  ["partial objects that meet", 'a.b[x] contains y if some x, y in input\na.c.d := 1', "data.p.a", { k: 1 }],
  ["functions", 'f(x) := x + 1\nf2("a") := 1\nr := [f(2), f2(input.x)]', "data.p.r", { x: "a" }, { x: "b" }],
  ["else and default", 'default r := 0\nr := 1 if input.x == 1 else := 2 if input.x == 2', "data.p.r", { x: 1 }, { x: 2 }, { x: 3 }],
  ["a reference that is not ground", "a := 1\nb := 2", "data.p[k] > 1"],
  ["a document of documents", "a := 1\nb.c := 2", "data.p"],
  ["a query with variables", 's := {1, 2}', "x = data.p.s[y]; y > 1"],
  ["a base document below a package", 'r := data.q.x', "data.p.r"],
  ["an index by value, kind and prefix", [1, "1", true, null].map((v) => `s contains ${JSON.stringify(v)} if input.x == ${JSON.stringify(v)}`).join("\n") + '\ns contains "p" if startswith(input.x, "1")\ns contains "r" if input.y', "data.p.s", { x: 1 }, { x: "1" }, { x: null }, { x: "12", y: true }],
  ["a document that is replaced", "a := 1\nr := a\nb := x if x := r with data.p.a as 3", "data.p.b"],
  ["a function that is replaced", "f(x) := x\ng(x) := [x]\nr := y if y := f(1) with f as g\nn := y if y := count([1]) with count as 7", "data.p"],
  ["a conflict, with its place", 'r := 1 if input.x\nr := 2 if input.y', "data.p.r", { x: 1, y: 1 }],
  ["a conflict of many, with its place", Array.from({ length: 9 }, (_, i) => `r := ${i} if input.x > ${i}`).join("\n"), "data.p.r", { x: 1 }, { x: 5 }],
  ["texts that look like code", 'r := {"`$\\"": "\\u2028*/"}', 'data.p["r"]'],
];

describe("a policy of an image answers as the whole one", () => {
  for (const [name, text, query, ...inputs] of ROWS)
    test(name, () => expectSame(module(text), query, [undefined, ...inputs]));

  test.each(POLICIES)("$name", { timeout: 120_000 }, ({ modules, version = "v1", data = {}, input, entrypoint }) => {
    const options: CompileOptions = {
      modules: modules.map((text, i) => ({ file: `p${i}.rego`, text })),
      version,
      data: parseJson(JSON.stringify(data)),
      builtins: nodeBuiltins,
    };
    const query = `data${entrypoint.map((key) => `[${JSON.stringify(key)}]`).join("")}`;
    expectSame(options, query, [undefined, parseJson(JSON.stringify(input))]);
  });
});

describe("what an image came without", () => {
  const options = module("a := input\nb := x if x := a with input as 1");

  test("is compiled when it is asked for", () => {
    const policy = throughImage(options, ["data.p.a"]);
    expect(policy.isReadyFor("data.p.b")).toBe(false);
    expect(policy.query("data.p.b").value()).toBe(1);
    expect(policy.isReadyFor("data.p.b")).toBe(true);
  });

  test("can be compiled ahead, in steps", () => {
    const policy = throughImage(options, []);
    finish(policy.completeInSteps());
    expect(policy.isReadyFor("data.p.a")).toBe(true);
  });

  test("a query that is not legal is refused as ever", () => {
    expect(() => throughImage(options, ["data.p.a == x"]).query("data.p.a == x")).toThrow("var x is unsafe");
  });

  test("other base documents take effect", () => {
    const reads = module("r := data.q");
    expect(throughImage(reads, ["data.p.r"]).withData({ q: 5 }).query("data.p.r").value()).toBe(5);
  });
});

test("an image knows what is defined nowhere", () => {
  const options = module("allow := true");
  const queries = ["data.p.allow", "data.q.allow", "data.base"];
  const [whole, image] = [compile(options), throughImage(options, queries)].map((each) => each.withData({ base: 1 }));
  for (const query of queries)
    expect(missingDocuments(image as Policy, query)).toEqual(missingDocuments(whole as Policy, query));
  expect(missingDocuments(image as Policy, "data.q.allow")).toEqual([
    { name: "data.q.allow", elsewhere: ["data.p.allow"], path: ["q", "allow"] },
  ]);
  expect(image?.isReadyFor("data.q.allow")).toBe(true);
});

test("an image that is not complete is refused, whatever is missing", () => {
  const options = module("s contains {1} if input.x\ns contains {2} if input.y");
  const image = finish(compileImage(options, ["data.p.s"]));
  for (const left of image.filter(({ kind }) => kind !== "query")) {
    const pieces = image.filter((piece) => piece !== left);
    expect(() => finish(policyOfImage(pieces, options)), left.kind).toThrow("not complete");
  }
  expect(() => finish(policyOfImage([], options))).toThrow("not complete");
  expect(image.map(({ kind }) => kind)).toEqual(["program", "sources", "nodes", "constants", "script", "query"]);
});
