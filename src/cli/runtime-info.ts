import type { Value } from "../rego/value/index.ts";
import { OPA_VERSION } from "./version.ts";

/** What `opa.runtime()` shows. */
export function runtimeInfo(env: Readonly<Record<string, string | undefined>>): Value {
  const variables = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return {
    authorization_enabled: false,
    commit: "",
    env: Object.fromEntries(variables),
    skip_known_schema_check: false,
    version: OPA_VERSION,
  };
}
