import { isArray, isJsonObject, setOwn, type Value } from "../rego/value/index.ts";

export interface MaskRule {
  readonly op: "remove" | "upsert";
  /** The first names the part of the event: input, result or nd_builtin_cache. */
  readonly path: readonly string[];
  readonly value: Value;
}

const PARTS: ReadonlySet<string> = new Set(["input", "result", "nd_builtin_cache"]);

/**
 * Reads a mask policy's decision: pointers to erase, or `{op, path, value}`.
 *
 * @throws {TypeError} for anything else; the event must then not be logged.
 */
export function readMaskRules(decision: Value): readonly MaskRule[] {
  if (!isArray(decision)) throw new TypeError("unexpected rule format: not a set or array");
  return decision.map((rule) => {
    if (typeof rule === "string") return { op: "remove", path: readPath(rule), value: null };
    if (!isJsonObject(rule)) throw new TypeError("invalid mask rule format encountered");
    const member = (key: string): Value | undefined => (Object.hasOwn(rule, key) ? rule[key] : undefined);
    const op = member("op");
    const path = member("path");
    if (op !== "remove" && op !== "upsert") throw new TypeError(`mask op is not supported: ${String(op)}`);
    if (typeof path !== "string") throw new TypeError('invalid "path" value');
    return { op, path: readPath(path), value: member("value") ?? null };
  });
}

function readPath(text: string): readonly string[] {
  if (text === "") throw new TypeError("mask must be non-empty");
  if (!text.startsWith("/")) throw new TypeError("mask must be slash-prefixed");
  const path = text.slice(1).split("/");
  if (!PARTS.has(path[0] as string)) throw new TypeError(`mask prefix not allowed: ${path[0]}`);
  return path;
}

/**
 * A copy of the event with the rules applied, in order; `erased` and `masked` list those that found their place. The event
 * itself stays whole, because others may still hold its parts.
 */
export function applyMask(event: Readonly<Record<string, Value>>, rules: readonly MaskRule[]): Record<string, Value> {
  const out: Record<string, Value> = { ...event };
  const erased: string[] = [];
  const masked: string[] = [];
  for (const rule of rules) {
    const [part, ...path] = rule.path as [string, ...string[]];
    const whole = out[part];
    if (whole === undefined) continue;
    const changed = rule.op === "remove" ? removeAt(whole, path) : putAt(whole, path, rule.value);
    if (changed === UNCHANGED) continue;
    if (changed === undefined) delete out[part];
    else out[part] = changed;
    (rule.op === "remove" ? erased : masked).push(
      `/${rule.path.map(encodeURIComponent).join("/").replaceAll("%3A", ":")}`,
    );
  }
  if (erased.length > 0) out["erased"] = erased;
  if (masked.length > 0) out["masked"] = masked;
  return out;
}

const UNCHANGED = Symbol("the path does not exist");

/** The member a pointer's segment names: as written, or percent-decoded. */
function keyIn(object: Readonly<Record<string, Value>>, segment: string): string {
  if (Object.hasOwn(object, segment) || !segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function indexIn(list: readonly Value[], segment: string): number {
  const index = /^\+?\d{1,9}$/.test(segment) ? Number(segment) : -1;
  return index < list.length ? index : -1;
}

function removeAt(value: Value, path: readonly string[]): Value | undefined | typeof UNCHANGED {
  const [segment, ...rest] = path;
  if (segment === undefined) return undefined;
  if (isJsonObject(value)) {
    const key = keyIn(value, segment);
    if (!Object.hasOwn(value, key)) return UNCHANGED;
    const inner = removeAt(value[key] as Value, rest);
    if (inner === UNCHANGED) return UNCHANGED;
    const copy = copyWithout(value, key);
    if (inner !== undefined) setOwn(copy, key, inner);
    return copy;
  }
  if (isArray(value)) {
    const index = indexIn(value, segment);
    if (index === -1) return UNCHANGED;
    const inner = removeAt(value[index] as Value, rest);
    if (inner === UNCHANGED) return UNCHANGED;
    const copy = [...value];
    if (inner === undefined) copy.splice(index, 1);
    else copy[index] = inner;
    return copy;
  }
  return UNCHANGED;
}

function putAt(value: Value, path: readonly string[], replacement: Value): Value | typeof UNCHANGED {
  const [segment, ...rest] = path;
  if (segment === undefined) return replacement;
  if (isJsonObject(value)) {
    const key = keyIn(value, segment);
    const inner = putAt(Object.hasOwn(value, key) ? (value[key] as Value) : {}, rest, replacement);
    if (inner === UNCHANGED) return UNCHANGED;
    const copy = copyWithout(value, key);
    setOwn(copy, key, inner);
    return copy;
  }
  if (isArray(value)) {
    const index = indexIn(value, segment);
    if (index === -1) return UNCHANGED;
    const inner = putAt(value[index] as Value, rest, replacement);
    if (inner === UNCHANGED) return UNCHANGED;
    const copy = [...value];
    copy[index] = inner;
    return copy;
  }
  return UNCHANGED;
}

function copyWithout(object: Readonly<Record<string, Value>>, without: string): Record<string, Value> {
  const copy: Record<string, Value> = {};
  for (const key of Object.keys(object)) if (key !== without) setOwn(copy, key, object[key] as Value);
  return copy;
}
