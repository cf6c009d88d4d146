import { type Capabilities, readCapabilities } from "../rego/engine/index.ts";
import { isJsonObject, parseJson, type Value } from "../rego/value/index.ts";
import { CommandError } from "./command-error.ts";
import type { Flag, FlagValues } from "./flags.ts";
import { OPA_VERSION } from "./version.ts";
import { readTextFile } from "./documents.ts";

/** Flags that narrow what policies may say. */
export const restrictionFlags: readonly Flag[] = [
  { name: "capabilities", kind: "string", about: "set capabilities version or capabilities.json file path" },
  { name: "schema", short: "s", kind: "string", about: "set schema file path or directory path" },
];

export interface Restrictions {
  readonly capabilities?: Capabilities;
  readonly schemas?: ReadonlyMap<string, Value>;
}

/** @throws {CommandError} */
export async function restrictionsOf(values: FlagValues): Promise<Restrictions> {
  const capabilities = values.string("capabilities");
  const schema = values.string("schema");
  return {
    ...(capabilities !== undefined && capabilities !== "" && { capabilities: await loadCapabilities(capabilities) }),
    ...(schema !== undefined && schema !== "" && { schemas: await loadSchemas(schema) }),
  };
}

async function loadCapabilities(name: string): Promise<Capabilities> {
  if (/^v\d+\.\d+\.\d+$/.test(name)) {
    if (name !== `v${OPA_VERSION}`)
      throw new CommandError(
        `no capabilities version found ${name}: this program knows v${OPA_VERSION}; give a file for others`,
      );
    const { ownCapabilities } = await import("./own-capabilities.ts");
    return readCapabilities(ownCapabilities("v1"));
  }
  try {
    return readCapabilities(parseJson(await readTextFile(name)));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** One file is the schema of `input`; the files of a directory are `schema.<path>`, their names without extension. */
async function loadSchemas(path: string): Promise<ReadonlyMap<string, Value>> {
  const { LoadError, loadSchemaFiles } = await import("../policy/index.ts");
  const schemas = new Map<string, Value>();
  const files = await loadSchemaFiles(path).catch((error: unknown) => {
    if (!(error instanceof LoadError)) throw error;
    throw new CommandError(`1 error occurred during loading: ${error.message}`, { cause: error });
  });
  for (const { name, value } of files) {
    if (!isJsonObject(value) && typeof value !== "boolean")
      throw new CommandError(`${path}: a schema must be an object`);
    schemas.set(
      ["schema", ...name]
        .map((part, i) => (i === 0 ? part : /^[A-Za-z_]\w*$/.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`))
        .join(""),
      value,
    );
  }
  return schemas;
}
