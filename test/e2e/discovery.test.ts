import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PlainObject } from "../../src/config/index.ts";
import { createLogger, PLAIN_LINES } from "../../src/telemetry/index.ts";
import { bundleArchive } from "../support/bundle-archive.ts";
import { lineWriter } from "../support/lines.ts";
import { type Recorded, RecordingServer } from "../support/recording-server.ts";
import { CheckClient, isAllowed, startServer, type TestServer, until } from "../support/server.ts";

/** Bodies by path; what is not there is not found. */
const served = new Map<string, Buffer>();
let control: RecordingServer;
let revision = 0;

const closing: (() => unknown)[] = [];
beforeEach(async () => {
  served.clear();
  control = await RecordingServer.start(({ path, headers }: Recorded) => {
    const body = served.get(path);
    if (path === "/logs" || path.startsWith("/status")) return {};
    if (body === undefined) return { status: 404 };
    const etag = `"${body.toString("base64").slice(-40)}"`;
    return headers["if-none-match"] === etag ? { status: 304 } : { body, headers: { etag } };
  });
  closing.push(() => control.stop());
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const POLLING = { min_delay_seconds: 0.02, max_delay_seconds: 0.03 };
const bundle = (resource: string, more: PlainObject = {}): PlainObject => ({ resource, polling: POLLING, ...more });

/** Serves a configuration, as data of the discovery bundle. */
async function discover(config: PlainObject): Promise<void> {
  served.set(
    "/discovery.tar.gz",
    await bundleArchive({ "data.json": JSON.stringify({ config }) }, { revision: `r${++revision}` }),
  );
}

async function policy(path: string, answer: string, roots = ["envoy/authz"]): Promise<void> {
  const text = `package envoy.authz\n\nallow := ${answer}\n`;
  served.set(path, await bundleArchive({ "p.rego": text }, { revision: `r${++revision}`, roots }));
}

interface Discovering extends TestServer {
  readonly lines: string[];
  readonly log: string[];
  get(path: string): Promise<{ status: number; document: Record<string, unknown> }>;
}

async function start(boot: PlainObject = {}, env: Readonly<Record<string, string>> = {}): Promise<Discovering> {
  const lines: string[] = [];
  const log: string[] = [];
  const server = await startServer({
    policy: "",
    paths: [],
    config: () => ({
      services: { control: { url: control.url } },
      discovery: { service: "control", resource: "discovery.tar.gz", decision: "config", polling: POLLING },
      ...boot,
    }),
    options: {
      addrs: ["127.0.0.1:0"],
      writer: lineWriter((line) => lines.push(line)),
      logger: createLogger({ level: "warning", style: PLAIN_LINES, writer: lineWriter((line) => log.push(line)) }),
      env,
    },
  });
  closing.push(() => server.stop());
  const get = async (path: string) => {
    const reply = await fetch(`http://${server.addresses.api[0]}${path}`);
    return { status: reply.status, document: (await reply.json()) as Record<string, unknown> };
  };
  return Object.assign(server, { lines, log, get });
}

/** grpc.health.v1.HealthCheckResponse: status 1 is SERVING. */
const isServing = async (client: CheckClient): Promise<boolean> =>
  (await client.unary(Buffer.alloc(0), { method: "/grpc.health.v1.Health/Check" })).toString("hex") === "0801";

const ask = async (server: TestServer): Promise<number> => (await server.connect().check()).status.code ?? 0;

describe("discovery", () => {
  test("nothing is served until the configuration and the bundles it names are there", async () => {
    const server = await start();
    const client = server.connect();
    const health = (await server.get("/health?plugins&bundles")).status;
    expect(health).toBe(500);
    expect(await isServing(client)).toBe(false);
    expect(await ask(server)).toBe(7);
    await discover({ bundles: { main: bundle("main.tar.gz") } });
    await until(async () => JSON.stringify((await server.get("/v1/status")).document).includes('"main"'));
    expect((await server.get("/health?bundles")).status).toBe(500);
    expect(await isServing(client)).toBe(false);
    await policy("/main.tar.gz", "true");
    await until(async () => (await server.get("/health?plugins&bundles")).status === 200);
    await until(() => isServing(client));
    expect(await ask(server)).toBe(0);
  });

  test("sets labels, logs, reports and defaults; the boot configuration has the last word", async () => {
    await policy("/main.tar.gz", "true");
    await discover({
      labels: { from: "discovery", region: "\u0024{REGION}", app: "x" },
      bundles: { main: bundle("main.tar.gz") },
      decision_logs: { console: true },
      status: { service: "control" },
      default_decision: "/envoy/authz/allow",
    });
    const server = await start({ labels: { app: "boot" } }, { REGION: "west" });
    await until(async () => (await server.get("/health?plugins&bundles")).status === 200);
    await ask(server);
    await until(() => server.lines.some((line) => line.includes("decision_id")));
    const line = JSON.parse(server.lines.find((text) => text.includes("decision_id")) ?? "") as Record<string, unknown>;
    expect(line["labels"]).toMatchObject({ from: "discovery", region: "west", app: "boot" });
    const { result } = (await server.get("/v1/config")).document as { result: Record<string, unknown> };
    expect(result).toMatchObject({ default_decision: "/envoy/authz/allow", discovery: { service: "control" } });
    const bare = await fetch(`http://${server.addresses.api[0]}/`, { method: "POST", body: "{}" });
    expect(await bare.json()).toBe(true);
    await until(() =>
      control.requests.some(({ path, body }) => path === "/status" && body.includes("overridden by boot")),
    );
    expect(JSON.parse(control.requests.findLast(({ path }) => path === "/status")?.body ?? "")).toMatchObject({
      discovery: {
        name: "discovery",
        active_revision: expect.stringMatching(/^r\d+$/) as string,
        message: expect.stringContaining(": labels.app") as string,
      },
    });
  });

  test("a change moves from one bundle to another without a gap", async () => {
    await policy("/one.tar.gz", "true");
    await discover({ bundles: { one: bundle("one.tar.gz"), same: bundle("same.tar.gz") } });
    served.set("/same.tar.gz", await bundleArchive({ "data.json": '{"x": 1}' }, { roots: ["x"] }));
    const server = await start();
    await until(async () => (await server.get("/health?bundles")).status === 200);
    const asked = control.requests.filter(({ path }) => path === "/same.tar.gz").length;
    await discover({ bundles: { two: bundle("two.tar.gz"), same: bundle("same.tar.gz") } });
    await until(async () => (await server.get("/health?bundles")).status === 500);
    // The successor is not there yet.
    expect(await ask(server)).toBe(0);
    await policy("/two.tar.gz", "false");
    await until(async () => (await ask(server)) === 7);
    await until(async () => (await server.get("/health?bundles")).status === 200);
    expect([...server.server.store.current.bundles.keys()]).toEqual(["same", "two"]);
    // A source that stays goes on as it was.
    const later = control.requests.filter(({ path }) => path === "/same.tar.gz").slice(asked);
    expect(later.every(({ headers }) => headers["if-none-match"] !== undefined)).toBe(true);
    await discover({ bundles: {} });
    await until(() => server.server.store.current.bundles.size === 0);
    expect(await ask(server)).toBe(7);
    expect((await server.get("/health?bundles")).status).toBe(200);
  });

  test.for([
    { config: { bundles: { x: { service: "nobody" } } }, message: 'service name "nobody" not found' },
    { config: { services: { control: { url: "https://x" } } }, message: "updates to the discovery service" },
    { config: { plugins: { other: {} } }, message: 'plugin "other" not registered' },
  ])("a bad one leaves the last good one: $message", async ({ config, message }) => {
    await policy("/main.tar.gz", "true");
    await discover({ bundles: { main: bundle("main.tar.gz") } });
    const server = await start({ status: { service: "control" } });
    await until(async () => (await server.get("/health?plugins&bundles")).status === 200);
    await discover(config as unknown as PlainObject);
    await until(async () => JSON.stringify((await server.get("/v1/status")).document).includes('"bundle_error"'));
    const { result } = (await server.get("/v1/status")).document as { result: Record<string, Record<string, unknown>> };
    expect(result["discovery"]).toMatchObject({
      code: "bundle_error",
      message: expect.stringContaining(message) as string,
    });
    expect(result["plugins"]?.["discovery"]).toMatchObject({
      state: "OK",
      message: expect.stringContaining("the last good configuration is in use: ") as string,
    });
    await until(() => control.requests.some(({ path, body }) => path === "/status" && body.includes("bundle_error")));
    expect(await ask(server)).toBe(0);
  });

  test.for([
    ["undefined", { "data.json": "{}" }, "undefined configuration"],
    ["no object", { "data.json": '{"config": 1}' }, "expected an object"],
    ["a policy that does not compile", { "c.rego": "package config\n\nx := y\n" }, "y"],
    [
      "a policy that does not end",
      {
        "c.rego":
          "package config\n\nx if { some i in numbers.range(1, 100000); some j in numbers.range(1, 100000); i * j == -1 }\n",
      },
      "cancelled",
    ],
  ] as const)("no configuration: %s", async ([, files, message]) => {
    served.set("/discovery.tar.gz", await bundleArchive(files));
    const server = await start();
    await until(async () => JSON.stringify((await server.get("/v1/status")).document).includes('"bundle_error"'));
    const { result } = (await server.get("/v1/status")).document as { result: Record<string, Record<string, unknown>> };
    expect(result["discovery"]?.["message"]).toContain(message);
    expect((await server.get("/health?plugins")).status).toBe(500);
    expect(await ask(server)).toBe(7);
  });

  test("policies may make the configuration, of labels and the environment", async () => {
    await policy("/west.tar.gz", "true");
    const text = `package config

bundles.main := {"resource": sprintf("%s.tar.gz", [opa.runtime().config.labels.region])}
`;
    served.set("/discovery.tar.gz", await bundleArchive({ "c.rego": text }));
    const server = await start({ labels: { region: "west" } });
    await until(async () => (await server.get("/health?bundles")).status === 200);
    expect(await ask(server)).toBe(0);
  });

  test("the ports for checks open as soon as a configuration has them", async () => {
    const server = await start({ plugins: {} });
    expect(server.addresses.grpc).toBeUndefined();
    await policy("/main.tar.gz", "true");
    const main = { bundles: { main: bundle("main.tar.gz") } };
    await discover(main);
    await until(async () => (await server.get("/health?plugins")).status === 200);
    await discover({ ...main, plugins: { envoy_ext_authz_grpc: { addr: "127.0.0.1:0" } } });
    await until(() => server.server.checkAddresses.grpc !== undefined);
    const client = new CheckClient(server.server.checkAddresses.grpc ?? "");
    closing.push(() => client.close());
    await until(() => isServing(client));
    expect(isAllowed(await client.check())).toBe(true);
    await discover({ ...main, plugins: { envoy_ext_authz_grpc: { addr: "127.0.0.1:0", path: "x" } } });
    await until(() => server.log.some((line) => line.includes("no effect until the next start")));
    const told = server.log.filter((line) => line.includes("no effect")).map((line) => JSON.parse(line) as object);
    expect(told).toMatchObject([{ level: "warning", sections: ["plugins"] }]);
  });

  test("what was kept on disk serves before the service answers", async () => {
    const kept = await mkdtemp(join(tmpdir(), "cardea-kept-"));
    closing.push(() => rm(kept, { recursive: true }));
    const boot = {
      persistence_directory: kept,
      discovery: {
        service: "control",
        resource: "discovery.tar.gz",
        decision: "config",
        polling: POLLING,
        persist: true,
      },
    };
    await policy("/main.tar.gz", "true");
    await discover({ bundles: { main: bundle("main.tar.gz", { persist: true }) } });
    const first = await start(boot);
    await until(async () => (await first.get("/health?bundles")).status === 200);
    await until(() => existsSync(join(kept, "bundles/discovery/bundle.tar.gz")));
    await until(() => existsSync(join(kept, "bundles/main/bundle.tar.gz")));
    await first.server.stop();
    served.clear();
    const second = await start(boot);
    await until(async () => (await second.get("/health?bundles")).status === 200);
    expect(await ask(second)).toBe(0);
  });
});
