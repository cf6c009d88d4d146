import { describe, expect, test } from "vitest";
import { outputHeaders } from "../../src/identity/output-headers.ts";
import { RULE } from "../support/identity.ts";

const rule = {
  ...RULE,
  outputPayloadToHeader: "X-Payload",
  outputClaimToHeaders: [
    { header: "X-Sub", claim: "sub" },
    { header: "x-team", claim: "org.team" },
  ],
};
const accepted = { rule, claims: {}, token: "e30.e30.c2ln", header: "authorization" };

describe("outputHeaders", () => {
  test("sets what the token says and removes the header it came in", () => {
    expect(outputHeaders([rule], { ...accepted, claims: { sub: "alice", org: { team: "blue" } } })).toEqual({
      set: { "x-payload": "e30", "x-sub": "alice", "x-team": "blue" },
      remove: ["authorization"],
    });
  });

  test("removes every header a rule could set, whoever sent it", () => {
    expect(outputHeaders([rule]).remove).toEqual(["x-payload", "x-sub", "x-team"]);
    expect(outputHeaders([rule], accepted).remove).toEqual(["x-sub", "x-team", "authorization"]);
  });

  test("keeps the token where the rule forwards it", () => {
    expect(outputHeaders([RULE], { ...accepted, rule: { ...RULE, forwardOriginalToken: true } }).remove).toEqual([]);
  });

  // Envoy jwt_authn authenticator.cc, handleGoodJwt
  test.for([
    [true, "true"],
    [7, "7"],
    [-7, "-7.000000"],
    [1.5, "1.500000"],
    [12345678901234567890n, "12345678901234567890"],
    [["a"], "WyJhIl0="],
    ["", undefined],
    [null, undefined],
    ["a\r\nx-admin: true", undefined],
    ["a\u0000b", undefined],
  ] as const)("the claim %s becomes %s", ([claim, want]) => {
    expect(outputHeaders([rule], { ...accepted, claims: { sub: claim } }).set["x-sub"]).toBe(want);
  });

  test("claims are the token's own members", () => {
    const odd = { ...rule, outputClaimToHeaders: [{ header: "x-c", claim: "constructor.name" }] };
    expect(outputHeaders([odd], { ...accepted, rule: odd }).set["x-c"]).toBeUndefined();
  });
});
