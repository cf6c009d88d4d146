/** How a fault is answered: `cardea.on_error`. */
export type OnError = "deny" | "error_response" | "rpc_error";

/** gRPC status codes (google.rpc.Code) as far as they are used here. */
export const Code = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  DEADLINE_EXCEEDED: 4,
  PERMISSION_DENIED: 7,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;
export type Code = (typeof Code)[keyof typeof Code];

interface FaultRow {
  readonly about: string;
  /** HTTP status of an explicit denial. */
  readonly httpStatus: 400 | 403 | 503;
  /** With `rpc_error`: the plugin's gRPC code. */
  readonly rpcCode: Code;
  /** The plugin's name for it: the metric label `reason`. */
  readonly reason: string;
}

/**
 * Everything that is no decision, and what it gives. The one table: nothing else turns a fault into an answer.
 * A client can provoke many of these, and a proxy that fails open turns an RPC error into an allow; hence `deny` by default.
 */
// biome-ignore format: table
export const FAULTS = {
  malformed_request:    { about: "the message is no CheckRequest",                           httpStatus: 400, rpcCode: Code.INTERNAL,          reason: "request_parse_error" },
  request_parse_error:  { about: "path, query or body of the request cannot be read",        httpStatus: 400, rpcCode: Code.PERMISSION_DENIED, reason: "request_parse_error" },
  ambiguous_path:       { about: "the path guard found two readings of the path",            httpStatus: 400, rpcCode: Code.PERMISSION_DENIED, reason: "request_parse_error" },
  check_timeout:        { about: "the caller's deadline passed before there was a decision", httpStatus: 503, rpcCode: Code.DEADLINE_EXCEEDED, reason: "check_request_timeout" },
  check_cancelled:      { about: "the caller went away",                                     httpStatus: 503, rpcCode: Code.CANCELLED,         reason: "check_request_cancelled" },
  undefined_decision:   { about: "no rule gave the decision a value",                        httpStatus: 403, rpcCode: Code.UNKNOWN,           reason: "envoyauth_eval_error" },
  ambiguous_decision:   { about: "the query has more than one solution",                     httpStatus: 403, rpcCode: Code.UNKNOWN,           reason: "envoyauth_eval_error" },
  evaluation_error:     { about: "evaluation stopped with an error or ran out of budget",    httpStatus: 503, rpcCode: Code.UNKNOWN,           reason: "envoyauth_eval_error" },
  invalid_decision:     { about: "the decision has the wrong type or form",                  httpStatus: 403, rpcCode: Code.UNKNOWN,           reason: "envoyauth_result_error" },
  decision_log_error:   { about: "the decision log cannot take the decision",                httpStatus: 503, rpcCode: Code.UNKNOWN,           reason: "unknown_log_error" },
  internal_error:       { about: "a fault in this server",                                   httpStatus: 503, rpcCode: Code.UNKNOWN,           reason: "internal_error" },
  overloaded:           { about: "too many requests are being decided at once",              httpStatus: 503, rpcCode: Code.UNAVAILABLE,       reason: "overloaded" },
} as const satisfies Readonly<Record<string, FaultRow>>;
export type FaultCode = keyof typeof FAULTS;

export function faultRow(code: FaultCode): FaultRow {
  return FAULTS[code];
}
