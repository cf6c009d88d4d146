import { describe, expect, test } from "vitest";
import { ConfigError, type PlainObject, readConfig } from "../../src/config/index.ts";

function read(section: PlainObject): { tracing: object | undefined; warnings: string[] } {
  const warnings: string[] = [];
  const { tracing } = readConfig({ distributed_tracing: section }, (message) => warnings.push(message));
  return { tracing, warnings };
}

test("nothing is traced without a type", () => {
  expect(readConfig({}, () => undefined).tracing).toBeUndefined();
  expect(read({ address: "collector:1" })).toEqual({ tracing: undefined, warnings: [] });
});

test("defaults are OPA's (internal/distributedtracing)", () => {
  const { tracing, warnings } = read({ type: "grpc" });
  expect(warnings).toEqual([]);
  expect(tracing).toEqual({
    type: "grpc",
    address: "localhost:4317",
    serviceName: "opa",
    samplePercentage: 100,
    encryption: "off",
    allowInsecureTls: false,
    certFile: undefined,
    keyFile: undefined,
    caCertFile: undefined,
    serviceVersion: "",
    serviceInstanceId: "",
    serviceNamespace: "",
    deploymentEnvironment: "",
    batchTimeoutMs: 5000,
    exportTimeoutMs: 30_000,
    maxExportBatchSize: 512,
    maxQueueSize: 2048,
  });
  expect(read({ type: "http" }).tracing).toMatchObject({ address: "localhost:4318" });
});

test("every key is read, in any case", () => {
  const { tracing, warnings } = read({
    type: "http",
    Address: "c:1",
    service_name: "s",
    sample_percentage: 12.5,
    encryption: "mtls",
    allow_insecure_tls: true,
    tls_cert_file: "c.pem",
    tls_private_key_file: "k.pem",
    tls_ca_cert_file: "ca.pem",
    resource: { service_version: "1", service_instance_id: "i", service_namespace: "n", deployment_environment: "d" },
    batch_span_processor_options: {
      batch_timeout_ms: 1,
      export_timeout_ms: 2,
      max_export_batch_size: 3,
      max_queue_size: 4,
    },
  });
  expect(warnings).toEqual([]);
  expect(tracing).toEqual({
    type: "http",
    address: "c:1",
    serviceName: "s",
    samplePercentage: 12.5,
    encryption: "mtls",
    allowInsecureTls: true,
    certFile: "c.pem",
    keyFile: "k.pem",
    caCertFile: "ca.pem",
    serviceVersion: "1",
    serviceInstanceId: "i",
    serviceNamespace: "n",
    deploymentEnvironment: "d",
    batchTimeoutMs: 1,
    exportTimeoutMs: 2,
    maxExportBatchSize: 3,
    maxQueueSize: 4,
  });
});

test("what cannot be kept is said", () => {
  expect(read({ type: "grpc", batch_span_processor_options: { blocking: true }, adress: "c:1" }).warnings).toEqual([
    "distributed_tracing.batch_span_processor_options.blocking has no effect: spans that find the queue full are dropped, no decision waits for them",
    'distributed_tracing.adress is not a known key; did you mean "address"?',
  ]);
});

/** Texts of opa 1.20.2 and of the plugin with OPA 1.19.1, but for the wrong type, which Go words by its struct. */
describe("what is wrong", () => {
  test.for([
    { section: { type: "x" }, message: `unknown distributed_tracing.type 'x', must be "grpc", "http" or "" (unset)` },
    {
      section: { type: "GRPC" },
      message: `unknown distributed_tracing.type 'GRPC', must be "grpc", "http" or "" (unset)`,
    },
    { section: { encryption: "foo" }, message: "unsupported distributed_tracing.encryption_scheme 'foo'" },
    { section: { sample_percentage: 101 }, message: "unsupported distributed_tracing.sample_percentage '101'" },
    { section: { sample_percentage: -1 }, message: "unsupported distributed_tracing.sample_percentage '-1'" },
    {
      section: { type: "grpc", tls_cert_file: "c.pem" },
      message: "tls_cert_file and tls_private_key_file must be specified together",
    },
    { section: { type: "grpc", encryption: "mtls" }, message: "tls_cert_file required but not supplied" },
    {
      section: { sample_percentage: "abc" },
      message: 'distributed_tracing.sample_percentage: expected a number, got string "abc"',
    },
  ])("$message", ({ section, message }) => {
    expect(() => read(section)).toThrow(new ConfigError(message));
  });
});
