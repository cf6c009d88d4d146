/** A seeded source of chance (mulberry32): equal seeds give equal runs. */
export function chance(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below);
  };
}

/** Pieces of Rego that mean something, most of all in the wrong place. */
export const PIECES: readonly string[] = [
  ..."{ } [ ] ( ) , : ; . | & + - * / % = := == < <= ! $ @ # \\ _".split(" "),
  ..."not some every in if contains else with as default import package null true input data future rego and or".split(
    " ",
  ),
  ...[
    "1",
    "01",
    "1e",
    ".5",
    '"a"',
    '"',
    "`",
    '$"{x}"',
    "$`{",
    "\n",
    "\r\n",
    "\t",
    "\u0000",
    "\ufeff",
    "é",
    "😀",
    "\ud800",
  ],
  ...[
    "set()",
    "{}",
    "[]",
    "-x",
    "f(x)",
    "{x | ",
    "({",
    "not {",
    "# METADATA\n# title: [\n",
    "import future.keywords\n",
  ],
];

const TOKEN = /\s+|[A-Za-z_]\w*|\d+(?:\.\d+)?|"(?:\\.|[^"\\\n])*"|`[^`]*`|:=|==|!=|<=|>=|\P{Cn}/gu;

/** A text with a few pieces removed, doubled, swapped, or put where they do not belong. */
export function mutate(text: string, below: (n: number) => number): string {
  const tokens = text.match(TOKEN) ?? [];
  for (let edits = 1 + below(4); edits > 0 && tokens.length > 0; edits--) {
    const i = below(tokens.length);
    const j = below(tokens.length);
    const piece = PIECES[below(PIECES.length)] as string;
    switch (below(6)) {
      case 0:
        tokens.splice(i, 1);
        break;
      case 1:
        tokens.splice(i, 0, piece);
        break;
      case 2:
        tokens[i] = piece;
        break;
      case 3:
        tokens.splice(i, 0, tokens[j] as string);
        break;
      case 4:
        [tokens[i], tokens[j]] = [tokens[j] as string, tokens[i] as string];
        break;
      default:
        tokens.splice(i, 0, ...tokens.slice(j, j + 1 + below(20)));
    }
  }
  const mutated = tokens.join("");
  return below(20) === 0 ? mutated.slice(0, below(mutated.length + 1)) : mutated;
}
