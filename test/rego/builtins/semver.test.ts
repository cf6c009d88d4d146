import { describe } from "vitest";
import { semverBuiltins } from "../../../src/rego/builtins/semver.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("semver", () => {
  testAnswers(semverBuiltins, [
    ["semver.is_valid", '["1.2.3"]', "true"],
    ["semver.is_valid", '["v1.2.3-rc.1+b"]', "true"],
    ["semver.is_valid", '["1.2"]', "false"],
    ["semver.is_valid", '["1.2.3-"]', "true"],
    ["semver.is_valid", "[1]", "false"],
    ["semver.is_valid", '["01.2.3"]', "true"],
    ["semver.compare", '["1.2.3", "1.2.10"]', "-1"],
    ["semver.compare", '["1.0.0", "1.0.0-rc"]', "1"],
    ["semver.compare", '["1.0.0-2", "1.0.0-10"]', "-1"],
    ["semver.compare", '["1.0.0-a", "1.0.0-1"]', "1"],
    ["semver.compare", '["1.0.0-a.b", "1.0.0-a"]', "1"],
    ["semver.compare", '["1.0.0+a", "1.0.0+b"]', "0"],
  ]);

  testRefusals(semverBuiltins, [
    ["semver.compare", '["1", "1.0.0"]', 'operand 1: string "1" is not a valid SemVer'],
    ["semver.compare", '["1.0.0", "x"]', 'operand 2: string "x" is not a valid SemVer'],
  ]);
});
