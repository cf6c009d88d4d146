import { ConfigError } from "./errors.ts";
import type { Section } from "./section.ts";

/** `keys.*` */
export interface KeyConfig {
  /** What verifies. */
  readonly key: string;
  /** What signs; empty for none. */
  readonly privateKey: string;
  readonly algorithm: string;
  readonly scope: string;
}

/** @throws {ConfigError} */
export function readKeys(root: Section): ReadonlyMap<string, KeyConfig> {
  return new Map(
    root.named("keys").map(([id, section]) => {
      const key = section.string("key", "");
      const privateKey = section.string("private_key", "");
      const config: KeyConfig = {
        key: key === "" ? privateKey : key,
        privateKey,
        algorithm: section.string("algorithm", "RS256"),
        scope: section.string("scope", ""),
      };
      if (config.key === "") throw new ConfigError(`invalid keys configuration: no keys provided for key ID ${id}`);
      section.finish();
      return [id, config] as const;
    }),
  );
}
