import { Metadata, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { encodeRequest, httpRequest } from "../support/checks.ts";
import { callHeaders, grpcFrame, http2Frame, PREFACE, rawCall, rawSocket } from "../support/raw-grpc.ts";
import { CHECK, type CheckClient, isAllowed, startServer, type TestServer, until } from "../support/server.ts";

// Cases of the category "transport" that are recipes for bytes; the numbers are theirs.

const POLICY = `package envoy.authz

default allow := false

allow if startswith(input.attributes.request.http.path, "/public/")

allow if input.attributes.metadataContext.filterMetadata.x.fields.role == "admin"

allow if input.attributes.request.http.headers["x-tier"] == "gold"
`;
const OK = httpRequest({ method: "GET", path: "/public/a" });
const NO = httpRequest({ method: "GET", path: "/x" });

let server: TestServer;
let address = "";
let client: CheckClient;

beforeAll(async () => {
  server = await startServer({
    policy: POLICY,
    config: () => ({ cardea: { path_guard: "deny", grpc: { request_timeout_s: 1, max_concurrent_streams: 100 } } }),
  });
  address = server.addresses.grpc ?? "";
});
afterAll(() => server.stop());
beforeEach(() => {
  client = server.connect();
});

/** A good check after every attack, from another connection: allowed and denied as ever. */
async function expectHealthy(): Promise<void> {
  expect(isAllowed(await client.check(OK))).toBe(true);
  expect(isAllowed(await client.check(NO))).toBe(false);
}

const rssMiB = (): number => process.memoryUsage.rss() / 1_048_576;

describe("messages", () => {
  test.for([
    { id: "transport-001", why: "4 MiB and a byte", frames: () => grpcFrame(Buffer.alloc(4_194_305)) },
    {
      id: "transport-001",
      why: "a length of 4 GiB",
      frames: () => grpcFrame(Buffer.alloc(10), { length: 0xffffffff }),
    },
    { id: "transport-003", why: "cut in the middle", frames: () => grpcFrame(OK).subarray(0, 8) },
    { id: "transport-002", why: "two messages", frames: () => Buffer.concat([grpcFrame(OK), grpcFrame(OK)]) },
  ])("$id: $why", async ({ frames }) => {
    expect((await rawCall(address, frames())).grpcStatus).not.toBe(status.OK);
    await expectHealthy();
  });

  // The library takes every flag but 1 for an uncompressed message. Large messages are put together elsewhere than small ones.
  const large = httpRequest({ method: "GET", path: "/public/a", headers: { "x-filler": "x".repeat(20_000) } });
  test.for([
    { flag: 2, size: "small", message: OK },
    { flag: 7, size: "small", message: OK },
    { flag: 255, size: "small", message: OK },
    { flag: 7, size: "large", message: large },
    { flag: 7, size: "empty", message: Buffer.alloc(0) },
  ])("transport-007: flag byte $flag, a message that is $size", async ({ flag, message }) => {
    expect((await rawCall(address, grpcFrame(message, { flag }))).grpcStatus).toBe(status.INTERNAL);
    await expectHealthy();
  });

  test("transport-007: the same message with flag 0", async () => {
    expect((await rawCall(address, grpcFrame(large))).grpcStatus).toBe(status.OK);
    expect(isAllowed(await client.check(large))).toBe(true);
  });

  test.for([
    { id: "transport-005", encoding: "gzip" },
    { id: "transport-007", encoding: "snappy" },
    { id: "transport-007", encoding: "deflate" },
  ])("$id: compressed with $encoding, and it is not", async ({ encoding }) => {
    const frames = grpcFrame(Buffer.from("not compressed at all"), { flag: 1 });
    expect((await rawCall(address, frames, { headers: { "grpc-encoding": encoding } })).grpcStatus).not.toBe(status.OK);
    await expectHealthy();
  });

  test("transport-004: cut, and the stream left open", async () => {
    const reply = await rawCall(address, grpcFrame(OK).subarray(0, 8), { ends: false });
    expect(reply.grpcStatus).not.toBe(status.OK);
    await expectHealthy();
  });

  test.for([
    "ffffffffffffffffffff",
    "0000", // field number 0
    "0b", // a group without end
    "0e", // wire type 6
    "0f", // wire type 7
    "08ffffffffffffffffffffff01", // a varint of 11 bytes
    "0aff01", // longer than the rest
  ])("transport-009: %s is no message", async (hex) => {
    expect(isAllowed(await client.check(Buffer.from(hex, "hex")))).toBe(false);
    await expectHealthy();
  });

  test.for([20, 30, 50, 2000, 20_000])("transport-010: metadata %i levels deep", async (depth) => {
    expect(isAllowed(await client.check(deepMetadata(depth)))).toBe(false);
    await expectHealthy();
  });

  test("transport-011: unknown fields, and groups in groups", async () => {
    const unknown = Buffer.concat(Array.from({ length: 1000 }, () => Buffer.from("f80101", "hex")));
    expect(isAllowed(await client.check(Buffer.concat([unknown, OK])))).toBe(true);
    const groups = Buffer.concat([Buffer.alloc(10_000, 0x7b), Buffer.alloc(10_000, 0x7c)]);
    await client.check(Buffer.concat([groups, NO])).then(
      (reply) => expect(isAllowed(reply)).toBe(false),
      () => undefined,
    );
    await expectHealthy();
  });

  test("transport-013: __proto__ stays a member", async () => {
    const struct = {
      fields: {
        fields: {
          structValue: { fields: { ["__proto__"]: { structValue: { fields: { role: { stringValue: "admin" } } } } } },
        },
      },
    };
    const message = {
      attributes: {
        request: { http: { method: "GET", path: "/x", headers: { ["__proto__"]: "x" } } },
        metadataContext: { filterMetadata: { x: struct } },
      },
    };
    expect(isAllowed(await client.check(encodeRequest(message)))).toBe(false);
    expect(({} as Record<string, unknown>)["role"]).toBeUndefined();
    await expectHealthy();
  });

  test.for([
    { field: "path", bytes: [0x22, 4, 0x2f, 0xff, 0xfe, 0x61] },
    { field: "host", bytes: [0x2a, 2, 0xc0, 0xae] },
  ])("transport-014: invalid UTF-8 in $field is denied", async ({ bytes }) => {
    const http = Buffer.from(bytes);
    const request = Buffer.concat([Buffer.from([0x12, http.length]), http]);
    const attributes = Buffer.concat([Buffer.from([0x22, request.length]), request]);
    expect(isAllowed(await client.check(Buffer.concat([Buffer.from([0x0a, attributes.length]), attributes])))).toBe(
      false,
    );
    await expectHealthy();
  });

  test("transport-015: nothing at all", async () => {
    expect(isAllowed(await client.check(Buffer.alloc(0)))).toBe(false);
    expect(isAllowed(await client.check(Buffer.from("0a00", "hex")))).toBe(false);
    await expectHealthy();
  });

  test.for([10_000, 80_000])("transport-034: %i headers, of which one counts", async (count) => {
    const headers: Record<string, string> = {};
    for (let i = 0; i < count; i++) headers[`x-h-${i}`] = "v";
    const started = performance.now();
    expect(isAllowed(await client.check(httpRequest({ method: "GET", path: "/x", headers })))).toBe(false);
    headers["x-tier"] = "gold";
    expect(isAllowed(await client.check(httpRequest({ method: "GET", path: "/x", headers })))).toBe(true);
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  test("transport-035: header names that look like numbers", async () => {
    const headers: Record<string, string> = {};
    for (let i = 0; i < 50_000; i++) headers[String((i * 65_536) % 4_294_967_295)] = "v";
    expect(isAllowed(await client.check(httpRequest({ method: "GET", path: "/x", headers })))).toBe(false);
    await expectHealthy();
  });

  test("transport-036: long paths", async () => {
    await client.check(httpRequest({ method: "GET", path: `/public/${"a".repeat(65_000)}` }));
    const dots = `/public/${"../".repeat(10_000)}admin`;
    expect(isAllowed(await client.check(httpRequest({ method: "GET", path: dots })))).toBe(false);
    await expectHealthy();
  });

  test("a deadline that is over gives no verdict", async () => {
    await expect(client.check(OK, { deadlineMs: -1 })).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED });
    for (const timeout of ["99999999H", "-5S", "abc"])
      await rawCall(address, grpcFrame(NO), { headers: { "grpc-timeout": timeout } });
    await expectHealthy();
  });

  test("calls that are cancelled leave nothing behind", async () => {
    const identity = (bytes: Buffer): Buffer => bytes;
    const cancelled = ({ grpc }: CheckClient): Promise<void> =>
      new Promise((resolve) => {
        const call = grpc.makeUnaryRequest(CHECK, identity, identity, OK, new Metadata(), {}, () => resolve());
        setImmediate(() => call.cancel());
      });
    const round = async (): Promise<void> => {
      // HTTP/2 itself ends a connection of which more than 1000 calls are cancelled at once.
      const one = server.connect();
      for (let i = 0; i < 15; i++) await Promise.all(Array.from({ length: 50 }, () => cancelled(one)));
    };
    await round();
    const before = rssMiB();
    for (let i = 0; i < 3; i++) await round();
    expect(rssMiB() - before).toBeLessThan(60);
    await expectHealthy();
    const metrics = async (): Promise<string> =>
      (await fetch(`http://${server.addresses.diagnostic[0]}/metrics`)).text();
    await until(async () => (await metrics()).includes("cardea_checks_in_flight 0"));
  });
});

function deepMetadata(depth: number): Buffer {
  const varint = (value: number): Buffer => {
    const bytes: number[] = [];
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
    return Buffer.from([...bytes, rest]);
  };
  const field = (number: number, payload: readonly Buffer[]): readonly Buffer[] => {
    const length = payload.reduce((sum, part) => sum + part.length, 0);
    return [varint((number << 3) | 2), varint(length), ...payload];
  };
  let struct: readonly Buffer[] = [];
  for (let i = 0; i < depth; i++)
    struct = [Buffer.concat(field(1, [...field(1, [Buffer.from("a")]), ...field(2, field(5, struct))]))];
  return Buffer.concat(field(1, field(11, field(1, [...field(1, [Buffer.from("x")]), ...field(2, struct)]))));
}

describe("connections", () => {
  test("transport-024: cut inside CONTINUATION", async () => {
    for (let i = 0; i < 200; i++) {
      const socket = rawSocket(address);
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.write(Buffer.concat([PREFACE, http2Frame(1, 0, 1, callHeaders().subarray(0, 20))]));
      socket.resetAndDestroy();
    }
    await expectHealthy();
  });

  test("CONTINUATION without end closes the connection", async () => {
    const before = rssMiB();
    const socket = rawSocket(address);
    socket.write(Buffer.concat([PREFACE, http2Frame(1, 0, 1, callHeaders())]));
    const more = http2Frame(
      9,
      0,
      1,
      Buffer.concat([Buffer.from([0, 1, 0x61, 127, 128, 126]), Buffer.alloc(16_255, 0x61)]),
    );
    const closed = new Promise((resolve) => socket.once("close", resolve));
    for (let i = 0; i < 500 && !socket.destroyed; i++) socket.write(more);
    await closed;
    expect(rssMiB() - before).toBeLessThan(200);
    await expectHealthy();
  });

  test.for([
    { what: "PING", frame: http2Frame(6, 0, 0, Buffer.alloc(8)) },
    { what: "SETTINGS", frame: http2Frame(4, 0, 0) },
    { what: "PRIORITY", frame: http2Frame(2, 0, 3, Buffer.from("0000000010", "hex")) },
  ])("transport-028: a flood of $what", async ({ frame }) => {
    const before = rssMiB();
    const socket = rawSocket(address);
    socket.write(PREFACE);
    const many = Buffer.concat(Array.from({ length: 1000 }, () => frame));
    for (let i = 0; i < 50 && !socket.destroyed; i++) {
      await new Promise((resolve) => socket.write(many, resolve));
      if (i % 10 === 0) await expectHealthy();
    }
    socket.destroy();
    expect(rssMiB() - before).toBeLessThan(200);
    await expectHealthy();
  });

  test("transport-029: thousands of metadata pairs, and one of a megabyte", async () => {
    const many: Record<string, string> = {};
    for (let i = 0; i < 10_000; i++) many[`x-${i}`] = "v";
    for (const headers of [many, { "x-long": "x".repeat(1_048_576) }])
      expect((await rawCall(address, grpcFrame(OK), { headers })).grpcStatus).not.toBe(status.OK);
    await expectHealthy();
  });

  test("transport-030: streams without a body", async () => {
    const before = rssMiB();
    const socket = rawSocket(address);
    socket.write(PREFACE);
    const headers = callHeaders();
    for (let i = 0; i < 20_000 && !socket.destroyed; i += 100) {
      const batch = Array.from({ length: 100 }, (_, k) => http2Frame(1, 4, (i + k) * 2 + 1, headers));
      await new Promise((resolve) => socket.write(Buffer.concat(batch), resolve));
    }
    await expectHealthy();
    socket.destroy();
    expect(rssMiB() - before).toBeLessThan(150);
  });

  test("rapid reset: the connection is told to go, and nothing more of it is taken", async () => {
    const socket = rawSocket(address);
    socket.write(PREFACE);
    const headers = callHeaders();
    const goaway = new Promise<void>((resolve) => {
      let received = Buffer.alloc(0);
      socket.on("data", (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        for (; received.length >= 9; received = received.subarray(9 + received.readUIntBE(0, 3)))
          if (received[3] === 7) resolve();
      });
    });
    for (let i = 0; i < 3000; i++) {
      const stream = i * 2 + 1;
      socket.write(
        Buffer.concat([http2Frame(1, 4, stream, headers), http2Frame(3, 0, stream, Buffer.from("00000008", "hex"))]),
      );
      if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await goaway;
    await expectHealthy();
    socket.destroy();
  });

  test("transport-033: other protocols", async () => {
    for (const bytes of [
      "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
      "\u0016\u0003\u0001\u0002\u0000\u0001\u0000",
      "\0".repeat(1000),
    ]) {
      const socket = rawSocket(address);
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.write(Buffer.from(bytes, "latin1"));
      await closed;
    }
    await expectHealthy();
  });
});
