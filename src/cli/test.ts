import type { Policy } from "../rego/engine/index.ts";
import type { Command } from "./command.ts";
import { CommandError } from "./command-error.ts";
import { failureText } from "./failure.ts";
import { type Flag, type FlagValues, UsageError } from "./flags.ts";
import { durationText, prettyJson } from "./output.ts";
import {
  compileModules,
  extensionsFor,
  parseModules,
  type PolicySettings,
  VERSION_FLAGS,
  versionOf,
} from "./program.ts";
import { restrictionFlags, restrictionsOf } from "./restrictions.ts";
import type { Terminal } from "./terminal.ts";
import { discoverTests, type TestCase } from "./test-cases.ts";
import { allCases, resultDocument, runTest, type TestResult } from "./test-runner.ts";
import { Recorder } from "./trace.ts";
import { BUNDLE_FLAG, FORMAT_FLAG, IGNORE_FLAG, MAX_ERRORS_FLAG, TARGET_FLAG, checkTarget } from "./usual-flags.ts";

const FLAGS: readonly Flag[] = [
  ...VERSION_FLAGS,
  ...restrictionFlags,
  { name: "bench", kind: "bool", about: "benchmark the unit tests (refused)", hidden: true },
  BUNDLE_FLAG,
  { name: "count", kind: "int", default: "1", about: "number of times to repeat each test" },
  { name: "coverage", short: "c", kind: "bool", about: "report coverage (overrides debug tracing)" },
  { name: "exit-zero-on-skipped", short: "z", kind: "bool", about: "skipped tests return status 0" },
  {
    name: "explain",
    kind: "enum",
    values: ["fails", "full", "notes", "debug"],
    default: "fails",
    about: "accepted for compatibility: verbose output shows what failed",
    hidden: true,
  },
  { name: "fail-on-empty", kind: "bool", about: "fail when no test was run" },
  FORMAT_FLAG,
  IGNORE_FLAG,
  MAX_ERRORS_FLAG,
  {
    name: "parallel",
    short: "p",
    kind: "int",
    about: "accepted for compatibility: tests run one after the other",
    hidden: true,
  },
  { name: "run", short: "r", kind: "string", about: "run only test cases matching the regular expression" },
  {
    name: "sort",
    kind: "enum",
    values: ["none", "duration"],
    default: "none",
    about: "sort the JSON formatted test output",
  },
  TARGET_FLAG,
  {
    name: "threshold",
    kind: "string",
    about: "set coverage threshold and exit with non-zero status if coverage is less than threshold %",
  },
  { name: "timeout", kind: "duration", default: "5s", about: "set test timeout" },
  { name: "var-values", kind: "bool", about: "accepted for compatibility", hidden: true },
  { name: "verbose", short: "v", kind: "bool", about: "set verbose reporting mode" },
  { name: "watch", short: "w", kind: "bool", about: "watch command line files for changes (refused)", hidden: true },
];

export const testCommand: Command = {
  usage: "test <path> [path [...]]",
  about: "Execute Rego test cases",
  help: `Execute Rego test cases.

Rules whose names begin with test_ are tests: they pass when they are true. Tests named todo_test_… are skipped. A test
with a key in its name (test_table[name]) is a table of cases, one for each member of its document.

Exits with 0 when all tests pass, with 2 when some do not, and with 1 when they cannot be run.`,
  flags: FLAGS,
  run: test,
};

async function test(values: FlagValues, terminal: Terminal): Promise<number> {
  const threshold = checkUsage(values);
  const settings: PolicySettings = {
    version: versionOf(values),
    annotations: true,
    errorLimit: values.int("max-errors"),
    ...(await restrictionsOf(values)),
  };
  let policy: Policy;
  let tests: readonly TestCase[];
  try {
    const { loadPaths } = await import("../policy/index.ts");
    const files = await loadPaths(values.positional, { ignore: values.list("ignore"), bundle: values.bool("bundle") });
    const found = discoverTests(parseModules(files.modules, settings));
    policy = compileModules(found.modules, files.data, { ...settings, extensions: await extensionsFor(files) });
    tests = await selectTests(found.tests, values.string("run"));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    terminal.err(`${failureText(error)}\n`);
    return 1;
  }
  return report(policy, tests, values, threshold, terminal);
}

function checkUsage(values: FlagValues): number {
  if (values.positional.length === 0) throw new UsageError("specify at least one file");
  if (values.bool("bench"))
    throw new UsageError("benchmarks are not supported: use `cardea eval --count` with `--metrics`");
  if (values.bool("watch")) throw new UsageError("watching is not supported: run the command again");
  checkTarget(values);
  const threshold = Number(values.string("threshold") ?? "0");
  if (!(threshold >= 0 && threshold <= 100)) throw new UsageError("Code coverage threshold must be between 0 and 100");
  return threshold;
}

/** Tests whose full names match. The syntax is RE2's, as in OPA. */
async function selectTests(tests: readonly TestCase[], pattern: string | undefined): Promise<readonly TestCase[]> {
  if (pattern === undefined || pattern === "") return tests;
  const { RE2JS } = await import("re2js");
  try {
    const expression = RE2JS.compile(pattern);
    return tests.filter((candidate) => expression.matcher(`${candidate.package}.${candidate.name}`).find());
  } catch (error) {
    throw new CommandError(`error parsing regexp: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

async function report(
  policy: Policy,
  tests: readonly TestCase[],
  values: FlagValues,
  threshold: number,
  terminal: Terminal,
): Promise<number> {
  const covers = values.bool("coverage") || threshold > 0;
  const recorder = covers ? new Recorder() : undefined;
  const isVerbose = values.bool("verbose");
  const isJson = values.string("format") === "json";
  const options = {
    timeoutMs: values.duration("timeout") ?? 0,
    env: terminal.env,
    recorder,
    traced: isVerbose && !covers,
  };
  let exitCode = 0;
  for (let i = 0; i < Math.max(1, values.int("count")) && exitCode === 0; i++) {
    const results: TestResult[] = [];
    const lines = new PrettyReport(terminal, isVerbose);
    for (const candidate of tests) {
      const result = await runTest(policy, candidate, options);
      results.push(result);
      if (!isJson && !covers) lines.add(result);
    }
    if (isJson && !covers) terminal.out(prettyJson(inOrder(results, values.string("sort")).map(resultDocument)));
    else if (!covers) lines.finish();
    const failed = results.some(
      ({ outcome }) =>
        outcome === "FAIL" || outcome === "ERROR" || (outcome === "SKIPPED" && !values.bool("exit-zero-on-skipped")),
    );
    if (failed) exitCode = 2;
    if (covers) exitCode = reportCoverage(policy, recorder as Recorder, results, threshold, terminal) ?? exitCode;
  }
  if (tests.length === 0 && values.bool("fail-on-empty")) {
    terminal.err("no tests were run\n");
    return 1;
  }
  return exitCode;
}

function inOrder(results: readonly TestResult[], sort: string | undefined): readonly TestResult[] {
  return sort === "duration" ? [...results].sort((a, b) => b.durationNs - a.durationNs) : results;
}

/** The exit code, where it is not that of the tests. */
function reportCoverage(
  policy: Policy,
  recorder: Recorder,
  results: readonly TestResult[],
  threshold: number,
  terminal: Terminal,
): number | undefined {
  const failures = results.filter(({ outcome }) => outcome === "FAIL" || outcome === "ERROR");
  if (failures.length > 0) {
    for (const failure of failures) terminal.out(`${resultLine(failure)}\n`);
    return 1;
  }
  const coverage = recorder.coverage(policy);
  if (coverage.percent < threshold) {
    terminal.err(
      `Code coverage threshold not met: got ${coverage.percent.toFixed(2)} instead of ${threshold.toFixed(2)}\n`,
    );
    return 2;
  }
  terminal.out(prettyJson(coverage.document));
  return undefined;
}

function resultLine({ test: { package: name, name: rule }, outcome, durationNs }: TestResult): string {
  return `${name}.${rule}: ${outcome}${outcome === "SKIPPED" ? "" : ` (${durationText(durationNs)})`}`;
}

const RULER = `${"-".repeat(80)}\n`;

/** The report for people; tests show as they end. */
class PrettyReport {
  readonly #terminal: Terminal;
  readonly #isVerbose: boolean;
  readonly #failures: TestResult[] = [];
  readonly #counts = { PASS: 0, FAIL: 0, SKIPPED: 0, ERROR: 0 };
  #lastFile = "";
  #isDirty = false;

  constructor(terminal: Terminal, isVerbose: boolean) {
    this.#terminal = terminal;
    this.#isVerbose = isVerbose;
  }

  add(result: TestResult): void {
    this.#count(result);
    if (result.outcome === "FAIL") this.#failures.push(result);
    if (result.outcome === "PASS" && !this.#isVerbose) return;
    this.#isDirty = true;
    const { file, row } = { file: result.test.at.source.name, row: result.test.at.row };
    if (this.#lastFile !== "" && this.#lastFile !== file) this.#line();
    this.#lastFile = file;
    this.#line(`${file}:${row}:`);
    this.#line(resultLine(result));
    for (const [path, { name, fails }] of allCases(result.cases)) {
      if (fails || this.#isVerbose) this.#line(`${"  ".repeat(path.length)}${name}: ${fails ? "FAIL" : "PASS"}`);
    }
    if (result.output !== "") this.#line(`\n${indented(result.output.trim())}\n`);
    if (result.error !== undefined) this.#line(`  ${result.error.text}`);
  }

  #count({ outcome, cases }: TestResult): void {
    if (outcome === "SKIPPED" || outcome === "ERROR" || cases.size === 0) this.#counts[outcome]++;
    else {
      // Only cases without cases below them count.
      for (const [, { fails, below }] of allCases(cases)) if (below.size === 0) this.#counts[fails ? "FAIL" : "PASS"]++;
    }
  }

  finish(): void {
    if (this.#counts.FAIL > 0 && this.#isVerbose) {
      this.#terminal.out(`${RULER}FAILURES\n${RULER}`);
      for (const failure of this.#failures) {
        this.#line(`${resultLine(failure)}\n\n${failure.trace === "" ? "" : `${indented(failure.trace.trimEnd())}\n`}`);
        for (const [path, { name, fails, below }] of allCases(failure.cases)) {
          if (fails && below.size === 0) this.#line(`${"  ".repeat(path.length)}${name}: FAIL\n`);
        }
      }
    }
    if (this.#isDirty) this.#terminal.out(RULER);
    const total = Object.values(this.#counts).reduce((sum, count) => sum + count, 0);
    for (const [name, count] of Object.entries(this.#counts)) if (count > 0) this.#line(`${name}: ${count}/${total}`);
  }

  #line(text = ""): void {
    this.#terminal.out(`${text}\n`);
  }
}

function indented(text: string): string {
  return text
    .split("\n")
    .map((line) => (line === "" ? line : `  ${line}`))
    .join("\n");
}
