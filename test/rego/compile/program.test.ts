import { describe, expect, test } from "vitest";
import { childOf } from "../../../src/rego/compile/index.ts";
import { bodyToText, parseModule, termToText } from "../../../src/rego/syntax/index.ts";
import { programOf, queryOf } from "./compiling.ts";

describe("rules hang where their ground path ends", () => {
  test.for([
    { text: "p := 1", kind: "complete", ground: ["a", "p"] },
    { text: "p.q.r := 1", kind: "complete", ground: ["a", "p", "q", "r"] },
    { text: "p[1] := 1", kind: "complete", ground: ["a", "p", 1] },
    { text: "f(x) := x", kind: "function", ground: ["a", "f"] },
    { text: "p contains 1", kind: "set", ground: ["a", "p"] },
    { text: "p[x] := 1 if some x in input", kind: "object", ground: ["a", "p"] },
    { text: "p.q[x].r[y] := 1 if some x, y in input", kind: "object", ground: ["a", "p", "q"] },
    { text: "p[x] contains 1 if some x in input", kind: "setobject", ground: ["a", "p"] },
    { text: "p[input.x] := 1", kind: "object", ground: ["a", "p"] },
  ])("$text", ({ text, kind, ground }) => {
    const [rule] = programOf(`package a\n${text}`).rules;
    expect(rule).toMatchObject({ kind, groundPath: ground });
  });

  test("in a tree that also knows empty packages", () => {
    const { tree } = programOf(["package a.b\np := 1", "package c", "package system.x\ny := 1"]);
    expect([...tree.children.keys()].sort()).toEqual(["a", "c", "system"]);
    const node = childOf(childOf(tree, "a") as typeof tree, "b") as typeof tree;
    expect(node.hasRulesBelow).toBe(true);
    expect(childOf(node, "p")?.rules).toHaveLength(1);
    expect(childOf(tree, "c")?.hasRulesBelow).toBe(false);
    expect(childOf(tree, "system")?.hidden).toBe(true);
  });

  test("with numbers found in any notation", () => {
    const { tree } = programOf("package a\np[1.50] := 1");
    const node = childOf(childOf(tree, "a") as typeof tree, "p") as typeof tree;
    expect(childOf(node, 1.5)?.rules).toHaveLength(1);
  });
});

describe("dependencies", () => {
  const program = programOf([
    "package a\np := q\nq := r.x\nr := input.r\nf(x) := x + q\ng := f(1)\nall := data.b\nsome_b := data.b[input.k]",
    "package b\nx := 1\ny.z := 2",
  ]);
  const named = (ids: ReadonlySet<number>): readonly string[] =>
    [...ids].map((id) => program.rules[id]?.groundPath.join(".") ?? "").sort();
  const id = (path: string): number => program.rules.findIndex((rule) => rule.groundPath.join(".") === path);

  test("lead to the rules a ref may reach", () => {
    expect(named(program.dependencies.of(id("a.p")))).toEqual(["a.q"]);
    expect(named(program.dependencies.of(id("a.g")))).toEqual(["a.f"]);
    expect(named(program.dependencies.of(id("a.all")))).toEqual(["b.x", "b.y.z"]);
    expect(named(program.dependencies.of(id("a.some_b")))).toEqual(["b.x", "b.y.z"]);
    expect(named(program.dependencies.on(id("a.q")))).toEqual(["a.f", "a.p"]);
  });

  test("come first in the order", () => {
    const order = program.order.map(({ compiled }) => compiled.groundPath.join("."));
    expect(order.indexOf("a.r")).toBeLessThan(order.indexOf("a.q"));
    expect(order.indexOf("a.q")).toBeLessThan(order.indexOf("a.p"));
    expect(order.indexOf("b.y.z")).toBeLessThan(order.indexOf("a.all"));
  });
});

test("what `with` replaces is known", () => {
  const { withTargets } = programOf(
    "package a\nf(x) := x\np if { input.x with input.x as 1; data.b.c with data.b as {}; f(1) with f as 2; count([]) with count as 3 }",
  );
  expect(withTargets).toEqual({
    input: true,
    data: [["b"]],
    functions: new Set(["data.a.f"]),
    builtins: new Set(["count"]),
  });
});

describe("queries", () => {
  test("report their variables by the names they have there", () => {
    const { variables } = queryOf("x := 1; [y, _] = input.a; some z in [1]; count([w | w = z]) > 0");
    expect(variables.map(({ name }) => name)).toEqual(["x", "y", "z"]);
  });

  test("hold the value of each expression", () => {
    const { body, expressions } = queryOf("1 + 1");
    expect(bodyToText(body)).toBe("plus(1, 1, __localq0__)");
    expect(expressions.map(({ variable }) => variable)).toEqual(["__localq0__"]);
  });

  test("of several literals demand that each holds", () => {
    const { body, expressions } = queryOf("x := 1; x == 2; not input.y");
    expect(bodyToText(body)).toBe("__localq1__ = 1; equal(__localq1__, 2, __localq0__); not input.y; __localq0__");
    expect(expressions.map(({ variable }) => variable)).toEqual([undefined, "__localq0__", undefined]);
  });

  test("know the rules of a package and imports when told to", () => {
    const program = programOf("package a.b\np := 1");
    const context = parseModule({ file: "", text: "package a.b\nimport input.user as u" });
    if (context.diagnostics !== undefined) throw new Error("context");
    const {
      package: { path },
      imports,
    } = context.value;
    const { body } = queryOf("x = p; y = u.name", program, { package: path, imports });
    expect(bodyToText(body)).toBe("x = data.a.b.p; y = input.user.name");
  });

  test("say what they replace", () => {
    expect(queryOf("count([]) with count as 1").withTargets.builtins).toEqual(new Set(["count"]));
  });
});

describe("size", () => {
  test("ten thousand rules, reading each other's packages", () => {
    const many = Array.from({ length: 5000 }, (_, i) => `p${i} if input.x == ${i}`).join("\n");
    const readers = Array.from({ length: 5000 }, (_, i) => `q${i} if data.a[input.k${i}]`).join("\n");
    const started = performance.now();
    const { rules } = programOf([`package a\n${many}`, `package b\n${readers}`]);
    expect(rules).toHaveLength(10_000);
    // Quadratic work would take minutes; the bound is far above what a busy machine needs.
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  test("long chains of rules, and deep nesting", () => {
    const chain = ["r0 := 1", ...Array.from({ length: 5000 }, (_, i) => `r${i + 1} := r${i}`)].join("\n");
    expect(programOf(`package a\n${chain}`).order).toHaveLength(5001);
    const nested = `p := ${"[x | x := ".repeat(40)}input.x${"]".repeat(40)}`;
    expect(programOf(`package a\n${nested}`).rules).toHaveLength(1);
  });

  test("a long body in the wrong order", () => {
    const body = Array.from({ length: 500 }, (_, i) => `x${i} = x${i + 1} + 1`).join("\n  ");
    const [rule] = programOf(`package a\np if {\n  ${body}\n  x500 = 1\n}`).rules;
    expect(termToText(rule?.rule.head.reference as never)).toBe("p");
  });
});
