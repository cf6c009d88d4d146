import { detached } from "./detached.ts";

/** A map of bounded size: when full, the least recently read or written entry makes room. Keys are kept as copies. */
export class LruMap<V> {
  readonly #limit: number;
  readonly #entries = new Map<string, { readonly key: string; readonly value: V }>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(entry.key, entry);
    return entry.value;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  set(key: string, value: V): void {
    this.#entries.delete(key);
    if (this.#entries.size >= this.#limit) {
      const oldest = this.#entries.keys().next();
      if (oldest.done !== true) this.#entries.delete(oldest.value);
    }
    const kept = detached(key);
    this.#entries.set(kept, { key: kept, value });
  }

  delete(key: string): boolean {
    return this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** Oldest use first. */
  keys(): IterableIterator<string> {
    return this.#entries.keys();
  }
}
