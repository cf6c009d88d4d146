/**
 * A quick yes-or-no matcher for the plain patterns that policies mostly use: ASCII characters, classes, groups,
 * alternatives, repetitions and the anchors of the whole text. It is a lazily built deterministic automaton: each character
 * of the text costs one look into a table. Everything else (flags, word boundaries, Unicode classes, texts with
 * surrogates) stays with RE2, which also decides what is well-formed: only patterns it accepts may come here.
 */

/** Undefined: RE2 must decide. */
export type QuickTest = (text: string) => boolean | undefined;

/** @param pattern well-formed. @returns undefined for a pattern that is not plain enough */
export function compileQuickTest(pattern: string): QuickTest | undefined {
  if (pattern.length > MAX_PATTERN || !/^[\n\r\t\x20-\x7e]*$/.test(pattern)) return undefined;
  const literal = compileLiteral(pattern);
  if (literal !== undefined) return literal;
  const nfa = new Builder(pattern).build();
  if (nfa === undefined) return undefined;
  const automaton = new Automaton(nfa);
  return (text) => automaton.test(text);
}

/** Characters and escaped punctuation, anchored or not, perhaps with a `.*` at the end. */
const LITERAL = /^(\^?)((?:[^\\^$.|?*+()[\]{}]|\\[^A-Za-z0-9])*)(\.\*)?(\$?)$/;

/** What string methods can do. */
function compileLiteral(pattern: string): QuickTest | undefined {
  const found = LITERAL.exec(pattern);
  if (found === null) return undefined;
  const [, begin, quoted = "", rest, end] = found;
  const text = quoted.replace(/\\(.)/gs, "$1");
  if (rest !== undefined && end === "$") {
    if (begin === "^") return (value) => value.startsWith(text) && !value.includes("\n", text.length);
    return undefined;
  }
  if (begin === "^") return end === "$" ? (value) => value === text : (value) => value.startsWith(text);
  return end === "$" ? (value) => value.endsWith(text) : (value) => value.includes(text);
}

const MAX_PATTERN = 1000;
const MAX_NODES = 1000;
/** Cells of one automaton's table: states times kinds of characters. */
const MAX_CELLS = 1 << 14;

/** A set of characters: one flag per ASCII character, and one for all others. */
type CharSet = readonly boolean[];
const OTHERS = 128;

function charSet(holds: (code: number) => boolean, others = false): CharSet {
  return Array.from({ length: OTHERS + 1 }, (_, code) => (code === OTHERS ? others : holds(code)));
}

function complement(set: CharSet): CharSet {
  return set.map((held) => !held);
}

const isDigit = (code: number) => code >= 0x30 && code <= 0x39;
const isWord = (code: number) =>
  isDigit(code) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code === 0x5f;
/** RE2's `\s` has no vertical tab. */
const isSpace = (code: number) => code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0c || code === 0x0d;

const CLASSES: ReadonlyMap<string, CharSet> = new Map([
  ["d", charSet(isDigit)],
  ["w", charSet(isWord)],
  ["s", charSet(isSpace)],
  ["D", complement(charSet(isDigit))],
  ["W", complement(charSet(isWord))],
  ["S", complement(charSet(isSpace))],
]);
const ANY_BUT_NEWLINE = charSet((code) => code !== 0x0a, true);
const ESCAPED: ReadonlyMap<string, number> = new Map([
  ["n", 0x0a],
  ["r", 0x0d],
  ["t", 0x09],
  ["f", 0x0c],
  ["v", 0x0b],
  ["a", 0x07],
]);

type Node =
  | { readonly kind: "chars"; readonly set: CharSet; readonly next: number }
  | { readonly kind: "fork"; readonly next: readonly number[] }
  | { readonly kind: "begin" | "end"; readonly next: number }
  | { readonly kind: "match" };

interface Nfa {
  readonly nodes: readonly Node[];
  readonly start: number;
}

/** The pattern holds something this matcher does not know. */
class NotPlainError extends Error {
  override readonly name = "NotPlainError";
}

type Ast =
  | { readonly kind: "chars"; readonly set: CharSet }
  | { readonly kind: "begin" | "end" }
  | { readonly kind: "sequence"; readonly parts: readonly Ast[] }
  | { readonly kind: "either"; readonly parts: readonly Ast[] }
  | { readonly kind: "repeat"; readonly part: Ast; readonly min: number; readonly max: number };

class Builder {
  readonly #pattern: string;
  #at = 0;
  readonly #nodes: Node[] = [];

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  build(): Nfa | undefined {
    try {
      const ast = this.#alternatives();
      if (this.#at < this.#pattern.length) return undefined;
      const start = this.#emit(ast, this.#add({ kind: "match" }));
      return { nodes: this.#nodes, start };
    } catch (error) {
      if (error instanceof NotPlainError) return undefined;
      throw error;
    }
  }

  #alternatives(): Ast {
    const parts = [this.#sequence()];
    while (this.#pattern[this.#at] === "|") {
      this.#at++;
      parts.push(this.#sequence());
    }
    return parts.length === 1 ? (parts[0] as Ast) : { kind: "either", parts };
  }

  #sequence(): Ast {
    const parts: Ast[] = [];
    for (
      let char = this.#pattern[this.#at];
      char !== undefined && char !== "|" && char !== ")";
      char = this.#pattern[this.#at]
    ) {
      parts.push(this.#repetitions(this.#atom(char)));
    }
    return { kind: "sequence", parts };
  }

  #repetitions(atom: Ast): Ast {
    let part = atom;
    for (;;) {
      const found = /^(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??/.exec(this.#pattern.slice(this.#at, this.#at + 16));
      if (found === null) return part;
      this.#at += found[0].length;
      const [, symbol, low, comma, high] = found;
      const min = symbol === undefined ? Number(low) : symbol === "+" ? 1 : 0;
      const max =
        symbol === "?"
          ? 1
          : symbol !== undefined || high === ""
            ? Number.POSITIVE_INFINITY
            : comma === undefined
              ? min
              : Number(high);
      part = { kind: "repeat", part, min, max };
    }
  }

  #atom(char: string): Ast {
    this.#at++;
    switch (char) {
      case "(":
        return this.#group();
      case "[":
        return { kind: "chars", set: this.#class() };
      case ".":
        return { kind: "chars", set: ANY_BUT_NEWLINE };
      case "^":
        return { kind: "begin" };
      case "$":
        return { kind: "end" };
      case "\\":
        return this.#escape();
      // A brace that opens no repetition is a character, but whether it does is for RE2 to say.
      case "{":
      case "*":
      case "+":
      case "?":
        throw new NotPlainError();
      default:
        return literal(char.charCodeAt(0));
    }
  }

  #group(): Ast {
    const opening = /^\?(?::|P?<\w+>)/.exec(this.#pattern.slice(this.#at, this.#at + 100));
    if (opening !== null) this.#at += opening[0].length;
    else if (this.#pattern[this.#at] === "?") throw new NotPlainError();
    const inner = this.#alternatives();
    if (this.#pattern[this.#at] !== ")") throw new NotPlainError();
    this.#at++;
    return inner;
  }

  #escape(): Ast {
    const char = this.#next();
    if (char === "A") return { kind: "begin" };
    if (char === "z") return { kind: "end" };
    return { kind: "chars", set: this.#escaped(char) };
  }

  #escaped(char: string): CharSet {
    const known = CLASSES.get(char);
    if (known !== undefined) return known;
    const code = ESCAPED.get(char);
    if (code !== undefined) return single(code);
    if (isWord(char.charCodeAt(0))) throw new NotPlainError();
    return single(char.charCodeAt(0));
  }

  #class(): CharSet {
    const negated = this.#pattern[this.#at] === "^";
    if (negated) this.#at++;
    const held = Array<boolean>(OTHERS + 1).fill(false);
    for (let first = true; first || this.#pattern[this.#at] !== "]"; first = false) {
      const char = this.#next();
      if (char === "[" && this.#pattern[this.#at] === ":") throw new NotPlainError();
      const low = char === "\\" ? this.#escaped(this.#next()) : single(char.charCodeAt(0));
      const isRange = this.#pattern[this.#at] === "-" && this.#pattern[this.#at + 1] !== "]";
      if (!isRange) {
        low.forEach((holds, code) => {
          held[code] ||= holds;
        });
        continue;
      }
      this.#at++;
      const end = this.#next();
      const high = end === "\\" ? this.#escaped(this.#next()) : single(end.charCodeAt(0));
      for (let code = onlyMember(low); code <= onlyMember(high); code++) held[code] = true;
    }
    this.#at++;
    return negated ? complement(held) : held;
  }

  #next(): string {
    const char = this.#pattern[this.#at++];
    if (char === undefined) throw new NotPlainError();
    return char;
  }

  #add(node: Node): number {
    if (this.#nodes.length >= MAX_NODES) throw new NotPlainError();
    return this.#nodes.push(node) - 1;
  }

  /** Nodes for `ast` that go on to `next`. @returns the first */
  #emit(ast: Ast, next: number): number {
    switch (ast.kind) {
      case "chars":
        return this.#add({ kind: "chars", set: ast.set, next });
      case "begin":
      case "end":
        return this.#add({ kind: ast.kind, next });
      case "sequence":
        return ast.parts.reduceRight((after, part) => this.#emit(part, after), next);
      case "either":
        return this.#add({ kind: "fork", next: ast.parts.map((part) => this.#emit(part, next)) });
      case "repeat": {
        let after = next;
        if (ast.max === Number.POSITIVE_INFINITY) {
          const loop = this.#add({ kind: "fork", next: [] });
          this.#nodes[loop] = { kind: "fork", next: [this.#emit(ast.part, loop), next] };
          after = loop;
        } else
          for (let i = ast.min; i < ast.max; i++)
            after = this.#add({ kind: "fork", next: [this.#emit(ast.part, after), next] });
        for (let i = 0; i < ast.min; i++) after = this.#emit(ast.part, after);
        return after;
      }
      default:
        return ast satisfies never;
    }
  }
}

function literal(code: number): Ast {
  return { kind: "chars", set: single(code) };
}

function single(code: number): CharSet {
  return charSet((other) => other === code);
}

/** The one character of a range's end. */
function onlyMember(set: CharSet): number {
  const code = set.indexOf(true);
  if (code === -1 || set.indexOf(true, code + 1) !== -1) throw new NotPlainError();
  return code;
}

/** Outcomes that need no further reading. */
const MATCHED = -2;
const FAILED = -3;
const UNKNOWN = -1;

class Automaton {
  readonly #nfa: Nfa;
  /** The kind of each ASCII character; the last entry is that of all others. Characters of a kind are alike to the pattern. */
  readonly #kinds: Uint8Array;
  readonly #width: number;
  /** By state and kind: the next state, or an outcome. */
  #table: Int32Array;
  readonly #states: (readonly number[])[] = [];
  readonly #ids = new Map<string, number>();
  /** Whether the text may end in a state. */
  readonly #endsWell: boolean[] = [];
  readonly #start: number;
  /** A set of characters for each kind. */
  readonly #samples: readonly number[];
  #overflowed = false;

  constructor(nfa: Nfa) {
    this.#nfa = nfa;
    const { kinds, samples } = kindsOf(nfa);
    this.#kinds = kinds;
    this.#samples = samples;
    this.#width = samples.length;
    this.#table = new Int32Array(this.#width * 8).fill(UNKNOWN);
    this.#start = this.#stateOf(this.#closure([nfa.start], true), true);
  }

  test(text: string): boolean | undefined {
    let state = this.#start;
    if (state === MATCHED) return true;
    if (state === FAILED) return false;
    if (this.#overflowed) return undefined;
    const kinds = this.#kinds;
    const width = this.#width;
    let table = this.#table;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0xd800 && code <= 0xdfff) return undefined;
      const kind = kinds[Math.min(code, OTHERS)] as number;
      let next = table[state * width + kind] as number;
      if (next < 0) {
        if (next === MATCHED) return true;
        if (next === FAILED) return false;
        next = this.#step(state, kind);
        if (this.#overflowed) return undefined;
        table = this.#table;
        table[state * width + kind] = next;
        if (next === MATCHED) return true;
        if (next === FAILED) return false;
      }
      state = next;
    }
    return this.#endsWell[state] as boolean;
  }

  #step(state: number, kind: number): number {
    const sample = this.#samples[kind] as number;
    const reached: number[] = [];
    for (const id of this.#states[state] as readonly number[]) {
      const node = this.#nfa.nodes[id] as Node;
      if (node.kind === "chars" && node.set[sample] === true) reached.push(node.next);
    }
    // A match may begin anywhere.
    return this.#stateOf(this.#closure([...reached, this.#nfa.start], false), false);
  }

  /** The nodes that read, wait for the end or match, reachable without reading. */
  #closure(from: readonly number[], atStart: boolean): readonly number[] {
    const seen = new Set<number>();
    const kept: number[] = [];
    const open = [...from];
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (seen.has(id)) continue;
      seen.add(id);
      const node = this.#nfa.nodes[id] as Node;
      if (node.kind === "fork") open.push(...node.next);
      else if (node.kind === "begin") {
        if (atStart) open.push(node.next);
      } else kept.push(id);
    }
    return kept.sort((a, b) => a - b);
  }

  /** @param atStart the state before the first character: it may look like another, but there `^` holds */
  #stateOf(nodes: readonly number[], atStart: boolean): number {
    if (nodes.some((id) => this.#nfa.nodes[id]?.kind === "match")) return MATCHED;
    // Without nodes nothing can match any more: the pattern begins with `^`.
    if (nodes.length === 0) return FAILED;
    const key = atStart ? "" : nodes.join();
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#states.length;
    if ((id + 1) * this.#width > MAX_CELLS) {
      this.#overflowed = true;
      return UNKNOWN;
    }
    if ((id + 1) * this.#width > this.#table.length) {
      const table = new Int32Array(Math.min(MAX_CELLS, this.#table.length * 2)).fill(UNKNOWN);
      table.set(this.#table);
      this.#table = table;
    }
    this.#ids.set(key, id);
    this.#states.push(nodes);
    this.#endsWell.push(this.#matchesAtEnd(nodes, atStart));
    return id;
  }

  /** @param atStart whether the text may be empty here: `$^` matches it */
  #matchesAtEnd(nodes: readonly number[], atStart: boolean): boolean {
    let open = nodes;
    for (;;) {
      const beyond = open.flatMap((id) => {
        const node = this.#nfa.nodes[id] as Node;
        return node.kind === "end" ? [node.next] : [];
      });
      const all = this.#closure([...open, ...beyond], atStart);
      if (all.some((id) => this.#nfa.nodes[id]?.kind === "match")) return true;
      if (all.length === open.length) return false;
      open = all;
    }
  }
}

/** Sorts characters into kinds: those that every class of the pattern treats alike. */
function kindsOf({ nodes }: Nfa): { readonly kinds: Uint8Array; readonly samples: readonly number[] } {
  const sets = [...new Set(nodes.flatMap((node) => (node.kind === "chars" ? [node.set] : [])))];
  const kinds = new Uint8Array(OTHERS + 1);
  const samples: number[] = [];
  const bySignature = new Map<string, number>();
  for (let code = 0; code <= OTHERS; code++) {
    const signature = sets.map((set) => (set[code] === true ? "1" : "0")).join("");
    let kind = bySignature.get(signature);
    if (kind === undefined) {
      kind = samples.push(code) - 1;
      bySignature.set(signature, kind);
    }
    kinds[code] = kind;
  }
  return { kinds, samples };
}
