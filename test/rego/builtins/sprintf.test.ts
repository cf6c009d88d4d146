import { describe } from "vitest";
import { sprintfBuiltins } from "../../../src/rego/builtins/sprintf.ts";
import { testAnswers } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("sprintf", () => {
  testAnswers(sprintfBuiltins, [
    ["sprintf", '["%s is %d and %v", ["a", 1, [1, "b"]]]', '"a is 1 and [1, \\"b\\"]"'],
    ["sprintf", '["%5.2f|%-6s|%06d|%+d", [3.14159, "x", 42, 7]]', '" 3.14|x     |000042|+7"'],
    [
      "sprintf",
      '["%x %X %o %b %c %U %q", [255, "hi", 8, 5, 9731, 9731, "a\\"b"]]',
      '"ff 6869 10 101 ☃ U+2603 \\"a\\\\\\"b\\""',
    ],
    ["sprintf", '["%d", ["x"]]', '"%!d(string=x)"'],
    ["sprintf", '["%d %d", [1]]', '"1 %!d(MISSING)"'],
    ["sprintf", '["%d", [1, "x"]]', '"1%!(EXTRA string=x)"'],
    ["sprintf", '["%!", []]', '"%!!(MISSING)"'],
    ["sprintf", '["%", []]', '"%!(NOVERB)"'],
    ["sprintf", '["%[2]s %[1]s", ["a", "b"]]', '"b a"'],
    ["sprintf", '["%[3]s", ["a"]]', '"%!s(BADINDEX)"'],
    ["sprintf", '["%*d|%-*d", [5, 1, 5, 1]]', '"    1|1    "'],
    ["sprintf", '["%t", [true]]', '"%!t(string=true)"'],
    ["sprintf", '["%v %v", [null, {"b": 1, "a": "x"}]]', '"null {\\"a\\": \\"x\\", \\"b\\": 1}"'],
    ["sprintf", '["%T %T %T %T", [1, 1.5, "a", 123456789012345678901]]', '"int64 float64 string *big.Int"'],
    [
      "sprintf",
      '["%s %d", [123456789012345678901, 123456789012345678901]]',
      '"123456789012345678901 123456789012345678901"',
    ],
    ["sprintf", '["%v %g %e", [1234567.5, 1e-05, 0.1]]', '"1.2345675e+06 %!g(string=1e-05) 1.000000e-01"'],
    ["sprintf", '["%.3s|%8q", ["héllo", "é"]]', '"hél|     \\"é\\""'],
    ["sprintf", '["%#x % x %+q", [255, "hi", "é"]]', '"0xff 68 69 \\"\\\\u00e9\\""'],
  ]);
});
