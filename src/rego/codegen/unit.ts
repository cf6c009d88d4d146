import type { Location } from "../../base/index.ts";
import type { RuleIndex } from "../runtime/index.ts";
import type { TypeName, Value } from "../value/index.ts";
import type { Node } from "./documents.ts";
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

/** What generated code is given beside the ABI. */
export type Constant =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "location"; readonly at: Location }
  | { readonly kind: "locations"; readonly list: readonly Location[] }
  | { readonly kind: "node"; readonly node: Node }
  | { readonly kind: "index"; readonly index: RuleIndex }
  | { readonly kind: "builtin"; readonly builtin: CallableBuiltin }
  /** A function of the program a query runs against. */
  | { readonly kind: "group"; readonly id: number; readonly isKeyed: boolean };

/**
 * One piece of generated JavaScript under construction: its constants are passed in by position, so no policy text is ever
 * spliced.
 */
export class Unit {
  readonly constants: Constant[] = [];
  readonly #names = new Map<unknown, Js>();
  #next = 0;

  value(value: Value): Js {
    return this.#constant(value, { kind: "value", value });
  }

  location(at: Location): Js {
    return this.#constant(at, { kind: "location", at });
  }

  locations(list: readonly Location[]): Js {
    return this.#constant(list, { kind: "locations", list });
  }

  node(node: Node): Js {
    return this.#constant(node, { kind: "node", node });
  }

  index(index: RuleIndex): Js {
    return this.#constant(index, { kind: "index", index });
  }

  builtin(builtin: CallableBuiltin): Js {
    return this.#constant(builtin, { kind: "builtin", builtin });
  }

  group(id: number, isKeyed: boolean): Js {
    return this.#constant(`${isKeyed ? "q" : "r"}${id}`, { kind: "group", id, isKeyed });
  }

  /** A name that holds the constant in the generated code; the same one for what is the same. */
  #constant(identity: unknown, constant: Constant): Js {
    const known = this.#names.get(identity);
    if (known !== undefined) return known;
    const name = Js.ident(`k${this.constants.length}`);
    this.constants.push(constant);
    this.#names.set(identity, name);
    return name;
  }

  /** Which constant a name of generated code stands for, if any. */
  static constantIndex(name: string): number | undefined {
    return /^k\d+$/.test(name) ? Number(name.slice(1)) : undefined;
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
