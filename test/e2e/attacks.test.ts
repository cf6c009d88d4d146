import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ATTACK_POLICIES, type AttackPolicy } from "../support/attack-policies.ts";
import type { ReplyDocument } from "../support/checks.ts";
import { type AttackCase, readAttacks } from "../support/jwt-attacks.ts";
import { type CheckClient, isAllowed, startServer, type TestServer } from "../support/server.ts";

interface WireCase extends AttackCase {
  readonly check_request_wire?: string;
}

const CATEGORIES = new Set(["path", "host", "header", "method", "source", "body", "response", "transport"]);

const cases = (readAttacks() as readonly WireCase[]).filter(
  (tc) => CATEGORIES.has(tc.category) && tc.check_request_wire !== undefined && tc.check_request_wire !== null,
);

function nameOf(tc: AttackCase): string {
  return tc.policy.split(" ")[0] ?? "";
}

/** What a case must come to: spec of the case file. A gRPC error never counts as a denial, as proxies may fail open. */
function verdictOf(reply: ReplyDocument): string {
  if (isAllowed(reply)) return "allow";
  const status = reply.deniedResponse?.status.code;
  if (status === 401) return "unauthenticated";
  return status === undefined || status >= 400 ? "deny" : `denied with ${status}`;
}

describe.skipIf(cases.length === 0)("attacks on policies", () => {
  test("every case has its policy", () => {
    expect(cases.filter((tc) => !ATTACK_POLICIES.has(nameOf(tc))).map(({ id }) => id)).toEqual([]);
  });

  for (const [name, make] of ATTACK_POLICIES) {
    const own = cases.filter((tc) => nameOf(tc) === name);
    if (own.length === 0) continue;
    describe(name, () => {
      let server: TestServer;
      let client: CheckClient;
      let policy: AttackPolicy;
      beforeAll(async () => {
        policy = make();
        server = await startServer({
          policy: policy.rego ?? "",
          paths: ["."],
          files: Object.fromEntries(
            (policy.documents ?? []).map((document, i) => [`p${i}.yaml`, JSON.stringify(document)]),
          ),
          config: () => ({ cardea: policy.cardea ?? {} }),
        });
        client = server.connect();
      });
      afterAll(() => server.stop());

      const run = async (tc: WireCase): Promise<void> => {
        const verdict = verdictOf(await client.check(Buffer.from(tc.check_request_wire ?? "", "base64")));
        expect(isAllowed(await client.check(policy.good))).toBe(policy.goodIsAllowed);
        expect(verdict).toBe(tc.must);
      };
      for (const tc of own) test(`${tc.id}: ${tc.description}`, () => run(tc));
    });
  }
});
