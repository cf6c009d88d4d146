import { describe } from "vitest";
import { unitBuiltins } from "../../../src/rego/builtins/units.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("units", () => {
  testAnswers(unitBuiltins, [
    ["units.parse", '["1"]', "1"],
    ["units.parse", '["100m"]', "0.1000000000"],
    ["units.parse", '["1.5Gi"]', "1610612736"],
    ["units.parse", '["2k"]', "2000"],
    ["units.parse", '["2K"]', "2000"],
    ["units.parse", '["1M"]', "1000000"],
    ["units.parse", '["1E"]', "1000000000000000000"],
    ["units.parse", '["1e3"]', "1000"],
    ["units.parse", '["1e-3"]', "0.0010000000"],
    ["units.parse", '["\\"5\\""]', "5"],
    ["units.parse", '["1MI"]', "1048576"],
    ["units.parse", '["0.1m"]', "0.0001000000"],
    ["units.parse_bytes", '["10KB"]', "10000"],
    ["units.parse_bytes", '["1.5GiB"]', "1610612736"],
    ["units.parse_bytes", '["0.1kb"]', "100"],
    ["units.parse_bytes", '["1e3"]', "1000"],
  ]);

  testRefusals(unitBuiltins, [
    ["units.parse", '["1 k"]', "units.parse: spaces not allowed in resource strings"],
    ["units.parse", '[""]', "units.parse: no amount provided"],
    ["units.parse", '["k"]', "units.parse: no amount provided"],
    ["units.parse", '["1x"]', "units.parse: unit x not recognized"],
    ["units.parse", '["1..2"]', "units.parse: could not parse amount to a number"],
    ["units.parse", '["1e10000000"]', "units.parse: exponent too large"],
    ["units.parse_bytes", '["1 kb"]', "units.parse_bytes: spaces not allowed in resource strings"],
    ["units.parse_bytes", '[""]', "units.parse_bytes: no byte amount provided"],
    ["units.parse_bytes", '["1zb"]', "units.parse_bytes: byte unit zb not recognized"],
    ["units.parse_bytes", '["1..0kb"]', "units.parse_bytes: could not parse byte amount to a number"],
  ]);
});
