/**
 * JavaScript source. Only this file can make one, so text from a policy cannot become code:
 * identifiers are checked, and every other hole of a template is spliced as a quoted literal.
 * (The idea is ajv's `_` and `Name`.)
 */
export class Js {
  readonly text: string;

  private constructor(text: string) {
    this.text = text;
  }

  /** A generated identifier; never a name a policy chose. */
  static ident(name: string): Js {
    if (!/^[A-Za-z_$][\w$]*$/.test(name)) throw new TypeError(`not an identifier: ${name}`);
    return new Js(name);
  }

  /** What this generator made in another thread of this process: the text of a `Js`, which cannot travel itself. */
  static generated(text: string): Js {
    return new Js(text);
  }

  static of(strings: TemplateStringsArray, ...holes: readonly (Js | Literal)[]): Js {
    let text = strings[0] as string;
    for (let i = 0; i < holes.length; i++) {
      const hole = holes[i] as Js | Literal;
      text += (hole instanceof Js ? hole.text : literal(hole)) + (strings[i + 1] as string);
    }
    return new Js(text);
  }

  static list(items: readonly (Js | Literal)[]): Js {
    return new Js(items.map((item) => (item instanceof Js ? item.text : literal(item))).join(", "));
  }

  static lines(items: readonly Js[]): Js {
    return new Js(items.map((item) => item.text).join("\n"));
  }
}

export type Literal = string | number | boolean | null;

export const js = Js.of;

function literal(value: Literal): string {
  // JSON text is JavaScript since ES2019; -0 and non-finite numbers are not JSON.
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0)))
    throw new TypeError("not a literal");
  return JSON.stringify(value);
}
