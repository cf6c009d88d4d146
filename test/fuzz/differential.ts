import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  CompileError,
  compile,
  EvalError,
  parseJson,
  toJsonText,
  toJsonValue,
  type Value,
} from "../../src/rego/index.ts";
import { nodeBuiltins } from "../../src/rego/node.ts";
import { valuesEqual } from "../../src/rego/value/index.ts";
import { OpaServer } from "./opa-server.ts";
import { generateProgram, type Program, programText, shrink } from "./rego-generator.ts";

/**
 * Differences that are not ours to mend. OPA fails with an internal error where it has let an unbound variable through and meets
 * it in another order than we do. And with early exit both stop at a rule's first success, we in the order of the text, OPA in that
 * of its rule index, so that one does not see what the rule's other definitions would have run into: told to go on, OPA must
 * answer as we do, or we as it does, asked with the rules in the opposite order.
 */
type Excused = "internal error" | "early exit";

/** What a program comes to, in a form in which two engines can be compared. */
type Outcome =
  | { readonly kind: "rejected"; readonly codes: string }
  | { readonly kind: "error"; readonly code: string }
  | { readonly kind: "result"; readonly value: Value | undefined };

export function ourOutcome(program: Program): Outcome {
  try {
    const policy = compile({
      modules: [{ file: "fuzz.rego", text: programText(program) }],
      data: document(program.data),
      builtins: nodeBuiltins,
    });
    const value = policy.entrypoint(["fuzz"]).value({ input: document(program.input) });
    return { kind: "result", value: value === undefined ? undefined : toJsonValue(value) };
  } catch (error) {
    if (error instanceof CompileError)
      return { kind: "rejected", codes: codesOf(error.diagnostics.map(({ code }) => code)) };
    if (error instanceof EvalError)
      return {
        kind: "error",
        code: error.cause === undefined ? error.code : `${error.code}: ${error.message}`,
      };
    throw error;
  }
}

export async function opaOutcome(program: Program, opa: OpaServer): Promise<Outcome> {
  await opa.call("PUT", "/v1/data/base", JSON.stringify((program.data as { base: unknown }).base));
  const put = await opa.call("PUT", "/v1/policies/fuzz.rego", programText(program), "text/plain");
  if (put.status !== 200) {
    const { errors } = JSON.parse(put.text) as { errors?: { code: string }[] };
    return { kind: "rejected", codes: codesOf((errors ?? []).map(({ code }) => code)) };
  }
  const reply = await opa.call("POST", "/v1/data/fuzz", `{"input": ${JSON.stringify(program.input)}}`);
  const body = parseJson(reply.text) as {
    readonly result?: Value;
    readonly errors?: readonly { readonly code: string }[];
    readonly code?: string;
  };
  if (reply.status !== 200) return { kind: "error", code: body.errors?.[0]?.code ?? body.code ?? String(reply.status) };
  return { kind: "result", value: body.result };
}

function codesOf(codes: readonly string[]): string {
  return [...new Set(codes)].sort().join();
}

function document(value: unknown): Value {
  return parseJson(JSON.stringify(value));
}

function same(a: Outcome, b: Outcome): boolean {
  if (a.kind === "result" && b.kind === "result")
    return a.value === undefined || b.value === undefined ? a.value === b.value : valuesEqual(a.value, b.value);
  return show(a) === show(b) && a.kind === b.kind;
}

function show(outcome: Outcome): string {
  return outcome.kind === "result"
    ? outcome.value === undefined
      ? "undefined"
      : toJsonText(outcome.value)
    : JSON.stringify(outcome);
}

/** Why a difference is none, if there is a reason. */
async function excuse(program: Program, ours: Outcome, theirs: Outcome, binary: string): Promise<Excused | undefined> {
  if (theirs.kind === "error" && /^(eval_)?internal_error$/.test(theirs.code) && ours.kind !== "rejected")
    return "internal error";
  const isConflict = (outcome: Outcome): boolean => outcome.kind === "error" && outcome.code === "eval_conflict_error";
  if (isConflict(theirs) && ours.kind === "result")
    return isConflict(ourOutcome({ ...program, rules: program.rules.toReversed() })) ? "early exit" : undefined;
  if (!isConflict(ours) || theirs.kind !== "result") return undefined;
  return (await outcomeWithoutEarlyExit(program, binary)) === "eval_conflict_error" ? "early exit" : undefined;
}

/** The code of OPA's error when it evaluates everything. */
async function outcomeWithoutEarlyExit(program: Program, binary: string): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "differential-"));
  try {
    await writeFile(join(folder, "fuzz.rego"), programText(program));
    await writeFile(join(folder, "data.json"), JSON.stringify(program.data));
    await writeFile(join(folder, "input.json"), JSON.stringify(program.input));
    const flags = ["--disable-early-exit", "--format=json", `--input=${join(folder, "input.json")}`];
    const files = ["fuzz.rego", "data.json"].map((file) => `--data=${join(folder, file)}`);
    const { stdout } = spawnSync(binary, ["eval", ...flags, ...files, "data.fuzz"], { encoding: "utf8" });
    const { errors } = JSON.parse(stdout) as { readonly errors?: readonly { readonly code: string }[] };
    return errors?.[0]?.code;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Greedy shrinking: the first smaller program that still differs, again and again. */
async function smallest(program: Program, opa: OpaServer): Promise<Program> {
  let current = program;
  for (let round = 0; round < 200; round++) {
    let smaller: Program | undefined;
    for (const candidate of shrink(current)) {
      if (!same(ourOutcome(candidate), await opaOutcome(candidate, opa))) {
        smaller = candidate;
        break;
      }
    }
    if (smaller === undefined) return current;
    current = smaller;
  }
  return current;
}

export interface DifferentialReport {
  readonly programs: number;
  readonly rejected: number;
  readonly errors: number;
  readonly excused: Readonly<Record<Excused, number>>;
  readonly differences: readonly { readonly seed: number; readonly text: string }[];
}

/** Runs generated programs through both engines. Stops after a few differences, each made as small as it gets. */
export async function runDifferential(options: {
  opa: string;
  programs: number;
  seed: number;
  maxDifferences?: number;
  progress?: (done: number) => void;
}): Promise<DifferentialReport> {
  const opa = await OpaServer.start(options.opa);
  const differences: { seed: number; text: string }[] = [];
  const excused: Record<Excused, number> = { "internal error": 0, "early exit": 0 };
  let rejected = 0;
  let errors = 0;
  let programs = 0;
  try {
    for (; programs < options.programs && differences.length < (options.maxDifferences ?? 5); programs++) {
      const seed = options.seed + programs;
      const program = generateProgram(seed);
      const [ours, theirs] = [ourOutcome(program), await opaOutcome(program, opa)];
      if (theirs.kind === "rejected") rejected++;
      if (theirs.kind === "error") errors++;
      const reason = same(ours, theirs) ? undefined : await excuse(program, ours, theirs, options.opa);
      if (reason !== undefined) excused[reason]++;
      else if (!same(ours, theirs)) {
        const small = await smallest(program, opa);
        const [a, b] = [ourOutcome(small), await opaOutcome(small, opa)];
        differences.push({
          seed,
          text: `${programText(small)}\ninput: ${JSON.stringify(small.input)}\ndata: ${JSON.stringify(small.data)}\nours: ${show(a)}\nopa:  ${show(b)}\n`,
        });
      }
      if (programs % 500 === 499) options.progress?.(programs + 1);
    }
  } finally {
    opa.stop();
  }
  return { programs, rejected, errors, excused, differences };
}

if (process.argv[1] !== undefined && /differential/.test(process.argv[1])) {
  const { values } = parseArgs({
    options: {
      opa: { type: "string", default: "opa" },
      programs: { type: "string", default: "20000" },
      seed: { type: "string", default: "1" },
      max: { type: "string", default: "5" },
    },
  });
  const report = await runDifferential({
    opa: values.opa,
    programs: Number(values.programs),
    seed: Number(values.seed),
    maxDifferences: Number(values.max),
    progress: (done) => console.error(`${done} programs`),
  });
  for (const { seed, text } of report.differences) console.log(`--- seed ${seed}\n${text}`);
  console.log(
    `${report.programs} programs (${report.rejected} rejected by the compiler, ${report.errors} failed at run time), ${report.differences.length} differences; OPA's internal errors: ${report.excused["internal error"]}, hidden by its early exit: ${report.excused["early exit"]}`,
  );
  process.exit(report.differences.length === 0 ? 0 : 1);
}
