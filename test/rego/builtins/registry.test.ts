import { describe, expect, test } from "vitest";
import { signatureOf } from "../../../src/rego/builtins/index.ts";
import { nodeBuiltins } from "../../../src/rego/builtins/node-registry.ts";
import { portableBuiltins } from "../../../src/rego/builtins/registry.ts";
import { readFunctionType, typeText, writeType } from "../../../src/rego/types/index.ts";

/** Functions whose operands OPA does not name, because people write operators or the compiler makes the calls. */
const UNNAMED: ReadonlySet<string> = new Set([
  ...["all", "any", "assign", "cast_array", "cast_boolean", "cast_null", "cast_object", "cast_set", "cast_string"],
  ...[
    "eq",
    "internal.member_2",
    "internal.member_3",
    "internal.print",
    "internal.template_string",
    "internal.test_case",
  ],
  ...["net.cidr_overlap", "print", "re_match", "set_diff"],
]);

describe("registry", () => {
  test("names are unique", () => {
    const names = nodeBuiltins.map(({ name }) => name);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  test("what is portable is also there in Node", () => {
    const all = new Set(nodeBuiltins);
    expect(portableBuiltins.filter((builtin) => !all.has(builtin)).map(({ name }) => name)).toEqual([]);
  });

  test.for(nodeBuiltins.map((builtin) => [builtin.name, builtin] as const))("%s is described", ([name, builtin]) => {
    expect(builtin.category).not.toBe("");
    expect(builtin.about).toMatch(/\S/);
    if (UNNAMED.has(name)) return;
    for (const arg of builtin.args) {
      expect(arg.name).toMatch(/\S/);
      expect(arg.about).toMatch(/\S/);
    }
    expect(builtin.result?.name).toMatch(/\S/);
    expect(builtin.result?.about).toMatch(/\S/);
  });

  test.for(nodeBuiltins.map((builtin) => [builtin.name, builtin] as const))(
    "%s keeps its type in JSON",
    ([, builtin]) => {
      const { type } = signatureOf(builtin);
      expect(typeText(readFunctionType(writeType(type)))).toBe(typeText(type));
    },
  );

  test("void functions are those of printing", () => {
    expect(
      nodeBuiltins
        .filter(({ result }) => result === undefined)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["internal.print", "internal.test_case", "print"]);
  });
});
