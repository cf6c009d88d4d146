import { expect, test } from "vitest";
import { LruMap, RecentMap } from "../../src/base/index.ts";

test("the least recently used entry makes room", () => {
  const map = new LruMap<number>(2);
  map.set("a", 1);
  map.set("b", 2);
  map.get("a");
  map.set("c", 3);
  expect([...map.keys()]).toEqual(["a", "c"]);
  expect(map.get("b")).toBeUndefined();
  expect(map.size).toBe(2);
});

test("writing a known key forgets nothing else", () => {
  const map = new LruMap<number>(2);
  map.set("a", 1);
  map.set("b", 2);
  map.set("a", 3);
  expect([map.get("a"), map.get("b")]).toEqual([3, 2]);
});

test("a map of recent entries keeps what is read, and never more than its limit", () => {
  const map = new RecentMap<number, number>(10);
  map.set(-1, -1);
  for (let i = 0; i < 1000; i++) {
    map.set(i, i);
    expect(map.get(-1)).toBe(-1);
    expect(map.size).toBeLessThanOrEqual(11);
  }
  expect(map.get(0)).toBeUndefined();
  expect(map.get(999)).toBe(999);
});
