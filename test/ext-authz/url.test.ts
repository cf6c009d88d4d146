import { describe, expect, test } from "vitest";
import { InputError } from "../../src/ext-authz/errors.ts";
import { parseQuery, parseTarget } from "../../src/ext-authz/url.ts";

// The expected values are what Go's net/url answers (url.PathUnescape, url.ParseQuery).
describe("a request target", () => {
  test.for([
    { target: "/one/two/three?n=1&n=2&k=y", path: ["one", "two", "three"], query: { n: ["1", "2"], k: ["y"] } },
    { target: "/", path: [""], query: {} },
    { target: "", path: [""], query: {} },
    { target: "//admin/dashboard", path: ["admin", "dashboard"], query: {} }, // GHSA-9f29-v6mm-pw6w
    { target: "%2Fone%2Ftwo", path: ["one", "two"], query: {} },
    { target: "/a//b/", path: ["a", "", "b", ""], query: {} },
    { target: "/a+b%20c", path: ["a+b c"], query: {} },
    { target: "*", path: ["*"], query: {} },
    { target: "http://h/a", path: ["http:", "", "h", "a"], query: {} },
    { target: "/ok?a=1?b=2", path: ["ok"], query: { a: ["1?b=2"] } },
    { target: "/ok?flag&=v", path: ["ok"], query: { flag: [""], "": ["v"] } },
    { target: "/ok?a+b=c%2Bd+e", path: ["ok"], query: { "a b": ["c+d e"] } },
    { target: "/ok?&&a=1&", path: ["ok"], query: { a: ["1"] } },
    { target: "/ok?__proto__=1", path: ["ok"], query: JSON.parse('{"__proto__": ["1"]}') },
    { target: "/%C3%A4/ä", path: ["ä", "ä"], query: {} },
    { target: "/%FF", path: ["\ufffd"], query: {} },
    { target: "/%E2%82", path: ["\ufffd\ufffd"], query: {} }, // Go counts bytes
    { target: "/%F0%9F%98%80%80x", path: ["😀\ufffdx"], query: {} },
    { target: "/%ED%A0%80", path: ["\ufffd\ufffd\ufffd"], query: {} },
    { target: "/../a/./b", path: ["..", "a", ".", "b"], query: {} },
  ])("$target", ({ target, path, query }) => {
    const parsed = parseTarget(target);
    expect(parsed.path).toEqual(path);
    expect([...parsed.query]).toEqual(Object.entries(query));
  });

  test.for([
    { target: "/bad%zz", message: 'invalid URL escape "%zz"' },
    { target: "/bad%4", message: 'invalid URL escape "%4"' },
    { target: "/bad%", message: 'invalid URL escape "%"' },
    { target: "/%ä", message: 'invalid URL escape "%ä"' },
    { target: "/%😀", message: 'invalid URL escape "%\\xf0\\x9f"' },
    { target: "/%1😀", message: 'invalid URL escape "%1\\xf0"' },
    { target: "/ok?a=%zz", message: 'invalid URL escape "%zz"' },
    { target: "/ok?a=1;b=2", message: "invalid semicolon separator in query" },
    { target: "/ok?a=%zz&b;c", message: "invalid semicolon separator in query" },
    { target: "/ok?a=%zz&b=%yy", message: 'invalid URL escape "%zz"' },
  ])("$target is refused", ({ target, message }) => {
    expect(() => parseTarget(target)).toThrow(new InputError(message));
  });

  test("the number of parameters is bounded", () => {
    expect(() => parseQuery("a&".repeat(10_000))).toThrow("number of URL query parameters exceeded limit");
  });
});
