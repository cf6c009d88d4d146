import { connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { CHECK } from "./server.ts";

export interface RawReply {
  /** Undefined when the stream ended without one. */
  readonly grpcStatus: number | undefined;
  readonly message: string;
  readonly rstCode: number;
}

/** One gRPC call of exactly these bytes. */
export function rawCall(
  address: string,
  frames: Buffer,
  { headers = {}, ends = true }: { headers?: Record<string, string | string[]>; ends?: boolean } = {},
): Promise<RawReply> {
  const session = connectHttp2(`http://${address}`, { maxSendHeaderBlockLength: 64 * 1024 * 1024 });
  session.on("error", () => undefined);
  return new Promise((resolve) => {
    const stream = session.request(
      { ":method": "POST", ":path": CHECK, "content-type": "application/grpc", te: "trailers", ...headers },
      { endStream: false },
    );
    let grpcStatus: number | undefined;
    let message = "";
    const read = (received: Record<string, unknown>): void => {
      if (received["grpc-status"] !== undefined) grpcStatus = Number(received["grpc-status"]);
      message += String(received["grpc-message"] ?? "");
    };
    stream
      .on("response", read)
      .on("trailers", read)
      .on("error", () => undefined)
      .resume();
    stream.on("close", () => {
      resolve({ grpcStatus, message, rstCode: stream.rstCode ?? constants.NGHTTP2_NO_ERROR });
      session.destroy();
    });
    if (ends) stream.end(frames);
    else stream.write(frames);
  });
}

/** RFC 9113 section 4.1 */
export function http2Frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

export const PREFACE = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), http2Frame(4, 0, 0)]);

/** HPACK, without compression: the headers of a call. */
export function callHeaders(): Buffer {
  const literal = (name: string, value: string): Buffer =>
    Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);
  return Buffer.concat([
    literal(":method", "POST"),
    literal(":scheme", "http"),
    literal(":path", CHECK),
    literal(":authority", "a"),
    literal("content-type", "application/grpc"),
    literal("te", "trailers"),
  ]);
}

export function rawSocket(address: string): Socket {
  return connect(Number(address.split(":").pop()), "127.0.0.1")
    .on("error", () => undefined)
    .resume();
}

/** A length-prefixed message. */
export function grpcFrame(message: Buffer, { flag = 0, length = message.length } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}
