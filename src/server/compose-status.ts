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

export interface StatusParts {
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

/**
 * Reports on every change of a plugin's state and after every attempt to load a bundle, as OPA does.
 *
 * @returns what to tell of such attempts.
 */
export function composeStatus(
  config: StatusConfig | undefined,
  { document, states, metrics, writer, lines, logger, version, env }: StatusParts,
): (status: BundleStatus) => void {
  if (config === undefined) return () => undefined;
  const gauges = config.prometheus ? metrics.enableStatusMetrics(version) : undefined;
  const reporter = new StatusReporter({
    document,
    console: config.console ? { writer, lines } : undefined,
    upload: uploader(config, env),
    logger: logger.with({ plugin: STATUS_PLUGIN }),
  });
  states.set(STATUS_PLUGIN, "OK");
  states.onChange(() => {
    gauges?.setPlugins([...states.all()].map(([name, { state }]) => [name, state]));
    reporter.changed();
  });
  return (status) => {
    gauges?.observeBundle(status);
    reporter.changed();
  };
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
