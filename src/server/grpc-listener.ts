import {
  type handleUnaryCall,
  Server,
  type ServerUnaryCall,
  type ServiceDefinition,
  type StatusObject,
} from "@grpc/grpc-js";
import type { Call } from "../decision/index.ts";
import { type ApiVersion, type AuthorizationService, Code, FAULTS, RpcError } from "../ext-authz/index.ts";
import type { Logger, Span, Tracing } from "../telemetry/index.ts";
import { callerId, grpcCredentials } from "./grpc-credentials.ts";
import { GrpcHealth, HEALTH_SERVICE } from "./grpc-health.ts";
import { type GrpcLimits, limitConnections, limitSessions, serverOptions, sessionsOf } from "./grpc-limits.ts";
import { endingSpan, receiveCall, type ServerAddress } from "./grpc-tracing.ts";
import { formatAddress, type ListenAddress, parseGrpcAddress } from "./listen-address.ts";
import { bindSocketFile } from "./socket-file.ts";
import type { TlsFiles } from "./tls-files.ts";
import { Turn } from "./turn.ts";

export interface GrpcListenerOptions {
  /** As the plugin's `addr` is written. */
  readonly addr: string;
  readonly limits: GrpcLimits;
  /** Checks decided at once; more are refused with UNAVAILABLE. */
  readonly maxConcurrentChecks: number;
  readonly enableReflection: boolean;
  /** Serves TLS when given; with certificate authorities, mutual TLS. */
  readonly tls: TlsFiles | undefined;
  /** SPIFFE IDs that may call; empty for all. */
  readonly allowedPrincipals: readonly string[];
  readonly logger: Logger;
  /** Absent when nothing is traced. */
  readonly tracing: Tracing | undefined;
  /** Called with +1 and -1 as checks come and go. */
  readonly onInFlight: (change: 1 | -1) => void;
  /** Told of every connection that is turned away. */
  readonly onRefused: (reason: string) => void;
}

const SERVICES: readonly (readonly [string, ApiVersion])[] = [
  ["envoy.service.auth.v3.Authorization", "v3"],
  ["envoy.service.auth.v2.Authorization", "v2"],
];

/** Time a deadline can be given in gRPC is bounded by what timers take. */
const MAX_TIMER_MS = 2_147_483_647;

/** The gRPC port: authorization, health, and reflection on demand. */
export class GrpcListener {
  readonly health = new GrpcHealth(SERVICES.map(([name]) => name));
  readonly #options: GrpcListenerOptions;
  readonly #service: AuthorizationService;
  readonly #server: Server;
  readonly #turn = new Turn();
  #inFlight = 0;
  #boundPort: number | undefined;
  #boundTo: ServerAddress | undefined;

  constructor(service: AuthorizationService, options: GrpcListenerOptions) {
    this.#service = service;
    this.#options = options;
    this.#server = new Server(serverOptions(options.limits));
    limitSessions(this.#server, options.limits);
    for (const [name, api] of SERVICES)
      this.#server.addService(checkDefinition(name), { Check: this.#handler(name, api) });
    this.#server.addService(HEALTH_SERVICE, this.health.implementation);
  }

  /**
   * Binds and serves.
   *
   * @returns the address in use.
   * @throws {AddressError} when the configured address cannot be understood; other errors when it cannot be bound.
   */
  async start(): Promise<string> {
    const address = parseGrpcAddress(this.#options.addr);
    if (this.#options.enableReflection) await this.#addReflection();
    this.#boundPort = await this.#bind(address);
    if (address.kind === "tcp")
      this.#boundTo = { host: address.host === "" ? undefined : address.host, port: this.#boundPort };
    limitConnections(this.#server, this.#options.limits, this.#options.onRefused);
    return formatAddress(address, this.#boundPort);
  }

  get port(): number | undefined {
    return this.#boundPort;
  }

  /** Refuses new calls, waits for the running ones, and ends what is left after the grace period. */
  async stop(graceMs: number): Promise<void> {
    this.health.shutDown();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#options.logger.warning("Calls still running at the end of the grace period were ended.", {
          count: this.#inFlight,
        });
        for (const session of sessionsOf(this.#server)) session.destroy();
        this.#server.forceShutdown();
        resolve();
      }, graceMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async #bind(address: ListenAddress): Promise<number> {
    if (address.kind === "unix") return bindSocketFile(address.path, (path) => this.#bindTo(`unix:${path}`));
    if (address.kind === "abstract") return this.#bindTo(`unix:\0${address.name}`);
    if (address.host !== "") return this.#bindTo(formatAddress(address));
    // No host means every interface: both families where there are two.
    try {
      return await this.#bindTo(`[::]:${address.port}`);
    } catch {
      return this.#bindTo(`0.0.0.0:${address.port}`);
    }
  }

  #bindTo(target: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(target, grpcCredentials(this.#options.tls), (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
  }

  async #addReflection(): Promise<void> {
    const { addReflection } = await import("./grpc-reflection.ts");
    addReflection(this.#server);
  }

  #mayCall(call: ServerUnaryCall<Buffer, Buffer>): boolean {
    const { allowedPrincipals } = this.#options;
    if (allowedPrincipals.length === 0) return true;
    const id = callerId(call);
    return id !== undefined && allowedPrincipals.includes(id);
  }

  /** grpc-js does not await handlers: whatever is thrown in here must reach the callback. */
  #handler(service: string, api: ApiVersion): handleUnaryCall<Buffer, Buffer> {
    const { tracing } = this.#options;
    return (call, answer) => {
      const span = tracing && receiveCall(tracing, call, `${service}/Check`, this.#boundTo);
      const callback = span === undefined ? answer : endingSpan(span, answer);
      if (!this.#mayCall(call)) {
        callback({ code: Code.PERMISSION_DENIED, details: "the caller's certificate names no allowed principal" });
        return;
      }
      if (this.#inFlight >= this.#options.maxConcurrentChecks) {
        callback({ code: FAULTS.overloaded.rpcCode, details: "too many concurrent checks" });
        return;
      }
      this.#count(1);
      this.#turn.add(() => {
        this.#service.check(call.request, api, callOf(call, span)).then(
          (reply) => {
            this.#count(-1);
            callback(null, reply);
          },
          (cause: unknown) => {
            this.#count(-1);
            callback(this.#statusOf(cause));
          },
        );
      });
    };
  }

  #count(change: 1 | -1): void {
    this.#inFlight += change;
    this.#options.onInFlight(change);
  }

  #statusOf(cause: unknown): Pick<StatusObject, "code" | "details"> {
    if (cause instanceof RpcError) return { code: cause.code, details: cause.message };
    this.#options.logger.error("Check failed.", { err: cause });
    return { code: Code.UNKNOWN, details: "internal error" };
  }
}

function callOf(call: ServerUnaryCall<Buffer, Buffer>, span: Span | undefined): Call {
  const deadline = call.getDeadline();
  const deadlineMs = typeof deadline === "number" ? deadline : deadline.getTime();
  const isFar = deadlineMs === Number.POSITIVE_INFINITY || deadlineMs - Date.now() > MAX_TIMER_MS;
  return {
    deadlineMs: isFar ? Number.POSITIVE_INFINITY : deadlineMs,
    isCancelled: () => call.cancelled,
    ...(span !== undefined && { span }),
  };
}

function checkDefinition(service: string): ServiceDefinition {
  const identity = (bytes: Buffer): Buffer => bytes;
  return {
    Check: {
      path: `/${service}/Check`,
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: withKnownFlag,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  };
}

/** Compressed-Flag and Message-Length (gRPC over HTTP/2, "Length-Prefixed-Message"). */
const PREFIX_BYTES = 5;

/**
 * The flag says 0 or 1; grpc-js takes whatever is not 1 for 0. A message that came uncompressed is the rest of the buffer its
 * frame was put together in, which begins at a multiple of eight (node:buffer).
 *
 * @throws {Error} for any other flag; the call ends with INTERNAL
 */
function withKnownFlag(bytes: Buffer): Buffer {
  if (bytes.byteOffset % 8 !== PREFIX_BYTES) return bytes;
  const prefix = Buffer.from(bytes.buffer, bytes.byteOffset - PREFIX_BYTES, PREFIX_BYTES);
  const isFrame = prefix.readUInt32BE(1) === bytes.length;
  if (isFrame && prefix.readUInt8(0) > 1) throw new Error("the compressed flag is neither 0 nor 1");
  return bytes;
}
