import type { ServiceConfig } from "./bundles.ts";
import { ConfigError } from "./errors.ts";
import type { Section } from "./section.ts";

/** `decision_logs` */
export interface DecisionLogConfig {
  readonly console: boolean;
  /** Absent when nothing is uploaded. */
  readonly service: ServiceConfig | undefined;
  readonly resource: string;
  readonly maskDecision: string;
  readonly dropDecision: string;
  readonly reporting: ReportingConfig;
}

export interface ReportingConfig {
  readonly minDelaySeconds: number;
  readonly maxDelaySeconds: number;
  /** Compressed bytes of one upload. */
  readonly uploadSizeLimitBytes: number;
  readonly bufferType: "size" | "event";
  /** Undefined for no limit. */
  readonly bufferSizeLimitBytes: number | undefined;
  readonly bufferSizeLimitEvents: number;
  readonly maxDecisionsPerSecond: number | undefined;
}

const MIN_UPLOAD_BYTES = 90;
const MAX_UPLOAD_BYTES = 4_294_967_296;

/** @throws {ConfigError} */
export function readDecisionLogs(root: Section, services: readonly ServiceConfig[]): DecisionLogConfig | undefined {
  if (!root.has("decision_logs")) return undefined;
  const section = root.section("decision_logs");
  const isConsole = section.boolean("console", false);
  const plugin = section.string("plugin");
  if (plugin !== undefined) throw new ConfigError(`invalid plugin name ${JSON.stringify(plugin)} in decision_logs`);
  const service = chooseService(section, services, isConsole);
  const partition = section.string("partition_name", "");
  const logs: DecisionLogConfig = {
    console: isConsole,
    service,
    resource: partition === "" ? section.string("resource", "/logs") : `/logs/${partition}`,
    maskDecision: section.string("mask_decision", "/system/log/mask"),
    dropDecision: section.string("drop_decision", "/system/log/drop"),
    reporting: readReporting(section.section("reporting")),
  };
  section.expect("request_context", "nd_builtin_cache", "resource");
  section.finish();
  return isConsole || service !== undefined ? logs : undefined;
}

function chooseService(
  section: Section,
  services: readonly ServiceConfig[],
  isConsole: boolean,
): ServiceConfig | undefined {
  const name = section.string("service", "");
  if (name === "") return isConsole ? undefined : services[0];
  const service = services.find((candidate) => candidate.name === name);
  if (service === undefined) throw new ConfigError(`invalid service name ${JSON.stringify(name)} in decision_logs`);
  return service;
}

function readReporting(section: Section): ReportingConfig {
  const min = section.number("min_delay_seconds");
  const max = section.number("max_delay_seconds");
  if (min === undefined && max !== undefined)
    throw new ConfigError("reporting configuration missing 'min_delay_seconds' in decision_logs");
  if (min !== undefined && max === undefined)
    throw new ConfigError("reporting configuration missing 'max_delay_seconds' in decision_logs");
  if (min !== undefined && max !== undefined && max < min)
    throw new ConfigError("max reporting delay must be >= min reporting delay in decision_logs");
  const bufferType = section.choice("buffer_type", ["size", "event"], "size");
  const maxDecisionsPerSecond = section.number("max_decisions_per_second");
  const bufferSizeLimitBytes = section.count("buffer_size_limit_bytes", 1);
  if (bufferSizeLimitBytes !== undefined && maxDecisionsPerSecond !== undefined) {
    throw new ConfigError(
      "invalid decision_log config, specify either 'buffer_size_limit_bytes' or 'max_decisions_per_second'",
    );
  }
  const upload = section.number("upload_size_limit_bytes", 32_768);
  const reporting: ReportingConfig = {
    minDelaySeconds: min ?? 300,
    maxDelaySeconds: max ?? 600,
    uploadSizeLimitBytes: Math.min(Math.max(upload, MIN_UPLOAD_BYTES), MAX_UPLOAD_BYTES),
    bufferType,
    bufferSizeLimitBytes,
    bufferSizeLimitEvents: section.count("buffer_size_limit_events", 1, 10_000),
    maxDecisionsPerSecond,
  };
  section.expect("trigger");
  section.finish();
  return reporting;
}
