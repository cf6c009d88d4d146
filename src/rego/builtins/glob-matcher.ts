/**
 * Glob patterns of gobwas/glob, which OPA uses: `*` runs without delimiters, `**` any runs, `?` one character that is no
 * delimiter, `[abc]`, `[!abc]`, `[a-z]`, `[!a-z]`, `{alternatives}`, `\` escapes. The whole text must match. Matching takes
 * time proportional to pattern times text, whatever the pattern. Known faults of gobwas's shortcuts (`ab*bc` matching
 * `abc`) are not reproduced.
 */
export type GlobMatcher = (text: string) => boolean;

/** The pattern is malformed; the message is gobwas's. */
export class GlobSyntaxError extends Error {
  override readonly name = "GlobSyntaxError";
}

type GlobNode =
  | { readonly kind: "text"; readonly text: string }
  /** `*` (with delimiters) and `**`. */
  | { readonly kind: "run"; readonly crossesDelimiters: boolean }
  | { readonly kind: "single" }
  | { readonly kind: "class"; readonly not: boolean; readonly has: (code: number) => boolean }
  | { readonly kind: "anyOf"; readonly sequences: readonly (readonly GlobNode[])[] };

/** @param delimiters single characters. @throws {GlobSyntaxError} */
export function compileGlob(pattern: string, delimiters: readonly string[]): GlobMatcher {
  const nodes = new GlobParser(pattern).parse();
  const isDelimiter = delimiterTest(delimiters);
  return matcherOf(nodes, isDelimiter, delimiters);
}

/** Puts a backslash before every character with a meaning in globs. */
export function quoteGlob(text: string): string {
  return text.replace(/[*?\\[\]{}]/g, "\\$&");
}

const MAX_NESTING = 1000;

class GlobParser {
  readonly #chars: readonly string[];
  #at = 0;

  constructor(pattern: string) {
    this.#chars = [...pattern];
    if (this.#chars.includes("\uFFFD")) throw new GlobSyntaxError("could not read rune");
  }

  parse(): readonly GlobNode[] {
    return this.#sequences(0)[0] as readonly GlobNode[];
  }

  /** Alternatives up to `}` or the end of the pattern: an unclosed brace is closed there, as gobwas does. */
  #sequences(depth: number): readonly (readonly GlobNode[])[] {
    if (depth > MAX_NESTING) throw new GlobSyntaxError("pattern nests too deeply");
    const sequences: GlobNode[][] = [[]];
    const breakers = depth > 0 ? "?*[{}," : "?*[{";
    for (;;) {
      const sequence = sequences.at(-1) as GlobNode[];
      const char = this.#chars[this.#at];
      // gobwas takes NUL for the end of the input.
      if (char === undefined || char === "\0") {
        this.#at = this.#chars.length;
        return sequences;
      }
      if (char === "{") {
        this.#at++;
        sequence.push({ kind: "anyOf", sequences: this.#sequences(depth + 1) });
      } else if (char === "," && depth > 0) {
        this.#at++;
        sequences.push([]);
      } else if (char === "}" && depth > 0) {
        this.#at++;
        return sequences;
      } else if (char === "[") {
        this.#at++;
        sequence.push(this.#class());
      } else if (char === "?") {
        this.#at++;
        sequence.push({ kind: "single" });
      } else if (char === "*") {
        const crossesDelimiters = this.#chars[this.#at + 1] === "*";
        this.#at += crossesDelimiters ? 2 : 1;
        sequence.push({ kind: "run", crossesDelimiters });
      } else {
        const text = this.#text(breakers);
        if (text !== "") sequence.push({ kind: "text", text });
      }
    }
  }

  #text(breakers: string): string {
    let text = "";
    let escaped = false;
    for (; this.#at < this.#chars.length; this.#at++) {
      const char = this.#chars[this.#at] as string;
      if (char === "\0") {
        this.#at++;
        break;
      }
      if (!escaped) {
        if (char === "\\") {
          escaped = true;
          continue;
        }
        if (breakers.includes(char)) break;
      }
      escaped = false;
      text += char;
    }
    return text;
  }

  /** Either one range or one list of characters; `[a-z0-9]` is an error in gobwas. */
  #class(): GlobNode {
    let char = this.#next();
    const not = char === "!";
    if (not) char = this.#next();
    if (this.#chars[this.#at] === "-") {
      this.#at++;
      const low = char.codePointAt(0) as number;
      const hiChar = this.#next();
      const high = hiChar.codePointAt(0) as number;
      if (this.#next() !== "]") throw new GlobSyntaxError("expected close range character");
      if (high < low) throw new GlobSyntaxError(`hi character '${hiChar}' should be greater than lo '${char}'`);
      return { kind: "class", not, has: (code) => code >= low && code <= high };
    }
    this.#at--;
    const text = this.#text("]");
    if (this.#next() !== "]") throw new GlobSyntaxError("expected close range character");
    if (text === "") throw new GlobSyntaxError("could not parse range");
    const codes = new Set(codePoints(text));
    return { kind: "class", not, has: (code) => codes.has(code) };
  }

  #next(): string {
    const char = this.#chars[this.#at++];
    if (char === undefined || char === "\0") throw new GlobSyntaxError("unexpected end of input");
    return char;
  }
}

function codePoints(text: string): number[] {
  return [...text].map((char) => char.codePointAt(0) as number);
}

function delimiterTest(delimiters: readonly string[]): (code: number) => boolean {
  const codes = codePoints(delimiters.join(""));
  if (codes.length === 0) return () => false;
  if (codes.length === 1) {
    const [only] = codes;
    return (code) => code === only;
  }
  const set = new Set(codes);
  return (code) => set.has(code);
}

function matcherOf(
  nodes: readonly GlobNode[],
  isDelimiter: (code: number) => boolean,
  delimiters: readonly string[],
): GlobMatcher {
  const spans = readSpans(nodes, delimiters.length === 0);
  if (spans === undefined) return (text) => simulate(nodes, text, isDelimiter);
  const [{ text: prefix }, ...rest] = spans as [Span, ...Span[]];
  if (rest.length === 0) return (text) => text === prefix;
  const [delimiter = ""] = delimiters;
  const nextDelimiter =
    delimiters.length === 1
      ? (text: string, from: number) => text.indexOf(delimiter, from)
      : (text: string, from: number) => indexOfDelimiter(text, from, isDelimiter);
  return (text) => text.startsWith(prefix) && matchSpans(text, prefix.length, rest, nextDelimiter);
}

/** Literal text and the run before it; the first span of a pattern has none. */
interface Span {
  readonly crossesDelimiters: boolean;
  readonly text: string;
}

/** The pattern as texts between runs, if it is nothing else. Most patterns in policies are. */
function readSpans(nodes: readonly GlobNode[], runsCross: boolean): readonly Span[] | undefined {
  const spans: Span[] = [{ crossesDelimiters: false, text: "" }];
  for (const node of nodes) {
    if (node.kind === "run") spans.push({ crossesDelimiters: runsCross || node.crossesDelimiters, text: "" });
    else if (node.kind === "text") {
      const { crossesDelimiters, text } = spans.pop() as Span;
      spans.push({ crossesDelimiters, text: text + node.text });
    } else return undefined;
  }
  return spans;
}

/**
 * Takes the leftmost place for every text. For `*` no other place could be better: a text without delimiter leaves more of
 * its segment to what follows, and one with delimiters fits in one place only. After `**` a later place may be; then the last
 * `**` tries the next one, and those before it need not.
 */
function matchSpans(
  text: string,
  start: number,
  spans: readonly Span[],
  nextDelimiter: (text: string, from: number) => number,
): boolean {
  let at = start;
  let retry = -1;
  let retryFrom = 0;
  for (let i = 0; ; ) {
    const { crossesDelimiters, text: part } = spans[i] as Span;
    const isLast = i === spans.length - 1;
    const place = isLast ? text.length - part.length : text.indexOf(part, at);
    if (place < at || (isLast && !text.endsWith(part))) return false;
    const delimiter = crossesDelimiters ? -1 : nextDelimiter(text, at);
    if (delimiter === -1 || delimiter >= place) {
      if (isLast) return true;
      if (crossesDelimiters) {
        retry = i;
        retryFrom = place + 1;
      }
      at = place + part.length;
      i++;
    } else {
      if (retry === -1) return false;
      i = retry;
      at = retryFrom;
    }
  }
}

function indexOfDelimiter(text: string, from: number, isDelimiter: (code: number) => boolean): number {
  for (let i = from; i < text.length; i++) if (isDelimiter(text.codePointAt(i) as number)) return i;
  return -1;
}

/** Runs all ways through the pattern at once: the set of text positions reachable after each node. */
function simulate(nodes: readonly GlobNode[], text: string, isDelimiter: (code: number) => boolean): boolean {
  const start = new Uint8Array(text.length + 1);
  start[0] = 1;
  return advance(nodes, start, text, isDelimiter)?.[text.length] === 1;
}

/** Positions reachable from `from` through `nodes`; undefined when there are none. */
function advance(
  nodes: readonly GlobNode[],
  from: Uint8Array,
  text: string,
  isDelimiter: (code: number) => boolean,
): Uint8Array | undefined {
  let reached = from;
  for (const node of nodes) {
    const next = step(node, reached, text, isDelimiter);
    if (next === undefined) return undefined;
    reached = next;
  }
  return reached;
}

function step(
  node: GlobNode,
  from: Uint8Array,
  text: string,
  isDelimiter: (code: number) => boolean,
): Uint8Array | undefined {
  const next = new Uint8Array(from.length);
  let any = false;
  switch (node.kind) {
    case "text": {
      const { text: part } = node;
      for (let at = from.indexOf(1); at !== -1; at = from.indexOf(1, at + 1)) {
        if (text.startsWith(part, at)) {
          next[at + part.length] = 1;
          any = true;
        }
      }
      break;
    }
    case "run": {
      const first = from.indexOf(1);
      if (first === -1) return undefined;
      any = true;
      if (node.crossesDelimiters) {
        next.fill(1, first);
        break;
      }
      let running = false;
      for (let at = first; at < from.length; ) {
        running ||= from[at] === 1;
        if (running) next[at] = 1;
        const code = text.codePointAt(at);
        if (code === undefined) break;
        if (isDelimiter(code)) running = false;
        at += code > 0xffff ? 2 : 1;
      }
      break;
    }
    case "single":
    case "class": {
      for (let at = from.indexOf(1); at !== -1; at = from.indexOf(1, at + 1)) {
        const code = text.codePointAt(at);
        if (code === undefined) continue;
        if (node.kind === "single" ? isDelimiter(code) : node.has(code) === node.not) continue;
        next[at + (code > 0xffff ? 2 : 1)] = 1;
        any = true;
      }
      break;
    }
    case "anyOf": {
      for (const sequence of node.sequences) {
        const reached = advance(sequence, from, text, isDelimiter);
        if (reached === undefined) continue;
        for (let at = reached.indexOf(1); at !== -1; at = reached.indexOf(1, at + 1)) next[at] = 1;
        any = true;
      }
      break;
    }
  }
  return any ? next : undefined;
}
