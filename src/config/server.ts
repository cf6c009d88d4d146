import { ConfigError } from "./errors.ts";
import type { Section } from "./section.ts";

/** `server`: the REST API. */
export interface ApiConfig {
  /** Bytes of a request's body, as sent and unzipped. */
  readonly bodyBytes: number;
  readonly unzippedBodyBytes: number;
  /** Replies of the data API are zipped from this many bytes on, for clients that take that. */
  readonly gzipBytes: number;
  readonly gzipLevel: number;
  /** Bounds of `http_request_duration_seconds`; absent for OPA's. */
  readonly durationBuckets: readonly number[] | undefined;
}

const GZIP_LEVELS = [0, 1, 9];

/** Defaults and messages are OPA's (v1/plugins/server). @throws {ConfigError} */
export function readApi(root: Section): ApiConfig {
  const server = root.section("server");
  const decoding = server.section("decoding");
  const unzipping = decoding.section("gzip");
  const encoding = server.section("encoding");
  const zipping = encoding.section("gzip");
  const metrics = server.section("metrics");
  const prometheus = metrics.section("prom");
  const durations = prometheus.section("http_request_duration_seconds");
  const api: ApiConfig = {
    bodyBytes: positive(decoding, "max_length", 268_435_456),
    unzippedBodyBytes: positive(unzipping, "max_length", 536_870_912),
    gzipBytes: positive(zipping, "min_length", 1024),
    gzipLevel: zipping.number("compression_level", 9),
    durationBuckets: durations.numbers("buckets"),
  };
  if (!GZIP_LEVELS.includes(api.gzipLevel))
    throw new ConfigError(`invalid value for ${zipping.path}.compression_level field, accepted values are 0, 1 or 9`);
  if (api.durationBuckets?.some((bound, i, all) => bound <= (all[i - 1] ?? Number.NEGATIVE_INFINITY)) === true)
    throw new ConfigError(`${durations.path}.buckets: expected ascending numbers`);
  server.expect("decoding", "encoding", "metrics");
  for (const section of [server, decoding, unzipping, encoding, zipping, metrics, prometheus, durations])
    section.finish();
  return api;
}

function positive(section: Section, key: string, preset: number): number {
  const value = section.number(key, preset);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new ConfigError(`invalid value for ${section.path}.${key} field, should be a positive number`);
}
