import { describe, expect, test } from "vitest";
import { identityDocument, identityFromEnvoy } from "../../src/identity/index.ts";

describe("identityFromEnvoy", () => {
  test("takes the claims Envoy verified", () => {
    const identity = identityFromEnvoy({ payload: { iss: "https://issuer.test", sub: "alice", aud: "a", role: "x" } });
    expect(identity).toMatchObject({
      subject: "alice",
      audiences: ["a"],
      requestPrincipal: "https://issuer.test/alice",
      verifiedBy: "envoy",
    });
  });

  test.for([undefined, null, {}, { payload: null }, { payload: [] }, { payload: { iss: 1 } }])(
    "%j is no identity",
    (metadata) => {
      expect(identityFromEnvoy(metadata)).toBeUndefined();
    },
  );
});

test("identityDocument leaves out what is not known", () => {
  const identity = identityFromEnvoy({ payload: { role: "x" } });
  expect(identity === undefined ? undefined : identityDocument(identity)).toEqual({
    claims: { role: "x" },
    audiences: [],
    spaceDelimitedClaims: [],
    verifiedBy: "envoy",
  });
});
