import { type IncomingHttpHeaders, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { PlainObject } from "../../src/config/index.ts";
import { fixture, isAllowed, startServer, type TestServer, type TestServerOptions, until } from "../support/server.ts";
import { httpRequest as checkRequest } from "../support/checks.ts";

const POLICY = `package envoy.authz

default allow := {"allowed": false, "http_status": 403, "body": "no", "headers": {"x-why": "default"}}

http := input.attributes.request.http

allow := {"allowed": true, "headers": {"x-user": "ann"}, "response_headers_to_add": {"x-seen": "1"}} if {
	http.method == "GET"
	input.parsed_path[0] == "public"
}

allow := {"allowed": false, "http_status": 401, "headers": {"www-authenticate": "Bearer"}} if input.parsed_path[0] == "login"

allow := {"allowed": false, "http_status": 200} if input.parsed_path[0] == "tricky"

allow := 7 if input.parsed_path[0] == "broken"

allow := true if {
	http.method == "POST"
	input.parsed_body.amount < 100
}

allow := {"allowed": false, "body": json.marshal(object.remove(input.attributes.request, ["time"]))} if input.parsed_path[0] == "echo"
`;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(http: PlainObject = {}, more: Partial<TestServerOptions> = {}): Promise<TestServer> {
  const server = await startServer({
    policy: POLICY,
    config: () => ({ cardea: { http_authz: { addr: "127.0.0.1:0", ...http } } }),
    ...more,
  });
  closing.push(() => server.stop());
  return server;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer };
}

function ask(
  { addresses }: TestServer,
  path: string,
  { method = "GET", headers = {}, body = "", tls }: Asked = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const port = Number(addresses.httpAuthz?.split(":").pop());
    const options = { host: "127.0.0.1", port, path, method, headers, agent: false, servername: "localhost", ...tls };
    const request = (tls === undefined ? httpRequest : httpsRequest)(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    request.on("error", reject).end(body);
  });
}

describe("authorization over HTTP", () => {
  test("decides as over gRPC, and counts as there", async () => {
    const server = await start();
    const client = server.connect();
    for (const path of ["/public/a", "/private", "//public", "/%70ublic", "/%zz", "/broken", "/login"]) {
      const grpc = await client.check(checkRequest({ method: "GET", path }));
      expect([path, (await ask(server, path)).status === 200]).toEqual([path, isAllowed(grpc)]);
    }
    const metrics = await (await fetch(`http://${server.addresses.diagnostic[0]}/metrics`)).text();
    expect(metrics).toContain('cardea_decisions_total{verdict="allow"} 6');
  });

  test("an allow carries headers for both sides", async () => {
    const server = await start();
    expect(await ask(server, "/public/a")).toMatchObject({
      status: 200,
      body: "",
      headers: { "x-user": "ann", "x-seen": "1" },
    });
  });

  test("a denial carries status, headers and body", async () => {
    const server = await start();
    expect(await ask(server, "/")).toMatchObject({ status: 403, body: "no", headers: { "x-why": "default" } });
    expect(await ask(server, "/login")).toMatchObject({ status: 401, headers: { "www-authenticate": "Bearer" } });
  });

  test("the lists of headers hold", async () => {
    const server = await start({ headers_to_upstream: ["X-User"], headers_to_client: [] });
    const { headers } = await ask(server, "/public/a");
    expect([headers["x-user"], headers["x-seen"]]).toEqual(["ann", undefined]);
    expect((await ask(server, "/")).headers["x-why"]).toBeUndefined();
  });

  test.for(["/tricky", "/broken", "/%zz", "/undefined"])("%s is no 2xx and no 5xx", async (path) => {
    const { status } = await ask(await start(), path);
    expect(status >= 400 && status < 500).toBe(true);
  });

  test("faults are errors where that is asked for", async () => {
    const server = await start(
      {},
      {
        config: () => ({ cardea: { on_error: "rpc_error", http_authz: { addr: "127.0.0.1:0" } } }),
      },
    );
    expect((await ask(server, "/broken")).status).toBe(503);
    expect((await ask(server, "/private")).status).toBe(403);
  });

  test("bodies are read, up to the limit", async () => {
    const server = await start({ max_body_bytes: 1000 });
    const json = { "content-type": "application/json" };
    const post = (body: string) => ask(server, "/orders", { method: "POST", headers: json, body });
    expect((await post('{"amount": 5}')).status).toBe(200);
    expect((await post('{"amount": 500}')).status).toBe(403);
    expect((await post('{"amount": ')).status).toBe(400);
    expect((await post(`{"amount": 5, "x": "${"x".repeat(1000)}"}`)).status).toBe(413);
  });

  test("policies see the document Envoy's gRPC client would make", async () => {
    const server = await start({ path_prefix: "/authz", source_address_header: "x-real-ip" });
    const { body } = await ask(server, "/authz/echo?a=b", {
      headers: { host: "a.test", "x-real-ip": "10.0.0.9", "x-request-id": "r1" },
    });
    expect(JSON.parse(body)).toEqual({
      http: {
        id: "r1",
        method: "GET",
        path: "/echo?a=b",
        host: "a.test",
        headers: {
          ":authority": "a.test",
          ":method": "GET",
          ":path": "/echo?a=b",
          "x-real-ip": "10.0.0.9",
          "x-request-id": "r1",
        },
      },
    });
  });

  test("nginx and Traefik name the original request", async () => {
    const nginx = await start({ proxy: "nginx" });
    const original = { "x-original-method": "GET", "x-original-uri": "/public/a" };
    expect((await ask(nginx, "/_authz", { headers: original })).status).toBe(200);
    expect((await ask(nginx, "/public/a", { headers: { ...original, "x-original-uri": "/private" } })).status).toBe(
      403,
    );
    expect((await ask(nginx, "/public/a")).status).toBe(400);
    const traefik = await start({ proxy: "traefik" });
    const forwarded = { "x-forwarded-method": "GET", "x-forwarded-uri": "/public/a" };
    expect((await ask(traefik, "/", { headers: forwarded })).status).toBe(200);
    expect((await ask(traefik, "/public/a")).status).toBe(400);
  });

  test("mutual TLS with allowed principals", async () => {
    const mtls = (name: string): Buffer => fixture(`mtls/${name}`);
    const server = await start(
      {},
      {
        files: { "cert.pem": mtls("server.pem"), "key.pem": mtls("server-key.pem"), "ca.pem": mtls("ca.pem") },
        config: (folder) => ({
          cardea: {
            http_authz: {
              addr: "127.0.0.1:0",
              tls: {
                cert_file: join(folder, "cert.pem"),
                key_file: join(folder, "key.pem"),
                client_ca_file: join(folder, "ca.pem"),
                allowed_principals: ["spiffe://cluster.local/ns/istio-system/sa/gateway"],
              },
            },
          },
        }),
      },
    );
    const as = (name: string) => ({ cert: mtls(`${name}.pem`), key: mtls(`${name}-key.pem`), ca: mtls("ca.pem") });
    expect((await ask(server, "/public/a", { tls: as("gateway") })).status).toBe(200);
    expect((await ask(server, "/public/a", { tls: as("stranger") })).status).toBe(403);
    await expect(ask(server, "/public/a", { tls: as("outsider") })).rejects.toThrow();
  });

  test.for([
    {
      why: "two lengths",
      bytes: "POST /public/a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    },
    {
      why: "length and chunks",
      bytes: "POST /public/a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    },
    { why: "a header with a line break", bytes: "GET /public/a HTTP/1.1\r\nhost: a\r\nx: a\n b\r\n\r\n" },
    { why: "a tunnel", bytes: "CONNECT public:1 HTTP/1.1\r\nhost: public\r\n\r\n" },
    { why: "an absolute target", bytes: "GET http://a/public/a HTTP/1.1\r\nhost: a\r\n\r\n" },
    { why: "no HTTP", bytes: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
  ])("$why is not allowed, and the next request is answered", async ({ bytes }) => {
    const server = await start();
    const socket = connect(Number(server.addresses.httpAuthz?.split(":").pop()), "127.0.0.1");
    let reply = "";
    socket
      .on("error", () => undefined)
      .on("data", (chunk) => {
        reply += chunk.toString("latin1");
      });
    socket.end(bytes);
    await until(() => socket.closed);
    expect(reply).not.toContain(" 200 ");
    expect((await ask(server, "/public/a")).status).toBe(200);
  });
});
