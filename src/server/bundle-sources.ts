import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { BundleConfig, Config, KeyConfig, ServiceConfig, SigningConfig } from "../config/index.ts";
import {
  type Accept,
  BundleSource,
  type BundleSourceOptions,
  type BundleStatus,
  isUnderRoots,
  LoadError,
  type Part,
  type PolicyStore,
  type Verification,
} from "../policy/index.ts";
import type { Logger, PluginStates } from "../telemetry/index.ts";
import type { Environment } from "./environment.ts";
import { ServiceClient } from "./service-client.ts";

/** The name under which `/health?bundles` and `/v1/status` know all bundles together. */
const BUNDLE_PLUGIN = "bundle";

export interface BundleSourcesOptions {
  readonly store: PolicyStore;
  readonly accept: Accept;
  /** Called after every attempt to bring a bundle up to date. */
  readonly onAttempt: (status: BundleStatus) => void;
  readonly env: Environment;
  readonly states: PluginStates;
  readonly logger: Logger;
}

/** What one source was made from: as long as it stays the same, so does the source. */
interface Settings {
  readonly bundle: BundleConfig;
  readonly keys: ReadonlyMap<string, KeyConfig> | undefined;
  readonly persistDirectory: string | undefined;
}

interface Entry {
  readonly settings: Settings;
  readonly source: BundleSource;
}

/** The configured bundles. What is no more configured serves on until its successors are there, so that there is no gap. */
export class BundleSources {
  readonly #options: BundleSourcesOptions;
  readonly #logger: Logger;
  readonly #entries = new Map<string, Entry>();
  /** Roots of the bundles in the store. */
  readonly #active = new Map<string, readonly string[]>();
  #isStarted = false;
  #isStopped = false;

  constructor(options: BundleSourcesOptions) {
    this.#options = options;
    this.#logger = options.logger.with({ plugin: BUNDLE_PLUGIN });
  }

  /** Makes the sources those of a configuration; ones that stay as they were are left alone. */
  configure({ bundles, keys, persistenceDirectory }: Config): void {
    const wanted = new Map<string, Settings>(
      bundles.map((bundle) => [
        bundle.name,
        {
          bundle,
          keys: bundle.signing === undefined ? undefined : keys,
          persistDirectory: bundle.persist ? persistDirectoryOf(persistenceDirectory) : undefined,
        },
      ]),
    );
    for (const [name, { settings, source }] of this.#entries) {
      if (isDeepStrictEqual(settings, wanted.get(name))) continue;
      source.stop();
      this.#entries.delete(name);
    }
    for (const [name, settings] of wanted) {
      if (this.#entries.has(name)) continue;
      const source = this.#open(settings);
      this.#entries.set(name, { settings, source });
      if (this.#isStarted && !this.#isStopped) void source.start();
    }
    this.#report();
    if (this.#isStarted) this.#dropStale();
  }

  get statuses(): readonly BundleStatus[] {
    return [...this.#entries.values()].map(({ source }) => source.status);
  }

  /** Whether every source has brought its bundle. */
  get areActivated(): boolean {
    return [...this.#entries.values()].every(({ source }) => source.isActivated);
  }

  /** Whether a bundle that is configured has never been there. */
  get isIncomplete(): boolean {
    return [...this.#entries.keys()].some((name) => !this.#active.has(name));
  }

  /** Resolves when the first attempts are over. */
  async start(): Promise<void> {
    this.#isStarted = true;
    await Promise.all([...this.#entries.values()].map(({ source }) => source.start()));
  }

  stop(): void {
    this.#isStopped = true;
    for (const { source } of this.#entries.values()) source.stop();
  }

  #open({ bundle, keys, persistDirectory }: Settings): BundleSource {
    const { onAttempt, env } = this.#options;
    const source: BundleSource = new BundleSource({
      name: bundle.name,
      resource: bundle.resource,
      fetch: bundle.service && fetcher(bundle.service, bundle.sizeLimitBytes, env),
      minDelaySeconds: bundle.polling.minDelaySeconds,
      maxDelaySeconds: bundle.polling.maxDelaySeconds,
      longPollingSeconds: bundle.polling.longPollingTimeoutSeconds,
      fileBytes: bundle.sizeLimitBytes,
      verification: verificationOf(bundle.signing, keys),
      persistDirectory,
      activate: (part) => this.#activate(bundle.name, source, part),
      onStatus: () => this.#report(),
      onAttempt: (status) => {
        onAttempt(status);
        this.#dropStale();
      },
      logger: this.#logger,
    });
    return source;
  }

  async #activate(name: string, source: BundleSource, part: Part): Promise<void> {
    if (this.#entries.get(name)?.source !== source)
      throw new LoadError("bad_bundle", `${name}: the bundle is not configured any more`);
    const { store, accept } = this.#options;
    const roots = part.bundle?.roots ?? [];
    const replaced = this.#stale().filter((other) => doOverlap(this.#active.get(other) ?? [], roots));
    const removals = replaced.map((other) => [other, undefined] as const);
    await store.updateAside(new Map<string, Part | undefined>([...removals, [name, part]]), accept);
    this.#active.set(name, roots);
    for (const other of replaced) this.#active.delete(other);
  }

  /** Bundles in the store that are no more configured. */
  #stale(): readonly string[] {
    return [...this.#active.keys()].filter((name) => !this.#entries.has(name));
  }

  /** Once all that are configured are there, whatever else is goes: that was asked for, even if it leaves nothing. */
  #dropStale(): void {
    const stale = this.#stale();
    if (stale.length === 0 || !this.areActivated) return;
    this.#options.store
      .updateAside(new Map(stale.map((name) => [name, undefined])))
      .then(() => {
        for (const name of stale) if (!this.#entries.has(name)) this.#active.delete(name);
        this.#logger.info("Bundles that are no more configured were removed.", { names: stale });
      })
      .catch((cause: unknown) =>
        this.#logger.error("Bundles that are no more configured could not be removed.", { names: stale, err: cause }),
      );
  }

  #report(): void {
    const { states } = this.#options;
    if (this.#entries.size > 0 || states.get(BUNDLE_PLUGIN) !== undefined)
      states.set(BUNDLE_PLUGIN, this.areActivated ? "OK" : "NOT_READY");
  }
}

export function persistDirectoryOf(configured: string | undefined): string {
  return configured ?? join(process.cwd(), ".opa");
}

export function fetcher(service: ServiceConfig, maxBytes: number, env: Environment): BundleSourceOptions["fetch"] {
  const client = new ServiceClient(service, env);
  return (path, headers, waitMs, signal) => client.send({ method: "GET", path, headers, waitMs, signal, maxBytes });
}

export function verificationOf(
  signing: SigningConfig | undefined,
  keys: ReadonlyMap<string, KeyConfig> | undefined,
): Verification | undefined {
  return signing && keys && { keys, keyId: signing.keyId, scope: signing.scope, exclude: signing.exclude };
}

function doOverlap(some: readonly string[], others: readonly string[]): boolean {
  return some.some((root) => isUnderRoots(others, root)) || others.some((root) => isUnderRoots(some, root));
}
