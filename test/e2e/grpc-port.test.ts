import { rename, writeFile } from "node:fs/promises";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type ChannelCredentials, credentials, Metadata, status } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import type { PlainObject } from "../../src/config/index.ts";
import { createLogger, PLAIN_LINES } from "../../src/telemetry/index.ts";
import {
  CHECK,
  fixture,
  isAllowed,
  startServer,
  type TestServer,
  type TestServerOptions,
  until,
} from "../support/server.ts";
import { lineWriter } from "../support/lines.ts";

const ALLOW = "package envoy.authz\n\nallow := true\n";
const GATEWAY = "spiffe://cluster.local/ns/istio-system/sa/gateway";
const mtls = (name: string): Buffer => fixture(`mtls/${name}`);

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(options: TestServerOptions): Promise<TestServer> {
  const server = await startServer(options);
  closing.push(() => server.stop());
  return server;
}

const FILES = { "cert.pem": mtls("server.pem"), "key.pem": mtls("server-key.pem"), "ca.pem": mtls("ca.pem") };

function withTls(members: PlainObject = {}) {
  return (folder: string): PlainObject => ({
    cardea: {
      grpc: { tls: { cert_file: join(folder, "cert.pem"), key_file: join(folder, "key.pem"), ...members } },
    },
  });
}

function withClients(members: PlainObject = {}) {
  return (folder: string): PlainObject => withTls({ client_ca_file: join(folder, "ca.pem"), ...members })(folder);
}

function as(name: string): ChannelCredentials {
  return credentials.createSsl(mtls("ca.pem"), mtls(`${name}-key.pem`), mtls(`${name}.pem`));
}

describe("TLS of the check port", () => {
  test("the server shows its certificate", async () => {
    const { connect: client } = await start({ policy: ALLOW, files: FILES, config: withTls() });
    expect(isAllowed(await client(credentials.createSsl(mtls("ca.pem"))).check())).toBe(true);
    await expect(client().check(undefined, { deadlineMs: 1000 })).rejects.toThrow();
  });

  test("clients need a certificate of the right authority", async () => {
    const { connect: client } = await start({ policy: ALLOW, files: FILES, config: withClients() });
    expect(isAllowed(await client(as("stranger")).check())).toBe(true);
    await expect(
      client(credentials.createSsl(mtls("ca.pem"))).check(undefined, { deadlineMs: 1000 }),
    ).rejects.toThrow();
    await expect(client(as("outsider")).check(undefined, { deadlineMs: 1000 })).rejects.toThrow();
  });

  test("of these, only the allowed principals may call", async () => {
    const { connect: client } = await start({
      policy: ALLOW,
      files: FILES,
      config: withClients({ allowed_principals: [GATEWAY] }),
    });
    expect(isAllowed(await client(as("gateway")).check())).toBe(true);
    for (const name of ["stranger", "two-names"])
      await expect(client(as(name)).check()).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    const comma = credentials.createSsl(mtls("ca.pem"), mtls("stranger-key.pem"), mtls("comma.pem"));
    await expect(client(comma).check()).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
  });

  test("allowed principals need a client authority", async () => {
    await expect(
      startServer({ policy: ALLOW, files: FILES, config: withTls({ allowed_principals: [GATEWAY] }) }),
    ).rejects.toThrow("client_ca_file");
  });

  test("a new pair is used by new handshakes; a pair that does not fit is not", async () => {
    const log: string[] = [];
    const writer = lineWriter((line) => void log.push(line));
    const logger = createLogger({ level: "error", style: PLAIN_LINES, writer });
    const {
      addresses,
      folder,
      connect: client,
    } = await start({ policy: ALLOW, files: FILES, config: withTls(), options: { logger } });
    const replace = async (name: string, content: Buffer): Promise<void> => {
      await writeFile(join(folder, `${name}.new`), content);
      await rename(join(folder, `${name}.new`), join(folder, name));
    };
    const open = client(credentials.createSsl(mtls("ca.pem")));
    await open.check();
    const before = await serial(addresses.grpc ?? "");
    await replace("cert.pem", mtls("server2.pem"));
    expect(await serial(addresses.grpc ?? "")).toBe(before);
    await replace("key.pem", mtls("server2-key.pem"));
    await until(async () => (await serial(addresses.grpc ?? "")) !== before);
    expect(isAllowed(await open.check())).toBe(true);
    // attacks.json config-028: then a chain that has expired.
    const good = await serial(addresses.grpc ?? "");
    await replace("cert.pem", mtls("expired.pem"));
    await replace("key.pem", mtls("expired-key.pem"));
    await until(() => log.some((line) => line.includes("has expired")));
    expect(await serial(addresses.grpc ?? "")).toBe(good);
    expect(isAllowed(await open.check())).toBe(true);
  });
});

function serial(address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connectTls(
      {
        port: Number(address.split(":").pop()),
        host: "127.0.0.1",
        ca: mtls("ca.pem"),
        servername: "localhost",
        ALPNProtocols: ["h2"],
      },
      () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      },
    ).once("error", reject);
  });
}

describe("limits of the check port", () => {
  const limited = (grpc: PlainObject) => () => ({ cardea: { grpc } });

  test("streams beyond the limit are refused, and the connection lives on", async () => {
    const { addresses } = await start({ policy: ALLOW, config: limited({ max_concurrent_streams: 5 }) });
    const session = http2(addresses.grpc ?? "");
    await new Promise((resolve) => session.once("remoteSettings", resolve));
    expect(session.remoteSettings.maxConcurrentStreams).toBe(5);
  });

  test("metadata beyond the limit is refused, calls after it are not", async () => {
    const { connect: client } = await start({ policy: ALLOW, config: limited({ max_header_list_bytes: 4096 }) });
    const one = client();
    const metadata = new Metadata();
    metadata.set("x-long", "x".repeat(8000));
    await expect(one.check(undefined, { metadata })).rejects.toThrow();
    expect(isAllowed(await one.check())).toBe(true);
  });

  test("connections beyond the limit are closed and counted", async () => {
    const { addresses, connect: client } = await start({ policy: ALLOW, config: limited({ max_connections: 2 }) });
    const good = client();
    expect(isAllowed(await good.check())).toBe(true);
    const sockets = [raw(addresses.grpc ?? ""), raw(addresses.grpc ?? ""), raw(addresses.grpc ?? "")];
    await until(() => sockets.filter((socket) => socket.closed).length === 2);
    expect(isAllowed(await good.check())).toBe(true);
    expect(await metrics(addresses.diagnostic[0] ?? "")).toContain(
      'cardea_connections_refused_total{reason="too_many_connections"} 2',
    );
  });

  test("a connection that says nothing, and one that says too little, are closed", async () => {
    const { addresses, connect: client } = await start({ policy: ALLOW, config: limited({ request_timeout_s: 1 }) });
    const good = client();
    expect(isAllowed(await good.check())).toBe(true);
    const silent = raw(addresses.grpc ?? "");
    const slow = raw(addresses.grpc ?? "");
    slow.write("PRI * HT");
    await until(() => silent.closed && slow.closed);
    expect(isAllowed(await good.check())).toBe(true);
  });

  test("a call whose message does not arrive is ended", async () => {
    const { addresses } = await start({ policy: ALLOW, config: limited({ request_timeout_s: 1 }) });
    const session = http2(addresses.grpc ?? "");
    const stream = session.request(
      { ":method": "POST", ":path": CHECK, "content-type": "application/grpc", te: "trailers" },
      { endStream: false },
    );
    stream.on("error", () => undefined);
    await new Promise((resolve) => stream.once("close", resolve));
    expect(session.closed).toBe(false);
  });

  test("a client that does not answer pings is dropped", async () => {
    const { addresses } = await start({
      policy: ALLOW,
      config: limited({ keepalive_time_s: 1, keepalive_timeout_s: 1 }),
    });
    const mute = raw(addresses.grpc ?? "");
    mute.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    mute.write(Buffer.from("000000040000000000", "hex")); // SETTINGS, and no word after it
    await new Promise((resolve) => mute.once("close", resolve));
  });

  test("an old connection is asked to leave and no call is lost", async () => {
    const { connect: client } = await start({ policy: ALLOW, config: limited({ max_connection_age_s: 1 }) });
    const one = client();
    const until2s = Date.now() + 2500;
    while (Date.now() < until2s) expect(isAllowed(await one.check())).toBe(true);
  });
});

function raw(address: string): Socket {
  const socket = connect(Number(address.split(":").pop()), "127.0.0.1").on("error", () => undefined);
  socket.resume();
  closing.push(() => socket.destroy());
  return socket;
}

function http2(address: string): ClientHttp2Session {
  const session = connectHttp2(`http://${address}`).on("error", () => undefined);
  closing.push(() => session.destroy());
  return session;
}

async function metrics(address: string): Promise<string> {
  return (await fetch(`http://${address}/metrics`)).text();
}
