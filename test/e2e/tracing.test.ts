import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Metadata, ServerCredentials } from "@grpc/grpc-js";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import type { PlainObject } from "../../src/config/index.ts";
import { httpRequest } from "../support/checks.ts";
import { type Collector, grpcCollector, httpCollector, type ReceivedSpan } from "../support/otlp-collector.ts";
import { isAllowed, startServer, type TestServer, until } from "../support/server.ts";
import { lineWriter } from "../support/lines.ts";

const CHECK_SPAN = "envoy.service.auth.v3.Authorization/Check";
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";
const OTHER_TRACE = "80f198ee56343ba864fe8b2a57d3eff7";
const OTHER_PARENT = "e457b5a2e4d86bd1";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Traced {
  readonly server: TestServer;
  readonly collector: Collector;
  /** Decision log events. */
  readonly events: () => readonly Readonly<Record<string, unknown>>[];
  check(path: string, headers?: Readonly<Record<string, string>>): Promise<boolean>;
  /** Waits for as many spans. */
  spans(count: number): Promise<readonly ReceivedSpan[]>;
}

async function start(
  collector: Collector,
  settings: PlainObject,
  { url = "http://127.0.0.1:1", config = {} }: { url?: string; config?: PlainObject } = {},
): Promise<Traced> {
  closing.push(() => collector.stop());
  const lines: string[] = [];
  const server = await startServer({
    policy: `package envoy.authz

default allow := false
allow if input.parsed_path[0] == "ok"
allow if {
  input.parsed_path[0] == "ask"
  http.send({"method": "get", "url": "${url}/x?y=1", "raise_error": false, "headers": {"Traceparent": "mine", "x-mine": "1"}})
}
allow if {
  input.parsed_path[0] == "conflict"
  answer == 1
}
answer := 1 if input.attributes
answer := 2 if input.attributes
`,
    config: () => ({
      distributed_tracing: {
        address: collector.address,
        batch_span_processor_options: { batch_timeout_ms: 20 },
        ...settings,
      },
      decision_logs: { console: true },
      cardea: { on_error: "rpc_error" },
      ...config,
    }),
    options: {
      addrs: ["127.0.0.1:0"],
      writer: lineWriter((line) => lines.push(line)),
    },
  });
  closing.push(() => server.stop());
  const client = server.connect();
  return {
    server,
    collector,
    events: () => lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>),
    async check(path, headers = {}) {
      const metadata = new Metadata();
      for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
      return isAllowed(await client.check(httpRequest({ method: "GET", path }), { metadata }));
    },
    async spans(count) {
      await until(() => collector.spans.length >= count);
      return collector.spans;
    },
  };
}

describe.for([
  { type: "grpc", open: () => grpcCollector() },
  { type: "http", open: () => httpCollector() },
])("OTLP over $type", ({ type, open }) => {
  test("a check is a server's span of the caller's trace, and in the decision log", async () => {
    const { check, spans, events, collector } = await start(await open(), {
      type,
      service_name: "authz",
      resource: { service_version: "2", deployment_environment: "test" },
    });
    expect(await check("/ok", { traceparent: `00-${TRACE}-${PARENT}-01` })).toBe(true);
    const [span] = await spans(1);
    expect(span).toEqual({
      traceId: TRACE,
      spanId: events()[0]?.["span_id"],
      parentSpanId: PARENT,
      name: CHECK_SPAN,
      kind: 2,
      attributes: {
        "rpc.method": CHECK_SPAN,
        "rpc.system.name": "grpc",
        "server.address": "127.0.0.1",
        "server.port": expect.any(Number) as number,
        "rpc.response.status_code": "OK",
      },
      status: {},
      resource: { "service.name": "authz", "service.version": "2", "deployment.environment": "test" },
    });
    expect(events()[0]?.["trace_id"]).toBe(TRACE);
    expect(collector.spans).toHaveLength(1);
  });
});

/** As observed from the plugin at 07a1fd15 (OPA 1.19.1) with these headers. */
describe("whose trace it is", () => {
  test.for([
    { name: "W3C", headers: { traceparent: `00-${TRACE}-${PARENT}-01` }, trace: TRACE, parent: PARENT },
    { name: "B3, one header", headers: { b3: `${TRACE}-${PARENT}-1` }, trace: TRACE, parent: PARENT },
    {
      name: "B3, several headers",
      headers: { "x-b3-traceid": TRACE, "x-b3-spanid": PARENT, "x-b3-sampled": "1" },
      trace: TRACE,
      parent: PARENT,
    },
    {
      name: "B3, 64 bits",
      headers: { "x-b3-traceid": "463ac35c9f6413ad", "x-b3-spanid": PARENT, "x-b3-sampled": "1" },
      trace: "0000000000000000463ac35c9f6413ad",
      parent: PARENT,
    },
    {
      name: "B3 before W3C",
      headers: { traceparent: `00-${TRACE}-${PARENT}-01`, b3: `${OTHER_TRACE}-${OTHER_PARENT}-1` },
      trace: OTHER_TRACE,
      parent: OTHER_PARENT,
    },
    { name: "nobody's", headers: {}, trace: expect.not.stringMatching(/^0+$/) as string, parent: "" },
    {
      name: "nobody's, by a header that cannot be read",
      headers: { traceparent: "00-xyz-1-01" },
      trace: expect.not.stringMatching(/^0+$/) as string,
      parent: "",
    },
  ])("$name", async ({ headers, trace, parent }) => {
    const { check, spans, events } = await start(await grpcCollector(), { type: "grpc" });
    await check("/no", headers as Readonly<Record<string, string>>);
    const [span] = await spans(1);
    expect(span).toMatchObject({ traceId: trace, parentSpanId: parent });
    expect(events()[0]).toMatchObject({ trace_id: span?.traceId, span_id: span?.spanId });
  });

  test("what the caller does not sample is not exported, but logged with its trace", async () => {
    const { check, spans, events } = await start(await grpcCollector(), { type: "grpc" });
    await check("/no", { traceparent: `00-${TRACE}-${PARENT}-00` });
    await check("/no", { "x-b3-traceid": TRACE, "x-b3-spanid": PARENT, "x-b3-sampled": "0" });
    await check("/ok", { traceparent: `00-${OTHER_TRACE}-${OTHER_PARENT}-01` });
    expect((await spans(1)).map(({ traceId }) => traceId)).toEqual([OTHER_TRACE]);
    expect(events().map((event) => event["trace_id"])).toEqual([TRACE, TRACE, OTHER_TRACE]);
  });

  test("sample_percentage 0 exports no trace that begins here", async () => {
    const { check, spans, events } = await start(await grpcCollector(), { type: "grpc", sample_percentage: 0 });
    await check("/no");
    await check("/no", { traceparent: `00-${TRACE}-${PARENT}-01` });
    expect((await spans(1)).map(({ traceId }) => traceId)).toEqual([TRACE]);
    expect(events()[0]?.["trace_id"]).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe("what goes on", () => {
  test("http.send tells the next hop, in every form, and has a span of its own", async () => {
    const seen: IncomingHttpHeaders[] = [];
    const stub = createServer((message, response) => {
      seen.push(message.headers);
      response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => stub.listen(0, "127.0.0.1", resolve));
    closing.push(() => stub.close());
    const { port } = stub.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}`;
    const { check, spans } = await start(await grpcCollector(), { type: "grpc" }, { url });
    expect(await check("/ask", { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: "v=1", baggage: "a=b" })).toBe(
      true,
    );
    const received = await spans(2);
    const outgoing = received.find(({ kind }) => kind === 3);
    const incoming = received.find(({ kind }) => kind === 2);
    expect(outgoing).toMatchObject({
      traceId: TRACE,
      parentSpanId: incoming?.spanId,
      name: "HTTP GET",
      attributes: {
        "http.request.method": "GET",
        "url.full": `${url}/x?y=1`,
        "server.address": "127.0.0.1",
        "server.port": port,
        "network.protocol.version": "1.1",
        "http.response.status_code": 404,
        "error.type": "404",
      },
      status: { code: 2 },
    });
    expect(seen[0]).toMatchObject({
      traceparent: `00-${TRACE}-${outgoing?.spanId}-01`,
      tracestate: "v=1",
      baggage: "a=b",
      b3: `${TRACE}-${outgoing?.spanId}-1`,
      "x-b3-traceid": TRACE,
      "x-b3-spanid": outgoing?.spanId,
      "x-b3-sampled": "1",
      "x-mine": "1",
    });
  });

  test("a host that cannot be reached leaves a failed span", async () => {
    const { check, spans } = await start(await grpcCollector(), { type: "grpc" });
    await check("/ask");
    const outgoing = (await spans(2)).find(({ kind }) => kind === 3);
    expect(outgoing).toMatchObject({ status: { code: 2 }, attributes: { "error.type": "network" } });
    expect(outgoing?.status.message).toContain("connection refused");
  });

  test("an error of gRPC is told with its code and text", async () => {
    const { check, spans } = await start(await grpcCollector(), { type: "grpc" });
    await expect(check("/conflict")).rejects.toThrow("eval_conflict_error");
    const [span] = await spans(1);
    expect(span?.attributes["rpc.response.status_code"]).toBe("UNKNOWN");
    expect(span?.status.code).toBe(2);
    expect(span?.status.message).toContain("complete rules must not produce multiple outputs");
  });
});

test("the REST API and the HTTP port for checks have spans too", async () => {
  const { server, spans, events } = await start(
    await httpCollector(),
    { type: "http" },
    { config: { cardea: { http_authz: { addr: "127.0.0.1:0" } } } },
  );
  const headers = { traceparent: `00-${TRACE}-${PARENT}-01` };
  await fetch(`http://${server.addresses.api[0]}/v1/data/envoy/authz/allow?input={}`, { headers });
  await fetch(`http://${server.addresses.httpAuthz}/ok`, { headers });
  const received = await spans(2);
  expect(received.map(({ name, traceId, parentSpanId }) => [name, traceId, parentSpanId])).toEqual([
    ["GET /v1/data/{path...}", TRACE, PARENT],
    ["GET", TRACE, PARENT],
  ]);
  expect(received[0]?.attributes).toMatchObject({
    "http.request.method": "GET",
    "http.route": "/v1/data/{path...}",
    "url.path": "/v1/data/envoy/authz/allow",
    "url.scheme": "http",
    "http.response.status_code": 200,
  });
  expect(events().map((event) => [event["trace_id"], event["span_id"]])).toEqual(
    received.map(({ traceId, spanId }) => [traceId, spanId]),
  );
});

describe("a collector that fails costs no decision", () => {
  test("away, with a full queue", async () => {
    const collector = await grpcCollector();
    await collector.stop();
    const { check } = await start(collector, {
      type: "grpc",
      batch_span_processor_options: { max_queue_size: 2, max_export_batch_size: 1, export_timeout_ms: 100 },
    });
    for (let i = 0; i < 50; i++) expect(await check("/ok")).toBe(true);
  });

  test("silent: the server still stops in its grace period", async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const collector: Collector = {
      address: `127.0.0.1:${(silent.address() as AddressInfo).port}`,
      spans: [],
      stop: async () => {
        silent.close();
        silent.closeAllConnections();
      },
    };
    const { check, server } = await start(collector, { type: "http" });
    expect(await check("/ok")).toBe(true);
    const began = Date.now();
    await server.server.stop();
    expect(Date.now() - began).toBeLessThan(6000);
  });
});

test("spans of the last moment are delivered when the server stops", async () => {
  const { check, server, collector } = await start(await grpcCollector(), {
    type: "grpc",
    batch_span_processor_options: { batch_timeout_ms: 60_000 },
  });
  await check("/ok");
  await server.server.stop();
  expect(collector.spans).toHaveLength(1);
});

describe("TLS", () => {
  let pki = "";
  const pem = (name: string): Buffer => readFileSync(join(pki, name));
  beforeAll(() => {
    pki = mkdtempSync(join(tmpdir(), "cardea-pki-"));
    execFileSync(
      "openssl",
      [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
        ...["-keyout", join(pki, "key.pem"), "-out", join(pki, "cert.pem"), "-subj", "/CN=localhost"],
        ...["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
      ],
      { stdio: "ignore" },
    );
    return () => rmSync(pki, { recursive: true, force: true });
  });

  test.for(["tls", "mtls"] as const)("%s", async (encryption) => {
    const pair = { cert_chain: pem("cert.pem"), private_key: pem("key.pem") };
    const collector = await grpcCollector(ServerCredentials.createSsl(pem("cert.pem"), [pair], encryption === "mtls"));
    const { check, spans } = await start(collector, {
      type: "grpc",
      encryption,
      tls_ca_cert_file: join(pki, "cert.pem"),
      tls_cert_file: join(pki, "cert.pem"),
      tls_private_key_file: join(pki, "key.pem"),
    });
    await check("/ok");
    expect(await spans(1)).toHaveLength(1);
  });
});
