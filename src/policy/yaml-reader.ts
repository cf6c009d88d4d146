import { parseAllDocuments } from "yaml";
import { fromBigInt, setOwn, type Value } from "../rego/value/index.ts";
import { isYamlTooDeep } from "../base/index.ts";
import { LoadError, messageOf } from "./errors.ts";

/** Tags of YAML 1.1 that OPA's reader leaves as strings: `2001-01-01`, `12:30:45`. */
const NOT_RESOLVED: ReadonlySet<string> = new Set(["tag:yaml.org,2002:timestamp"]);

/** What `parseYaml` promises, now. @throws {LoadError} bad_document */
export function readYaml(file: string, text: string): Value {
  if (isYamlTooDeep(text))
    throw new LoadError("bad_document", `${file}: error converting YAML to JSON: yaml: exceeded max depth`);
  const [document] = parseAllDocuments(text, {
    version: "1.1",
    intAsBigInt: true,
    customTags: (tags) =>
      tags.filter(
        (tag) =>
          typeof tag === "string" || (!NOT_RESOLVED.has(tag.tag) && (tag as { format?: string }).format !== "TIME"),
      ),
  });
  if (document === undefined || !("errors" in document)) return null;
  const [fault] = document.errors;
  if (fault !== undefined)
    throw new LoadError("bad_document", `${file}: error converting YAML to JSON: ${fault.message}`);
  try {
    return toValue(document.toJS({ mapAsMap: true, maxAliasCount: 100 }) as unknown);
  } catch (cause) {
    throw new LoadError("bad_document", `${file}: error converting YAML to JSON: ${messageOf(cause)}`, { cause });
  }
}

function toValue(node: unknown): Value {
  if (typeof node === "bigint") return fromBigInt(node);
  if (node === null || node === undefined) return null;
  if (typeof node === "number") {
    if (!Number.isFinite(node)) throw new TypeError(`unsupported number ${node}`);
    return node;
  }
  if (typeof node === "boolean" || typeof node === "string") return node;
  if (Array.isArray(node)) return node.map(toValue);
  if (node instanceof Map) {
    const object: Record<string, Value> = {};
    for (const [key, member] of node) setOwn(object, keyText(key), toValue(member));
    return object;
  }
  if (node instanceof Uint8Array) return new TextDecoder().decode(node);
  throw new TypeError("unsupported YAML node");
}

function keyText(key: unknown): string {
  if (typeof key === "string") return key;
  if (typeof key === "number" || typeof key === "bigint" || typeof key === "boolean") return String(key);
  throw new TypeError("unsupported map key");
}
