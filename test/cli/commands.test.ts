import { describe, expect, test } from "vitest";
import { cli, folderOf } from "./support.ts";

describe("the program", () => {
  test("without a command, lists commands", async () => {
    const { code, out } = await cli([]);
    expect(code).toBe(0);
    for (const name of ["capabilities", "check", "deps", "eval", "fmt", "inspect", "parse", "run", "test", "version"]) {
      expect(out).toMatch(new RegExp(`^ {2}${name} `, "m"));
    }
  });

  test.for<readonly [string, string]>([
    ["nope", 'Error: unknown command "nope" for "cardea"\nRun \'cardea --help\' for usage.\n'],
    ["--nope", "Error: unknown flag: --nope\nRun 'cardea --help' for usage.\n"],
  ])("refuses %s", async ([name, err]) => {
    expect(await cli([name])).toEqual({ code: 1, out: "", err });
  });

  test("help of a command", async () => {
    expect((await cli(["help", "eval"])).out).toContain("Usage:\n  cardea eval <query> [flags]\n");
    expect((await cli(["check", "-h"])).code).toBe(0);
  });

  test("version", async () => {
    expect((await cli(["version"])).out).toMatch(/^Version: \d+\.\d+\.\d+\nOPA Compatibility: 1\.\d+\.\d+\n/);
  });
});

describe("check", () => {
  test("nothing to say", async () => {
    expect(await cli(["check", folderOf({ "p.rego": "package p\nx := 1\n" })])).toEqual({ code: 0, out: "", err: "" });
  });

  test("errors, for people and as JSON", async () => {
    const file = `${folderOf({ "p.rego": "package p\nx := count(1)\n" })}/p.rego`;
    const { code, err } = await cli(["check", file]);
    expect(code).toBe(1);
    expect(err).toBe(
      `1 error occurred: ${file}:2: rego_type_error: count: invalid argument(s)\n\thave: (number, ???)\n\twant: (collection: any<string, array[any], object[any: any], set[any]>, n: number)\n`,
    );
    expect(JSON.parse((await cli(["check", "-f", "json", file])).err).errors[0].code).toBe("rego_type_error");
  });

  test("parse errors are the loader's", async () => {
    const file = `${folderOf({ "p.rego": "package p\nx := \n" })}/p.rego`;
    expect((await cli(["check", file])).err).toMatch(/^2 errors occurred during loading:\n.*rego_parse_error: /);
  });

  test("strict", async () => {
    const folder = folderOf({ "p.rego": "package p\nimport data.x\ny := 1\n" });
    expect((await cli(["check", folder])).code).toBe(0);
    expect((await cli(["check", "-S", folder])).err).toContain("import data.x unused");
  });

  test("needs a path", async () => {
    expect((await cli(["check"])).err).toMatch(/^Error: specify at least one file\n/);
  });
});

describe("parse", () => {
  test("as a tree and as JSON", async () => {
    const file = `${folderOf({ "p.rego": "package p\nx := {2, 1} if not input.y\n" })}/p.rego`;
    expect((await cli(["parse", file])).out).toBe(
      'module\n package\n  ref\n   data\n   "p"\n rule\n  head\n   ref\n    x\n   set\n    1\n    2\n  body\n   expr negated index=0\n    ref\n     input\n     "y"\n',
    );
    expect(JSON.parse((await cli(["parse", "-f", "json", file])).out).package.path[1]).toEqual({
      type: "string",
      value: "p",
    });
  });

  test("errors are JSON", async () => {
    const { code, err } = await cli(["parse", `${folderOf({ "p.rego": "package" })}/p.rego`]);
    expect(code).toBe(1);
    expect(JSON.parse(err).errors[0].code).toBe("rego_parse_error");
  });
});

describe("fmt", () => {
  const UNTIDY = "package p\nx:=1\ny  if {input.z}\n";

  test("to standard output, from files and standard input", async () => {
    const file = `${folderOf({ "p.rego": UNTIDY })}/p.rego`;
    const fromFile = await cli(["fmt", file]);
    expect(fromFile).toMatchObject({ code: 0, err: "" });
    expect(await cli(["fmt"], UNTIDY)).toEqual(fromFile);
    expect((await cli(["fmt"], fromFile.out)).out).toBe(fromFile.out);
  });

  test("lists, diffs, fails and writes", async () => {
    const folder = folderOf({ "p.rego": UNTIDY, "sub/q.rego": "package q\n", "other.txt": "x" });
    expect(await cli(["fmt", "-l", folder])).toEqual({ code: 0, out: `${folder}/p.rego\n`, err: "" });
    expect((await cli(["fmt", "-d", folder])).out).toContain("\n-x:=1\n");
    expect(await cli(["fmt", "--fail", folder])).toEqual({ code: 2, out: "", err: "unexpected diff\n" });
    expect(await cli(["fmt", "-w", folder])).toEqual({ code: 0, out: "", err: "" });
    expect(await cli(["fmt", "-l", "--fail", folder])).toEqual({ code: 0, out: "", err: "" });
  });

  test("between language versions", async () => {
    expect((await cli(["fmt", "--v0-compatible"], "package p\nx[y] { y := 1 }\n")).out).toContain("x[y] {");
    expect((await cli(["fmt", "--v0-v1"], "package p\nx[y] { y := 1 }\n")).out).toContain("import rego.v1");
    expect((await cli(["fmt", "--drop-v0-imports"], "package p\nimport rego.v1\nx := 1\n")).out).toBe(
      "package p\n\nx := 1\n",
    );
  });

  test("what cannot be read", async () => {
    const folder = folderOf({ "p.rego": "package" });
    expect(await cli(["fmt", folder])).toMatchObject({
      code: 2,
      err: expect.stringContaining("failed to format Rego source file"),
    });
    expect((await cli(["fmt"], "package")).code).toBe(1);
  });

  // Texts of `opa fmt --rego-v1` 1.20.2.
  test.for<readonly [string, string, string]>([
    [
      "two imports of a name",
      "import data.a\nimport data.b.a",
      "3: rego_compile_error: import must not shadow import data.a",
    ],
    ["input as a rule", "input := 1", "2: rego_compile_error: rules must not shadow input (use a different rule name)"],
    [
      "data as a variable",
      "p { data := 1 }",
      "2: rego_compile_error: variables must not shadow data (use a different variable name)",
    ],
    [
      "deprecated functions",
      "p { x := any([true]) }",
      "2: rego_type_error: deprecated built-in function calls in expression: any",
    ],
    ["keywords as names", "if { true }", "2: rego_parse_error: if keyword cannot be used for rule name"],
  ])("refuses what v1 forbids: %s", async ([, text, message]) => {
    const folder = folderOf({ "p.rego": `package p\n${text}\n` });
    expect(await cli(["fmt", "--rego-v1", folder])).toEqual({
      code: 2,
      out: "",
      err: `failed to format Rego source file: 1 error occurred: ${folder}/p.rego:${message}\n`,
    });
  });

  test("refuses paths that are not there", async () => {
    const folder = folderOf({});
    expect(await cli(["fmt", `${folder}/none.rego`])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^lstat .* no such file/),
    });
  });
});

describe("deps", () => {
  const POLICY = `package policy
allow if is_admin
is_admin if "admin" in input.user.roles
is_admin if { u := input.user; u.name == "root"; data.users[u.name].admin; f(u) }
f(x) if { x.q == data.config.q; print("what is printed is no dependency", input.printed) }
`;

  test("documents, rules and functions", async () => {
    const file = `${folderOf({ "p.rego": POLICY })}/p.rego`;
    expect((await cli(["deps", "-d", file, "data.policy.allow"])).out).toBe(`┌──────────────────┬──────────────────────┐
│  BASE DOCUMENTS  │  VIRTUAL DOCUMENTS   │
├──────────────────┼──────────────────────┤
│ data.config.q    │ data.policy.allow    │
│ data.users       │ data.policy.f        │
│ input.user       │ data.policy.is_admin │
│ input.user.roles │                      │
└──────────────────┴──────────────────────┘
`);
    const { base } = JSON.parse((await cli(["deps", "-d", file, "-f", "json", "data.policy.is_admin"])).out);
    expect(base[0]).toEqual([
      { type: "var", value: "data" },
      { type: "string", value: "config" },
      { type: "string", value: "q" },
    ]);
  });
});

describe("inspect", () => {
  test("a bundle", async () => {
    const folder = folderOf({
      ".manifest": '{"revision": "r1", "roots": ["a", "q"]}',
      "a/data.json": "{}",
      "q.rego": "# METADATA\n# title: The rules\npackage q\nx := count([1])\n",
    });
    const { out } = await cli(["inspect", "-a", folder]);
    expect(out).toContain("│ Revision │ r1    │");
    expect(out).toContain(`│ data.q    │ ${folder}/q.rego`);
    expect(out).toContain("ANNOTATIONS:\nThe rules\n=========\n\nPackage:  q\n");
    const summary = JSON.parse((await cli(["inspect", "-f", "json", folder])).out);
    expect(summary.namespaces["data.a"]).toEqual([`${folder}/a/data.json`]);
    expect(summary.capabilities.builtins.map(({ name }: { name: string }) => name)).toEqual(["count"]);
  });

  test("a part of a policy: functions of other files are missing", async () => {
    const file = `${folderOf({ "p.rego": "package p\nimport data.lib\nx := lib.f(1, y) if some y in lib.g(2)\n" })}/p.rego`;
    const { code, out } = await cli(["inspect", "-f", "json", file]);
    expect(code).toBe(0);
    expect(JSON.parse(out).capabilities.features).toEqual(["rego_v1"]);
    const wrong = `${folderOf({ "p.rego": "package p\nx := lib.f(count(1))\n" })}/p.rego`;
    expect(await cli(["inspect", wrong])).toMatchObject({
      code: 1,
      err: expect.stringContaining("rego_type_error: count"),
    });
    const unread = `${folderOf({ "p.rego": "package p\nx {" })}/p.rego`;
    expect((await cli(["inspect", unread])).err).toMatch(/^error: 1 error occurred during loading: /);
  });

  test("annotations by the paths they stand at, those of documents once", async () => {
    const text = [
      "package p",
      "# METADATA\n# title: b\n# scope: document\nb if input.x\nb if input.y",
      "# METADATA\n# title: a2\na[input.z].c contains 2 if true",
      "# METADATA\n# title: a1\na contains 1",
    ].join("\n\n");
    const { out } = await cli([
      "inspect",
      "-a",
      "-f",
      "json",
      folderOf({ "p.rego": text.replace("a contains 1", "a0 := 1") }),
    ]);
    expect(
      JSON.parse(out).annotations.map(({ annotations }: never) => (annotations as { title: string }).title),
    ).toEqual(["a2", "a1", "b"]);
  });
});

test("parse prints what METADATA holds as it likes with sorted keys, as Go prints maps", async () => {
  const text = "package p\n# METADATA\n# custom:\n#   z: 1\n#   a: {y: [{d: 1, c: 2}], b: 3}\nx := {}\n";
  const { out } = await cli(["parse", "-f", "json", `${folderOf({ "p.rego": text })}/p.rego`]);
  expect(JSON.stringify(JSON.parse(out).annotations[0])).toBe(
    '{"custom":{"a":{"b":3,"y":[{"c":2,"d":1}]},"z":1},"scope":"rule"}',
  );
});

describe("capabilities", () => {
  test("the version known, and what it can do", async () => {
    expect((await cli(["capabilities"])).out).toMatch(/^v1\.\d+\.\d+\n$/);
    expect(JSON.parse((await cli(["capabilities", "--current"])).out).features).toContain("rego_v1");
    expect((await cli(["capabilities", "--version", "v0.1.0"])).code).toBe(2);
  });
});

describe("test", () => {
  const FILES = {
    "p.rego": "package p\nallow if input.x == 1\n",
    "p_test.rego": `package p_test
import data.p

test_ok if p.allow with input as {"x": 1}
test_fail if { print("hello"); p.allow with input as {"x": 2} }
todo_test_later if false
test_twice := 1
test_twice if true
test_table[name] if {
  some name, n in {"a": 1, "b": 2}
  n == 1
}
`,
  };

  test("results for people", async () => {
    const { code, out } = await cli(["test", folderOf(FILES)]);
    expect(code).toBe(2);
    expect(out.replace(/\(\S+\)/g, "(t)").replace(/^\S+\/p_test/gm, "p_test")).toBe(`p_test.rego:5:
data.p_test.test_fail: FAIL (t)

  hello

p_test.rego:6:
data.p_test.todo_test_later: SKIPPED
p_test.rego:7:
data.p_test.test_twice: FAIL (t)
p_test.rego:9:
data.p_test.test_table: FAIL (t)
  b: FAIL
--------------------------------------------------------------------------------
PASS: 3/7
FAIL: 3/7
SKIPPED: 1/7
`);
  });

  test("results as JSON", async () => {
    const results = JSON.parse((await cli(["test", "-f", "json", folderOf(FILES)])).out) as { name: string }[];
    expect(results.map(({ name }) => name)).toEqual([
      "test_ok",
      "test_fail",
      "todo_test_later",
      "test_twice",
      "test_twice#01",
      "test_table",
    ]);
    expect(results[1]).toMatchObject({ fail: true, output: Buffer.from("hello\n").toString("base64") });
    expect(results[5]).toMatchObject({ fail: true, sub_results: { a: { name: "a" }, b: { name: "b", fail: true } } });
  });

  test("a selection", async () => {
    expect(await cli(["test", "-r", "test_ok$", folderOf(FILES)])).toEqual({ code: 0, out: "PASS: 1/1\n", err: "" });
    expect(await cli(["test", "-r", "nothing", "--fail-on-empty", folderOf(FILES)])).toMatchObject({
      code: 1,
      err: "no tests were run\n",
    });
    expect((await cli(["test", "-r", "(", folderOf(FILES)])).err).toContain("error parsing regexp");
  });

  test("skipped tests fail the run unless told otherwise", async () => {
    const folder = folderOf({ "t.rego": "package t\ntodo_test_x if false\n" });
    expect((await cli(["test", folder])).code).toBe(2);
    expect((await cli(["test", "-z", folder])).code).toBe(0);
  });

  test("verbose output says what never held", async () => {
    const { out } = await cli(["test", "-v", "-r", "test_fail", folderOf(FILES)]);
    expect(out).toMatch(/p_test\.rego:5 +Fail p\.allow with/);
  });

  test("coverage and its threshold", async () => {
    const folder = folderOf({
      "p.rego": "package p\nx := 1\ny := 2\n",
      "t.rego": "package t\ntest_x if data.p.x == 1\n",
    });
    expect(JSON.parse((await cli(["test", "-c", folder])).out).not_covered_lines).toBe(1);
    expect(await cli(["test", "--threshold", "99", folder])).toMatchObject({ code: 2, out: "" });
  });

  test("tests that cannot be run", async () => {
    expect((await cli(["test", folderOf({ "t.rego": "package t\ntest_x if nope(1)\n" })])).code).toBe(1);
    expect((await cli(["test", "--bench", "."])).code).toBe(1);
  });
});
