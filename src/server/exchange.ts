import { request as httpRequest, type IncomingMessage } from "node:http";
import { type Agent, request as httpsRequest } from "node:https";

export interface Outgoing {
  readonly method: "GET" | "POST" | "PUT";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Milliseconds until the headers of the answer. */
  readonly timeoutMs: number;
  /** Milliseconds until its end; undefined as long as it goes on. */
  readonly totalMs?: number;
  /** Bytes the answer may have. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
  /** TLS settings; undefined for the platform's. */
  readonly agent?: Agent;
}

export interface Incoming {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** How requests leave. */
export type Exchange = (url: URL, outgoing: Outgoing) => Promise<Incoming>;

/** A service could not be reached, or answered too much or too late. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
}

/** Time between two pieces of a body. */
const IDLE_MS = 30_000;

/** One request and its whole answer. @throws {ServiceError} when there is none. A status of failure is an answer. */
export const exchange: Exchange = (url, { method, headers, body, timeoutMs, totalMs, maxBytes, signal, agent }) =>
  new Promise((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(new ServiceError(`${method} ${url.origin}${url.pathname}: ${cause.message}`, { cause }));
    const outgoing = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, {
      method,
      headers,
      ...(agent !== undefined && url.protocol === "https:" && { agent }),
      ...(signal !== undefined && { signal }),
    });
    const giveUp = (): void => void outgoing.destroy(new Error("no answer in time"));
    const timer = setTimeout(giveUp, timeoutMs);
    const total = totalMs === undefined ? undefined : setTimeout(giveUp, totalMs);
    outgoing.on("close", () => clearTimeout(total));
    outgoing.on("error", (cause) => {
      clearTimeout(timer);
      fail(cause);
    });
    outgoing.on("response", (message) => {
      clearTimeout(timer);
      readReply(message, maxBytes).then(resolve, (cause: unknown) => {
        outgoing.destroy();
        fail(cause instanceof Error ? cause : new Error(String(cause)));
      });
    });
    outgoing.end(body);
  });

async function readReply(message: IncomingMessage, maxBytes: number): Promise<Incoming> {
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
