import type { Location } from "../../base/index.ts";
import { getKey, type ObjectValue, RegoObject, RegoSet, sortedKeys, type Value, valuesEqual } from "../value/index.ts";
import { EvalError } from "./errors.ts";

class SetLeaf {
  readonly members = new RegoSet();
}
/** What stands at one key of a partial object under construction; an Interior is never confused with an object some rule gave as its value. */
type Node = Interior | SetLeaf | { readonly value: Value };

/**
 * Collects what the rules of a partial object (`p[k] := v`, `p.q[x].r contains y`) produce and finds conflicts:
 * a leaf with two values, a value where another rule has something deeper, a set where there is a value.
 */
export class PartialObject {
  readonly #root = new Interior();

  /** @throws {EvalError} eval_conflict_error */
  put(path: readonly Value[], value: Value, at: Location): void {
    const leaf = this.#descend(path, at);
    const last = path[path.length - 1] as Value;
    const existing = leaf.get(last);
    if (existing === undefined) leaf.set(last, { value });
    else if (!(existing instanceof Interior) && "value" in existing && valuesEqual(existing.value, value)) return;
    else throw conflict(at);
  }

  /** @throws {EvalError} eval_conflict_error */
  add(path: readonly Value[], member: Value, at: Location): void {
    const leaf = this.#descend(path, at);
    const last = path[path.length - 1] as Value;
    const existing = leaf.get(last);
    if (existing === undefined) {
      const set = new SetLeaf();
      set.members.add(member);
      leaf.set(last, set);
    } else if (existing instanceof SetLeaf) existing.members.add(member);
    else throw conflict(at);
  }

  /** Entries of a partial object defined deeper (`p.q[x] := …` beside `p[y] := …`). @throws {EvalError} eval_conflict_error */
  mergeObject(path: readonly Value[], object: ObjectValue, at: Location): void {
    for (const key of sortedKeys(object)) this.put([...path, key], getKey(object, key) as Value, at);
  }

  /** Members of a set defined deeper; the set is there even if it is empty. @throws {EvalError} eval_conflict_error */
  mergeSet(path: readonly Value[], set: RegoSet, at: Location): void {
    const parent = this.#descend(path, at);
    const last = path[path.length - 1] as Value;
    if (parent.get(last) === undefined) parent.set(last, new SetLeaf());
    for (const member of set.values()) this.add(path, member, at);
  }

  toValue(): RegoObject {
    return this.#root.toObject();
  }

  #descend(path: readonly Value[], at: Location): Interior {
    let node = this.#root;
    for (let i = 0; i < path.length - 1; i++) {
      const key = path[i] as Value;
      const next = node.get(key);
      if (next === undefined) {
        const made = new Interior();
        node.set(key, made);
        node = made;
      } else if (next instanceof Interior) node = next;
      else throw conflict(at);
    }
    return node;
  }
}

/** Rego's key equality for anything: keys live in a RegoObject, nodes in a list beside it. */
class Interior {
  readonly #index = new RegoObject();
  readonly #nodes: Node[] = [];

  get(key: Value): Node | undefined {
    const at = this.#index.get(key);
    return at === undefined ? undefined : this.#nodes[at as number];
  }

  set(key: Value, node: Node): void {
    this.#index.set(key, this.#nodes.length);
    this.#nodes.push(node);
  }

  toObject(): RegoObject {
    const object = new RegoObject();
    for (const [key, at] of this.#index.entries()) {
      const node = this.#nodes[at as number] as Node;
      object.set(key, node instanceof Interior ? node.toObject() : node instanceof SetLeaf ? node.members : node.value);
    }
    return object;
  }
}

function conflict(at: Location): EvalError {
  return new EvalError("eval_conflict_error", "object keys must be unique", at);
}
