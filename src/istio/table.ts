import type { Value } from "../rego/value/index.ts";

export type Table<T = Value> = { [key: string]: T };

/**
 * An object to be filled with keys out of policy files. Without a prototype, `__proto__` is a key like any other, and
 * V8 keeps it as a hash table instead of a shape of its own for every key.
 */
export function emptyTable<T = Value>(): Table<T> {
  return Object.create(null) as Table<T>;
}
