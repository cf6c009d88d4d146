import { afterAll, describe, expect, test } from "vitest";
import { type Authentication, Authenticator, identityDocument, type TokenRule } from "../../src/identity/index.ts";
import { compileIstio, DECISION_PATH, TokenRules, toIstioDecision } from "../../src/istio/index.ts";
import { compile } from "../../src/rego/engine/index.ts";
import type { JsonObject, Value } from "../../src/rego/value/index.ts";
import { filesOf, type IstioCase, inputOf, meshOf, readIstioCases } from "../support/istio-cases.ts";
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

const istioCases = readIstioCases().filter(({ category }) => category === "request-authentication");

describe.skipIf(istioCases.length === 0)("istio-authz, request authentication", () => {
  const evaluator = compile({ modules: compileIstio({ files: [] }).modules });

  test.for(istioCases)("$id: $why", async (tc: IstioCase & { readonly now?: number }) => {
    const program = compileIstio({ files: filesOf(tc), mesh: meshOf(tc) });
    const input = inputOf(tc);
    const rules = new TokenRules(program.requestAuthentications, meshOf(tc)).for(input);
    const authenticator = new Authenticator({ settings: { keys: { allowsHttp: true } } });
    const { attributes } = input as { attributes?: { request?: { http?: JsonObject } } };
    const http = (attributes?.request?.http ?? {}) as Record<string, Value>;
    const authentication = await authenticator.authenticate(
      rules,
      {
        method: String(http["method"] ?? ""),
        path: String(http["path"] ?? ""),
        headers: (http["headers"] ?? {}) as Record<string, string>,
      },
      { nowMs: (tc.now ?? 1_767_225_600) * 1000, waitMs: 2000 },
    );
    authenticator.stop();
    if (authentication.kind === "refused") {
      expect(authentication.status === 401 ? "unauthenticated" : "deny", authentication.reason).toBe(tc.expect);
      return;
    }
    const identity = authentication.kind === "authenticated" ? authentication.identity : undefined;
    const known =
      identity === undefined ? input : { ...input, cardea: { identity: identityDocument(identity) as Value } };
    const policy = evaluator.withData({ cardea: { tables: program.tables } });
    const decision = toIstioDecision(policy.entrypoint(DECISION_PATH).value({ input: known }));
    expect(decision?.allowed === true ? "allow" : "deny", JSON.stringify(authentication)).toBe(tc.expect);
  });
});
