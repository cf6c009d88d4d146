import { isDeepStrictEqual } from "node:util";
import type { StatusConfig } from "../config/index.ts";
import type { BundleStatus } from "../policy/index.ts";
import type { JsonObject } from "../rego/value/index.ts";
import type { LineStyle, LineWriter, Logger, Metrics, PluginStates } from "../telemetry/index.ts";
import type { Environment } from "./environment.ts";
import { ServiceClient } from "./service-client.ts";
import { StatusReporter } from "./status-reporter.ts";

/** The name under which `/health?plugins` and `/v1/status` know the reports. */
const STATUS_PLUGIN = "status";

const MAX_REPLY_BYTES = 1024 * 1024;

export interface StatusReportsOptions {
  /** The status as `/v1/status` shows it. */
  readonly document: () => JsonObject;
  readonly states: PluginStates;
  readonly metrics: Metrics;
  readonly writer: LineWriter;
  readonly lines: LineStyle;
  readonly logger: Logger;
  readonly version: string;
  readonly env: Environment;
}

/** Reports on every change of a plugin's state and after every attempt to load a bundle, as OPA does. */
export class StatusReports {
  readonly #options: StatusReportsOptions;
  #config: StatusConfig | undefined;
  #reporter: StatusReporter | undefined;
  #gauges: ReturnType<Metrics["enableStatusMetrics"]> | undefined;

  constructor(options: StatusReportsOptions) {
    this.#options = options;
    options.states.onChange(() => this.#showPlugins());
  }

  /** A configuration that tells nobody leaves things as they are, as in OPA. */
  configure(config: StatusConfig | undefined): void {
    if (config === undefined || isDeepStrictEqual(config, this.#config)) return;
    this.#config = config;
    const { document, writer, lines, logger, metrics, version, states, env } = this.#options;
    if (config.prometheus) this.#gauges ??= metrics.enableStatusMetrics(version);
    this.#reporter = new StatusReporter({
      document,
      console: config.console ? { writer, lines } : undefined,
      upload: uploader(config, env),
      logger: logger.with({ plugin: STATUS_PLUGIN }),
    });
    states.set(STATUS_PLUGIN, "OK");
  }

  /** An attempt to load a bundle is over. */
  attempted(status: BundleStatus): void {
    this.#gauges?.observeBundle(status);
  }

  /** The document is another. */
  report(): void {
    this.#reporter?.changed();
  }

  #showPlugins(): void {
    this.#gauges?.setPlugins([...this.#options.states.all()].map(([name, { state }]) => [name, state]));
  }
}

function uploader(
  { service, partitionName }: StatusConfig,
  env: Environment,
): ((body: Uint8Array) => Promise<number>) | undefined {
  if (service === undefined) return undefined;
  const client = new ServiceClient(service, env);
  const path = partitionName === "" ? "status" : `status/${partitionName}`;
  const headers = { "content-type": "application/json" };
  return async (body) => (await client.send({ method: "POST", path, headers, body, maxBytes: MAX_REPLY_BYTES })).status;
}
