import { connect, type Socket } from "node:net";

/**
 * A load generator for one unary gRPC method over cleartext HTTP/2, so cheap that the server is what is measured: frames
 * are made once, replies are only counted, and nothing is decoded but frame headers (RFC 9113 section 4.1).
 */
export interface LoadOptions {
  readonly host: string;
  readonly port: number;
  /** `/package.Service/Method` */
  readonly path: string;
  /** Serialized request messages, used in turn. */
  readonly messages: readonly Uint8Array[];
  readonly connections: number;
  /** Calls under way at once on each connection. */
  readonly concurrency: number;
  readonly durationMs: number;
  /** Calls per second over all connections; absent: as fast as they are answered. */
  readonly rate?: number;
}

export interface LoadResult {
  readonly calls: number;
  readonly failed: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
}

const HEADERS = 1;
const DATA = 0;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const END_STREAM = 1;
const END_HEADERS = 4;
const ACK = 1;
/** A setting's number (RFC 9113 section 6.5.2). */
const MAX_CONCURRENT_STREAMS = 3;

export async function load(options: LoadOptions): Promise<LoadResult> {
  const latenciesUs: number[] = [];
  const started = performance.now();
  const deadline = started + options.durationMs;
  const connections = Array.from({ length: options.connections }, () => new Connection(options, deadline, latenciesUs));
  const outcomes = await Promise.all(connections.map((connection) => connection.run()));
  const seconds = (performance.now() - started) / 1000;
  latenciesUs.sort((a, b) => a - b);
  const percentile = (p: number): number =>
    latenciesUs[Math.min(latenciesUs.length - 1, Math.floor(latenciesUs.length * p))] ?? Number.NaN;
  return {
    calls: latenciesUs.length,
    failed: outcomes.reduce((sum, failed) => sum + failed, 0),
    seconds,
    perSecond: latenciesUs.length / seconds,
    p50Us: percentile(0.5),
    p99Us: percentile(0.99),
    p999Us: percentile(0.999),
    maxUs: percentile(1),
  };
}

class Connection {
  readonly #options: LoadOptions;
  readonly #deadline: number;
  readonly #latenciesUs: number[];
  readonly #headers: Buffer;
  readonly #bodies: readonly Buffer[];
  readonly #startedAt = new Map<number, number>();
  readonly #withBody = new Set<number>();
  #socket!: Socket;
  #pending = Buffer.alloc(0);
  #nextStream = 1;
  #sent = 0;
  /** At a fixed rate: when the calls that are due were due. They wait where the server takes no more streams. */
  readonly #due: number[] = [];
  #planned = 0;
  #maxStreams = Number.POSITIVE_INFINITY;
  #failed = 0;
  #consumed = 0;
  #closing = false;
  #finish!: (failed: number) => void;

  constructor(options: LoadOptions, deadline: number, latenciesUs: number[]) {
    this.#options = options;
    this.#deadline = deadline;
    this.#latenciesUs = latenciesUs;
    this.#headers = headerBlock(options.path, `${options.host}:${options.port}`);
    this.#bodies = options.messages.map(grpcFrame);
  }

  run(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#socket = connect({ host: this.#options.host, port: this.#options.port, noDelay: true });
      this.#socket.on("error", reject);
      this.#socket.on("close", () => this.#end());
      this.#socket.on("data", (chunk) => this.#receive(chunk));
      this.#socket.once("connect", () => {
        this.#socket.write(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1"));
        // No server push; windows large enough never to matter.
        this.#socket.write(frame(SETTINGS, 0, 0, Buffer.from([0, 2, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff])));
        this.#socket.write(windowUpdate(0x3fffffff));
        this.#pace();
      });
    });
  }

  #pace(): void {
    const { rate, connections, concurrency } = this.#options;
    if (rate === undefined) {
      this.#send(concurrency);
      return;
    }
    const perMs = rate / connections / 1000;
    const started = performance.now();
    const turn = (): void => {
      const now = performance.now();
      if (now >= this.#deadline) {
        this.#stopWhenIdle();
        return;
      }
      for (const planned = Math.floor((now - started) * perMs); this.#planned < planned; this.#planned++)
        this.#due.push(now);
      this.#sendDue();
      setImmediate(turn);
    };
    turn();
  }

  /** A call's time counts from when it was due, sent or not. */
  #sendDue(): void {
    const room = Math.min(this.#due.length, this.#maxStreams - this.#startedAt.size);
    if (room > 0) this.#send(room, this.#due.splice(0, room));
  }

  #send(count: number, due?: readonly number[]): void {
    if (count <= 0 || this.#closing) return;
    const parts: Buffer[] = [];
    const now = performance.now();
    for (let i = 0; i < count; i++) {
      const stream = this.#nextStream;
      this.#nextStream += 2;
      this.#startedAt.set(stream, due?.[i] ?? now);
      parts.push(
        frame(HEADERS, END_HEADERS, stream, this.#headers),
        frame(DATA, END_STREAM, stream, this.#bodies[this.#sent % this.#bodies.length] as Buffer),
      );
      this.#sent++;
    }
    this.#socket.write(Buffer.concat(parts));
  }

  #receive(chunk: Buffer): void {
    let buffer = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    let done = 0;
    while (buffer.length >= 9) {
      const length = buffer.readUIntBE(0, 3);
      if (buffer.length < 9 + length) break;
      done += this.#frame(
        buffer[3] as number,
        buffer[4] as number,
        buffer.readUInt32BE(5) & 0x7fffffff,
        buffer.subarray(9, 9 + length),
      );
      buffer = buffer.subarray(9 + length);
    }
    this.#pending = buffer.length === 0 ? Buffer.alloc(0) : Buffer.from(buffer);
    if (this.#options.rate === undefined) {
      if (performance.now() < this.#deadline) this.#send(done);
      else this.#stopWhenIdle();
      return;
    }
    this.#sendDue();
    if (performance.now() >= this.#deadline) this.#stopWhenIdle();
  }

  /** Handles one frame; the number of calls it completed. */
  #frame(type: number, flags: number, stream: number, payload: Buffer): number {
    switch (type) {
      case DATA:
        this.#withBody.add(stream);
        this.#consumed += payload.length;
        if (this.#consumed > 1 << 20) {
          this.#socket.write(windowUpdate(this.#consumed));
          this.#consumed = 0;
        }
        return (flags & END_STREAM) === 0 ? 0 : this.#complete(stream);
      case HEADERS:
        return (flags & END_STREAM) === 0 ? 0 : this.#complete(stream);
      case RST_STREAM:
        this.#withBody.delete(stream);
        return this.#complete(stream);
      case SETTINGS:
        if ((flags & ACK) !== 0) return 0;
        for (let at = 0; at + 6 <= payload.length; at += 6)
          if (payload.readUInt16BE(at) === MAX_CONCURRENT_STREAMS) this.#maxStreams = payload.readUInt32BE(at + 2);
        this.#socket.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
        return 0;
      case PING:
        if ((flags & ACK) === 0) this.#socket.write(frame(PING, ACK, 0, payload));
        return 0;
      case GOAWAY:
        this.#closing = true;
        return 0;
      default:
        return 0;
    }
  }

  /** A call that ends without a message has failed: the trailers carry an error. */
  #complete(stream: number): number {
    const started = this.#startedAt.get(stream);
    if (started === undefined) return 0;
    this.#startedAt.delete(stream);
    if (this.#withBody.delete(stream)) this.#latenciesUs.push((performance.now() - started) * 1000);
    else this.#failed++;
    return 1;
  }

  #stopWhenIdle(): void {
    if (this.#due.length > 0 && !this.#closing) return;
    this.#closing = true;
    if (this.#startedAt.size === 0) this.#socket.end();
  }

  #end(): void {
    this.#finish(this.#failed + this.#startedAt.size + this.#due.length);
  }
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const out = Buffer.allocUnsafe(9 + payload.length);
  out.writeUIntBE(payload.length, 0, 3);
  out[3] = type;
  out[4] = flags;
  out.writeUInt32BE(stream, 5);
  payload.copy(out, 9);
  return out;
}

function windowUpdate(increment: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return frame(WINDOW_UPDATE, 0, 0, payload);
}

/** The request's header block in HPACK, with static names and literal values only (RFC 7541 section 6.2.2). */
function headerBlock(path: string, authority: string): Buffer {
  const literal = (name: readonly number[], value: string): Buffer =>
    Buffer.concat([Buffer.from([...name, value.length]), Buffer.from(value, "latin1")]);
  return Buffer.concat([
    Buffer.from([0x83, 0x86]),
    literal([0x04], path),
    literal([0x01], authority),
    literal([0x0f, 0x10], "application/grpc"),
    literal([0x00, 2, 0x74, 0x65], "trailers"),
  ]);
}

function grpcFrame(message: Uint8Array): Buffer {
  const out = Buffer.alloc(5 + message.length);
  out.writeUInt32BE(message.length, 1);
  out.set(message, 5);
  return out;
}
