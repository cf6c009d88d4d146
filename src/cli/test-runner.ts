import { type EvaluateOptions, EvalError, evaluateWithIo, type Policy, TEST_CASE_NOTE } from "../rego/engine/index.ts";
import {
  isArray,
  isJsonObject,
  isObject,
  parseJson,
  sortedKeys,
  toJsonValue,
  type Value,
} from "../rego/value/index.ts";
import { fromEvalError, locationDocument, type OutputError } from "./failure.ts";
import { cliIo } from "./io.ts";
import type { Document } from "./output.ts";
import { runtimeInfo } from "./runtime-info.ts";
import type { TestCase } from "./test-cases.ts";
import { Recorder } from "./trace.ts";

/** One case of a table-driven test, with the cases below it. */
export interface CaseResult {
  readonly name: string;
  fails: boolean;
  readonly below: Map<string, CaseResult>;
}

export interface TestResult {
  readonly test: TestCase;
  readonly outcome: "PASS" | "FAIL" | "SKIPPED" | "ERROR";
  readonly error: OutputError | undefined;
  readonly durationNs: number;
  /** What the test printed. */
  readonly output: string;
  readonly cases: ReadonlyMap<string, CaseResult>;
  /** The expressions that never held, for people. */
  readonly trace: string;
}

export interface RunOptions {
  readonly timeoutMs: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Listens to all tests, for coverage. */
  readonly recorder: Recorder | undefined;
  /** Say what failed in failing tests. */
  readonly traced: boolean;
}

export async function runTest(policy: Policy, test: TestCase, options: RunOptions): Promise<TestResult> {
  const nothing = { test, error: undefined, durationNs: 0, output: "", cases: new Map(), trace: "" };
  if (test.isSkipped) return { ...nothing, outcome: "SKIPPED" };
  const lines: string[] = [];
  const notes = new Set<string>();
  const recorder = options.recorder ?? (options.traced ? new Recorder() : undefined);
  const evaluation: EvaluateOptions = {
    deadlineMs: Date.now() + options.timeoutMs,
    runtime: runtimeInfo(options.env),
    env: options.env,
    print: (line) => lines.push(line),
    note: (message) => notes.add(message),
    ...(recorder !== undefined && { tracer: recorder }),
  };
  const started = performance.now();
  let value: Value | undefined;
  let error: OutputError | undefined;
  try {
    const [solution] = await evaluateWithIo(policy.entrypoint(test.path), evaluation, cliIo);
    value = solution?.expressions[0]?.value;
  } catch (thrown) {
    if (!(thrown instanceof EvalError)) throw thrown;
    error = fromEvalError(thrown);
  }
  const durationNs = Math.round((performance.now() - started) * 1e6);
  const cases = test.isTable && error === undefined ? casesOf(value, notes) : new Map<string, CaseResult>();
  const holds = test.isTable ? value !== undefined && ![...cases.values()].some(({ fails }) => fails) : value === true;
  const outcome = error !== undefined ? "ERROR" : holds ? "PASS" : "FAIL";
  const trace = outcome === "FAIL" && recorder !== undefined && options.traced ? recorder.failuresText() : "";
  return { test, outcome, error, durationNs, output: lines.map((line) => `${line}\n`).join(""), cases, trace };
}

/** Cases with a result, and cases that were reached and have none. */
function casesOf(value: Value | undefined, notes: ReadonlySet<string>): Map<string, CaseResult> {
  const cases = value === undefined ? new Map<string, CaseResult>() : resultsIn(value);
  for (const note of notes) {
    if (!note.startsWith(TEST_CASE_NOTE)) continue;
    const names = parseJson(note.slice(TEST_CASE_NOTE.length));
    if (isArray(names))
      addReached(
        cases,
        names.map((name) => (typeof name === "string" ? name : JSON.stringify(name))),
      );
  }
  return cases;
}

function resultsIn(value: Value): Map<string, CaseResult> {
  const results = new Map<string, CaseResult>();
  const json = toJsonValue(value);
  if (!isJsonObject(json)) return results;
  for (const key of sortedKeys(json)) {
    const member = json[key as string] as Value;
    const below = isObject(member) ? resultsIn(member) : new Map<string, CaseResult>();
    const fails = isObject(member) ? [...below.values()].some((result) => result.fails) : member !== true;
    results.set(key as string, { name: key as string, fails, below });
  }
  return results;
}

function addReached(cases: Map<string, CaseResult>, names: readonly string[]): boolean {
  const [name, ...rest] = names;
  if (name === undefined) return false;
  let result = cases.get(name);
  if (result === undefined) {
    result = { name, fails: true, below: new Map() };
    cases.set(name, result);
  }
  if (addReached(result.below, rest)) result.fails = true;
  return result.fails;
}

/** Cases in the order of their names, each before those below it. */
export function* allCases(
  cases: ReadonlyMap<string, CaseResult>,
  above: readonly string[] = [],
): Generator<readonly [readonly string[], CaseResult]> {
  for (const name of [...cases.keys()].sort()) {
    const result = cases.get(name) as CaseResult;
    const path = [...above, name];
    yield [path, result];
    yield* allCases(result.below, path);
  }
}

/** A result as `opa test --format json` shows it. */
export function resultDocument({ test, outcome, error, durationNs, output, cases }: TestResult): Document {
  return {
    location: locationDocument(test.at),
    package: test.package,
    name: test.name,
    error: error?.document,
    fail: outcome === "FAIL" ? true : undefined,
    skip: outcome === "SKIPPED" ? true : undefined,
    duration: durationNs,
    output: output === "" ? undefined : Buffer.from(output).toString("base64"),
    sub_results: cases.size === 0 ? undefined : casesDocument(cases),
  };
}

function casesDocument(cases: ReadonlyMap<string, CaseResult>): Document {
  const names = [...cases.keys()].sort();
  return Object.fromEntries(
    names.map((name) => {
      const { fails, below } = cases.get(name) as CaseResult;
      return [
        name,
        { name, fail: fails ? true : undefined, sub_results: below.size === 0 ? undefined : casesDocument(below) },
      ];
    }),
  );
}
