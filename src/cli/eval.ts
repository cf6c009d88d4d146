import { type EvaluateOptions, evaluateWithIo, type Policy, type Query, type Solution } from "../rego/engine/index.ts";
import { parseQuery } from "../rego/syntax/index.ts";
import type { Value } from "../rego/value/index.ts";
import type { Command } from "./command.ts";
import { CommandError } from "./command-error.ts";
import { errorsText, fromEvalError, type OutputError, outputErrors } from "./failure.ts";
import { type Flag, type FlagValues, UsageError } from "./flags.ts";
import { cliIo } from "./io.ts";
import { type Document, durationText, jsonText, limited, prettyJson, sorted, tableText } from "./output.ts";
import { readDocument, readTextFile } from "./documents.ts";
import { compilePolicy, extensionsFor, LOADING_FLAGS, loadFiles, VERSION_FLAGS, versionOf } from "./program.ts";
import { restrictionFlags, restrictionsOf } from "./restrictions.ts";
import { runtimeInfo } from "./runtime-info.ts";
import type { Terminal } from "./terminal.ts";
import { statistics, Timers } from "./timers.ts";
import { type ProfileEntry, Recorder } from "./trace.ts";
import { checkTarget, TARGET_FLAG } from "./usual-flags.ts";

const FORMATS = ["json", "values", "bindings", "pretty", "source", "raw", "discard"] as const;

const FLAGS: readonly Flag[] = [
  ...LOADING_FLAGS,
  ...VERSION_FLAGS,
  ...restrictionFlags,
  { name: "count", kind: "int", default: "1", about: "number of times to repeat each benchmark" },
  { name: "coverage", kind: "bool", about: "report coverage" },
  {
    name: "explain",
    kind: "enum",
    values: ["off", "full", "notes", "fails", "debug"],
    default: "off",
    about: "enable query explanations",
  },
  { name: "fail", kind: "bool", about: "exits with non-zero exit code on undefined/empty result and errors" },
  { name: "fail-defined", kind: "bool", about: "exits with non-zero exit code on defined/non-empty result and errors" },
  { name: "format", short: "f", kind: "enum", values: FORMATS, default: "json", about: "set output format" },
  { name: "import", kind: "list", about: "set query import(s). This flag can be repeated." },
  { name: "input", short: "i", kind: "string", about: "set input file path" },
  { name: "instrument", kind: "bool", about: "enable query instrumentation metrics (implies --metrics)" },
  { name: "metrics", kind: "bool", about: "report query performance metrics" },
  { name: "package", kind: "string", about: "set query package" },
  {
    name: "partial",
    short: "p",
    kind: "bool",
    about: "perform partial evaluation (refused: this engine compiles whole policies)",
  },
  { name: "pretty-limit", kind: "int", default: "80", about: "set limit after which pretty output gets truncated" },
  { name: "profile", kind: "bool", about: "perform expression profiling" },
  { name: "profile-limit", kind: "int", default: "10", about: "set number of profiling results to show" },
  {
    name: "profile-sort",
    kind: "list",
    about: "set sort order of expression profiler results: total_time_ns, num_eval, num_redo, num_gen_expr, file, line",
  },
  {
    name: "show-builtin-errors",
    kind: "bool",
    about: "collect and return all encountered built-in errors, built in errors are not fatal",
  },
  { name: "stdin", kind: "bool", about: "read query from stdin" },
  { name: "stdin-input", short: "I", kind: "bool", about: "read input document from stdin" },
  { name: "strict", short: "S", kind: "bool", about: "enable compiler strict mode" },
  {
    name: "strict-builtin-errors",
    kind: "bool",
    about: "treat the first built-in function error encountered as fatal",
  },
  TARGET_FLAG,
  { name: "timeout", kind: "duration", about: "set eval timeout (default unlimited)" },
  {
    name: "unknowns",
    short: "u",
    kind: "list",
    default: "input",
    about: "set paths to treat as unknown during partial evaluation",
  },
  // Accepted: they tune what this engine does another way, and change no result.
  ...[
    "disable-early-exit",
    "disable-indexing",
    "nondeterminstic-builtins",
    "optimize-store-for-read-speed",
    "shallow-inlining",
    "var-values",
  ].map((name): Flag => ({ name, kind: "bool", about: "accepted for compatibility", hidden: true })),
  { name: "coverage-runs", kind: "slice", about: "accepted for compatibility", hidden: true },
  { name: "disable-inlining", kind: "list", about: "accepted for compatibility", hidden: true },
  { name: "entrypoint", short: "e", kind: "list", about: "accepted for compatibility", hidden: true },
  { name: "optimize", short: "O", kind: "int", about: "accepted for compatibility", hidden: true },
];

const HELP = `Evaluate a Rego query and print the result.

  $ cardea eval 'x := 1; y := 2; x < y'
  $ cardea eval --data policy.rego --input input.json 'data.policy.allow'
  $ cardea eval --bundle bundle.tar.gz 'data'

Output formats: json (all of the results), values (an array of values for each result), bindings (the variables of each
result), pretty (for people), raw (for scripts), discard (whether there is a result).`;

export const evalCommand: Command = {
  usage: "eval <query>",
  about: "Evaluate a Rego query",
  help: HELP,
  flags: FLAGS,
  run: evaluateCommand,
};

/** What one evaluation gave. */
interface Outcome {
  readonly solutions: readonly Solution[];
  readonly errors: readonly OutputError[];
  /** All errors are of builtins whose calls were undefined: no failure. */
  readonly harmless: boolean;
  readonly extras: Readonly<Record<string, Document>>;
}

async function evaluateCommand(values: FlagValues, terminal: Terminal): Promise<number> {
  checkUsage(values);
  const outcome = await evaluate(values, terminal);
  print(outcome, values, terminal);
  if (outcome.errors.length > 0 && !outcome.harmless) return 2;
  const isDefined = outcome.solutions.length > 0;
  return (values.bool("fail") && !isDefined) || (values.bool("fail-defined") && isDefined) ? 1 : 0;
}

function checkUsage(values: FlagValues): void {
  const { positional } = values;
  if (positional.length > 0 && values.bool("stdin"))
    throw new UsageError("specify query argument or --stdin but not both");
  if (positional.length === 0 && !values.bool("stdin")) throw new UsageError("specify query argument or --stdin");
  if (positional.length > 1) throw new UsageError("specify at most one query argument");
  if (values.bool("fail") && values.bool("fail-defined"))
    throw new UsageError("specify --fail or --fail-defined but not both");
  if (values.bool("partial"))
    throw new UsageError(
      "partial evaluation is not supported: this engine compiles whole policies to JavaScript (hint: leave out --partial and give the whole input by --input)",
    );
  if (values.string("format") === "source") throw new UsageError("invalid output format for evaluation");
  checkTarget(values);
  if (values.bool("strict-builtin-errors") && values.bool("show-builtin-errors")) {
    throw new UsageError(
      "cannot use --show-builtin-errors with --strict-builtin-errors, --strict-builtin-errors will return the first built-in error encountered immediately",
    );
  }
}

async function evaluate(values: FlagValues, terminal: Terminal): Promise<Outcome> {
  const text = values.bool("stdin") ? await terminal.input() : (values.positional[0] as string);
  const input = await readInput(values, terminal);
  const timeoutMs = values.duration("timeout") ?? 0;
  const count = Math.max(1, values.int("count"));
  const restrictions = await restrictionsOf(values);
  const recorder = recorderFor(values);
  const runs: Readonly<Record<string, number>>[] = [];
  let outcome: Outcome | undefined;
  for (let i = 0; i < count; i++) {
    const timers = new Timers();
    recorder?.clear();
    const builtinErrors: OutputError[] = [];
    const options: EvaluateOptions = {
      ...(input !== undefined && { input }),
      ...(timeoutMs > 0 && { deadlineMs: Date.now() + timeoutMs }),
      ...(recorder !== undefined && { tracer: recorder }),
      strictBuiltinErrors: values.bool("strict-builtin-errors"),
      runtime: runtimeInfo(terminal.env),
      env: terminal.env,
      print: (line) => terminal.err(`${line}\n`),
      note: (message) => recorder?.note(message),
      onBuiltinErrors: (errors) =>
        values.bool("show-builtin-errors") && builtinErrors.push(...errors.map(fromEvalError)),
    };
    let policy: Policy | undefined;
    let solutions: readonly Solution[] = [];
    let errors: readonly OutputError[] = [];
    try {
      const files = await loadFiles(values, timers);
      const extensions = await extensionsFor(files);
      policy = compilePolicy(
        files,
        { version: versionOf(values), strict: values.bool("strict"), annotations: true, extensions, ...restrictions },
        timers,
      );
      const query = prepare(policy, text, values, timers);
      const started = performance.now();
      try {
        solutions = await evaluateWithIo(query, options, cliIo);
      } finally {
        timers.add("rego_query_eval", started);
      }
    } catch (error) {
      if (error instanceof CommandError) throw error;
      errors = outputErrors(error);
    }
    outcome ??= {
      solutions,
      errors: [...errors, ...builtinErrors],
      harmless: errors.length === 0,
      extras: recorder === undefined ? {} : recorder.report(policy, values),
    };
    runs.push(timers.all());
  }
  return withMetrics(outcome as Outcome, runs, values);
}

async function readInput(values: FlagValues, terminal: Terminal): Promise<Value | undefined> {
  if (values.bool("stdin-input")) return readDocument(await terminal.input(), "stdin");
  const path = values.string("input");
  return path === undefined || path === "" ? undefined : readDocument(await readTextFile(path), path);
}

function recorderFor(values: FlagValues): Recorder | undefined {
  const explains = values.string("explain") !== "off";
  return explains || values.bool("profile") || values.bool("coverage") ? new Recorder() : undefined;
}

function prepare(policy: Policy, text: string, values: FlagValues, timers: Timers): Query {
  if (text === "") throw new Error("cannot evaluate empty query");
  let started = performance.now();
  parseQuery(text);
  timers.add("rego_query_parse", started);
  started = performance.now();
  const name = values.string("package");
  const query = policy.query(text, {
    imports: values.list("import"),
    ...(name !== undefined && name !== "" && { package: name }),
  });
  timers.add("rego_query_compile", started);
  return query;
}

function withMetrics(outcome: Outcome, runs: readonly Readonly<Record<string, number>>[], values: FlagValues): Outcome {
  const wanted = values.bool("metrics") || values.bool("instrument") || values.bool("profile");
  if (!wanted) return outcome;
  const [first = {}] = runs;
  if (runs.length === 1) return { ...outcome, extras: { metrics: first, ...outcome.extras } };
  const aggregated = Object.fromEntries(
    Object.keys(first).map((name) => [name, statistics(runs.map((run) => run[name] ?? 0))]),
  );
  return { ...outcome, extras: { aggregated_metrics: aggregated, ...outcome.extras } };
}

// --- printing ---

function print(outcome: Outcome, values: FlagValues, terminal: Terminal): void {
  const { solutions, errors } = outcome;
  const format = values.string("format") as (typeof FORMATS)[number];
  switch (format) {
    case "json":
      terminal.out(prettyJson(resultDocument(outcome)));
      return;
    case "discard":
      terminal.out(prettyJson(discarded(outcome)));
      return;
    case "pretty":
      terminal.out(prettyText(outcome, values));
      if (errors.length > 0) terminal.err(`${errorsText(errors)}\n`);
      return;
    default:
      break;
  }
  if (errors.length > 0) {
    terminal.err(`${errorsText(errors)}\n`);
    return;
  }
  for (const solution of solutions) {
    const shown = solution.expressions.map(({ value }) => value);
    if (format === "values") terminal.out(prettyJson(shown.map(sorted)));
    else if (format === "bindings") terminal.out(prettyJson(bindingsDocument(solution)));
    else
      terminal.out(
        `${shown.map((value) => (typeof value === "string" ? value : jsonText(sorted(value)))).join(" ")}\n`,
      );
  }
}

function resultDocument({ solutions, errors, extras }: Outcome): Document {
  return {
    errors: errors.length === 0 ? undefined : errors.map(({ document }) => document),
    result: solutions.length === 0 ? undefined : solutions.map(solutionDocument),
    ...extras,
  };
}

function discarded(outcome: Outcome): Document {
  const document = resultDocument(outcome) as Readonly<Record<string, Document>>;
  return sorted(
    JSON.parse(jsonText({ ...document, ...(document["result"] !== undefined && { result: "discarded" }) })) as Value,
  );
}

function solutionDocument(solution: Solution): Document {
  const hasBindings = Object.keys(solution.bindings).length > 0;
  return {
    expressions: solution.expressions.map(({ value, text, location }) => ({
      value: sorted(value),
      text,
      location: { row: location.row, col: location.col },
    })),
    ...(hasBindings && { bindings: bindingsDocument(solution) }),
  };
}

function bindingsDocument({ bindings }: Solution): Document {
  return sorted(bindings);
}

function prettyText(outcome: Outcome, values: FlagValues): string {
  const { solutions, errors, extras } = outcome;
  const limit = values.int("pretty-limit");
  const explanation = Recorder.explanationText(extras["explanation"]);
  const result = errors.length > 0 ? "" : solutions.length === 0 ? "undefined\n" : solutionsText(solutions, limit);
  return (
    explanation +
    result +
    metricsText(extras, limit) +
    profileText(extras["profile"] as readonly ProfileEntry[] | undefined) +
    coverageText(extras["coverage"])
  );
}

function solutionsText(solutions: readonly Solution[], limit: number): string {
  const [only] = solutions;
  if (solutions.length === 1 && only !== undefined && Object.keys(only.bindings).length === 0) {
    const { expressions } = only;
    if (expressions.length === 1 || expressions.every(({ value }) => typeof value === "boolean"))
      return prettyJson(sorted(expressions[0]?.value ?? null));
  }
  const columns = columnsOf(only as Solution);
  const rows = solutions.map((solution) =>
    columns.map(({ select }) => limited(jsonText(sorted(select(solution))), limit)),
  );
  return tableText(
    columns.map(({ name }) => name),
    rows,
  );
}

/** Expressions that are more than true, then variables by name. */
function columnsOf(
  first: Solution,
): readonly { readonly name: string; readonly select: (solution: Solution) => Value }[] {
  const names = Object.keys(first.bindings).sort();
  const variables = names.map((name) => ({ name, select: (solution: Solution) => solution.bindings[name] ?? null }));
  const expressions = first.expressions.flatMap(({ value, text }, i) =>
    typeof value === "boolean" && names.length > 0
      ? []
      : [{ name: text, select: (solution: Solution) => solution.expressions[i]?.value ?? null }],
  );
  return [...expressions, ...variables];
}

function metricsText(extras: Readonly<Record<string, Document>>, limit: number): string {
  const metrics = extras["metrics"] as Readonly<Record<string, number>> | undefined;
  if (metrics !== undefined) {
    return tableText(
      ["Metric", "Value"],
      Object.entries(metrics).map(([name, value]) => [name, limited(String(value), limit)]),
    );
  }
  const aggregated = extras["aggregated_metrics"] as
    | Readonly<Record<string, Readonly<Record<string, number>>>>
    | undefined;
  if (aggregated === undefined) return "";
  const keys = ["min", "max", "mean", "90%", "99%"];
  return tableText(
    ["Metric", "Min", "Max", "Mean", "90%", "99%"],
    Object.entries(aggregated).map(([name, numbers]) => [
      name,
      ...keys.map((key) => limited(String(numbers[key]), limit)),
    ]),
  );
}

function profileText(profile: readonly ProfileEntry[] | undefined): string {
  if (profile === undefined || profile.length === 0) return "";
  return tableText(
    ["Time", "Num Eval", "Num Redo", "Num Gen Expr", "Location"],
    profile.map((entry) => [
      durationText(entry.total_time_ns),
      String(entry.num_eval),
      String(entry.num_redo),
      String(entry.num_gen_expr),
      `${entry.location.file === "" ? "query" : entry.location.file}:${entry.location.row}`,
    ]),
  );
}

function coverageText(coverage: Document): string {
  if (coverage === undefined) return "";
  return tableText([], [["Overall Coverage", (coverage as { readonly coverage: number }).coverage.toFixed(2)]]);
}
