import { expect, test } from "vitest";
import { regoBuiltins } from "../../../src/rego/builtins/rego.ts";
import { caller } from "../../support/builtin-context.ts";

const call = caller(regoBuiltins);

test("rego.parse_module gives the tree in OPA's form", () => {
  expect(call("rego.parse_module", "x.rego", "package a\np if input.x")).toMatchObject({
    package: {
      path: [
        { type: "var", value: "data" },
        { type: "string", value: "a" },
      ],
    },
    rules: [{ head: { name: "p", value: { type: "boolean", value: true } } }],
  });
});

// OPA v1/ast/errors.go
test.for([
  ["package foo.", "1 error occurred: x.rego:1: rego_parse_error: unexpected eof token: expected identifier"],
  ["", "x.rego:0: rego_parse_error: empty module"],
  ["package a\nq = ^\n", "2 errors occurred:\nx.rego:2: rego_parse_error: illegal token"],
] as const)("rego.parse_module refuses %j", ([text, message]) => {
  expect(() => call("rego.parse_module", "x.rego", text)).toThrow(message);
});

test.for(["rego.metadata.rule", "rego.metadata.chain"])("%s has no answer outside of rules", (name) => {
  expect(() => call(name)).toThrow(`the ${name} function must only be called within the scope of a rule`);
});
