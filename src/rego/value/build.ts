import { setOwn } from "./json.ts";
import { type JsonObject, type ObjectValue, RegoObject, type Value } from "./value.ts";

/** Entries of an object in no particular order. */
export function entriesOf(object: ObjectValue): Iterable<readonly [Value, Value]> {
  return object instanceof RegoObject ? object.entries() : Object.entries(object);
}

/** Keys of an object in no particular order. */
export function keysOf(object: ObjectValue): Iterable<Value> {
  return object instanceof RegoObject ? object.keys() : Object.keys(object);
}

/** Collects an object: plain while all keys are strings, a `RegoObject` from the first other key on. */
export class ObjectBuilder {
  #plain: Record<string, Value> | undefined = {};
  #rego: RegoObject | undefined;

  set(key: Value, value: Value): void {
    if (this.#plain !== undefined) {
      if (typeof key === "string") {
        setOwn(this.#plain, key, value);
        return;
      }
      this.#rego = RegoObject.from(this.#plain);
      this.#plain = undefined;
    }
    (this.#rego as RegoObject).set(key, value);
  }

  /** The object; the builder must not be used any more. */
  build(): ObjectValue {
    return this.#plain ?? (this.#rego as RegoObject);
  }
}

export function objectOf(entries: Iterable<readonly [Value, Value]>): ObjectValue {
  const builder = new ObjectBuilder();
  for (const [key, value] of entries) builder.set(key, value);
  return builder.build();
}

/** A plain object from string keys, whatever they are called. */
export function recordOf(entries: Iterable<readonly [string, Value]>): JsonObject {
  const record: Record<string, Value> = {};
  for (const [key, value] of entries) setOwn(record, key, value);
  return record;
}
