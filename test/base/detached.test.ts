import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { detached, LruMap, RecentMap } from "../../src/base/index.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const MESSAGES = 64;
/** Below what Node keeps outside of the heap. */
const MESSAGE_BYTES = 512 * 1024;

/** Bytes that stay behind when the same number of messages has come and gone, and `keep` was given a piece of each. */
function bytesKept(keep: (piece: string) => void): number {
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < MESSAGES; i++) {
    const message = Buffer.alloc(MESSAGE_BYTES, 0x61 + (i % 26)).toString("latin1");
    keep(message.slice(i, i + 100));
  }
  collect();
  return process.memoryUsage().heapUsed - before;
}

describe("what is remembered of a message does not keep the message", () => {
  const pieces: string[] = [];
  const lru = new LruMap<number>(MESSAGES);
  const recent = new RecentMap<string, number>(2 * MESSAGES);
  // biome-ignore format: table
  const rows: readonly (readonly [name: string, keep: (piece: string) => void])[] = [
    ["detached",                   (piece) => { pieces.push(detached(piece)); }],
    ["a key of LruMap",            (piece) => lru.set(piece, 1)],
    ["a key of LruMap, read",      (piece) => { lru.get(piece); }],
    ["a key of RecentMap",         (piece) => recent.set(piece, 1)],
    ["a key of RecentMap, read",   (piece) => { recent.get(piece); }],
  ];
  test.each(rows)("%s", (_name, keep) => {
    expect(bytesKept(keep)).toBeLessThan((MESSAGES * MESSAGE_BYTES) / 4);
  });

  test("a piece alone does", () => {
    const kept: string[] = [];
    expect(bytesKept((piece) => kept.push(piece))).toBeGreaterThan((MESSAGES * MESSAGE_BYTES) / 2);
    expect(kept).toHaveLength(MESSAGES);
  });
});

test.each(["", "short", "a longer text than V8 slices", 'quotes " and \\ and \u2028', "\ud800 alone"])(
  "%j stays the same",
  (text) => {
    expect(detached(text)).toBe(text);
  },
);
