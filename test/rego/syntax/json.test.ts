import { describe, expect, test } from "vitest";
import { moduleToJson, parseModule, parseTerm, termToJson } from "../../../src/rego/syntax/index.ts";
import { toJsonText } from "../../../src/rego/value/index.ts";

function json(text: string, locations = false): string {
  const { value } = parseModule({ file: "m.rego", text }, { annotations: true });
  if (value === undefined) throw new Error("does not parse");
  return toJsonText(moduleToJson(value, { locations }));
}

// What `opa parse --format json` of 1.20.2 prints.
describe("modules as OPA writes them", () => {
  test("rules and comments", () => {
    expect(JSON.parse(json("package a\np := 1 # c\n"))).toEqual({
      package: {
        path: [
          { type: "var", value: "data" },
          { type: "string", value: "a" },
        ],
      },
      rules: [
        {
          body: [{ index: 0, terms: { type: "boolean", value: true } }],
          head: {
            name: "p",
            value: { type: "number", value: 1 },
            assign: true,
            ref: [{ type: "var", value: "p" }],
          },
        },
      ],
      comments: [{ Text: "IGM=", Location: { file: "m.rego", row: 2, col: 8 } }],
    });
  });

  test("places come with their text in base64", () => {
    const { package: declaration, rules } = JSON.parse(json("package a\np := 1\n", true));
    expect(declaration.path[1].location).toEqual({ file: "m.rego", row: 1, col: 9, text: "YQ==" });
    expect(rules[0].head.value.location).toEqual({ file: "m.rego", row: 2, col: 6, text: "MQ==" });
  });

  test("numbers keep their text", () => {
    expect(json("package a\np := 1.50")).toContain('"value":1.50');
  });

  test("annotations", () => {
    const { annotations, rules } = JSON.parse(json("package a\n# METADATA\n# title: t\np := 1"));
    expect(annotations).toEqual([{ scope: "rule", title: "t" }]);
    expect(rules[0].annotations).toEqual(annotations);
  });
});

test.each([
  ["null", { type: "null", value: {} }],
  [
    "{2, 1}",
    {
      type: "set",
      value: [
        { type: "number", value: 1 },
        { type: "number", value: 2 },
      ],
    },
  ],
  ['$""', { type: "templatestring", value: { parts: null, multi_line: false } }],
  [
    "[x | x]",
    {
      type: "arraycomprehension",
      value: { term: { type: "var", value: "x" }, body: [{ index: 0, terms: { type: "var", value: "x" } }] },
    },
  ],
])("%s", (text, want) => {
  const { value } = parseTerm(text);
  expect(value && termToJson(value)).toEqual(want);
});
