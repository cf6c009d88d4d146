import { createServer } from "node:http2";

/**
 * What a check would cost without grpc-js: gRPC's framing and trailers on Node's own HTTP/2, a constant allow as the answer.
 * An experiment and no server: no deadlines, limits, compression or statuses. Prints its port.
 */
const REPLY = Buffer.from([0, 0, 0, 0, 2, 0x0a, 0x00]); // not compressed, two bytes: CheckResponse{status: {}}
const HEADERS = { ":status": 200, "content-type": "application/grpc" };
const TRAILERS = { "grpc-status": "0" };

const server = createServer();
server.on("stream", (stream) => {
  const parts: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => parts.push(chunk));
  stream.on("end", () => {
    stream.once("wantTrailers", () => stream.sendTrailers(TRAILERS));
    stream.respond(HEADERS, { waitForTrailers: true });
    stream.end(REPLY);
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") process.stdout.write(`${address.port}\n`);
});
