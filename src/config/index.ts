export type { BundleConfig, PollingConfig, ServiceConfig, SigningConfig } from "./bundles.ts";
export type { CardeaConfig, GrpcConfig, GrpcTlsConfig, HttpAuthzConfig, LimitsConfig } from "./cardea.ts";
export { type CachingConfig, type Config, publicConfig, readConfig } from "./config.ts";
export type {
  AwsKeySource,
  AwsSigningConfig,
  AzureIdentityConfig,
  BearerConfig,
  Credentials,
  GcpMetadataConfig,
  Oauth2Config,
  SignedProof,
} from "./credentials.ts";
export type { DecisionLogConfig, ReportingConfig } from "./decision-logs.ts";
export { type Discovered, withDiscovered } from "./discovered.ts";
export type { DiscoveryConfig } from "./discovery.ts";
export { ConfigError } from "./errors.ts";
export type { KeyConfig } from "./keys.ts";
export { type ConfigSources, loadConfig, parseConfigText, substituteEnv } from "./load.ts";
export { nearest } from "./nearest.ts";
export type { DefaultWorkloadConfig, MeshConfig, WorkloadConfig } from "./mesh.ts";
export type { PluginConfig } from "./plugin.ts";
export type { Plain, PlainObject } from "./section.ts";
export type { ApiConfig } from "./server.ts";
export type { StatusConfig } from "./status.ts";
export type { TracingConfig } from "./tracing.ts";
