import { type JsonObject, toJsonLine, type Value } from "../../rego/value/index.ts";
import { type LineWriter, rfc3339Seconds } from "../../telemetry/index.ts";
import type { Sink } from "../recorder.ts";

/** Prints each event as one JSON line at level info, whatever the log level: the form OPA's console logger has. */
export function consoleSink(writer: LineWriter, now: () => number = Date.now): Sink {
  return {
    name: "console",
    put(event: JsonObject): void {
      writer.write(() => toJsonLine(lineOf(event, now())));
    },
    stop: () => writer.flush(),
  };
}

/** The event's members and the logger's own in the order of their names, as logrus prints them. */
function lineOf(event: JsonObject, nowMs: number): Readonly<Record<string, Value | undefined>> {
  return {
    bundles: event["bundles"],
    cardea: event["cardea"],
    decision_id: event["decision_id"],
    erased: event["erased"],
    error: event["error"],
    input: event["input"],
    labels: event["labels"],
    level: "info",
    masked: event["masked"],
    metrics: event["metrics"],
    msg: "Decision Log",
    nd_builtin_cache: event["nd_builtin_cache"],
    path: event["path"],
    query: event["query"],
    req_id: event["req_id"],
    requested_by: event["requested_by"],
    result: event["result"],
    span_id: event["span_id"],
    time: rfc3339Seconds(nowMs),
    timestamp: event["timestamp"],
    trace_id: event["trace_id"],
    type: "openpolicyagent.org/decision_logs",
  };
}
