import type { Outcome } from "../decision/index.ts";
import { type JsonObject, toJsonValue, type Value } from "../rego/value/index.ts";
import {
  checkMetadata,
  readBody,
  readHeaders,
  readHttpStatus,
  readQueryParameters,
  readStrings,
} from "./decision-fields.ts";
import { DecisionFormError, goTypeOf, type HeaderPair, memberOf } from "./decision-form.ts";
import type { FaultCode } from "./faults.ts";

/** What the policy says about one request, as far as Envoy can be told. */
export type Decision =
  | {
      readonly verdict: "allow";
      /** Absent for a bare `true`: then Envoy gets no ok_response at all. */
      readonly changes?: RequestChanges;
      readonly metadata: JsonObject;
      /** The document as the policy gave it. */
      readonly result: Value;
    }
  | {
      readonly verdict: "deny";
      /** Absent for a bare `false`: then Envoy answers 403 by itself. */
      readonly answer?: DeniedAnswer;
      /** Nobody knows who asks, because the token is not good. */
      readonly isUnauthenticated?: boolean;
      /** For requests that go on all the same: dry-run. */
      readonly changes?: RequestChanges;
      readonly metadata: JsonObject;
      readonly result: Value;
    }
  | Fault;

export interface Fault {
  readonly verdict: "fault";
  readonly code: FaultCode;
  /** The plugin's text. It reaches the client only where the plugin would let it. */
  readonly message: string;
  /** Label of the error counter, where it is not the code's own. */
  readonly reason?: string;
  /** The `error` member of the decision log. */
  readonly logged: JsonObject;
}

export interface RequestChanges {
  readonly headers: readonly HeaderPair[];
  readonly headersToRemove: readonly string[];
  readonly responseHeadersToAdd: readonly HeaderPair[];
  readonly queryParametersToRemove: readonly string[];
  readonly queryParametersToSet: readonly HeaderPair[];
}

export const NO_CHANGES: RequestChanges = {
  headers: [],
  headersToRemove: [],
  responseHeadersToAdd: [],
  queryParametersToRemove: [],
  queryParametersToSet: [],
};

export interface DeniedAnswer {
  readonly headers: readonly HeaderPair[];
  readonly body: string;
  readonly httpStatus: number;
}

/**
 * Reads an outcome as a decision. `allow` is made here and nowhere else, and only of `true`, an object whose `allowed` is
 * `true`, or such a decision of declarative policies; every other outcome is a denial or a fault.
 */
export function toDecision(outcome: Outcome): Decision {
  switch (outcome.kind) {
    case "value":
      try {
        return fromResult(toJsonValue(outcome.value));
      } catch (cause) {
        if (cause instanceof DecisionFormError) return fault("invalid_decision", cause.message);
        throw cause;
      }
    case "mesh":
      return fromMesh(outcome.decision);
    case "refused": {
      const { code, status, body, wwwAuthenticate } = outcome;
      const headers = wwwAuthenticate === undefined ? [] : [{ key: "www-authenticate", value: wwwAuthenticate }];
      return {
        verdict: "deny",
        answer: { headers, body, httpStatus: status },
        isUnauthenticated: status === 401,
        metadata: { cardea: { layer: "identity", reason: code } },
        result: { allowed: false, http_status: status, reason: code },
      };
    }
    case "undefined":
      return fault("undefined_decision", "undefined decision");
    case "ambiguous":
      return fault("ambiguous_decision", "multiple evaluation results");
    case "timeout":
      return fault("check_timeout", "check request timed out before query execution: context deadline exceeded");
    case "cancelled":
      return fault("check_cancelled", "check request explicitly cancelled before query execution: context canceled");
    case "failed":
      return {
        ...fault("evaluation_error", outcome.text),
        reason: outcome.code === "compile_error" ? "envoyauth_eval_error" : outcome.code,
        logged: {
          code: outcome.code,
          message:
            outcome.code === "eval_cancel_error" ? "context deadline reached during query execution" : outcome.message,
          ...(outcome.place !== undefined && { location: { ...outcome.place } }),
        },
      };
    default:
      return outcome satisfies never;
  }
}

export function fault(code: FaultCode, message: string): Fault {
  return { verdict: "fault", code, message, logged: { message } };
}

/** What a proxy of the mesh answers by itself. */
export const MESH_DENIAL: DeniedAnswer = { headers: [], body: "RBAC: access denied", httpStatus: 403 };

function fromMesh(decision: Extract<Outcome, { kind: "mesh" }>["decision"]): Decision {
  const { allowed, reason, by } = decision;
  const metadata: JsonObject = {
    cardea: {
      layer: "mesh",
      reason,
      ...(by !== undefined && { policy: by.policy, action: by.action, rule: by.rule }),
    },
  };
  const result = { ...decision } as unknown as JsonObject;
  // `allowed` is the document's own, read strictly where it came in.
  return allowed ? { verdict: "allow", metadata, result } : { verdict: "deny", answer: MESH_DENIAL, metadata, result };
}

function fromResult(result: Value): Decision {
  if (result === true) return { verdict: "allow", metadata: {}, result };
  if (result === false) return { verdict: "deny", metadata: {}, result };
  if (typeof result !== "object" || result === null || Array.isArray(result) || goTypeOf(result) === "json.Number") {
    throw new DecisionFormError(
      `failed to get response status: illegal value for policy evaluation result: ${goTypeOf(result)}`,
    );
  }
  return fromObject(result as JsonObject);
}

/** The order of the reads is the plugin's: it decides which of several faults is reported (internal/internal.go check). */
function fromObject(result: JsonObject): Decision {
  const isAllowed = readAllowed(result);
  const headers = readHeaders(result, "headers", "failed to get response headers");
  const metadata = checkMetadata(result);
  if (isAllowed) {
    const headersToRemove = readStrings(result, "request_headers_to_remove", "failed to get request headers to remove");
    const responseHeadersToAdd = readHeaders(
      result,
      "response_headers_to_add",
      "failed to get response headers to send to client",
    );
    const queryParametersToRemove = readStrings(
      result,
      "query_parameters_to_remove",
      "failed to get request query parameters to remove",
    );
    const queryParametersToSet = readQueryParameters(result);
    return {
      verdict: "allow",
      changes: { headers, headersToRemove, responseHeadersToAdd, queryParametersToRemove, queryParametersToSet },
      metadata,
      result,
    };
  }
  const body = readBody(result);
  return { verdict: "deny", answer: { headers, body, httpStatus: readHttpStatus(result) }, metadata, result };
}

function readAllowed(result: JsonObject): boolean {
  const allowed = memberOf(result, "allowed");
  if (allowed === undefined)
    throw new DecisionFormError(
      'failed to get response status: unable to determine evaluation result due to missing "allowed" key',
    );
  if (typeof allowed === "boolean") return allowed;
  throw new DecisionFormError(
    `failed to get response status: type assertion error, expected allowed to be of type 'boolean' but got '${goTypeOf(allowed)}'`,
  );
}
