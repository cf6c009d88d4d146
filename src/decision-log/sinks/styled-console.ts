import { type JsonObject, toJsonText, type Value } from "../../rego/value/index.ts";
import { type LineStyle, type LineWriter, renderLine } from "../../telemetry/index.ts";
import type { Sink } from "../recorder.ts";

/** Prints each event as the log's other lines look; for plain JSON there is a quicker way. */
export function styledConsoleSink(writer: LineWriter, style: LineStyle, now: () => number = Date.now): Sink {
  return {
    name: "console",
    put(event: JsonObject): void {
      const fields = { ...event, type: "openpolicyagent.org/decision_logs" };
      const line = { level: "info", message: "Decision Log", ms: now(), fields };
      writer.write(renderLine(style, line, (value) => toJsonText(value as Value)));
    },
    stop: () => writer.flush(),
  };
}
