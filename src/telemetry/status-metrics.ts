import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** OPA's metrics about bundles and plugins (v1/plugins/status/metrics.go), with `status.prometheus`. */
const STATUS_METRICS = {
  opa_info: "Information about the OPA environment.",
  plugin_status_gauge: "Gauge for the plugin by status.",
  bundle_loaded_counter: "Counter for the bundle loaded.",
  bundle_failed_load_counter: "Counter for the failed bundle load.",
  last_bundle_request: "Gauge for the last bundle request.",
  last_success_bundle_activation: "Gauge for the last success bundle activation.",
  last_success_bundle_download: "Gauge for the last success bundle download.",
  last_success_bundle_request: "Gauge for the last success bundle request.",
  bundle_loading_duration_ns: "Histogram for the bundle loading duration by stage.",
} as const;

export interface BundleFigures {
  readonly name: string;
  readonly activeRevision: string | undefined;
  readonly lastSuccessfulActivationMs: number | undefined;
  readonly lastSuccessfulDownloadMs: number | undefined;
  readonly lastSuccessfulRequestMs: number | undefined;
  readonly lastRequestMs: number | undefined;
  readonly error: string | undefined;
  readonly metrics: Readonly<Record<string, number>>;
}

/** 1000 ns, doubled nineteen times. */
const DURATION_BUCKETS = Array.from({ length: 20 }, (_, i) => 1000 * 2 ** i);
/** Messages are labels: long ones, which may differ in every byte, are cut. */
const MAX_MESSAGE_LENGTH = 200;

export class StatusMetrics {
  readonly #plugins: Gauge;
  readonly #loaded: Counter;
  readonly #failed: Counter;
  readonly #request: Gauge;
  readonly #activation: Gauge;
  readonly #download: Gauge;
  readonly #goodRequest: Gauge;
  readonly #duration: Histogram;
  /** The revision each bundle was last shown with: another one takes its place. */
  readonly #shown = new Map<string, string>();

  constructor(registry: Registry, version: string) {
    const about = (name: keyof typeof STATUS_METRICS, labelNames: string[]) => ({
      name,
      help: STATUS_METRICS[name],
      labelNames,
      registers: [registry],
    });
    // Of several workers the latest counts.
    const gauge = (name: keyof typeof STATUS_METRICS, labelNames: string[]): Gauge =>
      new Gauge({ ...about(name, labelNames), aggregator: "max" });
    gauge("opa_info", ["version"]).set({ version }, 1);
    this.#plugins = gauge("plugin_status_gauge", ["name", "status"]);
    this.#loaded = new Counter(about("bundle_loaded_counter", ["name"]));
    this.#failed = new Counter(about("bundle_failed_load_counter", ["name", "code", "message"]));
    this.#request = gauge("last_bundle_request", ["name"]);
    this.#activation = gauge("last_success_bundle_activation", ["name", "active_revision"]);
    this.#download = gauge("last_success_bundle_download", ["name"]);
    this.#goodRequest = gauge("last_success_bundle_request", ["name"]);
    this.#duration = new Histogram({
      ...about("bundle_loading_duration_ns", ["name", "stage"]),
      buckets: DURATION_BUCKETS,
    });
  }

  setPlugins(states: Iterable<readonly [name: string, state: string]>): void {
    this.#plugins.reset();
    for (const [name, status] of states) this.#plugins.set({ name, status }, 1);
  }

  /** Takes the outcome of one attempt to load a bundle. */
  observeBundle(bundle: BundleFigures): void {
    const { name, error } = bundle;
    if (error === undefined) this.#loaded.inc({ name });
    else this.#failed.inc({ name, code: "bundle_error", message: error.slice(0, MAX_MESSAGE_LENGTH) });
    const revision = bundle.activeRevision ?? "";
    const before = this.#shown.get(name);
    if (before !== undefined && before !== revision) this.#activation.remove({ name, active_revision: before });
    if (bundle.lastSuccessfulActivationMs !== undefined) {
      this.#shown.set(name, revision);
      this.#activation.set({ name, active_revision: revision }, toNs(bundle.lastSuccessfulActivationMs));
    }
    if (bundle.lastSuccessfulDownloadMs !== undefined)
      this.#download.set({ name }, toNs(bundle.lastSuccessfulDownloadMs));
    if (bundle.lastSuccessfulRequestMs !== undefined)
      this.#goodRequest.set({ name }, toNs(bundle.lastSuccessfulRequestMs));
    if (bundle.lastRequestMs !== undefined) this.#request.set({ name }, toNs(bundle.lastRequestMs));
    for (const [stage, ns] of Object.entries(bundle.metrics)) this.#duration.observe({ name, stage }, ns);
  }
}

function toNs(ms: number): number {
  return ms * 1e6;
}
