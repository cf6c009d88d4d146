import { BuiltinError, OperandError } from "../runtime/index.ts";
import {
  entriesOf,
  getKey,
  isArray,
  isNumber,
  isObject,
  isSet,
  keysOf,
  lookup,
  ObjectBuilder,
  type ObjectValue,
  parseInt64,
  RegoObject,
  RegoSet,
  sizeOf,
  toInt64,
  toRegoText,
  typeName,
  type Value,
  valuesEqual,
} from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import { elementError, membersOf } from "./operands.ts";

const keysOperand = operands.of<readonly Value[] | ObjectValue | RegoSet>(
  types.oneOf(types.array(), types.object(), types.set()),
  "object",
  "set",
  "array",
);
const container = operands.of<Value>(types.oneOf(types.array(), types.object(), types.set()));
const pathType = types.oneOf(types.string, types.array());
const pathsOperand = operands.of<readonly Value[] | RegoSet>(
  types.oneOf(types.array(pathType), types.set(pathType)),
  "set",
  "array",
);
const patchType = {
  ...types.record({ op: types.string, path: types.any }),
  dynamic: { key: types.any, value: types.any },
};

function keySet(keys: readonly Value[] | ObjectValue | RegoSet): RegoSet {
  if (isSet(keys)) return keys;
  return RegoSet.of(isArray(keys) ? keys : keysOf(keys as ObjectValue));
}

function filterKeys(object: ObjectValue, keep: (key: Value) => boolean): ObjectValue {
  const kept = new ObjectBuilder();
  for (const [key, value] of entriesOf(object)) if (keep(key)) kept.set(key, value);
  return kept.build();
}

/** Both objects' members; where both have an object they are merged in turn, otherwise `b` wins. */
function merge(a: ObjectValue, b: ObjectValue): ObjectValue {
  if (sizeOf(a) === 0) return b;
  if (sizeOf(b) === 0) return a;
  const merged = new ObjectBuilder();
  for (const [key, value] of entriesOf(a)) merged.set(key, value);
  for (const [key, value] of entriesOf(b)) {
    const own = getKey(a, key);
    merged.set(key, own !== undefined && isObject(own) && isObject(value) ? merge(own, value) : value);
  }
  return merged.build();
}

function isSubset(above: Value, below: Value): boolean | undefined {
  if (isObject(above) && isObject(below)) return isObjectSubset(above, below);
  if (isSet(above) && isSet(below)) return isSetSubset(above, below);
  if (isArray(above) && isArray(below)) return isArraySubset(above, below);
  return undefined;
}

function isObjectSubset(above: ObjectValue, below: ObjectValue): boolean {
  for (const [key, value] of entriesOf(below)) {
    const own = getKey(above, key);
    if (own === undefined) return false;
    if (!valuesEqual(own, value) && isSubset(own, value) !== true) return false;
  }
  return true;
}

function isSetSubset(above: RegoSet, below: RegoSet): boolean {
  for (const member of below.values()) if (!above.has(member)) return false;
  return true;
}

/**
 * Whether `below` occurs in `above` as a run. After a mismatch the search goes on one element after the start of the failed
 * attempt, unlike a textbook search only in that it is OPA's (topdown/subset.go arraySubset).
 */
function isArraySubset(above: readonly Value[], below: readonly Value[]): boolean {
  if (below.length > above.length) return false;
  let start = 0;
  let matched = 0;
  for (;;) {
    if (matched === below.length) return true;
    if (start + matched === above.length) return false;
    if (valuesEqual(above[start + matched] as Value, below[matched] as Value)) matched++;
    else {
      start++;
      matched = 0;
    }
  }
}

/** OPA counts down once per element that occurs, repetitions included, and never looks at the count of an empty array. */
function isCountedSubset(above: readonly Value[], below: RegoSet): boolean {
  let missing = below.size;
  return above.some((element) => {
    if (below.has(element)) missing--;
    return missing === 0;
  });
}

/** An operand error that OPA words without naming an operand. */
class SubsetError extends BuiltinError {
  override readonly code = "eval_type_error";
}

type Path = readonly Value[];

/** A JSON pointer (leading slashes do not count) or an array of keys. */
function pathOf(value: Value): Path {
  if (value === "") return [];
  if (typeof value === "string") {
    const segments = value.replace(/^\/+/, "").split("/");
    return segments.map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));
  }
  if (isArray(value)) return value;
  throw new OperandError(
    2,
    `must be one of {set, array} containing string paths or array of path segments but got ${typeName(value)}`,
  );
}

/** Paths as a tree: null marks the end of a path, and the shorter of two paths covers the longer. */
function pathTree(paths: Iterable<Path>): RegoObject {
  const root = new RegoObject();
  for (const path of paths) {
    let node: RegoObject | undefined = root;
    for (const key of path.slice(0, -1)) {
      const child: Value | undefined = node.get(key);
      if (child === null) {
        node = undefined;
        break;
      }
      if (child === undefined) {
        const made = new RegoObject();
        node.set(key, made);
        node = made;
      } else node = child as RegoObject;
    }
    if (path.length > 0) node?.set(path[path.length - 1] as Value, null);
  }
  return root;
}

function filterPaths(value: Value, tree: Value): Value {
  if (tree === null) return value;
  const chosen = tree as RegoObject;
  if (isArray(value)) {
    return value.flatMap((element, i) => {
      const below = chosen.get(String(i));
      return below === undefined ? [] : [filterPaths(element, below)];
    });
  }
  if (isSet(value)) {
    const kept = new RegoSet();
    for (const member of value.values()) {
      const below = chosen.get(member);
      if (below !== undefined) kept.add(filterPaths(member, below));
    }
    return kept;
  }
  if (!isObject(value)) return value;
  const kept = new ObjectBuilder();
  for (const [key, below] of chosen.entries()) {
    const own = getKey(value, key);
    if (own !== undefined) kept.set(key, filterPaths(own, below));
  }
  return kept.build();
}

function removePaths(value: Value, tree: Value | undefined): Value | undefined {
  if (tree === undefined) return value;
  if (tree === null) return undefined;
  const gone = tree as RegoObject;
  if (isArray(value)) {
    return value.flatMap((element, i) => {
      const kept = removePaths(element, gone.get(String(i)));
      return kept === undefined ? [] : [kept];
    });
  }
  if (isSet(value)) {
    const rest = new RegoSet();
    for (const member of value.values()) {
      const kept = removePaths(member, gone.get(member));
      if (kept !== undefined) rest.add(kept);
    }
    return rest;
  }
  if (!isObject(value)) return value;
  const rest = new ObjectBuilder();
  for (const [key, member] of entriesOf(value)) {
    const kept = removePaths(member, gone.get(key));
    if (kept !== undefined) rest.set(key, kept);
  }
  return rest.build();
}

/** An array index of a JSON patch; `-` is the place after the last element. */
function indexOf(length: number, key: Value): number {
  if (isNumber(key)) {
    const index = toInt64(key);
    if (index === undefined) throw new BuiltinError("invalid number type for indexing");
    return Number(index);
  }
  if (typeof key !== "string") throw new BuiltinError("invalid type for indexing");
  if (key === "-") return length;
  const index = parseInt64(key);
  if (index === undefined) throw new BuiltinError("invalid string for indexing");
  if (key !== "0" && key.startsWith("0")) throw new BuiltinError("leading zeros are not allowed in JSON paths");
  return Number(index);
}

/** The member that a path of a JSON patch names. @throws {BuiltinError} where there is none. */
function memberAt(target: Value, key: Value): Value {
  const found = lookup(target, isArray(target) ? indexOf(target.length, key) : key);
  if (found !== undefined) return found;
  if (!isArray(target) && !isObject(target) && !isSet(target)) {
    throw new BuiltinError(`expected composite type for path ${toRegoText(key)}, found value: ${toRegoText(target)}`);
  }
  throw new BuiltinError(`path ${toRegoText(key)} does not exist in ${typeName(target)} term ${toRegoText(target)}`);
}

function valueAt(target: Value, path: Path): Value {
  return path.reduce(memberAt, target);
}

/** Applies `change` to the container that the path's last key is in, and rebuilds what is above it. */
function changeAt(target: Value, path: Path, at: number, change: (container: Value, key: Value) => Value): Value {
  const key = path[at] as Value;
  if (at === path.length - 1) return change(target, key);
  const child = memberAt(target, key);
  const changed = changeAt(child, path, at + 1, change);
  if (isArray(target)) return target.with(indexOf(target.length, key), changed);
  if (isSet(target)) {
    const members = new RegoSet();
    for (const member of target.values()) members.add(valuesEqual(member, key) ? changed : member);
    return members;
  }
  return withMember(target as ObjectValue, key, changed);
}

function withMember(object: ObjectValue, key: Value, value: Value): ObjectValue {
  const changed = new ObjectBuilder();
  for (const [own, member] of entriesOf(object)) changed.set(own, member);
  changed.set(key, value);
  return changed.build();
}

function insert(target: Value, key: Value, value: Value): Value {
  if (isObject(target)) return withMember(target, key, value);
  if (isSet(target)) {
    if (!valuesEqual(key, value)) {
      throw new BuiltinError(`set key ${toRegoText(key)} does not equal value to be inserted ${toRegoText(value)}`);
    }
    return RegoSet.of([...target.values(), value]);
  }
  if (isArray(target)) {
    const index = indexOf(target.length, key);
    if (index < 0 || index > target.length) throw new BuiltinError("index for array insertion out of bounds");
    return target.toSpliced(index, 0, value);
  }
  throw new BuiltinError(`expected composite type, found value: ${toRegoText(target)}`);
}

function remove(target: Value, key: Value): Value {
  if (isArray(target)) {
    const index = indexOf(target.length, key);
    if (index < 0 || index > target.length - 1) throw new BuiltinError("index for array delete out of bounds");
    return target.toSpliced(index, 1);
  }
  if (!isObject(target) && !isSet(target)) {
    throw new BuiltinError(`expected composite type, found value: ${toRegoText(target)}`);
  }
  if (lookup(target, key) === undefined) {
    throw new BuiltinError(`cannot delete child key ${toRegoText(key)} that does not exist`);
  }
  if (isSet(target)) return RegoSet.of([...target.values()].filter((member) => !valuesEqual(member, key)));
  return filterKeys(target, (own) => !valuesEqual(own, key));
}

/** The document while patches are applied to it; undefined after its root has been removed. */
class Patched {
  #root: Value | undefined;

  constructor(root: Value) {
    this.#root = root;
  }

  get root(): Value | undefined {
    return this.#root;
  }

  read(path: Path): Value {
    return valueAt(this.#live(), path);
  }

  insert(path: Path, value: Value): void {
    this.#root = path.length === 0 ? value : changeAt(this.#live(), path, 0, (at, key) => insert(at, key, value));
  }

  remove(path: Path): void {
    this.#root = path.length === 0 ? undefined : changeAt(this.#live(), path, 0, remove);
  }

  #live(): Value {
    if (this.#root === undefined) throw new BuiltinError("deleted node encountered");
    return this.#root;
  }
}

/** One operation of RFC 6902. @source OPA v1/topdown/json.go applyPatches */
function applyPatch(document: Patched, patch: Value): void {
  if (!isObject(patch)) {
    throw new BuiltinError("must be an array of JSON-Patch objects, but at least one element is not an object");
  }
  const attribute = (name: string): Value => {
    const value = getKey(patch, name);
    if (value === undefined) throw new BuiltinError(`missing required attribute '${name}'`);
    return value;
  };
  const pathText = attribute("path");
  const op = attribute("op");
  if (typeof op !== "string") {
    throw new BuiltinError(`attribute 'op' must be a string but found: ${typeName(op)}`);
  }
  const path = pathOf(pathText);
  switch (op) {
    case "add":
      document.insert(path, attribute("value"));
      return;
    case "remove":
      document.remove(path);
      return;
    case "replace":
      document.remove(path);
      document.insert(path, attribute("value"));
      return;
    case "move": {
      const from = pathOf(attribute("from"));
      const moved = document.read(from);
      document.remove(from);
      document.insert(path, moved);
      return;
    }
    case "copy":
      document.insert(path, document.read(pathOf(attribute("from"))));
      return;
    case "test": {
      const found = document.read(path);
      const wanted = attribute("value");
      if (valuesEqual(found, wanted)) return;
      throw new BuiltinError(
        `value from EditTree != patch value.\n\nExpected: ${toRegoText(wanted)}\n\nFound: ${toRegoText(found)}`,
      );
    }
    default:
      throw new BuiltinError(`unrecognized op: '${op}'`);
  }
}

export const objectBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "json.filter",
    category: "object",
    about: "Keeps only what the given paths lead to.",
    args: [
      arg("object", operands.object, "the object"),
      arg("paths", pathsOperand, "JSON pointers, or arrays of keys; indexes are strings"),
    ],
    result: result("filtered", types.object(), "what is left"),
    call: (_context, object, paths) => filterPaths(object, pathTree(membersOf(paths).map(pathOf))),
  }),
  defineBuiltin({
    name: "json.remove",
    category: "object",
    about: "Takes away what the given paths lead to.",
    args: [
      arg("object", operands.object, "the object"),
      arg("paths", pathsOperand, "JSON pointers, or arrays of keys; indexes are strings"),
    ],
    result: result("output", types.object(), "what is left"),
    call: (_context, object, paths) => removePaths(object, pathTree(membersOf(paths).map(pathOf))),
  }),
  defineBuiltin({
    name: "json.patch",
    category: "object",
    about: "Applies JSON patches (RFC 6902) to a document, sets included: their members are their keys.",
    args: [
      arg("target", operands.any, "the document"),
      arg("patches", operands.of<readonly Value[]>(types.array(patchType), "array"), "the operations, in order"),
    ],
    result: result("output", types.any, "the document after all operations"),
    call: (context, target, patches) => {
      const document = new Patched(target);
      for (const patch of patches) {
        context.spend(1);
        applyPatch(document, patch);
      }
      return document.root;
    },
  }),
  defineBuiltin({
    name: "object.subset",
    category: "object",
    about: "Whether one collection is part of another: objects member by member, arrays as a run, sets as subsets.",
    args: [arg("super", container, "the greater collection"), arg("sub", container, "the lesser collection")],
    result: result("result", types.boolean, "whether `sub` is part of `super`"),
    call: (_context, above, below) => {
      const answer = isSubset(above, below);
      if (answer !== undefined) return answer;
      if (isArray(above) && isSet(below)) return isCountedSubset(above, below);
      throw new SubsetError("both arguments object.subset must be of the same type or array and set");
    },
  }),
  defineBuiltin({
    name: "object.union",
    category: "object",
    about: "Merges two objects in depth. Where they disagree, the second wins.",
    args: [arg("a", operands.object, "the object to start from"), arg("b", operands.object, "the object that wins")],
    result: result("output", types.object(), "the merged object"),
    call: (context, a, b) => {
      context.spend(sizeOf(a) + sizeOf(b));
      return merge(a, b);
    },
  }),
  defineBuiltin({
    name: "object.union_n",
    category: "object",
    about: "Merges objects in depth, from left to right. Where they disagree, the later wins.",
    args: [arg("objects", operands.of<readonly Value[]>(types.array(types.object()), "array"), "the objects")],
    result: result("output", types.object(), "the merged object"),
    call: (context, objects) => {
      for (const object of objects) if (!isObject(object)) throw elementError(1, objects, object, "object");
      let merged: ObjectValue = {};
      for (const object of objects as readonly ObjectValue[]) {
        context.spend(sizeOf(merged) + sizeOf(object));
        merged = merge(merged, object);
      }
      return merged;
    },
  }),
  defineBuiltin({
    name: "object.remove",
    category: "object",
    about: "An object without some of its keys.",
    args: [
      arg("object", operands.object, "the object"),
      arg("keys", keysOperand, "the keys to leave out: members of an array or set, keys of an object"),
    ],
    result: result("output", types.object(), "the other members"),
    call: (_context, object, keys) => {
      const gone = keySet(keys);
      return filterKeys(object, (key) => !gone.has(key));
    },
  }),
  defineBuiltin({
    name: "object.filter",
    category: "object",
    about: "An object with only some of its keys.",
    args: [
      arg("object", operands.object, "the object"),
      arg("keys", keysOperand, "the keys to keep: members of an array or set, keys of an object"),
    ],
    result: result("filtered", types.object(), "the members under those keys"),
    call: (_context, object, keys) => {
      const kept = keySet(keys);
      return filterKeys(object, (key) => kept.has(key));
    },
  }),
  defineBuiltin({
    name: "object.get",
    category: "object",
    about: "The member under a key or at the end of a path, or else a default.",
    args: [
      arg("object", operands.object, "the object"),
      arg("key", operands.any, "the key; an array is a path, through arrays and sets too"),
      arg("default", operands.any, "the value where there is none"),
    ],
    result: result("value", types.any, "the member, or `default`"),
    call: (_context, object, key, fallback) => {
      if (!isArray(key)) {
        const member = getKey(object, key);
        return member === undefined ? fallback : member;
      }
      let current: Value | undefined = object;
      for (const step of key) {
        current = lookup(current, step);
        if (current === undefined) return fallback;
      }
      return current;
    },
  }),
  defineBuiltin({
    name: "object.keys",
    category: "object",
    about: "The keys of an object.",
    args: [arg("object", operands.object, "the object")],
    result: result("value", types.set(), "its keys"),
    call: (_context, object) => RegoSet.of(keysOf(object)),
  }),
];
