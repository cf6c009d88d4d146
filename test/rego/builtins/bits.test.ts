import { describe } from "vitest";
import { bitBuiltins } from "../../../src/rego/builtins/bits.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("bits", () => {
  testAnswers(bitBuiltins, [
    ["bits.and", "[12, 10]", "8"],
    ["bits.or", "[12, 10]", "14"],
    ["bits.xor", "[12, 10]", "6"],
    ["bits.negate", "[5]", "-6"],
    ["bits.negate", "[-1]", "0"],
    ["bits.and", "[-1, 255]", "255"],
    ["bits.lsh", "[1, 3]", "8"],
    ["bits.lsh", "[9223372036854775807, 1]", "18446744073709551614"],
    ["bits.lsh", "[1, 64]", "18446744073709551616"],
    ["bits.rsh", "[-8, 1]", "-4"],
    ["bits.rsh", "[5, 100]", "0"],
    ["bits.rsh", "[-5, 100]", "-1"],
  ]);

  testRefusals(bitBuiltins, [
    ["bits.lsh", "[1, -1]", "operand 2 must be an unsigned integer number but got a negative integer"],
    ["bits.rsh", "[1, -1]", "operand 2 must be an unsigned integer number but got a negative integer"],
    ["bits.and", "[1.5, 1]", "operand 1 must be integer number but got floating-point number"],
    ["bits.and", "[1, 1.5]", "operand 2 must be integer number but got floating-point number"],
    ["bits.or", '["a", 1]', "operand 1 must be integer but got string"],
    ["bits.or", '[1, "a"]', "operand 2 must be integer but got string"],
  ]);
});
