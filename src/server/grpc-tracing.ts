import { type sendUnaryData, type ServerUnaryCall, status } from "@grpc/grpc-js";
import { Code } from "../ext-authz/index.ts";
import type { Span, Tracing } from "../telemetry/index.ts";

/** Where a server listens, as spans tell it. */
export interface ServerAddress {
  readonly host: string | undefined;
  readonly port: number;
}

/** Opens the span of one call, named and described as by Go's otelgrpc, which the plugin uses. */
export function receiveCall(
  tracing: Tracing,
  { metadata }: ServerUnaryCall<Buffer, Buffer>,
  method: string,
  address: ServerAddress | undefined,
): Span {
  return tracing.receive(method, (name) => metadata.get(name)[0]?.toString(), {
    "rpc.method": method,
    "rpc.system.name": "grpc",
    ...(address?.host !== undefined && { "server.address": address.host }),
    ...(address !== undefined && { "server.port": address.port }),
  });
}

/** Statuses that are the server's fault; with others the span stays without one. */
const SERVER_FAULTS: ReadonlySet<number> = new Set([
  Code.UNKNOWN,
  Code.DEADLINE_EXCEEDED,
  status.UNIMPLEMENTED,
  Code.INTERNAL,
  Code.UNAVAILABLE,
  status.DATA_LOSS,
]);

/** Answers, and ends the span with the answer's status. */
export function endingSpan(span: Span, callback: sendUnaryData<Buffer>): sendUnaryData<Buffer> {
  return (error, reply) => {
    callback(error, reply);
    const code = error?.code ?? status.OK;
    const attributes = { "rpc.response.status_code": status[code] };
    if (SERVER_FAULTS.has(code)) span.end(attributes, error?.details ?? "");
    else span.end(attributes);
  };
}
