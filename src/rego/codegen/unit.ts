import type { Location } from "../../base/index.ts";
import type { TypeName, Value } from "../value/index.ts";
import { Js, js } from "./js.ts";

/** What the generator knows of a builtin it may call. */
export interface CallableBuiltin {
  readonly name: string;
  /** Per operand, the run-time types it accepts, in the order messages name them; empty: anything. */
  readonly accepts: readonly (readonly TypeName[])[];
  readonly relation: boolean;
  readonly isVoid: boolean;
  readonly nondeterministic: boolean;
  /** Has a variable number of operands. */
  readonly variadic: boolean;
  readonly call: (...args: never[]) => Value | undefined;
}

/**
 * One piece of generated JavaScript under construction: its constants (values, locations, builtins, nodes) are passed in
 * by position, so no policy text is ever spliced.
 */
export class Unit {
  readonly constants: unknown[] = [];
  readonly #names = new Map<unknown, Js>();
  #next = 0;

  /** A name that holds `value` in the generated code. */
  constant(value: unknown): Js {
    const known = this.#names.get(value);
    if (known !== undefined) return known;
    const name = Js.ident(`k${this.constants.length}`);
    this.constants.push(value);
    this.#names.set(value, name);
    return name;
  }

  /** Which constant a name of generated code stands for, if any. */
  static constantIndex(name: string): number | undefined {
    return /^k\d+$/.test(name) ? Number(name.slice(1)) : undefined;
  }

  location(at: Location): Js {
    return this.constant(at);
  }

  /** A name nothing else has. */
  fresh(prefix: string): Js {
    return Js.ident(`${prefix}${this.#next++}`);
  }

  /** Declarations of all constants; `k` is the array they come in. */
  prologue(): Js {
    return Js.lines(this.constants.map((_, i) => js`const ${Js.ident(`k${i}`)} = k[${i}];`));
  }
}
