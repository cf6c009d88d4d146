import type { Value } from "../value/index.ts";

/** A request of `http.send`, checked and with all defaults filled in. */
export interface HttpRequest {
  /** Upper case. */
  readonly method: string;
  readonly url: string;
  /** Names in canonical form (`Content-Type`). */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** 0: none but the host's own. */
  readonly timeoutMs: number;
  readonly followsRedirects: boolean;
  readonly maxRetries: number;
  readonly tls: HttpTls;
  /** Absent: the response is not kept beyond this query. */
  readonly cache: HttpCaching | undefined;
}

export interface HttpTls {
  readonly skipsVerification: boolean;
  readonly usesSystemCerts: boolean;
  readonly serverName: string | undefined;
  /** PEM texts, and paths of files with such. */
  readonly ca: readonly string[];
  readonly caFiles: readonly string[];
  readonly clientPairs: readonly { readonly cert: string; readonly key: string }[];
  readonly clientPairFiles: readonly { readonly cert: string; readonly key: string }[];
}

export interface HttpCaching {
  /** What requests share that may share a response. */
  readonly key: string;
  /** Keep the response this long whatever its headers say; 0: as its headers say. */
  readonly forceSeconds: number;
}

/**
 * What came of an `http.send`: a response whose body is still text, or why there was none. Network errors are those of
 * connecting, waiting and TLS; all others are internal.
 */
export type HttpResult =
  | {
      readonly status: string;
      readonly statusCode: number;
      /** Names in lower case. */
      readonly headers: Readonly<Record<string, readonly string[]>>;
      readonly body: string;
    }
  | { readonly failure: "network" | "internal"; readonly message: string; readonly timedOut: boolean };

/** Work outside the process that a builtin asks for: the evaluation is suspended until the host has done it. */
export type IoRequest =
  | { readonly kind: "http.send"; readonly request: HttpRequest }
  | { readonly kind: "net.lookup_ip_addr"; readonly name: string }
  /** A host's own: shared counters and the like. */
  | { readonly kind: "host"; readonly name: string; readonly operand: Value };

/** What the host answers. An error becomes the builtin's error. */
export type IoAnswer = { readonly value: Value } | { readonly error: string };

/** Thrown through the whole evaluation, and caught by the host's driver, never by policies. */
export class Suspension extends Error {
  override readonly name = "Suspension";
  readonly key: string;
  readonly request: IoRequest;

  constructor(key: string, request: IoRequest) {
    super("evaluation is waiting for input or output");
    this.key = key;
    this.request = request;
  }
}

/** Everything a builtin may know besides its operands. One per query evaluation; lives through its suspensions. */
export interface BuiltinContext {
  /** Start of the query, nanoseconds since the epoch: `time.now_ns()` is constant within a query. */
  readonly nowNs: bigint;
  /** Fills with random bytes. */
  readonly random: (bytes: Uint8Array) => void;
  /** Results that must stay the same for one query (`rand.intn`, `uuid.rfc4122`), by builtin name and operands. */
  readonly memo: Map<string, Value>;
  /** What `opa.runtime()` shows; `{}` if nothing was given. */
  readonly runtime: Value;
  /** Environment variables visible to builtins (tls_ca_cert_env_variable and the like). */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Charges work to the step budget of this evaluation. @throws {EvalError} eval_cancel_error when it is spent. */
  spend(steps: number): void;
  /** The answer to an I/O request if it is there, else suspends the evaluation. @throws {BuiltinError} when the answer is an error. */
  io(key: string, request: IoRequest): Value;
  /** Receives `trace()` notes. */
  note(message: string): void;
  /** Receives lines of `print()`. */
  print(line: string): void;
}
