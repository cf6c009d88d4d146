import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { JsonSyntaxError, parseJson, type Value } from "../rego/value/index.ts";
import { CommandError } from "./command-error.ts";

/** Reads a JSON or YAML document from text. @throws {CommandError} */
export async function readDocument(text: string, what: string): Promise<Value> {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
  }
  const { parseYaml } = await import("../policy/index.ts");
  try {
    return await parseYaml(what, text);
  } catch (error) {
    throw new CommandError(`unable to parse input: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/** @throws {CommandError} with Go's words for a missing file. */
export async function readTextFile(path: string): Promise<string> {
  const name = path.startsWith("file://") ? fileURLToPath(path) : path;
  try {
    return await readFile(name, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === "ENOENT"
        ? "no such file or directory"
        : code === "EISDIR"
          ? "is a directory"
          : code === "EACCES"
            ? "permission denied"
            : (error as Error).message;
    throw new CommandError(`${code === "EISDIR" ? "read" : "open"} ${name}: ${why}`, { cause: error });
  }
}
