/**
 * Whether two restricted regular expressions (characters, `.`, `[sets]`, each with an optional `+` or `*`) match a common
 * non-empty string, by the search of github.com/yashtewari/glob-intersection, which OPA uses. Its verdict is kept where
 * it is too strict (`a*b*c` and `c`); repeated work is not, so that time grows with the product of the lengths.
 */
export function globsIntersect(left: string, right: string): boolean {
  const trimmed = trim(simplify(tokenize(left)), simplify(tokenize(right)));
  return trimmed !== undefined && new Intersection(...trimmed).normal(0, 0, "g1");
}

/** A pattern is malformed; the message is the reference's. */
export class GlobsSyntaxError extends Error {
  override readonly name = "GlobsSyntaxError";
}

interface GlobToken {
  /** Code point, or a set of them, or undefined for `.`. */
  readonly chars: number | ReadonlySet<number> | undefined;
  readonly flag: "" | "+" | "*";
}

function matches(a: GlobToken, b: GlobToken): boolean {
  if (a.chars === undefined || b.chars === undefined) return true;
  if (typeof a.chars === "number") return typeof b.chars === "number" ? a.chars === b.chars : b.chars.has(a.chars);
  if (typeof b.chars === "number") return a.chars.has(b.chars);
  const [small, large] = a.chars.size <= b.chars.size ? [a.chars, b.chars] : [b.chars, a.chars];
  for (const char of small) if (large.has(char)) return true;
  return false;
}

function sameChars(a: GlobToken, b: GlobToken): boolean {
  if (typeof a.chars !== "object" || typeof b.chars !== "object") return a.chars === b.chars;
  if (a.chars.size !== b.chars.size) return false;
  for (const char of a.chars) if (!b.chars.has(char)) return false;
  return true;
}

/** Joins neighbouring flagged tokens of equal characters: `a*a+` is `a+`. */
function simplify(tokens: readonly GlobToken[]): readonly GlobToken[] {
  const simple: GlobToken[] = [];
  for (const token of tokens) {
    const latest = simple.at(-1);
    if (latest !== undefined && token.flag !== "" && latest.flag !== "" && sameChars(token, latest)) {
      simple[simple.length - 1] = { chars: latest.chars, flag: token.flag === "+" || latest.flag === "+" ? "+" : "*" };
    } else simple.push(token);
  }
  return simple;
}

type Globs = readonly [readonly GlobToken[], readonly GlobToken[]];

/** Takes unflagged heads and tails that match off both sides, but one token of each; undefined when a pair differs. */
function trim(g1: readonly GlobToken[], g2: readonly GlobToken[]): Globs | undefined {
  let left = 0;
  for (; left < g1.length && left < g2.length && g1[left]?.flag === "" && g2[left]?.flag === ""; left++) {
    if (!matches(g1[left] as GlobToken, g2[left] as GlobToken)) return undefined;
  }
  if (left > 0) left--;
  let right1 = g1.length - 1;
  let right2 = g2.length - 1;
  for (; right1 >= left && right2 >= left && g1[right1]?.flag === "" && g2[right2]?.flag === ""; right1--, right2--) {
    if (!matches(g1[right1] as GlobToken, g2[right2] as GlobToken)) return undefined;
  }
  if (right1 < g1.length - 1) {
    right1++;
    right2++;
  }
  return [g1.slice(left, right1 + 1), g2.slice(left, right2 + 1)];
}

/** Which of the two patterns a question is about. */
type Side = "g1" | "g2";

class Intersection {
  readonly #g1: readonly GlobToken[];
  readonly #g2: readonly GlobToken[];
  /** Verdicts by the positions in both patterns and the kind of question. */
  readonly #known = new Map<number, boolean>();

  constructor(g1: readonly GlobToken[], g2: readonly GlobToken[]) {
    this.#g1 = g1;
    this.#g2 = g2;
  }

  /** @param first the side whose flagged token goes first where both have one: the reference's verdict depends on it */
  normal(from1: number, from2: number, first: Side): boolean {
    let i = from1;
    let j = from2;
    for (; i < this.#g1.length && j < this.#g2.length; i++, j++) {
      const a = this.#g1[i] as GlobToken;
      const b = this.#g2[j] as GlobToken;
      if (a.flag !== "" || b.flag !== "") {
        const side = (first === "g1" ? a : b).flag !== "" ? first : other(first);
        return (side === "g1" ? a : b).flag === "+" ? this.#plus(i, j, side) : this.#star(i, j, side);
      }
      if (!matches(a, b)) return false;
    }
    return i === this.#g1.length && j === this.#g2.length;
  }

  #plus(i: number, j: number, side: Side): boolean {
    return this.#remember(0, i, j, side, () => {
      const a = this.#g1[i] as GlobToken;
      const b = this.#g2[j] as GlobToken;
      if (!matches(a, b)) return false;
      if (side === "g1" ? this.#star(i, j + 1, side) : this.#star(i + 1, j, side)) return true;
      if ((side === "g1" ? b : a).flag === "") return false;
      return side === "g1" ? this.normal(i + 1, j, side) : this.normal(i, j + 1, side);
    });
  }

  /** The flagged token takes tokens of the other side until what remains matches. */
  #star(i: number, j: number, side: Side): boolean {
    return this.#remember(1, i, j, side, () => {
      const [starred, at, others, from] = side === "g1" ? [this.#g1, i, this.#g2, j] : [this.#g2, j, this.#g1, i];
      const star = starred[at] as GlobToken;
      const next = starred[at + 1];
      for (let k = from; k < others.length; k++) {
        const token = others[k] as GlobToken;
        if (next !== undefined && matches(token, next)) {
          if (side === "g1" ? this.normal(i + 1, k, side) : this.normal(k, j + 1, side)) return true;
        }
        if (!matches(token, star)) return false;
      }
      return next === undefined;
    });
  }

  #remember(kind: number, i: number, j: number, side: Side, find: () => boolean): boolean {
    const key = ((i * (this.#g2.length + 2) + j) * 2 + kind) * 2 + (side === "g1" ? 0 : 1);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const verdict = find();
    this.#known.set(key, verdict);
    return verdict;
  }
}

function other(side: Side): Side {
  return side === "g1" ? "g2" : "g1";
}

function tokenize(text: string): readonly GlobToken[] {
  return new Tokenizer(text).read();
}

interface Rune {
  readonly char: string;
  readonly escaped: boolean;
}

class Tokenizer {
  readonly #text: string;
  readonly #chars: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#chars = [...text];
  }

  read(): readonly GlobToken[] {
    const tokens: GlobToken[] = [];
    for (;;) {
      const rune = this.#next();
      if (rune === undefined) return tokens;
      const chars = this.#charsOf(rune);
      const flag = this.#chars[this.#at];
      if (flag === "+" || flag === "*") this.#at++;
      else if (flag === "\\" && this.#at === this.#chars.length - 1)
        this.#fail("input ends with a \\ (escape) character", this.#at);
      tokens.push({ chars, flag: flag === "+" || flag === "*" ? flag : "" });
    }
  }

  #charsOf({ char, escaped }: Rune): GlobToken["chars"] {
    if (!escaped) {
      if (char === ".") return undefined;
      if (char === "[") return this.#set();
      if (char === "]") this.#fail("set-close ']' with no preceding '['");
      if (char === "+" || char === "*") this.#fail(`flag '${char}' must be preceded by a non-flag`);
    }
    return char.codePointAt(0) as number;
  }

  #set(): ReadonlySet<number> {
    const set = new Set<number>();
    let previous: string | undefined;
    for (;;) {
      const rune = this.#next();
      if (rune === undefined) return this.#fail("found [ without matching ]");
      const { char, escaped } = rune;
      if (!escaped && char === "]") return set;
      if (!escaped && char === "-") {
        if (previous === undefined) return this.#fail("range character '-' must be preceded by a Unicode character");
        if (this.#at >= this.#chars.length - 1)
          return this.#fail("range character '-' must be followed by a Unicode character");
        const end = this.#next() as Rune;
        if (!end.escaped && (end.char === "]" || end.char === "-")) {
          this.#fail("range character '-' cannot be followed by a special symbol");
        }
        const first = previous.codePointAt(0) as number;
        const last = end.char.codePointAt(0) as number;
        if (last < first) this.#fail(`range is out of order: '${end.char}' comes before '${previous}' in Unicode`);
        for (let code = first; code <= last; code++) set.add(code);
        previous = undefined;
      } else {
        set.add(char.codePointAt(0) as number);
        previous = char;
      }
    }
  }

  #next(): Rune | undefined {
    const char = this.#chars[this.#at];
    if (char === undefined) return undefined;
    if (char !== "\\") {
      this.#at++;
      return { char, escaped: false };
    }
    const escaped = this.#chars[this.#at + 1];
    if (escaped === undefined) return this.#fail("input ends with a \\ (escape) character", this.#at);
    this.#at += 2;
    return { char: escaped, escaped: true };
  }

  #fail(message: string, at = this.#at): never {
    throw new GlobsSyntaxError(`input:${this.#text}, pos:${at}, ${message}: the input provided is invalid`);
  }
}
