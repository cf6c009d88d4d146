import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AttackCase, readAttackKeys, readAttacks } from "../support/jwt-attacks.ts";
import { type CheckClient, startServer, type TestServer } from "../support/server.ts";

/** Attacks on tokens that come as whole requests, sent to whole servers. */
const cases = readAttacks().filter(({ category, check_request: request }) => category === "jwt" && Boolean(request));

/** Policy P8 of the corpus: RequestAuthentication, and Rego for what Istio would answer with 403. */
const P8 = `package envoy.authz

default allow := {"allowed": false, "http_status": 401}

claims := input.cardea.identity.claims

default has_role := false

has_role if claims.role == "admin"

has_role if "admin" in claims.role

needs_role if startswith(input.attributes.request.http.path, "/admin/")

allow := {"allowed": true} if {
	claims
	not needs_role
}

allow := {"allowed": has_role} if {
	claims
	needs_role
}
`;

/** Policy P15: Istio's rules alone. */
const P15 = [
  { action: "CUSTOM", provider: { name: "cardea" }, rules: [{}] },
  {
    action: "DENY",
    rules: [{ from: [{ source: { requestPrincipals: ["*"] } }], to: [{ operation: { paths: ["/legacy"] } }] }],
  },
  {
    action: "ALLOW",
    rules: [
      {
        from: [{ source: { requestPrincipals: ["https://issuer.test/user-1"] } }],
        to: [{ operation: { paths: ["/legacy", "/api/*"] } }],
      },
    ],
  },
];

const document = (kind: string, name: string, spec: object): string =>
  JSON.stringify({
    apiVersion: "security.istio.io/v1",
    kind,
    metadata: { name, namespace: "istio-system" },
    spec,
  });

function tokens(): string {
  const { issuer, audience, jwks } = readAttackKeys();
  return document("RequestAuthentication", "tokens", {
    jwtRules: [
      {
        issuer,
        audiences: [audience],
        jwks: JSON.stringify(jwks),
        fromHeaders: [{ name: "authorization", prefix: "Bearer " }],
      },
    ],
  });
}

const SETTINGS = { identity: { algorithms: ["RS256", "ES256"], require_exp: true, audience_status: 401 } };

const servers = [
  { name: "P8", isFor: (tc: AttackCase) => tc.policy.startsWith("P8"), files: { "policy.rego": P8 } },
  {
    name: "P15",
    isFor: (tc: AttackCase) => tc.policy.startsWith("P15"),
    files: Object.fromEntries(
      P15.map((spec, i) => [`p${i}.yaml`, document("AuthorizationPolicy", `p${i}`, spec)]),
    ) as Record<string, string>,
  },
];

describe.skipIf(cases.length === 0).for(servers)("attacks.json against a server with $name", ({ isFor, files }) => {
  const own = cases.filter(isFor);
  let server: TestServer;
  let client: CheckClient;
  beforeAll(async () => {
    const all = { ...files, "tokens.yaml": tokens() };
    server = await startServer({
      policy: "",
      files: all,
      paths: Object.keys(all),
      config: () => ({ cardea: SETTINGS }),
    });
    client = server.connect();
  });
  afterAll(() => server.stop());

  test.for(own)("$id: $description", async (tc) => {
    // Twice: the second answer may come from the cache of verdicts, and must be the same.
    for (let i = 0; i < 2; i++) {
      const reply = await client.check(Buffer.from(tc.check_request_wire ?? "", "base64"));
      const status = reply.deniedResponse?.status.code ?? ((reply.status.code ?? 0) === 0 ? 200 : 403);
      const verdict = status === 200 ? "allow" : status === 401 ? "unauthenticated" : "deny";
      expect(verdict, `${tc.policy} ${JSON.stringify(reply)}`).toBe(tc.must);
    }
  });

  test("some are run", () => expect(own.length).toBeGreaterThan(0));
});

test.skipIf(cases.length === 0)("every such attack has its server", () => {
  expect(cases.filter((tc) => !servers.some(({ isFor }) => isFor(tc))).map(({ id }) => id)).toEqual([]);
});
