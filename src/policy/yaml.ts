import type { Value } from "../rego/value/index.ts";

/**
 * Reads the first document of a YAML text as OPA does: YAML 1.1 (`yes`, `on` and `017` are not strings), integers exact, keys as text.
 * Alias bombs and duplicate keys are refused.
 *
 * @throws {LoadError} bad_document
 */
export async function parseYaml(file: string, text: string): Promise<Value> {
  // The reader is large, and a server without YAML never needs it.
  const { readYaml } = await import("./yaml-reader.ts");
  return readYaml(file, text);
}
