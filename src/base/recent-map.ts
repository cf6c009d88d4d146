import { detached } from "./detached.ts";

/**
 * A map of bounded size for caches on hot paths: reading costs one look-up. Entries live in two generations; when the
 * young one is half the limit, it becomes the old one, and what was not read since it grew old is forgotten.
 * Texts are kept as copies, when they are keys.
 */
export class RecentMap<K extends string | number, V> {
  readonly #half: number;
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  constructor(limit: number) {
    this.#half = Math.max(1, Math.floor(limit / 2));
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Of what it has not forgotten. */
  keys(): readonly K[] {
    return [...this.#old.keys(), ...this.#young.keys()];
  }

  get(key: K): V | undefined {
    const value = this.#young.get(key);
    if (value !== undefined) return value;
    const aged = this.#old.get(key);
    if (aged !== undefined) this.set(key, aged);
    return aged;
  }

  set(key: K, value: V): void {
    this.#old.delete(key);
    this.#young.set(typeof key === "string" ? (detached(key) as K) : key, value);
    if (this.#young.size > this.#half) {
      this.#old = this.#young;
      this.#young = new Map();
    }
  }
}
