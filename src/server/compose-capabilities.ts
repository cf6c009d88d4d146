import { readFile } from "node:fs/promises";
import { ConfigError } from "../config/index.ts";
import { type Capabilities, readCapabilities } from "../rego/engine/index.ts";
import { isArray, isJsonObject, type JsonObject, parseJson, type Value } from "../rego/value/index.ts";

/** What policies may use and whom they may ask. */
export interface Permissions {
  readonly capabilities: Capabilities;
  /** `allow_net`; undefined for every host. */
  readonly hosts: readonly string[] | undefined;
}

/** Reads `cardea.capabilities`, a file as `opa capabilities` prints it. @throws {ConfigError} */
export async function readPermissions(file: string | undefined): Promise<Permissions | undefined> {
  if (file === undefined) return undefined;
  try {
    const document = parseJson(await readFile(file, "utf8"));
    return { capabilities: readCapabilities(document), hosts: hostsOf(document) };
  } catch (cause) {
    throw new ConfigError(`cardea.capabilities: ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

function hostsOf(document: Value): readonly string[] | undefined {
  const hosts = isJsonObject(document) ? own(document, "allow_net") : undefined;
  if (hosts === undefined || hosts === null) return undefined;
  if (!isArray(hosts) || !hosts.every((host) => typeof host === "string"))
    throw new TypeError("allow_net must be an array of strings");
  return hosts as readonly string[];
}

function own(object: JsonObject, key: string): Value | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
