import { describe, expect, test } from "vitest";
import { cli, folderOf } from "./support.ts";

/** Expectations were taken from OPA 1.20.2, `opa eval`. */
const POLICY = `package p
allow if input.x == 1
xs contains x if some x in [1, 2, 3]
f(x) := x + 1
obj := {"a": 1, "b": "<&>"}
`;

describe("formats", () => {
  test("json", async () => {
    const { code, out } = await cli(["eval", "x := 1; [x, 2]"]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      result: [
        {
          expressions: [
            { value: true, text: "x := 1", location: { row: 1, col: 1 } },
            { value: [1, 2], text: "[x, 2]", location: { row: 1, col: 9 } },
          ],
          bindings: { x: 1 },
        },
      ],
    });
  });

  test("Go's JSON: members in order, HTML escaped, numbers as written", async () => {
    const { out } = await cli(["eval", '{"b": "<&>", "a": 1.50, "c": 12345678901234567890}']);
    expect(out).toContain(
      '"value": {\n            "a": 1.50,\n            "b": "\\u003c\\u0026\\u003e",\n            "c": 12345678901234567890\n',
    );
  });

  test.for<readonly [string, string, string]>([
    ["values", "x := 1; x", "[\n  true,\n  1\n]\n"],
    ["bindings", 'y := "b"; x := {1}', '{\n  "x": [\n    1\n  ],\n  "y": "b"\n}\n'],
    ["raw", '"a\\n"; [1, "x"]; true', 'a\n [1,"x"] true\n'],
    ["raw", "input.x", ""],
    ["pretty", "input.x", "undefined\n"],
    ["pretty", "{1}", "[\n  1\n]\n"],
    ["pretty", "true; true", "true\n"],
    ["pretty", "x := [1, 2][_]", "┌───┐\n│ x │\n├───┤\n│ 1 │\n│ 2 │\n└───┘\n"],
    ["discard", "1", '{\n  "result": "discarded"\n}\n'],
    ["discard", "input.x", "{}\n"],
    ["json", "input.x", "{}\n"],
  ])("%s of %s", async ([format, query, want]) => {
    expect(await cli(["eval", "-f", format, query])).toEqual({ code: 0, out: want, err: "" });
  });

  test("pretty cuts long values", async () => {
    const { out } = await cli(["eval", "-f", "pretty", "--pretty-limit", "5", 'x := "0123456789"; 1']);
    expect(out).toContain('"0123...');
  });
});

describe("exit codes", () => {
  test.for<readonly [readonly string[], number]>([
    [["--fail", "false"], 0],
    [["--fail", "input.x"], 1],
    [["--fail-defined", "false"], 1],
    [["--fail-defined", "input.x"], 0],
    [["x :="], 2],
    [["foo(1)"], 2],
    [["--strict-builtin-errors", "1/0"], 2],
    [["--show-builtin-errors", "1/0"], 0],
    [["-i", "/nonexistent.json", "1"], 2],
    [["--nope"], 1],
    [["--partial", "1"], 1],
    [["--target", "wasm", "1"], 1],
    [["1", "2"], 1],
    [[], 1],
  ])("%j", async ([argv, code]) => {
    expect((await cli(["eval", ...argv])).code).toBe(code);
  });
});

describe("errors", () => {
  test.for<readonly [readonly string[], unknown]>([
    [
      ["x :="],
      {
        message: "unexpected eof token",
        code: "rego_parse_error",
        location: { file: "", row: 1, col: 4 },
        details: { line: "x :=", idx: 3 },
      },
    ],
    [
      ["foo(1)"],
      { message: "undefined function foo", code: "rego_type_error", location: { file: "", row: 1, col: 1 } },
    ],
    [
      ['1 = "a"'],
      {
        message: "match error",
        code: "rego_type_error",
        location: { file: "", row: 1, col: 1 },
        details: { a: { type: "number" }, b: { type: "string" } },
      },
    ],
    [
      ["--strict-builtin-errors", "1/0"],
      { message: "div: divide by zero", code: "eval_builtin_error", location: { file: "", row: 1, col: 1 } },
    ],
    [["-d", "/nonexistent.rego", "1"], { message: "stat /nonexistent.rego: no such file or directory" }],
  ])("%j as JSON", async ([argv, error]) => {
    expect(JSON.parse((await cli(["eval", ...argv])).out)).toEqual({ errors: [error] });
  });

  test("operands of a wrong type, with what was wanted", async () => {
    const { out } = await cli(["eval", "count(1)"]);
    expect(JSON.parse(out).errors[0].details).toMatchObject({
      have: [{ type: "number" }, null],
      want: {
        args: [
          { name: "collection", type: "any" },
          { name: "n", type: "number" },
        ],
      },
    });
  });

  test("pretty ones go to standard error", async () => {
    const run = await cli(["eval", "-f", "pretty", "--strict-builtin-errors", "1/0"]);
    expect(run).toEqual({ code: 2, out: "", err: "1 error occurred: 1/0: eval_builtin_error: div: divide by zero\n" });
  });

  test("a wrong command line shows the usage", async () => {
    const { err } = await cli(["eval", "--nope"]);
    expect(err).toMatch(/^Error: unknown flag: --nope\nUsage:\n {2}cardea eval <query> \[flags\]\n/);
  });
});

describe("what is evaluated", () => {
  test("policies, data and input from files; prefixes", async () => {
    const folder = folderOf({ "p.rego": POLICY, "in.json": '{"x": 1}', "in.yaml": "x: 1" });
    const data = folderOf({ "d/a.json": '{"k": [1]}', "p.rego": POLICY });
    const allow = ["eval", "-d", `${folder}/p.rego`, "-f", "raw", "data.p.allow"];
    expect((await cli([...allow, "-i", `${folder}/in.json`])).out).toBe("true\n");
    expect((await cli([...allow, "--input", `${folder}/in.yaml`])).out).toBe("true\n");
    expect((await cli([...allow, "-I"], '{"x": 1}')).out).toBe("true\n");
    expect((await cli(["eval", "-d", data, "-f", "raw", "data.d.k"])).out).toBe("[1]\n");
    expect((await cli(["eval", "-d", `x.y:${data}/d/a.json`, "-f", "raw", "data"])).out).toBe(
      '{"x":{"y":{"k":[1]}}}\n',
    );
  });

  test("bundles", async () => {
    const folder = folderOf({
      ".manifest": '{"roots": ["p", "d"]}',
      "p.rego": POLICY,
      "d/data.json": '{"k": 1}',
      "d/other.json": "{",
    });
    expect((await cli(["eval", "-b", folder, "-f", "raw", "data.p.f(data.d.k)"])).out).toBe("2\n");
  });

  test("packages and imports for the query", async () => {
    const folder = folderOf({ "p.rego": POLICY });
    expect((await cli(["eval", "-d", folder, "--package", "p", "-f", "raw", "f(1)"])).out).toBe("2\n");
    expect((await cli(["eval", "-d", folder, "--import", "data.p", "-f", "raw", "p.f(1)"])).out).toBe("2\n");
  });

  test("a query from standard input", async () => {
    expect((await cli(["eval", "--stdin", "-f", "raw"], "1 + 1")).out).toBe("2\n");
  });

  test("v0", async () => {
    const folder = folderOf({ "p.rego": "package p\nallow { input.x == 1 }\n" });
    expect((await cli(["eval", "-d", folder, "data.p.allow"])).code).toBe(2);
    expect(
      (await cli(["eval", "--v0-compatible", "-d", folder, "-I", "-f", "raw", "data.p.allow"], '{"x":1}')).out,
    ).toBe("true\n");
  });

  test("print goes to standard error", async () => {
    expect((await cli(["eval", "-f", "raw", 'print("hi", 1, input.x); 1'])).err).toBe("hi 1 <undefined>\n");
  });

  test("the runtime document", async () => {
    const { out } = await cli(["eval", "-f", "raw", "x := opa.runtime(); x.env"]);
    expect(out).toContain('{"HOME":"/home/test"}');
  });

  test("a timeout ends evaluation", async () => {
    const { code, out } = await cli([
      "eval",
      "--timeout",
      "20ms",
      "x := [1 | some i in numbers.range(1, 3000); some j in numbers.range(1, 3000); i == j + 4000]",
    ]);
    expect(code).toBe(2);
    expect(JSON.parse(out).errors[0].code).toBe("eval_cancel_error");
  });
});

describe("restrictions", () => {
  test("a schema of the input", async () => {
    const folder = folderOf({
      "p.rego": POLICY,
      "s.json": '{"type": "object", "properties": {"y": {"type": "string"}}}',
    });
    const { code, out } = await cli(["eval", "-d", `${folder}/p.rego`, "-s", `${folder}/s.json`, "data.p.allow"]);
    expect(code).toBe(2);
    expect(JSON.parse(out).errors[0].message).toBe("undefined ref: input.x");
  });

  test("schemas that annotations name", async () => {
    const policy = "package p\n\n# METADATA\n# schemas:\n# - input: schema.req\nallow if input.x == 1\n";
    const folder = folderOf({ "p.rego": policy, "s/req.json": '{"properties": {"x": {"type": "string"}}}' });
    const { out } = await cli(["eval", "-d", `${folder}/p.rego`, "-s", `${folder}/s`, "data.p.allow"]);
    expect(JSON.parse(out).errors[0]).toMatchObject({ message: "match error", details: { a: { type: "string" } } });
  });

  test("capabilities", async () => {
    const file = `${folderOf({ "c.json": '{"builtins": [{"name": "eq", "decl": {"type": "function", "args": [{"type": "any"}, {"type": "any"}], "result": {"type": "boolean"}}}], "features": ["rego_v1"]}' })}/c.json`;
    expect((await cli(["eval", "--capabilities", file, "count([1])"])).out).toContain("undefined function count");
    expect((await cli(["eval", "--capabilities", file, "x = 1"])).code).toBe(0);
    expect((await cli(["eval", "--capabilities", "v1.20.2", "count([1])"])).code).toBe(0);
    expect(await cli(["eval", "--capabilities", "v0.1.0", "1"])).toMatchObject({ code: 2, out: "" });
  });
});

describe("reports", () => {
  test("metrics and profile", async () => {
    const folder = folderOf({ "p.rego": POLICY });
    const { out } = await cli(["eval", "-d", folder, "--profile", "data.p.xs"]);
    const { metrics, profile } = JSON.parse(out);
    expect(Object.keys(metrics)).toEqual([
      "timer_rego_load_files_ns",
      "timer_rego_module_compile_ns",
      "timer_rego_module_parse_ns",
      "timer_rego_query_compile_ns",
      "timer_rego_query_eval_ns",
      "timer_rego_query_parse_ns",
    ]);
    expect(profile[0]).toMatchObject({ num_eval: expect.any(Number), location: { row: expect.any(Number) } });
  });

  test("coverage of default rules", async () => {
    const folder = folderOf({ "p.rego": "package p\ndefault a := false\ndefault b := 1\nb := 2" });
    const { out } = await cli(["eval", "-d", `${folder}/p.rego`, "--coverage", "data.p"]);
    const { covered, not_covered: missed } = JSON.parse(out).coverage.files[`${folder}/p.rego`];
    const shown = (ranges: readonly { readonly start: { readonly row: number; readonly col: number } }[]) =>
      ranges.map(({ start }) => [start.row, start.col]);
    expect(shown(covered)).toEqual([
      [2, 1],
      [2, 9],
      [4, 1],
      [4, 6],
    ]);
    expect(shown(missed)).toEqual([[3, 9]]);
  });

  test("coverage", async () => {
    const folder = folderOf({ "p.rego": POLICY });
    const { out } = await cli(["eval", "-d", `${folder}/p.rego`, "--coverage", "-I", "data.p.allow"], '{"x": 1}');
    const { coverage } = JSON.parse(out);
    expect(coverage).toMatchObject({ covered_lines: 1, not_covered_lines: 3, coverage: 25 });
    expect(coverage.files[`${folder}/p.rego`].covered).toEqual([
      { start: { row: 2, col: 1 }, end: { row: 2, col: 6 } },
      { start: { row: 2, col: 10 }, end: { row: 2, col: 22 } },
    ]);
  });

  test("explanations", async () => {
    const { out } = await cli(["eval", "--explain", "notes", "-f", "pretty", 'trace("here")']);
    expect(out).toContain('Note "here"');
  });

  const EXPLAINED = `package p

allow if {
	some r in input.roles
	r == "admin"
	f(r) > 9
}

allow if {
	not denied
	trace("here")
}

denied if input.bad

f(x) := count(x)
`;

  async function explained(mode: string): Promise<readonly string[]> {
    const folder = folderOf({ "p.rego": EXPLAINED });
    const flags = ["-d", `${folder}/p.rego`, "-I", "--explain", mode, "-f", "pretty"];
    const { out } = await cli(["eval", ...flags, "data.p.allow"], '{"roles": ["admin", "x"]}');
    return out
      .replaceAll(`${folder}/`, "")
      .trimEnd()
      .split("\n")
      .map((line) => line.replace(/^(\S+) {2,}/, "$1 "));
  }

  // The events of `opa eval --explain fails` 1.20.2; it writes expressions as it has compiled them.
  test("an explanation of what failed names the rules on the way", async () => {
    expect(await explained("fails")).toEqual([
      "query:1 Enter data.p.allow",
      "p.rego:3 | Enter data.p.allow",
      "p.rego:6 | | Fail f(r) > 9",
      'p.rego:5 | | Fail r == "admin"',
      "p.rego:9 | Enter data.p.allow",
      "p.rego:10 | | Enter not denied",
      "p.rego:14 | | | Enter data.p.denied",
      "p.rego:14 | | | | Fail input.bad",
      "true",
    ]);
  });

  test("a full explanation has expressions as they are met, fail and are met again", async () => {
    expect(await explained("full")).toEqual([
      "query:1 Enter data.p.allow",
      "query:1 | Eval data.p.allow",
      "p.rego:3 | Enter data.p.allow",
      "p.rego:4 | | Eval some r in input.roles",
      'p.rego:5 | | Eval r == "admin"',
      "p.rego:6 | | Eval f(r)",
      "p.rego:16 | | Enter data.p.f",
      "p.rego:16 | | | Eval count(x)",
      "p.rego:16 | | | Exit data.p.f",
      "p.rego:16 | | | Redo count(x)",
      "p.rego:6 | | Eval f(r) > 9",
      "p.rego:6 | | Fail f(r) > 9",
      "p.rego:6 | | Redo f(r)",
      'p.rego:5 | | Redo r == "admin"',
      "p.rego:4 | | Redo some r in input.roles",
      'p.rego:5 | | Eval r == "admin"',
      'p.rego:5 | | Fail r == "admin"',
      "p.rego:4 | | Redo some r in input.roles",
      "p.rego:9 | Enter data.p.allow",
      "p.rego:10 | | Eval not denied",
      "p.rego:10 | | Enter not denied",
      "p.rego:14 | | | Enter data.p.denied",
      "p.rego:14 | | | | Eval input.bad",
      "p.rego:14 | | | | Fail input.bad",
      'p.rego:11 | | Eval trace("here")',
      'p.rego:11 | | Note "here"',
      "p.rego:9 | | Exit data.p.allow",
      'p.rego:11 | | Redo trace("here")',
      "p.rego:10 | | Redo not denied",
      "true",
    ]);
  });

  test("partial evaluation is refused, with advice", async () => {
    const { code, err } = await cli(["eval", "--partial", "data.p.allow"]);
    expect(code).toBe(1);
    expect(err).toMatch(/^Error: partial evaluation is not supported: .* \(hint: leave out --partial and give/);
  });

  test("repeated runs are aggregated", async () => {
    const { out } = await cli(["eval", "--count", "3", "--metrics", "1"]);
    expect(Object.keys(JSON.parse(out).aggregated_metrics.timer_rego_query_eval_ns)).toEqual([
      "90%",
      "99%",
      "max",
      "mean",
      "min",
    ]);
  });
});
