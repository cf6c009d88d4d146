import { describe, expect, test } from "vitest";
import { parseModule, termToText } from "../../../src/rego/syntax/index.ts";

function parse(text: string) {
  return parseModule({ file: "t.rego", text }, { annotations: true });
}

function messages(text: string): readonly string[] {
  return (parse(text).diagnostics ?? []).map(({ message, at }) => `${at?.row} ${message}`);
}

const FULL = `# METADATA
# title: T
# description: D
# scope: package
# organizations: [A, B]
# entrypoint: true
# authors:
# - Joe Doe <joe@example.com>
# - name: Jane
# related_resources:
# - https://example.com
# - ref: https://example.org
#   description: more
# schemas:
# - input: schema.x
# - data.x: {type: string}
# custom: {"__proto__": 1, list: [1.5, x, null, 0x10]}
# labels: {team: a}
# compile:
#   unknowns: [input.x]
#   mask_rule: data.m
package a`;

describe("METADATA", () => {
  test("all keys", () => {
    const [block] = parse(FULL).value?.annotations ?? [];
    expect(block).toMatchObject({
      scope: "package",
      title: "T",
      description: "D",
      organizations: ["A", "B"],
      entrypoint: true,
      authors: [{ name: "Joe Doe", email: "joe@example.com" }, { name: "Jane" }],
      relatedResources: [{ ref: "https://example.com" }, { ref: "https://example.org", description: "more" }],
      labels: { team: "a" },
    });
    expect(Object.keys(block?.custom ?? {})).toEqual(["__proto__", "list"]);
    expect(block?.custom?.["list"]).toEqual([1.5, "x", null, 16]);
    expect(block?.schemas?.map(({ path, schema }) => [termToText(path), schema && termToText(schema)])).toEqual([
      ["input", "schema.x"],
      ["data.x", undefined],
    ]);
    expect(block?.schemas?.[1]?.definition).toEqual({ type: "string" });
    expect(block?.compile?.maskRule && termToText(block.compile.maskRule)).toBe("data.m");
    expect([block?.at.row, block?.at.col]).toEqual([1, 1]);
  });

  test("is read on request only", () => {
    expect(parseModule({ file: "t.rego", text: FULL }).value?.annotations).toEqual([]);
  });

  test("a rule has its own and its document's", () => {
    const { value } = parse(`package a
# METADATA
# scope: document
# title: doc

# METADATA
# title: first
p := 1 if x

# METADATA
# title: second
p := 2 if y

q := 3
`);
    expect(value?.rules.map(({ annotations }) => annotations.map(({ title }) => title))).toEqual([
      ["doc", "first"],
      ["doc", "second"],
      [],
    ]);
  });

  test.each([
    ["an entrypoint rule is a document", "package a\n# METADATA\n# entrypoint: true\np := 1", "document"],
    ["rules are rules", "package a\n# METADATA\n# title: t\np := 1", "rule"],
    ["packages are packages", "# METADATA\n# title: t\npackage a", "package"],
  ])("default scope: %s", (_, text, scope) => {
    expect(parse(text).value?.annotations[0]?.scope).toBe(scope);
  });

  test.each([
    [
      "# METADATA\n# scope: foo\npackage a",
      "1 invalid annotation scope 'foo'. Use one of 'rule', 'document', 'package', or 'subpackages'",
    ],
    ["# METADATA\n# scope: rule\npackage a", "1 annotation scope 'rule' must be applied to rule (have package)"],
    ["package a\n# METADATA\n# scope: rule", "2 annotation scope 'rule' must be applied to rule"],
    [
      "package a\n# METADATA\n# title: t\nimport data.b",
      "2 invalid annotation scope 'import'. Use one of 'rule', 'document', 'package', or 'subpackages'",
    ],
    [
      "package a\n# METADATA\n# scope: rule\n# entrypoint: true\np := 1",
      "2 annotation entrypoint applied to non-document or package scope 'rule'",
    ],
    ["# METADATA\n\npackage a", "1 expected METADATA block, found whitespace"],
    ["# METADATA\n# title: [a]\npackage a", "2 yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into string"],
    ["# METADATA\n# authors: ['']\npackage a", "1 invalid author definition : author is an empty string"],
    ["# METADATA\n# schemas: [{input: foo}]\npackage a", "1 invalid schema reference"],
    [
      "# METADATA\n# related_resources: [{}]\npackage a",
      "1 invalid related-resource definition map[]: 'ref' value required in object",
    ],
  ])("%j", (text, want) => {
    expect(messages(text)[0]).toBe(want);
  });

  test("many aliases are refused", () => {
    const lists = Array.from({ length: 12 }, (_, i) => `# a${i + 1}: &a${i + 1} [*a${i}, *a${i}, *a${i}]\n`).join("");
    const text = `# METADATA\n# custom:\n#  x: &a0 [1]\n${lists.replaceAll("# a", "#  a")}package a`;
    expect(messages(text)[0]).toContain("excessive aliasing");
  });
});
