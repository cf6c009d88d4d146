import { type Config, ConfigError } from "../config/index.ts";
import type { IdentityOptions } from "../decision/index.ts";
import { Authenticator, IdentityConfigError, type KeySourceStatus, readIdentityConfig } from "../identity/index.ts";
import {
  type Declared,
  extensionBuiltins,
  extensionHost,
  extensionsOf,
  type MeshOptions,
  type PolicyStore,
} from "../policy/index.ts";
import { Limiter, openRateLimitStore, type RateLimitStore, readRateLimitStoreConfig } from "../ratelimit/index.ts";
import type { Builtin, IoAnswer } from "../rego/engine/index.ts";
import type { Value } from "../rego/value/index.ts";
import type { Logger, Metrics } from "../telemetry/index.ts";

/** What policy documents need around them: the mesh, counters, and whoever verifies tokens. */
export interface DeclaredParts {
  readonly mesh: MeshOptions;
  readonly identity: IdentityOptions;
  /** Builtins over a snapshot's schedules and limits. */
  readonly extend: (declared: Declared | undefined) => readonly Builtin[];
  /** Answers their requests, where counters live elsewhere. */
  readonly host: (name: string, operand: Value) => Promise<IoAnswer>;
  /** What is known of the keys of tokens, for `/v1/status`. */
  readonly keys: () => readonly KeySourceStatus[];
  /** Lets issuers be asked for the keys of each snapshot's tokens. */
  follow(store: PolicyStore): void;
  close(): Promise<void>;
}

/** @throws {ConfigError} */
export async function composeDeclared(config: Config, metrics: Metrics, logger: Logger): Promise<DeclaredParts> {
  const { trustsEnvoy, rules, settings, unknownKeys } = identityConfig(config);
  for (const key of unknownKeys) logger.warning(`config: ${key} is not a known key`);
  const counters = await openCounters(config, logger);
  const limiter = new Limiter(counters, ({ name }) => metrics.rateLimitFailures.inc({ limit: name }));
  const onFetched = fetchReporter(metrics, logger);
  const authenticator = new Authenticator({ settings, onFetched });
  const keys = (): readonly KeySourceStatus[] => authenticator.status();
  metrics.watchTokenKeys(() => keys().map(({ location, ...rest }) => ({ source: location, ...rest })));
  const { isMeshDescribed, mesh } = config.cardea;
  return {
    // The proxy's own claims reach policies as an identity, never as metadata.
    mesh: {
      mesh: { ...mesh, trustJwtAuthnMetadata: false },
      isDescribed: isMeshDescribed,
      limits: config.cardea.limits.policies,
    },
    identity: { authenticator, trustsEnvoy, rules },
    extend: (declared) => extensionBuiltins(declared?.extensions ?? extensionsOf(undefined), limiter),
    host: extensionHost(limiter),
    keys,
    follow(store) {
      store.onPublish(({ declared, hasDecidingModules }) => {
        if (declared?.isEmpty === true && !hasDecidingModules)
          logger.warning("There are no policies. As in a mesh without policies, every request is allowed.");
        const all = [...(declared?.allTokenRules ?? []), ...rules];
        authenticator
          .configure(all)
          .catch((cause: unknown) => logger.error("Keys of tokens could not be prepared.", { err: cause }));
      });
    },
    async close() {
      authenticator.stop();
      await counters.close();
    },
  };
}

function identityConfig({ cardea }: Config): ReturnType<typeof readIdentityConfig> {
  try {
    return readIdentityConfig(cardea.identity, cardea.limits.tokenBytes);
  } catch (cause) {
    if (cause instanceof IdentityConfigError) throw new ConfigError(cause.message, { cause });
    throw cause;
  }
}

async function openCounters({ cardea }: Config, logger: Logger): Promise<RateLimitStore> {
  try {
    return await openRateLimitStore(readRateLimitStoreConfig(cardea.rateLimits), (error) =>
      logger.error("The store of rate limits cannot be reached.", { err: error }),
    );
  } catch (cause) {
    if (cause instanceof RangeError) throw new ConfigError(cause.message, { cause });
    throw cause;
  }
}

/** Counts fetches of keys, and tells when they begin to fail and when that is over: not every attempt in between. */
function fetchReporter(metrics: Metrics, logger: Logger): (status: KeySourceStatus) => void {
  const problems = new Map<string, string>();
  return ({ location: source, problem, state }) => {
    metrics.tokenKeyFetches.inc({ source, result: problem === undefined ? "ok" : "failed" });
    const known = problems.get(source);
    if (known === problem) return;
    if (problem === undefined) {
      problems.delete(source);
      logger.info("Keys of tokens are fetched again.", { source });
    } else {
      problems.set(source, problem);
      const message =
        state === "unavailable"
          ? "Keys of tokens cannot be fetched, and there are none: such tokens are refused."
          : "Keys of tokens cannot be fetched. Those known stay in use.";
      logger.warning(message, { source, err: problem });
    }
  };
}
