import { ConfigError } from "./errors.ts";
import type { Section } from "./section.ts";

/** `plugins.envoy_ext_authz_grpc` */
export interface PluginConfig {
  readonly addr: string;
  /** Empty when `query` is given. */
  readonly path: string;
  readonly query: string;
  readonly dryRun: boolean;
  readonly enableReflection: boolean;
  /** File of a FileDescriptorSet; empty for none. */
  readonly protoDescriptor: string;
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number;
  readonly skipRequestBodyParse: boolean;
  readonly enablePerformanceMetrics: boolean;
  readonly durationBuckets: readonly number[];
}

export const DEFAULT_ADDR = ":9191";
export const DEFAULT_PATH = "envoy/authz/allow";
const DEFAULT_BUCKETS = [1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 3e-3, 5e-3, 0.1, 1];

/** @throws {ConfigError} */
export function readPlugin(section: Section): PluginConfig {
  const path = section.string("path", "");
  const query = section.string("query", "");
  if (path !== "" && query !== "") throw new ConfigError('invalid config: specify a value for only the "path" field');
  const buckets = section.numbers("grpc-request-duration-seconds-buckets");
  if (buckets?.some((bound, i) => i > 0 && bound <= (buckets[i - 1] as number)) === true) {
    throw new ConfigError(`${section.path}.grpc-request-duration-seconds-buckets: expected ascending bounds`);
  }
  const plugin: PluginConfig = {
    addr: section.string("addr", DEFAULT_ADDR),
    path: query !== "" ? "" : path === "" ? DEFAULT_PATH : path,
    query,
    dryRun: section.boolean("dry-run", false),
    enableReflection: section.boolean("enable-reflection", false),
    protoDescriptor: section.string("proto-descriptor", ""),
    maxReceiveBytes: section.count("grpc-max-recv-msg-size", 0, 4_194_304),
    maxSendBytes: section.count("grpc-max-send-msg-size", 0, 2_147_483_647),
    skipRequestBodyParse: section.boolean("skip-request-body-parse", false),
    enablePerformanceMetrics: section.boolean("enable-performance-metrics", false),
    durationBuckets: buckets === undefined || buckets.length === 0 ? DEFAULT_BUCKETS : buckets,
  };
  section.finish();
  return plugin;
}
