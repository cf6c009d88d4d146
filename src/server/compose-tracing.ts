import { readFile } from "node:fs/promises";
import { ConfigError, type TracingConfig } from "../config/index.ts";
import { type Logger, openTracing, type Tracing, type TracingOptions } from "../telemetry/index.ts";

/** @throws {ConfigError} when a certificate cannot be read. */
export async function composeTracing(config: TracingConfig | undefined, logger: Logger): Promise<Tracing | undefined> {
  if (config === undefined) return undefined;
  return openTracing({
    protocol: config.type,
    address: config.address,
    tls: config.encryption === "off" ? undefined : await readTls(config),
    sampledShare: config.samplePercentage / 100,
    resource: resourceOf(config),
    batch: {
      delayMs: config.batchTimeoutMs,
      exportTimeoutMs: config.exportTimeoutMs,
      spans: config.maxExportBatchSize,
      queuedSpans: config.maxQueueSize,
    },
    logger,
  });
}

/** With `tls` alone a configured pair is not shown to the collector, as in OPA. */
async function readTls(config: TracingConfig): Promise<NonNullable<TracingOptions["tls"]>> {
  const { encryption, certFile, keyFile, caCertFile, allowInsecureTls } = config;
  const hasPair = encryption === "mtls" && certFile !== undefined && keyFile !== undefined;
  return {
    ca: caCertFile === undefined ? undefined : await pem(caCertFile, "tls_ca_cert_file"),
    pair: hasPair
      ? { cert: await pem(certFile, "tls_cert_file"), key: await pem(keyFile, "tls_private_key_file") }
      : undefined,
    skipsVerification: allowInsecureTls,
  };
}

async function pem(path: string, key: string): Promise<Buffer> {
  let text: Buffer;
  try {
    text = await readFile(path);
  } catch (cause) {
    throw new ConfigError(`distributed_tracing.${key}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
  if (text.includes("-----BEGIN ")) return text;
  throw new ConfigError(`distributed_tracing.${key}: ${path} is not in PEM form`);
}

/** Names of OpenTelemetry's semantic conventions 1.7, as OPA uses them. */
function resourceOf(config: TracingConfig): Readonly<Record<string, string>> {
  const attributes: readonly (readonly [string, string])[] = [
    ["service.name", config.serviceName],
    ["service.version", config.serviceVersion],
    ["service.instance.id", config.serviceInstanceId],
    ["service.namespace", config.serviceNamespace],
    ["deployment.environment", config.deploymentEnvironment],
  ];
  return Object.fromEntries(attributes.filter(([, value]) => value !== ""));
}
