import { ConfigError } from "./errors.ts";
import type { Section, Warn } from "./section.ts";

/** `distributed_tracing` */
export interface TracingConfig {
  readonly type: "grpc" | "http";
  /** Host and port of the collector. */
  readonly address: string;
  readonly serviceName: string;
  readonly samplePercentage: number;
  readonly encryption: "off" | "tls" | "mtls";
  readonly allowInsecureTls: boolean;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly caCertFile: string | undefined;
  readonly serviceVersion: string;
  readonly serviceInstanceId: string;
  readonly serviceNamespace: string;
  readonly deploymentEnvironment: string;
  readonly batchTimeoutMs: number;
  readonly exportTimeoutMs: number;
  readonly maxExportBatchSize: number;
  readonly maxQueueSize: number;
}

/** The ports OTLP has by default. */
const ADDRESSES = { grpc: "localhost:4317", http: "localhost:4318" } as const;
const ENCRYPTIONS = ["off", "tls", "mtls"] as const;

/**
 * Messages are OPA's (internal/distributedtracing), `encryption_scheme` included.
 *
 * @returns undefined where no type is set: then nothing is traced.
 * @throws {ConfigError}
 */
export function readTracing(root: Section, warn: Warn): TracingConfig | undefined {
  const section = root.section("distributed_tracing", true);
  const type = section.string("type", "");
  if (type !== "" && type !== "grpc" && type !== "http")
    throw new ConfigError(`unknown distributed_tracing.type '${type}', must be "grpc", "http" or "" (unset)`);
  const encryption = textOr(section, "encryption", "off");
  const knownEncryption = ENCRYPTIONS.find((known) => known === encryption);
  if (knownEncryption === undefined)
    throw new ConfigError(`unsupported distributed_tracing.encryption_scheme '${encryption}'`);
  const samplePercentage = section.number("sample_percentage", 100);
  if (!(samplePercentage >= 0 && samplePercentage <= 100))
    throw new ConfigError(`unsupported distributed_tracing.sample_percentage '${samplePercentage}'`);
  const resource = section.section("resource", true);
  const batch = section.section("batch_span_processor_options", true);
  if (batch.boolean("blocking", false))
    warn(
      `${batch.path}.blocking has no effect: spans that find the queue full are dropped, no decision waits for them`,
    );
  const filePath = (key: string): string | undefined => {
    const path = section.string(key, "");
    return path === "" ? undefined : path;
  };
  const tracing: Omit<TracingConfig, "type"> = {
    address: textOr(section, "address", ADDRESSES[type === "http" ? "http" : "grpc"]),
    serviceName: textOr(section, "service_name", "opa"),
    samplePercentage,
    encryption: knownEncryption,
    allowInsecureTls: section.boolean("allow_insecure_tls", false),
    certFile: filePath("tls_cert_file"),
    keyFile: filePath("tls_private_key_file"),
    caCertFile: filePath("tls_ca_cert_file"),
    serviceVersion: resource.string("service_version", ""),
    serviceInstanceId: resource.string("service_instance_id", ""),
    serviceNamespace: resource.string("service_namespace", ""),
    deploymentEnvironment: resource.string("deployment_environment", ""),
    batchTimeoutMs: batch.count("batch_timeout_ms", 1, 5000),
    exportTimeoutMs: batch.count("export_timeout_ms", 1, 30_000),
    maxExportBatchSize: batch.count("max_export_batch_size", 1, 512),
    maxQueueSize: batch.count("max_queue_size", 1, 2048),
  };
  resource.finish();
  batch.finish();
  section.finish();
  if (type === "") return undefined;
  if ((tracing.certFile === undefined) !== (tracing.keyFile === undefined))
    throw new ConfigError("tls_cert_file and tls_private_key_file must be specified together");
  if (encryption === "mtls" && tracing.certFile === undefined)
    throw new ConfigError("tls_cert_file required but not supplied");
  return { type, ...tracing };
}

/** An empty text counts as none, as in OPA. */
function textOr(section: Section, key: string, preset: string): string {
  const text = section.string(key, "");
  return text === "" ? preset : text;
}
