import { expect, test } from "vitest";
import { ambiguityOf } from "../../src/ext-authz/path-guard.ts";

test.for(["/", "/a/b", "/a%20b", "/%C3%A4", "*", "", "/a?x=//..%2f", "/a.b/..c/d..", "/a~b/@c:d", "/a%23b", "/100%25"])(
  "%s has one reading",
  (path) => {
    expect(ambiguityOf(path)).toBeUndefined();
  },
);

test.for([
  ["//a", "doubled slash"],
  ["/a//b", "doubled slash"],
  ["/a/../b", "dot segment"],
  ["/a/.", "dot segment"],
  ["/a/%2e%2e/b", "dot segment"],
  ["/a/.%2E/b", "dot segment"],
  ["/a%2fb", "encoded slash"],
  ["/a%5Cb", "encoded slash"],
  ["/a\\b", "backslash"],
  ["/a%00", "encoded control character"],
  ["/a\u0000", "control character or space"],
  ["/a%c0%ae", "overlong or invalid escape"],
  ["/a%FF", "overlong or invalid escape"],
  ["/a%zz", "malformed escape"],
  ["/a%252e", "double encoding"],
  ["/a%25%32%65", "double encoding"],
  ["/a;x=1/b", "path parameter"],
  ["/a%3bx", "encoded delimiter"],
  ["/a#b", "fragment"],
  ["http://h/a", "not in origin form"],
  ["/ä", "unencoded character"],
] as const)("%s: %s", ([path, why]) => {
  expect(ambiguityOf(path)).toBe(why);
});
