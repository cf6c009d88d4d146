import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DocumentBuilder, type DocumentPiece, piecesOf } from "../../src/policy/document-pieces.ts";
import type { JsonObject } from "../../src/rego/value/index.ts";

function rebuilt(pieces: Iterable<DocumentPiece>): JsonObject {
  const builder = new DocumentBuilder();
  for (const piece of pieces) builder.take(structuredClone(piece));
  return builder.document;
}

const document = fc.dictionary(fc.oneof(fc.string(), fc.constant("__proto__")), fc.jsonValue({ maxDepth: 6 }));

describe("a document in pieces", () => {
  test("is the same again, in the same order", () => {
    fc.assert(
      fc.property(document, fc.integer({ min: 0, max: 60 }), (random, length) => {
        const text = JSON.stringify(random);
        const json = JSON.parse(text) as JsonObject;
        expect(JSON.stringify(rebuilt(piecesOf(json, length)))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ["nothing", "{}"],
    ["names of JavaScript's own", '{"__proto__":{"__proto__":[[1,2],[3]]},"constructor":{"toString":1}}'],
    ["names like indexes", '{"0":{"1":"a long text"},"10":["a","b"]}'],
    ["arrays in arrays", '{"a":[[],[[1],[2,[3]]],{},"x",[4]]}'],
    ["half a surrogate pair", '{"a":["\\ud800",{"\\udc00":1}]}'],
  ])("%s", (_, text) => {
    expect(JSON.stringify(rebuilt(piecesOf(JSON.parse(text) as JsonObject, 0)))).toBe(text);
    expect(Object.getPrototypeOf(rebuilt(piecesOf(JSON.parse(text) as JsonObject, 0)))).toBe(Object.prototype);
  });

  test("no piece is long, however the document is nested", () => {
    const records = Array.from({ length: 5000 }, (_, i) => ({ rule: i, from: [{ principals: [`client-${i}`] }] }));
    const index = Object.fromEntries(records.map(({ rule }) => [`anchor-${rule}`, [rule]]));
    const texts = [...piecesOf({ rules: records, index: { http: { allow: { "prod/*": index } } } })].map((piece) =>
      piece.kind === "members" ? piece.text.length : 0,
    );
    expect(texts.length).toBeGreaterThan(20);
    expect(Math.max(...texts)).toBeLessThan(2 * 16 * 1024);
  });

  test("nothing is put where nothing was opened", () => {
    const builder = new DocumentBuilder();
    const text = '{"polluted":true}';
    for (const name of ["a", "__proto__", "constructor"])
      expect(() => builder.take({ kind: "members", at: [name], text })).toThrow(TypeError);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});
