import { describe, expect, test } from "vitest";
import {
  EditError,
  patched,
  pathEntrypoint,
  PolicyStore,
  regoCompiler,
  withoutValueAt,
  withValueAt,
} from "../../src/policy/index.ts";
import { CompileError } from "../../src/rego/engine/index.ts";

const store = () => new PolicyStore(regoCompiler({ version: "v1", keepPrint: false }));
const module = (text: string) => ({ file: "p.rego", text });

describe("the store", () => {
  test("before anything is loaded everything is undefined", () => {
    expect(store().current.prepare(pathEntrypoint("a/b")).value({})).toBeUndefined();
  });

  test("a policy that does not compile changes nothing", () => {
    const policies = store();
    policies.updateBase({ modules: [module("package p\n\nx := 1")], data: { a: 1 } });
    const before = policies.current;
    expect(() => policies.updateBase({ modules: [module("package p\n\nx := y")], data: { a: 2 } })).toThrow(
      CompileError,
    );
    expect(policies.current).toBe(before);
    expect(policies.lastFailure).toContain("var y is unsafe");
    policies.updateBase({ modules: [module("package p\n\nx := 2")], data: {} });
    expect(policies.lastFailure).toBeUndefined();
  });

  test("new data alone does not compile the modules again", () => {
    const policies = store();
    policies.updateBase({ modules: [module("package p\n\nx := data.a")], data: { a: 1 } });
    const { policy } = policies.current;
    policies.updateBase({ ...policies.base, data: { a: 2 } });
    expect(policies.current.policy.program).toBe(policy.program);
    expect(policies.current.prepare(pathEntrypoint("p/x")).value({})).toBe(2);
  });

  test("bundles with overlapping roots are refused", () => {
    const policies = store();
    const part = (roots: string[]) => ({ modules: [], data: {}, bundle: { revision: "", roots } });
    policies.update(new Map([["a", part(["x/y"])]]));
    expect(() => policies.update(new Map([["b", part(["x"])]]))).toThrow("detected overlapping roots");
    expect(policies.ownerOf(["x"])).toBe("a");
    expect(policies.ownerOf(["x", "y", "z"])).toBe("a");
    expect(policies.ownerOf(["z"])).toBeUndefined();
  });

  test("a module may speak another version than the rest", () => {
    const policies = store();
    policies.updateBase({
      modules: [
        { file: "old.rego", text: "package old\n\nallow { input.x == 1 }\n", version: "v0" },
        module("package p\n\nx if true"),
      ],
      data: {},
    });
    expect(policies.current.prepare(pathEntrypoint("old/allow")).value({ input: { x: 1 } })).toBe(true);
  });

  // stringPathToDataRef in the plugin's internal/internal.go
  test.for([
    { path: "/a//b/", want: ["a", "b"] },
    { path: "a/0/b", want: ["a", 0, "b"] },
    { path: "test/com.foo.x/allow", want: ["test", "com.foo.x", "allow"] },
    { path: "", want: [] },
  ])("the path $path", ({ path, want }) => {
    expect(pathEntrypoint(path)).toEqual({ kind: "path", path: want });
  });
});

describe("edits of base documents", () => {
  const data = { a: { b: [1, 2] } };

  test("leave the original alone", () => {
    expect(withValueAt(data, ["a", "c", "d"], 1)).toEqual({ a: { b: [1, 2], c: { d: 1 } } });
    expect(
      patched(data, [
        { op: "add", path: ["a", "b", "-"], value: 3 },
        { op: "remove", path: ["a", "b", "0"], value: null },
      ]),
    ).toEqual({ a: { b: [2, 3] } });
    expect(withoutValueAt(data, ["a", "b"])).toEqual({ a: {} });
    expect(data).toEqual({ a: { b: [1, 2] } });
  });

  test("__proto__ is a name like others", () => {
    const changed = withValueAt({}, ["__proto__", "x"], 1);
    expect(Object.keys(changed)).toEqual(["__proto__"]);
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  test.for([
    { why: "below a number", edit: () => withValueAt({ a: 1 }, ["a", "b"], 1), code: "conflict" },
    { why: "the root as a list", edit: () => withValueAt({}, [], [1]), code: "invalid_patch" },
    { why: "remove what is not there", edit: () => withoutValueAt(data, ["x"]), code: "not_found" },
    {
      why: "replace what is not there",
      edit: () => patched(data, [{ op: "replace", path: ["x"], value: 1 }]),
      code: "not_found",
    },
    {
      why: "an index beyond the end",
      edit: () => patched(data, [{ op: "add", path: ["a", "b", "9"], value: 1 }]),
      code: "invalid_patch",
    },
  ])("$why is refused", ({ edit, code }) => {
    expect(edit).toThrow(EditError);
    expect(edit).toThrow(expect.objectContaining({ code }));
  });
});
