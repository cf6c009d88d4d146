import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server as HttpServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { type ChannelCredentials, credentials, status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PlainObject } from "../../src/config/index.ts";
import type { Addresses, CardeaServer, ServerOptions } from "../../src/server/index.ts";
import { httpRequest, type ReplyDocument } from "../support/checks.ts";
import { type CallOptions, CheckClient, isAllowed, startServer, until } from "../support/server.ts";

const ALLOW = "package envoy.authz\n\nallow := true\n";
const DENY = "package envoy.authz\n\nallow := false\n";
const GET = httpRequest({ method: "GET", path: "/" });

let root = "";
const closing: (() => Promise<unknown> | unknown)[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "cardea-e2e-"));
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await rm(root, { recursive: true, force: true });
});

interface Running {
  readonly server: CardeaServer;
  readonly addresses: Addresses;
  readonly api: string;
  check(bytes?: Buffer, options?: CallOptions): Promise<ReplyDocument>;
}

async function run(policy: string, config: PlainObject = {}, options: Partial<ServerOptions> = {}): Promise<Running> {
  const path = join(root, "policy.rego");
  await writeFile(path, policy);
  const { server, addresses, stop } = await startServer({
    policy: "",
    paths: [],
    config: () => config,
    options: { paths: [path], watches: true, addrs: ["127.0.0.1:0"], ...options },
  });
  closing.push(stop);
  const client = clientOf(addresses.grpc ?? "127.0.0.1:1");
  return {
    server,
    addresses,
    api: `http://${addresses.api[0]}`,
    check: (bytes = GET, more) => client.check(bytes, more),
  };
}

function clientOf(address: string, channel?: ChannelCredentials): CheckClient {
  const target = address.startsWith("unix://") ? `unix:${address.slice("unix://".length)}` : address;
  const client = new CheckClient(target, channel);
  closing.push(() => client.close());
  return client;
}

describe("serving", () => {
  test("checks, health and metrics", async () => {
    const { check, addresses, api } = await run(ALLOW);
    expect(isAllowed(await check())).toBe(true);
    expect(isAllowed(await check(GET, { method: "/envoy.service.auth.v2.Authorization/Check" }))).toBe(true);
    const diagnostics = `http://${addresses.diagnostic[0]}`;
    for (const path of ["/health", "/health?plugins", "/health?bundles", "/health?plugins&exclude-plugin=x"])
      expect((await fetch(diagnostics + path)).status).toBe(200);
    expect(await (await fetch(`${diagnostics}/metrics`)).text()).toContain('cardea_decisions_total{verdict="allow"} 2');
    expect((await fetch(`${diagnostics}/v1/data`)).status).toBe(404);
    expect((await fetch(`${api}/v1/data/envoy/authz/allow`)).ok).toBe(true);
  });

  test("a unix socket", async () => {
    const { check } = await run(ALLOW, {
      plugins: { envoy_ext_authz_grpc: { addr: `unix://${join(root, "a.sock")}` } },
    });
    expect(isAllowed(await check())).toBe(true);
  });

  test("an address that is no address leaves the process up and not ready", async () => {
    const { addresses, api } = await run(ALLOW, { plugins: { envoy_ext_authz_grpc: { addr: "ftp://x" } } });
    expect(addresses.grpc).toBeUndefined();
    expect((await fetch(`${api}/health`)).status).toBe(200);
    const reply = await fetch(`${api}/health?plugins`);
    expect([reply.status, await reply.json()]).toEqual([500, { error: "one or more plugins are not up" }]);
  });

  test("messages beyond the limit are refused", async () => {
    const { check } = await run(ALLOW, {
      plugins: { envoy_ext_authz_grpc: { addr: "127.0.0.1:0", "grpc-max-recv-msg-size": 1000 } },
    });
    await expect(check(httpRequest({ path: "/", body: "x".repeat(2000) }))).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
    expect(isAllowed(await check())).toBe(true);
  });

  test("bytes that are no message do not harm", async () => {
    const { check } = await run(ALLOW);
    expect(isAllowed(await check(Buffer.from("ffffffff", "hex")))).toBe(false);
    expect(isAllowed(await check())).toBe(true);
  });

  test("health and reflection services", async () => {
    const { addresses } = await run(ALLOW, {
      plugins: { envoy_ext_authz_grpc: { addr: "127.0.0.1:0", "enable-reflection": true } },
    });
    const client = clientOf(addresses.grpc ?? "");
    const identity = (value: Buffer): Buffer => value;
    const health = await new Promise((resolve, reject) => {
      client.grpc.makeUnaryRequest(
        "/grpc.health.v1.Health/Check",
        identity,
        identity,
        Buffer.alloc(0),
        (error, reply) => (error === null ? resolve(reply) : reject(error)),
      );
    });
    expect(health).toEqual(Buffer.from([8, 1]));
    const services = await new Promise<string>((resolve, reject) => {
      const stream = client.grpc.makeBidiStreamRequest(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        identity,
        identity,
      );
      stream.on("data", (bytes: Buffer) => {
        resolve(bytes.toString("latin1"));
        stream.end();
      });
      stream.on("error", reject);
      stream.write(Buffer.from([0x3a, 0])); // list_services: ""
    });
    for (const name of [
      "envoy.service.auth.v2.Authorization",
      "envoy.service.auth.v3.Authorization",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
    ])
      expect(services).toContain(name);
  });
});

describe("reloading", () => {
  test("new policies serve, broken ones do not, and no check fails meanwhile", async () => {
    const { check, server, api } = await run(ALLOW);
    let isDone = false;
    const verdicts = new Set<boolean>();
    const load = (async () => {
      while (!isDone) verdicts.add(isAllowed(await check()));
    })();
    await writeFile(join(root, "policy.rego"), DENY);
    await until(async () => !isAllowed(await check()));
    await writeFile(join(root, "policy.rego"), "package envoy.authz\n\nallow := nope\n");
    await until(() => server.store.lastFailure !== undefined);
    expect(isAllowed(await check())).toBe(false);
    expect(await (await fetch(`${api}/v1/status`)).text()).toContain("var nope is unsafe");
    expect(await (await fetch(`${api}/metrics`)).text()).toContain('cardea_policy_reloads_total{result="failed"} 1');
    await writeFile(join(root, "policy.rego"), ALLOW);
    await until(async () => isAllowed(await check()));
    isDone = true;
    await load;
    expect(verdicts).toEqual(new Set([true, false]));
  });

  test("a policy that does not compile keeps the server from starting", async () => {
    await expect(run("package envoy.authz\n\nallow := nope\n")).rejects.toThrow("var nope is unsafe");
  });
});

describe("stopping", () => {
  test("running checks are answered, new ones refused", async () => {
    let release = (): void => undefined;
    const upstream = await listen((_request, response) => {
      release = () => response.end("{}");
    });
    const { check, server } = await run(
      `package envoy.authz\n\nallow if http.send({"method": "GET", "url": "${upstream}"}).status_code == 200\n`,
      { cardea: { limits: { evaluation_ms: 10_000 } } },
    );
    const running = check();
    await until(() => release.toString().includes("end"));
    const stopped = server.stop();
    release();
    expect(isAllowed(await running)).toBe(true);
    await stopped;
    await expect(check(GET, { deadlineMs: 500 })).rejects.toBeDefined();
  });

  test("calls that hang end at the grace period", async () => {
    const upstream = await listen(() => undefined);
    const { check, server } = await run(
      `package envoy.authz\n\nallow if http.send({"method": "GET", "url": "${upstream}", "timeout": "60s"})\n`,
      { cardea: { limits: { evaluation_ms: 60_000 } } },
      { shutdownGraceMs: 100 },
    );
    const running = check().catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await server.stop();
    expect(await running).toBeInstanceOf(Error);
  });
});

async function listen(handler: Parameters<typeof createServer>[1]): Promise<string> {
  const http: HttpServer = createServer(handler as never);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    http.closeAllConnections();
    http.close();
  });
  return `http://127.0.0.1:${(http.address() as { port: number }).port}`;
}

describe("other servers", () => {
  test("bundles are downloaded before the server is healthy, decisions are uploaded", async () => {
    const uploads: unknown[] = [];
    let isOpen = false;
    const url = await listen((request, response) => {
      if (request.url === "/logs") {
        const chunks: Buffer[] = [];
        request.on("data", (chunk: Buffer) => chunks.push(chunk));
        request.on("end", () => {
          uploads.push(...(JSON.parse(gunzipSync(Buffer.concat(chunks)).toString()) as unknown[]));
          response.end();
        });
      } else if (isOpen && request.headers.authorization === "Bearer t") {
        response.setHeader("etag", "e1");
        response.end(tarOf({ ".manifest": '{"revision": "r1", "roots": ["envoy"]}', "p.rego": ALLOW }));
      } else {
        response.statusCode = 503;
        response.end();
      }
    });
    const services = { s: { url, credentials: { bearer: { token: "t" } } } };
    const bundles = { main: { resource: "bundle.tar.gz", polling: { min_delay_seconds: 1, max_delay_seconds: 1 } } };
    const { check, api, server } = await run("package unused\n", {
      services,
      bundles,
      decision_logs: { service: "s" },
    });
    expect((await fetch(`${api}/health?bundles`)).status).toBe(500);
    expect(isAllowed(await check())).toBe(false);
    isOpen = true;
    await until(async () => (await fetch(`${api}/health?bundles`)).ok);
    expect(isAllowed(await check())).toBe(true);
    await server.stop();
    expect(uploads.at(-1)).toMatchObject({ result: true, bundles: { main: { revision: "r1" } } });
  });
});

/** A tar archive of small files. */
function tarOf(files: Readonly<Record<string, string>>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, text]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write("0000644\0", 100);
    header.write(`${text.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write("        0", 148);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return [header, Buffer.from(text.padEnd(Math.ceil(text.length / 512) * 512, "\0"))];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

describe("TLS", () => {
  function openssl(...args: readonly string[]): void {
    execFileSync("openssl", args, { cwd: root, stdio: "ignore" });
  }

  function issue(name: string, san: string): void {
    openssl(
      "req",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.csr`,
      "-subj",
      `/CN=${name}`,
      "-addext",
      `subjectAltName=${san}`,
    );
    openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      "ca.crt",
      "-CAkey",
      "ca.key",
      "-days",
      "1",
      "-copy_extensions",
      "copy",
      "-out",
      `${name}.crt`,
    );
  }

  test("mutual, for allowed principals only", async () => {
    openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-keyout",
      "ca.key",
      "-out",
      "ca.crt",
      "-days",
      "1",
      "-subj",
      "/CN=ca",
    );
    issue("server", "DNS:localhost");
    issue("envoy", "URI:spiffe://cluster.local/ns/a/sa/envoy");
    issue("other", "URI:spiffe://cluster.local/ns/a/sa/other");
    const tls = {
      cert_file: join(root, "server.crt"),
      key_file: join(root, "server.key"),
      client_ca_file: join(root, "ca.crt"),
      allowed_principals: ["spiffe://cluster.local/ns/a/sa/envoy"],
    };
    const { addresses } = await run(ALLOW, { cardea: { grpc: { tls } } });
    const { readFileSync } = await import("node:fs");
    const file = (name: string): Buffer => readFileSync(join(root, name));
    const channel = (name?: string) =>
      credentials.createSsl(file("ca.crt"), ...(name === undefined ? [] : [file(`${name}.key`), file(`${name}.crt`)]));
    expect(isAllowed(await clientOf(addresses.grpc ?? "", channel("envoy")).check(GET))).toBe(true);
    await expect(clientOf(addresses.grpc ?? "", channel("other")).check(GET)).rejects.toMatchObject({
      code: status.PERMISSION_DENIED,
    });
    await expect(clientOf(addresses.grpc ?? "", channel()).check(GET, { deadlineMs: 1000 })).rejects.toBeDefined();
    await expect(clientOf(addresses.grpc ?? "").check(GET, { deadlineMs: 1000 })).rejects.toBeDefined();
  });
});

describe("the API", () => {
  const send = (api: string, method: string, path: string, body?: unknown) =>
    fetch(api + path, {
      method,
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });

  // Answers compared with OPA 1.20.2's.
  test("data", async () => {
    const { api } = await run(`${ALLOW}\nhello := {"who": input.name}\n`);
    const rows: readonly (readonly [string, string, unknown, number, unknown])[] = [
      ["POST", "/v1/data/envoy/authz/hello", { input: { name: "x" } }, 200, { result: { who: "x" } }],
      [
        "POST",
        "/v1/data/envoy/authz/hello",
        {},
        200,
        { warning: { code: "api_usage_warning", message: "'input' key missing from the request" } },
      ],
      ["GET", "/v1/data/nope", undefined, 200, {}],
      ["POST", "/v0/data/envoy/authz/hello", { name: "y" }, 200, { who: "y" }],
      ["POST", "/v0/data/nope", {}, 404, { code: "undefined_document", message: "document missing: data.nope" }],
      ["POST", "/v1/data/x", "{bad", 400, { code: "invalid_parameter", message: expect.any(String) }],
      ["PUT", "/v1/data/w/x", { y: 1 }, 204, undefined],
      ["GET", "/v1/data/w", undefined, 200, { result: { x: { y: 1 } } }],
      [
        "PUT",
        "/v1/data/w/x/y/z",
        1,
        404,
        { code: "resource_conflict", message: "storage_write_conflict_error: /w/x/y" },
      ],
      ["PATCH", "/v1/data/w", [{ op: "add", path: "x/k", value: [1] }], 204, undefined],
      ["DELETE", "/v1/data/w/x", undefined, 204, undefined],
      [
        "DELETE",
        "/v1/data/w/x",
        undefined,
        404,
        { code: "resource_not_found", message: "storage_not_found_error: document does not exist" },
      ],
      ["GET", "/v1/query?q=x%20%3D%201", undefined, 200, { result: [{ x: 1 }] }],
      ["GET", "/v1/query?q=false", undefined, 200, {}],
      [
        "GET",
        "/v1/query?q=x",
        undefined,
        400,
        {
          code: "invalid_parameter",
          message: "error(s) occurred while compiling query",
          errors: [
            { code: "rego_unsafe_var_error", message: "var x is unsafe", location: { file: "", row: 1, col: 1 } },
          ],
        },
      ],
      ["PUT", "/v1/policies/new", "package new\n\np := 1", 200, {}],
      ["GET", "/v1/data/new/p", undefined, 200, { result: 1 }],
      [
        "PUT",
        "/v1/policies/new",
        "package new\n\np := x",
        400,
        expect.objectContaining({ message: "error(s) occurred while compiling module(s)" }),
      ],
      ["GET", "/v1/data/new/p", undefined, 200, { result: 1 }],
      ["DELETE", "/v1/policies/new", undefined, 200, {}],
      [
        "DELETE",
        "/v1/policies/new",
        undefined,
        404,
        { code: "resource_not_found", message: 'storage_not_found_error: policy id "new"' },
      ],
      ["POST", "/", {}, 404, { code: "undefined_document", message: "document missing: data.system.main" }],
    ];
    for (const [method, path, body, code, want] of rows) {
      const reply = await send(api, method, path, body);
      const text = await reply.text();
      expect([`${method} ${path}`, reply.status, text === "" ? undefined : JSON.parse(text)]).toEqual([
        `${method} ${path}`,
        code,
        want,
      ]);
    }
  });

  test("a policy decides who may ask", async () => {
    const policy = `${ALLOW}\n`;
    const { api, server } = await run(policy, {}, { authorization: "basic", authentication: "token" });
    expect((await fetch(`${api}/v1/data`)).status).toBe(500);
    server.store.updateBase({
      modules: [
        ...server.store.base.modules,
        {
          file: "authz.rego",
          text: 'package system.authz\n\nallow if input.identity == "secret"\n\nallow if input.path == ["health"]\n\ndefault allow := false\n',
        },
      ],
      data: {},
    });
    expect((await fetch(`${api}/v1/data`)).status).toBe(401);
    expect((await fetch(`${api}/health`)).status).toBe(200);
    expect((await fetch(`${api}/v1/data`, { headers: { authorization: "Bearer secret" } })).status).toBe(200);
  });

  test("what a bundle owns only the bundle changes", async () => {
    const { api, server } = await run(ALLOW);
    server.store.update(
      new Map([["b", { modules: [], data: { owned: 1 }, bundle: { revision: "r", roots: ["owned"] } }]]),
    );
    expect((await send(api, "PUT", "/v1/data/owned/x", 1)).status).toBe(400);
    expect((await send(api, "PUT", "/v1/data/free", 1)).status).toBe(204);
  });
});
