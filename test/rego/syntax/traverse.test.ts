import { describe, expect, test } from "vitest";
import {
  bodyToText,
  isGroundTerm,
  mapBody,
  parseQuery,
  parseTerm,
  type Term,
  varTerm,
  visit,
} from "../../../src/rego/syntax/index.ts";

function body(text: string) {
  const { value } = parseQuery(text, { futureKeywords: ["not", "and", "or"] });
  if (value === undefined) throw new Error(text);
  return value;
}

const EVERYWHERE =
  'x; f(x); [x, {x}, {x: x}]; a[x]; [x | x]; {x: x | x}; some x; every x in x { x }; not x; x or x; y with a as x; $"{x}"';

function vars(text: string): readonly string[] {
  const found: string[] = [];
  visit(body(text), {
    term(term) {
      if (term.kind === "var") found.push(term.name);
      return true;
    },
  });
  return found;
}

test("visits terms everywhere", () => {
  expect(vars(EVERYWHERE).filter((name) => name === "x")).toHaveLength([...EVERYWHERE.matchAll(/\bx\b/g)].length);
});

test("a visitor that answers false does not see children", () => {
  const kinds: string[] = [];
  visit(body("[x, [y]]"), {
    term(term) {
      kinds.push(term.kind);
      return term.kind !== "array";
    },
  });
  expect(kinds).toEqual(["array"]);
});

describe("mapping", () => {
  const rename = (term: Term): Term => (term.kind === "var" && term.name === "x" ? varTerm("z", term.at) : term);

  test("replaces terms everywhere and leaves the original alone", () => {
    const original = body(EVERYWHERE);
    const before = bodyToText(original);
    expect(bodyToText(mapBody(original, { term: rename }))).toBe(before.replace(/\bx\b/g, "z"));
    expect(bodyToText(original)).toBe(before);
  });

  test("shares what does not change", () => {
    const original = body("f(a, [b]); {c | d}");
    expect(mapBody(original, { term: rename })).toBe(original);
  });

  test("can leave closures alone", () => {
    expect(bodyToText(mapBody(body("x; [x | x]"), { term: rename, skipClosures: true }))).toBe("z; [x | x]");
  });

  test("can replace before looking inside", () => {
    const mapped = mapBody(body("f([x])"), { before: (term) => (term.kind === "array" ? varTerm("z") : undefined) });
    expect(bodyToText(mapped)).toBe("f(z)");
  });
});

test.each([
  ["[1, {2}]", true],
  ["data.a.b", true],
  ["data.a[x]", false],
  ["[x]", false],
  ["{1: f(1)}", true],
  ["[1 | x]", false],
])("%s is ground: %s", (text, want) => {
  const { value } = parseTerm(text);
  expect(value && isGroundTerm(value)).toBe(want);
});
