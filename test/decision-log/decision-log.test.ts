import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { DecisionRecorder, HttpSink, type RecorderOptions, type UploadOptions } from "../../src/decision-log/index.ts";
import { applyMask, readMaskRules } from "../../src/decision-log/mask.ts";
import { consoleSink } from "../../src/decision-log/sinks/console.ts";
import type { JsonObject, Value } from "../../src/rego/value/index.ts";
import { SILENT_LOGGER } from "../../src/telemetry/index.ts";
import { MemorySink } from "../support/checks.ts";
import { lineWriter } from "../support/lines.ts";

const mask = (event: Record<string, Value>, rules: Value) => applyMask(event, readMaskRules(rules));

// OPA's v1/plugins/logs/mask.go
describe("masks", () => {
  test.for([
    { why: "a member", rules: ["/input/a"], want: { input: { b: [1, 2] }, erased: ["/input/a"] } },
    { why: "an element", rules: ["/input/b/0"], want: { input: { a: "x", b: [2] }, erased: ["/input/b/0"] } },
    { why: "everything", rules: ["/input"], want: { erased: ["/input"] } },
    { why: "nothing there", rules: ["/input/zzz", "/result/x"], want: { input: { a: "x", b: [1, 2] } } },
    {
      why: "an upsert",
      rules: [{ op: "upsert", path: "/input/a", value: "***" }],
      want: { input: { a: "***", b: [1, 2] }, masked: ["/input/a"] },
    },
    {
      why: "an upsert that makes parents",
      rules: [{ op: "upsert", path: "/input/c/d", value: 1 }],
      want: { input: { a: "x", b: [1, 2], c: { d: 1 } }, masked: ["/input/c/d"] },
    },
    {
      why: "an explicit removal",
      rules: [{ op: "remove", path: "/input/a" }],
      want: { input: { b: [1, 2] }, erased: ["/input/a"] },
    },
  ])("$why", ({ rules, want }) => {
    expect(mask({ input: { a: "x", b: [1, 2] } }, rules as Value)).toEqual(want);
  });

  test("the original keeps its members", () => {
    const event = { input: { headers: { authorization: "secret" } } };
    mask(event, ["/input/headers/authorization"]);
    expect(event.input.headers.authorization).toBe("secret");
  });

  test("a percent-encoded name finds its member", () => {
    expect(mask({ input: { "a/b": 1 } }, ["/input/a%2Fb"])["input"]).toEqual({});
  });

  test.for([["/labels/x"], ["input/a"], [""], [1], "x", [{ op: "move", path: "/input/a" }]] as Value[])(
    "%j is no mask",
    (rules) => {
      expect(() => readMaskRules(rules)).toThrow(TypeError);
    },
  );
});

function recorder(options: Partial<RecorderOptions> = {}) {
  const sink = new MemorySink();
  return {
    sink,
    log: new DecisionRecorder({
      labels: { id: "i" },
      sinks: [sink],
      evaluateDrop: () => undefined,
      evaluateMask: () => undefined,
      logger: SILENT_LOGGER,
      ...options,
    }),
  };
}

const EVENT = {
  decisionId: "d",
  path: "a/b",
  input: { x: 1 },
  result: true,
  bundles: new Map(),
  metrics: { timer_server_handler_ns: 5 },
  timestampMs: 0,
};

describe("events", () => {
  test("have OPA's members", () => {
    const { sink, log } = recorder();
    log.record(EVENT);
    log.record({ ...EVENT, error: { message: "m" }, bundles: new Map([["b", "r"]]), traceId: "t", spanId: "s" });
    expect(sink.events).toEqual([
      {
        labels: { id: "i" },
        decision_id: "d",
        path: "a/b",
        input: { x: 1 },
        result: true,
        timestamp: "1970-01-01T00:00:00.000Z",
        metrics: { timer_server_handler_ns: 5 },
      },
      expect.objectContaining({
        error: { message: "m" },
        bundles: { b: { revision: "r" } },
        trace_id: "t",
        span_id: "s",
      }),
    ]);
  });

  test("policies see neither error nor metrics", () => {
    const seen: JsonObject[] = [];
    const look = (event: JsonObject) => void seen.push({ ...event }) as undefined;
    recorder({ evaluateDrop: look, evaluateMask: look }).log.record({ ...EVENT, error: { message: "m" } });
    expect(seen).toHaveLength(2);
    for (const event of seen) {
      expect(event).not.toHaveProperty("error");
      expect(event).not.toHaveProperty("metrics");
    }
  });

  test("a policy that fails keeps the event in", () => {
    const failing = (): never => {
      throw new Error("x");
    };
    for (const options of [{ evaluateDrop: failing }, { evaluateMask: failing }, { evaluateMask: () => "nonsense" }]) {
      const { sink, log } = recorder(options);
      log.record(EVENT);
      expect(sink.events).toEqual([]);
    }
  });

  test("the console line is OPA's", () => {
    const lines: string[] = [];
    const writer = lineWriter((line) => lines.push(line));
    consoleSink(writer, () => 0).put({ decision_id: "d", result: 12345678901234567890n, input: { "\n": "\u2028" } });
    expect(lines).toEqual([
      '{"decision_id":"d","input":{"\\n":"\u2028"},"level":"info","msg":"Decision Log","result":12345678901234567890,"time":"1970-01-01T00:00:00Z","type":"openpolicyagent.org/decision_logs"}',
    ]);
  });
});

describe("uploads", () => {
  function sink(options: Partial<UploadOptions> = {}) {
    const uploads: unknown[][] = [];
    const dropped: [string, number][] = [];
    const statuses: number[] = [];
    const http = new HttpSink({
      minDelaySeconds: 1000,
      maxDelaySeconds: 1000,
      uploadBytes: 32_768,
      bufferBytes: 1e6,
      bufferEvents: Number.POSITIVE_INFINITY,
      eventsPerSecond: undefined,
      upload: async (body) => {
        const status = statuses.shift() ?? 200;
        if (status === 200) uploads.push(JSON.parse(gunzipSync(body).toString()) as unknown[]);
        return status;
      },
      onDropped: (reason, count) => void dropped.push([reason, count]),
      onUpload: () => undefined,
      logger: SILENT_LOGGER,
      ...options,
    });
    return { http, uploads, dropped, statuses };
  }

  const noise = (i: number): JsonObject => ({
    i,
    text: Array.from({ length: 50 }, (_, j) => Math.sin(i * 50 + j)).join(),
  });

  test("events go out whole, in order, in chunks of limited size", async () => {
    const { http, uploads } = sink({ uploadBytes: 4000 });
    for (let i = 0; i < 40; i++) http.put(noise(i));
    expect(await http.flush()).toBe(true);
    await http.stop(100);
    expect(uploads.length).toBeGreaterThan(1);
    expect(uploads.flat().map((event) => (event as { i: number }).i)).toEqual(Array.from({ length: 40 }, (_, i) => i));
  });

  test("a refused chunk is kept and sent again", async () => {
    const { http, uploads, statuses } = sink();
    statuses.push(500);
    http.put({ i: 1 });
    expect(await http.flush()).toBe(false);
    http.put({ i: 2 });
    expect(await http.flush()).toBe(true);
    await http.stop(100);
    expect(uploads.flat()).toEqual([{ i: 1 }, { i: 2 }]);
  });

  test("what waits is bounded, the oldest go, and all is counted", async () => {
    const { http, uploads, dropped } = sink({ bufferEvents: 3 });
    for (let i = 0; i < 10; i++) http.put({ i });
    await http.stop(1000);
    expect(uploads.flat()).toEqual([{ i: 7 }, { i: 8 }, { i: 9 }]);
    expect(dropped.reduce((sum, [, count]) => sum + count, 0)).toBe(7);
  });

  test("a rate limit drops what comes too fast", async () => {
    const { http, uploads, dropped } = sink({ eventsPerSecond: 2 });
    for (let i = 0; i < 10; i++) http.put({ i });
    await http.stop(1000);
    expect(uploads.flat().length).toBeLessThan(10);
    expect(uploads.flat().length + dropped.length).toBe(10);
  });

  test("an event that is too large loses its builtin results, or goes", async () => {
    const { http, uploads, dropped } = sink({ uploadBytes: 300 });
    http.put({ i: 1, nd_builtin_cache: noise(1) });
    http.put({ i: 2, input: noise(2) });
    http.put({ i: 3 });
    await http.stop(1000);
    expect(uploads.flat()).toEqual([{ i: 1 }, { i: 3 }]);
    expect(dropped).toEqual([["too_large", 1]]);
  });

  test("stopping does not wait for ever", async () => {
    const { http } = sink({ upload: () => new Promise(() => undefined) });
    http.put({ i: 1 });
    await http.stop(10);
  });
});
