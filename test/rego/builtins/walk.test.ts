import { describe, expect, test } from "vitest";
import { graphBuiltins, walkEntries } from "../../../src/rego/builtins/graph.ts";
import { RegoSet, toJsonText, type Value } from "../../../src/rego/value/index.ts";
import { builtinContext, caller } from "../../support/builtin-context.ts";

describe("walk", () => {
  const document: Value = { b: [10, RegoSet.of(["x"])], a: { c: null } };

  test("yields parents before children, members in order", () => {
    const pairs = caller(graphBuiltins)("walk", document) as readonly Value[];
    expect(pairs.map((pair) => toJsonText(pair))).toEqual([
      '[[],{"a":{"c":null},"b":[10,["x"]]}]',
      '[["a"],{"c":null}]',
      '[["a","c"],null]',
      '[["b"],[10,["x"]]]',
      '[["b",0],10]',
      '[["b",1],["x"]]',
      '[["b",1,"x"],"x"]',
    ]);
  });

  test("starts where the prefix leads", () => {
    expect([...walkEntries(document, ["b", 0])]).toEqual([{ path: ["b", 0], value: 10 }]);
    expect([...walkEntries(document, ["z"])]).toEqual([]);
  });

  test("goes without paths, and into any depth", () => {
    let deep: Value = 1;
    for (let i = 0; i < 10_000; i++) deep = [deep];
    expect([...walkEntries(deep, [], "without paths")]).toHaveLength(10_001);
  });

  test("pays for what it yields", () => {
    let spent = 0;
    caller(graphBuiltins, builtinContext({ spend: (steps) => (spent += steps) }))("walk", [1, [2]]);
    expect(spent).toBe(1 + 2 + 2 + 3);
  });
});
