import { request } from "node:http";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import type { PlainObject } from "../../src/config/index.ts";
import { startServer } from "../support/server.ts";

const POLICY = `package api

long := concat("", [x | some i in numbers.range(1, 1000); x := "0123456789"])

echo := input
`;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(section: PlainObject): Promise<string> {
  const server = await startServer({
    policy: POLICY,
    config: () => ({ server: section }),
    options: { addrs: ["127.0.0.1:0"] },
  });
  closing.push(() => server.stop());
  return server.addresses.api[0] ?? "";
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

function send(
  address: string,
  path: string,
  {
    method = "GET",
    headers = {},
    body = Buffer.alloc(0),
  }: { method?: string; headers?: Record<string, string>; body?: Buffer } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`http://${address}${path}`, { method, headers }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on("data", (chunk: Buffer) => chunks.push(chunk));
      reply.on("end", () =>
        resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: Buffer.concat(chunks) }),
      );
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

const ZIP = { "accept-encoding": "deflate, gzip;q=0.5" };

// github.com/open-policy-agent/opa v1/server/handlers
describe("replies", () => {
  test("of the data API are zipped from a length on, for those who take that", async () => {
    const address = await start({ encoding: { gzip: { min_length: 2000, compression_level: 1 } } });
    const zipped = await send(address, "/v1/data/api/long", { headers: ZIP });
    expect(zipped.headers).toMatchObject({ "content-encoding": "gzip", vary: "Accept-Encoding" });
    expect(Number(zipped.headers["content-length"])).toBe(zipped.body.length);
    const text = gunzipSync(zipped.body).toString();
    expect(JSON.parse(text)).toEqual({ result: "0123456789".repeat(1000) });
    const plain = await send(address, "/v1/data/api/long");
    expect(plain.headers).not.toHaveProperty("content-encoding");
    expect(plain.headers).toMatchObject({ vary: "Accept-Encoding" });
    expect(plain.body.toString()).toBe(text);
    const short = await send(address, "/v1/data/api/none", { method: "POST", headers: ZIP, body: Buffer.from("{}") });
    expect(short.headers).not.toHaveProperty("content-encoding");
    const other = await send(address, "/v1/config", { headers: ZIP });
    expect(other.headers).not.toHaveProperty("vary");
  });
});

describe("requests", () => {
  const LIMITS = { decoding: { max_length: 100, gzip: { max_length: 1000 } } };
  const echo = (address: string, body: Buffer, headers: Record<string, string> = {}) =>
    send(address, "/v1/data/api/echo", { method: "POST", body, headers });
  const input = (length: number): Buffer => Buffer.from(JSON.stringify({ input: "x".repeat(length) }));

  test("may be as long as the configuration says, and no longer", async () => {
    const address = await start(LIMITS);
    expect((await echo(address, input(80))).status).toBe(200);
    for (const headers of [{}, { "transfer-encoding": "chunked" }] as Record<string, string>[]) {
      const refused = await echo(address, input(200), headers);
      expect([refused.status, JSON.parse(refused.body.toString())]).toEqual([
        400,
        { code: "invalid_parameter", message: "request body too large" },
      ]);
    }
    // Before anything else is done with it, whatever it is for.
    expect((await send(address, "/v1/nothing", { method: "PUT", body: input(200) })).status).toBe(400);
  });

  test("zipped ones also after unzipping", async () => {
    const address = await start(LIMITS);
    const gzip = { "content-encoding": "gzip" };
    expect((await echo(address, gzipSync(input(900)), gzip)).status).toBe(200);
    const refused = await echo(address, gzipSync(input(1100)), gzip);
    expect(refused.status).toBe(400);
    expect(refused.body.toString()).toContain("gzip payload too large");
  });
});

test("durations are counted in the buckets that are configured", async () => {
  const address = await start({ metrics: { prom: { http_request_duration_seconds: { buckets: [0.5, 2] } } } });
  await send(address, "/v1/data");
  const bounds = (await send(address, "/metrics")).body
    .toString()
    .split("\n")
    .filter((line) => line.startsWith("http_request_duration_seconds_bucket") && line.includes('handler="v1/data"'))
    .map((line) => /le="([^"]+)"/.exec(line)?.[1]);
  expect(bounds).toEqual(["0.5", "2", "+Inf"]);
});
