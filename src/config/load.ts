import { readFile } from "node:fs/promises";
import { type Config, readConfig } from "./config.ts";
import { ConfigError } from "./errors.ts";
import { applyOverride } from "./overrides.ts";
import { isPlainObject, type Plain, type Warn } from "./section.ts";

export interface ConfigSources {
  /** YAML or JSON; `${NAME}` is replaced from the environment. */
  readonly file?: string;
  /** `--set`, in order. */
  readonly set: readonly string[];
  /** `--set-file`: values are the contents of files. */
  readonly setFile: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads the configuration: the file, then the overrides over it.
 *
 * @throws {ConfigError}
 */
export async function loadConfig(sources: ConfigSources, warn: Warn): Promise<Config> {
  const raw: Record<string, Plain> =
    sources.file === undefined ? {} : { ...(await readConfigFile(sources.file, sources.env)) };
  for (const override of sources.set) applyOverride(raw, override);
  for (const override of sources.setFile) {
    const contents = new Map<string, string>();
    for (const path of valuePaths(override)) contents.set(path, await readText(path));
    applyOverride(raw, override, (path) => contents.get(path) ?? "");
  }
  return readConfig(raw, warn);
}

async function readConfigFile(file: string, env: ConfigSources["env"]): Promise<Record<string, Plain>> {
  return parseConfigText(file, substituteEnv(await readText(file), env));
}

/** `${NAME}` becomes the variable's value, or nothing where there is none, as in OPA (internal/config). */
export function substituteEnv(text: string, env: ConfigSources["env"]): string {
  return text.replace(/\$\{([^}]*)\}/g, (_, name: string) => env[name] ?? "");
}

/** @throws {ConfigError} */
export async function parseConfigText(file: string, text: string): Promise<Record<string, Plain>> {
  const value = await parsePlain(file, text);
  if (value === null) return {};
  if (!isPlainObject(value)) throw new ConfigError(`${file}: expected an object`);
  return { ...value };
}

async function parsePlain(file: string, text: string): Promise<Plain> {
  try {
    return JSON.parse(text) as Plain;
  } catch {
    // Not JSON, so YAML: its reader also words the error where it is neither.
  }
  const { readYaml } = await import("./yaml-reader.ts");
  try {
    return readYaml(text);
  } catch (cause) {
    throw new ConfigError(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function valuePaths(override: string): readonly string[] {
  return override.split(/(?<!\\),/).map((part) => part.slice(part.indexOf("=") + 1).replace(/\\(.)/g, "$1"));
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new ConfigError(
      `open ${path}: ${(cause as NodeJS.ErrnoException).code === "ENOENT" ? "no such file or directory" : String(cause)}`,
      { cause },
    );
  }
}
