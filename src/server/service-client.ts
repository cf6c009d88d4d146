import { readFile } from "node:fs/promises";
import { Agent } from "node:https";
import type { ServiceConfig } from "../config/index.ts";
import type { Environment } from "./environment.ts";
import { exchange, type Incoming, ServiceError } from "./exchange.ts";
import { type Authenticator, authenticatorOf } from "./service-authentication.ts";

export interface ServiceRequest {
  readonly method: "GET" | "POST";
  /** Below the service's URL. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Milliseconds to wait for the answer's headers, on top of the service's own timeout: long polling. */
  readonly waitMs?: number;
  /** Bytes the answer may have. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

const USER_AGENT = "Cardea";

/** Talks to one entry of `services`: its URL, headers, credentials and TLS settings. */
export class ServiceClient {
  readonly #service: ServiceConfig;
  readonly #authenticator: Authenticator;
  #agent: Promise<Agent> | undefined;

  constructor(service: ServiceConfig, env: Environment) {
    this.#service = service;
    this.#authenticator = authenticatorOf(service.credentials, {
      env,
      exchange,
      // Whoever gives tokens for a service is trusted as the service is.
      exchangeTrusted: async (url, outgoing) => exchange(url, { ...outgoing, agent: await this.#tlsAgent() }),
    });
  }

  /** @throws {ServiceError} when there is no whole answer. A status of failure is an answer. */
  async send({ path, waitMs = 0, ...request }: ServiceRequest): Promise<Incoming> {
    const { url: base, headers: ownHeaders, responseHeaderTimeoutSeconds } = this.#service;
    const url = new URL(`${base}/${path.replace(/^\/+/, "")}`);
    const headers = { "user-agent": USER_AGENT, ...ownHeaders, ...request.headers };
    const reply = await exchange(url, {
      ...request,
      headers: { ...headers, ...(await this.#proof(url, { ...request, headers })) },
      timeoutMs: responseHeaderTimeoutSeconds * 1000 + waitMs,
      ...(url.protocol === "https:" && { agent: await this.#tlsAgent() }),
    });
    // A token may be withdrawn before its time.
    if (reply.status === 401) this.#authenticator.refused?.();
    return reply;
  }

  async #proof(url: URL, request: Omit<ServiceRequest, "path">): Promise<Readonly<Record<string, string>>> {
    try {
      return await this.#authenticator.headersFor(url, request);
    } catch (cause) {
      const { name, credentials } = this.#service;
      throw new ServiceError(
        `services.${name}.credentials.${credentials?.kind}: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
  }

  #tlsAgent(): Promise<Agent> {
    this.#agent ??= this.#makeAgent().catch((cause: unknown) => {
      // A file that was not there may come.
      this.#agent = undefined;
      throw cause;
    });
    return this.#agent;
  }

  async #makeAgent(): Promise<Agent> {
    const { allowInsecureTls, caCertFile, credentials } = this.#service;
    const own = credentials?.kind === "client_tls" ? credentials : undefined;
    return new Agent({
      keepAlive: true,
      rejectUnauthorized: !allowInsecureTls,
      ...(caCertFile !== undefined && { ca: await readFile(caCertFile) }),
      ...(own !== undefined && {
        cert: await readFile(own.certFile),
        key: await readFile(own.keyFile),
        ...(own.passphrase !== undefined && { passphrase: own.passphrase }),
      }),
    });
  }
}
