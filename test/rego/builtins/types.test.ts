import { describe } from "vitest";
import { typeBuiltins } from "../../../src/rego/builtins/types.ts";
import { testAnswers } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("types", () => {
  testAnswers(typeBuiltins, [
    ["type_name", "[1]", '"number"'],
    ["type_name", '["a"]', '"string"'],
    ["type_name", "[null]", '"null"'],
    ["type_name", "[[]]", '"array"'],
    ["type_name", "[{}]", '"object"'],
    ["type_name", "[true]", '"boolean"'],
    ["is_number", "[1.5]", "true"],
    ["is_number", '["1"]', "false"],
    ["is_string", '["a"]', "true"],
    ["is_boolean", "[false]", "true"],
    ["is_boolean", "[null]", "false"],
    ["is_array", "[[]]", "true"],
    ["is_object", "[{}]", "true"],
    ["is_object", "[[]]", "false"],
    ["is_set", "[[]]", "false"],
    ["is_null", "[null]", "true"],
    ["is_null", "[false]", "false"],
  ]);
});
