import { execFileSync, spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PlainObject, readConfig } from "../../src/config/index.ts";
import type { Environment } from "../../src/server/environment.ts";
import { exchange } from "../../src/server/exchange.ts";
import { authenticatorOf } from "../../src/server/service-authentication.ts";
import { type Answer, type Recorded, RecordingServer } from "../support/recording-server.ts";

/** The real program. Set CARDEA_OPA to its path if it is not on PATH. */
const opa = process.env["CARDEA_OPA"] ?? "opa";
const isThere = spawnSync(opa, ["version"]).status === 0;
if (!isThere && process.env["CI"] !== undefined) throw new Error("no opa: set CARDEA_OPA");
if (!isThere) console.log("skipped: no opa (set CARDEA_OPA)");

const folder = mkdtempSync(join(tmpdir(), "cardea-credentials-"));
const place = (name: string): string => join(folder, name);
let plain: RecordingServer;
let secure: RecordingServer;

const STS = "sts.us-east-1.amazonaws.com";

beforeAll(async () => {
  const subject = ["-subj", `/CN=${STS}`, "-addext", `subjectAltName=DNS:${STS},IP:127.0.0.1`];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
  const files = ["-keyout", place("tls.key"), "-out", place("tls.crt")];
  execFileSync("openssl", ["req", "-x509", "-nodes", "-days", "2", ...curve, ...subject, ...files], {
    stdio: "ignore",
  });
  plain = await RecordingServer.start(answer);
  secure = await RecordingServer.start(answer, {
    key: readFileSync(place("tls.key"), "utf8"),
    cert: readFileSync(place("tls.crt"), "utf8"),
  });
  plain.tunnelTo(secure);
  writeFileSync(place("token"), "web.identity.token\n");
  writeFileSync(place("aws"), "[p]\naws_access_key_id = PK\naws_secret_access_key = PS\naws_session_token = PT\n");
});
afterAll(async () => {
  await Promise.all([plain.stop(), secure.stop()]);
  rmSync(folder, { recursive: true });
});

const EXPIRATION = "2100-01-01T00:00:00Z";

function answer({ method, host, path, body }: Recorded): Answer {
  const lent = { Code: "Success", AccessKeyId: "LK", SecretAccessKey: "LS", Token: "LT", Expiration: EXPIRATION };
  if (path.endsWith("/b.tar.gz")) return { status: 404 };
  if (host === STS) {
    const action = new URLSearchParams(body).get("Action");
    return {
      body: `<${action}Response><${action}Result><Credentials><AccessKeyId>SK</AccessKeyId><SecretAccessKey>SS</SecretAccessKey><SessionToken>ST</SessionToken><Expiration>${EXPIRATION}</Expiration></Credentials></${action}Result></${action}Response>`,
    };
  }
  if (method === "PUT") return { body: "session" };
  if (path.includes("/identity?")) return { body: "gcp-identity" };
  // Azure writes numbers as texts.
  if (path.includes("oauth2/token?") || path.includes("msi?"))
    return { body: '{"access_token": "at", "expires_in": "3600"}' };
  if (path.includes("token?") || path === "/oauth2")
    return { body: '{"access_token": "at", "token_type": "Bearer", "expires_in": 3600}' };
  return { body: JSON.stringify(lent) };
}

/** What both programs choose for themselves. */
const OWN_HEADERS = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "host",
  "proxy-connection",
  "transfer-encoding",
  "user-agent",
]);

function comparable({ method, host, path, headers, body }: Recorded): object {
  const url = new URL(path, `http://${host}`);
  const form = new URLSearchParams(body);
  form.sort();
  return {
    method,
    place: /^127\./.test(host) ? url.pathname : host + url.pathname,
    query: [...url.searchParams].sort(),
    headers: Object.fromEntries(
      Object.entries(headers)
        .filter(([name]) => !OWN_HEADERS.has(name))
        .map(([name, value]) => [name, withoutTimes(name, value)]),
    ),
    body: [...form].map(([name, value]) =>
      name.endsWith("assertion") && value.startsWith("ey") ? claims(value) : [name, value],
    ),
  };
}

function withoutTimes(name: string, value: string): string {
  if (name === "x-amz-date") return value.replace(/\d/g, "0");
  return value.replace(/(Credential=\w+\/)\d{8}/, "$1DATE").replace(/Signature=[0-9a-f]+/, "Signature=…");
}

function claims(jwt: string): object {
  const { iat = 0, exp = 0, jti, ...others } = decodeJwt(jwt);
  return { header: decodeProtectedHeader(jwt), ...others, lifetime: exp - iat, hasId: jti !== undefined };
}

/** Requests until the bundle is asked for, by opa itself. */
async function askedByOpa(document: PlainObject, env: Environment): Promise<readonly object[]> {
  writeFileSync(place("config.json"), JSON.stringify(document));
  const child = spawn(
    opa,
    ["run", "--server", "--addr=127.0.0.1:0", "--disable-telemetry", "--config-file", place("config.json")],
    {
      env: {
        // Where the program is called by its name.
        PATH: process.env["PATH"],
        HOME: folder,
        SSL_CERT_FILE: place("tls.crt"),
        HTTP_PROXY: plain.url,
        HTTPS_PROXY: plain.url,
        ...env,
      } as NodeJS.ProcessEnv,
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  try {
    await expect.poll(() => recorded().some(isBundle), { timeout: 20_000, message: log }).toBe(true);
  } catch (cause) {
    throw new Error(log, { cause });
  } finally {
    child.kill();
    await once(child, "exit");
  }
  return taken();
}

async function askedByUs(document: PlainObject, env: Environment): Promise<readonly object[]> {
  const [service] = readConfig(document, () => undefined).services;
  const toStub: typeof exchange = (url, outgoing) =>
    exchange(new URL(url.pathname + url.search, plain.url), {
      ...outgoing,
      headers: { ...outgoing.headers, host: url.host },
    });
  const surroundings = { env: { HOME: folder, ...env }, exchange: toStub, exchangeTrusted: toStub };
  const url = new URL(`${service?.url}/b.tar.gz`);
  const headers = { prefer: "modes=snapshot,delta" };
  const shown = await authenticatorOf(service?.credentials, surroundings).headersFor(url, { method: "GET", headers });
  await toStub(url, { method: "GET", headers: { ...headers, ...shown }, timeoutMs: 5000, maxBytes: 1000 });
  return taken();
}

const isBundle = ({ path }: Recorded): boolean => path.endsWith("/b.tar.gz");
/** In the order of arrival: what goes over TLS is always asked for before the bundle. */
const recorded = (): readonly Recorded[] => [...secure.requests, ...plain.requests];

function taken(): readonly object[] {
  const all = recorded();
  const asked = all.slice(0, all.findIndex(isBundle) + 1).map(comparable);
  plain.requests.length = 0;
  secure.requests.length = 0;
  return asked;
}

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" });
const AWS_ENV = { AWS_ACCESS_KEY_ID: "EK", AWS_SECRET_ACCESS_KEY: "ES", AWS_REGION: "us-east-1" };
const ENVIRONMENT = { environment_credentials: {} };
const signing = (settings: PlainObject): PlainObject => ({ s3_signing: settings });
const oauth2 = (settings: PlainObject) => () => ({
  oauth2: { token_url: `https://127.0.0.1:${secure.port}/oauth2`, scopes: ["x", "y"], ...settings },
});

const ROWS: readonly [string, () => PlainObject, Environment?][] = [
  ["signature 4", () => signing(ENVIRONMENT), AWS_ENV],
  [
    "signature 4 with a token",
    () => signing({ ...ENVIRONMENT, service: "execute-api" }),
    { ...AWS_ENV, AWS_SESSION_TOKEN: "ET" },
  ],
  ["signature 4a", () => signing({ ...ENVIRONMENT, signature_version: "4a" }), { ...AWS_ENV, AWS_SESSION_TOKEN: "ET" }],
  ["profile", () => signing({ profile_credentials: { path: place("aws"), profile: "p", aws_region: "eu-west-1" } })],
  ["EC2", () => signing({ metadata_credentials: { iam_role: "r", aws_region: "eu-west-1" } })],
  [
    "ECS",
    () => signing({ metadata_credentials: { aws_region: "eu-west-1" } }),
    { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: "/v2/keys" },
  ],
  [
    "ECS with a token",
    () => signing({ metadata_credentials: { aws_region: "eu-west-1" } }),
    { AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://169.254.170.23/v1", AWS_CONTAINER_AUTHORIZATION_TOKEN: "tok" },
  ],
  [
    "web identity",
    () => signing({ web_identity_credentials: {} }),
    { AWS_ROLE_ARN: "arn:r", AWS_WEB_IDENTITY_TOKEN_FILE: place("token"), AWS_REGION: "us-east-1" },
  ],
  [
    "assumed role",
    () => signing({ assume_role_credentials: { iam_role_arn: "arn:r", session_name: "s", aws_signing: ENVIRONMENT } }),
    AWS_ENV,
  ],
  [
    "role assumed by a web identity",
    () =>
      signing({
        assume_role_credentials: {
          iam_role_arn: "arn:r2",
          aws_region: "us-east-1",
          aws_signing: {
            web_identity_credentials: {
              iam_role_arn: "arn:r1",
              web_identity_token_file: place("token"),
              aws_region: "us-east-1",
            },
          },
        },
      }),
  ],
  ["the second source", () => signing({ ...ENVIRONMENT, metadata_credentials: { iam_role: "r", aws_region: "r" } })],
  ["Google, identity", () => ({ gcp_metadata: { audience: "https://a.example/x" } })],
  ["Google, access", () => ({ gcp_metadata: { scopes: ["a", "b"] } })],
  ["Azure", () => ({ azure_managed_identity: { client_id: "c", mi_res_id: "m" } })],
  [
    "Azure, App Service",
    () => ({ azure_managed_identity: {} }),
    { IDENTITY_ENDPOINT: "http://169.254.0.1/msi", IDENTITY_HEADER: "h" },
  ],
  ["OAuth2, secret", oauth2({ client_id: "c", client_secret: "s", additional_parameters: { p: "q" } })],
  ["OAuth2, assertion", oauth2({ client_id: "c", client_assertion: "a.b.c", client_assertion_type: "urn:t" })],
  [
    "OAuth2, signed",
    oauth2({ client_id: "c", signing_key: "rsa", thumbprint: "00ff10203040", additional_claims: { iss: "me" } }),
  ],
  [
    "OAuth2, the grant",
    oauth2({ grant_type: "jwt_bearer", signing_key: "hmac", include_jti_claim: true, additional_claims: { aud: "a" } }),
  ],
];

// Plain requests of opa go through a proxy, which is the stub; those to TLS servers go to it directly or by a tunnel.
test.skipIf(!isThere).for(ROWS)("the same requests arrive: %s", async ([, credentials, env = {}]) => {
  const document = {
    keys: {
      rsa: { private_key: rsa.toString(), algorithm: "RS256" },
      hmac: { private_key: "a secret of at least thirty-two bytes", algorithm: "HS256" },
    },
    services: { s: { url: plain.url, credentials: credentials() } },
    bundles: { b: { service: "s", resource: "b.tar.gz" } },
  };
  const wanted = await askedByOpa(document, env);
  expect(wanted.length).toBeGreaterThan(0);
  expect(await askedByUs(document, env)).toEqual(wanted);
});
