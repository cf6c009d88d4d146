import type { BuiltinContext } from "../runtime/index.ts";
import {
  getKey,
  isArray,
  isObject,
  isSet,
  lookup,
  type ObjectValue,
  RegoSet,
  sortedKeys,
  type TypeName,
  type Value,
} from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, operandTypeError, result, types } from "./define.ts";
import { type Collection, membersOf } from "./operands.ts";

const edges = types.oneOf(types.array(), types.set());
const graphOperand = operands.of<ObjectValue>(types.object(types.any, edges), "object");
// OPA puts the braces into the name of the one type it asks for.
const initialOperand = operands.of<Value>(edges);

/** All nodes of a document, parents first: what `walk` yields. `path` is absent where nobody looks at it. */
export interface WalkEntry {
  readonly path: readonly Value[];
  readonly value: Value;
}

/**
 * Walks a document in pre-order: arrays by index, objects by key, sets by member, without using the call stack, so that
 * depth costs memory only. With `prefix` it visits nothing but what lies at and below that path.
 *
 * @param paths whether to build paths; without, every path is empty.
 */
export function* walkEntries(
  root: Value,
  prefix: readonly Value[] = [],
  paths: "with paths" | "without paths" = "with paths",
): Generator<WalkEntry> {
  let start: Value | undefined = root;
  for (const key of prefix) {
    start = lookup(start, key);
    if (start === undefined) return;
  }
  const build = paths === "with paths";
  const pending: WalkEntry[] = [{ path: build ? prefix : [], value: start }];
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    yield entry;
    const { path, value } = entry;
    if (typeof value !== "object" || value === null) continue;
    if (isArray(value)) {
      for (let i = value.length - 1; i >= 0; i--) {
        pending.push({ path: build ? [...path, i] : path, value: value[i] as Value });
      }
    } else if (isSet(value)) {
      const members = value.sorted();
      for (let i = members.length - 1; i >= 0; i--) {
        const member = members[i] as Value;
        pending.push({ path: build ? [...path, member] : path, value: member });
      }
    } else if (isObject(value)) {
      const keys = sortedKeys(value);
      for (let i = keys.length - 1; i >= 0; i--) {
        const key = keys[i] as Value;
        pending.push({ path: build ? [...path, key] : path, value: getKey(value, key) as Value });
      }
    }
  }
}

function neighbours(value: Value): readonly Value[] {
  return isArray(value) || isSet(value) ? membersOf(value) : [];
}

function initialNodes(initial: Value): readonly Value[] {
  if (isArray(initial) || isSet(initial)) return membersOf(initial as Collection);
  throw operandTypeError(2, ["{array, set}" as TypeName], initial);
}

function reachable(context: BuiltinContext, graph: ObjectValue, initial: Value): RegoSet {
  const reached = new RegoSet();
  const pending = [...initialNodes(initial)];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (reached.has(node)) continue;
    const next = getKey(graph, node);
    if (next === undefined) continue;
    reached.add(node);
    const found = neighbours(next);
    context.spend(1 + found.length);
    for (const neighbour of found) if (!reached.has(neighbour)) pending.push(neighbour);
  }
  return reached;
}

/**
 * All paths from the initial nodes until they end, leave the graph or meet themselves.
 * @source OPA v1/topdown/reachable.go pathBuilder
 */
function reachablePaths(context: BuiltinContext, graph: ObjectValue, initial: Value): RegoSet {
  const found = new RegoSet();
  for (const root of initialNodes(initial)) {
    const first = getKey(graph, root);
    if (first === undefined) continue;
    const starts = neighbours(first);
    if (starts.length === 0) found.add([root]);
    const pending = starts.map((node) => ({ node, path: [root] as readonly Value[], seen: RegoSet.of([root]) }));
    for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
      const { node, path, seen } = step;
      context.spend(1 + path.length);
      const next = getKey(graph, node);
      if (next === undefined) {
        found.add(path);
        continue;
      }
      const longer = [...path, node];
      const following = neighbours(next);
      if (following.length === 0) {
        found.add(longer);
        continue;
      }
      const visited = RegoSet.of([...seen.values(), node]);
      for (const neighbour of following) {
        if (visited.has(neighbour)) found.add(longer);
        else pending.push({ node: neighbour, path: longer, seen: visited });
      }
    }
  }
  return found;
}

export const graphBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "walk",
    category: "graph",
    about: "Yields every node of a document with the path to it, the document itself first.",
    relation: true,
    args: [arg("x", operands.any, "the document")],
    result: result("output", types.tuple(types.array(), types.any), "`[path, value]`, one at a time"),
    call: (context, x) => {
      const pairs: Value[] = [];
      for (const { path, value } of walkEntries(x)) {
        context.spend(1 + path.length);
        pairs.push([path, value]);
      }
      return pairs;
    },
  }),
  defineBuiltin({
    name: "graph.reachable",
    category: "graph",
    about: "The nodes that can be reached, the initial ones included as far as they are in the graph.",
    args: [
      arg("graph", graphOperand, "each node's neighbours"),
      arg("initial", initialOperand, "the nodes to start from"),
    ],
    result: result("output", types.set(), "the nodes reached"),
    call: reachable,
  }),
  defineBuiltin({
    name: "graph.reachable_paths",
    category: "graph",
    about: "The paths from the initial nodes to where they end or would repeat a node.",
    args: [
      arg("graph", graphOperand, "each node's neighbours"),
      arg("initial", initialOperand, "the nodes to start from"),
    ],
    result: result("output", types.set(types.array()), "the paths, as arrays of nodes"),
    call: reachablePaths,
  }),
];
