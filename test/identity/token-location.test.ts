import { describe, expect, test } from "vitest";
import { findTokens, isPreflight } from "../../src/identity/token-location.ts";
import { RULE } from "../support/identity.ts";

function tokens(rule: Partial<typeof RULE>, request: { path?: string; headers?: Record<string, string | string[]> }) {
  return findTokens({ ...RULE, ...rule }, { method: "GET", path: "/", headers: {}, ...request }).map(
    ({ token }) => token,
  );
}

describe("findTokens", () => {
  // Envoy jwt_authn extractor.cc
  test.for([
    ["the default header", {}, { headers: { authorization: "Bearer a.b.c" } }, ["a.b.c"]],
    ["the default parameter", {}, { path: "/x?a=1&access_token=a.b.c#f" }, ["a.b.c"]],
    ["another scheme", {}, { headers: { authorization: "Basic abc" } }, []],
    ["a prefix in another case", {}, { headers: { authorization: "bearer a.b.c" } }, []],
    ["a prefix within the value", {}, { headers: { authorization: "Basic x, Bearer a.b.c, y" } }, ["a.b.c"]],
    ["nothing after the prefix", {}, { headers: { authorization: "Bearer " } }, []],
    ["both default places", {}, { path: "/?access_token=p", headers: { authorization: "Bearer h" } }, ["h", "p"]],
    ["padding, kept so that the token is malformed", {}, { headers: { authorization: "Bearer a.b.c==" } }, ["a.b.c=="]],
    [
      "a header without prefix",
      { fromHeaders: [{ name: "X-T", prefix: "" }] },
      { headers: { "x-t": "Bearer a" } },
      ["Bearer a"],
    ],
    ["own places only", { fromHeaders: [{ name: "x-t", prefix: "" }] }, { headers: { authorization: "Bearer a" } }, []],
    ["the first of equal parameters", { fromParams: ["t"] }, { path: "/?t=a%2Eb&t=c" }, ["a.b"]],
    ["a cookie", { fromCookies: ["t"] }, { headers: { cookie: 'a=b; t="x.y.z"; t=other' } }, ["x.y.z"]],
    ["a cookie of another case", { fromCookies: ["t"] }, { headers: { cookie: "T=x" } }, []],
    ["a parameter called like JavaScript's own", { fromParams: ["__proto__"] }, { path: "/?a=1" }, []],
  ] as const)("%s", ([, rule, request, want]) => {
    expect(tokens(rule as object, request as object)).toEqual(want);
  });

  test.for([
    ["two fields of the header", { authorization: ["Bearer a", "Bearer b"] }],
    ["two tokens in one field", { authorization: "Bearer a.b.c, Bearer d.e.f" }],
  ] as const)("refuses %s", ([, headers]) => {
    expect(() => tokens({}, { headers: headers as never })).toThrow(
      expect.objectContaining({ code: "malformed_token" }),
    );
  });
});

test.for([
  ["OPTIONS", { origin: "https://a", "access-control-request-method": "GET" }, true],
  ["GET", { origin: "https://a", "access-control-request-method": "GET" }, false],
  ["OPTIONS", { origin: "", "access-control-request-method": "GET" }, false],
  ["OPTIONS", { origin: "https://a" }, false],
] as const)("%s with %j is a preflight: %s", ([method, headers, want]) => {
  expect(isPreflight({ method, path: "/", headers: headers as never })).toBe(want);
});
