import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ChannelCredentials, Client, credentials, Metadata } from "@grpc/grpc-js";
import { type PlainObject, readConfig } from "../../src/config/index.ts";
import { type Addresses, CardeaServer, type ServerOptions } from "../../src/server/index.ts";
import { PLAIN_LINES, SILENT_LOGGER } from "../../src/telemetry/index.ts";
import { decodeResponse, httpRequest, type ReplyDocument } from "./checks.ts";
import { lineWriter } from "./lines.ts";

export const CHECK = "/envoy.service.auth.v3.Authorization/Check";

export const fixture = (name: string): Buffer => readFileSync(join(import.meta.dirname, "../fixtures", name));

/** A server of this process, and what to close when the test is over. */
export interface TestServer {
  readonly server: CardeaServer;
  readonly addresses: Addresses;
  /** Folder of the policy, for files of the test. */
  readonly folder: string;
  connect(channel?: ChannelCredentials): CheckClient;
  stop(): Promise<void>;
}

export interface TestServerOptions {
  readonly policy: string;
  readonly config?: (folder: string) => PlainObject;
  readonly files?: Readonly<Record<string, Buffer | string>>;
  /** Names of the files to load instead of the policy. */
  readonly paths?: readonly string[];
  readonly options?: Partial<ServerOptions>;
}

export async function startServer({ policy, config, files, paths, options }: TestServerOptions): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), "cardea-test-"));
  if (policy !== "") await writeFile(join(folder, "policy.rego"), policy);
  for (const [name, text] of Object.entries(files ?? {})) await writeFile(join(folder, name), text);
  const server = await CardeaServer.create({
    config: readConfig(
      { plugins: { envoy_ext_authz_grpc: { addr: "127.0.0.1:0" } }, ...config?.(folder) },
      (message) => {
        throw new Error(message);
      },
    ),
    paths: (paths ?? ["policy.rego"]).map((name) => join(folder, name)),
    loading: {},
    watches: false,
    regoVersion: "v1",
    addrs: [],
    diagnosticAddrs: ["127.0.0.1:0"],
    unixSocketMode: 0o755,
    shutdownGraceMs: 2000,
    readyTimeoutMs: 0,
    tls: undefined,
    authentication: "off",
    authorization: "off",
    logger: SILENT_LOGGER,
    writer: lineWriter(() => undefined),
    lines: PLAIN_LINES,
    env: {},
    version: "0.0.0",
    ...options,
  });
  const addresses = await server.start();
  const clients: CheckClient[] = [];
  return {
    server,
    addresses,
    folder,
    connect(channel) {
      const client = new CheckClient(addresses.grpc ?? "", channel);
      clients.push(client);
      return client;
    },
    async stop() {
      for (const client of clients) client.close();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** One connection to a check port. */
export class CheckClient {
  readonly grpc: Client;

  constructor(address: string, channel: ChannelCredentials = credentials.createInsecure()) {
    this.grpc = new Client(address, channel, {
      "grpc.max_send_message_length": -1,
      "grpc.max_receive_message_length": -1,
      "grpc.ssl_target_name_override": "localhost",
      "grpc.use_local_subchannel_pool": 1,
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 100,
    });
  }

  /** @throws a ServiceError for what is no OK of gRPC. */
  async check(
    bytes: Buffer = httpRequest({ method: "GET", path: "/" }),
    more: CallOptions = {},
  ): Promise<ReplyDocument> {
    return decodeResponse(await this.unary(bytes, more));
  }

  unary(
    bytes: Buffer,
    { deadlineMs = 20_000, method = CHECK, metadata = new Metadata() }: CallOptions = {},
  ): Promise<Buffer> {
    const identity = (value: Buffer): Buffer => value;
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + deadlineMs;
      this.grpc.makeUnaryRequest(method, identity, identity, bytes, metadata, { deadline }, (error, reply) => {
        if (error !== null) reject(error);
        else resolve(reply as Buffer);
      });
    });
  }

  close(): void {
    this.grpc.close();
  }
}

export interface CallOptions {
  readonly deadlineMs?: number;
  readonly method?: string;
  readonly metadata?: Metadata;
}

export const isAllowed = (reply: ReplyDocument): boolean => (reply.status.code ?? 0) === 0;

/** Waits for something outside to come true. */
export async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10));
}
