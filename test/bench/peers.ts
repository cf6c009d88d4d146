import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { benchEngine } from "./engine.ts";
import { type BenchPolicy, POLICIES } from "./policies.ts";
import { benchServer, freePort, type ServerFigure } from "./server.ts";
import { formatNs } from "./timing.ts";

/**
 * `npm run bench:peers -- [--opa PATH] [--plugin PATH] [--json FILE]`: the engine suite beside `opa bench`, and the server
 * beside OPA with its Envoy plugin, each where the program is at hand. Same policies, same requests, same load, one
 * processor for the server and one for the load.
 */
const { values } = parseArgs({
  options: {
    opa: { type: "string", default: "opa" },
    plugin: { type: "string" },
    only: { type: "string" },
    json: { type: "string" },
    seconds: { type: "string", default: "5" },
  },
});
const figures: { engine?: unknown; server?: unknown } = {};

/** Nanoseconds per evaluation as `opa bench` measures them: prepared query, warm. */
function opaNs(policy: BenchPolicy): number {
  const folder = mkdtempSync(path.join(tmpdir(), "bench-"));
  try {
    const file = (name: string, text: string): string => {
      const place = path.join(folder, name);
      writeFileSync(place, text);
      return place;
    };
    const sources = policy.modules.flatMap((text, i) => ["-d", file(`p${i}.rego`, text)]);
    const documents = [
      "-d",
      file("data.json", JSON.stringify(policy.data ?? {})),
      "-i",
      file("input.json", JSON.stringify(policy.input)),
    ];
    const query = `data.${policy.entrypoint.join(".")}`;
    const out = execFileSync(values.opa, ["bench", "--format=json", ...sources, ...documents, query], {
      encoding: "utf8",
    });
    const { N, T } = JSON.parse(out) as { N: number; T: number };
    return T / N;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.only !== "server") {
  const rows = benchEngine().map((ours) => {
    const opa = opaNs(POLICIES.find(({ name }) => name === ours.name) as BenchPolicy);
    return {
      name: ours.name,
      ours: ours.evaluation,
      compileMs: ours.compileMs,
      opaNs: opa,
      ratio: opa / ours.evaluation.medianNs,
    };
  });
  const geometricMean = Math.exp(rows.reduce((sum, { ratio }) => sum + Math.log(ratio), 0) / rows.length);
  figures.engine = { rows, geometricMean };
  for (const { name, ours, opaNs: opa, ratio } of rows) {
    console.log(
      `  ${name.padEnd(52)} ${formatNs(ours.medianNs).padStart(10)}  opa ${formatNs(opa).padStart(10)}  ${ratio.toFixed(1)} times`,
    );
  }
  console.log(`  geometric mean: ${geometricMean.toFixed(1)} times as fast as opa`);
}

if (values.only !== "engine" && values.plugin !== undefined) {
  const loader = path.join(import.meta.dirname, "load-process.mjs");
  const durationMs = Number(values.seconds) * 1000;
  const server = async (name: string, head: readonly string[], rate?: number): Promise<ServerFigure> => {
    const port = await freePort();
    const args = [
      "run",
      "--server",
      "--addr=127.0.0.1:0",
      `--set=plugins.envoy_ext_authz_grpc.addr=127.0.0.1:${port}`,
      "--set=plugins.envoy_ext_authz_grpc.path=envoy/authz/allow",
      "--set=decision_logs.console=true",
      "--log-level=error",
      "--ignore=istio",
      "policies",
    ];
    return benchServer({ name, command: [...head, ...args], port }, loader, {
      durationMs,
      ...(rate !== undefined && { rate }),
    });
  };
  const plugin = await server("OPA with its Envoy plugin", [values.plugin]);
  const rate = Math.floor(plugin.maximum.perSecond / 2);
  const rows = [
    await server("OPA with its Envoy plugin", [values.plugin], rate),
    await server("Cardea", [process.execPath, "dist/main.js"], rate),
  ];
  figures.server = {
    rows,
    rate,
    checksRatio: (rows[1] as ServerFigure).maximum.perSecond / (rows[0] as ServerFigure).maximum.perSecond,
  };
  for (const { name, maximum, atHalf, cpuMsPerThousand, rssMiB } of rows) {
    console.log(
      `  ${name.padEnd(28)} ${maximum.perSecond.toFixed(0)} checks/s (p99 ${maximum.p99Us.toFixed(0)} µs); at ${rate}/s p50 ${atHalf?.p50Us.toFixed(0)} µs p99 ${atHalf?.p99Us.toFixed(0)} µs; ${cpuMsPerThousand.toFixed(1)} ms processor per 1,000; RSS ${rssMiB.toFixed(0)} MiB`,
    );
  }
}

if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
