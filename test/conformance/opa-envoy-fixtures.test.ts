import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { RpcError } from "../../src/ext-authz/index.ts";
import tar from "tar-stream";
import { afterEach, describe, expect, test } from "vitest";
import { type PlainObject, readConfig } from "../../src/config/index.ts";
import { caseFolder } from "../support/cases.ts";
import { type Bench, bench, decodeResponse, NO_DEADLINE } from "../support/checks.ts";
import { lineWriter } from "../support/lines.ts";
import { isAllowed, startServer, type TestServer, until } from "../support/server.ts";

// Cases of opa-envoy.json that need more than a policy and a request: other calls, other callers, things beside the server.

interface EnvoyCase {
  readonly id: string;
  readonly policy_rego?: string;
  readonly config: PlainObject & { readonly path?: string };
  readonly check_request_wire?: string;
  readonly repeat?: number;
  readonly expect: Readonly<Record<string, unknown>>;
}

const file = caseFolder("opa-envoy.json");
const cases = new Map(
  (file === undefined ? [] : (JSON.parse(readFileSync(file, "utf8")) as EnvoyCase[])).map((tc) => [tc.id, tc]),
);

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function caseOf(id: string): EnvoyCase {
  const tc = cases.get(id);
  if (tc === undefined) throw new Error(`there is no case ${id}`);
  return tc;
}

const requestOf = (tc: EnvoyCase): Buffer => Buffer.from(tc.check_request_wire ?? "", "base64");

interface Serving {
  readonly server: TestServer;
  readonly events: () => readonly Readonly<Record<string, unknown>>[];
}

interface Changes {
  readonly policy?: string;
  readonly config?: (folder: string) => PlainObject;
}

async function serve(
  tc: EnvoyCase,
  { policy = tc.policy_rego ?? "", config = () => ({}) }: Changes = {},
): Promise<Serving> {
  const { decision_logs: logs, bundles: _bundles, ...plugin } = tc.config as Readonly<Record<string, unknown>>;
  const lines: string[] = [];
  const server = await startServer({
    policy,
    paths: policy === "" ? [] : ["policy.rego"],
    config: (folder) => ({
      plugins: { envoy_ext_authz_grpc: { addr: "127.0.0.1:0", ...plugin } as PlainObject },
      ...(logs !== undefined && { decision_logs: logs as PlainObject }),
      ...config(folder),
    }),
    options: {
      writer: lineWriter((line) => lines.push(line)),
    },
  });
  closing.push(() => server.stop());
  return { server, events: () => lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>) };
}

function benchOf(tc: EnvoyCase): Bench {
  return bench({ policy: tc.policy_rego ?? "", ...(tc.config.path !== undefined && { path: tc.config.path }) });
}

describe.skipIf(file === undefined)("the plugin's cases with fixtures", () => {
  test("check-reload-invalidates-prepared-query", async () => {
    const tc = caseOf("check-reload-invalidates-prepared-query");
    const { server } = await serve(tc);
    const client = server.connect();
    const { store } = server.server;
    const prepared = () => store.current.prepare({ kind: "path", path: ["envoy", "authz", "result"] });
    expect(isAllowed(await client.check(requestOf(tc)))).toBe(true);
    const first = prepared();
    expect(isAllowed(await client.check(requestOf(tc)))).toBe(true);
    expect(prepared()).toBe(first);
    const text = `${tc.policy_rego ?? ""}\n# changed\n`;
    store.updateBase({ modules: [{ file: "policy.rego", text }], data: {} });
    expect(isAllowed(await client.check(requestOf(tc)))).toBe(true);
    expect(prepared()).not.toBe(first);
  });

  test.for([
    { id: "deadline-passed-before-eval", call: { deadlineMs: 1, isCancelled: () => false } },
    { id: "cancelled-before-eval", call: { ...NO_DEADLINE, isCancelled: () => true } },
    { id: "cancelled-call-still-logged", call: { ...NO_DEADLINE, isCancelled: () => true } },
  ])("$id", async ({ id, call }) => {
    const tc = caseOf(id);
    const { service, sink, faults, store } = benchOf(tc);
    if (id === "cancelled-call-still-logged")
      store.updateBase({
        modules: [
          { file: "policy.rego", text: tc.policy_rego ?? "" },
          { file: "mask.rego", text: 'package system.log\n\nmask contains "/input/version"\n' },
        ],
        data: {},
      });
    const answer = service.check(requestOf(tc), "v3", call);
    await expect(answer).rejects.toThrow(String(tc.expect["grpc_message"]));
    await answer.catch((cause: RpcError) => expect(cause.code).toBe(tc.expect["grpc_error"]));
    expect(sink.events).toHaveLength(1);
    expect(sink.events[0]).not.toHaveProperty("result");
    expect(sink.events[0]?.["error"]).toEqual({ message: tc.expect["grpc_message"] });
    expect(sink.events[0]?.["input"]).toHaveProperty("attributes");
    if (id === "cancelled-call-still-logged") expect(sink.events[0]?.["erased"]).toEqual(["/input/version"]);
    const [series] = Object.keys((tc.expect["metrics"] ?? {}) as object);
    if (series !== undefined) expect(series).toBe(`error_counter{reason="${faults[0]}"}`);
  });

  test("decision-log-plugin-failure", async () => {
    const tc = caseOf("decision-log-plugin-failure");
    const { service, sink, faults } = benchOf(tc);
    sink.failure = new Error("the disk is gone");
    const reply = decodeResponse(await service.check(requestOf(tc), "v3", NO_DEADLINE));
    expect(reply.status).toEqual({ code: tc.expect["status_code"], message: "the disk is gone" });
    expect(faults).toEqual(["unknown_log_error"]);
  });

  test("http-send-force-cache-across-checks", async () => {
    const tc = caseOf("http-send-force-cache-across-checks");
    let hits = 0;
    const stub = createServer((_message, response) => {
      hits++;
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ hits }));
    });
    await new Promise<void>((resolve) => stub.listen(0, "127.0.0.1", resolve));
    closing.push(() => stub.close());
    const url = `http://127.0.0.1:${(stub.address() as AddressInfo).port}`;
    const { server } = await serve(tc, { policy: (tc.policy_rego ?? "").replaceAll("{{STUB_URL}}", url) });
    const client = server.connect();
    for (let i = 0; i < (tc.repeat ?? 1); i++) expect(isAllowed(await client.check(requestOf(tc)))).toBe(true);
    expect(hits).toBe(1);
  });

  test.for(["config-defaults", "config-histogram-buckets"])("%s", (id) => {
    const tc = caseOf(id);
    const want = tc.expect["config"] as Readonly<Record<string, unknown>>;
    const { plugin } = readConfig({ plugins: { envoy_ext_authz_grpc: tc.config } }, (message) => {
      throw new Error(message);
    });
    const got: Readonly<Record<string, unknown>> = {
      addr: plugin?.addr,
      path: plugin?.path,
      query: plugin?.query,
      effective_query: `data.${plugin?.path.replaceAll("/", ".")}`,
      "dry-run": plugin?.dryRun,
      "enable-reflection": plugin?.enableReflection,
      "grpc-max-recv-msg-size": plugin?.maxReceiveBytes,
      "grpc-max-send-msg-size": plugin?.maxSendBytes,
      "skip-request-body-parse": plugin?.skipRequestBodyParse,
      "enable-performance-metrics": plugin?.enablePerformanceMetrics,
      "grpc-request-duration-seconds-buckets": plugin?.durationBuckets,
    };
    expect(got).toMatchObject(want);
  });

  test("plugin-status-lifecycle", async () => {
    const tc = caseOf("plugin-status-lifecycle");
    const key = String(tc.expect["status_key"]);
    const { server } = await serve(tc, { policy: "package envoy.authz\n\nallow := true\n" });
    const state = async (): Promise<unknown> => {
      const response = await fetch(`http://${server.addresses.diagnostic[0]}/health?plugins`);
      const others = await fetch(`http://${server.addresses.diagnostic[0]}/health?plugins&exclude-plugin=${key}`);
      expect(others.status).toBe(200);
      return response.status;
    };
    expect(await state()).toBe(200);
    server.server.prepareStop();
    expect(await state()).toBe(500);
  });

  test("decision-log-cancel-text", async () => {
    const tc = caseOf("decision-log-cancel-text");
    const endless = `package envoy.authz

allow if count([1 | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a == b + 1]) == 0
`;
    const { service, sink } = bench({ policy: endless });
    const bytes = requestOf(caseOf("cancelled-before-eval"));
    const call = { deadlineMs: Date.now() + 50, isCancelled: () => false };
    await expect(service.check(bytes, "v3", call)).rejects.toThrow(RpcError);
    const { error_text: text } = tc.expect["decision_log"] as { error_text: string };
    const error = sink.events[0]?.["error"] as { code: string; message: string };
    expect(`${error.code}: ${error.message}`).toBe(text);
  });

  test("bundle-revisions-in-log", async () => {
    const tc = caseOf("bundle-revisions-in-log");
    const bundles = tc.config["bundles"] as Readonly<Record<string, { revision: string; roots: string[] }>>;
    const config = (folder: string): PlainObject => ({
      bundles: Object.fromEntries(
        Object.keys(bundles).map((name) => [
          name,
          {
            resource: pathToFileURL(join(folder, `${name}.tar.gz`)).href,
            polling: { min_delay_seconds: 0.02, max_delay_seconds: 0.03 },
          },
        ]),
      ),
    });
    const { server, events } = await serve(tc, { policy: "", config });
    for (const [name, manifest] of Object.entries(bundles)) {
      const owner = manifest.roots.includes("envoy");
      await writeFile(
        join(server.folder, `${name}.tar.gz`),
        await archive({
          ".manifest": JSON.stringify(manifest),
          ...(owner && { "envoy/p.rego": tc.policy_rego ?? "" }),
        }),
      );
    }
    await until(() => server.server.store.current.bundles.size === 2);
    expect(isAllowed(await server.connect().check(requestOf(tc)))).toBe(true);
    const want = tc.expect["decision_log"] as { bundles: object; absent: string[] };
    const event = events().at(-1);
    expect(event?.["bundles"]).toEqual(want.bundles);
    for (const key of want.absent) expect(event).not.toHaveProperty([key]);
  });

  // The plugin has no health service; ours has, which a proxy that asks for it is glad of and no other one sees.
  test.fails("x-grpc-health-not-served", async () => {
    const tc = caseOf("x-grpc-health-not-served");
    const { server } = await serve(tc, { policy: "package envoy.authz\n\nallow := true\n" });
    const call = server.connect().unary(Buffer.alloc(0), { method: `/${String(tc.expect["rpc"])}` });
    await expect(call).rejects.toMatchObject({ code: tc.expect["grpc_error"] });
  });

  test("x-reflection-off-by-default", async () => {
    const tc = caseOf("x-reflection-off-by-default");
    const { server } = await serve(tc, { policy: "package envoy.authz\n\nallow := true\n" });
    const call = server.connect().unary(Buffer.alloc(0), { method: `/${String(tc.expect["rpc"])}` });
    await expect(call).rejects.toMatchObject({ code: tc.expect["grpc_error"] });
  });

  test("x-reflection-on", async () => {
    const tc = caseOf("x-reflection-on");
    const { server } = await serve(tc, { policy: "package envoy.authz\n\nallow := true\n" });
    const identity = (bytes: Buffer): Buffer => bytes;
    const text = await new Promise<string>((resolve, reject) => {
      const stream = server
        .connect()
        .grpc.makeBidiStreamRequest("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", identity, identity);
      stream.on("data", (bytes: Buffer) => {
        resolve(bytes.toString("latin1"));
        stream.end();
      });
      stream.on("error", reject);
      stream.write(Buffer.from([0x3a, 0])); // list_services: ""
    });
    for (const service of tc.expect["services_listed"] as string[]) expect(text).toContain(service);
  });
});

async function archive(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const pack = tar.pack();
  for (const [name, text] of Object.entries(files)) pack.entry({ name }, text);
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack as AsyncIterable<Buffer>) chunks.push(chunk);
  return gzipSync(Buffer.concat(chunks));
}
