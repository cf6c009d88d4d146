import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { PlainObject } from "../../src/config/index.ts";
import { encodeRequest, type ReplyDocument } from "../support/checks.ts";
import { keySetOf, makeKey, mint } from "../support/identity.ts";
import { isAllowed, startServer, type TestServer, until } from "../support/server.ts";
import { lineWriter } from "../support/lines.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Running extends TestServer {
  readonly log: Record<string, unknown>[];
  ask(path: string, more?: Asked): Promise<ReplyDocument>;
  metrics(): Promise<string>;
}

interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  readonly principal?: string;
  readonly time?: number;
  readonly v2?: boolean;
  readonly metadata?: object;
  readonly address?: string;
}

/** Serves a folder; nothing is watched, so tests say when it is read again. */
async function serve(
  files: Readonly<Record<string, string>>,
  cardea: PlainObject = {},
  config: PlainObject = {},
): Promise<Running> {
  const log: Record<string, unknown>[] = [];
  const server = await startServer({
    policy: "",
    files,
    paths: Object.keys(files),
    config: () => ({ decision_logs: { console: true }, cardea, ...config }),
    options: {
      addrs: ["127.0.0.1:0"],
      writer: lineWriter((line) => void log.push(JSON.parse(line) as Record<string, unknown>)),
    },
  });
  closing.push(() => server.stop());
  const client = server.connect();
  return {
    ...server,
    log,
    ask: (path, { headers = {}, principal = WEB, time, v2 = false, metadata, address = "10.0.0.1" } = {}) =>
      client.check(
        encodeRequest({
          attributes: {
            source: { principal, address: { socketAddress: { address, portValue: 4000 } } },
            destination: { principal: "spiffe://cluster.local/ns/prod/sa/api" },
            request: {
              ...(time !== undefined && { time: { seconds: time } }),
              http: { method: "GET", path, host: "api", headers },
            },
            ...(metadata !== undefined && { metadataContext: { filterMetadata: metadata } }),
          },
        }),
        v2 ? { method: "/envoy.service.auth.v2.Authorization/Check" } : {},
      ),
    metrics: async () => (await fetch(`http://${server.addresses.diagnostic[0]}/metrics`)).text(),
  };
}

const WEB = "spiffe://cluster.local/ns/prod/sa/web";

const policy = (name: string, spec: object, kind = "AuthorizationPolicy"): string =>
  JSON.stringify({ apiVersion: "security.istio.io/v1", kind, metadata: { name, namespace: "prod" }, spec });
const own = (kind: string, name: string, spec: object): string =>
  JSON.stringify({ apiVersion: "cardea.dev/v1alpha1", kind, metadata: { name }, spec });

const to = (...paths: string[]): object => ({ to: [{ operation: { paths } }] });
const READ = policy("read", { rules: [to("/read*", "/both*")] });
const NO_SECRETS = policy("no-secrets", { action: "DENY", rules: [to("*/secret")] });

const statusOf = (reply: ReplyDocument): number => reply.deniedResponse?.status.code ?? 200;
const headersOf = (reply: ReplyDocument): Record<string, string> =>
  Object.fromEntries(
    ((reply.okResponse ?? reply.deniedResponse)?.["headers" as never] as HeaderOption[] | undefined)?.map(
      ({ header }) => [header.key, header.value ?? ""],
    ) ?? [],
  );
interface HeaderOption {
  readonly header: { readonly key: string; readonly value?: string };
}

describe("policy documents", () => {
  test("decide alone where no Rego is loaded, and the record names policy and rule", async () => {
    const { ask, log, metrics } = await serve({ "read.yaml": READ, "deny.yaml": NO_SECRETS });
    const rows: readonly (readonly [string, number, string, string | undefined])[] = [
      ["/read/1", 200, "allow", "prod/read"],
      ["/read/secret", 403, "deny", "prod/no-secrets"],
      ["/write", 403, "default_deny", undefined],
    ];
    for (const [path, status, reason, name] of rows) {
      const reply = await ask(path);
      expect([path, statusOf(reply)]).toEqual([path, status]);
      expect(reply.metadata?.["cardea"]).toMatchObject({ layer: "mesh", reason });
      const event = log.at(-1);
      expect(event).toMatchObject({ result: { allowed: status === 200 }, cardea: { layer: "mesh", mesh: { reason } } });
      expect((event?.["result"] as { by?: { policy: string } } | undefined)?.by?.policy).toBe(name);
    }
    expect((await ask("/read/secret")).deniedResponse?.body).toBe("RBAC: access denied");
    const text = await metrics();
    expect(text).toContain('cardea_rulings_total{layer="mesh",verdict="deny",policy="prod/no-secrets",rule="0"} 2');
    expect(text).toContain('cardea_rulings_total{layer="mesh",verdict="deny",policy="",rule=""} 1');
  });

  test("and Rego must both allow", async () => {
    const rego = `package envoy.authz

default allow := false

allow := {"allowed": true, "headers": {"x-by": "rego"}} if startswith(input.attributes.request.http.path, "/both")`;
    const { ask, log } = await serve({ "read.yaml": READ, "policy.rego": rego });
    expect(statusOf(await ask("/read"))).toBe(200);
    expect(isAllowed(await ask("/read"))).toBe(false);
    expect(log.at(-1)).toMatchObject({
      result: false,
      cardea: { layer: "rego", mesh: { by: { policy: "prod/read" } } },
    });
    expect(headersOf(await ask("/both"))).toEqual({ "x-by": "rego" });
    expect(statusOf(await ask("/other"))).toBe(403);
    expect(log.at(-1)).toMatchObject({ cardea: { layer: "mesh" } });
  });

  test("Rego that only serves the log does not decide", async () => {
    const mask = 'package system.log\n\nmask contains "/input/attributes/source"';
    const { ask, log } = await serve({ "read.yaml": READ, "mask.rego": mask });
    expect(isAllowed(await ask("/read"))).toBe(true);
    expect(log.at(-1)).toMatchObject({ erased: ["/input/attributes/source"] });
  });

  test("hold for requests of the older API alike", async () => {
    const local = policy("local", { action: "DENY", rules: [{ from: [{ source: { ipBlocks: ["10.0.0.0/8"] } }] }] });
    const { ask } = await serve({ "local.yaml": local });
    for (const v2 of [false, true]) {
      expect(isAllowed(await ask("/", { v2 }))).toBe(false);
      expect(isAllowed(await ask("/", { v2, address: "192.0.2.1" }))).toBe(true);
    }
  });

  test("are never taken for data", async () => {
    const { server } = await serve({ "read.yaml": READ, "data.json": '{"kept": 1}' });
    expect(Object.keys(server.store.current.data)).toEqual(["kept", "cardea"]);
  });

  test("no policy at all denies, unless the mesh is described", async () => {
    expect(isAllowed(await (await serve({ "data.json": "{}" })).ask("/"))).toBe(false);
    expect(isAllowed(await (await serve({ "data.json": "{}" }, { mesh: {} })).ask("/"))).toBe(true);
    const hours = own("Schedule", "hours", { timeZone: "UTC", windows: [{ from: "08:00", to: "22:00" }] });
    expect(isAllowed(await (await serve({ "hours.yaml": hours })).ask("/"))).toBe(false);
  });
});

describe("a reload", () => {
  test("publishes what is good", async () => {
    const { ask, server, folder } = await serve({ "read.yaml": READ });
    await writeFile(join(folder, "read.yaml"), policy("read", { rules: [to("/write")] }));
    await server.reload();
    expect(server.store.lastFailure).toBeUndefined();
    expect([isAllowed(await ask("/read")), isAllowed(await ask("/write"))]).toEqual([false, true]);
  });

  // attacks.json, category config: what must not replace good policies.
  const denies =
    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: prod}\nspec:\n";
  const bad: readonly (readonly [id: string, what: string, text: string | Buffer])[] = [
    ["config-002", "cut in the middle", `${denies}  rules:\n  - to:\n    - operation: {paths: ["/a"`],
    ["config-003", "empty", ""],
    ["config-003", "only a comment", "# x\n"],
    ["config-003", "only a mark", "---\n"],
    ["config-006", "empty from", `${denies}  rules: [{from: []}]\n`],
    ["config-006", "empty source", `${denies}  rules: [{from: [{source: {}}]}]\n`],
    ["config-006", "empty operation", `${denies}  rules: [{to: [{operation: {}}]}]\n`],
    ["config-006", "a condition without values", `${denies}  rules: [{when: [{key: "request.headers[x]"}]}]\n`],
    ["config-007", "an unknown field", `${denies}  rules: [{to: [{operation: {path: ["/x"]}}]}]\n`],
    ["config-007", "a misspelt version", READ.replace("security.istio", "security.isto")],
    ["config-007", "a misspelt kind", READ.replace("AuthorizationPolicy", "AuthorisationPolicy")],
    ["config-007", "a misspelt action", `${denies}  action: Allow\n`],
    [
      "config-008",
      "an unknown key",
      `${denies}  rules: [{when: [{key: "request.auth.claim[role]", values: [admin]}]}]\n`,
    ],
    [
      "config-009",
      "a port that is none",
      `${denies}  action: DENY\n  rules: [{to: [{operation: {ports: ["99999"]}}]}]\n`,
    ],
    ["config-009", "a range that is none", `${denies}  rules: [{from: [{source: {ipBlocks: ["10.0.0.0/99"]}}]}]\n`],
    ["config-010", "a key twice", `${denies}  action: ALLOW\n  action: DENY\n`],
    ["config-011", "values that are no strings", `${denies}  rules: [{when: [{key: source.ip, values: [1e3]}]}]\n`],
    ["config-012", "aliases", `${denies}  rules: [&a {to: [{operation: {paths: ["/x"]}}]}, *a]\n`],
    ["config-013", "deep nesting", `${denies}  rules: ${"[".repeat(20_000)}\n`],
    ["config-014", "prototype keys", `${denies}  __proto__: {action: ALLOW}\n`],
    ["config-015", "tags of other programs", `${denies}  action: !!js/function "x"\n`],
    [
      "config-018",
      "a pattern without end",
      `${denies}  rules: [{to: [{operation: {paths: ["/${"x".repeat(1_048_576)}"]}}]}]\n`,
    ],
    ["config-019", "UTF-16", Buffer.from(`\ufeff${READ}`, "utf16le")],
    ["config-019", "NUL", `${denies}  action: "DE\0NY"\n`],
  ];
  test("refuses what is not, and the last good policies serve on", async () => {
    const { ask, server, folder } = await serve({ "read.yaml": READ });
    const { generation } = server.store.current;
    for (const [id, what, text] of bad) {
      await writeFile(join(folder, "read.yaml"), text);
      await server.reload();
      expect([id, what, server.store.lastFailure === undefined]).toEqual([id, what, false]);
      expect(server.store.current.generation).toBe(generation);
    }
    expect([isAllowed(await ask("/read")), isAllowed(await ask("/write"))]).toEqual([true, false]);
    await writeFile(join(folder, "read.yaml"), `${denies}  action: Allow\n`);
    await server.reload();
    expect(server.store.lastFailure).toMatch(/read\.yaml:5: istio_value_error: spec\.action: /);
  });

  test("config-024: policies in which nothing is left at the entrypoint are refused, with the path", async () => {
    const good = 'package envoy.authz\n\nallow if input.parsed_path[0] == "read"';
    for (const files of [{ "policy.rego": good }, { "policy.rego": good, "read.yaml": READ }]) {
      const { ask, server, folder } = await serve(files as Record<string, string>);
      await writeFile(join(folder, "policy.rego"), good.replace("envoy.authz", "envoy.renamed"));
      await server.reload();
      expect(server.store.lastFailure).toBe(
        "nothing is defined at data.envoy.authz.allow, where decisions are asked for; there is data.envoy.renamed.allow",
      );
      expect([isAllowed(await ask("/read")), isAllowed(await ask("/write"))]).toEqual([true, false]);
      await writeFile(join(folder, "policy.rego"), good.replace("read", "both"));
      await server.reload();
      expect(server.store.lastFailure).toBeUndefined();
      expect(isAllowed(await ask("/read"))).toBe(false);
    }
  });

  test("config-018: a file beyond the limits is refused, and the limit named", async () => {
    const limits = { policy_file_length: 100_000, policy_rules: 100, policy_value_length: 1024 };
    const { ask, server, folder } = await serve({ "read.yaml": READ }, { limits });
    const rules = (count: number, path: string) =>
      policy("read", { rules: Array.from({ length: count }, () => to(path)) });
    for (const [text, limit] of [
      [rules(101, "/x"), "the limit rules, 100"],
      [
        Array.from({ length: 51 }, (_, i) => rules(2, "/x").replace('"read"', `"p${i}"`)).join("\n---\n"),
        "the limit rules, 100",
      ],
      [rules(1, `/${"x".repeat(1024)}`), "the limit valueLength is 1024"],
      [rules(1, `/${"x".repeat(100_000)}`), "the limit fileLength is 100000"],
    ] as const) {
      await writeFile(join(folder, "read.yaml"), text);
      await server.reload();
      expect(server.store.lastFailure).toContain(limit);
      expect([isAllowed(await ask("/read")), isAllowed(await ask("/x"))]).toEqual([true, false]);
    }
  });

  test("a server does not start with such a file", async () => {
    await expect(serve({ "p.yaml": `${denies}  action: Allow\n` })).rejects.toMatchObject({ name: "IstioPolicyError" });
  });

  test("writing data or modules through the API keeps the documents", async () => {
    const { ask, server } = await serve({ "read.yaml": READ });
    server.store.updateBase({ ...server.store.base, data: { written: true } });
    expect([isAllowed(await ask("/read")), isAllowed(await ask("/write"))]).toEqual([true, false]);
  });
});

describe("tokens", () => {
  const key = makeKey("a");
  const claims = { iss: "https://issuer.test", sub: "user-1", exp: 4_102_444_800, role: "admin" };
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}`, "x-role": "forged" } });
  const rule = (more: object) => ({
    issuer: "https://issuer.test",
    outputClaimToHeaders: [{ header: "x-role", claim: "role" }],
    ...more,
  });
  const authentication = (more: object = { jwks: keySetOf(key) }) =>
    policy("tokens", { jwtRules: [rule(more)] }, "RequestAuthentication");
  const admins = policy("admins", {
    rules: [
      { ...to("/admin"), when: [{ key: "request.auth.claims[role]", values: ["admin"] }] },
      { from: [{ source: { requestPrincipals: ["https://issuer.test/*"] } }], ...to("/mine") },
      to("/public"),
    ],
  });

  test("are verified before policies, which see their claims", async () => {
    const { ask, log, metrics } = await serve({ "t.yaml": authentication(), "p.yaml": admins });
    const good = bearer(mint(key, claims));
    for (const path of ["/admin", "/mine", "/public"])
      expect([path, isAllowed(await ask(path, good))]).toEqual([path, true]);
    expect(statusOf(await ask("/admin", bearer(mint(key, { ...claims, role: "user" }))))).toBe(403);
    expect(statusOf(await ask("/mine"))).toBe(403);
    expect(log.at(-2)).toMatchObject({ input: { cardea: { identity: { subject: "user-1" } } } });
    const bad = await ask("/public", bearer(mint(makeKey("a"), claims)));
    expect([bad.status.code, statusOf(bad), bad.deniedResponse?.body]).toEqual([16, 401, "Jwt verification fails"]);
    expect(headersOf(bad)["www-authenticate"]).toMatch(/^Bearer error="invalid_token"/);
    expect(log.at(-1)).toMatchObject({
      result: { allowed: false },
      cardea: { layer: "identity", refusal: { code: "invalid_signature" } },
    });
    expect(statusOf(await ask("/public", bearer(mint(key, { ...claims, exp: 1 }))))).toBe(401);
    expect(await metrics()).toContain('cardea_rulings_total{layer="identity",verdict="deny",policy="",rule=""} 2');
  });

  describe("that are not good, where they are reported", () => {
    const report = { identity: { bad_tokens: "report" } };
    const expired = bearer(mint(key, { ...claims, exp: 1 }));
    const removed = (reply: ReplyDocument): unknown => reply.okResponse?.["headersToRemove"];

    test("policies see why, and no claim", async () => {
      const rego = `package envoy.authz

default allow := false

allow if {
	input.cardea == {"tokenError": {"code": "token_expired", "status": 401, "description": "The token has expired"}}
	input.parsed_path == ["renew"]
}`;
      const { ask, log } = await serve({ "t.yaml": authentication(), "p.rego": rego }, report);
      const renewing = await ask("/renew", expired);
      expect(isAllowed(renewing)).toBe(true);
      // Whoever is behind must not take it for a verified one, nor what the client says of its role.
      expect(removed(renewing)).toEqual(["x-role", "authorization"]);
      expect(log.at(-1)).toMatchObject({ input: { cardea: { tokenError: { code: "token_expired" } } } });
      const inQuery = await ask(`/renew?a=b&access_token=${mint(key, { ...claims, exp: 1 })}`);
      expect([isAllowed(inQuery), inQuery.okResponse?.["queryParametersToRemove"]]).toEqual([true, ["access_token"]]);
      expect(isAllowed(await ask("/other", expired))).toBe(false);
      expect(isAllowed(await ask("/renew", bearer(mint(makeKey("a"), claims))))).toBe(false);
      expect(isAllowed(await ask("/renew"))).toBe(false);
    });

    test("policy documents decide as on a request without a token, and what they deny is refused as ever", async () => {
      const forwarding = authentication({ jwks: keySetOf(key), forwardOriginalToken: true });
      const { ask } = await serve({ "t.yaml": forwarding, "p.yaml": admins }, report);
      const open = await ask("/public", expired);
      expect([isAllowed(open), removed(open)]).toEqual([true, ["x-role", "authorization"]]);
      for (const path of ["/mine", "/admin"]) {
        const reply = await ask(path, expired);
        expect([path, statusOf(reply), reply.deniedResponse?.body]).toEqual([path, 401, "Jwt is expired"]);
        expect(headersOf(reply)["www-authenticate"]).toMatch(/^Bearer error="invalid_token"/);
      }
      const good = await ask("/mine", bearer(mint(key, claims)));
      expect([isAllowed(good), removed(good)]).toEqual([true, undefined]);
    });
  });

  test("travel in headers, parameters and cookies, and go no further than they are told to", async () => {
    const removed = (reply: ReplyDocument): readonly string[] =>
      (reply.okResponse?.["headersToRemove"] as readonly string[] | undefined) ?? [];
    const token = mint(key, claims);
    const files = (more: object) => ({ "t.yaml": authentication({ jwks: keySetOf(key), ...more }), "p.yaml": admins });
    const plain = await serve(files({}));
    expect(removed(await plain.ask("/mine", bearer(token)))).toContain("authorization");
    expect(isAllowed(await plain.ask(`/mine?access_token=${token}`))).toBe(true);
    const forwarding = await serve(files({ forwardOriginalToken: true }));
    expect(removed(await forwarding.ask("/mine", bearer(token)))).not.toContain("authorization");
    const cookies = await serve(files({ fromCookies: ["session"], fromHeaders: [{ name: "X-Token" }] }));
    const inCookie = { headers: { cookie: `theme=dark; session=${token}` } };
    expect(isAllowed(await cookies.ask("/mine", inCookie))).toBe(true);
    const inHeader = await cookies.ask("/mine", { headers: { "x-token": token } });
    expect([isAllowed(inHeader), removed(inHeader).includes("x-token")]).toEqual([true, true]);
    expect(isAllowed(await cookies.ask("/mine", bearer(token)))).toBe(false);
  });

  test("that only their issuer can read are asked about there (RFC 7662)", async () => {
    const asked: string[] = [];
    const http = createServer((request, response) => {
      let form = "";
      request.on("data", (chunk: Buffer) => {
        form += chunk.toString();
      });
      request.on("end", () => {
        asked.push(`${request.headers.authorization} ${form}`);
        const active = new URLSearchParams(form).get("token") === "opaque-1";
        response.end(JSON.stringify(active ? { active, ...claims } : { active: false }));
      });
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    closing.push(() => void http.close());
    const endpoint = `http://127.0.0.1:${(http.address() as AddressInfo).port}/introspect`;
    const introspection = [{ issuer: claims.iss, endpoint, client_id: "cardea", client_secret: "s3cret" }];
    const { ask } = await serve({ "p.yaml": admins }, { identity: { keys: { allow_http: true }, introspection } });
    for (let i = 0; i < 2; i++) expect(isAllowed(await ask("/admin", bearer("opaque-1")))).toBe(true);
    expect(asked).toEqual([`Basic ${Buffer.from("cardea:s3cret").toString("base64")} ${asked[0]?.split(" ")[2]}`]);
    expect(statusOf(await ask("/public", bearer("opaque-2")))).toBe(401);
    expect(statusOf(await ask("/admin"))).toBe(403);
  });

  test("headers that carry claims are the server's, not the client's", async () => {
    const { ask } = await serve({ "t.yaml": authentication(), "p.yaml": admins });
    const known = await ask("/public", bearer(mint(key, claims)));
    expect(headersOf(known)).toEqual({ "x-role": "admin" });
    const unknown = await ask("/public", { headers: { "x-role": "forged" } });
    expect(isAllowed(unknown)).toBe(true);
    expect(unknown.okResponse?.["headersToRemove"]).toContain("x-role");
  });

  test("a header that Rego sets is not removed again", async () => {
    const rego = 'package envoy.authz\n\nallow := {"allowed": true, "headers": {"X-Role": "guest"}}';
    const { ask } = await serve({ "t.yaml": authentication(), "policy.rego": rego });
    const reply = await ask("/public");
    expect(headersOf(reply)).toEqual({ "X-Role": "guest" });
    expect(reply.okResponse?.["headersToRemove"] ?? []).not.toContain("x-role");
  });

  test("Rego sees the identity beside the plugin's document", async () => {
    const rego = 'package envoy.authz\n\nallow if input.cardea.identity.claims.role == "admin"';
    const { ask } = await serve({ "t.yaml": authentication(), "policy.rego": rego });
    expect(isAllowed(await ask("/", bearer(mint(key, claims))))).toBe(true);
    expect(isAllowed(await ask("/"))).toBe(false);
  });

  test("claims that the proxy verified count only where it is trusted", async () => {
    const metadata = {
      "envoy.filters.http.jwt_authn": {
        fields: {
          payload: {
            structValue: {
              fields: {
                iss: { stringValue: "https://issuer.test" },
                sub: { stringValue: "u" },
                role: { stringValue: "admin" },
              },
            },
          },
        },
      },
    };
    const files = { "p.yaml": admins };
    const trusting = await serve(files, { identity: { trust_jwt_authn_metadata: true } });
    expect(isAllowed(await trusting.ask("/admin", { metadata }))).toBe(true);
    expect(isAllowed(await (await serve(files)).ask("/admin", { metadata }))).toBe(false);
  });

  describe("with keys of a remote issuer", () => {
    async function issuer(first: () => string) {
      let answer = first;
      const http = createServer((_request, response) => {
        const body = answer();
        if (body === "") return; // never answers
        response.setHeader("content-type", "application/json").end(body);
      });
      await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
      closing.push(() => {
        http.closeAllConnections();
        http.close();
      });
      return {
        uri: `http://127.0.0.1:${(http.address() as AddressInfo).port}/keys`,
        publish: (next: () => string) => {
          answer = next;
        },
      };
    }
    const quick = { identity: { keys: { allow_http: true, refresh_s: 1, cooldown_s: 1 } } };

    test("a rotated key is fetched once a token names it, a withdrawn one is refused (remote-006, remote-007)", async () => {
      const keys = await issuer(() => keySetOf(key));
      const { ask } = await serve({ "t.yaml": authentication({ jwksUri: keys.uri }), "p.yaml": admins }, quick);
      expect(isAllowed(await ask("/mine", bearer(mint(key, claims))))).toBe(true);
      const next = makeKey("b");
      keys.publish(() => keySetOf(next));
      await until(async () => isAllowed(await ask("/mine", bearer(mint(next, claims)))));
      await until(async () => statusOf(await ask("/mine", bearer(mint(key, claims)))) === 401);
    });

    test("an issuer that hangs does not matter while its keys are known (remote-004), nor one that sends rubbish (remote-005)", async () => {
      const keys = await issuer(() => keySetOf(key));
      const { ask } = await serve({ "t.yaml": authentication({ jwksUri: keys.uri }), "p.yaml": admins }, quick);
      expect(isAllowed(await ask("/mine", bearer(mint(key, claims))))).toBe(true);
      let asked = 0;
      for (const rubbish of ["", `{"keys":[${"0,".repeat(200_000)}0]}`]) {
        const before = asked;
        keys.publish(() => {
          asked++;
          return rubbish;
        });
        await until(async () => isAllowed(await ask("/mine", bearer(mint(key, claims)))) && asked > before);
        expect(isAllowed(await ask("/mine", bearer(mint(key, claims))))).toBe(true);
      }
    });

    // Keys of one type are ambiguous; of keys of two types, the token's algorithm fits one (RFC 7517 §4.5).
    test("two keys under one id (remote-008): refused where both could have signed", async () => {
      const keys = await issuer(() => keySetOf(key, makeKey("a")));
      const { ask } = await serve({ "t.yaml": authentication({ jwksUri: keys.uri }), "p.yaml": admins }, quick);
      const token = bearer(mint(key, claims));
      for (let i = 0; i < 2; i++) expect(statusOf(await ask("/mine", token))).toBe(401);
      keys.publish(() => keySetOf(key, makeKey("a", "RS256")));
      await until(async () => isAllowed(await ask("/mine", token)));
      expect(statusOf(await ask("/mine", bearer(mint(makeKey("a", "RS256"), claims))))).toBe(401);
    });

    test("without any keys a token is refused, and a request without one is not", async () => {
      const files = { "t.yaml": authentication({ jwksUri: "http://127.0.0.1:9/keys" }), "p.yaml": admins };
      const { ask } = await serve(files, quick);
      expect(statusOf(await ask("/public", bearer(mint(key, claims))))).toBe(401);
      expect(isAllowed(await ask("/public"))).toBe(true);
    });

    test("status, health and metrics tell of an issuer that is away, and of one that is back", async () => {
      const keys = await issuer(() => "<html></html>");
      const { ask, metrics, addresses } = await serve(
        { "t.yaml": authentication({ jwksUri: `${keys.uri}?secret` }), "p.yaml": admins },
        quick,
      );
      const status = async () => {
        const reply = await fetch(`http://${addresses.api[0]}/v1/status`);
        return ((await reply.json()) as { result: { cardea: { token_keys: readonly object[] } } }).result.cardea
          .token_keys;
      };
      const healthOf = async (query: string) =>
        (await fetch(`http://${addresses.diagnostic[0]}/health?${query}`)).status;
      const known = async (state: string) => JSON.stringify(await status()).includes(`"state":"${state}"`);
      await until(() => known("unavailable"));
      expect(await status()).toMatchObject([
        { source: keys.uri, keys: 0, problem: expect.stringContaining("not acceptable JSON") },
      ]);
      expect([await healthOf("keys"), await healthOf("plugins")]).toEqual([500, 200]);
      expect(await metrics()).toContain(`cardea_token_keys{source="${keys.uri}"} 0`);
      keys.publish(() => keySetOf(key));
      await until(() => known("ok"));
      expect(await healthOf("keys")).toBe(200);
      keys.publish(() => "{}");
      await until(() => known("failing"));
      expect(await healthOf("keys")).toBe(500);
      expect(isAllowed(await ask("/mine", bearer(mint(key, claims))))).toBe(true);
      const text = await metrics();
      expect(text).toContain(`cardea_token_keys{source="${keys.uri}"} 1`);
      expect(text).toMatch(/cardea_token_keys_age_seconds\{source="[^"]*"\} \d/);
      expect(text).toMatch(/cardea_token_key_fetches_total\{source="[^"]*",result="failed"\} \d/);
    });
  });
});

describe("schedules and rate limits", () => {
  const hours = own("Schedule", "hours", {
    timeZone: "Europe/Berlin",
    windows: [{ days: ["Mon", "Tue", "Wed", "Thu", "Fri"], from: "08:00", to: "22:00" }],
  });
  const limit = (name: string, more: object = {}) =>
    own("RateLimit", name, { key: ["source.principal"], limit: 2, per: "1h", ...more });
  const when = (key: string, ...values: string[]) => ({ rules: [{ when: [{ key, values }] }] });
  const OPEN = Date.UTC(2026, 5, 17, 10) / 1000;
  const CLOSED = Date.UTC(2026, 5, 20, 10) / 1000;

  test("by the request's own time, in both layers", async () => {
    const files = { "h.yaml": hours, "p.yaml": policy("p", when("cardea.schedule", "hours")) };
    const rego = { "h.yaml": hours, "p.rego": 'package envoy.authz\n\nallow if cardea.schedule.open("hours")' };
    for (const loaded of [files, rego]) {
      const { ask } = await serve(loaded, { time_source: "request" });
      expect(isAllowed(await ask("/", { time: OPEN }))).toBe(true);
      expect(isAllowed(await ask("/", { time: CLOSED }))).toBe(false);
    }
  });

  const allow = (...rules: readonly object[]) => policy("p", { rules });
  const inHours = { when: [{ key: "cardea.schedule", values: ["hours"] }] };
  const rego = (text: string) => `package envoy.authz\n\ndefault allow := false\n\n${text}`;
  // 2026-06-22, a Monday, 08:00 in Berlin: 44 hours later.
  const MONDAY = { after: "158400", at: "opens at 2026-06-22T06:00:00Z" };

  test.for<{ what: string; files: Record<string, string>; after?: string; body?: string }>([
    {
      what: "an ALLOW in hours",
      files: { "p.yaml": allow(inHours) },
      after: MONDAY.after,
      body: `RBAC: access denied: ${MONDAY.at}`,
    },
    {
      what: "a DENY out of hours",
      files: {
        "p.yaml": policy("p", {
          action: "DENY",
          rules: [{ when: [{ key: "cardea.schedule", notValues: ["hours"] }] }],
        }),
        "q.yaml": policy("q", { rules: [{}] }),
      },
      after: MONDAY.after,
      body: `RBAC: access denied: ${MONDAY.at}`,
    },
    {
      what: "Rego",
      files: { "p.rego": rego('allow if cardea.schedule.open("hours")') },
      after: MONDAY.after,
      body: `access denied: ${MONDAY.at}`,
    },
    {
      what: "an answer of Rego's own, which keeps its body",
      files: {
        "p.rego": rego('allow := {"allowed": cardea.schedule.open("hours"), "body": "come back", "http_status": 403}'),
      },
      after: MONDAY.after,
      body: "come back",
    },
    {
      what: "a Retry-After of Rego's own, which stays",
      files: { "p.rego": rego('allow := {"allowed": cardea.schedule.open("hours"), "headers": {"retry-after": "7"}}') },
      after: "7",
    },
    {
      what: "both layers, where Rego agrees",
      files: { "p.yaml": allow(inHours), "p.rego": rego('allow if input.attributes.request.http.method == "GET"') },
      after: MONDAY.after,
    },
    { what: "both layers, where Rego never agrees", files: { "p.yaml": allow(inHours), "p.rego": rego("") } },
    {
      what: "a rule that lacks something else as well",
      files: { "p.yaml": allow({ ...inHours, ...to("/elsewhere") }) },
    },
    { what: "no schedule that is asked", files: { "p.yaml": allow(to("/elsewhere")) } },
    {
      what: "what takes long to find out: the denial does not wait for it",
      files: {
        "p.rego": rego(
          'allow if {\n\tcardea.schedule.open("hours")\n\tcount([1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 1000); a * b == 0]) == 0\n}',
        ),
      },
    },
    {
      what: "schedules that open earlier, asked in another namespace",
      files: {
        ...Object.fromEntries(
          [1, 2, 3].map((hour) => [
            `s${hour}.yaml`,
            own("Schedule", `early-${hour}`, {
              timeZone: "UTC",
              windows: [{ days: ["Sun"], from: `0${hour}:00`, to: "09:00" }],
            }),
          ]),
        ),
        "q.yaml": policy("q", when("cardea.schedule", "early-1", "early-2", "early-3")).replace("prod", "batch"),
        "p.yaml": allow(inHours),
      },
      after: MONDAY.after,
    },
    {
      what: "a schedule that opens earlier and changes nothing",
      files: {
        "s.yaml": own("Schedule", "sunday", {
          timeZone: "UTC",
          windows: [{ days: ["Sun"], from: "00:00", to: "01:00" }],
        }),
        "p.yaml": allow(inHours, { ...to("/elsewhere"), when: [{ key: "cardea.schedule", values: ["sunday"] }] }),
      },
      after: MONDAY.after,
    },
  ])("closed, $what: when to come back is said where that is all it lacks", async ({ files, after, body }) => {
    const { ask } = await serve({ "h.yaml": hours, ...files }, { time_source: "request" });
    const response = await ask("/", { time: CLOSED });
    expect(isAllowed(response)).toBe(false);
    expect(headersOf(response)["Retry-After"] ?? headersOf(response)["retry-after"]).toBe(after);
    if (body !== undefined) expect(response.deniedResponse?.body).toBe(body);
  });

  test("looking ahead counts against no limit", async () => {
    const both = { when: [...inHours.when, { key: "cardea.rateLimit", values: ["few"] }] };
    const { ask } = await serve(
      { "h.yaml": hours, "l.yaml": limit("few"), "p.yaml": allow(both) },
      { time_source: "request" },
    );
    for (let i = 0; i < 3; i++)
      expect(headersOf(await ask("/", { time: CLOSED }))).toMatchObject({ "Retry-After": MONDAY.after });
    const open = [await ask("/", { time: OPEN }), await ask("/", { time: OPEN }), await ask("/", { time: OPEN })];
    expect(open.map(isAllowed)).toEqual([true, true, false]);
  });

  test.for([
    { by: "an ALLOW", files: { "l.yaml": limit("few"), "p.yaml": policy("p", when("cardea.rateLimit", "few")) } },
    {
      by: "a DENY",
      files: {
        "l.yaml": limit("few"),
        "p.yaml": policy("p", { action: "DENY", rules: [{ when: [{ key: "cardea.rateLimit", notValues: ["few"] }] }] }),
      },
    },
    {
      by: "Rego",
      files: {
        "l.yaml": limit("few"),
        "p.rego": `package envoy.authz

default allow := false

allow if cardea.ratelimit.allow("few", input.attributes.source.principal)`,
      },
    },
  ])("over the limit of $by: 429, and when to come back", async ({ files }) => {
    const { ask } = await serve(files);
    expect([isAllowed(await ask("/")), isAllowed(await ask("/"))]).toEqual([true, true]);
    const over = await ask("/");
    expect(statusOf(over)).toBe(429);
    expect(headersOf(over)).toMatchObject({
      "Retry-After": expect.stringMatching(/^\d+$/),
      "RateLimit-Limit": "2",
      "RateLimit-Remaining": "0",
    });
    expect(isAllowed(await ask("/", { principal: "spiffe://cluster.local/ns/prod/sa/other" }))).toBe(true);
  });

  test("both layers together count a request once", async () => {
    const rego = `package envoy.authz

default allow := false

allow if cardea.ratelimit.allow("few", json.marshal([input.attributes.source.principal]))`;
    const p = policy("p", when("cardea.rateLimit", "few"));
    const { ask } = await serve({ "l.yaml": limit("few"), "p.yaml": p, "p.rego": rego });
    expect([isAllowed(await ask("/")), isAllowed(await ask("/")), isAllowed(await ask("/"))]).toEqual([
      true,
      true,
      false,
    ]);
  });

  // remote-011: the counters' store is away.
  test("counters that cannot be reached: as declared, and counted", async () => {
    const { ask, metrics } = await serve(
      {
        "l.yaml": [limit("strict"), limit("lenient", { onStoreFailure: "allow" })].join("\n---\n"),
        "p.yaml": policy("p", {
          rules: [
            { ...to("/strict"), when: [{ key: "cardea.rateLimit", values: ["strict"] }] },
            { ...to("/lenient"), when: [{ key: "cardea.rateLimit", values: ["lenient"] }] },
          ],
        }),
      },
      { rate_limits: { store: "redis", url: "redis://127.0.0.1:1" } },
    );
    expect(statusOf(await ask("/strict"))).toBe(429);
    expect(isAllowed(await ask("/lenient"))).toBe(true);
    expect(await metrics()).toContain('cardea_rate_limit_failures_total{limit="strict"} 1');
  });
});

// attacks.json remote-013: as if the store were down, whatever it answers in place of a count.
test.for([
  "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
  "-READONLY You can't write against a read only replica.\r\n",
  "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
  "+OK\r\n",
  ":1\r\n",
  "$-1\r\n",
  "*4\r\n:1\r\n$1\r\nx\r\n:0\r\n:0\r\n",
  "*4\r\n:1\r\n:1",
  "!garbage\r\n",
])("a store that answers %j counts nothing: as declared", async (answer) => {
  const store = createTcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      // What a client asks when it connects.
      if (/info/i.test(data.toString())) socket.write("$22\r\nredis_version:7.0.0\r\n\r\n\r\n");
      else if (/evalsha|eval|script/i.test(data.toString())) {
        socket.write(answer);
        if (!answer.endsWith("\n")) socket.end();
      } else socket.write("+OK\r\n");
    });
  });
  await new Promise<void>((resolve) => store.listen(0, "127.0.0.1", resolve));
  closing.push(() => void store.close());
  const limits = ["deny", "allow"].map((onStoreFailure) =>
    own("RateLimit", onStoreFailure, { key: ["source.principal"], limit: 2, per: "1h", onStoreFailure }),
  );
  const rule = (name: string) => ({ ...to(`/${name}`), when: [{ key: "cardea.rateLimit", values: [name] }] });
  const { ask, metrics } = await serve(
    { "l.yaml": limits.join("\n---\n"), "p.yaml": policy("p", { rules: [rule("deny"), rule("allow")] }) },
    { rate_limits: { store: "redis", url: `redis://127.0.0.1:${(store.address() as AddressInfo).port}` } },
  );
  for (let i = 0; i < 3; i++) {
    expect(isAllowed(await ask("/deny"))).toBe(false);
    expect(isAllowed(await ask("/allow"))).toBe(true);
  }
  expect(await metrics()).toContain('cardea_rate_limit_failures_total{limit="deny"} 3');
});

test("dry-run lets requests through that documents deny, and still protects claim headers", async () => {
  const tokens = policy(
    "tokens",
    { jwtRules: [{ issuer: "i", jwks: keySetOf(makeKey("a")), outputPayloadToHeader: "x-claims" }] },
    "RequestAuthentication",
  );
  const files = { "t.yaml": tokens, "read.yaml": READ };
  const { ask, log } = await serve(
    files,
    {},
    { plugins: { envoy_ext_authz_grpc: { addr: "127.0.0.1:0", "dry-run": true } } },
  );
  const reply = await ask("/write", { headers: { "x-claims": "forged" } });
  expect(isAllowed(reply)).toBe(true);
  expect(reply.okResponse?.["headersToRemove"]).toEqual(["x-claims"]);
  expect(log.at(-1)).toMatchObject({ result: { allowed: false } });
});
