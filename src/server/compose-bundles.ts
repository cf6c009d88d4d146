import { join } from "node:path";
import type { BundleConfig, Config, KeyConfig } from "../config/index.ts";
import {
  type Accept,
  BundleSource,
  type BundleSourceOptions,
  type BundleStatus,
  type PolicyStore,
  type Verification,
} from "../policy/index.ts";
import type { Logger, PluginStates } from "../telemetry/index.ts";
import type { Environment } from "./environment.ts";
import { ServiceClient } from "./service-client.ts";

/** The name under which `/health?bundles` and `/v1/status` know all bundles together. */
const BUNDLE_PLUGIN = "bundle";

/** Sources of the configured bundles, not yet started. */
export function composeBundles(
  config: Config,
  {
    store,
    accept,
    onAttempt,
    env,
  }: {
    readonly store: PolicyStore;
    readonly accept: Accept;
    /** Called after every attempt to bring a bundle up to date. */
    readonly onAttempt: (status: BundleStatus) => void;
    readonly env: Environment;
  },
  states: PluginStates,
  logger: Logger,
): readonly BundleSource[] {
  if (config.bundles.length === 0) return [];
  states.set(BUNDLE_PLUGIN, "NOT_READY");
  const sources: BundleSource[] = [];
  const report = (): void => {
    if (sources.every((source) => source.isActivated)) states.set(BUNDLE_PLUGIN, "OK");
  };
  const persistDirectory = config.persistenceDirectory ?? join(process.cwd(), ".opa");
  for (const bundle of config.bundles) {
    sources.push(
      new BundleSource({
        name: bundle.name,
        resource: bundle.resource,
        fetch: fetcher(bundle, env),
        minDelaySeconds: bundle.polling.minDelaySeconds,
        maxDelaySeconds: bundle.polling.maxDelaySeconds,
        longPollingSeconds: bundle.polling.longPollingTimeoutSeconds,
        fileBytes: bundle.sizeLimitBytes,
        verification: verificationOf(bundle, config.keys),
        persistDirectory: bundle.persist ? persistDirectory : undefined,
        activate: async (part) => {
          await store.updateAside(new Map([[bundle.name, part]]), accept);
        },
        onStatus: report,
        onAttempt,
        logger: logger.with({ plugin: BUNDLE_PLUGIN }),
      }),
    );
  }
  return sources;
}

function fetcher(bundle: BundleConfig, env: Environment): BundleSourceOptions["fetch"] {
  if (bundle.service === undefined) return undefined;
  const client = new ServiceClient(bundle.service, env);
  return (path, headers, waitMs, signal) =>
    client.send({ method: "GET", path, headers, waitMs, signal, maxBytes: bundle.sizeLimitBytes });
}

function verificationOf({ signing }: BundleConfig, keys: ReadonlyMap<string, KeyConfig>): Verification | undefined {
  return signing === undefined
    ? undefined
    : { keys, keyId: signing.keyId, scope: signing.scope, exclude: signing.exclude };
}
