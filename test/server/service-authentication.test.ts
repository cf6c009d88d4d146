import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Credentials, type PlainObject, readConfig } from "../../src/config/index.ts";
import { readProfiles } from "../../src/server/aws-keyring.ts";
import type { Environment } from "../../src/server/environment.ts";
import { exchange } from "../../src/server/exchange.ts";
import { type Authenticator, authenticatorOf } from "../../src/server/service-authentication.ts";
import { ServiceClient } from "../../src/server/service-client.ts";
import { type Answer, type Recorded, RecordingServer } from "../support/recording-server.ts";

let folder = "";
let stub: RecordingServer;
let answer: (request: Recorded) => Answer = () => ({});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cardea-credentials-"));
  stub = await RecordingServer.start((request) => answer(request));
});
afterEach(async () => {
  await stub.stop();
  await rm(folder, { recursive: true, force: true });
});

function credentials(section: PlainObject): Credentials | undefined {
  const document = { services: { s: { url: "https://s.example", credentials: section } } };
  return readConfig(document, () => undefined).services[0]?.credentials;
}

/** All addresses, which exist only within clouds, are the stub's; their names are kept. */
function authenticator(section: PlainObject, env: Environment = {}): Authenticator {
  const toStub: typeof exchange = (url, outgoing) =>
    exchange(new URL(url.pathname + url.search, stub.url), {
      ...outgoing,
      headers: { ...outgoing.headers, host: url.host },
    });
  return authenticatorOf(credentials(section), { env, exchange: toStub, exchangeTrusted: toStub });
}

const URL_ASKED = new URL("https://bucket.example/bundle.tar.gz");
const show = (who: Authenticator) => who.headersFor(URL_ASKED, { method: "GET", headers: { prefer: "x" } });
const inFuture = (minutes: number): string => new Date(Date.now() + minutes * 60_000).toISOString();

const KEYS_FROM_ENV = { AWS_ACCESS_KEY_ID: "AKID", AWS_SECRET_ACCESS_KEY: "secret", AWS_REGION: "eu-west-1" };

// github.com/open-policy-agent/opa v1/plugins/rest/aws.go
describe("s3_signing", () => {
  test("with keys of the environment", async () => {
    const headers = await show(
      authenticator({ s3_signing: { environment_credentials: {} } }, { ...KEYS_FROM_ENV, AWS_SECURITY_TOKEN: "tok" }),
    );
    expect(headers).toMatchObject({ host: "bucket.example", "x-amz-security-token": "tok" });
    expect(headers["authorization"]).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKID\/\d{8}\/eu-west-1\/s3\/aws4_request,SignedHeaders=host;prefer;x-amz-content-sha256;x-amz-date;x-amz-security-token,Signature=[0-9a-f]{64}$/,
    );
  });

  test("version 4a, another service", async () => {
    const signing = { environment_credentials: {}, signature_version: "4a", service: "Execute-API" };
    const { authorization } = await show(authenticator({ s3_signing: signing }, KEYS_FROM_ENV));
    expect(authorization).toMatch(/^AWS4-ECDSA-P256-SHA256 Credential=AKID\/\d{8}\/execute-api\/aws4_request, /);
  });

  test("with a profile", async () => {
    const path = join(folder, "credentials");
    await writeFile(
      path,
      '[default]\naws_access_key_id = A\naws_secret_access_key = B ; note\n\n# more\n[p]\naws_access_key_id="C"\naws_secret_access_key: D/e+f=\naws_session_token = T\n',
    );
    const signer = authenticator({ s3_signing: { profile_credentials: { path, profile: "p", aws_region: "r" } } });
    expect(await show(signer)).toMatchObject({
      authorization: expect.stringContaining("Credential=C/") as string,
      "x-amz-security-token": "T",
    });
    const byEnv = authenticator(
      { s3_signing: { profile_credentials: {} } },
      { AWS_SHARED_CREDENTIALS_FILE: path, AWS_REGION: "r" },
    );
    expect((await show(byEnv))["authorization"]).toContain("Credential=A/");
    const missing = authenticator({ s3_signing: { profile_credentials: { path, profile: "x", aws_region: "r" } } });
    await expect(show(missing)).rejects.toThrow(`${path}: there is no profile "x"`);
  });

  test("with a role of EC2, in a session of its metadata service, borrowed until five minutes before the end", async () => {
    let minutes = 4;
    answer = ({ method }) =>
      method === "PUT"
        ? { body: "session" }
        : {
            body: JSON.stringify({
              Code: "Success",
              AccessKeyId: "E",
              SecretAccessKey: "S",
              Token: "T",
              Expiration: inFuture(minutes),
            }),
          };
    const signer = authenticator({ s3_signing: { metadata_credentials: { iam_role: "role", aws_region: "r" } } });
    await Promise.all([show(signer), show(signer)]);
    expect(stub.requests.map(({ method, host, path }) => `${method} ${host}${path}`)).toEqual([
      "PUT 169.254.169.254/latest/api/token",
      "GET 169.254.169.254/latest/meta-data/iam/security-credentials/role",
    ]);
    expect(stub.requests[0]?.headers["x-aws-ec2-metadata-token-ttl-seconds"]).toBe("60");
    expect(stub.requests[1]?.headers["x-aws-ec2-metadata-token"]).toBe("session");
    minutes = 60;
    await show(signer);
    await show(signer);
    expect(stub.requests).toHaveLength(4);
    signer.refused?.();
    await show(signer);
    expect(stub.requests).toHaveLength(6);
  });

  test("with the role of an ECS task", async () => {
    answer = () => ({
      body: JSON.stringify({ AccessKeyId: "E", SecretAccessKey: "S", Token: "T", Expiration: inFuture(60) }),
    });
    const signing = { s3_signing: { metadata_credentials: { aws_region: "r" } } };
    await show(authenticator(signing, { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: "/v2/x" }));
    await writeFile(join(folder, "token"), "from-file\n");
    const full = { AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://localhost/get" };
    await show(authenticator(signing, { ...full, AWS_CONTAINER_AUTHORIZATION_TOKEN: "tok" }));
    await show(authenticator(signing, { ...full, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(folder, "token") }));
    expect(stub.requests.map(({ host, path, headers }) => [host + path, headers["authorization"]])).toEqual([
      ["169.254.170.2/v2/x", undefined],
      ["localhost/get", "tok"],
      ["localhost/get", "from-file"],
    ]);
  });

  const sts = (action: string) => ({
    body: `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><AssumedRoleUser><Arn>a</Arn></AssumedRoleUser><Credentials>
      <AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>a&lt;b&amp;amp;</SecretAccessKey>
      <SessionToken>tok</SessionToken><Expiration>${inFuture(60)}</Expiration></Credentials></${action}Result></${action}Response>`,
  });

  test("with a web identity", async () => {
    answer = () => sts("AssumeRoleWithWebIdentity");
    await writeFile(join(folder, "token"), "jwt");
    const headers = await show(
      authenticator(
        { s3_signing: { web_identity_credentials: { session_name: "me", aws_domain: "amazonaws.com.cn" } } },
        {
          AWS_ROLE_ARN: "arn:r",
          AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, "token"),
          AWS_REGION: "CN-North-1",
        },
      ),
    );
    expect(headers["authorization"]).toContain("Credential=ASIA/");
    expect(headers["x-amz-security-token"]).toBe("tok");
    expect(stub.requests[0]?.host).toBe("sts.cn-north-1.amazonaws.com.cn");
    expect(stub.requests[0]?.headers).not.toHaveProperty("authorization");
    expect(Object.fromEntries(new URLSearchParams(stub.requests[0]?.body))).toEqual({
      Action: "AssumeRoleWithWebIdentity",
      RoleArn: "arn:r",
      RoleSessionName: "me",
      Version: "2011-06-15",
      WebIdentityToken: "jwt",
    });
  });

  test("with a role that other keys ask for", async () => {
    answer = () => sts("AssumeRole");
    const role = { iam_role_arn: "arn:r", aws_region: "r", aws_signing: { environment_credentials: {} } };
    const headers = await show(authenticator({ s3_signing: { assume_role_credentials: role } }, KEYS_FROM_ENV));
    expect(headers["authorization"]).toContain("Credential=ASIA/");
    const [asked] = stub.requests;
    expect(asked?.headers["authorization"]).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKID\/\d{8}\/eu-west-1\/sts\/aws4_request,SignedHeaders=content-type;host;x-amz-date,/,
    );
    expect(asked).toMatchObject({ method: "POST", host: "sts.r.amazonaws.com", path: "/" });
    expect(asked?.body).toBe("Action=AssumeRole&RoleArn=arn%3Ar&RoleSessionName=open-policy-agent&Version=2011-06-15");
  });

  test("the first source that has keys gives them; when none has, all say why", async () => {
    answer = () => ({ status: 404 });
    const sources = {
      environment_credentials: {},
      profile_credentials: { path: join(folder, "none"), aws_region: "r" },
      metadata_credentials: { iam_role: "x", aws_region: "r" },
    };
    await expect(show(authenticator({ s3_signing: sources }))).rejects.toThrow(
      /all AWS credential providers failed: no AWS_ACCESS_KEY_ID set in environment; .*none.*; metadata token HTTP request returned unexpected status: 404$/,
    );
    expect((await show(authenticator({ s3_signing: sources }, KEYS_FROM_ENV)))["authorization"]).toContain("=AKID/");
  });

  test.for([
    {
      body: "<html>secret</html>",
      problem: "failed to parse credential response from metadata service: it is not JSON",
    },
    { body: '{"AccessKeyId": "a"}', problem: "metadata service: it has no Expiration" },
    {
      body: JSON.stringify({ AccessKeyId: "a", SecretAccessKey: "b", Token: "c", Expiration: "soon" }),
      problem: "metadata service: Expiration is no time",
    },
    { body: "x".repeat(1024 * 1024 + 1), problem: "the answer has more than 1048576 bytes" },
  ])("keys that are none are refused: $problem", async ({ body, problem }) => {
    answer = () => ({ body });
    const env = { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: "/x" };
    const refused = show(authenticator({ s3_signing: { metadata_credentials: { aws_region: "r" } } }, env));
    await expect(refused).rejects.toThrow(problem);
    await expect(refused).rejects.not.toThrow("secret");
  });

  test("profiles are read as AWS's tools write them", () => {
    const text = "[a]\r\nk = v # c\r\n[ b ]\nk='q'\nx\n[a]\nl=1#2";
    expect([...readProfiles(text)].map(([name, settings]) => [name, Object.fromEntries(settings)])).toEqual([
      ["a", { k: "v", l: "1#2" }],
      ["b", { k: "q" }],
    ]);
  });
});

// github.com/open-policy-agent/opa v1/plugins/rest/gcp.go
describe("gcp_metadata", () => {
  test("an identity token for an audience", async () => {
    answer = () => ({ body: "id-token" });
    const who = authenticator({ gcp_metadata: { audience: "https://a.example?b&c" } });
    expect(await show(who)).toEqual({ authorization: "Bearer id-token" });
    const [asked] = stub.requests;
    expect(asked).toMatchObject({ host: "metadata.google.internal", headers: { "metadata-flavor": "Google" } });
    const { pathname, searchParams } = new URL(asked?.path ?? "", stub.url);
    expect(pathname).toBe("/computeMetadata/v1/instance/service-accounts/default/identity");
    expect([...searchParams]).toEqual([["audience", "https://a.example?b&c"]]);
  });

  test("an access token with scopes", async () => {
    answer = () => ({ body: '{"access_token": "at", "expires_in": 3599, "token_type": "Bearer"}' });
    const who = authenticator({ gcp_metadata: { scopes: ["a", "b"], access_token_path: "/t" } });
    expect(await show(who)).toEqual({ authorization: "Bearer at" });
    expect(decodeURIComponent(stub.requests[0]?.path ?? "")).toBe("/t?scopes=a,b");
  });

  test.for([
    { reply: { status: 404 }, problem: "404: not found" },
    { reply: { status: 400 }, problem: "400: invalid request" },
    { reply: { status: 500 }, problem: "500: unexpected error" },
    { reply: { body: "{}" }, problem: "200: the answer has no token" },
  ])("no token: $problem", async ({ reply, problem }) => {
    answer = () => reply;
    await expect(show(authenticator({ gcp_metadata: { scopes: ["a"] } }))).rejects.toThrow(problem);
  });
});

// github.com/open-policy-agent/opa v1/plugins/rest/azure.go
describe("azure_managed_identity", () => {
  test("of the virtual machine", async () => {
    answer = () => ({ body: '{"access_token": "at", "expires_in": "86399"}' });
    const who = authenticator({ azure_managed_identity: { client_id: "c", object_id: "o", mi_res_id: "m" } });
    expect(await show(who)).toEqual({ authorization: "Bearer at" });
    expect(stub.requests[0]).toMatchObject({ host: "169.254.169.254", headers: { metadata: "true" } });
    expect(decodeURIComponent(stub.requests[0]?.path ?? "")).toBe(
      "/metadata/identity/oauth2/token?api-version=2018-02-01&client_id=c&mi_res_id=m&object_id=o&resource=https://storage.azure.com/",
    );
  });

  test("of App Service, whose endpoint is in the environment", async () => {
    answer = () => ({ body: '{"access_token": "at"}' });
    const env = { IDENTITY_ENDPOINT: "http://localhost/msi", IDENTITY_HEADER: "h" };
    await show(authenticator({ azure_managed_identity: { resource: "r" } }, env));
    expect(stub.requests[0]).toMatchObject({
      host: "localhost",
      path: "/msi?api-version=2019-08-01&resource=r",
      headers: { "x-identity-header": "h" },
    });
    const bare = authenticator({ azure_managed_identity: { use_app_service_msi: true } });
    await expect(show(bare)).rejects.toThrow("IDENTITY_HEADER env var not found");
  });

  test.for([
    { reply: { status: 400, body: '{"error": "invalid_request"}' }, problem: 'invalid_request"}' },
    { reply: { body: "<html>" }, problem: "the answer has no token" },
  ])("no token: $problem", async ({ reply, problem }) => {
    answer = () => reply;
    await expect(show(authenticator({ azure_managed_identity: {} }))).rejects.toThrow(problem);
  });
});

describe("a service", () => {
  function client(section: PlainObject, more: PlainObject = {}, env: Environment = {}): ServiceClient {
    const document = { services: { s: { url: stub.url, credentials: section, ...more } } };
    const [service] = readConfig(document, () => undefined).services;
    if (service === undefined) throw new Error("no service");
    return new ServiceClient(service, env);
  }
  const ask = { method: "GET", path: "/b.tar.gz", headers: {}, maxBytes: 10 } as const;

  test("is asked with a signature over the headers it gets", async () => {
    const signing = { s3_signing: { environment_credentials: {} } };
    await client(signing, { headers: { "X-Own": "1" } }, KEYS_FROM_ENV).send({ ...ask, headers: { prefer: "p" } });
    const [asked] = stub.requests;
    expect(asked?.headers["authorization"]).toContain(
      "SignedHeaders=host;prefer;x-amz-content-sha256;x-amz-date;x-own,",
    );
    expect(asked).toMatchObject({ path: "/b.tar.gz", host: new URL(stub.url).host, headers: { "x-own": "1" } });
  });

  test("is not asked without what it wants to see; the message names the key", async () => {
    const who = client({ s3_signing: { environment_credentials: {} } });
    await expect(who.send(ask)).rejects.toThrow(
      "services.s.credentials.s3_signing: failed to get aws credentials: all AWS credential providers failed: no AWS_ACCESS_KEY_ID set in environment",
    );
    expect(stub.requests).toEqual([]);
  });

  test("a path is always below its URL: what it may see is for no other place", async () => {
    await client({ bearer: { token: "t" } }).send({ ...ask, path: "https://elsewhere.example/x" });
    expect(stub.requests[0]).toMatchObject({
      path: "/https://elsewhere.example/x",
      headers: { authorization: "Bearer t" },
    });
  });

  test("that is silent is given up", async () => {
    answer = () => ({ hangs: true });
    await expect(client({}, { response_header_timeout_seconds: 0.05 }).send(ask)).rejects.toThrow("no answer in time");
  });
});
