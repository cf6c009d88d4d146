import type { Value } from "../value/index.ts";

/** Work outside the process that a builtin asks for: the evaluation is suspended until the host has done it. */
export type IoRequest =
  | { readonly kind: "http.send"; readonly request: Value }
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
