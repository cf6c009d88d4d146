import { Counter, collectDefaultMetrics, Gauge, Histogram, type MetricObject, Registry } from "prom-client";
import { StatusMetrics } from "./status-metrics.ts";

/** Every metric, with what it counts. Names without `cardea_` are OPA's and its plugin's. */
export const METRICS = {
  http_request_duration_seconds: "A histogram of duration for requests.",
  grpc_request_duration_seconds: "A histogram of duration for grpc authz requests.",
  error_counter: "A counter for errors",
  cardea_decisions_total: "Checks that reached a decision, by verdict.",
  cardea_rulings_total:
    "Checks by the layer that had the last word, and the declarative policy and rule where one did.",
  cardea_rate_limit_failures_total: "Attempts that could not be counted because the store failed, by rate limit.",
  cardea_token_keys: "Keys that tokens are verified with, by where they come from; 0 where there are none to use.",
  cardea_token_keys_age_seconds: "Time since keys of tokens were last fetched, by where they come from.",
  cardea_token_key_fetches_total: "Fetches of keys of tokens, by where from and result.",
  cardea_faults_total: "Checks that reached no decision, by reason.",
  cardea_checks_in_flight: "Checks being decided now.",
  cardea_connections_refused_total: "Connections to the check port that were turned away, by reason.",
  cardea_decision_duration_seconds: "Time from the arrival of a check to its decision.",
  cardea_workers: "Worker processes that serve, with --workers.",
  cardea_worker_restarts_total: "Worker processes that ended and were replaced.",
  cardea_policy_generation: "Number of the live policy snapshot.",
  cardea_policy_loaded_timestamp_seconds: "When the live policy snapshot was published.",
  cardea_policy_reloads_total: "Attempts to publish a policy snapshot, by result.",
  cardea_decision_log_dropped_total: "Decision log events lost, by sink and reason.",
  cardea_decision_log_uploads_total: "Decision log uploads, by result.",
} as const;

const DECISION_BUCKETS = [1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1];
/** OPA's default (server.metrics.prom.http_request_duration_seconds.buckets). */
const HTTP_BUCKETS = [1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 0.01, 0.1, 1];

/** Keys of one issuer. */
export interface TokenKeys {
  readonly source: string;
  readonly keys: number;
  /** Since they were last fetched; undefined where they never were. */
  readonly ageMs: number | undefined;
}

export interface PluginMetricsOptions {
  readonly durationBuckets: readonly number[];
}

/** The process's metrics, in Prometheus' text form. */
export class Metrics {
  readonly registry = new Registry();
  readonly httpDuration: Histogram;
  readonly decisions = this.#counter("cardea_decisions_total", ["verdict"], () => this.#addDecisions());
  readonly rulings = this.#counter("cardea_rulings_total", ["layer", "verdict", "policy", "rule"]);
  readonly rateLimitFailures = this.#counter("cardea_rate_limit_failures_total", ["limit"]);
  readonly tokenKeyFetches = this.#counter("cardea_token_key_fetches_total", ["source", "result"]);
  readonly faults = this.#counter("cardea_faults_total", ["reason"]);
  readonly connectionsRefused = this.#counter("cardea_connections_refused_total", ["reason"]);
  /** Checks being decided now. */
  inFlight = 0;
  readonly decisionDuration = this.#histogram("cardea_decision_duration_seconds", DECISION_BUCKETS, []);
  // Of several workers the latest counts: a sum would be no generation.
  readonly policyGeneration = this.#gauge("cardea_policy_generation", "max");
  readonly policyLoaded = this.#gauge("cardea_policy_loaded_timestamp_seconds", "max");
  readonly policyReloads = this.#counter("cardea_policy_reloads_total", ["result"]);
  readonly logDropped = this.#counter("cardea_decision_log_dropped_total", ["sink", "reason"], () =>
    this.#addLostLines(),
  );
  readonly logUploads = this.#counter("cardea_decision_log_uploads_total", ["result"]);
  readonly #decided = { allow: 0, deny: 0 };
  #lostLines: { readonly lost: () => number; counted: number } | undefined;
  #pluginDuration: Histogram | undefined;
  #pluginErrors: Counter | undefined;
  #hasDefaults = false;
  #sum: (() => Promise<string>) | undefined;

  /** @param httpBuckets  Bounds of the durations of requests to the API. */
  constructor(httpBuckets: readonly number[] = HTTP_BUCKETS) {
    this.httpDuration = this.#histogram("http_request_duration_seconds", httpBuckets, ["code", "handler", "method"]);
    this.#gauge("cardea_checks_in_flight", "sum", (gauge) => gauge.set(this.inFlight));
  }

  /** The plugin's own two, only with `enable-performance-metrics`. */
  enablePluginMetrics(options: PluginMetricsOptions): void {
    this.#pluginDuration = this.#histogram("grpc_request_duration_seconds", options.durationBuckets, ["handler"]);
    this.#pluginErrors = this.#counter("error_counter", ["reason"]);
  }

  /** Shows the keys of tokens as they are when somebody looks. */
  watchTokenKeys(sources: () => readonly TokenKeys[]): void {
    // Of several workers the worst off counts.
    this.#sampled("cardea_token_keys", "min", () => sources().map(({ source, keys }) => [source, keys]));
    this.#sampled("cardea_token_keys_age_seconds", "max", () =>
      sources().flatMap(({ source, ageMs }) => (ageMs === undefined ? [] : [[source, ageMs / 1000]])),
    );
  }

  /** A gauge by `source`, read when metrics are collected. */
  #sampled(
    name: keyof typeof METRICS,
    aggregator: "min" | "max",
    values: () => readonly (readonly [source: string, value: number])[],
  ): void {
    new Gauge({
      name,
      help: METRICS[name],
      aggregator,
      labelNames: ["source"],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [source, value] of values()) this.set({ source }, value);
      },
    });
  }

  /** OPA's metrics about bundles and plugins, only with `status.prometheus`. */
  enableStatusMetrics(version: string): StatusMetrics {
    return new StatusMetrics(this.registry, version);
  }

  observeDecision(verdict: "allow" | "deny", seconds: number): void {
    this.#decided[verdict]++;
    this.decisionDuration.observe(seconds);
    this.#pluginDuration?.observe({ handler: "check" }, seconds);
  }

  countFault(reason: string): void {
    this.faults.inc({ reason });
    this.#pluginErrors?.inc({ reason });
  }

  /** Decisions are counted aside and handed over when somebody looks: finding a series by its labels costs more than counting. */
  #addDecisions(): void {
    for (const verdict of ["allow", "deny"] as const) {
      if (this.#decided[verdict] > 0) this.decisions.inc({ verdict }, this.#decided[verdict]);
      this.#decided[verdict] = 0;
    }
  }

  /** Counts what the console's writer has lost: decisions, and other lines among them. @param lost  How many so far. */
  countLostLines(lost: () => number): void {
    this.#lostLines = { lost, counted: 0 };
  }

  #addLostLines(): void {
    if (this.#lostLines === undefined) return;
    const lost = this.#lostLines.lost();
    if (lost > this.#lostLines.counted)
      this.logDropped.inc({ sink: "console", reason: "write" }, lost - this.#lostLines.counted);
    this.#lostLines.counted = lost;
  }

  /** Answers `text` for all processes of this server instead of this one alone. */
  sumWith(sum: () => Promise<string>): void {
    this.#sum = sum;
  }

  async text(): Promise<string> {
    if (this.#sum !== undefined) return this.#sum();
    this.#collectDefaults();
    return this.registry.metrics();
  }

  /** This process's own values, to be summed with those of others. */
  async values(): Promise<readonly MetricObject[]> {
    this.#collectDefaults();
    return (await this.registry.getMetricsAsJSON()) as MetricObject[];
  }

  #collectDefaults(): void {
    if (this.#hasDefaults) return;
    this.#hasDefaults = true;
    collectDefaultMetrics({ register: this.registry });
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  #counter(name: keyof typeof METRICS, labelNames: string[], collect: () => void = () => undefined): Counter {
    return new Counter({ name, help: METRICS[name], labelNames, registers: [this.registry], collect });
  }

  #gauge(
    name: keyof typeof METRICS,
    aggregator: "sum" | "max",
    collect: (gauge: Gauge) => void = () => undefined,
  ): Gauge {
    const gauge: Gauge = new Gauge({
      name,
      help: METRICS[name],
      aggregator,
      registers: [this.registry],
      collect: () => collect(gauge),
    });
    return gauge;
  }

  #histogram(name: keyof typeof METRICS, buckets: readonly number[], labelNames: string[]): Histogram {
    return new Histogram({ name, help: METRICS[name], buckets: [...buckets], labelNames, registers: [this.registry] });
  }
}
