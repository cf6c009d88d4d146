import { expect, test } from "vitest";
import { LruMap } from "../../src/base/index.ts";

test("the least recently used entry makes room", () => {
  const map = new LruMap<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  map.get("a");
  map.set("c", 3);
  expect([...map.keys()]).toEqual(["a", "c"]);
  expect(map.get("b")).toBeUndefined();
  expect(map.size).toBe(2);
});

test("writing a known key forgets nothing else", () => {
  const map = new LruMap<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  map.set("a", 3);
  expect([map.get("a"), map.get("b")]).toEqual([3, 2]);
});
