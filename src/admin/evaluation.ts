import { randomUUID } from "node:crypto";
import type { DecisionRecorder, TracedIo } from "../decision/index.ts";
import type { Entrypoint, PolicyStore, Snapshot } from "../policy/index.ts";
import {
  CompileError,
  type Diagnostic,
  EvalError,
  evaluateWithIo,
  type Query,
  type Solution,
} from "../rego/engine/index.ts";
import type { JsonObject, Value } from "../rego/value/index.ts";
import { type Logger, redactCredentials } from "../telemetry/index.ts";
import { ApiError } from "./api-error.ts";
import type { ApiRequest } from "./http.ts";

export interface EvaluationOptions {
  readonly store: PolicyStore;
  readonly recorder: DecisionRecorder;
  readonly runtime: Value;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly io: TracedIo;
  readonly logger: Logger;
  /** Milliseconds a query of the API may take. */
  readonly evaluationMs: number;
  readonly evaluationSteps: number;
}

/** One answer of the engine to a request of the API, with what the log needs to know about it. */
export interface Evaluated {
  readonly snapshot: Snapshot;
  readonly solutions: readonly Solution[];
  /** Empty when decisions are not logged. */
  readonly decisionId: string;
  readonly metrics: Readonly<Record<string, number>>;
}

export interface EvaluationRequest {
  readonly request: ApiRequest;
  readonly input: Value | undefined;
  /** How the log names it: a path without a leading slash, or a query. */
  readonly path?: string;
  readonly query?: string;
  readonly strictBuiltinErrors?: boolean;
  readonly asks: Entrypoint;
}

/** Evaluates on behalf of the API, and logs it as a decision. */
export class ApiEvaluator {
  readonly #options: EvaluationOptions;

  constructor(options: EvaluationOptions) {
    this.#options = options;
  }

  /** @throws {ApiError} */
  async evaluate(what: EvaluationRequest): Promise<Evaluated> {
    const { store, recorder } = this.#options;
    const startedNs = process.hrtime.bigint();
    const snapshot = await store.readyFor(what.asks);
    const decisionId = recorder.isActive ? randomUUID() : "";
    const metrics: Record<string, number> = {};
    const record = (outcome: { result?: Value; error?: JsonObject }): void => {
      metrics["timer_server_handler_ns"] = Number(process.hrtime.bigint() - startedNs);
      if (recorder.isActive) this.#record(what, snapshot, decisionId, metrics, outcome);
    };
    try {
      // What somebody types is not worth remembering.
      const query = what.asks.kind === "query" ? snapshot.policy.query(what.asks.text) : snapshot.prepare(what.asks);
      const evalStartedNs = process.hrtime.bigint();
      const solutions = await this.#run(query, what, decisionId);
      metrics["timer_rego_query_eval_ns"] = Number(process.hrtime.bigint() - evalStartedNs);
      const result = solutions[0]?.expressions[0]?.value;
      record(result === undefined ? {} : { result });
      return { snapshot, solutions, decisionId, metrics };
    } catch (cause) {
      const error = toApiError(cause);
      record({ error: { code: error.code, message: error.message } });
      throw error;
    }
  }

  #run(query: Query, what: EvaluationRequest, decisionId: string): Promise<readonly Solution[]> {
    const { runtime, env, io, logger, evaluationMs, evaluationSteps } = this.#options;
    return evaluateWithIo(
      query,
      {
        ...(what.input !== undefined && { input: what.input }),
        runtime,
        env,
        deadlineMs: Date.now() + evaluationMs,
        maxSteps: evaluationSteps,
        strictBuiltinErrors: what.strictBuiltinErrors === true,
        print: (line, at) =>
          logger.info(redactCredentials(at === undefined ? line : `${at.source.name}:${at.row}: ${line}`), {
            ...(decisionId !== "" && { "decision-id": decisionId }),
          }),
      },
      (asked) => io(asked, what.request.span),
    );
  }

  #record(
    what: EvaluationRequest,
    snapshot: Snapshot,
    decisionId: string,
    metrics: Readonly<Record<string, number>>,
    outcome: { result?: Value; error?: JsonObject },
  ): void {
    const { span } = what.request;
    try {
      this.#options.recorder.record({
        decisionId,
        ...(what.path !== undefined && { path: what.path }),
        ...(what.query !== undefined && { query: what.query }),
        input: what.input ?? null,
        ...outcome,
        bundles: snapshot.bundles,
        metrics,
        timestampMs: Date.now(),
        requestedBy: what.request.remoteAddress,
        requestId: what.request.id,
        ...(span !== undefined && { traceId: span.traceId, spanId: span.spanId }),
      });
    } catch (cause) {
      throw new ApiError(
        500,
        "internal_error",
        `decision log: ${cause instanceof Error ? cause.message : String(cause)}`,
      );
    }
  }
}

/** A failure in OPA's terms. */
export function toApiError(cause: unknown, compileMessage?: string): ApiError {
  if (cause instanceof ApiError) return cause;
  if (cause instanceof CompileError)
    return new ApiError(
      400,
      "invalid_parameter",
      compileMessage ?? queryMessage(cause),
      cause.diagnostics.map(diagnosticDocument),
    );
  if (cause instanceof EvalError) {
    const { code, message, location } = cause;
    const document: JsonObject = {
      code,
      message,
      ...(location !== undefined && { location: { file: location.source.name, row: location.row, col: location.col } }),
    };
    return new ApiError(500, "internal_error", "error(s) occurred while evaluating query", [document]);
  }
  return new ApiError(500, "internal_error", cause instanceof Error ? cause.message : String(cause));
}

function queryMessage({ diagnostics }: CompileError): string {
  const isParsed = diagnostics.some(({ code }) => code !== "rego_parse_error");
  return `error(s) occurred while ${isParsed ? "compiling" : "parsing"} query`;
}

function diagnosticDocument({ code, message, at, structure }: Diagnostic): JsonObject {
  return {
    code,
    message,
    ...(at !== undefined && { location: { file: at.source.name, row: at.row, col: at.col } }),
    ...(code === "rego_parse_error" && structure !== undefined && { details: structure as JsonObject }),
  };
}
