import { setOwn, type JsonObject, type Value } from "../rego/value/index.ts";
import { type Decision, type DeniedAnswer, type Fault, NO_CHANGES, type RequestChanges } from "./decision.ts";
import { Code, faultRow, type OnError } from "./faults.ts";

/** The arm of the response that is set. */
export type ResponseHttp =
  | { readonly kind: "ok"; readonly changes: RequestChanges }
  | { readonly kind: "denied" | "error"; readonly answer: DeniedAnswer };

type Denial = Extract<Decision, { readonly verdict: "deny" }>;

/** envoy.service.auth.v3.CheckResponse in plain terms. */
export interface CheckResponse {
  readonly code: number;
  readonly message: string;
  readonly http?: ResponseHttp | undefined;
  readonly metadata?: JsonObject | undefined;
}

/** The call fails with a gRPC status instead of a CheckResponse. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: Code;

  constructor(code: Code, message: string) {
    super(message);
    this.code = code;
  }
}

export interface ResponseOptions {
  readonly onError: OnError;
  /** Answers every policy's denial with OK; the log keeps the real one. */
  readonly dryRun: boolean;
  readonly decisionId: string;
}

/**
 * Turns a decision into the answer. Faults go by the table in faults.ts; dry-run lets denials through, but no faults.
 *
 * @throws {RpcError} for faults when `rpc_error` asks for the plugin's behaviour.
 */
export function toCheckResponse(decision: Decision, options: ResponseOptions): CheckResponse {
  switch (decision.verdict) {
    case "allow":
      return {
        code: Code.OK,
        message: "",
        http: decision.changes === undefined ? undefined : { kind: "ok", changes: decision.changes },
        metadata: withDecisionId(decision.metadata, options),
      };
    case "deny":
      return {
        code: options.dryRun ? Code.OK : deniedCode(decision),
        message: "",
        http: options.dryRun ? { kind: "ok", changes: decision.changes ?? NO_CHANGES } : deniedHttp(decision),
        metadata: withDecisionId(decision.metadata, options),
      };
    case "fault":
      return toFaultResponse(decision, options);
    default:
      return decision satisfies never;
  }
}

function deniedCode({ isUnauthenticated }: Denial): number {
  return isUnauthenticated === true ? Code.UNAUTHENTICATED : Code.PERMISSION_DENIED;
}

function deniedHttp({ answer }: Denial): ResponseHttp | undefined {
  return answer === undefined ? undefined : { kind: "denied", answer };
}

/** What the client provoked is denied with the plugin's text; what it could not know, without one. */
function toFaultResponse(fault: Fault, { onError, decisionId }: ResponseOptions): CheckResponse {
  const { httpStatus, rpcCode } = faultRow(fault.code);
  const isBadRequest = fault.code === "request_parse_error" || fault.code === "ambiguous_path";
  if (isBadRequest) {
    const text = `request_parse_error: ${fault.message}`;
    return {
      code: Code.PERMISSION_DENIED,
      message: text,
      http: { kind: "denied", answer: { headers: [], body: text, httpStatus } },
    };
  }
  switch (onError) {
    case "rpc_error":
      throw new RpcError(rpcCode, fault.message);
    case "error_response":
      return {
        code: rpcCode,
        message: fault.code,
        http: { kind: "error", answer: { headers: [], body: "", httpStatus } },
        metadata: faultMetadata(fault, decisionId),
      };
    case "deny":
      return {
        code: Code.PERMISSION_DENIED,
        message: fault.code,
        http: { kind: "denied", answer: { headers: [], body: "", httpStatus } },
        metadata: faultMetadata(fault, decisionId),
      };
    default:
      return onError satisfies never;
  }
}

/**
 * The answer when the log could not take the decision: the plugin keeps everything but the status, so that an allowed
 * request is denied. With `rpc_error` this is exactly that; otherwise a denial of our own.
 */
export function toLogFailure(response: CheckResponse, fault: Fault, options: ResponseOptions): CheckResponse {
  if (options.onError === "rpc_error") return { ...response, code: Code.UNKNOWN, message: fault.message };
  return toFaultResponse(fault, options);
}

/** Envoy publishes it under envoy.filters.http.ext_authz: the reason reaches access logs, not clients. */
function faultMetadata(fault: Fault, decisionId: string): JsonObject {
  return { decision_id: decisionId, cardea: { fault: fault.code } };
}

/** Ours comes last: the plugin, too, overwrites a decision ID that a policy made up. */
function withDecisionId(metadata: JsonObject, { decisionId }: ResponseOptions): JsonObject {
  const out: Record<string, Value> = {};
  for (const key of Object.keys(metadata)) setOwn(out, key, metadata[key] as Value);
  out["decision_id"] = decisionId;
  return out;
}
