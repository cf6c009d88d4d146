export type { BundleConfig, KeyConfig, PollingConfig, ServiceConfig, SigningConfig } from "./bundles.ts";
export type { CardeaConfig, GrpcConfig, GrpcTlsConfig, LimitsConfig, MeshConfig } from "./cardea.ts";
export { type CachingConfig, type Config, publicConfig, readConfig, type StatusConfig } from "./config.ts";
export type { DecisionLogConfig, ReportingConfig } from "./decision-logs.ts";
export { ConfigError } from "./errors.ts";
export { type ConfigSources, loadConfig, parseConfigText, substituteEnv } from "./load.ts";
export { nearest } from "./nearest.ts";
export type { PluginConfig } from "./plugin.ts";
export type { Plain, PlainObject } from "./section.ts";
