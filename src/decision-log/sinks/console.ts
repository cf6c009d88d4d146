import { rfc3339Seconds, type LineWriter } from "../../telemetry/index.ts";
import { type JsonObject, toJsonText } from "../../rego/value/index.ts";
import type { Sink } from "../recorder.ts";

/** Prints each event as one JSON line at level info, whatever the log level: the form OPA's console logger has. */
export function consoleSink(writer: LineWriter, now: () => number = Date.now): Sink {
  return {
    name: "console",
    put(event: JsonObject): void {
      writer.write(
        toJsonText({
          ...event,
          level: "info",
          msg: "Decision Log",
          time: rfc3339Seconds(now()),
          type: "openpolicyagent.org/decision_logs",
        }),
      );
    },
    stop: () => writer.flush(),
  };
}
