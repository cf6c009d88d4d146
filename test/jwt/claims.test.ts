import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { acceptsAudience, checkTimes, JwtError, parseToken, readRegistered } from "../../src/jwt/index.ts";

const limits = { maxTokenLength: 4096, maxDepth: 8 };
const part = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const token = (header: unknown, payload: unknown, signature = "c2ln") =>
  `${part(header)}.${part(payload)}.${signature}`;

const unpadded = (text: string): string => text.replace(/=+$/, "");

describe("parseToken", () => {
  test("reads header and registered claims", () => {
    const parsed = parseToken(
      token({ alg: "ES256", kid: "k" }, { iss: "i", sub: "s", aud: "a", exp: 2, nbf: 1 }),
      limits,
    );
    expect(parsed).toMatchObject({
      alg: "ES256",
      kid: "k",
      registered: { issuer: "i", subject: "s", audiences: ["a"], expiresAtSec: 2, notBeforeSec: 1 },
    });
  });

  test.for([
    ["two parts", "a.b", "malformed_token"],
    ["five parts", "a.b.c.d.e", "malformed_token"],
    ["padding", `${part({ alg: "ES256" })}==.${part({})}.c2ln`, "malformed_token"],
    [
      "surplus bits in the signature",
      token({ alg: "ES256" }, {}, "c2lh").replace(/h$/, "i").concat("B"),
      "malformed_token",
    ],
    ["a line end in the signature", `${token({ alg: "ES256" }, {})}\n`, "malformed_token"],
    ["a header that is a list", token([], {}), "malformed_token"],
    ["a payload that is a list", token({ alg: "ES256" }, []), "malformed_token"],
    ["repeated claims", token({ alg: "ES256" }, '{"iss":"a","iss":"b"}'), "malformed_token"],
    ["claims too deep", token({ alg: "ES256" }, `{"a":${"[".repeat(20)}${"]".repeat(20)}}`), "malformed_token"],
    ["no algorithm", token({}, {}), "unsupported_algorithm"],
    ["a key id that is a number", token({ alg: "ES256", kid: 1 }, {}), "malformed_token"],
    ["encryption", token({ alg: "dir", enc: "A128GCM" }, {}), "encrypted_token"],
    ["a critical parameter", token({ alg: "ES256", crit: ["exp"] }, {}), "unsupported_critical_header"],
    ["an unencoded payload", token({ alg: "ES256", b64: false }, {}), "unsupported_critical_header"],
    ["a long token", token({ alg: "ES256" }, { x: "x".repeat(5000) }), "token_too_large"],
  ] as const)("refuses %s", ([, text, code]) => {
    expect(() => parseToken(text, limits)).toThrow(expect.objectContaining({ name: "JwtError", code }));
  });
});

// RFC 4648 §3.5: the same bytes have one spelling only.
test("a signature is as Node writes base64url, or refused", () => {
  const unit = fc.constantFrom(..."ABCDQgwEIMUY048_-09az+/= \n.é");
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit, maxLength: 12 }), fc.base64String().map(unpadded)), (signature) => {
      const isCanonical = Buffer.from(signature, "base64url").toString("base64url") === signature;
      const read = () => parseToken(token({ alg: "ES256" }, {}, signature), limits);
      if (isCanonical) expect(read).not.toThrow();
      else expect(read).toThrow(expect.objectContaining({ code: "malformed_token" }));
    }),
    { numRuns: 1000 },
  );
});

describe("readRegistered", () => {
  test.for([
    { iss: 1 },
    { sub: null },
    { jti: [] },
    { exp: "1" },
    { exp: null },
    { nbf: true },
    { iat: {} },
    { aud: 1 },
    { aud: ["a", 1] },
    { aud: {} },
  ])("refuses %j", (claims) => {
    expect(() => readRegistered(claims)).toThrow(expect.objectContaining({ code: "invalid_claim" }));
  });

  test("claims are the token's own members", () => {
    const inherited = Object.create({ iss: "evil" }) as Record<string, never>;
    expect(readRegistered(inherited).issuer).toBeUndefined();
  });
});

// RFC 7519 §4.1.4 and §4.1.5 with 60 seconds of leeway
test.for([
  [{ exp: 1000 }, 1060, undefined],
  [{ exp: 1000 }, 1061, "token_expired"],
  [{ nbf: 1000 }, 940, undefined],
  [{ nbf: 1000 }, 939, "token_not_yet_valid"],
  [{}, 1e12, undefined],
  [{ exp: -1 }, 1000, "token_expired"],
] as const)("%j at %i: %s", ([claims, now, code]) => {
  const check = () => checkTimes(readRegistered(claims), now, 60);
  if (code === undefined) expect(check).not.toThrow();
  else expect(check).toThrow(JwtError);
});

// google/jwt_verify_lib check_audience.cc
test.for([
  [["a"], [], true],
  [[], ["a"], false],
  [["b", "a"], ["a"], true],
  [["https://a/"], ["a"], true],
  [["a"], ["http://a/"], true],
  [["a//"], ["a"], false],
  [["ab"], ["a"], false],
] as const)("audiences %j for %j: %s", ([audiences, accepted, want]) => {
  expect(acceptsAudience(audiences, accepted)).toBe(want);
});
