import type { IncomingMessage, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import type { HttpAuthorization } from "../ext-authz/index.ts";
import { type Logger, receiveHttp, type Tracing } from "../telemetry/index.ts";
import type { HttpHandler } from "./http-listener.ts";
import { spiffeId } from "./peer-names.ts";

export interface HttpAuthzOptions {
  readonly maxBodyBytes: number;
  /** Checks decided at once; more are refused. */
  readonly maxConcurrentChecks: number;
  /** SPIFFE IDs that may call; empty for all. */
  readonly allowedPrincipals: readonly string[];
  readonly logger: Logger;
  /** Absent when nothing is traced. */
  readonly tracing: Tracing | undefined;
  /** Called with +1 and -1 as checks come and go. */
  readonly onInFlight: (change: 1 | -1) => void;
}

/** Answers the requests of the HTTP authorization port. Whatever goes wrong, the status is not 2xx. */
export function httpAuthzHandler(authorization: HttpAuthorization, options: HttpAuthzOptions): HttpHandler {
  let inFlight = 0;
  const answer = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!mayCall(message, options.allowedPrincipals)) return refuse(response, 403);
    if (inFlight >= options.maxConcurrentChecks) return refuse(response, 503);
    inFlight++;
    options.onInFlight(1);
    const span = options.tracing && receiveHttp(options.tracing, message, response);
    try {
      const body = await readBody(message, options.maxBodyBytes);
      if (body === undefined) return refuse(response, 413);
      const reply = await authorization.check(
        { method: message.method ?? "", target: message.url ?? "", rawHeaders: message.rawHeaders, body },
        {
          deadlineMs: Number.POSITIVE_INFINITY,
          isCancelled: () => response.destroyed,
          ...(span !== undefined && { span }),
        },
      );
      for (const { key, value } of reply.headers) response.appendHeader(key, latin1Of(value));
      response.writeHead(reply.status, { "content-length": Buffer.byteLength(reply.body) });
      response.end(reply.body);
    } finally {
      inFlight--;
      options.onInFlight(-1);
    }
  };
  return (message, response) => {
    answer(message, response).catch((cause: unknown) => {
      if (message.destroyed && !message.complete) return;
      options.logger.error("Check failed.", { err: cause });
      if (response.headersSent) response.destroy();
      else refuse(response, 503);
    });
  };
}

function mayCall(message: IncomingMessage, allowed: readonly string[]): boolean {
  if (allowed.length === 0) return true;
  const id = spiffeId((message.socket as TLSSocket).getPeerCertificate().subjectaltname ?? "");
  return id !== undefined && allowed.includes(id);
}

/** What is left of the message is not read: the connection ends with the answer. */
function refuse(response: ServerResponse, status: number): void {
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.writeHead(status, { connection: "close", "content-length": 0 }).end();
}

/** Node takes header values as Latin-1, one character a byte; proxies expect UTF-8. */
function latin1Of(value: string): string {
  return Buffer.from(value, "utf8").toString("latin1");
}

/** @returns undefined when there is more than `limit`. */
async function readBody(message: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  if (Number(message.headers["content-length"] ?? 0) > limit) return undefined;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limit) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}
