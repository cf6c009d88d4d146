import { rfc3339Seconds, type LineWriter } from "../../telemetry/index.ts";
import { type JsonObject, toJsonLine, type Value } from "../../rego/value/index.ts";
import type { Sink } from "../recorder.ts";

const OWN_MEMBERS = ["level", "msg", "time", "type"] as const;

/** Prints each event as one JSON line at level info, whatever the log level: the form OPA's console logger has. */
export function consoleSink(writer: LineWriter, now: () => number = Date.now): Sink {
  return {
    name: "console",
    put(event: JsonObject): void {
      const own: JsonObject = {
        level: "info",
        msg: "Decision Log",
        time: rfc3339Seconds(now()),
        type: "openpolicyagent.org/decision_logs",
      };
      const names = [...Object.keys(event), ...OWN_MEMBERS].sort();
      let text = "";
      for (const name of names) {
        text += `${text === "" ? "{" : ","}"${name}":${toJsonLine((own[name] ?? event[name]) as Value)}`;
      }
      writer.write(`${text}}`);
    },
    stop: () => writer.flush(),
  };
}
