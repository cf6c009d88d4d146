import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compactVerify, decodeJwt, decodeProtectedHeader } from "jose";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Oauth2Config, SignedProof } from "../../src/config/index.ts";
import { Oauth2Tokens } from "../../src/server/oauth2-tokens.ts";

const TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const CONFIG: Oauth2Config = {
  kind: "oauth2",
  tokenUrl: "https://issuer.example/token",
  clientId: "client",
  proof: { kind: "secret", secret: "s3cret" },
  scopes: ["a", "b"],
  additionalHeaders: { "x-tenant": "t" },
  additionalParameters: { audience: "bundles" },
};

function tokens(config: Partial<Oauth2Config>, replies: readonly { status: number; body: string }[]) {
  const asked: { headers: Readonly<Record<string, string>>; form: Record<string, string> }[] = [];
  const source = new Oauth2Tokens({ ...CONFIG, ...config }, async (headers, body) => {
    asked.push({ headers, form: Object.fromEntries(new URLSearchParams(Buffer.from(body).toString())) });
    const reply = replies[Math.min(asked.length, replies.length) - 1];
    return { status: reply?.status ?? 500, body: Buffer.from(reply?.body ?? "") };
  });
  return { source, asked };
}

const token = (text: string, seconds = 3600) => ({
  status: 200,
  body: JSON.stringify({ access_token: text, token_type: "Bearer", expires_in: seconds }),
});

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

// github.com/open-policy-agent/opa v1/plugins/rest/auth.go
describe("client credentials", () => {
  test("with a secret, asked for once until it nearly ends", async () => {
    const { source, asked } = tokens({}, [token("t1", 60), token("t2", 60)]);
    expect(await Promise.all([source.current(), source.current()])).toEqual(["t1", "t1"]);
    expect(asked).toEqual([
      {
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          authorization: `Basic ${Buffer.from("client:s3cret").toString("base64")}`,
          "x-tenant": "t",
        },
        form: { scope: "a b", audience: "bundles", grant_type: "client_credentials" },
      },
    ]);
    vi.advanceTimersByTime(49_000);
    expect(await source.current()).toBe("t1");
    vi.advanceTimersByTime(2000);
    expect(await source.current()).toBe("t2");
    source.forget();
    await source.current();
    expect(asked).toHaveLength(3);
  });

  test("with an assertion from a file, which is read each time", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cardea-oauth2-"));
    try {
      const path = join(folder, "token");
      await writeFile(path, "first\n");
      const { source, asked } = tokens({ proof: { kind: "assertion_file", path, type: TYPE } }, [token("t", 0)]);
      await source.current();
      await writeFile(path, "second");
      await source.current();
      expect(asked.map(({ form }) => form["client_assertion"])).toEqual(["first", "second"]);
      expect(asked[0]?.form).toMatchObject({
        client_id: "client",
        client_assertion_type: TYPE,
        grant_type: "client_credentials",
      });
      expect(asked[0]?.headers).not.toHaveProperty("authorization");
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test.for([
    { reply: { status: 400, body: "nope" }, message: "error in response from OAuth2 token endpoint: nope" },
    { reply: { status: 200, body: '{"token_type": "mac", "access_token": "x"}' }, message: "unknown token type" },
    { reply: { status: 200, body: '{"token_type": "bearer"}' }, message: "no token returned" },
    { reply: { status: 200, body: "<html>" }, message: "JSON" },
  ])("$message: the next request asks again", async ({ reply, message }) => {
    const { source } = tokens({}, [reply, token("t")]);
    await expect(source.current()).rejects.toThrow(message);
    expect(await source.current()).toBe("t");
  });
});

// RFC 7523
describe("assertions signed here", () => {
  const signed: SignedProof = {
    kind: "signed",
    privateKey: "a secret of at least thirty-two bytes",
    algorithm: "HS256",
    x5t: "",
    claims: { iss: "me", aud: "them", big: 12345678901234567890n },
    includesJti: true,
    isGrant: false,
  };

  test("prove the client", async () => {
    vi.setSystemTime(1_700_000_000_500);
    const { source, asked } = tokens({ proof: signed }, [token("t")]);
    expect(await source.current()).toBe("t");
    const [{ form } = { form: {} as Record<string, string> }] = asked;
    expect(form).toMatchObject({ grant_type: "client_credentials", client_id: "client", client_assertion_type: TYPE });
    const jwt = form["client_assertion"] ?? "";
    const { payload } = await compactVerify(jwt, Buffer.from(signed.privateKey));
    expect(Buffer.from(payload).toString()).toContain('"big":12345678901234567890');
    expect(decodeProtectedHeader(jwt)).toEqual({ typ: "JWT", alg: "HS256" });
    expect(decodeJwt(jwt)).toMatchObject({
      iss: "me",
      aud: "them",
      scope: "a b",
      iat: 1_700_000_000,
      exp: 1_700_000_600,
    });
    expect(decodeJwt(jwt).jti).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.for(["RS256", "PS384", "ES256"])("are the grant: %s", async (algorithm) => {
    const pair = algorithm.startsWith("ES")
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : generateKeyPairSync("rsa", { modulusLength: 2048 });
    const type = algorithm.startsWith("ES") ? "sec1" : "pkcs1";
    const privateKey = pair.privateKey.export({ type: type as "sec1", format: "pem" }).toString();
    const proof: SignedProof = { ...signed, privateKey, algorithm, includesJti: false, isGrant: true, x5t: "aGk=" };
    const { source, asked } = tokens({ clientId: "", proof }, [token("t")]);
    await source.current();
    const [{ form, headers } = { form: {} as Record<string, string>, headers: {} }] = asked;
    expect(headers).not.toHaveProperty("authorization");
    expect(Object.keys(form).sort()).toEqual(["assertion", "audience", "grant_type", "scope"]);
    expect(form["grant_type"]).toBe("urn:ietf:params:oauth:grant-type:jwt-bearer");
    const { protectedHeader } = await compactVerify(form["assertion"] ?? "", pair.publicKey);
    expect(protectedHeader).toEqual({ typ: "JWT", alg: algorithm, x5t: "aGk=" });
  });
});
