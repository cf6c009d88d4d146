import { type PollingConfig, readPolling, readSigning, type ServiceConfig, type SigningConfig } from "./bundles.ts";
import { trimBoth } from "../base/index.ts";
import { ConfigError } from "./errors.ts";
import type { KeyConfig } from "./keys.ts";
import type { Section } from "./section.ts";

/** `discovery`: the bundle that holds the rest of the configuration. */
export interface DiscoveryConfig {
  /** Of the bundle, where it is kept. */
  readonly name: string;
  readonly service: ServiceConfig;
  readonly resource: string;
  /** Path below `data` of the configuration document; empty for all of `data`. */
  readonly decision: string;
  readonly persist: boolean;
  readonly polling: PollingConfig;
  readonly sizeLimitBytes: number;
  /** Absent where the bundle is not verified. */
  readonly signing: SigningConfig | undefined;
}

/** Messages are OPA's (v1/plugins/discovery/config.go). @throws {ConfigError} */
export function readDiscovery(
  root: Section,
  services: readonly ServiceConfig[],
  keys: ReadonlyMap<string, KeyConfig>,
): DiscoveryConfig | undefined {
  if (!root.has("discovery")) return undefined;
  const section = root.section("discovery");
  const name = section.string("name");
  const resource = section.string("resource");
  if (resource === undefined && name === undefined) throw new ConfigError("missing required discovery.resource field");
  const prefix = section.string("prefix", "bundles");
  const config: DiscoveryConfig = {
    name: name ?? "discovery",
    service: serviceOf(section.string("service", ""), services),
    resource: resource ?? `${trimBoth(prefix, "/")}/${trimBoth(name ?? "", "/")}`,
    decision: trimBoth(section.string("decision", name ?? ""), "/"),
    persist: section.boolean("persist", false),
    polling: readPolling(section.section("polling")),
    sizeLimitBytes: section.count("size_limit_bytes", 1, 1_073_741_824),
    signing: readSigning(section, keys),
  };
  if (section.choice("trigger", ["periodic", "manual"], "periodic") === "manual")
    throw new ConfigError("discovery.trigger: manual is not supported, for nothing here can trigger it; use periodic");
  section.finish();
  return config;
}

function serviceOf(wanted: string, services: readonly ServiceConfig[]): ServiceConfig {
  const service =
    wanted === "" ? (services.length === 1 ? services[0] : undefined) : services.find(({ name }) => name === wanted);
  if (service !== undefined) return service;
  const problem =
    wanted !== ""
      ? `service name ${JSON.stringify(wanted)} not found`
      : services.length === 0
        ? "no service is defined"
        : "more than one service is defined";
  throw new ConfigError(`invalid configuration for discovery service: ${problem}`);
}
