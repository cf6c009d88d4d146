import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerWritableStream,
  ServiceDefinition,
} from "@grpc/grpc-js";

const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;
/** grpc.status.NOT_FOUND */
const NOT_FOUND = 5;

type Bytes = Buffer;

const identity = (bytes: Bytes): Bytes => bytes;

/** grpc.health.v1.Health: https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
export const HEALTH_SERVICE: ServiceDefinition = {
  Check: {
    path: "/grpc.health.v1.Health/Check",
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
  Watch: {
    path: "/grpc.health.v1.Health/Watch",
    requestStream: false,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
};

/** The serving status of this process, for load balancers. All its services share one. */
export class GrpcHealth {
  readonly #names: ReadonlySet<string>;
  readonly #watchers = new Set<ServerWritableStream<Bytes, Bytes>>();
  /** Open streams about services this process does not have: nothing is ever sent to them again. */
  readonly #strangers = new Set<ServerWritableStream<Bytes, Bytes>>();
  #isServing = false;
  #isFinal = false;

  /** @param names  Services it answers for besides the empty name. */
  constructor(names: readonly string[]) {
    this.#names = new Set(["", ...names]);
  }

  /** Has no effect after `shutDown`: a process that is leaving never serves again. */
  setServing(isServing: boolean): void {
    if (this.#isFinal || this.#isServing === isServing) return;
    this.#isServing = isServing;
    for (const stream of this.#watchers) stream.write(statusMessage(this.#status));
  }

  shutDown(): void {
    this.setServing(false);
    this.#isFinal = true;
    for (const streams of [this.#watchers, this.#strangers]) {
      for (const stream of streams) stream.end();
      streams.clear();
    }
  }

  get implementation(): { Check: handleUnaryCall<Bytes, Bytes>; Watch: handleServerStreamingCall<Bytes, Bytes> } {
    return {
      Check: (call, callback) => {
        if (this.#names.has(serviceOf(call.request))) callback(null, statusMessage(this.#status));
        else callback({ code: NOT_FOUND, details: "unknown service" });
      },
      Watch: (call) => {
        const isKnown = this.#names.has(serviceOf(call.request));
        const streams = isKnown ? this.#watchers : this.#strangers;
        call.write(statusMessage(isKnown ? this.#status : SERVICE_UNKNOWN));
        if (this.#isFinal) {
          call.end();
          return;
        }
        streams.add(call);
        call.on("cancelled", () => streams.delete(call));
        call.on("close", () => streams.delete(call));
      },
    };
  }

  get #status(): number {
    return this.#isServing ? SERVING : NOT_SERVING;
  }
}

/** HealthCheckRequest: `service` is field 1, a string. Anything else in it is of no interest. */
function serviceOf(request: Bytes): string {
  if (request[0] !== 0x0a) return "";
  const length = request[1] ?? 0;
  return length < 0x80 ? request.toString("utf8", 2, 2 + length) : "?";
}

/** HealthCheckResponse: `status` is field 1, an enum. */
function statusMessage(status: number): Bytes {
  return Buffer.from([0x08, status]);
}
