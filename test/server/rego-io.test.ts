import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { callBuiltin } from "../../src/rego/builtins/define.ts";
import { httpBuiltins } from "../../src/rego/builtins/http.ts";
import { netBuiltins } from "../../src/rego/builtins/net.ts";
import { BuiltinError, type IoAnswer, Suspension } from "../../src/rego/runtime/index.ts";
import { RegoSet, type Value } from "../../src/rego/value/index.ts";
import { RegoIo, type RegoIoOptions } from "../../src/server/rego-io.ts";
import { builtinContext } from "../support/builtin-context.ts";

const tlsFile = (name: string) => new URL(`../fixtures/tls/${name}`, import.meta.url).pathname;
const pem = (name: string) => readFileSync(tlsFile(name), "utf8");

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function listen(server: http.Server | https.Server, socketPath?: string): Promise<number> {
  await new Promise<void>((resolve) => {
    if (socketPath === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(socketPath, resolve);
  });
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return socketPath === undefined ? (server.address() as AddressInfo).port : 0;
}

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

type Handler = (seen: Seen, reply: http.ServerResponse, count: number) => void;

/** A server that writes down what it was asked. */
async function serve(
  handler: Handler,
  create: (listener: http.RequestListener) => http.Server | https.Server = http.createServer,
) {
  const seen: Seen[] = [];
  const server = create((request, reply) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      seen.push({
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      });
      handler(seen.at(-1) as Seen, reply, seen.length);
    });
  });
  const port = await listen(server);
  return { seen, url: `http://127.0.0.1:${port}`, port };
}

/** Calls a builtin as an evaluation with I/O would. */
function caller(options: RegoIoOptions = {}, env: Record<string, string> = {}) {
  const io = new RegoIo(options);
  closers.push(() => io.close());
  const builtins = new Map([...httpBuiltins, ...netBuiltins].map((builtin) => [builtin.name, builtin]));
  return async (name: string, operand: Value): Promise<Value | undefined> => {
    const answers = new Map<string, IoAnswer>();
    for (;;) {
      const context = {
        ...builtinContext(),
        env,
        io: (key: string, request: ConstructorParameters<typeof Suspension>[1]) => {
          const answer = answers.get(key);
          if (answer === undefined) throw new Suspension(key, request);
          if ("error" in answer) throw new BuiltinError(answer.error);
          return answer.value;
        },
      };
      try {
        return callBuiltin(builtins.get(name) as (typeof httpBuiltins)[number], context, operand);
      } catch (error) {
        if (!(error instanceof Suspension)) throw error;
        answers.set(error.key, await io.answer(error.request));
      }
    }
  };
}

const send = (options: RegoIoOptions = {}, env: Record<string, string> = {}) => {
  const call = caller(options, env);
  return (request: Value) => call("http.send", request) as Promise<Record<string, Value>>;
};

describe("http.send", () => {
  test("sends method, headers and JSON body, and decodes a JSON reply", async () => {
    const { seen, url } = await serve((_seen, reply) =>
      reply
        .setHeader("Content-Type", "application/json")
        .setHeader("X-Two", ["a", "b"])
        .end('{"n": 12345678901234567890}'),
    );
    const response = await send()({
      method: "post",
      url: `${url}/a/../b?x=1`,
      headers: { "x-token": "t", "User-Agent": "mine" },
      body: { b: ["<"], a: RegoSet.of([2, 1]) },
    });
    expect(seen).toMatchObject([
      {
        method: "POST",
        url: "/a/../b?x=1",
        headers: { "x-token": "t", "user-agent": "mine" },
        body: '{"a":[1,2],"b":["\\u003c"]}',
      },
    ]);
    expect(response).toMatchObject({
      status: "200 OK",
      status_code: 200,
      body: { n: 12345678901234567890n },
      raw_body: '{"n": 12345678901234567890}',
      headers: { "x-two": ["a", "b"], "content-type": ["application/json"] },
    });
  });

  test.for([
    { why: "a suffix +json", type: "application/problem+json; charset=utf-8", body: '{"a":1}', want: { a: 1 } },
    { why: "YAML by its type", type: "application/x-yaml", body: "a: [1]", want: { a: [1] } },
    { why: "the first of several values", type: "application/json", body: '{"a":1} x', want: { a: 1 } },
    { why: "YAML 1.1 scalars", type: "application/yaml", body: "[yes, 0x1f, 1_000]", want: [true, 31, 1000] },
    { why: "text, not at all", type: "text/plain", body: '{"a":1}', want: null },
    { why: "broken JSON to null", type: "application/json", body: "{", want: null },
    {
      why: "anything on demand",
      type: "text/plain",
      body: '{"a":1}',
      extra: { force_json_decode: true },
      want: { a: 1 },
    },
    { why: "YAML on demand", type: "text/plain", body: "a: 1", extra: { force_yaml_decode: true }, want: { a: 1 } },
  ])("decodes $why", async ({ type, body, extra, want }) => {
    const { url } = await serve((_seen, reply) => reply.setHeader("Content-Type", type).end(body));
    expect(await send()({ method: "GET", url, ...extra })).toMatchObject({ body: want, raw_body: body });
  });

  test("sends header values as UTF-8", async () => {
    const { seen, url } = await serve((_seen, reply) => reply.end());
    await send()({ method: "GET", url, headers: { "X-Name": "é😀" } });
    expect(Buffer.from(seen[0]?.headers["x-name"] as string, "latin1").toString()).toBe("é😀");
  });

  test("unpacks gzip it asked for itself, and hides that", async () => {
    const { seen, url } = await serve((_seen, reply) =>
      reply.setHeader("Content-Encoding", "gzip").end(gzipSync("text")),
    );
    const response = await send()({ method: "GET", url });
    expect(seen[0]?.headers["accept-encoding"]).toBe("gzip");
    expect(response["raw_body"]).toBe("text");
    expect(response["headers"]).not.toHaveProperty("content-encoding");
  });

  test("refuses a body beyond the limit, packed or not", async () => {
    const { url } = await serve(({ url: path }, reply) => {
      if (path === "/zip") reply.setHeader("Content-Encoding", "gzip").end(gzipSync(Buffer.alloc(5000)));
      else reply.end("x".repeat(5000));
    });
    const call = send({ maxBodyBytes: 1000 });
    for (const path of ["/", "/zip"])
      await expect(call({ method: "GET", url: url + path })).rejects.toThrow("response body is larger than 1000 bytes");
  });

  test("returns a redirect, or follows it with its rules", async () => {
    const other = await serve((_seen, reply) => reply.end("other"));
    const { seen, url } = await serve(({ url: path }, reply) => {
      if (path === "/303") reply.writeHead(303, { Location: "/end" }).end();
      else if (path === "/307") reply.writeHead(307, { Location: "/end" }).end();
      else if (path === "/away") reply.writeHead(302, { Location: `http://localhost:${other.port}/x` }).end();
      else if (path === "/loop") reply.writeHead(302, { Location: "/loop" }).end();
      else reply.end("end");
    });
    const call = send();
    expect(await call({ method: "GET", url: `${url}/303` })).toMatchObject({ status_code: 303 });
    seen.length = 0;
    for (const path of ["/303", "/307"])
      await call({ method: "POST", url: url + path, body: 1, enable_redirect: true });
    expect(seen.map(({ method, url: path, body }) => [method, path, body])).toEqual([
      ["POST", "/303", "1"],
      ["GET", "/end", ""],
      ["POST", "/307", "1"],
      ["POST", "/end", "1"],
    ]);
    await call({
      method: "GET",
      url: `${url}/away`,
      headers: { Authorization: "secret", "X-Plain": "1" },
      enable_redirect: true,
    });
    expect(other.seen[0]?.headers).toMatchObject({ "x-plain": "1", referer: `${url}/away` });
    expect(other.seen[0]?.headers).not.toHaveProperty("authorization");
    await expect(call({ method: "GET", url: `${url}/loop`, enable_redirect: true })).rejects.toThrow(
      "stopped after 10 redirects",
    );
  });

  test("speaks over a Unix domain socket", async () => {
    const folder = mkdtempSync(join(tmpdir(), "rego-io-"));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    const server = http.createServer((request, reply) => reply.end(request.url));
    await listen(server, join(folder, "s"));
    const url = `unix://localhost/end/point?socket=${encodeURIComponent(join(folder, "s"))}&a=1`;
    expect(await send()({ method: "GET", url })).toMatchObject({ raw_body: "/end/point?a=1" });
  });

  describe("failures", () => {
    /** A port nobody listens on. */
    async function closedPort(): Promise<number> {
      const server = http.createServer();
      const port = await listen(server);
      await new Promise((resolve) => server.close(resolve));
      return port;
    }

    test("a refused connection is a network error", async () => {
      const url = `http://127.0.0.1:${await closedPort()}/x`;
      const port = new URL(url).port;
      const want = `Get "${url}": dial tcp 127.0.0.1:${port}: connect: connection refused`;
      await expect(send()({ method: "GET", url })).rejects.toThrow(want);
      expect(await send()({ method: "GET", url, raise_error: false })).toEqual({
        status_code: 0,
        error: { code: "eval_http_send_network_error", message: want },
      });
    });

    test("a silent server times out", async () => {
      const { url } = await serve(() => undefined);
      await expect(send()({ method: "GET", url: `${url}/`, timeout: "50ms" })).rejects.toThrow(
        `Get ${url}/: request timed out`,
      );
      await expect(send()({ method: "GET", url: `${url}/`, timeout: 50_000_000 })).rejects.toThrow("request timed out");
      expect(await send()({ method: "GET", url: `${url}/`, timeout: "50ms", raise_error: false })).toMatchObject({
        error: { code: "eval_http_send_network_error" },
      });
    });

    test("a body that breaks off is an internal error", async () => {
      const { url } = await serve((_seen, reply) => {
        reply.writeHead(200, { "Content-Length": "100" });
        reply.write("part", () => reply.destroy());
      });
      expect(await send()({ method: "GET", url, raise_error: false })).toMatchObject({
        status_code: 0,
        error: { code: "eval_http_send_internal_error" },
      });
    });

    test("is retried as often as asked, within the limit", async () => {
      const { seen, url } = await serve((_seen, reply, count) => {
        if (count < 3) reply.destroy();
        else reply.end("third");
      });
      const pauses: number[] = [];
      const pause = async (ms: number) => {
        pauses.push(ms);
      };
      expect(await send({ pause })({ method: "GET", url, max_retry_attempts: 5 })).toMatchObject({ raw_body: "third" });
      expect(seen.length).toBe(3);
      expect(pauses[0]).toBeGreaterThanOrEqual(80);
      expect(pauses[1]).toBeLessThanOrEqual(200);
      seen.length = 0;
      await expect(send({ pause, maxRetries: 1 })({ method: "GET", url, max_retry_attempts: 5 })).rejects.toThrow(
        "EOF",
      );
      expect(seen.length).toBe(2);
    });

    test("hosts outside the allowed ones are not asked", async () => {
      const { seen, url } = await serve((_seen, reply) =>
        reply.writeHead(302, { Location: "http://localhost:1/" }).end(),
      );
      await expect(send({ allowedHosts: ["example.org"] })({ method: "GET", url })).rejects.toThrow(
        "disallowed host: 127.0.0.1",
      );
      expect(seen.length).toBe(0);
      await expect(
        send({ allowedHosts: ["127.0.0.1"] })({ method: "GET", url, enable_redirect: true }),
      ).rejects.toThrow("disallowed host: localhost");
    });

    test("requests beyond those waiting fail at once", async () => {
      const held: http.ServerResponse[] = [];
      const { url } = await serve((_seen, reply) => {
        held.push(reply);
      });
      const call = send({ maxConcurrent: 1, maxWaiting: 1 });
      const first = call({ method: "GET", url: `${url}/1` });
      const second = call({ method: "GET", url: `${url}/2` });
      await expect(call({ method: "GET", url: `${url}/3` })).rejects.toThrow("more than 1 requests under way");
      await expect.poll(() => held.length).toBe(1);
      held[0]?.end("1");
      await expect.poll(() => held.length).toBe(2);
      held[1]?.end("2");
      expect([(await first)["raw_body"], (await second)["raw_body"]]).toEqual(["1", "2"]);
    });

    test.for([
      {
        request: { method: "GET", url: "http://h", bad: 1, worse: 2 },
        want: 'operand 1 invalid request parameters(s): {"bad", "worse"}',
      },
      { request: { method: "GET" }, want: 'operand 1 missing required request parameters(s): {"url"}' },
      { request: { method: 1, url: "http://h" }, want: '"method" must be a string' },
      {
        request: { method: "GET", url: "http://h", enable_redirect: "true" },
        want: 'strconv.ParseBool: parsing "\\"true\\"": invalid syntax',
      },
      {
        request: { method: "GET", url: "http://h", timeout: "x" },
        want: 'invalid timeout value "x": time: invalid duration "x"',
      },
      {
        request: { method: "GET", url: "http://h", timeout: [] },
        want: "operand 1 'timeout' must be one of {string, number} but got array",
      },
      { request: { method: "GET", url: "http://h", headers: { a: 1 } }, want: 'invalid type for headers value "1"' },
      { request: { method: "GET", url: "http://h", cache: 1 }, want: 'invalid value for "cache" field' },
      {
        request: { method: "GET", url: "http://h", force_cache: true },
        want: "'force_cache' set but 'force_cache_duration_seconds' parameter is missing",
      },
      {
        request: { method: "GET", url: "http://h", max_retry_attempts: -1 },
        want: 'invalid value -1 for field "max_retry_attempts"',
      },
      {
        request: { method: "GET", url: "http://h", cache_ignored_headers: [1], headers: {} },
        want: "cache_ignored_headers must be an array of strings",
      },
      { request: { method: "GET", url: "http://h", tls_ca_cert: "x" }, want: "could not append certificates" },
      {
        request: { method: "GET", url: "http://h", tls_ca_cert_env_variable: "NONE" },
        want: 'could not append CA certificates from envvar "NONE"',
      },
      {
        request: { method: "GET", url: "https://h", tls_ca_cert_file: "/nowhere" },
        want: "open /nowhere: no such file or directory",
      },
      { request: { method: "GET", url: "ftp://h/" }, want: 'Get "ftp://h/": unsupported protocol scheme "ftp"' },
      { request: { method: "GET", url: "http://h:x/" }, want: 'parse "http://h:x/": invalid port ":x" after host' },
      {
        request: { method: "GET", url: "http://h", headers: { "a b": "" } },
        want: 'Get "http://h": net/http: invalid header field name "a b"',
      },
      { request: { method: "G T", url: "http://h" }, want: 'net/http: invalid method "G T"' },
      {
        request: { method: "GET", url: "http://h", headers: { a: "x\r\ny" } },
        want: 'Get "http://h": net/http: invalid header field value for "A"',
      },
    ])("$want", async ({ request, want }) => {
      await expect(send()(request)).rejects.toThrow(want);
      expect(await send()({ ...request, raise_error: false })).toMatchObject({
        status_code: 0,
        error: { message: expect.stringContaining(want) as string },
      });
    });

    test("raise_error itself must be a boolean", async () => {
      await expect(send()({ method: "GET", url: "http://h", raise_error: "no" })).rejects.toThrow(
        "invalid value for raise_error field",
      );
    });
  });

  describe("TLS", () => {
    const secure = (handler: Handler, options: https.ServerOptions = {}) =>
      serve(handler, (listener) =>
        https.createServer({ key: pem("server-key.pem"), cert: pem("server.pem"), ...options }, listener),
      );

    test("verifies the server by the given authority and name", async () => {
      const { port } = await secure((_seen, reply) => reply.end("secret"));
      const url = `https://127.0.0.1:${port}/`;
      const call = send({}, { CA: pem("ca.pem") });
      await expect(call({ method: "GET", url })).rejects.toThrow(
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
      );
      await expect(call({ method: "GET", url, tls_ca_cert: pem("ca.pem") })).rejects.toThrow(
        "tls: failed to verify certificate: x509: ",
      );
      for (const ca of [
        { tls_ca_cert: pem("ca.pem") },
        { tls_ca_cert_file: tlsFile("ca.pem") },
        { tls_ca_cert_env_variable: "CA" },
        { tls_ca_cert: pem("ca.pem"), tls_use_system_certs: true },
      ]) {
        expect(await call({ method: "GET", url, tls_server_name: "service.test", ...ca })).toMatchObject({
          raw_body: "secret",
        });
      }
      expect(await call({ method: "GET", url, tls_insecure_skip_verify: true })).toMatchObject({ raw_body: "secret" });
      expect(
        await call({ method: "GET", url, headers: { Host: "service.test" }, tls_ca_cert: pem("ca.pem") }),
      ).toMatchObject({ raw_body: "secret" });
    });

    test("shows a client certificate", async () => {
      const { port } = await secure((_seen, reply) => reply.end("known"), {
        ca: pem("ca.pem"),
        requestCert: true,
        rejectUnauthorized: true,
      });
      const request = { method: "GET", url: `https://localhost:${port}/`, tls_ca_cert: pem("ca.pem") };
      const call = send({}, { CERT: pem("client.pem"), KEY: pem("client-key.pem") });
      expect(await call({ ...request, raise_error: false })).toMatchObject({
        error: { code: "eval_http_send_network_error" },
      });
      for (const pair of [
        { tls_client_cert: pem("client.pem"), tls_client_key: pem("client-key.pem") },
        { tls_client_cert_file: tlsFile("client.pem"), tls_client_key_file: tlsFile("client-key.pem") },
        { tls_client_cert_env_variable: "CERT", tls_client_key_env_variable: "KEY" },
      ]) {
        expect(await call({ ...request, ...pair })).toMatchObject({ raw_body: "known" });
      }
    });

    test("says so when the server speaks plain HTTP", async () => {
      const { port } = await serve((_seen, reply) => reply.end());
      await expect(send()({ method: "GET", url: `https://127.0.0.1:${port}/` })).rejects.toThrow(
        "http: server gave HTTP response to HTTPS client",
      );
    });
  });

  describe("the cache beyond a query", () => {
    const START = Date.parse("2026-01-02T03:04:05Z");
    const DATE = new Date(START).toUTCString();

    function clocked(options: RegoIoOptions = {}) {
      const clock = { now: START };
      return { clock, call: send({ ...options, clock: () => clock.now }) };
    }

    test.for([
      { why: "max-age keeps it", headers: { "Cache-Control": "max-age=60", Date: DATE }, requests: 1 },
      { why: "Expires keeps it", headers: { Expires: new Date(START + 60_000).toUTCString() }, requests: 1 },
      { why: "an Expires that is no date does not", headers: { Expires: "0" }, requests: 2 },
      { why: "no-store forbids it", headers: { "Cache-Control": "no-store, max-age=60", Date: DATE }, requests: 2 },
      { why: "without headers it is stale at once", headers: {}, requests: 2 },
      {
        why: "max-age that is no number cannot be read",
        headers: { "Cache-Control": "max-age=soon", Date: DATE },
        requests: 2,
      },
      {
        why: "a status that is not cacheable",
        status: 500,
        headers: { "Cache-Control": "max-age=60", Date: DATE },
        requests: 2,
      },
    ])("$why", async ({ status, headers, requests }) => {
      const { seen, url } = await serve((_seen, reply) => {
        reply.sendDate = false;
        reply.writeHead(status ?? 200, headers).end("x");
      });
      const { call } = clocked();
      const request = { method: "GET", url, cache: true };
      await call(request);
      await call(request);
      expect(seen.length).toBe(requests);
    });

    test("without `cache` nothing outlives the query", async () => {
      const { seen, url } = await serve((_seen, reply) =>
        reply.writeHead(200, { "Cache-Control": "max-age=60" }).end("x"),
      );
      const { call } = clocked();
      for (let i = 0; i < 2; i++) await call({ method: "GET", url });
      expect(seen.length).toBe(2);
    });

    test("force_cache keeps what headers would not, for as long as it says", async () => {
      const { seen, url } = await serve((_seen, reply) =>
        reply.writeHead(200, { "Cache-Control": "no-store" }).end("x"),
      );
      const { clock, call } = clocked();
      const request = { method: "GET", url, force_cache: true, force_cache_duration_seconds: 10 };
      await call(request);
      clock.now += 9_999;
      await call(request);
      expect(seen.length).toBe(1);
      clock.now += 1;
      await call(request);
      expect(seen.length).toBe(2);
    });

    test("a stale response is revalidated; a 304 renews it", async () => {
      const { seen, url } = await serve((_seen, reply, count) => {
        reply.sendDate = false;
        if (count === 2)
          reply.writeHead(304, { "Cache-Control": "max-age=60", Date: new Date(START + 61_000).toUTCString() }).end();
        else
          reply
            .writeHead(200, { "Cache-Control": "max-age=60", Date: DATE, ETag: '"v1"', "Last-Modified": DATE })
            .end(`body ${count}`);
      });
      const { clock, call } = clocked();
      const request = { method: "GET", url, cache: true };
      expect(await call(request)).toMatchObject({ raw_body: "body 1" });
      clock.now += 61_000;
      expect(await call(request)).toMatchObject({ status_code: 200, raw_body: "body 1" });
      expect(seen[1]?.headers).toMatchObject({ "if-none-match": '"v1"', "if-modified-since": DATE });
      expect(await call(request)).toMatchObject({ raw_body: "body 1" });
      expect(seen.length).toBe(2);
      clock.now += 61_000;
      expect(await call(request)).toMatchObject({ raw_body: "body 3" });
    });

    test("requests that differ only in ignored headers share a response", async () => {
      const { seen, url } = await serve((_seen, reply) => reply.end("x"));
      const { call } = clocked();
      const request = (id: string, other: string) => ({
        method: "GET",
        url,
        force_cache: true,
        force_cache_duration_seconds: 10,
        headers: { "X-Id": id, Other: other },
        cache_ignored_headers: ["X-Id"],
      });
      await call(request("1", "a"));
      await call(request("2", "a"));
      expect(seen.length).toBe(1);
      await call(request("2", "b"));
      expect(seen.length).toBe(2);
    });

    test("is bounded: the oldest responses make room", async () => {
      const { seen, url } = await serve((_seen, reply) => reply.end("x".repeat(1000)));
      const { call } = clocked({ cacheBytes: 10_000 });
      const request = (path: string) => ({
        method: "GET",
        url: url + path,
        force_cache: true,
        force_cache_duration_seconds: 10,
      });
      for (const path of ["/1", "/2", "/3", "/4"]) await call(request(path));
      expect(seen.length).toBe(4);
      await call(request("/4"));
      expect(seen.length).toBe(4);
      await call(request("/1"));
      expect(seen.length).toBe(5);
    });
  });
});

describe("net.lookup_ip_addr", () => {
  test("returns the set of addresses", async () => {
    const call = caller({ resolve: async () => ["127.0.0.1", "::1", "127.0.0.1"] });
    expect(await call("net.lookup_ip_addr", "name")).toEqual(RegoSet.of(["127.0.0.1", "::1"]));
  });

  test("fails when nothing is found, nothing comes, or the host is not allowed", async () => {
    const missing = async () =>
      Promise.reject(Object.assign(new Error("getaddrinfo ENOTFOUND name"), { code: "ENOTFOUND" }));
    await expect(caller({ resolve: missing })("net.lookup_ip_addr", "name")).rejects.toThrow(
      "lookup name: no such host",
    );
    await expect(
      caller({ resolve: () => new Promise(() => undefined), resolveTimeoutMs: 10 })("net.lookup_ip_addr", "name"),
    ).rejects.toThrow("lookup name: i/o timeout");
    await expect(caller({ allowedHosts: [] })("net.lookup_ip_addr", "name")).rejects.toThrow("disallowed host: name");
  });
});
