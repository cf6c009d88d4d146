import { createServer } from "node:http";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { bench, httpRequest, NO_DEADLINE } from "../support/checks.ts";
import type { Program } from "../support/program.ts";
import { isAllowed, until } from "../support/server.ts";
import { metric, useProgram, workersOf } from "../support/serving.ts";

// What happens to a process rather than to a request: memory, descriptors, stops, successors.

const POLICY = `package envoy.authz

default allow := false
allow if input.parsed_path[0] == "ok"
allow if {
	input.parsed_path[0] == "hold"
	input.parsed_body
	http.send({"method": "GET", "url": input.attributes.request.http.headers["x-url"]})
}
`;
const OK = httpRequest({ method: "GET", path: "/ok" });
const NO = httpRequest({ method: "GET", path: "/no" });

const { start, connect, defer } = useProgram(POLICY);

async function expectHealthy(program: Program): Promise<void> {
  const client = connect(program.grpc);
  expect(isAllowed(await client.check(OK))).toBe(true);
  expect(isAllowed(await client.check(NO))).toBe(false);
}

test("memory: 40,000 checks that have nothing in common leave nothing behind", async () => {
  const { service, sink } = bench({
    policy: `package envoy.authz

default allow := false
allow if {
	regex.match("^/items/[0-9]+$", input.attributes.request.http.path)
	[_, claims, _] := io.jwt.decode(input.attributes.request.http.headers.authorization)
	claims.sub == input.attributes.request.http.headers["x-user"]
}
`,
  });
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const run = async (from: number, count: number): Promise<void> => {
    for (let i = from; i < from + count; i++) {
      const authorization = `${part({ alg: "none" })}.${part({ sub: `u${i}`, jti: `${i}-${"x".repeat(200)}` })}.`;
      const headers = { authorization, "x-user": `u${i}` };
      await service.check(
        httpRequest({ method: "GET", path: `/items/${i}`, host: `h${i}`, headers }),
        "v3",
        NO_DEADLINE,
      );
      sink.events.length = 0;
    }
  };
  await run(0, 10_000);
  const before = heldBytes();
  await run(10_000, 40_000);
  // A few bytes a check would be megabytes here.
  expect(heldBytes() - before).toBeLessThan(3_000_000);
});

/** What is left when the collector has run. */
function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let i = 0; i < 3; i++) collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test("a worker that runs out of memory ends alone: its calls fail, nothing is allowed, and it is replaced", async () => {
  const held = createServer(() => undefined);
  await new Promise<void>((resolve) => held.listen(0, "127.0.0.1", resolve));
  defer(() => {
    held.closeAllConnections();
    held.close();
  });
  const program = await start({
    flags: ["--workers", "2", "--worker-heap", "80"],
    set: ["cardea.limits.evaluation_ms=60000"],
  });
  await until(async () => (await metric(program, "cardea_workers ")) === 2);
  const headers = {
    "content-type": "application/json",
    "x-url": `http://127.0.0.1:${(held.address() as AddressInfo).port}/`,
  };
  // Each body becomes a document of some ten times its size, which is held while http.send waits.
  const body = `[${'["a"],'.repeat(600_000)}0]`;
  const request = httpRequest({ method: "POST", path: "/hold", headers, body });
  const outcomes: ("allowed" | "denied" | "failed")[] = [];
  const flood = Array.from({ length: 16 }, () => {
    const client = connect(program.grpc);
    return client.check(request, { deadlineMs: 60_000 }).then(
      (reply) => void outcomes.push(isAllowed(reply) ? "allowed" : "denied"),
      () => void outcomes.push("failed"),
    );
  });
  await until(async () => {
    const restarts = await metric(program, "cardea_worker_restarts_total ").catch(() => 0);
    return restarts >= 1 || outcomes.length === flood.length;
  });
  held.closeAllConnections();
  await Promise.all(flood);
  expect(outcomes).not.toContain("allowed");
  expect(outcomes).toContain("failed");
  expect(program.process.exitCode).toBeNull();
  await until(async () => (await workersOf(program)).length === 2);
  await until(() =>
    expectHealthy(program).then(
      () => true,
      () => false,
    ),
  );
});

test("stopped and continued: late answers reach nobody, and the process goes on", async () => {
  const program = await start();
  const client = connect(program.grpc);
  expect(isAllowed(await client.check(OK))).toBe(true);
  program.process.kill("SIGSTOP");
  const calls = Array.from({ length: 20 }, () =>
    client.check(OK, { deadlineMs: 300 }).then(
      () => "answered",
      (cause: { code?: number }) => cause.code,
    ),
  );
  // 4 is DEADLINE_EXCEEDED.
  expect(await Promise.all(calls)).toEqual(Array.from({ length: 20 }, () => 4));
  program.process.kill("SIGCONT");
  await expectHealthy(program);
});

test("a worker stopped for less than its timeout is not replaced", async () => {
  const program = await start({ flags: ["--workers", "2", "--worker-timeout", "20"] });
  await until(async () => (await metric(program, "cardea_workers ")) === 2);
  const before = await workersOf(program);
  const [stopped] = before;
  process.kill(stopped as number, "SIGSTOP");
  defer(() => {
    try {
      process.kill(stopped as number, "SIGCONT");
    } catch {
      // It has been replaced.
    }
  });
  const clients = Array.from({ length: 4 }, () => connect(program.grpc));
  const verdicts = await Promise.all(
    clients.map((client) =>
      client.check(OK, { deadlineMs: 5000 }).then(
        (reply) => (isAllowed(reply) ? "allowed" : "denied"),
        () => "failed",
      ),
    ),
  );
  // The other worker answers its share meanwhile.
  expect(verdicts).toContain("allowed");
  expect(verdicts).not.toContain("denied");
  process.kill(stopped as number, "SIGCONT");
  await until(async () =>
    (await Promise.all(clients.map((client) => client.check(OK).then(isAllowed, () => false)))).every((is) => is),
  );
  expect(await workersOf(program)).toEqual(before);
});

test("out of descriptors: calls of connections that stand go on, and new ones come back", async () => {
  const program = await start({ descriptors: 96, set: ["decision_logs.console=true"] });
  const client = connect(program.grpc);
  expect(isAllowed(await client.check(OK))).toBe(true);
  const [host, port] = program.grpc.split(":") as [string, string];
  const sockets: Socket[] = Array.from({ length: 200 }, () =>
    connectTcp(Number(port), host).on("error", () => undefined),
  );
  defer(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(
    sockets.map((socket) => new Promise((resolve) => socket.once("connect", resolve).once("close", resolve))),
  );
  for (let i = 0; i < 50; i++) expect(isAllowed(await client.check(OK))).toBe(true);
  expect(program.process.exitCode).toBeNull();
  for (const socket of sockets) socket.destroy();
  await until(() =>
    connect(program.grpc)
      .check(OK, { deadlineMs: 1000 })
      .then(isAllowed, () => false),
  );
  await until(() => program.log.filter((line) => line.includes("Decision Log")).length >= 52);
});

describe("a successor on the same socket", () => {
  /** Its own word: at the socket its predecessor may be the one that answers. */
  const isReady = async ({ diagnostics }: Program): Promise<boolean> =>
    (await fetch(`http://${diagnostics}/health?plugins`).catch(() => undefined))?.ok === true;

  test("takes the address over while its predecessor drains, and no check fails", async () => {
    const old = await start({ grpc: (folder) => `unix://${join(folder, "authz.sock")}` });
    const socket = join(old.folder, "authz.sock");
    const client = connect(`unix:${socket}`);
    const failures: unknown[] = [];
    let calls = 0;
    let isRunning = true;
    const loops = Array.from({ length: 8 }, async () => {
      while (isRunning) {
        await client.check(OK).then(
          (reply) => isAllowed(reply) || failures.push("denied"),
          (cause: unknown) => failures.push(cause),
        );
        calls++;
      }
    });
    await until(() => calls > 200);
    const successor = await start({ grpc: () => `unix://${socket}` });
    await until(() => isReady(successor));
    old.process.kill("SIGTERM");
    expect(await old.exited).toBe(0);
    const atExit = calls;
    await until(() => calls > atExit + 200);
    isRunning = false;
    await Promise.all(loops);
    expect(failures).toEqual([]);
    expect(await metric(successor, 'cardea_decisions_total{verdict="allow"} ')).toBeGreaterThanOrEqual(200);
    expect(isAllowed(await connect(`unix:${socket}`).check(OK))).toBe(true);
  });

  test("of workers, too", async () => {
    const old = await start({ grpc: (folder) => `unix://${join(folder, "authz.sock")}`, flags: ["--workers", "2"] });
    const socket = join(old.folder, "authz.sock");
    await until(async () => (await workersOf(old)).length === 2);
    const successor = await start({ grpc: () => `unix://${socket}`, flags: ["--workers", "2"] });
    await until(async () => (await workersOf(successor)).length === 2);
    old.process.kill("SIGTERM");
    expect(await old.exited).toBe(0);
    expect(isAllowed(await connect(`unix:${socket}`).check(OK))).toBe(true);
    const [victim] = await workersOf(successor);
    process.kill(victim as number, "SIGKILL");
    await until(async () => (await metric(successor, "cardea_worker_restarts_total ").catch(() => 0)) === 1);
    await until(() =>
      connect(`unix:${socket}`)
        .check(OK, { deadlineMs: 1000 })
        .then(isAllowed, () => false),
    );
  });
});
