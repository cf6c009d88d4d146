import { describe, expect, test } from "vitest";
import { styledConsoleSink } from "../../src/decision-log/index.ts";
import { parseJson, toJsonText, type JsonObject } from "../../src/rego/value/index.ts";
import { createLogger, type LineStyle, type LineWriter, PLAIN_LINES } from "../../src/telemetry/index.ts";
import { lineWriter } from "../support/lines.ts";

function lines(): { writer: LineWriter; written: string[] } {
  const written: string[] = [];
  return {
    written,
    writer: lineWriter((line) => written.push(line)),
  };
}

const NOW = Date.UTC(2026, 10, 22, 13, 12, 44, 500);

function logged(style: LineStyle, message: string, fields: Readonly<Record<string, unknown>>): string | undefined {
  const { writer, written } = lines();
  createLogger({ level: "info", style, writer, now: () => NOW }).info(message, fields);
  return written[0];
}

// As opa-envoy-plugin prints them with --log-format, but that Go leaves the order of members in `text` to chance.
describe("a line", () => {
  const fields = { plugin: "b", a: { x: [1, {}], y: [] }, err: new Error("no"), text: "one\ntwo", json: '{"k":1}' };

  test("json: members in the order of their names", () => {
    expect(logged(PLAIN_LINES, "Started.", { plugin: "b", a: { x: [1] } })).toBe(
      '{"a":{"x":[1]},"level":"info","msg":"Started.","plugin":"b","time":"2026-11-22T13:12:44Z"}',
    );
  });

  test("json-pretty: the same, indented", () => {
    expect(
      logged({ ...PLAIN_LINES, format: "json-pretty" }, "Started.", { plugin: "b", a: { x: [1, {}], y: [] } }),
    ).toBe(
      `{
  "a": {
    "x": [
      1,
      {}
    ],
    "y": []
  },
  "level": "info",
  "msg": "Started.",
  "plugin": "b",
  "time": "2026-11-22T13:12:44Z"
}`,
    );
  });

  test("text: a heading and a member a line", () => {
    expect(logged({ ...PLAIN_LINES, format: "text" }, "Started.", fields)).toBe(`[INFO] Started.
  a = |
      {
        "x": [
          1,
          {}
        ],
        "y": []
      }
  err = "no"
  json = |
      {
        "k": 1
      }
  plugin = "b"
  text = |
      one
      two
`);
  });

  test("a timestamp of another form", () => {
    const style: LineStyle = { format: "json", timestamp: (ms) => `T${ms}` };
    expect(logged(style, "m", {})).toBe(`{"level":"info","msg":"m","time":"T${NOW}"}`);
  });
});

describe("a decision", () => {
  const event = parseJson('{"decision_id": "d", "input": {"n": 12345678901234567890.5, "s": "a\\"}{,"}}') as JsonObject;

  test.for(["json-pretty", "text"] as const)("%s keeps numbers as they are", (format) => {
    const { writer, written } = lines();
    styledConsoleSink(writer, { ...PLAIN_LINES, format }, () => NOW).put(event);
    expect(written[0]).toContain('"n": 12345678901234567890.5,\n');
    expect(written[0]).toContain('"s": "a\\"}{,"\n');
    if (format === "json-pretty")
      expect(toJsonText(parseJson(written[0] ?? ""))).toBe(
        '{"decision_id":"d","input":{"n":12345678901234567890.5,"s":"a\\"}{,"},"level":"info","msg":"Decision Log","time":"2026-11-22T13:12:44Z","type":"openpolicyagent.org/decision_logs"}',
      );
    else expect(written[0]).toMatch(/^\[INFO\] Decision Log\n {2}decision_id = "d"\n/);
  });
});
