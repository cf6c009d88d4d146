import { describe } from "vitest";
import { graphBuiltins } from "../../../src/rego/builtins/graph.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("graph", () => {
  testAnswers(graphBuiltins, [
    ["graph.reachable", '[{"a": ["b", "c"], "b": ["a"], "c": ["x"]}, ["a"]]', '["a","b","c"]'],
    ["graph.reachable", '[{"a": ["b"]}, ["z"]]', "[]"],
    ["graph.reachable_paths", '[{"a": ["b", "c"], "b": ["c"], "c": ["a"]}, ["a"]]', '[["a","b","c"],["a","c"]]'],
    ["graph.reachable_paths", '[{"a": [], "b": ["zz"]}, ["a", "b"]]', '[["a"],["b"]]'],
    ["graph.reachable_paths", '[{}, ["a"]]', "[]"],
  ]);

  testRefusals(graphBuiltins, [
    ["graph.reachable", '[{"a": []}, "a"]', "operand 2 must be {array, set} but got string"],
  ]);
});
