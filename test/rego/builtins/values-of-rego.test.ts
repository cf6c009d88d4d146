import { describe, expect, test } from "vitest";
import { portableBuiltins } from "../../../src/rego/builtins/index.ts";
import { numberText, RegoObject, RegoSet, toRegoText, type Value } from "../../../src/rego/value/index.ts";
import { builtinContext, caller } from "../../support/builtin-context.ts";

const call = caller(portableBuiltins);
const set = (...members: readonly Value[]) => RegoSet.of(members);
const text = (value: Value | undefined) => (value === undefined ? undefined : toRegoText(value));

/** What JSON cannot say: sets, and objects with keys that are no strings. Answered the same by opa 1.20.2. */
describe("sets as operands", () => {
  test.for<readonly [string, readonly Value[], string]>([
    ["and", [set(1, 2, 3), set(2, 3, 4)], "{2, 3}"],
    ["or", [set(1), set("a")], '{1, "a"}'],
    ["minus", [set(1, 2), set(2)], "{1}"],
    ["set_diff", [set(1, 2), set(1)], "{2}"],
    ["intersection", [set(set(1, 2), set(2, 3))], "{2}"],
    ["intersection", [set()], "set()"],
    ["union", [set(set(1), set(2, 3))], "{1, 2, 3}"],
    ["count", [set(1, 2)], "2"],
    ["sum", [set(1, 2)], "3"],
    ["max", [set(1, "a")], '"a"'],
    ["sort", [set(3, 1)], "[1, 3]"],
    ["concat", [",", set("b", "a")], '"a,b"'],
    ["all", [set(true)], "true"],
    ["any", [set(true, false)], "true"],
    ["any", [[false]], "false"],
    ["cast_array", [set(2, 1)], "[1, 2]"],
    ["cast_set", [[1, 1]], "{1}"],
    ["object.get", [{ a: set("x") }, ["a", "x"], 0], '"x"'],
    ["object.keys", [RegoObject.of([[1, 2]])], "{1}"],
    ["object.remove", [{ a: 1, b: 2 }, set("a")], '{"b": 2}'],
    ["object.subset", [set(1, 2), set(1)], "true"],
    ["object.subset", [[1, 1], set(1, 2)], "true"],
    ["object.subset", [[], set()], "false"],
    ["json.patch", [{ s: set("a") }, [{ op: "add", path: ["s", "b"], value: "b" }]], '{"s": {"a", "b"}}'],
    ["json.patch", [{ s: set([1]) }, [{ op: "add", path: ["s", [1], 0], value: 0 }]], '{"s": {[0, 1]}}'],
    ["json.remove", [{ s: set("a", "b") }, ["s/a"]], '{"s": {"b"}}'],
    ["json.marshal", [RegoObject.of([[[1], set(2, 1)]])], '"{\\"[1]\\":[1,2]}"'],
    ["urlquery.encode_object", [{ a: set("y", "x") }], '"a=x&a=y"'],
    ["yaml.marshal", [{ a: set(2, 1) }], '"a:\\n- 1\\n- 2\\n"'],
    ["sprintf", ["%v %v", [set(), set("a")]], '"set() {\\"a\\"}"'],
    ["strings.any_prefix_match", ["abc", set("x", "a")], "true"],
    ["type_name", [set()], '"set"'],
  ])("%s %#", ([name, operands, want]) => expect(text(call(name, ...operands))).toBe(want));

  test.for<readonly [string, readonly Value[], string]>([
    ["minus", [set(1), 1], "operand 2 must be set but got number"],
    ["minus", [1, set(1)], "operand 2 must be number but got set"],
    ["and", [1, set()], "operand 1 must be set but got number"],
    ["union", [set(1)], "operand 1 must be set but got number"],
    ["sum", [set("a")], "operand 1 must be set of numbers but got set containing string"],
    [
      "json.patch",
      [set(), [{ op: "add", path: ["a"], value: "b" }]],
      'set key "a" does not equal value to be inserted "b"',
    ],
    ["cast_string", [1], "operand 1 must be string but got number"],
    ["cast_array", [{}], "operand 1 must be one of {array, set} but got object"],
    ["object.subset", [set(1), [1]], "both arguments object.subset must be of the same type or array and set"],
  ])("%s refuses %#", ([name, operands, want]) => expect(() => call(name, ...operands)).toThrow(want));
});

describe("to_number of what JSON does not write", () => {
  // OPA keeps such text, and then cannot print the number; the value is the same.
  test.for([
    ["+5", "5"],
    [".5", "0.5"],
    ["5.", "5"],
    ["007", "7"],
    ["1_000", "1000"],
    ["0x1p-2", "0.25"],
    ["-.5e1", "-0.5e1"],
  ])("%s is %s", ([source, want]) => expect(numberText(call("to_number", source as string) as number)).toBe(want));
});

describe("chance", () => {
  test.for(["rand.intn", "uuid.rfc4122"])("%s stays the same within a query", (name) => {
    let drawn = 0;
    const context = builtinContext({ random: (bytes) => bytes.fill(++drawn) });
    const operands = name === "rand.intn" ? ["k", 1000] : ["k"];
    const first = caller(portableBuiltins, context)(name, ...operands);
    expect(caller(portableBuiltins, context)(name, ...operands)).toBe(first);
    expect(drawn).toBe(1);
  });

  test("rand.intn keeps to its bound", () => {
    expect(call("rand.intn", "a", 0)).toBe(0);
    for (const n of [1, -1]) expect(call("rand.intn", "a", n)).toBe(0);
    expect(call("rand.intn", "a", 9223372036854775807n)).toBeTypeOf("bigint");
    expect(() => call("rand.intn", "a", 1.5)).toThrow("must be integer number");
  });

  test("uuid.rfc4122 makes version 4", () => {
    expect(call("uuid.rfc4122", "x")).toBe("07070707-0707-4707-8707-070707070707");
  });
});

describe("limits", () => {
  test.for<readonly [string, readonly Value[]]>([
    ["numbers.range", [0, 1_000_000_000_000]],
    ["bits.lsh", [1, 10_000_000_000]],
    ["replace", ["a".repeat(100_000), "a", "b".repeat(100_000)]],
    ["strings.replace_n", [{ a: "b".repeat(100_000) }, "a".repeat(100_000)]],
    ["concat", ["x".repeat(1_000_000), "a".repeat(100).split("")]],
    ["sprintf", [`${"%1000000d".repeat(100)}`, new Array(100).fill(1)]],
    ["strings.render_template", ['{{range 1000}}{{printf "%1000000d" 1}}{{end}}', {}]],
    ["plus", [0.5, call("to_number", "1e300") as number]],
  ])("%s is bounded", ([name, operands]) => {
    let spent = 0;
    const bounded = caller(portableBuiltins, builtinContext({ spend: (steps) => (spent += steps) }));
    if (name === "plus") expect(text(bounded(name, ...operands))).toHaveLength(301);
    else expect(() => bounded(name, ...operands)).toThrow(/too large/);
  });

  test("alias bombs of YAML are refused", () => {
    const lines = ["a0: &a0 [x]"];
    for (let i = 1; i < 12; i++) lines.push(`a${i}: &a${i} [${`*a${i - 1},`.repeat(9)}]`);
    expect(() => call("yaml.unmarshal", lines.join("\n"))).toThrow("yaml: document contains excessive aliasing");
  });

  test("templates that call themselves are stopped", () => {
    const source = '{{define "r"}}{{template "r" .}}{{end}}{{template "r" .}}';
    expect(() => call("strings.render_template", source, {})).toThrow("exceeded maximum template depth");
  });
});
