import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { Source } from "../../src/base/index.ts";
import { Places, type YamlNode } from "../../src/istio/node.ts";
import { readQuickYaml } from "../../src/istio/quick-yaml.ts";
import { readFullYaml } from "../../src/istio/yaml.ts";

const UNSURE = Symbol("left to the full parser");

function plainValue(node: YamlNode): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "seq") return node.items.map(plainValue);
  return Object.fromEntries(node.entries.map(({ key, value }) => [key, plainValue(value)]));
}

function quick(text: string): unknown {
  const node = readQuickYaml(text, 0, text.length);
  return node === undefined ? UNSURE : plainValue(node);
}

function full(text: string): unknown {
  const node = readFullYaml(new Places(new Source("", text)), 0, text.length, []);
  return node === undefined ? "error" : plainValue(node);
}

describe("the quick reader answers", () => {
  test.for([
    "a: 1",
    "a: x\nb: [1, two, 'it''s', \"q\\n\"]\n",
    "a:\n  b:\n  - c: 1\n    d: 2\n  - e\n",
    "a:\n- b\n- - c\n  - d\n-\n  e: f\n",
    "{a: [1, 2], b: {c: d}}",
    '{\n "a": [\n  "b",\n  {"c": null}\n ]\n}\n',
    "# head\na: b # tail\n\n# more\nc: d#e\n",
    "a: http://x:80/y?z=1#f\n",
    "a: -1\nb: .5\nc: 0x1F\nd: 0o17\ne: ~\nf: True\ng: 1e3\nh: yes\ni: 2026-12-25\n",
    "a:\nb: null\nc: ''\n",
    "a: '*'\nb: [\"*\", '*.x']\n",
    "portLevelMtls:\n  8080: {mode: STRICT}\n",
    "a: b\r\nc:\r\n- d\r\n",
    "key with space: v\n",
  ])("%j as the full parser does", (text) => {
    expect(quick(text)).toEqual(full(text));
  });
});

describe("the quick reader leaves to the full parser", () => {
  test.for([
    { what: "anchors", text: "a: &x 1\nb: *x\n" },
    { what: "tags", text: "a: !!str 1\n" },
    { what: "block scalars", text: "a: |\n  b\n" },
    { what: "folded plain scalars", text: "a: b\n  c\n" },
    { what: "folded quoted scalars", text: 'a: "b\n  c"\n' },
    { what: "tabs", text: "a:\tb\n" },
    { what: "duplicate keys", text: "a: 1\na: 2\n" },
    { what: "a mapping on the line of another's key", text: "a: b: c\n" },
    { what: "explicit keys", text: "? a\n: b\n" },
    { what: "a sequence on the line of a key", text: "a: - b\n" },
    { what: "odd indentation", text: "a:\n    b: 1\n  c: 2\n" },
    { what: "flow collections that dedent", text: "a:\n  b: [1,\n2]\n" },
    { what: "unfinished flow", text: "a: [1, 2\n" },
    { what: "unusual escapes", text: 'a: "\\x41"\n' },
    { what: "text after a value", text: "a: 'b' c\n" },
    { what: "a dash alone in a flow list", text: "[-]\n" },
    { what: "pairs in a flow list", text: "[a: b]\n" },
  ])("$what", ({ text }) => {
    expect(quick(text)).toBe(UNSURE);
  });
});

describe("whatever the quick reader answers is what the full parser reads", () => {
  // Pieces that meet each other's edges: indicators, comments and indentation in odd places.
  const piece = fc.constantFrom(
    "a",
    "b: ",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    ",",
    '"',
    "'",
    "#",
    " # c",
    ": ",
    ":",
    "*",
    "1",
    "~",
    " ",
    "?",
    "|",
    "-",
    "\r\n",
    "'x'",
    '"y"',
    "k: v",
  );
  test("on scrambled text", () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const text = pieces.join("");
        fc.pre(!/^(?:---|\.\.\.)/m.test(text)); // documents are split before they are read
        const got = quick(text);
        if (got !== UNSURE) expect(got, JSON.stringify(text)).toEqual(full(text));
      }),
      { numRuns: 20_000 },
    );
  });

  test("on documents that a writer made", () => {
    const word = fc.stringMatching(/^[ -~]{0,12}$/);
    const tree = fc.letrec<{ node: unknown }>((tie) => ({
      node: fc.oneof(
        { depthSize: "small" },
        word,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie("node"), { maxLength: 3 }),
        fc.dictionary(word, tie("node"), { maxKeys: 3, noNullPrototype: true }),
      ),
    })).node;
    fc.assert(
      fc.property(tree, fc.constantFrom(0, 2, 4), fc.boolean(), (value, indent, isJson) => {
        const text = isJson
          ? JSON.stringify(value, null, indent)
          : stringify(value, { indent: indent === 0 ? 1 : indent });
        const got = quick(text);
        if (got !== UNSURE) expect(got, text).toEqual(full(text));
      }),
      { numRuns: 3000 },
    );
  });
});
