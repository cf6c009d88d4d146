import { generateProgram, generateQuery } from "../../src/rego/codegen/index.ts";
import { compileModules, compileQuery } from "../../src/rego/compile/index.ts";
import { callables } from "../../src/rego/engine/compiled-modules.ts";
import { type Builtin, signatureOf } from "../../src/rego/builtins/index.ts";
import { Evaluation, Session } from "../../src/rego/runtime/index.ts";
import { parseModule, parseQuery } from "../../src/rego/syntax/index.ts";
import type { Value } from "../../src/rego/value/index.ts";

export type Answer = (input: Value | undefined) => Value | undefined;

/** Modules compiled by the same road as the engine's, optimised or not; answers what the query's value is. */
export function buildOf(
  {
    modules,
    query,
    data,
    builtins,
  }: { modules: readonly string[]; query: string; data: Value; builtins: readonly Builtin[] },
  optimised: boolean,
): Answer {
  const parsed = modules.map((text, i) => must(parseModule({ file: `p${i}.rego`, text }, { version: "v1" }).value));
  const compiled = compileModules(parsed, {
    signatures: new Map(builtins.map((builtin) => [builtin.name, signatureOf(builtin)] as const)),
  });
  if ("diagnostics" in compiled) throw new Error(compiled.diagnostics.map(({ message }) => message).join("\n"));
  const { withTargets } = compiled.program;
  const program = generateProgram(compiled.program, {
    builtins: callables(builtins),
    replaceable: {
      data: withTargets.data,
      functions: new Set([...withTargets.builtins, ...withTargets.functions]),
    },
    traced: false,
    optimised,
  });
  const asked = compileQuery(must(parseQuery(query, {}).value), compiled.program, {});
  if ("diagnostics" in asked) throw new Error(asked.diagnostics.map(({ message }) => message).join("\n"));
  const variable = must(asked.query.expressions[0]?.variable);
  const run = generateQuery(asked.query, program, [variable]);
  return (input) => {
    let answer: Value | undefined;
    run(new Evaluation(new Session({ nowNs: 1_790_000_000_000_000_000n }), input, data), ([value]) => {
      answer ??= value;
    });
    return answer;
  };
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("does not parse");
  return value;
}
