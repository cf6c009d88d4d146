import { describe } from "vitest";
import { numberBuiltins } from "../../../src/rego/builtins/numbers.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("numbers", () => {
  testAnswers(numberBuiltins, [
    ["plus", "[1, 2]", "3"],
    ["plus", "[0.1, 0.2]", "0.3"],
    ["plus", "[9007199254740992, 1]", "9007199254740993"],
    ["plus", "[1.5, -1.5]", "0"],
    ["minus", "[0.3, 0.1]", "0.20000000000000000002"],
    ["minus", "[5, 7]", "-2"],
    ["mul", "[0.7, 100]", "70"],
    ["mul", "[123456789012345678901, 10]", "1234567890123456789010"],
    ["div", "[1, 3]", "0.33333333333333333334"],
    ["div", "[10, 4]", "2.5"],
    ["div", "[10, 5]", "2"],
    ["div", "[-7, 2]", "-3.5"],
    ["rem", "[7, 3]", "1"],
    ["rem", "[-7, 3]", "-1"],
    ["rem", "[7, -3]", "1"],
    ["rem", "[10, 18446744073709551616]", "10"],
    ["round", "[2.5]", "3"],
    ["round", "[-0.5]", "-1"],
    ["round", "[-2.4]", "-2"],
    ["ceil", "[1.2]", "2"],
    ["ceil", "[-0.5]", "1"],
    ["ceil", "[-1.5]", "-1"],
    ["floor", "[-0.5]", "0"],
    ["floor", "[-1.5]", "-2"],
    ["floor", "[18446744073709551617]", "18446744073709551616"],
    ["floor", "[1.9]", "1"],
    ["abs", "[-5]", "5"],
    ["abs", "[-1.5]", "1.5"],
    ["abs", "[123456789012345678901234567890]", "123456789012345678900000000000"],
    ["numbers.range", "[1, 4]", "[1,2,3,4]"],
    ["numbers.range", "[3, 1]", "[3,2,1]"],
    ["numbers.range", "[2, 2]", "[2]"],
    ["numbers.range_step", "[0, 10, 4]", "[0,4,8]"],
    ["numbers.range_step", "[10, 0, 3]", "[10,7,4,1]"],
  ]);

  testRefusals(numberBuiltins, [
    ["div", "[1, 0]", "divide by zero"],
    ["rem", "[5.5, 2]", "modulo on floating-point number"],
    ["rem", "[1, 0]", "modulo by zero"],
    ["numbers.range", "[1.5, 2]", "operand 1 must be integer number but got floating-point number"],
    ["numbers.range_step", "[0, 10, 0]", "numbers.range_step: step must be a positive integer"],
    ["plus", '["a", 1]', "operand 1 must be number but got string"],
    ["minus", '[1, "a"]', "operand 2 must be number but got string"],
    ["minus", '["a", 1]', "operand 1 must be one of {number, set} but got string"],
    ["abs", "[null]", "operand 1 must be number but got null"],
  ]);
});
