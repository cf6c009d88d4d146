import { type BundleConfig, readBundles, readServices, type ServiceConfig } from "./bundles.ts";
import { type CardeaConfig, readCardea } from "./cardea.ts";
import { ConfigError } from "./errors.ts";
import { type DecisionLogConfig, readDecisionLogs } from "./decision-logs.ts";
import { type DiscoveryConfig, readDiscovery } from "./discovery.ts";
import { type KeyConfig, readKeys } from "./keys.ts";
import { type PluginConfig, readPlugin } from "./plugin.ts";
import { type Plain, type PlainObject, Section, type Warn } from "./section.ts";
import { type ApiConfig, readApi } from "./server.ts";
import { readStatus, type StatusConfig } from "./status.ts";
import { readTracing, type TracingConfig } from "./tracing.ts";

/** The configuration in this program's terms: defaults filled in, units in the names. */
export interface Config {
  readonly labels: Readonly<Record<string, string>>;
  readonly defaultDecision: string;
  readonly defaultAuthorizationDecision: string;
  readonly ndBuiltinCache: boolean;
  readonly persistenceDirectory: string | undefined;
  readonly services: readonly ServiceConfig[];
  readonly keys: ReadonlyMap<string, KeyConfig>;
  readonly bundles: readonly BundleConfig[];
  /** Absent when decisions are not logged. */
  readonly decisionLogs: DecisionLogConfig | undefined;
  readonly status: StatusConfig | undefined;
  /** Absent when no ext_authz plugin is configured: then nothing listens for checks. */
  readonly plugin: PluginConfig | undefined;
  readonly caching: CachingConfig;
  /** Absent when nothing is traced. */
  readonly tracing: TracingConfig | undefined;
  readonly api: ApiConfig;
  /** Absent when the configuration is all here. */
  readonly discovery: DiscoveryConfig | undefined;
  readonly cardea: CardeaConfig;
  /** As written, for `/v1/config`, `opa.runtime()` and the rooms that read blocks of their own. */
  readonly raw: PlainObject;
}

export interface CachingConfig {
  /** Bytes the cache shared by all queries may hold; undefined for no limit. */
  readonly interQueryMaxBytes: number | undefined;
}

/**
 * Reads a configuration document in OPA's shape.
 *
 * @throws {ConfigError} naming the path and what was expected there.
 */
export function readConfig(raw: PlainObject, warn: Warn): Config {
  const root = new Section("", raw, warn);
  const keys = readKeys(root);
  const services = readServices(root, keys);
  const config: Config = {
    labels: root.texts("labels"),
    defaultDecision: root.string("default_decision", "/system/main"),
    defaultAuthorizationDecision: root.string("default_authorization_decision", "/system/authz/allow"),
    ndBuiltinCache: root.boolean("nd_builtin_cache", false),
    persistenceDirectory: root.string("persistence_directory"),
    services,
    keys,
    bundles: readBundles(root, services, keys),
    decisionLogs: readDecisionLogs(root, services),
    status: readStatus(root, services),
    plugin: readPlugins(root),
    caching: readCaching(root),
    tracing: readTracing(root, warn),
    api: readApi(root),
    discovery: readDiscovery(root, services, keys),
    cardea: readCardea(root.section("cardea")),
    raw,
  };
  root.expect("storage", "metrics_export");
  for (const key of ["storage", "metrics_export"]) if (root.has(key)) warn(`${key} has no effect here`);
  root.finish();
  return config;
}

const PLUGIN = "envoy_ext_authz_grpc";
/** The name the plugin had at first; OPA still accepts it. */
const LEGACY_PLUGIN = "envoy.ext_authz.grpc";

function readPlugins(root: Section): PluginConfig | undefined {
  const plugins = root.section("plugins");
  const isConfigured = (name: string): boolean => plugins.keys.includes(name);
  const other = plugins.keys.find((name) => name !== PLUGIN && name !== LEGACY_PLUGIN);
  if (other !== undefined) throw new ConfigError(`plugin ${JSON.stringify(other)} not registered`);
  const name = isConfigured(PLUGIN) ? PLUGIN : LEGACY_PLUGIN;
  return isConfigured(name) ? readPlugin(plugins.section(name, true)) : undefined;
}

function readCaching(root: Section): CachingConfig {
  const caching = root.section("caching");
  const cache = caching.section("inter_query_builtin_cache");
  const interQueryMaxBytes = cache.count("max_size_bytes", 0);
  cache.expect("forced_eviction_threshold_percentage", "stale_entry_eviction_period_seconds");
  cache.finish();
  caching.expect("inter_query_builtin_cache", "inter_query_builtin_value_cache");
  caching.finish();
  return { interQueryMaxBytes };
}

/** The configuration as `/v1/config` shows it: with defaults, without credentials and keys. */
export function publicConfig(config: Config, labels: Readonly<Record<string, string>>): PlainObject {
  const shown: Record<string, Plain> = {
    ...config.raw,
    labels,
    default_decision: config.defaultDecision,
    default_authorization_decision: config.defaultAuthorizationDecision,
  };
  if (shown["services"] !== undefined) shown["services"] = without(shown["services"], ["credentials"]);
  if (shown["keys"] !== undefined) shown["keys"] = without(shown["keys"], ["key", "private_key"]);
  return shown;
}

/** Leaves members out of each object of a list or mapping. */
function without(value: Plain, hidden: readonly string[]): Plain {
  const strip = (member: Plain): Plain =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).filter(([key]) => !hidden.includes(key)))
      : member;
  if (Array.isArray(value)) return value.map(strip);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, strip(member as Plain)]));
}
