import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import tar from "tar-stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PlainObject } from "../../src/config/index.ts";
import { startServer, type TestServer, until } from "../support/server.ts";
import { lineWriter } from "../support/lines.ts";

const POLICY = `package envoy.authz

default allow := false
`;

interface Report {
  readonly labels: Readonly<Record<string, string>>;
  readonly plugins: Readonly<Record<string, { readonly state: string }>>;
  readonly bundles?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** A service that serves one bundle and takes status reports. */
let bundle: Buffer | number = 404;
let reply = 200;
const received: { readonly url: string; readonly type: string; readonly report: Report }[] = [];
let url = "";

const closing: (() => unknown)[] = [];
beforeEach(async () => {
  bundle = 404;
  reply = 200;
  received.length = 0;
  const service = createServer((message, response) => {
    const chunks: Buffer[] = [];
    message.on("data", (chunk: Buffer) => chunks.push(chunk));
    message.on("end", () => {
      if (message.url?.startsWith("/status") === true) {
        const report = JSON.parse(Buffer.concat(chunks).toString()) as Report;
        received.push({ url: message.url, type: message.headers["content-type"] ?? "", report });
        response.writeHead(reply).end();
      } else if (typeof bundle === "number") response.writeHead(bundle).end();
      else response.writeHead(200, { etag: "e" }).end(bundle);
    });
  });
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
  closing.push(() => {
    service.close();
    service.closeAllConnections();
  });
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function archive(revision: string): Promise<Buffer> {
  const pack = tar.pack();
  pack.entry({ name: ".manifest" }, JSON.stringify({ revision, roots: ["extra"] }));
  pack.entry({ name: "p.rego" }, "package extra\n\nx := 1\n");
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack as AsyncIterable<Buffer>) chunks.push(chunk);
  return gzipSync(Buffer.concat(chunks));
}

async function start(status: PlainObject, more: PlainObject = {}): Promise<TestServer & { readonly lines: string[] }> {
  const lines: string[] = [];
  const server = await startServer({
    policy: POLICY,
    config: () => ({
      labels: { app: "test" },
      services: { s: { url } },
      bundles: { b: { resource: "b.tar.gz", polling: { min_delay_seconds: 0.02, max_delay_seconds: 0.03 } } },
      status,
      ...more,
    }),
    options: {
      addrs: ["127.0.0.1:0"],
      writer: lineWriter((line) => lines.push(line)),
    },
  });
  closing.push(() => server.stop());
  return Object.assign(server, { lines });
}

describe("status", () => {
  test("is posted when a bundle fails and when it becomes active", async () => {
    await start({ partition_name: "region1" });
    await until(() => received.some(({ report }) => report.bundles?.["b"]?.["code"] !== undefined));
    const failed = received.at(-1);
    expect(failed).toMatchObject({ url: "/status/region1", type: "application/json" });
    expect(failed?.report.labels).toMatchObject({ app: "test" });
    expect(failed?.report.bundles?.["b"]).toMatchObject({
      name: "b",
      code: "bundle_error",
      http_code: 404,
      last_successful_activation: "0001-01-01T00:00:00Z",
      last_request: expect.stringMatching(/^20/) as string,
    });
    bundle = await archive("r1");
    await until(() => received.some(({ report }) => report.bundles?.["b"]?.["active_revision"] === "r1"));
    await until(() => received.at(-1)?.report.plugins["bundle"]?.state === "OK");
    const active = received.at(-1)?.report;
    expect(active?.bundles?.["b"]).toMatchObject({ type: "snapshot", active_revision: "r1" });
    expect(active?.bundles?.["b"]).not.toHaveProperty("code");
    expect(active?.plugins).toMatchObject({ envoy_ext_authz_grpc: { state: "OK" }, status: { state: "OK" } });
  });

  test("a service that refuses reports costs nothing", async () => {
    reply = 500;
    bundle = await archive("r1");
    const server = await start({});
    await until(() => received.length > 2);
    const health = async (): Promise<number> =>
      (await fetch(`http://${server.addresses.diagnostic[0]}/health?plugins&bundles`)).status;
    await until(async () => (await health()) === 200);
  });

  test("is printed as OPA prints it", async () => {
    bundle = await archive("r1");
    const server = await start({ console: true });
    await until(() => server.lines.some((line) => line.includes('"active_revision":"r1"')));
    expect(received).toEqual([]);
    expect(JSON.parse(server.lines.at(-1) ?? "")).toMatchObject({
      level: "info",
      msg: "Status Log",
      type: "openpolicyagent.org/status",
      labels: { app: "test" },
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) as string,
    });
  });

  test("has OPA's metrics", async () => {
    const server = await start({ prometheus: true });
    const metrics = async (): Promise<string> =>
      (await fetch(`http://${server.addresses.diagnostic[0]}/metrics`)).text();
    await until(async () => /bundle_failed_load_counter\{.*\} \d/.test(await metrics()));
    bundle = await archive("r1");
    await until(async () => (await metrics()).includes('bundle_loaded_counter{name="b"}'));
    const text = await metrics();
    for (const line of [
      'opa_info{version="0.0.0"} 1',
      'plugin_status_gauge{name="bundle",status="OK"} 1',
      'bundle_failed_load_counter{name="b",code="bundle_error",message="server replied with HTTP 404"}',
      'last_success_bundle_activation{name="b",active_revision="r1"}',
      'last_bundle_request{name="b"}',
      'bundle_loading_duration_ns_count{name="b",stage="timer_bundle_request_ns"}',
    ])
      expect(text).toContain(line);
  });

  test("/v1/status shows bundles as reports do", async () => {
    bundle = await archive("r1");
    const server = await start({ console: true });
    await until(() => server.lines.some((line) => line.includes('"active_revision":"r1"')));
    const { result } = (await (await fetch(`http://${server.addresses.api[0]}/v1/status`)).json()) as {
      result: Report;
    };
    expect(result.bundles?.["b"]).toMatchObject({ name: "b", active_revision: "r1", type: "snapshot" });
  });
});

// A coded refusal, not a 404: OPA's clients read code and message.
describe("what OPA's API has and this one has not", () => {
  test.for([
    { path: "/v1/compile", method: "POST", message: "partial evaluation is not available" },
    { path: "/v1/compile/filters/include", method: "POST", message: "partial evaluation is not available" },
    { path: "/v1/data/envoy?explain=full", method: "GET", message: "explain is not available" },
    { path: "/v1/data/envoy?explain=notes", method: "POST", message: "explain is not available" },
    { path: "/v1/query?q=x=1&explain=full", method: "GET", message: "explain is not available" },
    { path: "/v0/data/envoy?explain=full", method: "POST", message: "explain is not available" },
  ])("$method $path", async ({ path, method, message }) => {
    const server = await startServer({ policy: POLICY, options: { addrs: ["127.0.0.1:0"] } });
    closing.push(() => server.stop());
    const response = await fetch(`http://${server.addresses.api[0]}${path}`, {
      method,
      ...(method === "POST" && { body: "{}" }),
    });
    expect(response.status).toBe(501);
    expect(await response.json()).toMatchObject({
      code: "not_implemented",
      message: expect.stringContaining(message) as string,
    });
  });

  test("explain=off is what it says", async () => {
    const server = await startServer({ policy: POLICY, options: { addrs: ["127.0.0.1:0"] } });
    closing.push(() => server.stop());
    expect((await fetch(`http://${server.addresses.api[0]}/v1/data/envoy?explain=off`)).status).toBe(200);
  });
});
