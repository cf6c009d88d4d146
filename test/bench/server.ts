import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createServer } from "node:net";
import path from "node:path";
import protobuf from "protobufjs";
import type { LoadOptions, LoadResult } from "./h2-load.ts";

const CHECK = "/envoy.service.auth.v3.Authorization/Check";

/** What one server does under load, on a processor of its own. */
export interface ServerFigure {
  readonly name: string;
  readonly maximum: LoadResult;
  /** At half of the reference's maximum rate. */
  readonly atHalf: LoadResult | undefined;
  /** Processor seconds the server spent per 1,000 checks at full speed. */
  readonly cpuMsPerThousand: number;
  readonly rssMiB: number;
  readonly readyMs: number;
}

export interface ServerCommand {
  readonly name: string;
  readonly command: readonly string[];
  /** Absent: the command prints its port. */
  readonly port?: number;
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

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() =>
        address !== null && typeof address === "object" ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}

/** Measures a server at full speed, and at a fixed rate if one is given. */
export async function benchServer(
  server: ServerCommand,
  loader: string,
  { durationMs = 5000, rate }: { durationMs?: number; rate?: number } = {},
): Promise<ServerFigure> {
  const started = performance.now();
  const child = spawnPinned(0, server.command);
  try {
    const port = server.port ?? (await printedPort(child));
    if (server.port !== undefined) await untilListening(port, child);
    const readyMs = performance.now() - started;
    const options = { host: "127.0.0.1", port, path: CHECK, connections: 4, concurrency: 32 };
    await runLoad(loader, { ...options, durationMs: 2000 });
    const before = cpuMs(child.pid as number);
    const maximum = await runLoad(loader, { ...options, durationMs });
    const spent = cpuMs(child.pid as number) - before;
    const atHalf = rate === undefined ? undefined : await runLoad(loader, { ...options, durationMs, rate });
    return {
      name: server.name,
      maximum,
      atHalf,
      cpuMsPerThousand: (spent / maximum.calls) * 1000,
      rssMiB: rssMiB(child.pid as number),
      readyMs,
    };
  } finally {
    child.kill("SIGKILL");
  }
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
  const { connect } = await import("node:net");
  for (let attempt = 0; attempt < 500; attempt++) {
    if (child.exitCode !== null) throw new Error("the server ended");
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: "127.0.0.1", port }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("the server does not listen");
}

function runLoad(loader: string, options: Omit<LoadOptions, "messages">): Promise<LoadResult> {
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

function rssMiB(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(execFileSync("cat", [`/proc/${pid}/status`], { encoding: "utf8" }));
  return Number(match?.[1] ?? Number.NaN) / 1024;
}
