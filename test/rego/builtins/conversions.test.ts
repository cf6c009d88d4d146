import { describe } from "vitest";
import { conversionBuiltins } from "../../../src/rego/builtins/conversions.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("conversions", () => {
  testAnswers(conversionBuiltins, [
    ["to_number", '["1.50"]', "1.50"],
    ["to_number", '["-42"]', "-42"],
    ["to_number", '["1e3"]', "1e3"],
    ["to_number", "[null]", "0"],
    ["to_number", "[true]", "1"],
    ["to_number", "[false]", "0"],
    ["to_number", "[2.5]", "2.5"],
  ]);

  testRefusals(conversionBuiltins, [
    ["to_number", '["broken"]', 'strconv.ParseFloat: parsing "broken": invalid syntax'],
    ["to_number", '[""]', 'strconv.ParseFloat: parsing "": invalid syntax'],
    ["to_number", '["1e400"]', 'strconv.ParseFloat: parsing "1e400": value out of range'],
    ["to_number", '["inf"]', "operand 1 must be valid number string but got string"],
    ["to_number", '["-Infinity"]', "operand 1 must be valid number string but got string"],
    ["to_number", '["NaN"]', "operand 1 must be valid number string but got string"],
    ["to_number", '["0x10"]', 'strconv.ParseFloat: parsing "0x10": invalid syntax'],
    ["to_number", '[" 1"]', 'strconv.ParseFloat: parsing " 1": invalid syntax'],
    ["to_number", "[[]]", "operand 1 must be one of {null, boolean, number, string} but got array"],
  ]);
});
