import { isArray, isJsonObject, type JsonObject, setOwn, type Value } from "../rego/value/index.ts";

/** A write to the base documents cannot be made. */
export class EditError extends Error {
  override readonly name = "EditError";
  readonly code: "not_found" | "conflict" | "invalid_patch";

  constructor(code: EditError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export interface PatchOperation {
  readonly op: "add" | "remove" | "replace";
  readonly path: readonly string[];
  readonly value: Value;
}

/** The value at a path, or undefined. */
export function valueAt(document: Value, path: readonly string[]): Value | undefined {
  let node: Value | undefined = document;
  for (const segment of path) {
    if (node === undefined) return undefined;
    if (isArray(node)) node = node[indexOf(segment, node.length)];
    else if (isJsonObject(node)) node = Object.hasOwn(node, segment) ? node[segment] : undefined;
    else return undefined;
  }
  return node;
}

/**
 * The documents with a value written at a path; missing parents are made. The documents given stay as they are.
 *
 * @throws {EditError} conflict, when a parent is not an object; invalid_patch, when the root would become something else.
 */
export function withValueAt(document: JsonObject, path: readonly string[], value: Value): JsonObject {
  const written = write(document, path, value, { makesParents: true, at: "" });
  if (!isJsonObject(written)) throw new EditError("invalid_patch", "root must be object");
  return written;
}

/** Applies operations in order, all or none. @throws {EditError} */
export function patched(document: JsonObject, operations: readonly PatchOperation[]): JsonObject {
  let current: Value = document;
  for (const operation of operations) current = applyOne(current, operation);
  if (!isJsonObject(current)) throw new EditError("invalid_patch", "root must be object");
  return current;
}

/** @throws {EditError} not_found */
export function withoutValueAt(document: JsonObject, path: readonly string[]): JsonObject {
  if (path.length === 0) return {};
  return remove(document, path) as JsonObject;
}

function applyOne(document: Value, { op, path, value }: PatchOperation): Value {
  if (op === "remove") return path.length === 0 ? {} : remove(document, path);
  if (op === "replace" && valueAt(document, path) === undefined) throw notFound();
  const parent = path.length === 0 ? undefined : valueAt(document, path.slice(0, -1));
  if (path.length > 0 && parent === undefined) throw notFound();
  if (op === "add" && isArray(parent ?? null)) return insert(document, path, parent as readonly Value[], value);
  return write(document, path, value, PATCHING);
}

/** `-` appends; an index makes room. */
function insert(document: Value, path: readonly string[], list: readonly Value[], value: Value): Value {
  const last = path.at(-1) as string;
  const index = last === "-" ? list.length : indexOf(last, list.length + 1);
  if (index === -1) throw new EditError("invalid_patch", `array index out of range: ${last}`);
  return write(document, path.slice(0, -1), [...list.slice(0, index), value, ...list.slice(index)], PATCHING);
}

interface WriteMode {
  /** Whether missing objects on the way are made. */
  readonly makesParents: boolean;
  /** The path walked so far. */
  readonly at: string;
}

const PATCHING: WriteMode = { makesParents: false, at: "" };

function write(node: Value, path: readonly string[], value: Value, mode: WriteMode): Value {
  const [segment, ...rest] = path;
  if (segment === undefined) return value;
  const inner: WriteMode = { makesParents: mode.makesParents, at: `${mode.at}/${segment}` };
  if (isArray(node)) {
    const index = indexOf(segment, node.length);
    if (index === -1) throw notFound();
    return node.map((item, i) => (i === index ? write(item, rest, value, inner) : item));
  }
  if (!isJsonObject(node)) throw new EditError("conflict", mode.at);
  const child = Object.hasOwn(node, segment) ? (node[segment] as Value) : undefined;
  if (child === undefined && rest.length > 0 && !mode.makesParents) throw notFound();
  const copy: Record<string, Value> = { ...node };
  setOwn(copy, segment, write(child ?? {}, rest, value, inner));
  return copy;
}

function notFound(): EditError {
  return new EditError("not_found", "document does not exist");
}

function remove(node: Value, path: readonly string[]): Value {
  const [segment, ...rest] = path as [string, ...string[]];
  if (isArray(node)) {
    const index = indexOf(segment, node.length);
    if (index === -1) throw notFound();
    return rest.length === 0
      ? node.filter((_, i) => i !== index)
      : node.map((item, i) => (i === index ? remove(item, rest) : item));
  }
  if (!isJsonObject(node) || !Object.hasOwn(node, segment)) throw notFound();
  const copy: Record<string, Value> = {};
  for (const key of Object.keys(node)) if (key !== segment) setOwn(copy, key, node[key] as Value);
  if (rest.length > 0) setOwn(copy, segment, remove(node[segment] as Value, rest));
  return copy;
}

function indexOf(segment: string, length: number): number {
  const index = /^(?:0|[1-9]\d{0,9})$/.test(segment) ? Number(segment) : -1;
  return index < length ? index : -1;
}
