import { connect as connectHttp2 } from "node:http2";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { httpRequest } from "../support/checks.ts";
import { healthOf } from "../support/program.ts";
import { CHECK, isAllowed, startServer, until } from "../support/server.ts";
import { useProgram } from "../support/serving.ts";

const POLICY = `package envoy.authz

default allow := false
allow if input.parsed_path[0] == "ok"
`;
const OK = httpRequest({ method: "GET", path: "/ok" });

const { start, connect: clientOf, defer } = useProgram(POLICY);

describe("readiness", () => {
  test("not serving before there is a policy, nor once the process leaves", async () => {
    const server = await startServer({ policy: POLICY, options: { paths: [] } });
    defer(() => server.stop());
    const client = server.connect();
    expect(await healthOf(client)).toBe(2);
    expect(isAllowed(await client.check(OK))).toBe(false);
    server.server.store.updateBase({ modules: [{ file: "p.rego", text: POLICY }], data: {} });
    expect(await healthOf(client)).toBe(1);
    expect(isAllowed(await client.check(OK))).toBe(true);
    server.server.prepareStop();
    expect(await healthOf(client)).toBe(2);
    expect(isAllowed(await client.check(OK))).toBe(true);
    const health = await fetch(`http://${server.addresses.diagnostic[0]}/health?plugins`);
    expect(health.status).toBe(500);
  });
});

describe("SIGTERM", () => {
  test("under load no call of a client that honours GOAWAY fails, and the process exits with 0", async () => {
    const leaving = await start();
    const staying = await start();
    const client = clientOf(`ipv4:${leaving.grpc},${staying.grpc}`);
    let calls = 0;
    let running = true;
    const failures: unknown[] = [];
    const worker = async (): Promise<void> => {
      while (running) {
        try {
          if (!isAllowed(await client.check(OK))) failures.push("denied");
        } catch (cause) {
          failures.push(cause);
        }
        calls++;
      }
    };
    const workers = Array.from({ length: 32 }, worker);
    await until(() => calls > 500);
    leaving.process.kill("SIGTERM");
    expect(await leaving.exited).toBe(0);
    const atExit = calls;
    await until(() => calls > atExit + 200);
    running = false;
    await Promise.all(workers);
    expect(failures).toEqual([]);
  });

  test("while it waits, it still answers, but says NOT_SERVING", async () => {
    const program = await start({ flags: ["--shutdown-wait-period", "1"] });
    const client = clientOf(program.grpc);
    program.process.kill("SIGTERM");
    await until(async () => (await healthOf(client)) === 2);
    expect(isAllowed(await client.check(OK))).toBe(true);
    program.process.kill("SIGTERM");
    program.process.kill("SIGINT");
    expect(await program.exited).toBe(0);
  });

  test("calls that hang are ended with the grace period", async () => {
    const program = await start({ flags: ["--shutdown-grace-period", "1"] });
    const session = connectHttp2(`http://${program.grpc}`).on("error", () => undefined);
    defer(() => session.destroy());
    await new Promise((resolve) => session.once("connect", resolve));
    for (let i = 0; i < 100; i++)
      session
        .request(
          { ":method": "POST", ":path": CHECK, "content-type": "application/grpc", te: "trailers" },
          { endStream: false },
        )
        .on("error", () => undefined);
    await new Promise<void>((resolve) => session.ping(() => resolve()));
    const sent = Date.now();
    program.process.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(Date.now() - sent).toBeLessThan(8000);
    expect(program.log.join("\n")).toContain("were ended");
  });

  test("health watches are told and ended", async () => {
    const program = await start();
    const watcher = new Client(program.grpc, credentials.createInsecure());
    defer(() => watcher.close());
    const identity = (bytes: Buffer): Buffer => bytes;
    const seen: (number | undefined)[] = [];
    const watch = (request: Buffer) =>
      watcher.makeServerStreamRequest("/grpc.health.v1.Health/Watch", identity, identity, request, new Metadata());
    const known = watch(Buffer.alloc(0)).on("data", (bytes: Buffer) => seen.push(bytes[1]));
    const unknown = watch(Buffer.from("\n\u0001x")).on("error", () => undefined);
    known.on("error", () => undefined);
    await Promise.all([
      new Promise((resolve) => known.once("data", resolve)),
      new Promise((resolve) => unknown.once("data", resolve)),
    ]);
    program.process.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(seen).toEqual([1, 2]);
  });
});
