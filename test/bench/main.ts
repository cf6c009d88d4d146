import { writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { benchDeclarative } from "./declarative.ts";
import { benchEngine } from "./engine.ts";
import { benchServer, freePort, type ServerFigure } from "./server.ts";
import { formatNs } from "./timing.ts";

/** `npm run bench [-- --json FILE] [--only engine|declarative|server]`: needs nothing but this repository. */
const { values } = parseArgs({
  options: { json: { type: "string" }, only: { type: "string" }, seconds: { type: "string", default: "5" } },
});
const here = import.meta.dirname;
const figures: { engine?: unknown; declarative?: unknown; server?: unknown } = {};
const isWanted = (part: keyof typeof figures): boolean => values.only === undefined || values.only === part;

if (isWanted("engine")) {
  const rows = benchEngine();
  figures.engine = rows;
  console.log("engine, nanoseconds per evaluation: median (fastest to slowest batch)");
  for (const { name, compileMs, evaluation } of rows) {
    console.log(
      `  ${name.padEnd(52)} ${formatNs(evaluation.medianNs).padStart(10)} (${formatNs(evaluation.minNs)} to ${formatNs(evaluation.maxNs)}), compiled in ${compileMs.toFixed(0)} ms`,
    );
  }
}

if (isWanted("declarative")) {
  const declarative = await benchDeclarative();
  figures.declarative = declarative;
  console.log("policy documents: 10,000 beside 10, a decision's phases without the wire");
  for (const { name, loadMs, loadProcessorMs, ours, yardstick, ratio } of declarative.policies) {
    console.log(
      `  ${name.padEnd(52)} ${formatNs(ours).padStart(10)} against ${formatNs(yardstick)}: ${ratio.toFixed(2)} times; loaded in ${(loadMs / 1000).toFixed(2)} s (${(loadProcessorMs / 1000).toFixed(2)} s of processor)`,
    );
  }
  const { knownTokenNs, newToken } = declarative;
  console.log(
    `tokens: one seen before ${formatNs(knownTokenNs)}; a new one (RS256) ${formatNs(newToken.ours)} against ${formatNs(newToken.yardstick)} for jose alone: ${newToken.ratio.toFixed(2)} times`,
  );
}

if (isWanted("server")) {
  const loader = path.join(here, "load-process.mjs");
  const durationMs = Number(values.seconds) * 1000;
  const cardea = async (log: boolean, rate?: number): Promise<ServerFigure> => {
    const port = await freePort();
    const command = [
      process.execPath,
      "dist/main.js",
      "run",
      "--server",
      "--addr=127.0.0.1:0",
      `--set=plugins.envoy_ext_authz_grpc.addr=127.0.0.1:${port}`,
      "--set=plugins.envoy_ext_authz_grpc.path=envoy/authz/allow",
      `--set=decision_logs.console=${log}`,
      "--log-level=error",
      "--ignore=istio",
      "policies",
    ];
    return benchServer({ name: log ? "cardea, decision log on" : "cardea, decision log off", command, port }, loader, {
      durationMs,
      ...(rate !== undefined && { rate }),
    });
  };
  const noop = await benchServer(
    { name: "no-op grpc-js server", command: [process.execPath, path.join(here, "noop-server.mjs")] },
    loader,
    { durationMs },
  );
  const rate = Math.floor(noop.maximum.perSecond / 2);
  const rows = [noop, await cardea(true, rate), await cardea(false, rate)];
  const server = {
    rows,
    ratio_to_noop: (rows[1] as ServerFigure).maximum.perSecond / noop.maximum.perSecond,
    ratio_to_noop_log_off: (rows[2] as ServerFigure).maximum.perSecond / noop.maximum.perSecond,
  };
  figures.server = server;
  console.log(`server, one processor for it and one for the load, ${values.seconds} s each; half rate = ${rate}/s`);
  for (const { name, maximum, atHalf, cpuMsPerThousand, rssMiB, readyMs } of rows) {
    const half =
      atHalf === undefined ? "" : `; at half rate p50 ${atHalf.p50Us.toFixed(0)} µs p99 ${atHalf.p99Us.toFixed(0)} µs`;
    console.log(
      `  ${name.padEnd(28)} ${maximum.perSecond.toFixed(0).padStart(7)} checks/s, failed ${maximum.failed}, p50 ${maximum.p50Us.toFixed(0)} µs p99 ${maximum.p99Us.toFixed(0)} µs${half}; ${cpuMsPerThousand.toFixed(1)} ms processor per 1,000; RSS ${rssMiB.toFixed(0)} MiB; ready in ${readyMs.toFixed(0)} ms`,
    );
  }
  console.log(
    `  ratio to the no-op server: ${server.ratio_to_noop.toFixed(2)} (log off: ${server.ratio_to_noop_log_off.toFixed(2)})`,
  );
}

if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
