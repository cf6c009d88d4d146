import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { cardea, exampleServer } from "./commands.ts";
import { benchEngine, type EngineFigure } from "./engine.ts";
import { machine, machineLine } from "./machine.ts";
import { opaEngine, type PeerEngine, type PeerOutcome, regorusEngine, wasmEngine } from "./peer-engines.ts";
import { type BenchPolicy, POLICIES } from "./policies.ts";
import { benchServers, type LoadFigure, ratioOf, type ServerFigure } from "./server.ts";
import { serverTable, table } from "./server-table.ts";
import { formatNs, formatSpread } from "./timing.ts";

/**
 * `npm run bench:peers -- [--opa PATH] [--wasm] [--regorus] [--plugin PATH] [--folder DIR] [--only engine|server] [--json FILE]`:
 * the engine suite beside `opa bench`, opa-wasm and regorus, and the server beside OPA with its Envoy plugin. opa-wasm is
 * installed by npm and regorus built by cargo, both in DIR (default: below the system's temporary folder).
 */
const { values } = parseArgs({
  options: {
    opa: { type: "string", default: "opa" },
    wasm: { type: "boolean", default: false },
    regorus: { type: "boolean", default: false },
    plugin: { type: "string" },
    folder: { type: "string", default: path.join(tmpdir(), "cardea-bench-peers") },
    only: { type: "string" },
    /** A pattern for the names of the engine's policies. */
    policies: { type: "string", default: "" },
    json: { type: "string" },
    seconds: { type: "string", default: "5" },
    rounds: { type: "string", default: "5" },
    main: { type: "string", default: "dist/main.js" },
  },
});
const figures: { machine: unknown; engine?: unknown; server?: unknown } = { machine: machine() };
console.log(machineLine());

interface PeerRow {
  readonly name: string;
  readonly ours: EngineFigure["evaluation"];
  readonly compileMs: number;
  readonly peers: readonly { readonly peer: string; readonly outcome: PeerOutcome; readonly ratio?: number }[];
}

async function benchPeerEngines(): Promise<void> {
  mkdirSync(values.folder, { recursive: true });
  const peers: readonly PeerEngine[] = [
    opaEngine(values.opa),
    ...(values.wasm ? [wasmEngine(values.opa, values.folder)] : []),
    ...(values.regorus ? [regorusEngine(values.folder)] : []),
  ];
  const rows: PeerRow[] = [];
  for (const { name, compileMs, evaluation } of benchEngine(new RegExp(values.policies))) {
    const policy = POLICIES.find((one) => one.name === name) as BenchPolicy;
    const outcomes: PeerRow["peers"][number][] = [];
    for (const peer of peers) {
      const outcome = await peer.measure(policy);
      outcomes.push({
        peer: peer.name,
        outcome,
        ...("timing" in outcome && { ratio: outcome.timing.medianNs / evaluation.medianNs }),
      });
    }
    rows.push({ name, ours: evaluation, compileMs, peers: outcomes });
  }
  const means = peers.map(({ name: peer }) => {
    const ratios = rows.flatMap(({ peers: all }) => all.find((one) => one.peer === peer)?.ratio ?? []);
    const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
    return { peer, mean, policies: ratios.length };
  });
  figures.engine = { rows, geometricMeans: means };
  console.log(
    table(
      ["policy", "Cardea", "spread", ...peers.flatMap(({ name }) => [name, "times"])],
      [
        ...rows.map(({ name, ours, peers: all }) => [
          name,
          formatNs(ours.medianNs),
          `${formatNs(ours.minNs)} to ${formatNs(ours.maxNs)}`,
          ...all.flatMap(({ outcome, ratio }) => [
            "timing" in outcome ? formatNs(outcome.timing.medianNs) : "–",
            ratio === undefined ? "–" : ratio.toFixed(1),
          ]),
        ]),
        [
          "geometric mean",
          "",
          "",
          ...means.flatMap(({ mean, policies }) => ["", policies === 0 ? "–" : mean.toFixed(1)]),
        ],
      ],
    ),
  );
  for (const { name, peers: all } of rows) {
    for (const { peer, outcome } of all) {
      if ("reason" in outcome) console.log(`${peer} does not run "${name}": ${outcome.reason}`);
    }
  }
}

async function benchPeerServers(plugin: string): Promise<void> {
  const rows = await benchServers(
    [
      await exampleServer("OPA with its Envoy plugin, log on", [plugin], { log: true }),
      await exampleServer("cardea, log on", cardea(values.main), { log: true }),
      await exampleServer("OPA with its Envoy plugin, log off", [plugin], { log: false }),
      await exampleServer("cardea, log off", cardea(values.main), { log: false }),
      {
        name: "no-op grpc-js server",
        command: [process.execPath, path.join(import.meta.dirname, "noop-server.mjs")],
      },
    ],
    {
      loader: path.join(import.meta.dirname, "load-process.mjs"),
      rounds: Number(values.rounds),
      durationMs: Number(values.seconds) * 1000,
      rates: ["half", 1000, 5000],
    },
  );
  const [theirs, ours, theirsQuiet, oursQuiet, noop] = rows as readonly ServerFigure[] as [
    ServerFigure,
    ServerFigure,
    ServerFigure,
    ServerFigure,
    ServerFigure,
  ];
  const half = (theirs.loads[1] as LoadFigure).rate;
  const ratios = {
    checks: ratioOf(ours, theirs, undefined, "perSecond"),
    checksLogOff: ratioOf(oursQuiet, theirsQuiet, undefined, "perSecond"),
    p99AtHalf: ratioOf(ours, theirs, half, "p99Us"),
    toNoop: ratioOf(ours, noop, undefined, "perSecond"),
  };
  figures.server = { rows, half, ratios };
  console.log(
    `server: ${values.rounds} rounds of ${values.seconds} s in turn; half of the plugin's full speed is ${half}/s`,
  );
  console.log(serverTable(rows));
  console.log(
    table(
      ["ratio, round by round", "median and spread"],
      [
        ["checks per second against the plugin, log on", formatSpread(ratios.checks, 2)],
        ["checks per second against the plugin, log off", formatSpread(ratios.checksLogOff, 2)],
        ["p99 at half of the plugin's full speed, against the plugin's", formatSpread(ratios.p99AtHalf, 2)],
        ["checks per second against the no-op grpc-js server, log on", formatSpread(ratios.toNoop, 2)],
        ["RSS against the plugin's, log on", (ours.rssMiB / theirs.rssMiB).toFixed(2)],
      ],
    ),
  );
}

if (values.only !== "server") await benchPeerEngines();
if (values.only !== "engine" && values.plugin !== undefined) await benchPeerServers(values.plugin);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
