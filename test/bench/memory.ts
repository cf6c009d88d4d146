import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { httpRequest } from "../support/checks.ts";
import { freePort } from "../support/free-port.ts";
import { CHECK, CheckClient } from "../support/server.ts";
import { load } from "./h2-load.ts";

// Growth of the server's memory over many checks: node scripts/run.mjs test/bench/memory.ts --checks 1000000

const { values: given } = parseArgs({
  options: {
    main: { type: "string", default: "dist/main.js" },
    "warm-up": { type: "string", default: "400000" },
    checks: { type: "string", default: "1000000" },
    /** Checks per second; as many as there can be unless given. */
    rate: { type: "string" },
    /** Every request with a path and a token of its own, instead of 500 in turn. */
    distinct: { type: "boolean", default: false },
  },
});

const POLICY = `package envoy.authz

default allow := {"allowed": false, "http_status": 403, "body": "no"}

allow := {"allowed": true, "headers": {"x-user": user}} if {
	regex.match("^/api/v[0-9]+/items/[0-9]+", input.attributes.request.http.path)
	input.attributes.request.http.method == "GET"
}

user := claims.sub if {
	[_, claims, _] := io.jwt.decode(trim_prefix(input.attributes.request.http.headers.authorization, "Bearer "))
}
`;

const ROUND = 5000;
const folder = mkdtempSync(join(tmpdir(), "cardea-memory-"));
writeFileSync(join(folder, "policy.rego"), POLICY);
const address = `127.0.0.1:${await freePort()}`;
const server = spawn(
  process.execPath,
  [
    given.main,
    ...["run", "--server", "--addr", "127.0.0.1:0", "--log-level", "error"],
    ...["--set", `plugins.envoy_ext_authz_grpc.addr=${address}`, "--set", "decision_logs.console=true"],
    join(folder, "policy.rego"),
  ],
  { stdio: "ignore" },
);
process.on("exit", () => {
  server.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

const client = new CheckClient(address);
await new Promise<void>((resolve, reject) =>
  client.grpc.waitForReady(Date.now() + 20_000, (error) => (error === undefined ? resolve() : reject(error))),
);
client.close();

/** A collector lets memory rise and fall by tens of MiB: the median of so many checks is compared. */
const SPAN = 100_000;
const samples: { readonly checks: number; readonly mib: number }[] = [];

const warmUp = await run(0, Number(given["warm-up"]));
const before = recentMiB();
console.log(`after the warm-up of ${given["warm-up"]} checks: ${before.toFixed(1)} MiB`);
const failed = await run(Number(given["warm-up"]), Number(given.checks));
const growth = recentMiB() - before;
console.log(`after ${given.checks} more: ${growth.toFixed(1)} MiB on top; ${warmUp + failed} failed`);
process.exit(growth < 10 && warmUp + failed === 0 ? 0 : 1);

async function run(from: number, count: number): Promise<number> {
  const [host, port] = address.split(":") as [string, string];
  let failures = 0;
  for (let done = 0; done < count; ) {
    const messages = Array.from({ length: given.distinct ? ROUND : 500 }, (_, i) =>
      message(given.distinct ? from + done + i : i),
    );
    // One call more than there are messages would be one twice.
    const result = await load({
      ...{ host, port: Number(port), path: CHECK, messages, connections: 1, concurrency: 64 },
      durationMs: 2000,
      ...(given.rate !== undefined && { rate: Number(given.rate) }),
    });
    failures += result.failed;
    done += result.calls;
    samples.push({ checks: from + done, mib: rssMiB() });
    if (Math.floor(done / 50_000) > Math.floor((done - result.calls) / 50_000))
      console.log(`${from + done} checks: ${rssMiB().toFixed(1)} MiB, ${Math.round(result.perSecond)} a second`);
  }
  return failures;
}

function message(i: number): Buffer {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return httpRequest({
    id: String(i),
    method: i % 3 === 0 ? "POST" : "GET",
    path: `/api/v1/items/${i}?q=${i % 17}`,
    host: "a.example",
    headers: { authorization: `Bearer ${part({ alg: "HS256" })}.${part({ sub: `u${i}` })}.AAAA`, "x-n": String(i) },
  });
}

function recentMiB(): number {
  const last = samples.at(-1)?.checks ?? 0;
  const recent = samples.filter(({ checks }) => checks > last - SPAN).map(({ mib }) => mib);
  return recent.sort((a, b) => a - b)[Math.floor(recent.length / 2)] ?? Number.NaN;
}

function rssMiB(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1]) / 1024;
}
