import { describe } from "vitest";
import { aggregateBuiltins } from "../../../src/rego/builtins/aggregates.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("aggregates", () => {
  testAnswers(aggregateBuiltins, [
    ["count", "[[1, 2]]", "2"],
    ["count", '[{"a": 1}]', "1"],
    ["count", '["héllo😀"]', "6"],
    ["sum", "[[]]", "0"],
    ["sum", "[[1, 2, 3]]", "6"],
    ["sum", "[[0.1, 0.2]]", "0.3"],
    ["sum", "[[9007199254740992, 1]]", "9007199254740993"],
    ["product", "[[]]", "1"],
    ["product", "[[2, 3]]", "6"],
    ["product", "[[1.1, 3.3, 7]]", "25.410000000000004"],
    ["product", "[[10000000000.0, 1e+20]]", "1000000000000000000000000000000"],
    ["max", '[[1, "a", null, [1], {}]]', "{}"],
    ["min", '[[1, "a", null]]', "null"],
    ["sort", '[[3, "a", null, 1, [2], true]]', '[null,true,1,3,"a",[2]]'],
  ]);

  testRefusals(aggregateBuiltins, [
    ["count", "[1]", "operand 1 must be one of {array, object, set, string} but got number"],
    ["sum", '[[1, "a"]]', "operand 1 must be array of numbers but got array containing string"],
    ["sum", '["x"]', "operand 1 must be one of {set, array} but got string"],
    ["product", "[[null]]", "operand 1 must be array of numbers but got array containing null"],
    ["max", "[[]]", undefined],
    ["min", "[[]]", undefined],
    ["max", "[1]", "operand 1 must be one of {set, array} but got number"],
    ["sort", "[{}]", "operand 1 must be one of {set, array} but got object"],
  ]);
});
