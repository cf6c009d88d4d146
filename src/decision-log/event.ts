import { rfc3339Millis } from "../telemetry/index.ts";
import { type JsonObject, setOwn, type Value } from "../rego/value/index.ts";

/** One decision, as it will be logged. */
export interface DecisionEvent {
  readonly decisionId: string;
  /** The configured path, verbatim; or else the query. */
  readonly path?: string | undefined;
  readonly query?: string | undefined;
  /** Null when no input could be built. */
  readonly input: Value;
  /** Absent when there was no decision. */
  readonly result?: Value | undefined;
  readonly error?: JsonObject | undefined;
  /** How identity, declarative policies and Rego came to it; a member of our own. */
  readonly account?: JsonObject | undefined;
  /** Revisions by bundle name. */
  readonly bundles: ReadonlyMap<string, string>;
  /** Nanoseconds by OPA's timer names. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Wall clock, milliseconds. */
  readonly timestampMs: number;
  readonly traceId?: string | undefined;
  readonly spanId?: string | undefined;
  /** Results of nondeterministic builtins by name and operands. */
  readonly ndBuiltinCache?: JsonObject | undefined;
  readonly requestedBy?: string | undefined;
  readonly requestId?: number | undefined;
}

/** What mask and drop policies see: the event before metrics and error are attached, as in OPA (plugins/logs). */
export function toPolicyInput(event: DecisionEvent, labels: JsonObject): Record<string, Value> {
  const out: Record<string, Value> = { labels, decision_id: event.decisionId };
  if (event.traceId !== undefined) out["trace_id"] = event.traceId;
  if (event.spanId !== undefined) out["span_id"] = event.spanId;
  if (event.bundles.size > 0) {
    const bundles: Record<string, Value> = {};
    for (const [name, revision] of event.bundles) setOwn(bundles, name, revision === "" ? {} : { revision });
    out["bundles"] = bundles;
  }
  if (event.path !== undefined) out["path"] = event.path;
  if (event.query !== undefined) out["query"] = event.query;
  out["input"] = event.input;
  if (event.result !== undefined) out["result"] = event.result;
  if (event.account !== undefined) out["cardea"] = event.account;
  if (event.ndBuiltinCache !== undefined) out["nd_builtin_cache"] = event.ndBuiltinCache;
  if (event.requestedBy !== undefined && event.requestedBy !== "") out["requested_by"] = event.requestedBy;
  if (event.requestId !== undefined) out["req_id"] = event.requestId;
  out["timestamp"] = rfc3339Millis(event.timestampMs);
  return out;
}
