import { isIP } from "node:net";
import { ALGORITHMS } from "../jwt/index.ts";
import { DEFAULT_SETTINGS, type IdentitySettings, type KeySettings, type TokenRule } from "./rule.ts";

/** The configuration block `cardea.identity` is wrong. */
export class IdentityConfigError extends Error {
  override readonly name = "IdentityConfigError";
  /** `cardea.identity.keys.refresh_s` */
  readonly path: string;

  constructor(path: string, message: string) {
    super(`${path}: ${message}`);
    this.path = path;
  }
}

export interface IdentityConfig {
  readonly settings: IdentitySettings;
  /** Take the claims Envoy's jwt_authn filter verified. */
  readonly trustsEnvoy: boolean;
  /** Rules for opaque tokens; they apply to every destination. */
  readonly rules: readonly TokenRule[];
  /** Keys that mean nothing here, to warn of. */
  readonly unknownKeys: readonly string[];
}

type Block = Readonly<Record<string, unknown>>;

/**
 * Reads the block `cardea.identity`. Every key is optional.
 *
 * | key | default | |
 * | --- | --- | --- |
 * | trust_jwt_authn_metadata | false | |
 * | algorithms | all but none | accepted at all; a key decides which it may have signed with |
 * | leeway_s | 60 | of `exp` and `nbf` |
 * | require_exp | false | |
 * | bad_tokens | refuse | or `report`: policies see `input.cardea.tokenError` and decide |
 * | audience_status | 403 | or 401 |
 * | missing_token_status | 403 | or 401 |
 * | max_verified_tokens | 10000 | cached verdicts |
 * | keys.refresh_s, keys.cooldown_s, keys.stale_s | 300, 30, 43200 | |
 * | keys.max_bytes, keys.max_keys | 262144, 100 | of one key set |
 * | keys.allow_http | false | |
 * | keys.blocked_ranges | link-local | CIDR ranges never connected to |
 * | introspection | none | list of issuer, endpoint, client_id, client_secret, cache_s, timeout_ms, audiences, header, prefix |
 *
 * @param maxTokenLength `cardea.limits.token_bytes`
 * @throws {IdentityConfigError}
 */
export function readIdentityConfig(block: Block, maxTokenLength = DEFAULT_SETTINGS.maxTokenLength): IdentityConfig {
  const reader = new BlockReader(block, "cardea.identity");
  const keys = reader.block("keys");
  const settings: IdentitySettings = {
    ...DEFAULT_SETTINGS,
    maxTokenLength,
    algorithms: readAlgorithms(reader),
    leewaySec: reader.number("leeway_s", DEFAULT_SETTINGS.leewaySec),
    requiresExpiry: reader.boolean("require_exp", DEFAULT_SETTINGS.requiresExpiry),
    reportsBadTokens: readBadTokens(reader),
    audienceStatus: readStatus(reader, "audience_status", DEFAULT_SETTINGS.audienceStatus),
    missingTokenStatus: readStatus(reader, "missing_token_status", DEFAULT_SETTINGS.missingTokenStatus),
    maxVerifiedTokens: Math.max(1, reader.number("max_verified_tokens", DEFAULT_SETTINGS.maxVerifiedTokens)),
    keys: readKeySettings(keys),
  };
  const trustsEnvoy = reader.boolean("trust_jwt_authn_metadata", false);
  const introspections = reader.blocks("introspection");
  const rules = introspections.map(readIntrospection);
  const unknownKeys = [reader, keys, ...introspections].flatMap((part) => part.unknownKeys());
  return { settings, trustsEnvoy, rules, unknownKeys };
}

function readAlgorithms(reader: BlockReader): readonly string[] {
  const algorithms = reader.texts("algorithms", DEFAULT_SETTINGS.algorithms);
  const unknown = algorithms.find((name) => !ALGORITHMS.has(name));
  if (unknown !== undefined) throw reader.wrong("algorithms", `${JSON.stringify(unknown)} is no signature algorithm`);
  return algorithms;
}

function readBadTokens(reader: BlockReader): boolean {
  const what = reader.text("bad_tokens", "refuse");
  if (what !== "refuse" && what !== "report") throw reader.wrong("bad_tokens", "must be refuse or report");
  return what === "report";
}

function readStatus(reader: BlockReader, key: string, usual: 401 | 403): 401 | 403 {
  const status = reader.number(key, usual);
  if (status !== 401 && status !== 403) throw reader.wrong(key, "must be 401 or 403");
  return status;
}

function readKeySettings(reader: BlockReader): KeySettings {
  const usual = DEFAULT_SETTINGS.keys;
  return {
    refreshMs: Math.max(1, reader.number("refresh_s", usual.refreshMs / 1000)) * 1000,
    cooldownMs: Math.max(1, reader.number("cooldown_s", usual.cooldownMs / 1000)) * 1000,
    staleMs: reader.number("stale_s", usual.staleMs / 1000) * 1000,
    maxBytes: reader.number("max_bytes", usual.maxBytes),
    maxKeys: reader.number("max_keys", usual.maxKeys),
    allowsHttp: reader.boolean("allow_http", usual.allowsHttp),
    blockedRanges: readRanges(reader, usual.blockedRanges),
  };
}

function readRanges(reader: BlockReader, usual: readonly string[]): readonly string[] {
  const ranges = reader.texts("blocked_ranges", usual);
  for (const range of ranges) {
    const [address = "", prefix = "", ...rest] = range.split("/");
    const bits = isIP(address) === 6 ? 128 : 32;
    if (isIP(address) === 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > bits || rest.length > 0) {
      throw reader.wrong("blocked_ranges", `${JSON.stringify(range)} is no CIDR range`);
    }
  }
  return ranges;
}

function readIntrospection(reader: BlockReader): TokenRule {
  const required = (key: string): string => {
    const value = reader.text(key, "");
    if (value === "") throw reader.wrong(key, "is required");
    return value;
  };
  return {
    issuer: reader.text("issuer", ""),
    audiences: reader.texts("audiences", []),
    jwksUri: "",
    jwks: "",
    timeoutMs: reader.number("timeout_ms", 2000),
    fromHeaders: [{ name: reader.text("header", "authorization"), prefix: reader.text("prefix", "Bearer ") }],
    fromParams: [],
    fromCookies: [],
    forwardOriginalToken: reader.boolean("forward_original_token", true),
    outputPayloadToHeader: "",
    outputClaimToHeaders: [],
    spaceDelimitedClaims: [],
    introspection: {
      endpoint: required("endpoint"),
      clientId: required("client_id"),
      clientSecret: required("client_secret"),
      cacheMs: reader.number("cache_s", 30) * 1000,
    },
  };
}

/** Typed reads of own members, each named by its path where it is wrong. */
class BlockReader {
  readonly #block: Block;
  readonly #path: string;
  readonly #read = new Set<string>();

  constructor(block: Block, path: string) {
    this.#block = block;
    this.#path = path;
  }

  text(key: string, usual: string): string {
    const value = this.#get(key) ?? usual;
    return typeof value === "string" ? value : this.#fail(key, "a string");
  }

  texts(key: string, usual: readonly string[]): readonly string[] {
    const value = this.#get(key) ?? usual;
    const isList = Array.isArray(value) && value.every((item): item is string => typeof item === "string");
    return isList ? value : this.#fail(key, "a list of strings");
  }

  number(key: string, usual: number): number {
    const value = this.#get(key) ?? usual;
    return typeof value === "number" && Number.isFinite(value) && value >= 0
      ? value
      : this.#fail(key, "a number, not negative");
  }

  boolean(key: string, usual: boolean): boolean {
    const value = this.#get(key) ?? usual;
    return typeof value === "boolean" ? value : this.#fail(key, "true or false");
  }

  block(key: string): BlockReader {
    const value = this.#get(key) ?? {};
    return isBlock(value) ? new BlockReader(value, `${this.#path}.${key}`) : this.#fail(key, "an object");
  }

  blocks(key: string): readonly BlockReader[] {
    const value = this.#get(key) ?? [];
    if (!Array.isArray(value) || !value.every(isBlock)) return this.#fail(key, "a list of objects");
    return value.map((item, i) => new BlockReader(item, `${this.#path}.${key}[${i}]`));
  }

  wrong(key: string, message: string): IdentityConfigError {
    return new IdentityConfigError(`${this.#path}.${key}`, message);
  }

  unknownKeys(): readonly string[] {
    return Object.keys(this.#block)
      .filter((key) => !this.#read.has(key))
      .map((key) => `${this.#path}.${key}`);
  }

  #get(key: string): unknown {
    this.#read.add(key);
    return Object.hasOwn(this.#block, key) ? this.#block[key] : undefined;
  }

  #fail(key: string, wanted: string): never {
    throw this.wrong(key, `must be ${wanted}`);
  }
}

function isBlock(value: unknown): value is Block {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
