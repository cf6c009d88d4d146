import { createServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";

export interface Recorded {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Answer {
  readonly status?: number;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Say nothing at all. */
  readonly hangs?: boolean;
}

/** An HTTP server on a free port that keeps what it was asked. */
export class RecordingServer {
  readonly requests: Recorded[] = [];
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start(
    answer: (request: Recorded) => Answer,
    tls?: { readonly key: string; readonly cert: string },
  ): Promise<RecordingServer> {
    const server = tls === undefined ? createServer() : createTlsServer(tls);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const recorder = new RecordingServer(server);
    server.on("request", (message: IncomingMessage, reply) => {
      const chunks: Buffer[] = [];
      message.on("data", (chunk: Buffer) => chunks.push(chunk));
      message.on("end", () => {
        const request: Recorded = {
          method: message.method ?? "",
          path: message.url ?? "",
          host: message.headers.host ?? "",
          headers: message.headers as Record<string, string>,
          body: Buffer.concat(chunks).toString("utf8"),
        };
        recorder.requests.push(request);
        const { status = 200, body = "", headers = {}, hangs = false } = answer(request);
        if (!hangs) reply.writeHead(status, headers).end(body);
      });
    });
    return recorder;
  }

  /** Serves as a proxy too: whatever a client wants to reach by CONNECT, it reaches the other server. */
  tunnelTo(other: RecordingServer): void {
    this.#server.on("connect", (_request, socket) => {
      const onward = connect(other.port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        socket.pipe(onward).pipe(socket);
      });
      onward.on("error", () => socket.destroy());
      socket.on("error", () => onward.destroy());
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
