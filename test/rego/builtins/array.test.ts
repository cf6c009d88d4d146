import { describe } from "vitest";
import { arrayBuiltins } from "../../../src/rego/builtins/array.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("array", () => {
  testAnswers(arrayBuiltins, [
    ["array.concat", "[[1], [2, 3]]", "[1,2,3]"],
    ["array.concat", "[[], [1]]", "[1]"],
    ["array.slice", "[[1, 2, 3, 4], 1, 3]", "[2,3]"],
    ["array.slice", "[[1, 2, 3], -1, 2]", "[1,2]"],
    ["array.slice", "[[1, 2, 3], 2, 1]", "[]"],
    ["array.slice", "[[1, 2, 3], 0, 9]", "[1,2,3]"],
    ["array.reverse", "[[1, 2, 3]]", "[3,2,1]"],
    ["array.reverse", "[[]]", "[]"],
    ["array.flatten", "[[1, [2, [3]], [], 4]]", "[1,2,[3],4]"],
    ["array.flatten", "[[]]", "[]"],
  ]);

  testRefusals(arrayBuiltins, [
    ["array.concat", '[[1], "x"]', "operand 2 must be array but got string"],
    ["array.slice", "[[1], 1.5, 2]", "operand 2 must be integer number but got floating-point number"],
  ]);
});
