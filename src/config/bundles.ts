import { type Credentials, readCredentials } from "./credentials.ts";
import { ConfigError } from "./errors.ts";
import type { KeyConfig } from "./keys.ts";
import type { Section } from "./section.ts";

/** `services.*` */
export interface ServiceConfig {
  readonly name: string;
  /** Without a slash at its end. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly responseHeaderTimeoutSeconds: number;
  readonly allowInsecureTls: boolean;
  readonly caCertFile: string | undefined;
  /** Absent for services that ask for none. */
  readonly credentials: Credentials | undefined;
}

/** `bundles.*` */
export interface BundleConfig {
  readonly name: string;
  /** Absent for `file://` resources. */
  readonly service: ServiceConfig | undefined;
  readonly resource: string;
  readonly persist: boolean;
  readonly polling: PollingConfig;
  readonly sizeLimitBytes: number;
  /** Absent where bundles are not verified. */
  readonly signing: SigningConfig | undefined;
}

export interface PollingConfig {
  readonly minDelaySeconds: number;
  readonly maxDelaySeconds: number;
  /** Absent: no long polling. */
  readonly longPollingTimeoutSeconds: number | undefined;
}

export interface SigningConfig {
  readonly keyId: string;
  readonly scope: string;
  readonly exclude: readonly string[];
}

/** @throws {ConfigError} */
export function readServices(root: Section, keys: ReadonlyMap<string, KeyConfig>): readonly ServiceConfig[] {
  return root.named("services").map(([name, section]) => {
    const tls = section.section("tls");
    if (section.string("type", "") === "oci")
      throw new ConfigError(`${section.path}.type: oci registries are not supported; serve the bundle over HTTP`);
    const service: ServiceConfig = {
      name,
      url: section.string("url", "").replace(/\/+$/, ""),
      headers: section.texts("headers"),
      responseHeaderTimeoutSeconds: section.number("response_header_timeout_seconds", 10),
      allowInsecureTls: section.boolean("allow_insecure_tls", false),
      caCertFile: tls.string("ca_cert"),
      credentials: readCredentials(section.section("credentials"), keys),
    };
    tls.expect("system_ca_required");
    tls.finish();
    section.expect("name");
    section.finish();
    return service;
  });
}

/** @throws {ConfigError} */
export function readBundles(
  root: Section,
  services: readonly ServiceConfig[],
  keys: ReadonlyMap<string, KeyConfig>,
): readonly BundleConfig[] {
  return root.named("bundles").map(([name, section]) => {
    try {
      return readBundle(name, section, services, keys);
    } catch (cause) {
      if (!(cause instanceof ConfigError)) throw cause;
      throw new ConfigError(`invalid configuration for bundle ${JSON.stringify(name)}: ${cause.message}`, { cause });
    }
  });
}

function readBundle(
  name: string,
  section: Section,
  services: readonly ServiceConfig[],
  keys: ReadonlyMap<string, KeyConfig>,
): BundleConfig {
  const resource = section.string("resource", `bundles/${name}`);
  const bundle: BundleConfig = {
    name,
    service: resource.startsWith("file://") ? undefined : serviceOf(section, services),
    resource,
    persist: section.boolean("persist", false),
    polling: readPolling(section.section("polling")),
    sizeLimitBytes: section.count("size_limit_bytes", 1, 1_073_741_824),
    signing: readSigning(section, keys),
  };
  section.expect("trigger", "name", "service");
  section.finish();
  return bundle;
}

function serviceOf(section: Section, services: readonly ServiceConfig[]): ServiceConfig {
  const wanted = section.string("service", "");
  const service = wanted === "" ? services[0] : services.find((candidate) => candidate.name === wanted);
  if (service !== undefined) return service;
  throw new ConfigError(
    wanted === "" ? "no service is configured to download from" : `service name ${JSON.stringify(wanted)} not found`,
  );
}

/** @throws {ConfigError} */
export function readPolling(section: Section): PollingConfig {
  const min = section.number("min_delay_seconds");
  const max = section.number("max_delay_seconds");
  if ((min === undefined) !== (max === undefined)) {
    throw new ConfigError(`polling configuration missing '${min === undefined ? "min" : "max"}_delay_seconds'`);
  }
  if (min !== undefined && max !== undefined && max < min)
    throw new ConfigError("max polling delay must be >= min polling delay");
  const longPolling = section.number("long_polling_timeout_seconds");
  if (longPolling !== undefined && longPolling < 1)
    throw new ConfigError("'long_polling_timeout_seconds' must be at least 1");
  section.finish();
  return { minDelaySeconds: min ?? 60, maxDelaySeconds: max ?? 120, longPollingTimeoutSeconds: longPolling };
}

/** Configured keys switch verification on even for bundles that do not mention it. @throws {ConfigError} */
export function readSigning(section: Section, keys: ReadonlyMap<string, KeyConfig>): SigningConfig | undefined {
  if (!section.has("signing")) return keys.size === 0 ? undefined : { keyId: "", scope: "", exclude: [] };
  const signing = section.section("signing");
  const config: SigningConfig = {
    keyId: signing.string("keyid", ""),
    scope: signing.string("scope", ""),
    exclude: signing.strings("exclude_files") ?? [],
  };
  signing.finish();
  if (config.keyId !== "" && !keys.has(config.keyId))
    throw new ConfigError(`key not found for verification key id ${JSON.stringify(config.keyId)}`);
  return config;
}
