import { lookup } from "node:dns/promises";
import type { HttpRequest, HttpResult, IoAnswer, IoRequest } from "../rego/engine/index.ts";
import { RegoSet, type Value } from "../rego/value/index.ts";
import type { Span } from "../telemetry/index.ts";
import { HttpCache, validators } from "./http-cache.ts";
import { HttpClient, type HttpClientLimits, type HttpClientOptions } from "./http-client.ts";

/** The host's side of builtins that need the network: `http.send` and `net.lookup_ip_addr`. */

export interface RegoIoOptions extends Partial<HttpClientLimits>, Partial<Omit<HttpClientOptions, "limits">> {
  /** Size of the cache for responses kept beyond their query. */
  readonly cacheBytes?: number;
  /** Requests under way at a time; further ones wait. */
  readonly maxConcurrent?: number;
  /** Requests that may wait; further ones fail. */
  readonly maxWaiting?: number;
  readonly resolveTimeoutMs?: number;
  /** Addresses of a name. @throws when there are none */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
  readonly clock?: () => number;
  /** Answers requests of kind `host`. */
  readonly host?: (name: string, operand: Value) => Promise<IoAnswer>;
}

/** Where distributions keep the certificates of the authorities they trust (Go crypto/x509/root_linux.go). */
const SYSTEM_CERT_FILES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
];

export class RegoIo {
  readonly #options: RegoIoOptions;
  readonly #client: HttpClient;
  readonly #cache: HttpCache;
  readonly #turns: Turns;

  constructor(options: RegoIoOptions = {}) {
    this.#options = options;
    this.#client = new HttpClient({
      limits: {
        maxBodyBytes: options.maxBodyBytes ?? 16 * 1024 * 1024,
        maxTimeoutMs: options.maxTimeoutMs ?? 60_000,
        maxRetries: options.maxRetries ?? 10,
        maxTotalMs: options.maxTotalMs ?? 120_000,
        maxRedirects: options.maxRedirects ?? 10,
      },
      userAgent: options.userAgent ?? "Cardea",
      systemCertFiles: options.systemCertFiles ?? SYSTEM_CERT_FILES,
      ...(options.allowedHosts !== undefined && { allowedHosts: options.allowedHosts }),
      ...(options.pause !== undefined && { pause: options.pause }),
    });
    this.#cache = new HttpCache(options.cacheBytes ?? 64 * 1024 * 1024);
    this.#turns = new Turns(options.maxConcurrent ?? 256, options.maxWaiting ?? 4096);
  }

  /** Never rejects: a failure is an answer. @param span  Of the request that a policy decides. */
  readonly answer = async (request: IoRequest, span?: Span): Promise<IoAnswer> => {
    switch (request.kind) {
      case "http.send":
        return { value: (await this.#turns.take(() => this.#send(request.request, span))) as Value };
      case "net.lookup_ip_addr":
        return this.#lookUp(request.name);
      case "host":
        return (
          this.#options.host?.(request.name, request.operand) ?? {
            error: `unknown function of the host: ${request.name}`,
          }
        );
      default:
        return request satisfies never;
    }
  };

  close(): void {
    this.#client.close();
  }

  #now(): number {
    return (this.#options.clock ?? Date.now)();
  }

  async #send(request: HttpRequest, span: Span | undefined): Promise<HttpResult> {
    const { cache } = request;
    if (cache === undefined) return this.#client.send(request, span);
    const kept = this.#cache.get(cache.key);
    if (kept !== undefined) {
      if (this.#now() < kept.expiresAtMs) return kept.response;
      const conditions = validators(kept.response);
      this.#cache.delete(cache.key);
      if (conditions.length > 0) {
        const checked = await this.#client.send(request, span, conditions);
        if ("failure" in checked) return checked;
        if (checked.statusCode === 304) {
          return (
            this.#cache.refresh(cache.key, kept.response, checked, cache.forceSeconds, this.#now()) ?? {
              failure: "internal",
              message: "the headers of the revalidated response cannot be read",
              timedOut: false,
            }
          );
        }
        if (checked.statusCode === 200) {
          this.#cache.store(cache.key, checked, cache.forceSeconds, this.#now());
          return checked;
        }
      }
    }
    const response = await this.#client.send(request, span);
    if ("status" in response) this.#cache.store(cache.key, response, cache.forceSeconds, this.#now());
    return response;
  }

  async #lookUp(name: string): Promise<IoAnswer> {
    const { allowedHosts, resolve = resolveBySystem, resolveTimeoutMs = 5000 } = this.#options;
    if (allowedHosts !== undefined && !allowedHosts.includes(name)) return { error: `disallowed host: ${name}` };
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error("i/o timeout")), resolveTimeoutMs);
    });
    try {
      return { value: RegoSet.of(await Promise.race([resolve(name), timeout])) };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return { error: `lookup ${name}: ${code === "ENOTFOUND" || code === "EAI_AGAIN" ? "no such host" : message}` };
    } finally {
      clearTimeout(timer);
    }
  }
}

async function resolveBySystem(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}

/** Lets a number of jobs run at a time and a number wait. */
class Turns {
  readonly #running: number;
  readonly #waiting: number;
  #free: number;
  readonly #queue: (() => void)[] = [];

  constructor(running: number, waiting: number) {
    this.#running = running;
    this.#waiting = waiting;
    this.#free = running;
  }

  async take(job: () => Promise<HttpResult>): Promise<HttpResult> {
    if (this.#free > 0) this.#free--;
    else if (this.#queue.length < this.#waiting) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else
      return {
        failure: "internal",
        message: `more than ${this.#running} requests under way and ${this.#waiting} waiting`,
        timedOut: false,
      };
    try {
      return await job();
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
