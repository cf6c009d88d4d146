import { spawn } from "node:child_process";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/rego/value/index.ts";
import { bundleArchive } from "../support/bundle-archive.ts";
import { httpRequest } from "../support/checks.ts";
import type { Program, ProgramOptions } from "../support/program.ts";
import { RecordingServer } from "../support/recording-server.ts";
import { type CheckClient, isAllowed, until } from "../support/server.ts";
import { metric, useProgram, workersOf } from "../support/serving.ts";

const POLICY = `package envoy.authz

default allow := false
allow if input.parsed_path[0] == "ok"
`;
const OK = httpRequest({ method: "GET", path: "/ok" });

const { main, start: startAny, connect, defer } = useProgram(POLICY);

async function start(options: Partial<ProgramOptions> = {}): Promise<Program> {
  const flags = ["--workers", "2", ...(options.flags ?? [])];
  const program = await startAny({ ...options, flags });
  await until(async () => (await metric(program, "cardea_workers ")) === 2 && (await workersOf(program)).length === 2);
  return program;
}

/** Several, as connections go to the workers in turn. */
function clients({ grpc }: Program, count = 4): readonly CheckClient[] {
  return Array.from({ length: count }, () => connect(grpc));
}

const verdicts = async (all: readonly CheckClient[]): Promise<readonly boolean[]> =>
  Promise.all(all.map(async (client) => isAllowed(await client.check(OK))));

describe("workers", () => {
  test("share the ports; their metrics are one sum", async () => {
    const program = await start();
    const all = clients(program);
    for (let i = 0; i < 5; i++) expect(await verdicts(all)).toEqual([true, true, true, true]);
    expect(await metric(program, 'cardea_decisions_total{verdict="allow"} ')).toBe(20);
    expect(await metric(program, "cardea_policy_generation ")).toBe(1);
  });

  test("one that is killed costs its own calls and is replaced", async () => {
    const program = await start();
    const all = clients(program);
    await verdicts(all);
    const [victim] = await workersOf(program);
    const outcomes: ("allowed" | "denied" | "failed")[] = [];
    let running = true;
    const loops = all.map(async (client) => {
      while (running)
        outcomes.push(
          await client.check(OK).then(
            (reply) => (isAllowed(reply) ? "allowed" : "denied"),
            () => "failed",
          ),
        );
    });
    await until(() => outcomes.length > 100);
    process.kill(victim as number, "SIGKILL");
    await until(async () => {
      const now = await workersOf(program);
      return now.length === 2 && !now.includes(victim as number);
    });
    await until(async () => (await metric(program, "cardea_worker_restarts_total ")) === 1);
    const before = outcomes.length;
    await until(() => outcomes.length > before + 100);
    running = false;
    await Promise.all(loops);
    expect(outcomes.filter((outcome) => outcome === "denied")).toEqual([]);
    // Each connection has one call under way, and half of the connections were the victim's.
    expect(outcomes.filter((outcome) => outcome === "failed").length).toBeLessThanOrEqual(all.length);
    expect(program.process.exitCode).toBeNull();
  });

  test("one that stands still is replaced", async () => {
    const program = await start({ flags: ["--worker-timeout", "3"] });
    const [victim] = await workersOf(program);
    process.kill(victim as number, "SIGSTOP");
    await until(async () => {
      const now = await workersOf(program);
      return now.length === 2 && !now.includes(victim as number);
    });
    // Lines are gathered for some milliseconds; the new worker may be there before.
    await until(() => program.log.some((line) => line.includes("A worker does not answer")));
  });

  test("all reload files, and take what the REST API was sent", async () => {
    const program = await start({ flags: ["--watch"] });
    const all = clients(program);
    expect(await verdicts(all)).toEqual([true, true, true, true]);
    const file = join(program.folder, "policy.rego");
    await writeFile(`${file}.new`, POLICY.replace('"ok"', '"no"'));
    await rename(`${file}.new`, file);
    await until(async () => (await verdicts(all)).every((allowed) => !allowed));
    const text = POLICY.replace("default allow := false\n", "").replace('"ok"', "data.path");
    const put = async (path: string, body: string): Promise<number> =>
      (await fetch(`http://${program.api}${path}`, { method: "PUT", body })).status;
    expect(await put("/v1/policies/more", text)).toBe(200);
    expect(await put("/v1/data/path", '"ok"')).toBe(204);
    await until(async () => (await verdicts(all)).every((allowed) => allowed));
    const [victim] = await workersOf(program);
    process.kill(victim as number, "SIGKILL");
    await until(async () => (await metric(program, "cardea_worker_restarts_total ").catch(() => 0)) === 1);
    await until(async () => (await verdicts(clients(program)).catch(() => [false])).every((allowed) => allowed));
  });

  test("writes of the REST API to different workers do not overwrite each other", async () => {
    const program = await start();
    // A connection of its own each, so that they go to the workers in turn.
    const put = async (n: number): Promise<number> =>
      (
        await fetch(`http://${program.api}/v1/data/items/i${n}`, {
          method: "PUT",
          body: "1",
          headers: { connection: "close" },
        })
      ).status;
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    expect(await Promise.all(numbers.map(put))).toEqual(numbers.map(() => 204));
    const items = async (): Promise<number> => {
      const reply = await fetch(`http://${program.api}/v1/data/items`, { headers: { connection: "close" } });
      return Object.keys(((await reply.json()) as { result?: object }).result ?? {}).length;
    };
    await until(async () => (await Promise.all([items(), items(), items(), items()])).every((count) => count === 20));
  });

  test("writes while files are reloaded are in all of them or in none", async () => {
    const program = await start({ flags: ["--watch"] });
    const file = join(program.folder, "policy.rego");
    const close = { connection: "close" };
    const url = (path: string): string => `http://${program.api}/v1/data${path}`;
    /** What several workers have, each asked on a connection of its own. */
    const seen = (): Promise<readonly string[]> =>
      Promise.all(Array.from({ length: 8 }, async () => (await fetch(url(""), { headers: close })).text()));
    const version = async (n: number): Promise<boolean> =>
      (await seen()).every((text) => text.includes(`"version":${n}`));
    let count = 0;
    for (let n = 1; n <= 4; n++) {
      await writeFile(`${file}.new`, `${POLICY}\nversion := ${n}\n`);
      await rename(`${file}.new`, file);
      let isDone = false;
      const writing = (async () => {
        while (!isDone) await fetch(url(`/items/i${count++}`), { method: "PUT", body: "1", headers: close });
      })();
      await until(() => version(n));
      isDone = true;
      await writing;
      // The last write has to reach them; after that they stay the same.
      await until(async () => new Set(await seen()).size === 1);
    }
    const [before] = await seen();
    expect(before).toContain('"items"');
    const [victim] = await workersOf(program);
    process.kill(victim as number, "SIGKILL");
    await until(async () => (await metric(program, "cardea_worker_restarts_total ").catch(() => 0)) === 1);
    await until(async () => (await metric(program, "cardea_workers ").catch(() => 0)) === 2);
    expect(new Set(await seen())).toEqual(new Set([before]));
  });

  test("have one name, one status and one health", async () => {
    const archive = await bundleArchive({ "data.json": '{"x": 1}' }, { revision: "r1", roots: ["x"] });
    let isThere = true;
    const control = await RecordingServer.start(({ path }) =>
      path === "/b.tar.gz" ? (isThere ? { body: archive } : { status: 404 }) : {},
    );
    defer(() => control.stop());
    const settings = [
      `services.s.url=${control.url}`,
      "status.service=s",
      "bundles.b.resource=b.tar.gz",
      "bundles.b.polling.min_delay_seconds=1",
      "bundles.b.polling.max_delay_seconds=1",
    ];
    const program = await start({ set: settings });
    const get = async (path: string): Promise<Response> =>
      fetch(`http://${program.api}${path}`, { headers: { connection: "close" } });
    const health = async (): Promise<readonly number[]> =>
      Promise.all(Array.from({ length: 6 }, async () => (await get("/health?plugins&bundles")).status));
    await until(async () => (await health()).every((code) => code === 200));
    const reports = control.requests
      .filter(({ path }) => path === "/status")
      .map(
        ({ body }) => JSON.parse(body) as { labels: { id: string }; bundles?: { b?: { active_revision?: string } } },
      );
    expect(new Set(reports.map(({ labels }) => labels.id)).size).toBe(1);
    const statuses = await Promise.all(
      Array.from({ length: 6 }, async () => (await (await get("/v1/status")).json()) as { result: JsonObject }),
    );
    for (const { result } of statuses)
      expect(result).toMatchObject({
        labels: { id: reports[0]?.labels.id },
        bundles: { b: { active_revision: "r1" } },
      });
    isThere = false;
    const [victim] = await workersOf(program);
    process.kill(victim as number, "SIGKILL");
    await until(async () => (await metric(program, "cardea_worker_restarts_total ").catch(() => 0)) === 1);
    // One that cannot have its bundle makes none of them ready, and whichever is left reports it.
    await until(async () => (await health().catch(() => [0])).every((code) => code === 500));
    await until(() => control.requests.at(-1)?.body.includes('"code":"bundle_error"') === true);
    isThere = true;
    await until(async () => (await health().catch(() => [0])).every((code) => code === 200));
  });

  test("SIGTERM ends all of them, with 0", async () => {
    const program = await start();
    await verdicts(clients(program));
    const workers = await workersOf(program);
    program.process.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    for (const pid of workers) expect(() => process.kill(pid, 0)).toThrow();
  });

  test("nothing good to serve is one failure, not a loop of them", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cardea-workers-"));
    defer(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, "policy.rego"), "package a\n\nallow := ");
    const child = spawn(process.execPath, [main(), "run", "-s", "--workers", "2", "--addr", "127.0.0.1:0", folder]);
    expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(1);
  });
});
