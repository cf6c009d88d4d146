import { ConfigError } from "./errors.ts";
import { nearest } from "./nearest.ts";

export type Plain = null | boolean | number | bigint | string | readonly Plain[] | PlainObject;
export interface PlainObject {
  readonly [key: string]: Plain;
}

/** Warnings about keys nobody reads. */
export type Warn = (message: string) => void;

/**
 * One mapping of the configuration, read member by member. A wrong type is an error that names path and expectation; when
 * `finish` is called, members that nobody asked for are warned about, with the nearest known name.
 */
export class Section {
  readonly path: string;
  readonly #members: PlainObject;
  readonly #warn: Warn;
  readonly #asked = new Set<string>();
  readonly #ignoresCase: boolean;

  /** @param ignoresCase  For sections Go's JSON decoder reads: its keys match in any case. */
  constructor(path: string, value: Plain | undefined, warn: Warn, ignoresCase = false) {
    if (value !== undefined && value !== null && !isPlainObject(value))
      throw new ConfigError(`${path}: expected an object, got ${kindOf(value)}`);
    this.path = path;
    this.#members = value ?? {};
    this.#warn = warn;
    this.#ignoresCase = ignoresCase;
  }

  get keys(): readonly string[] {
    return Object.keys(this.#members);
  }

  /** The member, or undefined where it is absent or null. */
  get(key: string): Plain | undefined {
    this.#asked.add(key);
    const own = Object.hasOwn(this.#members, key)
      ? key
      : this.#ignoresCase
        ? this.keys.find((name) => name.toLowerCase() === key.toLowerCase())
        : undefined;
    return own === undefined ? undefined : (this.#members[own] ?? undefined);
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  string(key: string): string | undefined;
  string(key: string, preset: string): string;
  string(key: string, preset?: string): string | undefined {
    const value = this.get(key);
    if (value === undefined) return preset;
    if (typeof value === "string") return value;
    throw this.wrong(key, "a string", value);
  }

  boolean(key: string, preset: boolean): boolean {
    const value = this.get(key) ?? preset;
    if (typeof value === "boolean") return value;
    throw this.wrong(key, "a boolean", value);
  }

  number(key: string): number | undefined;
  number(key: string, preset: number): number;
  number(key: string, preset?: number): number | undefined {
    const value = this.get(key);
    if (value === undefined) return preset;
    if (typeof value === "number" || typeof value === "bigint") return Number(value);
    throw this.wrong(key, "a number", value);
  }

  /** A whole number of at least `least`. */
  count(key: string, least: number): number | undefined;
  count(key: string, least: number, preset: number): number;
  count(key: string, least: number, preset?: number): number | undefined {
    const value = this.number(key);
    if (value === undefined) return preset;
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw this.wrong(key, `a whole number of at least ${least}`, value);
  }

  choice<const T extends string>(key: string, choices: readonly T[], preset: T): T {
    const value = this.get(key) ?? preset;
    const known = choices.find((choice) => choice === value);
    if (known !== undefined) return known;
    const hint = typeof value === "string" ? nearest(value, choices) : undefined;
    throw this.wrong(key, `one of ${choices.join(", ")}`, value, hint);
  }

  strings(key: string): readonly string[] | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.wrong(key, "an array of strings", value);
    return value.map((item: Plain, i) => {
      if (typeof item === "string") return item;
      throw new ConfigError(`${this.#at(key)}[${i}]: expected a string, got ${kindOf(item)}`);
    });
  }

  numbers(key: string): readonly number[] | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.wrong(key, "an array of numbers", value);
    return value.map((item: Plain, i) => {
      if (typeof item === "number" || typeof item === "bigint") return Number(item);
      throw new ConfigError(`${this.#at(key)}[${i}]: expected a number, got ${kindOf(item)}`);
    });
  }

  /** A mapping of strings; numbers and booleans are taken by their text, as in labels. */
  texts(key: string): Readonly<Record<string, string>> {
    const value = this.get(key);
    if (value === undefined) return {};
    if (!isPlainObject(value)) throw this.wrong(key, "an object", value);
    return Object.fromEntries(
      Object.entries(value).map(([name, text]) => {
        if (typeof text === "string") return [name, text];
        throw new ConfigError(`${this.#at(key)}.${name}: expected a string, got ${kindOf(text)}`);
      }),
    );
  }

  /** A mapping that is taken as it is. */
  object(key: string): PlainObject {
    const value = this.get(key) ?? {};
    if (isPlainObject(value)) return value;
    throw this.wrong(key, "an object", value);
  }

  /** A URL of http or https; an empty text is the preset. */
  url(key: string, preset: string): string {
    const value = this.string(key, "");
    if (value === "") return preset;
    if (/^https?:\/\//.test(value) && URL.canParse(value)) return value;
    throw this.wrong(key, "a URL of http or https", value);
  }

  section(key: string, ignoresCase = false): Section {
    return new Section(this.#at(key), this.get(key), this.#warn, ignoresCase);
  }

  /** The members of a mapping, or of an array of mappings with a `name`. */
  named(key: string): readonly (readonly [name: string, section: Section])[] {
    const value = this.get(key);
    if (value === undefined) return [];
    if (Array.isArray(value)) {
      return value.map((item: Plain, i) => {
        const section = new Section(`${this.#at(key)}[${i}]`, item, this.#warn);
        const name = section.string("name");
        if (name === undefined || name === "")
          throw new ConfigError(`${section.path}.name: expected a string, got nothing`);
        return [name, section] as const;
      });
    }
    if (!isPlainObject(value)) throw this.wrong(key, "an object or an array", value);
    return Object.keys(value).map(
      (name) => [name, new Section(`${this.#at(key)}.${name}`, value[name], this.#warn)] as const,
    );
  }

  /** Declares members that others read. */
  expect(...keys: readonly string[]): void {
    for (const key of keys) this.#asked.add(key);
  }

  /** Warns about members that were not asked for. */
  finish(): void {
    for (const key of this.keys) {
      if (
        this.#asked.has(key) ||
        (this.#ignoresCase && [...this.#asked].some((name) => name.toLowerCase() === key.toLowerCase()))
      )
        continue;
      const meant = nearest(key, [...this.#asked]);
      this.#warn(
        `${this.#at(key)} is not a known key${meant === undefined ? "" : `; did you mean ${JSON.stringify(meant)}?`}`,
      );
    }
  }

  wrong(key: string, expected: string, got: Plain, hint?: string): ConfigError {
    const shown =
      typeof got === "string" || typeof got === "number" || typeof got === "boolean"
        ? `${kindOf(got)} ${JSON.stringify(got)}`
        : kindOf(got);
    return new ConfigError(
      `${this.#at(key)}: expected ${expected}, got ${shown}${hint === undefined ? "" : `; did you mean ${JSON.stringify(hint)}?`}`,
    );
  }

  #at(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }
}

export function isPlainObject(value: Plain | undefined): value is PlainObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: Plain): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "bigint" ? "number" : typeof value;
}
