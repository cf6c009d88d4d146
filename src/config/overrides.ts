import { ConfigError } from "./errors.ts";
import { isPlainObject, type Plain } from "./section.ts";

type Mutable = Record<string, Plain>;

/**
 * Applies `--set a.b[0].c=value,d={x,y}`: dots descend, `\` quotes the next character, braces make a list, whole numbers,
 * booleans and null get their type. An index into a list replaces the element whole.
 *
 * @param readValue  Turns the text of a value into what is stored: the identity of `--set`, or a file's content.
 * @throws {ConfigError}
 */
export function applyOverride(config: Mutable, text: string, readValue?: (text: string) => string): void {
  new OverrideReader(text, readValue).applyTo(config);
}

class OverrideReader {
  readonly #text: string;
  readonly #readValue: ((text: string) => string) | undefined;
  #at = 0;

  constructor(text: string, readValue: ((text: string) => string) | undefined) {
    this.#text = text;
    this.#readValue = readValue;
  }

  applyTo(config: Mutable): void {
    while (this.#at < this.#text.length) {
      const path = this.#path();
      const value = this.#value();
      put(config, path, value, this.#text);
    }
  }

  #path(): readonly (string | number)[] {
    const path: (string | number)[] = [];
    let name = "";
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined || char === ",")
        throw new ConfigError(`--set ${this.#text}: key ${JSON.stringify(name)} has no value`);
      this.#at++;
      if (char === "\\") name += this.#text[this.#at++] ?? "";
      else if (char === "=" || char === "." || char === "[") {
        if (name !== "" || path.length === 0) path.push(name);
        name = "";
        if (char === "[") path.push(this.#index());
        if (char === "=") return path;
      } else name += char;
    }
  }

  #index(): number {
    const end = this.#text.indexOf("]", this.#at);
    const digits = this.#text.slice(this.#at, end === -1 ? undefined : end);
    if (end === -1 || !/^\d{1,5}$/.test(digits)) throw new ConfigError(`--set ${this.#text}: malformed list index`);
    this.#at = end + 1;
    return Number(digits);
  }

  #value(): Plain {
    if (this.#text[this.#at] === "{" && this.#readValue === undefined) return this.#list();
    const text = this.#until(",");
    return this.#readValue === undefined ? typed(text) : this.#readValue(text);
  }

  #list(): Plain {
    this.#at++;
    const items: Plain[] = [];
    if (this.#text[this.#at] === "}") this.#at++;
    else {
      for (;;) {
        items.push(typed(this.#until(",}")));
        const end = this.#text[this.#at - 1];
        if (end === "}") break;
        if (this.#at >= this.#text.length) throw new ConfigError(`--set ${this.#text}: list must terminate with '}'`);
      }
    }
    if (this.#text[this.#at] === ",") this.#at++;
    return items;
  }

  /** Text up to one of the characters, which is consumed. */
  #until(ends: string): string {
    let out = "";
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at++] as string;
      if (char === "\\") out += this.#text[this.#at++] ?? "";
      else if (ends.includes(char)) return out;
      else out += char;
    }
    return out;
  }
}

function typed(text: string): Plain {
  if (text === "true") return true;
  if (text === "false") return false;
  if (text === "null") return null;
  return /^(?:0|-?[1-9]\d{0,15})$/.test(text) ? Number(text) : text;
}

function put(config: Mutable, path: readonly (string | number)[], value: Plain, text: string): void {
  let node: Mutable | Plain[] = config;
  path.forEach((step, i) => {
    const next = path[i + 1];
    const at = node as Record<string | number, Plain>;
    if (next === undefined) {
      setMember(at, step, value);
      return;
    }
    const existing = Object.hasOwn(at, step) ? at[step] : undefined;
    const fits = typeof next === "number" ? Array.isArray(existing) : isPlainObject(existing);
    const child: Plain = fits ? (existing as Plain) : typeof next === "number" ? [] : {};
    if (typeof step === "number" && step > (node as Plain[]).length)
      throw new ConfigError(`--set ${text}: list index ${step} leaves a gap`);
    setMember(at, step, child);
    node = child as Mutable | Plain[];
  });
}

function setMember(object: Record<string | number, Plain>, key: string | number, value: Plain): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}
