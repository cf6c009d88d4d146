import { writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { cardea, exampleServer } from "./commands.ts";
import { benchDataMemory } from "./data-memory.ts";
import { benchDeclarative } from "./declarative.ts";
import { benchEngine } from "./engine.ts";
import { machine, machineLine } from "./machine.ts";
import { benchReload } from "./reload.ts";
import { benchServers, ratioOf, type ServerFigure } from "./server.ts";
import { serverTable } from "./server-table.ts";
import { formatNs, formatSpread, type Spread } from "./timing.ts";

/**
 * `npm run bench [-- --json FILE] [--only PART] [--seconds N] [--rounds N]`: needs nothing but this repository. Parts: engine,
 * declarative, server, reload, prototype, memory (with `--opa PATH` beside opa).
 */
const { values } = parseArgs({
  options: {
    json: { type: "string" },
    only: { type: "string" },
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "5" },
    /** Checks per second under which policies are reloaded. */
    rate: { type: "string", default: "1000" },
    opa: { type: "string" },
    mebibytes: { type: "string", default: "100" },
    main: { type: "string", default: "dist/main.js" },
  },
});
const here = import.meta.dirname;
const loader = path.join(here, "load-process.mjs");
const rounds = Number(values.rounds);
const durationMs = Number(values.seconds) * 1000;
const figures: {
  machine: unknown;
  engine?: unknown;
  declarative?: unknown;
  server?: unknown;
  reload?: unknown;
  prototype?: unknown;
  memory?: unknown;
} = { machine: machine() };
const isWanted = (part: keyof typeof figures): boolean => values.only === undefined || values.only === part;
const noopServer = { name: "no-op grpc-js server", command: [process.execPath, path.join(here, "noop-server.mjs")] };
console.log(machineLine());

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
  const { knownTokenNs, newToken, verification } = declarative;
  console.log(
    `tokens: one seen before ${formatNs(knownTokenNs)}; verifying a new one (RS256) ${formatNs(verification.ours)} against ${formatNs(verification.yardstick)} for jose alone: ${verification.ratio.toFixed(2)} times; with finding and remembering it ${formatNs(newToken.ours)}: ${newToken.ratio.toFixed(2)} times`,
  );
}

if (isWanted("server")) {
  const rows = await benchServers(
    [
      noopServer,
      await exampleServer("cardea, decision log on", cardea(values.main), { log: true }),
      await exampleServer("cardea, decision log off", cardea(values.main), { log: false }),
    ],
    { loader, rounds, durationMs, rates: [1000, 5000] },
  );
  const [noop, logOn, logOff] = rows as [ServerFigure, ServerFigure, ServerFigure];
  const ratios = [logOn, logOff].map((one) => ratioOf(one, noop, undefined, "perSecond"));
  const [on, off] = ratios as [Spread, Spread];
  figures.server = { rows, ratio_to_noop: on.median, ratio_to_noop_log_off: off.median, ratios: { on, off } };
  console.log(`server, one processor for it and one for the load: ${rounds} rounds of ${values.seconds} s in turn`);
  console.log(serverTable(rows));
  console.log(`ratio to the no-op server: ${formatSpread(on, 2)}; log off: ${formatSpread(off, 2)}`);
}

if (isWanted("reload")) {
  const rows = await benchReload(values.main, loader, { rate: Number(values.rate), rounds, durationMs });
  figures.reload = rows;
  console.log(`reload under load, ${values.rate} checks/s`);
  for (const { name, everyMs, reloads, failed, quiet, reloading, p99Ratio } of rows) {
    console.log(`  ${name}: ${reloads} reloads, one in ${everyMs / 1000} s; failed ${failed}`);
    console.log(`    p50 without ${formatSpread(quiet.p50Us)} µs, with ${formatSpread(reloading.p50Us)} µs`);
    console.log(`    p99 without ${formatSpread(quiet.p99Us)} µs, with ${formatSpread(reloading.p99Us)} µs`);
    console.log(`    p99 round by round ${formatSpread(p99Ratio, 2)} times`);
    console.log(`    slowest without ${formatSpread(quiet.maxUs)} µs, with ${formatSpread(reloading.maxUs)} µs`);
  }
}

if (isWanted("prototype")) {
  const prototype = { name: "bare node:http2", command: [process.execPath, path.join(here, "http2-prototype.mjs")] };
  const rows = await benchServers([noopServer, prototype], { loader, rounds, durationMs, rates: [] });
  const [noop, bare] = rows as [ServerFigure, ServerFigure];
  const ratio = ratioOf(bare, noop, undefined, "perSecond");
  figures.prototype = { rows, ratio };
  console.log("a constant allow without grpc-js");
  console.log(serverTable(rows));
  console.log(`ratio to the no-op grpc-js server: ${formatSpread(ratio, 2)}`);
}

if (isWanted("memory")) {
  const memory = await benchDataMemory(values.main, { opa: values.opa, mebibytes: Number(values.mebibytes) });
  figures.memory = memory;
  console.log(`a JSON document of ${memory.documentMiB} MiB as data`);
  for (const { name, rssMiB, peakMiB, readyMs } of memory.rows)
    console.log(
      `  ${name.padEnd(8)} RSS ${rssMiB.toFixed(0)} MiB, highest ${peakMiB.toFixed(0)} MiB; ready in ${(readyMs / 1000).toFixed(1)} s`,
    );
  if (memory.ratio !== undefined) console.log(`  ours by opa's: ${memory.ratio.toFixed(2)}`);
}

if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
