import type { Http2Server, Http2Session, ServerHttp2Stream, SecureServerOptions } from "node:http2";
import type { Socket } from "node:net";
import type { Server, ServerOptions } from "@grpc/grpc-js";
import { Turn } from "./turn.ts";

/** What one client, and all together, may take of the check port. */
export interface GrpcLimits {
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number;
  /** Calls under way at once on one connection. */
  readonly maxConcurrentStreams: number;
  readonly maxConnections: number;
  /** Memory nghttp2 may hold for one connection, MiB. */
  readonly sessionMemoryMiB: number;
  /** Bytes of the headers of one call, counted as RFC 9113 section 6.5.2 does. */
  readonly maxHeaderListBytes: number;
  /** 0 for no limit. The library spreads it by a tenth either way, so that connections do not all end at once. */
  readonly maxConnectionAgeMs: number;
  readonly connectionAgeGraceMs: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  /** How long a connection may take to greet, and a call's message to arrive. */
  readonly requestTimeoutMs: number;
}

/** "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": who has not sent that much in time speaks no HTTP/2. */
const PREFACE_BYTES = 24;
/** The one long-lived stream clients are meant to hold open. */
const WATCH_PATH = "/grpc.health.v1.Health/Watch";

/** The limits the library knows by name. Its own defaults are none. */
export function serverOptions(limits: GrpcLimits): ServerOptions {
  return {
    "grpc.max_receive_message_length": limits.maxReceiveBytes,
    "grpc.max_send_message_length": limits.maxSendBytes,
    // Its books about every call and message are read by a service that is not offered here.
    "grpc.enable_channelz": 0,
    "grpc.max_concurrent_streams": limits.maxConcurrentStreams,
    "grpc-node.max_session_memory": limits.sessionMemoryMiB,
    "grpc.keepalive_time_ms": limits.keepaliveTimeMs,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
    ...(limits.maxConnectionAgeMs > 0 && {
      "grpc.max_connection_age_ms": limits.maxConnectionAgeMs,
      "grpc.max_connection_age_grace_ms": limits.connectionAgeGraceMs,
    }),
  };
}

/** The library's own parts that have no option of their own. */
interface Internals {
  readonly commonServerOptions: SecureServerOptions & { settings?: object };
  readonly http2Servers: ReadonlyMap<Http2Server, unknown>;
}

/**
 * Sets the limits the library has no option for. Called before it binds.
 *
 * @throws when the library is built differently: a limit that does not take must not pass unnoticed.
 */
export function limitSessions(server: Server, limits: GrpcLimits): void {
  const options = internalsOf(server).commonServerOptions;
  options.settings = { ...options.settings, maxHeaderListSize: limits.maxHeaderListBytes };
  Object.assign(options, {
    handshakeTimeout: limits.requestTimeoutMs,
    unknownProtocolTimeout: limits.requestTimeoutMs,
  });
}

/** Watches the connections of every bound port. Called after binding. @param onRefused  Told of each that is turned away. */
export function limitConnections(server: Server, limits: GrpcLimits, onRefused: (reason: string) => void): void {
  const turn = new Turn();
  for (const port of internalsOf(server).http2Servers.keys()) {
    port.maxConnections = limits.maxConnections;
    port.on("drop", () => onRefused("too_many_connections"));
    port.on("connection", (socket: Socket) => awaitPreface(socket, limits.requestTimeoutMs, onRefused));
    port.on("stream", (stream, headers) => {
      if (headers[":path"] === WATCH_PATH) return;
      // Most messages come in one piece with their headers: only for the others a timer is worth its cost.
      turn.add(() => {
        if (!stream.readableEnded && !stream.destroyed) awaitMessage(stream, limits.requestTimeoutMs);
      });
    });
    // A refused handshake or a session that breaks off is the client's affair; unheard, it would end the process.
    port.on("sessionError", () => undefined);
  }
}

/** Sessions of all ports. */
export function sessionsOf(server: Server): readonly Http2Session[] {
  return [...internalsOf(server).http2Servers.values()].flatMap((info) => [
    ...(info as { readonly sessions: ReadonlySet<Http2Session> }).sessions,
  ]);
}

/** A socket that says nothing costs a descriptor for ever: HTTP/2 has no time limit of its own. */
function awaitPreface(socket: Socket, timeoutMs: number, onRefused: (reason: string) => void): void {
  const timer = setTimeout(() => {
    if (socket.bytesRead >= PREFACE_BYTES) return;
    onRefused("silent_connection");
    socket.destroy();
  }, timeoutMs);
  timer.unref();
  socket.once("close", () => clearTimeout(timer));
}

/** Ends a call whose message does not arrive as a whole: not an idle time, which a byte per second would keep alive. */
function awaitMessage(stream: ServerHttp2Stream, timeoutMs: number): void {
  const timer = setTimeout(() => {
    if (!stream.readableEnded) stream.close();
  }, timeoutMs);
  timer.unref();
  stream.once("close", () => clearTimeout(timer));
}

function internalsOf(server: Server): Internals {
  const internals = server as unknown as Partial<Internals>;
  if (typeof internals.commonServerOptions !== "object" || !(internals.http2Servers instanceof Map))
    throw new TypeError("this version of @grpc/grpc-js keeps its HTTP/2 options elsewhere");
  return internals as Internals;
}
