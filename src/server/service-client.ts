import { readFile } from "node:fs/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import type { ServiceConfig } from "../config/index.ts";
import { Oauth2Tokens } from "./oauth2-tokens.ts";

export interface ServiceRequest {
  readonly method: "GET" | "POST";
  /** Below the service's URL, or a whole URL. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Milliseconds to wait for the answer's headers, on top of the service's own timeout: long polling. */
  readonly waitMs?: number;
  /** Bytes the answer may have. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

export interface ServiceReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** A service could not be reached, or answered too much or too late. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
}

export const USER_AGENT = "Cardea";

const MAX_TOKEN_BYTES = 1024 * 1024;

/** Time between two pieces of a body. */
const IDLE_MS = 30_000;

/** Talks to one entry of `services`: its URL, headers, credentials and TLS settings. */
export class ServiceClient {
  readonly #service: ServiceConfig;
  readonly #userAgent: string;
  #agent: Promise<Agent> | undefined;
  readonly #tokens: Oauth2Tokens | undefined;

  constructor(service: ServiceConfig, userAgent: string) {
    this.#service = service;
    this.#userAgent = userAgent;
    const { oauth2 } = service;
    this.#tokens =
      oauth2 &&
      new Oauth2Tokens(oauth2, (headers, body) =>
        this.#exchange(new URL(oauth2.tokenUrl), {
          method: "POST",
          path: "",
          headers,
          body,
          maxBytes: MAX_TOKEN_BYTES,
        }),
      );
  }

  /** @throws {ServiceError} when there is no whole answer. A status of failure is an answer. */
  async send(request: ServiceRequest): Promise<ServiceReply> {
    const url = this.#urlOf(request.path);
    const headers = {
      "user-agent": this.#userAgent,
      ...this.#service.headers,
      ...(await this.#authorization()),
      ...request.headers,
    };
    const reply = await this.#exchange(url, { ...request, headers });
    // A token may be withdrawn before its time.
    if (reply.status === 401) this.#tokens?.forget();
    return reply;
  }

  async #exchange(url: URL, request: ServiceRequest): Promise<ServiceReply> {
    const agent = url.protocol === "https:" ? await this.#tlsAgent() : undefined;
    const timeoutMs = this.#service.responseHeaderTimeoutSeconds * 1000 + (request.waitMs ?? 0);
    return new Promise((resolve, reject) => {
      const fail = (cause: Error): void =>
        reject(new ServiceError(`${request.method} ${url.origin}${url.pathname}: ${cause.message}`, { cause }));
      const outgoing = (agent === undefined ? httpRequest : httpsRequest)(url, {
        method: request.method,
        headers: request.headers,
        ...(agent !== undefined && { agent }),
        ...(request.signal !== undefined && { signal: request.signal }),
      });
      const timer = setTimeout(() => outgoing.destroy(new Error("no answer in time")), timeoutMs);
      outgoing.on("error", (cause) => {
        clearTimeout(timer);
        fail(cause);
      });
      outgoing.on("response", (message) => {
        clearTimeout(timer);
        readReply(message, request.maxBytes).then(resolve, (cause: unknown) => {
          outgoing.destroy();
          fail(cause instanceof Error ? cause : new Error(String(cause)));
        });
      });
      outgoing.end(request.body);
    });
  }

  #urlOf(path: string): URL {
    return new URL(/^https?:\/\//.test(path) ? path : `${this.#service.url}/${path.replace(/^\/+/, "")}`);
  }

  /** A token file is read anew each time: whoever rotates it need not tell us. */
  async #authorization(): Promise<Record<string, string>> {
    const { bearer } = this.#service;
    if (this.#tokens !== undefined) return { authorization: `Bearer ${await this.#token(this.#tokens)}` };
    if (bearer === undefined) return {};
    const token =
      bearer.tokenPath === undefined ? (bearer.token ?? "") : (await readFile(bearer.tokenPath, "utf8")).trim();
    return { authorization: `${bearer.scheme} ${token}` };
  }

  async #token(tokens: Oauth2Tokens): Promise<string> {
    try {
      return await tokens.current();
    } catch (cause) {
      throw new ServiceError(cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }

  #tlsAgent(): Promise<Agent> {
    this.#agent ??= this.#makeAgent();
    return this.#agent;
  }

  async #makeAgent(): Promise<Agent> {
    const { allowInsecureTls, caCertFile, clientTls } = this.#service;
    return new Agent({
      keepAlive: true,
      rejectUnauthorized: !allowInsecureTls,
      ...(caCertFile !== undefined && { ca: await readFile(caCertFile) }),
      ...(clientTls !== undefined && {
        cert: await readFile(clientTls.certFile),
        key: await readFile(clientTls.keyFile),
        ...(clientTls.passphrase !== undefined && { passphrase: clientTls.passphrase }),
      }),
    });
  }
}

async function readReply(message: IncomingMessage, maxBytes: number): Promise<ServiceReply> {
  message.setTimeout(IDLE_MS, () => message.destroy(new Error("the answer stalled")));
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw new Error(`the answer has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const headers = Object.fromEntries(
    Object.entries(message.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(", ") : (value ?? ""),
    ]),
  );
  return { status: message.statusCode ?? 0, headers, body: Buffer.concat(chunks) };
}
