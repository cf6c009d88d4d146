import type { IncomingMessage, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import { type Logger, type Metrics, receiveHttp, type Tracing } from "../telemetry/index.ts";
import { ApiError } from "./api-error.ts";
import { distinguishedName } from "./distinguished-name.ts";
import { type ApiReply, type ApiRequest, type BodyOptions, checkLength, readBody, toWire } from "./http.ts";

export interface Route {
  readonly method: string;
  /** Segments that must come first; what follows is the route's own. */
  readonly prefix: string;
  /** Whether anything may follow the prefix. */
  readonly isTree: boolean;
  handle(request: ApiRequest, rest: readonly string[]): Promise<ApiReply> | ApiReply;
}

export interface RouterOptions {
  readonly routes: readonly Route[];
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Absent when nothing is traced. */
  readonly tracing: Tracing | undefined;
  /** Throws an ApiError for requests that may not pass. */
  readonly authorize: (request: ApiRequest) => Promise<void>;
  /** How callers prove who they are. */
  readonly authentication: "off" | "token" | "tls";
  readonly bodies: BodyOptions;
}

let requestCount = 0;

/** Answers HTTP requests by a table of routes. */
export function createRouter(options: RouterOptions): (message: IncomingMessage, response: ServerResponse) => void {
  const routes = [...options.routes].sort((a, b) => b.prefix.length - a.prefix.length);
  return (message, response) => {
    const startedNs = process.hrtime.bigint();
    const request = toApiRequest(message, options);
    options.logger.info("Received request.", requestFields(request));
    answer({ request, message, response }, routes, options)
      .catch((cause: unknown) => failureReply(cause, options.logger))
      .then(async (outcome) => {
        const reply = "reply" in outcome ? outcome.reply : outcome;
        const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9;
        const handler = "handler" in outcome ? outcome.handler : "catchall";
        options.metrics.httpDuration.observe(
          { code: String(reply.status), handler, method: request.method.toLowerCase() },
          seconds,
        );
        const wire = await toWire(reply, message, isZipped(request) ? options.bodies : undefined);
        response.writeHead(wire.status, wire.headers).end(wire.body);
        options.logger.info("Sent response.", {
          ...requestFields(request),
          resp_status: reply.status,
          resp_bytes: Buffer.byteLength(wire.body),
          resp_duration: seconds * 1000,
        });
      })
      .catch((cause: unknown) => {
        options.logger.error("Reply failed.", { err: cause });
        response.destroy();
      });
  };
}

interface Exchange {
  readonly request: ApiRequest;
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
}

async function answer(
  { request, message, response }: Exchange,
  routes: readonly Route[],
  options: RouterOptions,
): Promise<{ reply: ApiReply; handler: string }> {
  checkLength(message, options.bodies);
  await options.authorize(request);
  const candidates = routes.filter((route) => matches(route, request));
  const route = candidates.find(({ method }) => method === request.method);
  if (route === undefined) {
    if (candidates.length > 0)
      return {
        reply: { status: 405, headers: { allow: [...new Set(candidates.map(({ method }) => method))].join(", ") } },
        handler: "catchall",
      };
    return {
      reply: { status: 404, body: "404 page not found\n", contentType: "text/plain; charset=utf-8" },
      handler: "catchall",
    };
  }
  const rest = request.segments.slice(prefixSegments(route).length);
  const { tracing } = options;
  const traced =
    tracing === undefined
      ? request
      : {
          ...request,
          span: receiveHttp(tracing, message, response, `/${route.prefix}${route.isTree ? "/{path...}" : ""}`),
        };
  return { reply: await route.handle(traced, rest), handler: route.prefix === "" ? "index" : route.prefix };
}

/** As OPA, which looks at the path alone (v1/server/handlers/compress.go). */
function isZipped({ method, path }: ApiRequest): boolean {
  if (path.startsWith("/v1/data") || path.startsWith("/v0/data")) return method === "GET" || method === "POST";
  return method === "POST" && path.startsWith("/v1/compile");
}

function prefixSegments(route: Route): readonly string[] {
  return route.prefix === "" ? [] : route.prefix.split("/");
}

function matches(route: Route, { segments }: ApiRequest): boolean {
  const prefix = prefixSegments(route);
  if (route.isTree ? segments.length < prefix.length : segments.length !== prefix.length) return false;
  return prefix.every((segment, i) => segments[i] === segment);
}

function failureReply(cause: unknown, logger: Logger): ApiReply {
  if (cause instanceof ApiError) return { status: cause.status, body: cause.toBody() };
  logger.error("Request failed.", { err: cause });
  return { status: 500, body: new ApiError(500, "internal_error", "internal error").toBody() };
}

function toApiRequest(message: IncomingMessage, { authentication, bodies }: RouterOptions): ApiRequest {
  const target = message.url ?? "/";
  // Authorization and the route may both want it.
  let body: Promise<string> | undefined;
  const cut = target.indexOf("?");
  const path = cut === -1 ? target : target.slice(0, cut);
  return {
    method: message.method ?? "GET",
    path,
    segments: segmentsOf(path),
    params: new URLSearchParams(cut === -1 ? "" : target.slice(cut + 1)),
    headers: message.headers,
    remoteAddress: `${message.socket.remoteAddress ?? ""}:${message.socket.remotePort ?? 0}`,
    id: ++requestCount,
    identity: identityOf(message, authentication),
    clientCertificates: [],
    body: () => (body ??= readBody(message, bodies)),
  };
}

/** A trailing slash adds no segment; an escape that cannot be decoded stays as it is written. */
function segmentsOf(path: string): readonly string[] {
  const segments = path.replace(/^\/+/, "").replace(/\/$/, "").split("/");
  if (segments.length === 1 && segments[0] === "") return [];
  return segments.map((segment) => {
    try {
      return decodeURIComponent(segment);
    } catch {
      return segment;
    }
  });
}

function identityOf(message: IncomingMessage, authentication: RouterOptions["authentication"]): string {
  if (authentication === "token") return /^Bearer\s+(.+)$/i.exec(message.headers.authorization ?? "")?.[1] ?? "";
  if (authentication !== "tls") return "";
  const certificate = (message.socket as TLSSocket).getPeerCertificate?.();
  return certificate === undefined || Object.keys(certificate).length === 0
    ? ""
    : distinguishedName({ ...certificate.subject });
}

function requestFields(request: ApiRequest): Readonly<Record<string, unknown>> {
  return { client_addr: request.remoteAddress, req_id: request.id, req_method: request.method, req_path: request.path };
}
