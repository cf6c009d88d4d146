import {
  arg,
  compile,
  CompileError,
  defineBuiltin,
  EvalError,
  type IoAnswer,
  operands,
  result,
  types,
} from "../../src/rego/index.ts";
import { nodeBuiltins } from "../../src/rego/node.ts";
import {
  compareValues,
  RegoSet,
  setOwn,
  toJsonValue,
  toRegoText,
  type Value,
  valuesEqual,
} from "../../src/rego/value/index.ts";
import type { RegoCase } from "./cases.ts";

/** OPA's harness declares this one; it only has to exist. */
const testSleep = defineBuiltin({
  name: "test.sleep",
  category: "test",
  about: "Does nothing for a while.",
  args: [arg("duration", operands.string, "how long")],
  result: result("output", types.null, "null"),
  call: () => null,
});

const builtins = [...nodeBuiltins, testSleep];

/** The only name the cases look up. */
const ANSWERS: ReadonlyMap<string, IoAnswer> = new Map([
  ["net.lookup_ip_addr\0localhost", { value: RegoSet.of(["127.0.0.1"]) }],
]);

/** Runs one case as OPA's own runner does. Returns what is wrong, or undefined. */
export function runRegoCase(tc: RegoCase, version: "v0" | "v1"): string | undefined {
  let solutions: readonly Value[];
  try {
    const policy = compile({
      modules: tc.modules.map((text, i) => ({ file: `test-${i}.rego`, text })),
      version,
      data: tc.data ?? {},
      builtins,
    });
    const input =
      tc.inputTerm === undefined ? tc.input : compile({ modules: [], builtins }).query(tc.inputTerm).value();
    const rows = policy.query(tc.query).evaluate({
      strictBuiltinErrors: tc.strictError,
      env: tc.env,
      answers: ANSWERS,
      ...(input !== undefined && { input }),
    });
    solutions = rows.map((row) => toJsonValue(row.bindings));
  } catch (error) {
    if (error instanceof CompileError) return `does not compile: ${error.message}`;
    if (!(error instanceof EvalError)) throw error;
    if (tc.wantErrorCode === undefined && tc.wantError === undefined)
      return `${error}${error.cause instanceof Error && error.code === "eval_internal_error" ? ` ${error.cause.stack}` : ""}`;
    if (tc.wantErrorCode !== undefined && error.code !== tc.wantErrorCode)
      return `want ${tc.wantErrorCode}, got ${error}`;
    if (tc.wantError !== undefined && !error.toString().includes(tc.wantError))
      return `want error ${JSON.stringify(tc.wantError)}, got ${error}`;
    return undefined;
  }
  if (tc.wantErrorCode !== undefined || tc.wantError !== undefined)
    return `want ${tc.wantErrorCode ?? tc.wantError}, got ${solutions.map(toRegoText).join(" ")}`;
  if (tc.wantResult === undefined) return undefined;
  const want = asSet(tc.wantResult, tc.sortBindings);
  const got = asSet(solutions, tc.sortBindings);
  return valuesEqual(want, got) ? undefined : `want ${toRegoText(want)}, got ${toRegoText(got)}`;
}

/** Binding rows as a set; generated variables left out; arrays sorted where the case asks for it. */
function asSet(rows: readonly Value[], sortBindings: boolean): RegoSet {
  return RegoSet.of(
    rows.map((row) => {
      const kept: Record<string, Value> = {};
      for (const [name, value] of Object.entries(row as { readonly [name: string]: Value })) {
        if (name.startsWith("__local")) continue;
        setOwn(kept, name, sortBindings && Array.isArray(value) ? [...value].sort(compareValues) : value);
      }
      return kept;
    }),
  );
}
