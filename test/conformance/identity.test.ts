import { afterAll, describe, expect, test } from "vitest";
import { type Authentication, Authenticator, type TokenRule } from "../../src/identity/index.ts";
import { NO_RULE, readAttackKeys, readAttacks, requestOf } from "../support/jwt-attacks.ts";

const attacks = readAttacks();
/** Policy P8 of the corpus: the cases that carry a request of their own. */
const cases = attacks.filter((tc) => tc.category === "jwt" && tc.policy.startsWith("P8") && tc.check_request);

describe.skipIf(cases.length === 0)("attacks.json, tokens", () => {
  const keys = cases.length === 0 ? undefined : readAttackKeys();
  const rule: TokenRule = {
    ...NO_RULE,
    issuer: keys?.issuer ?? "",
    audiences: [keys?.audience ?? ""],
    jwks: JSON.stringify(keys?.jwks),
    fromHeaders: [{ name: "authorization", prefix: "Bearer " }],
  };
  const authenticator = new Authenticator({
    settings: { algorithms: ["RS256", "ES256"], requiresExpiry: true, audienceStatus: 401 },
    fetchDocument: () => Promise.reject(new Error("nothing may be fetched")),
  });
  afterAll(() => authenticator.stop());

  /** P8: every path needs a valid token, /admin/ also the role. */
  function verdict(path: string, authentication: Authentication): string {
    if (authentication.kind !== "authenticated") return "unauthenticated";
    if (!path.startsWith("/admin/")) return "allow";
    const { claims } = authentication.identity;
    const role = Object.hasOwn(claims, "role") ? claims["role"] : undefined;
    return role === "admin" || (Array.isArray(role) && role.includes("admin")) ? "allow" : "deny";
  }

  test.for(cases)("$id: $description", async (tc) => {
    const request = requestOf(tc);
    // Twice: the second answer may come from the cache, and must be the same.
    for (let i = 0; i < 2; i++) {
      const authentication = await authenticator.authenticate([rule], request);
      expect(verdict(request.path, authentication), JSON.stringify(authentication)).toBe(tc.must);
    }
  });

  test("some are run", () => expect(cases.length).toBeGreaterThan(50));
});
