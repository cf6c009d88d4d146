import { isJsonObject, type JsonObject, setOwn, type Value } from "../rego/value/index.ts";

/**
 * Adds `source` to `target` member by member. Objects merge; anything else that meets is a conflict, equal or not,
 * as in OPA (internal/merge).
 *
 * @returns false on a conflict; the target is then half merged and must be thrown away.
 */
export function mergeInto(target: Record<string, Value>, source: JsonObject): boolean {
  for (const key of Object.keys(source)) {
    const incoming = source[key] as Value;
    if (!Object.hasOwn(target, key)) {
      setOwn(target, key, isJsonObject(incoming) ? copyTree(incoming) : incoming);
      continue;
    }
    const existing = target[key] as Value;
    if (!isJsonObject(existing) || !isJsonObject(incoming)) return false;
    if (!mergeInto(existing as Record<string, Value>, incoming)) return false;
  }
  return true;
}

/** Copies the objects of a document, not its leaves and arrays, so that merging never writes into a caller's value. */
function copyTree(object: JsonObject): JsonObject {
  const copy: Record<string, Value> = {};
  for (const key of Object.keys(object)) {
    const member = object[key] as Value;
    setOwn(copy, key, isJsonObject(member) ? copyTree(member) : member);
  }
  return copy;
}

/** `{a: {b: value}}` for path `[a, b]`; undefined when the path is empty and the value no object. */
export function mountAt(path: readonly string[], value: Value): JsonObject | undefined {
  if (path.length === 0) return isJsonObject(value) ? value : undefined;
  let mounted = value;
  for (let i = path.length - 1; i >= 0; i--) {
    const parent: Record<string, Value> = {};
    setOwn(parent, path[i] as string, mounted);
    mounted = parent;
  }
  return mounted as JsonObject;
}
