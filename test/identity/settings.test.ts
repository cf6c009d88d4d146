import { describe, expect, test } from "vitest";
import { DEFAULT_SETTINGS, readIdentityConfig } from "../../src/identity/index.ts";

describe("readIdentityConfig", () => {
  test("needs nothing", () => {
    expect(readIdentityConfig({})).toEqual({
      settings: DEFAULT_SETTINGS,
      trustsEnvoy: false,
      rules: [],
      unknownKeys: [],
    });
  });

  test("reads everything", () => {
    const config = readIdentityConfig(
      {
        trust_jwt_authn_metadata: true,
        algorithms: ["ES256"],
        leeway_s: 5,
        require_exp: true,
        bad_tokens: "report",
        audience_status: 401,
        keys: { refresh_s: 60, stale_s: 3600, allow_http: true, blocked_ranges: [], colour: "blue" },
        introspection: [{ endpoint: "https://issuer.test/i", client_id: "c", client_secret: "s", cache_s: 10 }],
        leeway: 1,
      },
      1000,
    );
    expect(config).toMatchObject({
      trustsEnvoy: true,
      settings: {
        reportsBadTokens: true,
        maxTokenLength: 1000,
        algorithms: ["ES256"],
        leewaySec: 5,
        requiresExpiry: true,
        audienceStatus: 401,
        keys: { refreshMs: 60_000, cooldownMs: 30_000, staleMs: 3_600_000, allowsHttp: true, blockedRanges: [] },
      },
      rules: [{ introspection: { endpoint: "https://issuer.test/i", clientId: "c", cacheMs: 10_000 } }],
      unknownKeys: ["cardea.identity.leeway", "cardea.identity.keys.colour"],
    });
  });

  test.for([
    [{ algorithms: ["none"] }, 'cardea.identity.algorithms: "none" is no signature algorithm'],
    [{ leeway_s: -1 }, "cardea.identity.leeway_s: must be a number, not negative"],
    [{ bad_tokens: "ignore" }, "cardea.identity.bad_tokens: must be refuse or report"],
    [{ audience_status: 200 }, "cardea.identity.audience_status: must be 401 or 403"],
    [{ require_exp: "yes" }, "cardea.identity.require_exp: must be true or false"],
    [{ keys: [] }, "cardea.identity.keys: must be an object"],
    [{ keys: { blocked_ranges: [1] } }, "cardea.identity.keys.blocked_ranges: must be a list of strings"],
    [
      { keys: { blocked_ranges: ["10.0.0.0/33"] } },
      'cardea.identity.keys.blocked_ranges: "10.0.0.0/33" is no CIDR range',
    ],
    [{ introspection: {} }, "cardea.identity.introspection: must be a list of objects"],
    [{ introspection: [{ endpoint: "x" }] }, "cardea.identity.introspection[0].client_id: is required"],
  ] as const)("refuses %j", ([block, message]) => {
    expect(() => readIdentityConfig(block)).toThrow(message);
  });
});
