import { isJsonObject, type JsonObject, setOwn, type Value } from "../rego/value/index.ts";

/**
 * Adds `source` to `target` member by member. Objects merge; anything else that meets is a conflict, equal or not,
 * as in OPA (internal/merge).
 *
 * Large documents are not copied: the target shares with its sources whatever only one of them has, so neither may be
 * written into. What had to be made new is noted in `own`, for the next merge into the same target to go on with.
 *
 * @returns false on a conflict; the target is then half merged and must be thrown away.
 */
export function mergeInto(
  target: Record<string, Value>,
  source: JsonObject,
  own: WeakSet<JsonObject> = new WeakSet(),
): boolean {
  for (const key of Object.keys(source)) {
    const incoming = source[key] as Value;
    if (!Object.hasOwn(target, key)) {
      setOwn(target, key, incoming);
      continue;
    }
    const existing = target[key] as Value;
    if (!isJsonObject(existing) || !isJsonObject(incoming)) return false;
    let merged = existing as Record<string, Value>;
    if (!own.has(existing)) {
      merged = { ...existing };
      own.add(merged);
      setOwn(target, key, merged);
    }
    if (!mergeInto(merged, incoming, own)) return false;
  }
  return true;
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
