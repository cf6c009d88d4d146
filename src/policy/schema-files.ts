import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { JsonSyntaxError, parseJson, type Value } from "../rego/value/index.ts";
import { LoadError, messageOf } from "./errors.ts";
import { parseYaml } from "./yaml.ts";

/** A JSON schema, and its name below `schema`: none for a file that was named itself. */
export interface SchemaFile {
  readonly name: readonly string[];
  readonly value: Value;
}

/**
 * Reads the schema file, or all the schema files below a directory: the directories and the file's name without its
 * extension make the schema's name, as in `opa eval --schema`.
 *
 * @throws {LoadError}
 */
export async function loadSchemaFiles(path: string): Promise<readonly SchemaFile[]> {
  const root = path.startsWith("file://") ? fileURLToPath(path) : path;
  try {
    if (!(await stat(root)).isDirectory()) return [{ name: [], value: await readSchema(root) }];
    const files: SchemaFile[] = [];
    await walk(root, [], files);
    return files;
  } catch (cause) {
    if (cause instanceof LoadError) throw cause;
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new LoadError("not_found", missing ? `stat ${root}: no such file or directory` : messageOf(cause), { cause });
  }
}

async function walk(directory: string, name: readonly string[], files: SchemaFile[]): Promise<void> {
  for (const entry of (await readdir(directory)).sort()) {
    // The versions behind a mounted ConfigMap's links.
    if (entry.startsWith("..")) continue;
    const path = join(directory, entry);
    if ((await stat(path)).isDirectory()) await walk(path, [...name, entry], files);
    else files.push({ name: [...name, basename(entry).replace(/\.[^.]*$/, "")], value: await readSchema(path) });
  }
}

async function readSchema(path: string): Promise<Value> {
  const text = await readFile(path, "utf8");
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    return parseYaml(path, text);
  }
}
