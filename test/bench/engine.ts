import { compile, parseJson, toJsonText, toJsonValue, type Value } from "../../src/rego/index.ts";
import { nodeBuiltins } from "../../src/rego/node.ts";
import { type BenchPolicy, POLICIES } from "./policies.ts";
import { measure, type Timing } from "./timing.ts";

export interface EngineFigure {
  readonly name: string;
  readonly compileMs: number;
  readonly evaluation: Timing;
}

/** Evaluation time of each policy of the suite, warm. Throws where an answer is wrong. */
export function benchEngine(only?: RegExp): readonly EngineFigure[] {
  return POLICIES.filter((policy) => only === undefined || only.test(policy.name)).map(benchPolicy);
}

function benchPolicy(policy: BenchPolicy): EngineFigure {
  const started = performance.now();
  const compiled = compile({
    modules: policy.modules.map((text, i) => ({ file: `bench-${i}.rego`, text })),
    version: policy.version ?? "v1",
    data: value(policy.data ?? {}),
    builtins: nodeBuiltins,
  });
  const query = compiled.entrypoint(policy.entrypoint);
  const compileMs = performance.now() - started;
  const input = value(policy.input);
  const got = query.value({ input });
  if (got === undefined || !isWanted(policy, toJsonValue(got)))
    throw new Error(`${policy.name}: got ${got === undefined ? "undefined" : toJsonText(got)}`);
  return { name: policy.name, compileMs, evaluation: measure(() => query.value({ input })) };
}

/** Whether an answer, as a JSON document, is the one a policy must give. */
export function isWanted(policy: BenchPolicy, got: Value): boolean {
  return sameAnswer(got, value(policy.want));
}

/** Sets come out as arrays without duplicates. */
function sameAnswer(got: Value, want: Value): boolean {
  if (!Array.isArray(want)) return toJsonText(got) === toJsonText(want);
  const texts = (list: readonly Value[]): string => [...new Set(list.map(toJsonText))].sort().join();
  return Array.isArray(got) && texts(got) === texts(want);
}

function value(document: unknown): Value {
  return parseJson(JSON.stringify(document));
}
