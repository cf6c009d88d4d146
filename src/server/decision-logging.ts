import { isDeepStrictEqual } from "node:util";
import type { DecisionLogConfig, ServiceConfig } from "../config/index.ts";
import { consoleSink, HttpSink, type RecorderOptions, type Sink, styledConsoleSink } from "../decision-log/index.ts";
import { isDefined, pathEntrypoint, type PolicyStore, type Snapshot } from "../policy/index.ts";
import type { JsonObject, Value } from "../rego/value/index.ts";
import { type LineStyle, type LineWriter, type Logger, type Metrics, PLAIN_LINES } from "../telemetry/index.ts";
import type { Environment } from "./environment.ts";
import { ServiceClient } from "./service-client.ts";

/** Without a limit of OPA's, this bounds what waits for a log server that is away. */
const DEFAULT_LOG_BUFFER_BYTES = 64 * 1024 * 1024;
const MAX_LOG_REPLY_BYTES = 1024 * 1024;
/** What an earlier configuration left in a buffer is delivered within this time, or dropped and counted. */
const FAREWELL_MS = 10_000;

export interface DecisionLoggingOptions {
  readonly labels: () => JsonObject;
  readonly store: PolicyStore;
  readonly runtime: Value;
  readonly metrics: Metrics;
  readonly writer: LineWriter;
  readonly lines: LineStyle;
  readonly logger: Logger;
  readonly env: Environment;
}

type Evaluate = (event: JsonObject) => Value | undefined;

/** What `decision_logs` asks for, as the recorder takes it: each decision is recorded by the configuration of its moment. */
export class DecisionLogging implements RecorderOptions {
  readonly #options: DecisionLoggingOptions;
  readonly logger: Logger;
  #config: DecisionLogConfig | undefined;
  sinks: readonly Sink[] = [];
  evaluateDrop: Evaluate = () => undefined;
  evaluateMask: Evaluate = () => undefined;

  constructor(options: DecisionLoggingOptions) {
    this.#options = options;
    this.logger = options.logger.with({ plugin: "decision_logs" });
  }

  get labels(): JsonObject {
    return this.#options.labels();
  }

  /** A configuration that logs nothing leaves things as they are, as in OPA. */
  configure(config: DecisionLogConfig | undefined): void {
    if (config === undefined || isDeepStrictEqual(config, this.#config)) return;
    this.#config = config;
    const before = this.sinks;
    this.sinks = this.#open(config);
    this.evaluateDrop = this.#evaluator(config.dropDecision);
    this.evaluateMask = this.#evaluator(config.maskDecision);
    for (const sink of before)
      sink.stop(FAREWELL_MS).catch((cause: unknown) => this.logger.error("Log upload failed.", { err: cause }));
  }

  #open(config: DecisionLogConfig): readonly Sink[] {
    const { writer, lines } = this.#options;
    const sinks: Sink[] = [];
    if (config.console) sinks.push(lines === PLAIN_LINES ? consoleSink(writer) : styledConsoleSink(writer, lines));
    if (config.service !== undefined) sinks.push(this.#uploadSink(config, config.service));
    return sinks;
  }

  #evaluator(path: string): Evaluate {
    const { store, runtime } = this.#options;
    const entrypoint = pathEntrypoint(path);
    store.expect(entrypoint);
    const defined = new WeakMap<Snapshot, boolean>();
    return (event) => {
      const { current } = store;
      const asks = defined.get(current) ?? isDefined(current, entrypoint);
      defined.set(current, asks);
      return asks ? current.prepare(entrypoint).value({ input: event, runtime }) : undefined;
    };
  }

  #uploadSink({ reporting, resource }: DecisionLogConfig, service: ServiceConfig): Sink {
    const { metrics, env } = this.#options;
    const client = new ServiceClient(service, env);
    const isByEvents = reporting.bufferType === "event";
    return new HttpSink({
      minDelaySeconds: reporting.minDelaySeconds,
      maxDelaySeconds: reporting.maxDelaySeconds,
      uploadBytes: reporting.uploadSizeLimitBytes,
      bufferBytes: reporting.bufferSizeLimitBytes ?? DEFAULT_LOG_BUFFER_BYTES,
      bufferEvents: isByEvents ? reporting.bufferSizeLimitEvents : Number.POSITIVE_INFINITY,
      eventsPerSecond: reporting.maxDecisionsPerSecond,
      upload: async (body) => {
        const headers = { "content-type": "application/json", "content-encoding": "gzip" };
        return (await client.send({ method: "POST", path: resource, headers, body, maxBytes: MAX_LOG_REPLY_BYTES }))
          .status;
      },
      onDropped: (reason, count) => metrics.logDropped.inc({ sink: "http", reason }, count),
      onUpload: (isDelivered) => metrics.logUploads.inc({ result: isDelivered ? "ok" : "failed" }),
      logger: this.logger,
    });
  }
}
