import type { IncomingMessage, ServerResponse } from "node:http";
import type { Span, Tracing } from "./tracing.ts";

/**
 * Opens the span of an HTTP request that came in; it ends with the response. Names and attributes are those of Go's
 * otelhttp, which OPA uses.
 *
 * @param route  Pattern that chose the handler; absent where one handler answers everything.
 */
export function receiveHttp(
  tracing: Tracing,
  message: IncomingMessage,
  response: ServerResponse,
  route?: string,
): Span {
  const { headers, socket } = message;
  const method = message.method ?? "GET";
  const peer = socket.remoteAddress;
  const forwardedFor = headerOf(message, "x-forwarded-for")?.split(",")[0]?.trim();
  const host = /^(.*?)(?::(\d+))?$/.exec(headers.host ?? "");
  const agent = headers["user-agent"];
  const client = forwardedFor ?? peer;
  const span = tracing.receive(route === undefined ? method : `${method} ${route}`, (name) => headerOf(message, name), {
    "http.request.method": method,
    "url.scheme": "encrypted" in socket ? "https" : "http",
    "url.path": (message.url ?? "").split("?", 1)[0] ?? "",
    "network.protocol.version": message.httpVersion,
    ...(host?.[1] !== undefined && host[1] !== "" && { "server.address": host[1] }),
    ...(host?.[2] !== undefined && { "server.port": Number(host[2]) }),
    ...(peer !== undefined && { "network.peer.address": peer }),
    ...(socket.remotePort !== undefined && { "network.peer.port": socket.remotePort }),
    ...(client !== undefined && { "client.address": client }),
    ...(agent !== undefined && { "user_agent.original": agent }),
    ...(route !== undefined && { "http.route": route }),
  });
  response.once("close", () => {
    const { statusCode } = response;
    const attributes = { "http.response.status_code": statusCode };
    if (statusCode >= 500) span.end({ ...attributes, "error.type": String(statusCode) }, "");
    else span.end(attributes);
  });
  return span;
}

function headerOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(",") : value;
}
