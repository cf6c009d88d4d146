import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { connect } from "node:net";
import path from "node:path";
import protobuf from "protobufjs";
import type { LoadOptions, LoadResult } from "./h2-load.ts";
import { type Spread, spread } from "./timing.ts";

/** Also for servers that read a large document first. */
const START_MS = 120_000;
const CHECK = "/envoy.service.auth.v3.Authorization/Check";

/** What one server does under load, on a processor of its own. */
export interface ServerFigure {
  readonly name: string;
  readonly loads: readonly LoadFigure[];
  /** Processor time per 1,000 checks at full speed. */
  readonly cpuMsPerThousand: Spread;
  /** Behind all loads. */
  readonly rssMiB: number;
  /** From the start of the process until its port answers, of several starts. */
  readonly readyMs: Spread;
}

/** One load in all its rounds. */
export interface LoadFigure {
  /** Checks per second asked for; undefined: as fast as they are answered. */
  readonly rate: number | undefined;
  readonly perSecond: Spread;
  readonly p50Us: Spread;
  readonly p99Us: Spread;
  readonly p999Us: Spread;
  readonly failed: number;
}

export interface ServerCommand {
  readonly name: string;
  readonly command: readonly string[];
  /** Absent: the command prints its port. */
  readonly port?: number;
}

export interface LoadPlan {
  /** The bundled load-process.ts. */
  readonly loader: string;
  readonly rounds: number;
  readonly durationMs: number;
  /** Fixed rates beside full speed; "half" is half of what the first server does at full speed. */
  readonly rates: readonly (number | "half")[];
}

/** Requests as Envoy sends them: some allowed, some denied by the example policy. */
export function checkRequests(): readonly Uint8Array[] {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => path.resolve("proto", target);
  root.loadSync("envoy/service/auth/v3/external_auth.proto");
  const type = root.lookupType("envoy.service.auth.v3.CheckRequest");
  const request = (method: string, target: string, principal: string): Uint8Array =>
    type
      .encode(
        type.fromObject({
          attributes: {
            source: { address: { socketAddress: { address: "10.1.2.3", portValue: 41234 } }, principal },
            destination: {
              address: { socketAddress: { address: "10.1.2.9", portValue: 8080 } },
              principal: "spiffe://cluster.local/ns/shop/sa/api",
            },
            request: {
              time: { seconds: 1790000000 },
              http: {
                id: "14295932178925349817",
                method,
                path: target,
                host: "api.shop.svc.cluster.local",
                scheme: "http",
                protocol: "HTTP/1.1",
                headers: {
                  ":authority": "api.shop.svc.cluster.local",
                  ":method": method,
                  ":path": target,
                  ":scheme": "http",
                  accept: "*/*",
                  "user-agent": "curl/8.5.0",
                  "x-forwarded-proto": "http",
                  "x-request-id": "6c1a3f0e-96ab-4c1e-a0e8-1e0b6a3d4f11",
                },
              },
            },
          },
        }),
      )
      .finish();
  return [
    request("GET", "/healthz", ""),
    request("GET", "/products/7", "spiffe://cluster.local/ns/shop/sa/frontend"),
    request("POST", "/orders", "spiffe://cluster.local/ns/shop/sa/frontend"),
    request("DELETE", "/orders/12", "spiffe://cluster.local/ns/other/sa/stranger"),
  ];
}

/**
 * Measures servers at full speed and at fixed rates. All of them stay up, and each round loads them in turn: what disturbs the
 * machine for a while disturbs them alike, and shows as spread.
 */
export async function benchServers(
  commands: readonly ServerCommand[],
  plan: LoadPlan,
): Promise<readonly ServerFigure[]> {
  // What reads the servers' logs shares the load's processor.
  pin(process.pid, 1);
  const readyMs = await measureStarts(commands, plan.rounds);
  const servers: RunningServer[] = [];
  try {
    for (const command of commands) servers.push(await startServer(command));
    for (const { port } of servers) await runLoad(plan.loader, { port, durationMs: 2000 });
    const rounds: Round[] = [];
    await everyRound(servers, plan, undefined, rounds);
    const reference = rounds.filter(({ server }) => server === servers[0]).map(({ result }) => result.perSecond);
    const half = Math.floor(spread(reference).median / 2);
    for (const rate of plan.rates) await everyRound(servers, plan, rate === "half" ? half : rate, rounds);
    return servers.map((server, i) => figureOf(server, rounds, readyMs[i] as Spread));
  } finally {
    for (const { child } of servers) child.kill("SIGKILL");
  }
}

interface RunningServer {
  readonly name: string;
  readonly child: ChildProcess;
  readonly port: number;
  readonly readyMs: number;
}

interface Round {
  readonly server: RunningServer;
  readonly rate: number | undefined;
  readonly result: LoadResult;
  readonly cpuMs: number;
}

async function everyRound(
  servers: readonly RunningServer[],
  { rounds, loader, durationMs }: LoadPlan,
  rate: number | undefined,
  into: Round[],
): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    for (const server of servers) {
      const pid = server.child.pid as number;
      const before = cpuMs(pid);
      const result = await runLoad(loader, { port: server.port, durationMs, ...(rate !== undefined && { rate }) });
      into.push({ server, rate, result, cpuMs: cpuMs(pid) - before });
    }
  }
}

function figureOf(server: RunningServer, all: readonly Round[], readyMs: Spread): ServerFigure {
  const own = all.filter((round) => round.server === server);
  const loads = [...new Set(own.map(({ rate }) => rate))].map((rate): LoadFigure => {
    const results = own.filter((round) => round.rate === rate).map(({ result }) => result);
    return {
      rate,
      perSecond: spread(results.map(({ perSecond }) => perSecond)),
      p50Us: spread(results.map(({ p50Us }) => p50Us)),
      p99Us: spread(results.map(({ p99Us }) => p99Us)),
      p999Us: spread(results.map(({ p999Us }) => p999Us)),
      failed: results.reduce((sum, { failed }) => sum + failed, 0),
    };
  });
  const atFullSpeed = own.filter(({ rate }) => rate === undefined);
  return {
    name: server.name,
    loads,
    cpuMsPerThousand: spread(atFullSpeed.map(({ cpuMs: spent, result }) => (spent / result.calls) * 1000)),
    rssMiB: rssMiB(server.child.pid as number),
    readyMs,
  };
}

/** `ours` by `yardstick`, round by round, of a figure of one load. */
export function ratioOf(
  ours: ServerFigure,
  yardstick: ServerFigure,
  rate: number | undefined,
  figure: "perSecond" | "p50Us" | "p99Us",
): Spread {
  const [top, bottom] = [ours, yardstick].map(
    ({ loads }) => (loads.find((load) => load.rate === rate) as LoadFigure)[figure].values,
  ) as [readonly number[], readonly number[]];
  return spread(top.map((value, i) => value / (bottom[i] as number)));
}

async function measureStarts(commands: readonly ServerCommand[], rounds: number): Promise<readonly Spread[]> {
  const times = commands.map((): number[] => []);
  for (let i = 0; i < rounds; i++) {
    for (const [at, command] of commands.entries()) {
      const { child, readyMs } = await startServer(command);
      times[at]?.push(readyMs);
      const ended = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGKILL");
      await ended;
    }
  }
  return times.map(spread);
}

export async function startServer({ name, command, port }: ServerCommand): Promise<RunningServer> {
  const started = performance.now();
  const child = spawnPinned(0, command);
  try {
    const listening = port ?? (await printedPort(child));
    if (port !== undefined) await untilListening(port, child);
    return { name, child, port: listening, readyMs: performance.now() - started };
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

function pin(pid: number, cpu: number): void {
  if (hasTaskset()) execFileSync("taskset", ["-a", "-p", "-c", String(cpu), String(pid)], { stdio: "ignore" });
}

function spawnPinned(cpu: number, command: readonly string[]): ChildProcess {
  const pinned = hasTaskset() ? ["taskset", "-c", String(cpu), ...command] : command;
  return spawn(pinned[0] as string, pinned.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
}

function hasTaskset(): boolean {
  try {
    execFileSync("taskset", ["-V"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function printedPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error("the server ended")));
    child.stdout?.once("data", (chunk: Buffer) => resolve(Number(chunk.toString().trim())));
  });
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  // The decision log goes to a pipe that is read and dropped.
  child.stdout?.resume();
  child.stderr?.resume();
  const giveUp = performance.now() + START_MS;
  while (performance.now() < giveUp) {
    if (child.exitCode !== null) throw new Error("the server ended");
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: "127.0.0.1", port }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error("the server does not listen");
}

/** 128 calls under way on four connections; fewer at a fixed rate. */
export function runLoad(
  loader: string,
  given: Pick<LoadOptions, "port" | "durationMs"> & { readonly rate?: number },
): Promise<LoadResult> {
  const options = { host: "127.0.0.1", path: CHECK, connections: 4, concurrency: 32, ...given };
  const messages = checkRequests().map((message) => Buffer.from(message).toString("base64"));
  const child = spawnPinned(1, [process.execPath, loader, JSON.stringify({ ...options, messages })]);
  return new Promise((resolve, reject) => {
    let out = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.once("close", () => {
      try {
        resolve(JSON.parse(out) as LoadResult);
      } catch (error) {
        reject(new Error("the load process gave no result", { cause: error }));
      }
    });
  });
}

/** Processor time of a process so far, from /proc (clock ticks of 10 ms). */
function cpuMs(pid: number): number {
  const fields = execFileSync("cat", [`/proc/${pid}/stat`], { encoding: "utf8" })
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

export function rssMiB(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(execFileSync("cat", [`/proc/${pid}/status`], { encoding: "utf8" }));
  return Number(match?.[1] ?? Number.NaN) / 1024;
}

export function peakRssMiB(pid: number): number {
  const match = /VmHWM:\s+(\d+) kB/.exec(execFileSync("cat", [`/proc/${pid}/status`], { encoding: "utf8" }));
  return Number(match?.[1] ?? Number.NaN) / 1024;
}
