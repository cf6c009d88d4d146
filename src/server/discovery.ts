import { finish } from "../base/index.ts";
import {
  type Config,
  type Discovered,
  type DiscoveryConfig,
  parseConfigText,
  type PlainObject,
  substituteEnv,
  withDiscovered,
} from "../config/index.ts";
import {
  BundleSource,
  type BundleStatus,
  type Compile,
  LoadError,
  type Part,
  pathEntrypoint,
} from "../policy/index.ts";
import { type Io, valueWithIo } from "../rego/engine/index.ts";
import { toJsonText, type Value } from "../rego/value/index.ts";
import type { Logger, PluginStates } from "../telemetry/index.ts";
import { fetcher, persistDirectoryOf, verificationOf } from "./bundle-sources.ts";
import type { Environment } from "./environment.ts";

/** The name under which `/health?plugins` and `/v1/status` know it. */
const DISCOVERY_PLUGIN = "discovery";

/** Bounds of the query for the configuration: it shares the event loop with requests. */
const EVALUATION_MS = 250;
const EVALUATION_STEPS = 50_000_000;

export interface DiscoveryOptions {
  /** What the server was started with. */
  readonly boot: Config;
  readonly discovery: DiscoveryConfig;
  readonly compile: Compile;
  readonly runtime: Value;
  readonly env: Environment;
  readonly io: Io;
  /** Makes a configuration the live one. @throws and nothing has changed. */
  readonly apply: (config: Config) => Promise<void>;
  readonly onAttempt: (status: BundleStatus) => void;
  readonly states: PluginStates;
  readonly logger: Logger;
}

/** Follows a bundle whose policies and data say how the server is configured. One that is no good leaves the last good one. */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #logger: Logger;
  readonly #source: BundleSource;
  #overridden: readonly string[] = [];

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#logger = options.logger.with({ plugin: DISCOVERY_PLUGIN });
    const { discovery, boot, env, states, onAttempt } = options;
    const { polling } = discovery;
    states.set(DISCOVERY_PLUGIN, "NOT_READY");
    this.#source = new BundleSource({
      name: discovery.name,
      resource: discovery.resource,
      fetch: fetcher(discovery.service, discovery.sizeLimitBytes, env),
      minDelaySeconds: polling.minDelaySeconds,
      maxDelaySeconds: polling.maxDelaySeconds,
      longPollingSeconds: polling.longPollingTimeoutSeconds,
      fileBytes: discovery.sizeLimitBytes,
      verification: verificationOf(discovery.signing, boot.keys),
      persistDirectory: discovery.persist ? persistDirectoryOf(boot.persistenceDirectory) : undefined,
      activate: (part) => this.#activate(part),
      onStatus: () => this.#report(),
      onAttempt,
      logger: this.#logger,
    });
  }

  get isActivated(): boolean {
    return this.#source.isActivated;
  }

  /** As of a bundle, under the name OPA gives it. */
  get status(): BundleStatus {
    return { ...this.#source.status, name: DISCOVERY_PLUGIN };
  }

  /** What is worth knowing about the configuration that is live. */
  get message(): string | undefined {
    return this.#overridden.length === 0
      ? undefined
      : `Keys in the discovered configuration overridden by boot configuration: ${this.#overridden.join(", ")}`;
  }

  /** Resolves when the first attempt is over. */
  start(): Promise<void> {
    return this.#source.start();
  }

  stop(): void {
    this.#source.stop();
  }

  async #activate(part: Part): Promise<void> {
    const { boot, apply } = this.#options;
    const { config, overridden }: Discovered = withDiscovered(boot, await this.#evaluate(part), (message) =>
      this.#logger.warning(`config: ${message}`),
    );
    await apply(config);
    this.#overridden = overridden;
  }

  async #evaluate({ modules, data }: Part): Promise<PlainObject> {
    const { discovery, compile, runtime, env, io } = this.#options;
    const policy = finish(compile(modules, data, undefined));
    const { path } = pathEntrypoint(discovery.decision) as { readonly path: readonly (string | number)[] };
    const limits = { deadlineMs: Date.now() + EVALUATION_MS, maxSteps: EVALUATION_STEPS };
    const value = await valueWithIo(policy.entrypoint(path), { runtime, env, ...limits }, io);
    if (value === undefined) throw new LoadError("bad_bundle", "undefined configuration");
    return parseConfigText("discovered configuration", substituteEnv(toJsonText(value), env));
  }

  /** Once there is a good configuration, a bad one after it is told, and does not take the server out of service. */
  #report(): void {
    const { isActivated, status } = this.#source;
    const { error } = status;
    this.#options.states.set(
      DISCOVERY_PLUGIN,
      isActivated ? "OK" : "NOT_READY",
      error === undefined || !isActivated ? error : `the last good configuration is in use: ${error}`,
    );
  }
}
