import { readFile } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import tls from "node:tls";
import { createGunzip } from "node:zlib";
import type { HttpRequest, HttpResult } from "../rego/engine/index.ts";
import type { Span } from "../telemetry/index.ts";

/** Sends the requests of `http.send` as Go's net/http client would for OPA (v1/topdown/http.go). */

export interface HttpClientLimits {
  /** Largest response body, after decompression. */
  readonly maxBodyBytes: number;
  /** Longest any one attempt may take, whatever its own timeout says. */
  readonly maxTimeoutMs: number;
  /** Most repetitions after network errors, whatever the request says. */
  readonly maxRetries: number;
  /** Longest all attempts and the pauses between them may take. */
  readonly maxTotalMs: number;
  readonly maxRedirects: number;
}

export interface HttpClientOptions {
  readonly limits: HttpClientLimits;
  readonly userAgent: string;
  /** Hosts that may be asked, as in `allow_net` of OPA's capabilities; absent: all. */
  readonly allowedHosts?: readonly string[];
  /** Files with certificates of authorities that are trusted besides Node's own; unreadable ones are passed over. */
  readonly systemCertFiles: readonly string[];
  /** Pauses between attempts. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export type HttpResponse = Extract<HttpResult, { status: string }>;
export type HttpFailure = Extract<HttpResult, { failure: string }>;

const MIN_RETRY_DELAY_MS = 100;
const MAX_RETRY_DELAY_MS = 60_000;
const MAX_SOCKETS_PER_HOST = 128;

/** Headers the client computes itself, as Go's does. */
const COMPUTED_HEADERS: ReadonlySet<string> = new Set(["content-length", "transfer-encoding", "trailer", "host"]);
/** Headers that describe the connection, not the response; Go takes them out as well. */
const HIDDEN_RESPONSE_HEADERS: ReadonlySet<string> = new Set(["transfer-encoding", "trailer"]);
/** Not sent on to another site by a redirect. */
const SITE_HEADERS: ReadonlySet<string> = new Set(["authorization", "www-authenticate", "cookie", "cookie2"]);

/** RFC 9110 §5.1 and §5.5, as Go's httpguts checks them. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\uffff]*$/;

/** Why a request failed, with the text Go would give. */
class SendError extends Error {
  override readonly name = "SendError";
  readonly failure: "network" | "internal";
  readonly timedOut: boolean;

  constructor(failure: "network" | "internal", message: string, timedOut = false, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
    this.timedOut = timedOut;
  }
}

/** One place to send a request to. */
interface Target {
  /** As given, for messages. */
  readonly text: string;
  readonly url: URL;
  /** As it goes on the wire. */
  readonly path: string;
  /** A Unix domain socket instead of host and port. */
  readonly socketPath: string | undefined;
}

export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #plainAgent = new http.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS_PER_HOST });
  readonly #tlsAgent = new https.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS_PER_HOST });
  /** What is under way, for `close` to break off. */
  readonly #underWay = new Set<AbortController>();
  #systemCerts: Promise<readonly string[]> | undefined;

  constructor(options: HttpClientOptions) {
    this.#options = options;
  }

  /**
   * Never rejects: a failure is a result.
   *
   * @param span  What the request is part of.
   * @param extraHeaders  Of a revalidation.
   */
  async send(
    request: HttpRequest,
    span?: Span,
    extraHeaders: readonly (readonly [string, string])[] = [],
  ): Promise<HttpResult> {
    const { limits } = this.#options;
    return this.#within(limits.maxTotalMs, undefined, async (overall) => {
      const retries = Math.min(request.maxRetries, limits.maxRetries);
      const whole = { ...request, headers: [...request.headers, ...extraHeaders] };
      const timeoutMs = request.timeoutMs > 0 ? Math.min(request.timeoutMs, limits.maxTimeoutMs) : limits.maxTimeoutMs;
      for (let attempt = 0; ; attempt++) {
        try {
          return await this.#within(timeoutMs, overall, (signal) => this.#attempt(whole, span, signal));
        } catch (error) {
          const failed =
            error instanceof SendError ? error : new SendError("internal", messageOf(error), false, { cause: error });
          if (failed.failure === "internal" || attempt >= retries || overall.aborted) {
            return { failure: failed.failure, message: failed.message, timedOut: failed.timedOut };
          }
        }
        await (this.#options.pause ?? pause)(backoffMs(attempt), overall);
      }
    });
  }

  /** Breaks off what is under way and lets connections go. */
  close(): void {
    for (const controller of this.#underWay) controller.abort();
    this.#plainAgent.destroy();
    this.#tlsAgent.destroy();
  }

  /** Runs a job with a signal for its time limit, its surrounding job's end, or `close`. Leaves no timer behind. */
  async #within<T>(
    limitMs: number,
    outer: AbortSignal | undefined,
    job: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const controller = new AbortController();
    const timer = setTimeout(
      () => controller.abort(new DOMException("time is up", "TimeoutError")),
      Math.ceil(limitMs),
    );
    const follow = () => controller.abort(outer?.reason);
    outer?.addEventListener("abort", follow);
    this.#underWay.add(controller);
    try {
      return await job(controller.signal);
    } finally {
      clearTimeout(timer);
      outer?.removeEventListener("abort", follow);
      this.#underWay.delete(controller);
    }
  }

  async #attempt(request: HttpRequest, span: Span | undefined, signal: AbortSignal): Promise<HttpResponse> {
    const { limits } = this.#options;
    let target = readTarget(request.url);
    let { method, body, headers } = request;
    const agent = hasOwnTls(request) ? await this.#agentFor(request) : undefined;
    try {
      for (let hops = 0; ; hops++) {
        this.#checkHost(target.url);
        const reply = await this.#traced(span, { ...request, method, body, headers }, target, agent, signal);
        const location =
          request.followsRedirects && isRedirect(reply.statusCode) ? reply.headers["location"]?.[0] : undefined;
        if (location === undefined) return reply;
        if (hops >= limits.maxRedirects) {
          throw new SendError(
            "network",
            `${goMethod(method)} ${quoted(location)}: stopped after ${limits.maxRedirects} redirects`,
          );
        }
        const next = readTarget(absolute(location, target.url, method));
        if (reply.statusCode < 307) {
          if (method !== "HEAD") method = "GET";
          body = "";
        }
        if (!isSameSite(target.url, next.url))
          headers = headers.filter(([name]) => !SITE_HEADERS.has(name.toLowerCase()) && name !== "Host");
        headers = withReferer(headers, request.headers, target.url, next.url);
        target = next;
      }
    } finally {
      agent?.destroy();
    }
  }

  #checkHost(url: URL): void {
    const { allowedHosts } = this.#options;
    if (allowedHosts !== undefined && !allowedHosts.includes(url.hostname))
      throw new SendError("internal", `disallowed host: ${url.hostname}`);
  }

  /** A connection of its own for a request with its own certificates: nobody else may use it. */
  async #agentFor({ tls: settings }: HttpRequest): Promise<https.Agent> {
    const files = await Promise.all(settings.caFiles.map((path) => readPem(path)));
    const authorities = [...settings.ca, ...files];
    if (authorities.some((pem) => !pem.includes("-----BEGIN CERTIFICATE-----")))
      throw new SendError("internal", "could not append certificates");
    const pairs = [
      ...settings.clientPairs,
      ...(await Promise.all(
        settings.clientPairFiles.map(async ({ cert, key }) => ({ cert: await readPem(cert), key: await readPem(key) })),
      )),
    ];
    const trusted =
      settings.usesSystemCerts || authorities.length === 0
        ? [...(await this.#trustedCerts()), ...authorities]
        : authorities;
    try {
      return new https.Agent({
        keepAlive: false,
        ca: trusted as string[],
        cert: pairs.map(({ cert }) => cert),
        key: pairs.map(({ key }) => key),
        rejectUnauthorized: !settings.skipsVerification,
        ...(settings.serverName !== undefined && { servername: settings.serverName }),
      });
    } catch (error) {
      throw new SendError("internal", messageOf(error), false, { cause: error });
    }
  }

  #trustedCerts(): Promise<readonly string[]> {
    this.#systemCerts ??= Promise.all(
      this.#options.systemCertFiles.map((path) => readFile(path, "utf8").catch(() => "")),
    ).then((pems) => [...tls.rootCertificates, ...pems.filter((pem) => pem !== "")]);
    return this.#systemCerts;
  }

  /** One exchange with a span of its own, named and described as by Go's otelhttp. */
  async #traced(
    parent: Span | undefined,
    request: HttpRequest,
    target: Target,
    ownAgent: https.Agent | undefined,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    if (parent === undefined) return this.#exchange(request, target, ownAgent, signal);
    const { method } = request;
    const span = parent.call(`HTTP ${method}`, {
      "http.request.method": method,
      "url.full": withoutUser(target.url),
      "server.address": unbracketed(target.url.hostname),
      ...(target.url.port !== "" && { "server.port": Number(target.url.port) }),
      "network.protocol.version": "1.1",
    });
    try {
      const headers = withHeaders(request.headers, span.headers());
      const reply = await this.#exchange({ ...request, headers }, target, ownAgent, signal);
      const { statusCode } = reply;
      if (statusCode < 400) span.end({ "http.response.status_code": statusCode });
      else span.end({ "http.response.status_code": statusCode, "error.type": String(statusCode) }, "");
      return reply;
    } catch (cause) {
      span.end(
        { "error.type": cause instanceof SendError && cause.timedOut ? "timeout" : "network" },
        messageOf(cause),
      );
      throw cause;
    }
  }

  #exchange(
    request: HttpRequest,
    target: Target,
    ownAgent: https.Agent | undefined,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const { method, body, headers } = request;
    const isTls = target.url.protocol === "https:";
    const fail = (error: unknown) => networkError(method, target, error, signal);
    return new Promise((resolve, reject) => {
      const wrong = headers.find(([name, value]) => !HEADER_NAME.test(name) || !HEADER_VALUE.test(value));
      if (wrong !== undefined) {
        const fault = HEADER_NAME.test(wrong[0]) ? "value for" : "name";
        throw new SendError(
          "network",
          `${goMethod(method)} ${quoted(target.text)}: net/http: invalid header field ${fault} ${quoted(wrong[0])}`,
        );
      }
      const sent = this.#headersOf(headers, method, body);
      let call: http.ClientRequest;
      try {
        call = (isTls ? https : http).request({
          method,
          headers: sent.headers,
          path: target.path,
          signal,
          agent: isTls ? (ownAgent ?? this.#tlsAgent) : this.#plainAgent,
          ...(target.socketPath === undefined
            ? {
                hostname: unbracketed(target.url.hostname),
                port: target.url.port === "" ? (isTls ? 443 : 80) : Number(target.url.port),
              }
            : { socketPath: target.socketPath, agent: false as const }),
          ...(sent.headers["Authorization"] === undefined &&
            target.url.username !== "" && { auth: credentials(target.url) }),
          ...(sent.headers["Host"] === undefined && { setHost: true }),
        });
      } catch (error) {
        // An invalid method, header or path: Go refuses these as well.
        reject(invalidRequest(method, target, error));
        return;
      }
      call.once("error", (error) => reject(fail(error)));
      call.once("response", (reply) => {
        this.#readReply(reply, method, sent.asksForGzip).then(resolve, (error: unknown) => {
          call.destroy();
          reject(
            error instanceof SendError
              ? error
              : signal.aborted
                ? fail(error)
                : new SendError("internal", messageOf(error), false, { cause: error }),
          );
        });
      });
      call.end(body);
    });
  }

  #headersOf(
    given: HttpRequest["headers"],
    method: string,
    body: string,
  ): { headers: http.OutgoingHttpHeaders; asksForGzip: boolean } {
    const headers: http.OutgoingHttpHeaders = Object.create(null) as http.OutgoingHttpHeaders;
    headers["User-Agent"] = this.#options.userAgent;
    for (const [name, value] of given) if (!COMPUTED_HEADERS.has(name.toLowerCase())) headers[name] = wireText(value);
    const host = given.find(([name]) => name === "Host")?.[1];
    if (host !== undefined) headers["Host"] = host;
    if (body !== "" || method === "POST" || method === "PUT" || method === "PATCH")
      headers["Content-Length"] = Buffer.byteLength(body);
    // As Go does: compression is the client's affair unless the policy asks for it.
    const asksForGzip = headers["Accept-Encoding"] === undefined && headers["Range"] === undefined && method !== "HEAD";
    if (asksForGzip) headers["Accept-Encoding"] = "gzip";
    return { headers, asksForGzip };
  }

  async #readReply(reply: http.IncomingMessage, method: string, asksForGzip: boolean): Promise<HttpResponse> {
    const headers: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
    for (let i = 0; i + 1 < reply.rawHeaders.length; i += 2) {
      const name = (reply.rawHeaders[i] as string).toLowerCase();
      if (HIDDEN_RESPONSE_HEADERS.has(name)) continue;
      headers[name] ??= [];
      headers[name].push(reply.rawHeaders[i + 1] as string);
    }
    const unzips = asksForGzip && method !== "HEAD" && headers["content-encoding"]?.[0]?.toLowerCase() === "gzip";
    if (unzips) {
      delete headers["content-encoding"];
      delete headers["content-length"];
    }
    const body = await readBounded(
      unzips ? reply.pipe(createGunzip()) : reply,
      reply,
      this.#options.limits.maxBodyBytes,
    );
    const statusCode = reply.statusCode ?? 0;
    const reason = reply.statusMessage === undefined || reply.statusMessage === "" ? "" : ` ${reply.statusMessage}`;
    return { status: `${statusCode}${reason}`, statusCode, headers, body };
  }
}

/** Headers of the trace take the place of those a policy may have set. */
function withHeaders(headers: HttpRequest["headers"], more: HttpRequest["headers"]): HttpRequest["headers"] {
  const names = new Set(more.map(([name]) => name.toLowerCase()));
  return [...headers.filter(([name]) => !names.has(name.toLowerCase())), ...more];
}

function withoutUser(url: URL): string {
  const shown = new URL(url);
  shown.username = "";
  shown.password = "";
  return shown.href;
}

async function readBounded(
  stream: NodeJS.ReadableStream,
  source: http.IncomingMessage,
  limit: number,
): Promise<string> {
  const failed = new Promise<never>((_resolve, reject) =>
    source.once("error", reject).once("aborted", () => reject(new Error("unexpected EOF"))),
  );
  failed.catch(() => undefined);
  const chunks: Buffer[] = [];
  let size = 0;
  const read = async () => {
    for await (const chunk of stream) {
      size += (chunk as Buffer).length;
      if (size > limit) throw new SendError("internal", `response body is larger than ${limit} bytes`);
      chunks.push(chunk as Buffer);
    }
    return Buffer.concat(chunks).toString("utf8");
  };
  return Promise.race([read(), failed]);
}

function hasOwnTls({ tls: settings }: HttpRequest): boolean {
  return (
    settings.skipsVerification ||
    settings.usesSystemCerts ||
    settings.serverName !== undefined ||
    settings.ca.length + settings.caFiles.length + settings.clientPairs.length + settings.clientPairFiles.length > 0
  );
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === "ENOENT" ? "no such file or directory" : messageOf(error);
    throw new SendError("internal", `open ${path}: ${reason}`, false, { cause: error });
  }
}

function readTarget(text: string): Target {
  let url: URL;
  try {
    url = new URL(text);
  } catch (error) {
    if (!/^[A-Za-z][A-Za-z0-9+.-]*:/.test(text))
      throw new SendError("network", `Get ${quoted(text)}: unsupported protocol scheme ""`, false, { cause: error });
    const port = /^[^:]+:\/\/(?:[^/?#@]*@)?(?:\[[^\]]*\]|[^/?#:[\]]*)(:[^/?#]*)/.exec(text)?.[1];
    const reason =
      port !== undefined && !/^:\d*$/.test(port) ? `invalid port ${quoted(port)} after host` : "invalid URL";
    throw new SendError("internal", `parse ${quoted(text)}: ${reason}`, false, { cause: error });
  }
  if (url.protocol === "unix:") return socketTarget(url);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new SendError("network", `Get ${quoted(text)}: unsupported protocol scheme "${url.protocol.slice(0, -1)}"`);
  }
  return { text, url, path: wirePath(text), socketPath: undefined };
}

/** `unix://localhost/path?socket=%2Frun%2Fx.sock`: the socket leaves the query, the rest is an ordinary request. */
function socketTarget(url: URL): Target {
  const query = new URLSearchParams(url.search);
  const socketPath = query.get("socket") ?? "";
  query.delete("socket");
  const search = query.toString();
  const path = `${url.pathname === "" ? "/" : url.pathname}${search === "" ? "" : `?${search}`}`;
  const text = `http://${url.host === "" ? "localhost" : url.host}${path}`;
  return { text, url: new URL(text), path, socketPath };
}

/** Path and query as they stand in the text: Go resolves no dot segments. */
function wirePath(text: string): string {
  const path = /^[^:]+:\/\/[^/?#]*([^#]*)/.exec(text)?.[1] ?? "/";
  const rooted = path.startsWith("/") ? path : `/${path}`;
  return rooted.replace(/[^\x21-\x7e]/gu, (char) => encodeURIComponent(char));
}

function absolute(location: string, base: URL, method: string): string {
  try {
    return new URL(location, base).href;
  } catch (error) {
    throw new SendError(
      "network",
      `${goMethod(method)} ${quoted(base.href)}: failed to parse Location header ${quoted(location)}`,
      false,
      { cause: error },
    );
  }
}

function isRedirect(statusCode: number): boolean {
  return statusCode === 301 || statusCode === 302 || statusCode === 303 || statusCode === 307 || statusCode === 308;
}

/** Where the client came from, unless the policy says so itself or would betray a secure place to an insecure one. */
function withReferer(
  headers: HttpRequest["headers"],
  given: HttpRequest["headers"],
  from: URL,
  to: URL,
): HttpRequest["headers"] {
  if (given.some(([name]) => name === "Referer")) return headers;
  const others = headers.filter(([name]) => name !== "Referer");
  if (from.protocol === "https:" && to.protocol === "http:") return others;
  return [...others, ["Referer", `${from.protocol}//${from.host}${from.pathname}${from.search}`]];
}

/** Go's shouldCopyHeaderOnRedirect: the same host or a domain below it. */
function isSameSite(from: URL, to: URL): boolean {
  return to.hostname === from.hostname || to.hostname.endsWith(`.${from.hostname}`);
}

function unbracketed(hostname: string): string {
  return hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
}

function credentials(url: URL): string {
  return `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
}

/** 100 ms, growing by 1.6 with a fifth of chance either way, a minute at most (OPA util.DefaultBackoff). */
function backoffMs(attempt: number): number {
  return Math.min(MAX_RETRY_DELAY_MS, MIN_RETRY_DELAY_MS * 1.6 ** attempt * (0.8 + 0.4 * Math.random()));
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}

/** Node writes header values as Latin-1; Go writes their UTF-8 bytes. */
function wireText(value: string): string {
  return Buffer.from(value, "utf8").toString("latin1");
}

function goMethod(method: string): string {
  return method.charAt(0).toUpperCase() + method.slice(1).toLowerCase();
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function invalidRequest(method: string, { text }: Target, error: unknown): SendError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ERR_INVALID_HTTP_TOKEN" && /method/i.test(messageOf(error))) {
    return new SendError("internal", `net/http: invalid method ${quoted(method)}`, false, { cause: error });
  }
  return new SendError("network", `${goMethod(method)} ${quoted(text)}: net/http: ${messageOf(error)}`, false, {
    cause: error,
  });
}

const TLS_REASONS: ReadonlyMap<string, string> = new Map([
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "x509: certificate signed by unknown authority"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "x509: certificate signed by unknown authority"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "x509: certificate signed by unknown authority"],
  ["UNABLE_TO_GET_ISSUER_CERT", "x509: certificate signed by unknown authority"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "x509: certificate signed by unknown authority"],
  ["CERT_HAS_EXPIRED", "x509: certificate has expired or is not yet valid"],
  ["CERT_NOT_YET_VALID", "x509: certificate has expired or is not yet valid"],
]);

/** A failed exchange in Go's words. */
function networkError(
  method: string,
  { text, url, socketPath }: Target,
  error: unknown,
  signal: AbortSignal,
): SendError {
  const shown = `${goMethod(method)} ${quoted(text)}`;
  if (signal.aborted) {
    const timedOut = (signal.reason as Error | undefined)?.name === "TimeoutError";
    const reason = timedOut
      ? "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
      : "context canceled";
    return new SendError("network", `${shown}: ${reason}`, timedOut, { cause: error });
  }
  const { code, address, port, reason } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
    reason?: string;
  };
  const place =
    socketPath === undefined
      ? `tcp ${address?.includes(":") === true ? `[${address}]` : (address ?? url.hostname)}:${port ?? url.port}`
      : `unix ${socketPath}`;
  const detail = (): string => {
    switch (code) {
      case "ECONNREFUSED":
        return `dial ${place}: connect: connection refused`;
      case "ENOENT":
        return `dial ${place}: connect: no such file or directory`;
      case "EHOSTUNREACH":
        return `dial ${place}: connect: no route to host`;
      case "ENETUNREACH":
        return `dial ${place}: connect: network is unreachable`;
      case "ETIMEDOUT":
        return `dial ${place}: connect: connection timed out`;
      case "ENOTFOUND":
      case "EAI_AGAIN":
        return `dial tcp: lookup ${url.hostname}: no such host`;
      case "ECONNRESET":
        return messageOf(error) === "socket hang up" ? "EOF" : "read: connection reset by peer";
      case "ERR_TLS_CERT_ALTNAME_INVALID":
        return `tls: failed to verify certificate: x509: ${reason ?? "certificate is not valid for this name"}`;
      case "EPROTO":
      case "ERR_SSL_WRONG_VERSION_NUMBER":
        return /wrong version number|packet length too long/.test(messageOf(error))
          ? "http: server gave HTTP response to HTTPS client"
          : messageOf(error);
      default: {
        const known = code === undefined ? undefined : TLS_REASONS.get(code);
        return known === undefined ? messageOf(error) : `tls: failed to verify certificate: ${known}`;
      }
    }
  };
  return new SendError("network", `${shown}: ${detail()}`, false, { cause: error });
}
