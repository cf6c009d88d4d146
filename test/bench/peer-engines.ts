import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseJson } from "../../src/rego/index.ts";
import { isWanted } from "./engine.ts";
import type { BenchPolicy } from "./policies.ts";
import { measure, type Timing } from "./timing.ts";

/** What another engine does with a policy of the suite: its time, or why it cannot run it. */
export type PeerOutcome = { readonly timing: Timing; readonly note?: string } | { readonly reason: string };

/** Measures one policy in an engine that is not ours. */
export interface PeerEngine {
  readonly name: string;
  measure(policy: BenchPolicy): Promise<PeerOutcome>;
}

const BATCHES = 3;
/** Pages of 64 KiB: the package's own default is too small for large policies. */
const MEMORY_PAGES = 256;

/** `opa bench`: a prepared query, warm, in Go. */
export function opaEngine(opa: string): PeerEngine {
  return {
    name: "opa",
    measure: async (policy) =>
      inFolder((folder) => {
        const { sources, input } = written(policy, folder);
        const query = `data.${policy.entrypoint.join(".")}`;
        const answer = JSON.parse(run(opa, ["eval", "--format=json", ...sources, "-i", input, query])) as {
          readonly result?: readonly { readonly expressions: readonly { readonly value: unknown }[] }[];
        };
        const wrong = mismatch(policy, answer.result?.[0]?.expressions[0]?.value);
        if (wrong !== undefined) return wrong;
        const times = Array.from({ length: BATCHES }, () => {
          const { N, T } = JSON.parse(run(opa, ["bench", "--format=json", ...sources, "-i", input, query])) as {
            readonly N: number;
            readonly T: number;
          };
          return T / N;
        }).sort((a, b) => a - b);
        return { timing: spreadOf(times) };
      }),
  };
}

/** The npm package opa-wasm with policies that `opa build -t wasm` compiles: the prepared policy, warm, in this process. */
export function wasmEngine(opa: string, folder: string): PeerEngine {
  const OPA_WASM = "@open-policy-agent/opa-wasm@1.10.0";
  const home = path.join(folder, "opa-wasm");
  if (!existsSync(path.join(home, "node_modules"))) {
    mkdirSync(home, { recursive: true });
    writeFileSync(path.join(home, "package.json"), "{}");
    run("npm", ["install", "--no-audit", "--no-fund", "--prefix", home, OPA_WASM]);
  }
  const entry = createRequire(path.join(home, "package.json")).resolve("@open-policy-agent/opa-wasm");
  return {
    name: "opa-wasm",
    measure: async (policy) => {
      const { default: api } = (await import(pathToFileURL(entry).href)) as { readonly default: OpaWasm };
      try {
        const loaded = await api.loadPolicy(compiledToWasm(opa, policy), { initial: MEMORY_PAGES });
        loaded.setData(policy.data ?? {});
        const [first] = loaded.evaluate(policy.input);
        return mismatch(policy, first?.result) ?? { timing: measure(() => loaded.evaluate(policy.input)) };
      } catch (error) {
        return { reason: messageOf(error) };
      }
    },
  };
}

function compiledToWasm(opa: string, policy: BenchPolicy): Uint8Array {
  return inFolder((folder) => {
    const bundle = path.join(folder, "bundle.tar.gz");
    const { modules } = written(policy, folder);
    run(opa, ["build", "-t", "wasm", "-e", policy.entrypoint.join("/"), "-o", bundle, ...modules]);
    run("tar", ["-xzf", bundle, "-C", folder, "--no-same-owner"]);
    return readFileSync(path.join(folder, "policy.wasm"));
  });
}

interface OpaWasm {
  loadPolicy(
    wasm: Uint8Array,
    memory: { readonly initial: number },
  ): Promise<{
    setData(data: unknown): void;
    evaluate(input: unknown): readonly { readonly result: unknown }[];
  }>;
}

/** The crate regorus: its faster evaluator, warm, in a program built here by cargo (test/bench/regorus). */
export function regorusEngine(folder: string): PeerEngine {
  const home = path.join(folder, "regorus");
  mkdirSync(home, { recursive: true });
  for (const file of ["Cargo.toml", "main.rs"]) {
    const [from, to] = [path.join("test/bench/regorus", file), path.join(home, file)] as const;
    // Building takes minutes: a file written anew would have cargo do it again.
    if (!existsSync(to) || !readFileSync(to).equals(readFileSync(from))) copyFileSync(from, to);
  }
  run("cargo", ["build", "--release", "--quiet", "--manifest-path", path.join(home, "Cargo.toml")]);
  const program = path.join(home, "target/release/regorus-bench");
  return {
    name: "regorus",
    measure: async (policy) => {
      const { name, modules, data = {}, input, entrypoint } = policy;
      const cases = [{ name, modules, data, input, rule: `data.${entrypoint.join(".")}` }];
      const { stdout, stderr } = spawnSync(program, {
        input: JSON.stringify(cases),
        encoding: "utf8",
        timeout: 120_000,
      });
      if (stdout === "") return { reason: stderr.trim() || "no answer" };
      const { outcomes } = JSON.parse(stdout) as { readonly outcomes: readonly RegorusOutcome[] };
      const timed = outcomes.flatMap((outcome) => {
        if ("error" in outcome || mismatch(policy, outcome.answer) !== undefined) return [];
        return [{ timing: outcome.timing, note: outcome.evaluator }];
      });
      timed.sort((a, b) => a.timing.medianNs - b.timing.medianNs);
      return timed[0] ?? { reason: outcomes.map((outcome) => failureOf(policy, outcome)).join("; ") };
    },
  };
}

type RegorusOutcome = { readonly evaluator: string } & (
  | { readonly timing: Timing; readonly answer: unknown }
  | { readonly error: string }
);

function failureOf(policy: BenchPolicy, outcome: RegorusOutcome): string {
  const why = "error" in outcome ? outcome.error : (mismatch(policy, outcome.answer)?.reason ?? "");
  const line = why.split("\n").find((text) => text.includes("error:")) ?? why;
  return `${outcome.evaluator}: ${line.replace(/^.*error: /, "").trim() || why.trim().replace(/\s+/g, " ")}`;
}

function mismatch(policy: BenchPolicy, answer: unknown): { readonly reason: string } | undefined {
  if (answer === undefined) return { reason: "no result" };
  const text = JSON.stringify(answer);
  return isWanted(policy, parseJson(text)) ? undefined : { reason: `another answer: ${text.slice(0, 80)}` };
}

function spreadOf(sorted: readonly number[]): Timing {
  return {
    medianNs: sorted[sorted.length >> 1] as number,
    minNs: sorted[0] as number,
    maxNs: sorted.at(-1) as number,
    batches: sorted.length,
  };
}

function written(policy: BenchPolicy, folder: string) {
  const file = (name: string, text: string): string => {
    const place = path.join(folder, name);
    writeFileSync(place, text);
    return place;
  };
  const modules = policy.modules.map((text, i) => file(`p${i}.rego`, text));
  const data = file("data.json", JSON.stringify(policy.data ?? {}));
  const sources = [...modules, data].flatMap((name) => ["-d", name]);
  return { modules, sources, input: file("input.json", JSON.stringify(policy.input)) };
}

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(path.join(tmpdir(), "bench-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(command: string, args: readonly string[]): string {
  return execFileSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "pipe"] });
}

function messageOf(error: unknown): string {
  // opa-wasm throws what is no Error.
  const { message = error } = (typeof error === "object" && error !== null ? error : {}) as { message?: unknown };
  return String(message).split("\n")[0] as string;
}
