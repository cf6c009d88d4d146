import { readFileSync } from "node:fs";
import { parse as parseYaml } from "yaml";
import { caseFolder, filesBelow } from "../support/cases.ts";
import { mutate, PIECES } from "../support/mutate.ts";
import { generateProgram, programText, Random } from "./rego-generator.ts";

/** A text to put to the parser and the compiler. */
export interface FuzzText {
  readonly kind: "corpus" | "splice" | "program" | "soup" | "nested";
  readonly version: "v0" | "v1";
  readonly text: string;
}

/** A module of the conformance suite, in its language. */
export type CorpusText = readonly [version: "v0" | "v1", text: string];

/** The modules of the conformance suite, where there is one. */
export function corpus(): readonly CorpusText[] {
  return (["v0", "v1"] as const).flatMap((version) => {
    const folder = caseFolder(`rego-${version}`);
    return (folder === undefined ? [] : filesBelow(folder)).flatMap((file) => {
      const text = readFileSync(file, "utf8");
      const { cases = [] } = (file.endsWith(".json") ? JSON.parse(text) : parseYaml(text, { maxAliasCount: -1 })) as {
        readonly cases?: readonly { readonly modules?: readonly string[] }[];
      };
      return cases.flatMap(({ modules = [] }) => modules.map((module): CorpusText => [version, module]));
    });
  });
}

/** What opens and what closes: a nest is made of these. `x` is a name that is declared nowhere. */
const NESTS: readonly (readonly [open: string, close: string])[] = [
  ["[", "]"],
  ["{", "}"],
  ['{"k": ', "}"],
  ["(", ")"],
  ["count(", ")"],
  ["p(", ")"],
  ["input[", "]"],
  ["data.p[", "]"],
  ["[y | y := ", "]"],
  ["{y | y = ", "}"],
  ["{y: y | y := ", "}"],
  ["1 + ", ""],
  ["-", ""],
  ["1 in [", "]"],
  ['$"{', '}"'],
  ["{1 | every z in ", " { true }}"],
  ["{1 | not ", "}"],
  ["{1 | true with input as ", "}"],
  ["(a or ", ")"],
  ["({", "})"],
  ["\n\t", "\n"],
];
const FRAMES: readonly (readonly [before: string, after: string])[] = [
  ["p := ", ""],
  ["p if { ", " }"],
  ["p contains x if { x := ", " }"],
  ["p(x) := ", " if x"],
  ["p[", "] := 1"],
  ["p := 1 if { not ", " }"],
  ["p if { every x in ", " { x } }"],
  ["p if { some x in ", "; x }"],
  ["p := 1 if { false } else := ", ""],
  ["default p := ", ""],
  ["p { ", " }"],
];

export class TextGenerator {
  readonly #corpus: readonly CorpusText[];

  constructor(texts: readonly CorpusText[]) {
    this.#corpus = texts.filter(([, text]) => text.length < 4000);
  }

  /** The text of a seed: equal seeds and corpora give equal texts. */
  text(seed: number): FuzzText {
    const random = new Random(Math.imul(seed, 0x9e3779b1));
    const below = (n: number): number => random.below(n);
    const draw = random.next();
    if (draw < 0.4 && this.#corpus.length > 0) {
      const [version, text] = random.pick(this.#corpus);
      return { kind: "corpus", version: random.chance(0.1) ? other(version) : version, text: mutate(text, below) };
    }
    if (draw < 0.5 && this.#corpus.length > 0) return this.#splice(random);
    if (draw < 0.75) {
      let text = programText(generateProgram(seed));
      for (let rounds = below(4); rounds > 0; rounds--) text = mutate(text, below);
      return { kind: "program", version: random.chance(0.1) ? "v0" : "v1", text };
    }
    if (draw < 0.85) {
      const soup = Array.from({ length: 1 + below(60) }, () => random.pick(PIECES)).join(random.chance(0.5) ? " " : "");
      return { kind: "soup", version: random.pick(["v0", "v1"]), text: `package a\n${soup}` };
    }
    return nested(random);
  }

  /** A module that goes on as another one. */
  #splice(random: Random): FuzzText {
    const [version, first] = random.pick(this.#corpus);
    const [, second] = random.pick(this.#corpus);
    const head = first.split("\n");
    const tail = second.split("\n");
    const lines = [...head.slice(0, 1 + random.below(head.length)), ...tail.slice(random.below(tail.length))];
    return { kind: "splice", version, text: lines.join("\n") };
  }
}

function nested(random: Random): FuzzText {
  const version = random.chance(0.2) ? "v0" : "v1";
  const [before, after] = random.pick(FRAMES);
  const kinds = Array.from({ length: 1 + random.below(3) }, () => random.pick(NESTS));
  // As many shallow nests as deep ones, by order of magnitude.
  const depth = Math.floor(10 ** (random.next() * 4.5));
  const layers = Array.from({ length: depth }, () => random.pick(kinds));
  const closing = random.chance(0.7) ? layers.toReversed() : layers.slice(0, random.below(depth)).toReversed();
  const middle = random.pick(["1", "x", "input.a", "", "{", '"', "x := 1"]);
  const text = [
    "package a",
    ...(random.chance(0.3) ? ["import future.keywords"] : []),
    `${before}${layers.map(([open]) => open).join("")}${middle}${closing.map(([, close]) => close).join("")}${after}`,
  ].join("\n");
  return { kind: "nested", version, text };
}

function other(version: "v0" | "v1"): "v0" | "v1" {
  return version === "v0" ? "v1" : "v0";
}
