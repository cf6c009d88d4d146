import { describe, expect, test } from "vitest";
import { CompileError, compile, EvalError, parseJson } from "../../../src/rego/index.ts";
import { diagnosticsOf } from "../compile/compiling.ts";

/** Nested `n` levels deep. */
function nest(open: string, middle: string, close: string, n: number): string {
  return `${open.repeat(n)}${middle}${close.repeat(n)}`;
}

function many(n: number, literal: (i: number) => string): string {
  return `x if {\n${Array.from({ length: n }, (_, i) => `\t${literal(i)}\n`).join("")}}`;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CompileError) return (error.diagnostics[0] as { code: string }).code;
    if (error instanceof EvalError) return error.code;
    throw error;
  }
  return "none";
}

function within<T>(ms: number, work: () => T): T {
  const started = performance.now();
  const result = work();
  expect(performance.now() - started).toBeLessThan(ms);
  return result;
}

describe("nesting", () => {
  test.each([
    // OPA goes through the domain of `every` and through explicit bodies twice at every level, and takes minutes at 25.
    ["every", `p if every x in ${nest("{1 | every z in ", "1", " { z }}", 80)} { x }`],
    ["not", `import future.keywords.not\np if { ${nest("not { ", "input.a", " }", 80)} }`],
    ["or", `import future.keywords.or\np if { ${nest("{ ", "input.a", " } or { input.b }", 60)} }`],
  ])("%s: what takes exponential work in OPA ends in a finding, soon", (_, text) => {
    const found = within(20_000, () => diagnosticsOf(`package a\n${text}`));
    expect(found.map(({ message }) => message).filter((message) => message !== "bodies are nested too deeply")).toEqual(
      [],
    );
  });

  test.each([
    ["keys and values", nest("{y: y | y := ", "input.a", "}", 100)],
    ["pairs", nest("[[y, y] | y := ", "input.a", "]", 60)],
  ])("types that are exponentially larger than their text take no time: %s", (_, term) => {
    within(20_000, () => diagnosticsOf(`package a\np := ${term}`));
    const found = within(20_000, () => diagnosticsOf(`package a\np := ${term}\nq := p + 1`));
    for (const { details = [] } of found) expect(details.join().length).toBeLessThan(5_000_000);
  });

  test("as deep as the parser goes, everything ends in a result or a finding with a code", () => {
    for (const [open, close] of [
      ["[", "]"],
      ["count([", "])"],
      ["{y | y := ", "}"],
      ["input[", "]"],
      ['$"{', '}"'],
      ["(1 + ", ")"],
    ] as const) {
      for (const depth of [50, 150, 330]) {
        const text = `package a\np := ${nest(open, "1", close, depth)}`;
        const code = codeOf(() =>
          compile({ modules: [{ file: "a.rego", text }] })
            .query("data")
            .value({ input: {} }),
        );
        expect(["none", "rego_compile_error", "rego_parse_error", "rego_type_error", "eval_internal_error"]).toContain(
          code,
        );
        if (depth === 50) expect(code).toMatch(/none|type/);
      }
    }
  });
});

describe("length", () => {
  test.each([
    ["comparisons", (n: number) => many(n, (i) => `input.a != ${i}`)],
    ["assignments", (n: number) => many(n, (i) => `v${i} := input.b\n\tv${i} == 1`)],
    ["calls", (n: number) => many(n, (i) => `count(input.c) > ${i - n}`)],
    ["negations", (n: number) => many(n, (i) => `not input.a == ${i}`)],
    ["members of an array", (n: number) => `x := [${Array.from({ length: n }, (_, i) => `input.b + ${i}`).join()}]`],
    ["members of an object", (n: number) => `x := {${Array.from({ length: n }, (_, i) => `"k${i}": input.b`).join()}}`],
  ])("a rule may have 2000 %s", (_, text) => {
    const policy = compile({ modules: [{ file: "a.rego", text: `package a\n${text(2000)}` }] });
    expect(policy.entrypoint(["a", "x"]).value({ input: { a: -1, b: 1, c: [] } })).toBeDefined();
  });

  test("a rule may iterate 200 times in each other", () => {
    const text = `package a\n${many(200, (i) => `some v${i} in input.list\n\tv${i} == 1`)}`;
    const policy = compile({ modules: [{ file: "a.rego", text }] });
    expect(policy.entrypoint(["a", "x"]).value({ input: { list: [1] } })).toBe(true);
  });

  test("100,000 rules compile, and are found", () => {
    const rules = Array.from({ length: 100_000 }, (_, i) => `r${i} := ${i}`).join("\n");
    const policy = within(120_000, () => compile({ modules: [{ file: "a.rego", text: `package a\n${rules}` }] }));
    expect(policy.entrypoint(["a", "r99999"]).value()).toBe(99_999);
  }, 240_000);
});

describe("bad input", () => {
  test.each([100, 5000, 100_000])(
    "a document nested %d deep is refused, or has an answer or an error with a code",
    (depth) => {
      const text =
        'package a\np := count(json.marshal(input))\nq := input == [1]\nr := count({input, [input]})\ns := count([x | walk(input, x)])\nt := $"{input}"\nu := object.union({}, {1: input})\nv := sprintf("%v", [input])';
      const policy = compile({ modules: [{ file: "a.rego", text }] });
      for (const literal of ["1", "1.50"]) {
        let input: ReturnType<typeof parseJson>;
        try {
          input = parseJson(nest("[", literal, "]", depth));
        } catch (error) {
          expect((error as Error).message).toBe("exceeded max depth");
          continue;
        }
        for (const rule of "pqrstuv") {
          const code = codeOf(() => policy.entrypoint(["a", rule]).value({ input, maxSteps: 3_000_000 }));
          expect(code).toMatch(/^none$|^eval_/);
        }
      }
    },
  );

  test.each([
    ["yaml.unmarshal", (n: number) => "[".repeat(n)],
    ["yaml.unmarshal", (n: number) => "{{if a}}".repeat(n)],
    ["yaml.unmarshal", (n: number) => "- ".repeat(n)],
    ["json.unmarshal", (n: number) => "[".repeat(n)],
    ["json.unmarshal", (n: number) => `${'{"a":'.repeat(n)}1.5${"}".repeat(n)}`],
    ["graphql.parse_query", (n: number) => "{a".repeat(n)],
    ["graphql.parse_schema", (n: number) => `type A { a: ${"[".repeat(n)}Int`],
    ["graphql.parse_query", (n: number) => `{ a(x: ${"[".repeat(n)}) }`],
    ["regex.is_valid", (n: number) => `${"(".repeat(n)}a${")".repeat(n)}`],
    ["urlquery.decode_object", (n: number) => "a[".repeat(n)],
    ["units.parse", (n: number) => "1".repeat(n)],
    ["to_number", (n: number) => `1e${"9".repeat(n)}`],
    ["semver.is_valid", (n: number) => `1.0.0-${"a.".repeat(n)}`],
    ["time.parse_duration_ns", (n: number) => "1h".repeat(n)],
    ["base64.decode", (n: number) => "A".repeat(n)],
  ] as const)("%s of a hostile text ends soon", (builtin, text) => {
    const policy = compile({ modules: [{ file: "a.rego", text: `package a\np := ${builtin}(input)` }] });
    for (const n of [100, 10_000]) {
      const code = within(20_000, () =>
        codeOf(() => policy.entrypoint(["a", "p"]).value({ input: text(n), strictBuiltinErrors: true })),
      );
      expect(code).toMatch(/^none$|^eval_builtin_error$/);
    }
  });

  test("cyclic data is no document", () => {
    const cyclic: Record<string, unknown> = {};
    cyclic["self"] = cyclic;
    const policy = compile({
      modules: [{ file: "a.rego", text: "package a\np := json.marshal(input)\nq := walk(input)" }],
    });
    for (const rule of ["p", "q"])
      expect(
        codeOf(() => policy.entrypoint(["a", rule]).value({ input: cyclic as never, maxSteps: 1_000_000 })),
      ).toMatch(/^eval_/);
  });

  test("strings of megabytes", () => {
    const long = "a".repeat(8 * 1024 * 1024);
    const policy = compile({
      modules: [{ file: "a.rego", text: `package a\np := count(input.s)\nq := count("${long}")\nr := upper(input.s)` }],
    });
    expect(policy.entrypoint(["a", "p"]).value({ input: { s: long } })).toBe(long.length);
    expect(policy.entrypoint(["a", "q"]).value()).toBe(long.length);
  });

  test.each([
    ["(a+)+$", "a".repeat(5000)],
    ["(a|aa)+$", "a".repeat(5000)],
    ["(.*)*(.*)*(.*)*x", "a".repeat(2000)],
  ])("a regex takes linear time: %s", (pattern, subject) => {
    const policy = compile({ modules: [{ file: "a.rego", text: "package a\np := regex.match(input.p, input.s)" }] });
    within(20_000, () => policy.entrypoint(["a", "p"]).value({ input: { p: pattern, s: `${subject}!` } }));
  });

  test.each(["((((((((((a{100}){100}){100}){100}", "a{1001}", `${"(".repeat(5000)}a${")".repeat(5000)}`, "[", "(?<n"])(
    "a regex that is too much or wrong is an error of its call: %s",
    (pattern) => {
      const policy = compile({ modules: [{ file: "a.rego", text: "package a\np := regex.match(input, `x`)" }] });
      const code = within(20_000, () =>
        codeOf(() => policy.entrypoint(["a", "p"]).value({ input: pattern, strictBuiltinErrors: true })),
      );
      expect(code).toBe("eval_builtin_error");
    },
  );

  test.each([
    "p := [1, 2",
    'p := "abc',
    "p := `abc",
    "p if {",
    'p := $"a{',
    "p := {x | x := ",
    "p(x",
    "p if { not",
    "import",
    "p := 1 if",
    '# METADATA\n# custom: {a: "\np := 1',
    "p := #",
    'p := "\\u12',
  ])("what is not ended is a parse error with a place: %s", (text) => {
    try {
      compile({ modules: [{ file: "a.rego", text: `package a\n${text}` }], annotations: true });
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      expect(error.diagnostics[0]).toMatchObject({
        code: "rego_parse_error",
        at: { row: expect.any(Number) as number },
      });
    }
  });
});
