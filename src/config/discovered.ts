import { isDeepStrictEqual } from "node:util";
import { readServices } from "./bundles.ts";
import { type Config, readConfig } from "./config.ts";
import { ConfigError } from "./errors.ts";
import { readKeys } from "./keys.ts";
import { isPlainObject, type Plain, type PlainObject, Section, type Warn } from "./section.ts";

export interface Discovered {
  readonly config: Config;
  /** Paths at which the boot configuration said something else, and has the last word. */
  readonly overridden: readonly string[];
}

/**
 * A discovered configuration below the one the server was started with, whose members win. `discovery` itself, the service
 * it uses and the keys it verifies with are not for it to change.
 *
 * @throws {ConfigError}
 */
export function withDiscovered(boot: Config, discovered: PlainObject, warn: Warn): Discovered {
  checkFixed(boot, discovered);
  const overridden: string[] = [];
  const { discovery: _, ...others } = discovered;
  const { discovery: source = null, ...own } = boot.raw;
  const raw = merged(others, own, "", overridden);
  return {
    // Read without its source, which was chosen among the services of the boot configuration.
    config: { ...readConfig(raw, warn), discovery: boot.discovery, raw: { ...raw, discovery: source } },
    overridden: overridden.sort(),
  };
}

/** Messages are OPA's (v1/plugins/discovery). @throws {ConfigError} */
function checkFixed({ discovery, keys }: Config, discovered: PlainObject): void {
  const root = new Section("", discovered, () => undefined);
  const newKeys = readKeys(root);
  // Its credentials may use a key that only the boot configuration has.
  const service = readServices(root, new Map([...newKeys, ...keys])).find(
    ({ name }) => name === discovery?.service.name,
  );
  if (service !== undefined && !isDeepStrictEqual(service, discovery?.service))
    throw new ConfigError("updates to the discovery service are not allowed");
  if (discovery?.signing === undefined) return;
  for (const [id, key] of newKeys) {
    const known = keys.get(id);
    if (known !== undefined && !isDeepStrictEqual(key, known))
      throw new ConfigError(`updates to keys specified in the boot configuration are not allowed (keys.${id})`);
  }
}

/** Mappings are merged member by member; of anything else the stronger counts. */
function merged(weak: PlainObject, strong: PlainObject, path: string, overridden: string[]): PlainObject {
  const out = new Map<string, Plain>(Object.entries(weak));
  for (const [key, value] of Object.entries(strong)) {
    const other = out.get(key);
    const where = path === "" ? key : `${path}.${key}`;
    if (isPlainObject(value) && isPlainObject(other)) out.set(key, merged(other, value, where, overridden));
    else {
      if (other !== undefined && !isDeepStrictEqual(value, other)) overridden.push(where);
      out.set(key, value);
    }
  }
  return Object.fromEntries(out);
}
