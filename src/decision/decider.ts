import { randomUUID } from "node:crypto";
import type { DecisionEvent, DecisionRecorder } from "../decision-log/index.ts";
import type { Entrypoint, PolicyStore, Snapshot } from "../policy/index.ts";
import {
  CompileError,
  EvalError,
  type EvaluateOptions,
  evaluateWithIo,
  formatDiagnostic,
  type Io,
  type Query,
  type Solution,
  Suspension,
} from "../rego/engine/index.ts";
import { type JsonObject, toJsonText, type Value } from "../rego/value/index.ts";
import type { Logger } from "../telemetry/index.ts";
import type { Outcome } from "./outcome.ts";

/** The caller's side of a request. */
export interface Call {
  /** Wall-clock milliseconds after which nobody waits for the answer; Infinity for none. */
  readonly deadlineMs: number;
  isCancelled(): boolean;
  readonly traceId?: string;
  readonly spanId?: string;
}

export interface Limits {
  /** Milliseconds one evaluation may take. */
  readonly evaluationMs: number;
  /** Steps of generated code one evaluation may take. */
  readonly evaluationSteps: number;
}

export interface DeciderOptions {
  readonly store: PolicyStore;
  readonly recorder: DecisionRecorder;
  readonly entrypoint: Entrypoint;
  /** As configured, for the log: the path, or else the query. */
  readonly path: string;
  readonly query: string;
  readonly limits: Limits;
  readonly runtime: Value;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly io: Io;
  readonly logger: Logger;
  /** Logs results of nondeterministic builtins: `nd_builtin_cache`. */
  readonly keepsNdResults: boolean;
  /** Takes "now" from `input.attributes.request.time` instead of the clock: exact replay and tests. */
  readonly timeFromRequest: boolean;
}

/** Opens rulings: one per request, all on the snapshot that is live when they open. */
export class Decider {
  readonly #options: DeciderOptions;

  constructor(options: DeciderOptions) {
    this.#options = options;
  }

  open(call: Call): Ruling {
    return new Ruling(this.#options, call);
  }

  /** Compiles and runs the entrypoint once, so that the first request after a reload does not pay for it. */
  warm(snapshot: Snapshot): void {
    const { entrypoint, limits, runtime, env } = this.#options;
    try {
      snapshot.prepare(entrypoint).evaluate({
        input: {},
        runtime,
        env,
        deadlineMs: Date.now() + limits.evaluationMs,
        maxSteps: limits.evaluationSteps,
      });
    } catch {
      // Requests will meet the same fault, with an input to blame.
    }
  }
}

/** One request from its arrival to its record. It holds its snapshot throughout, so the record names what decided. */
export class Ruling {
  readonly decisionId = randomUUID();
  readonly snapshot: Snapshot;
  readonly #options: DeciderOptions;
  readonly #call: Call;
  readonly #startedNs = process.hrtime.bigint();
  readonly #metrics: Record<string, number> = {};
  readonly #nondeterministic = new Map<string, (readonly [readonly Value[], Value])[]>();

  constructor(options: DeciderOptions, call: Call) {
    this.#options = options;
    this.#call = call;
    this.snapshot = options.store.current;
  }

  /** Evaluates the entrypoint. Never rejects: what goes wrong is an outcome. */
  async evaluate(input: JsonObject): Promise<Outcome> {
    const gone = this.#callOutcome();
    if (gone !== undefined) return gone;
    let solutions: readonly Solution[];
    try {
      const query = this.#prepare();
      const startedNs = process.hrtime.bigint();
      try {
        const now = this.#evaluateNow(query, input);
        solutions = Array.isArray(now) ? now : await now;
      } finally {
        this.#metrics["timer_rego_query_eval_ns"] = Number(process.hrtime.bigint() - startedNs);
      }
    } catch (cause) {
      return failure(cause);
    }
    if (solutions.length === 0) return { kind: "undefined" };
    if (solutions.length > 1) return { kind: "ambiguous" };
    const [first] = (solutions[0] as Solution).expressions;
    if (first === undefined) return { kind: "undefined" };
    // A verdict that comes too late is none: whoever asked has acted without it.
    return this.#callOutcome() ?? { kind: "value", value: first.value };
  }

  /**
   * Writes the decision to the log, even when the caller is gone by now.
   *
   * @throws when the log cannot take it; the request must then be denied.
   */
  record(entry: { readonly input: Value; readonly result?: Value; readonly error?: JsonObject }): void {
    const { recorder, path, query } = this.#options;
    if (!recorder.isActive) return;
    this.#metrics["timer_server_handler_ns"] = this.elapsedNs();
    const event: DecisionEvent = {
      decisionId: this.decisionId,
      ...(query !== "" ? { query } : { path }),
      input: entry.input,
      ...(entry.result !== undefined && { result: entry.result }),
      ...(entry.error !== undefined && { error: entry.error }),
      bundles: this.snapshot.bundles,
      metrics: this.#metrics,
      timestampMs: Date.now(),
      ...(this.#call.traceId !== undefined && { traceId: this.#call.traceId }),
      ...(this.#call.spanId !== undefined && { spanId: this.#call.spanId }),
      ...(this.#options.keepsNdResults &&
        entry.error === undefined &&
        this.#nondeterministic.size > 0 && { ndBuiltinCache: ndDocument(this.#nondeterministic) }),
    };
    recorder.record(event);
  }

  /** Since the request arrived. */
  elapsedNs(): number {
    return Number(process.hrtime.bigint() - this.#startedNs);
  }

  #callOutcome(): Outcome | undefined {
    if (Date.now() >= this.#call.deadlineMs) return { kind: "timeout" };
    return this.#call.isCancelled() ? { kind: "cancelled" } : undefined;
  }

  #prepare(): Query {
    const { entrypoint } = this.#options;
    const query = this.snapshot.prepare(entrypoint);
    const compileNs = this.snapshot.takeCompileNs(entrypoint);
    if (compileNs !== undefined) this.#metrics["timer_rego_query_compile_ns"] = compileNs;
    return query;
  }

  /** Synchronous unless the policy asks for I/O. */
  #evaluateNow(query: Query, input: JsonObject): readonly Solution[] | Promise<readonly Solution[]> {
    const options = this.#evaluateOptions(input);
    try {
      return query.evaluate(options);
    } catch (cause) {
      if (!(cause instanceof Suspension)) throw cause;
      return evaluateWithIo(query, options, this.#options.io);
    }
  }

  #evaluateOptions(input: JsonObject): EvaluateOptions {
    const { limits, runtime, env, logger, keepsNdResults, timeFromRequest } = this.#options;
    const nowNs = timeFromRequest ? requestTimeNs(input) : undefined;
    return {
      input,
      runtime,
      env,
      memo: new Map(),
      nowNs: nowNs ?? BigInt(Date.now()) * 1_000_000n,
      deadlineMs: Math.min(this.#call.deadlineMs, Date.now() + limits.evaluationMs),
      maxSteps: limits.evaluationSteps,
      print: (line, at) =>
        logger.info(at === undefined ? line : `${at.source.name}:${at.row}: ${line}`, {
          "decision-id": this.decisionId,
        }),
      ...(keepsNdResults && { nondeterministic: this.#nondeterministic }),
    };
  }
}

function failure(cause: unknown): Outcome {
  if (cause instanceof EvalError) {
    const { code, message, location } = cause;
    const place =
      location === undefined ? undefined : { file: location.source.name, row: location.row, col: location.col };
    return { kind: "failed", code, message, text: cause.toString(), place };
  }
  if (cause instanceof CompileError) {
    const [first] = cause.diagnostics;
    return {
      kind: "failed",
      code: "compile_error",
      message: cause.message,
      text: first === undefined ? cause.message : formatDiagnostic(first),
      place: undefined,
    };
  }
  const message = cause instanceof Error ? cause.message : String(cause);
  return {
    kind: "failed",
    code: "eval_internal_error",
    message,
    text: `eval_internal_error: ${message}`,
    place: undefined,
  };
}

/** `{name: {operands: result}}`, the operands as JSON text of their list: OPA's form. */
function ndDocument(results: ReadonlyMap<string, readonly (readonly [readonly Value[], Value])[]>): JsonObject {
  const document: Record<string, Value> = {};
  for (const [name, calls] of results)
    document[name] = Object.fromEntries(calls.map(([operands, result]) => [toJsonText(operands), result]));
  return document;
}

function requestTimeNs(input: JsonObject): bigint | undefined {
  const time = (input as { attributes?: { request?: { time?: { seconds?: unknown; nanos?: unknown } } } }).attributes
    ?.request?.time;
  if (time === undefined) return undefined;
  const seconds = typeof time.seconds === "number" || typeof time.seconds === "bigint" ? BigInt(time.seconds) : 0n;
  return seconds * 1_000_000_000n + BigInt(typeof time.nanos === "number" ? time.nanos : 0);
}
