import { createHash } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import {
  type Authentication,
  Authenticator,
  type AuthenticatorOptions,
  type TokenRule,
} from "../../src/identity/index.ts";
import { bearer, HandClock, keySetOf, makeKey, mint, RULE, StubServer } from "../support/identity.ts";

const URL = "https://issuer.test/keys";
const [one, two] = [makeKey("one"), makeKey("two", "RS256")];
const started: Authenticator[] = [];
afterEach(() => {
  for (const authenticator of started.splice(0)) authenticator.stop();
});

function setUp(settings: AuthenticatorOptions["settings"] = {}) {
  const clock = new HandClock();
  const server = new StubServer();
  const authenticator = new Authenticator({ settings, clock, fetchDocument: server.fetchDocument, random: () => 0.5 });
  started.push(authenticator);
  return { clock, server, authenticator };
}

function summary(authentication: Authentication): string {
  return authentication.kind === "refused" ? `${authentication.status} ${authentication.code}` : authentication.kind;
}

const inline: TokenRule = { ...RULE, jwks: keySetOf(one, two) };
const remote: TokenRule = { ...RULE, jwksUri: URL };

describe("Authenticator", () => {
  test("gives the identity a token proves", async () => {
    const { authenticator, clock } = setUp();
    const claims = { iss: RULE.issuer, sub: "alice", aud: ["a", "b"], exp: clock.nowSec + 60, role: "x" };
    const authentication = await authenticator.authenticate([inline], bearer(mint(one, claims)));
    expect(authentication).toMatchObject({
      kind: "authenticated",
      identity: {
        claims,
        issuer: RULE.issuer,
        subject: "alice",
        audiences: ["a", "b"],
        requestPrincipal: "https://issuer.test/alice",
        verifiedBy: "signature",
      },
    });
  });

  test("a request without token is anonymous, and so is a preflight", async () => {
    const { authenticator } = setUp();
    expect(summary(await authenticator.authenticate([inline], { method: "GET", path: "/", headers: {} }))).toBe(
      "anonymous",
    );
    const headers = { origin: "https://a", "access-control-request-method": "GET", authorization: "Bearer x" };
    expect(summary(await authenticator.authenticate([inline], { method: "OPTIONS", path: "/", headers }))).toBe(
      "anonymous",
    );
    expect(summary(await authenticator.authenticate([], bearer("x")))).toBe("anonymous");
  });

  // spec order: form, issuer, times, audience, key, signature (Envoy jwt_authn authenticator.cc)
  test.for([
    ["garbage", () => "abc", "401 malformed_token"],
    ["three parts of garbage", () => "a.b.c", "401 malformed_token"],
    ["another issuer", () => mint(one, { iss: "https://evil.test" }), "401 issuer_mismatch"],
    ["no issuer", () => mint(one, {}), "401 issuer_mismatch"],
    ["expired long ago", (now: number) => mint(one, { iss: RULE.issuer, exp: now - 61 }), "401 token_expired"],
    [
      "expired within the leeway",
      (now: number) => mint(one, { iss: RULE.issuer, exp: now - 59, aud: "a" }),
      "authenticated",
    ],
    ["not yet valid", (now: number) => mint(one, { iss: RULE.issuer, nbf: now + 61 }), "401 token_not_yet_valid"],
    ["another audience", () => mint(one, { iss: RULE.issuer, aud: "b" }), "403 audience_mismatch"],
    ["no audience", () => mint(one, { iss: RULE.issuer }), "403 audience_mismatch"],
    ["an audience with a scheme", () => mint(one, { iss: RULE.issuer, aud: "https://a/" }), "authenticated"],
    ["an unknown key", () => mint(makeKey("three"), { iss: RULE.issuer, aud: "a" }), "401 no_matching_key"],
    [
      "a forged signature",
      () => mint({ ...makeKey("x"), kid: "one" }, { iss: RULE.issuer, aud: "a" }),
      "401 invalid_signature",
    ],
    [
      "another key's algorithm",
      () => mint({ ...two, kid: "one" }, { iss: RULE.issuer, aud: "a" }),
      "401 no_matching_key",
    ],
    ["no algorithm", () => mint(one, { iss: RULE.issuer, aud: "a" }, { alg: "none" }), "401 unsupported_algorithm"],
    [
      "a critical extension",
      () => mint(one, { iss: RULE.issuer, aud: "a" }, { crit: ["x"], x: 1 }),
      "401 unsupported_critical_header",
    ],
    [
      "an oversized token",
      () => mint(one, { iss: RULE.issuer, aud: "a", x: "x".repeat(20_000) }),
      "401 token_too_large",
    ],
    ["a time that is text", () => mint(one, { iss: RULE.issuer, aud: "a", exp: "1" }), "401 invalid_claim"],
  ] as const)("%s: %s", async ([, token, want]) => {
    const { authenticator, clock } = setUp();
    const rule = { ...inline, audiences: ["a"] };
    expect(summary(await authenticator.authenticate([rule], bearer(token(clock.nowSec))))).toBe(want);
  });

  test("says what is wrong, but not to whom", async () => {
    const { authenticator } = setUp();
    const refused = await authenticator.authenticate([inline], bearer("a.b.c"));
    expect(refused).toMatchObject({
      status: 401,
      body: "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
      wwwAuthenticate: 'Bearer error="invalid_token", error_description="The token is malformed"',
    });
  });

  test("tokens without expiry and the status of wrong audiences are up to the settings", async () => {
    const { authenticator } = setUp({ requiresExpiry: true, audienceStatus: 401 });
    const rule = { ...inline, audiences: ["a"] };
    const now = 1_800_000_000;
    expect(summary(await authenticator.authenticate([rule], bearer(mint(one, { iss: RULE.issuer }))))).toBe(
      "401 token_expired",
    );
    const other = bearer(mint(one, { iss: RULE.issuer, exp: now + 60, aud: "b" }));
    expect(await authenticator.authenticate([rule], other)).toMatchObject({
      status: 401,
      wwwAuthenticate: expect.stringContaining("another audience"),
    });
  });
});

describe("several rules", () => {
  const second: TokenRule = { ...RULE, issuer: "https://second.test", jwks: keySetOf(makeKey("s")) };

  test("the rule of the token's issuer decides, in any order", async () => {
    const { authenticator } = setUp();
    const request = bearer(mint(one, { iss: RULE.issuer }));
    for (const rules of [
      [inline, second],
      [second, inline],
    ]) {
      expect(summary(await authenticator.authenticate(rules, request))).toBe("authenticated");
    }
  });

  test("a refusal for another reason than the issuer is the one reported", async () => {
    const { authenticator, clock } = setUp();
    const request = bearer(mint(one, { iss: RULE.issuer, exp: clock.nowSec - 1000 }));
    expect(summary(await authenticator.authenticate([inline, second], request))).toBe("401 token_expired");
  });

  test("keys belong to their rule", async () => {
    const { authenticator } = setUp();
    const request = bearer(mint(one, { iss: second.issuer }));
    expect(summary(await authenticator.authenticate([inline, second], request))).toBe("401 no_matching_key");
  });

  test("a verdict reached for one issuer says nothing to another", async () => {
    const { authenticator } = setUp();
    const request = bearer(mint(one, { iss: RULE.issuer }));
    expect(summary(await authenticator.authenticate([inline], request))).toBe("authenticated");
    expect(summary(await authenticator.authenticate([second], request))).toBe("401 issuer_mismatch");
    const impostor = { ...second, issuer: RULE.issuer };
    expect(summary(await authenticator.authenticate([impostor], request))).toBe("401 no_matching_key");
  });

  test("all tokens of a rule must be good", async () => {
    const { authenticator } = setUp();
    const token = mint(one, { iss: RULE.issuer });
    const request = { ...bearer(token), path: "/?access_token=a.b.c" };
    expect(summary(await authenticator.authenticate([inline], request))).toBe("401 malformed_token");
    const both = { ...bearer(token), path: `/?access_token=${token}` };
    expect(summary(await authenticator.authenticate([inline], both))).toBe("authenticated");
  });
});

describe("cached verdicts", () => {
  test("the second time the answer is there at once", async () => {
    const { authenticator, clock } = setUp();
    const request = bearer(mint(one, { iss: RULE.issuer, exp: clock.nowSec + 600 }));
    const first = authenticator.authenticate([inline], request);
    expect(first).toBeInstanceOf(Promise);
    await first;
    const second = authenticator.authenticate([inline], request);
    expect(second).not.toBeInstanceOf(Promise);
    expect(second).toEqual(await first);
  });

  test("a digest of a long token is not the token", async () => {
    const { authenticator } = setUp();
    const long = mint(one, { iss: RULE.issuer, x: "x".repeat(4000) });
    expect(summary(await authenticator.authenticate([inline], bearer(long)))).toBe("authenticated");
    expect(authenticator.authenticate([inline], bearer(long))).not.toBeInstanceOf(Promise);
    const header = { fromHeaders: [{ name: "x-token", prefix: "" }] };
    const digest = createHash("sha256").update(long).digest("base64");
    for (const text of [digest, `#${digest}`]) {
      const request = { method: "GET", path: "/", headers: { "x-token": text } };
      expect(summary(await authenticator.authenticate([{ ...inline, ...header }], request))).toBe(
        "401 malformed_token",
      );
    }
  });

  test("end with their token, also when the clock is set back", async () => {
    const { authenticator, clock } = setUp();
    const request = bearer(mint(one, { iss: RULE.issuer, exp: clock.nowSec + 60 }));
    await authenticator.authenticate([inline], request);
    clock.pass(121_000);
    expect(summary(await authenticator.authenticate([inline], request))).toBe("401 token_expired");
    clock.set(clock.wallMs() - 3_600_000);
    expect(summary(await authenticator.authenticate([inline], request))).toBe("401 token_expired");
  });

  test("end with their key", async () => {
    const { authenticator, server, clock } = setUp();
    server.answers.set(URL, keySetOf(one));
    await authenticator.configure([remote]);
    const request = bearer(mint(one, { iss: RULE.issuer }));
    expect(summary(await authenticator.authenticate([remote], request))).toBe("authenticated");
    server.answers.set(URL, keySetOf(two));
    // A token of the new key brings the new set.
    await authenticator.authenticate([remote], bearer(mint(two, { iss: RULE.issuer })));
    clock.pass(1000);
    expect(summary(await authenticator.authenticate([remote], request))).toBe("401 no_matching_key");
  });

  test("audiences are checked on every use", async () => {
    const { authenticator } = setUp();
    const request = bearer(mint(one, { iss: RULE.issuer, aud: "a" }));
    expect(summary(await authenticator.authenticate([inline], request))).toBe("authenticated");
    const strict = { ...inline, audiences: ["b"] };
    expect(summary(await authenticator.authenticate([strict], request))).toBe("403 audience_mismatch");
  });
});

describe("keys of a server", () => {
  test("a rotated key is usable at once, with one more fetch", async () => {
    const { authenticator, server } = setUp();
    server.answers.set(URL, keySetOf(one));
    await authenticator.configure([remote]);
    server.answers.set(URL, keySetOf(one, two));
    const request = bearer(mint(two, { iss: RULE.issuer }));
    expect(summary(await authenticator.authenticate([remote], request))).toBe("authenticated");
    expect(server.requests.length).toBe(2);
  });

  test("a flood of unknown keys causes one fetch, and good tokens pass meanwhile", async () => {
    const { authenticator, server } = setUp();
    server.answers.set(URL, keySetOf(one));
    await authenticator.configure([remote]);
    const attacker = makeKey("attacker");
    const good = bearer(mint(one, { iss: RULE.issuer }));
    for (let i = 0; i < 200; i++) {
      const forged = bearer(mint({ ...attacker, kid: `random-${i}` }, { iss: RULE.issuer }));
      expect(summary(await authenticator.authenticate([remote], forged))).toBe("401 no_matching_key");
      expect(summary(await authenticator.authenticate([remote], good))).toBe("authenticated");
    }
    expect(server.requests.length).toBe(2);
  });

  test("without keys tokens are refused, and requests without token pass", async () => {
    const { authenticator, server } = setUp();
    await authenticator.configure([remote]);
    expect(summary(await authenticator.authenticate([remote], bearer(mint(one, { iss: RULE.issuer }))))).toBe(
      "401 keys_unavailable",
    );
    expect(summary(await authenticator.authenticate([remote], { method: "GET", path: "/", headers: {} }))).toBe(
      "anonymous",
    );
    expect(server.requests.length).toBe(1);
    expect(authenticator.status()).toMatchObject([{ location: URL, keys: 0, problem: `${URL}: status 404` }]);
  });

  test("a slow server is waited for no longer than the request may", async () => {
    const { authenticator, server } = setUp();
    server.answers.set(URL, new Promise(() => {}));
    void authenticator.configure([remote]);
    const authentication = await authenticator.authenticate([remote], bearer(mint(one, { iss: RULE.issuer })), {
      waitMs: 20,
    });
    expect(summary(authentication)).toBe("401 keys_unavailable");
  });

  test("two keys of one id are ambiguous", async () => {
    const { authenticator } = setUp();
    const rule = { ...inline, jwks: keySetOf(one, makeKey("one")) };
    expect(summary(await authenticator.authenticate([rule], bearer(mint(one, { iss: RULE.issuer }))))).toBe(
      "401 no_matching_key",
    );
    const otherType = { ...inline, jwks: keySetOf(one, makeKey("one", "RS256")) };
    expect(summary(await authenticator.authenticate([otherType], bearer(mint(one, { iss: RULE.issuer }))))).toBe(
      "authenticated",
    );
  });

  test("rules that go take their keys with them", async () => {
    const { authenticator, server } = setUp();
    server.answers.set(URL, keySetOf(one));
    await authenticator.configure([remote]);
    await authenticator.configure([inline]);
    expect(authenticator.status().map(({ location }) => location)).toEqual(["inline"]);
  });
});

describe("opaque tokens", () => {
  const endpoint = "https://issuer.test/introspect";
  const rule: TokenRule = {
    ...RULE,
    introspection: { endpoint, clientId: "cardea", clientSecret: "p@ss:word", cacheMs: 30_000 },
  };

  test("the issuer is asked once, with our credentials", async () => {
    const { authenticator, server, clock } = setUp();
    const claims = { active: true, sub: "alice", scope: "read write", exp: clock.nowSec + 60 };
    server.answers.set(endpoint, JSON.stringify(claims));
    const request = bearer("opaque-token");
    const [first, second] = await Promise.all([
      authenticator.authenticate([rule], request),
      authenticator.authenticate([rule], request),
    ]);
    expect(first).toMatchObject({ kind: "authenticated", identity: { subject: "alice", verifiedBy: "introspection" } });
    expect(second).toEqual(first);
    expect(authenticator.authenticate([rule], request)).toEqual(first);
    expect(server.requests.length).toBe(1);
    expect(server.requests[0]?.form).toBe("token=opaque-token&token_type_hint=access_token");
    expect(server.requests[0]?.headers?.["authorization"]).toBe(
      `Basic ${Buffer.from("cardea:p%40ss%3Aword").toString("base64")}`,
    );
    clock.pass(30_000);
    await authenticator.authenticate([rule], request);
    expect(server.requests.length).toBe(2);
  });

  test.for([
    ["an inactive token", '{"active": false}', "401 token_inactive"],
    ["an answer without verdict", "{}", "401 token_inactive"],
    ["an answer that says so in words", '{"active": "true"}', "401 token_inactive"],
    ["another issuer", '{"active": true, "iss": "https://evil.test"}', "401 issuer_mismatch"],
    ["an expired token", '{"active": true, "exp": 1}', "401 token_expired"],
    ["an unreadable answer", "<html>", "401 introspection_unavailable"],
    ["an error", { status: 500, body: "" }, "401 introspection_unavailable"],
  ] as const)("%s: %s", async ([, answer, want]) => {
    const { authenticator, server } = setUp();
    server.answers.set(endpoint, answer);
    expect(summary(await authenticator.authenticate([rule], bearer("opaque-token")))).toBe(want);
  });
});
