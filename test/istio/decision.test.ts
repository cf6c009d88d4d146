import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileIstio, DECISION_PATH, DEFAULT_MESH, type MeshSettings } from "../../src/istio/index.ts";
import { compile } from "../../src/rego/engine/index.ts";
import type { JsonObject, Value } from "../../src/rego/value/index.ts";
import { countingLimiter, istioDecider, type TestRequest, toTestInput } from "../support/istio-request.ts";

function policy(name: string, spec: string, namespace = "prod", annotations = ""): string {
  return `---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\n${annotations}spec: ${spec}\n`;
}

function peer(name: string, spec: string, namespace = "prod"): string {
  return `---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n`;
}

describe("the decision names", () => {
  test("the rule that allowed, with its place in the file", () => {
    const decide = istioDecider(
      policy(
        "a",
        "\n  rules:\n  - to:\n    - operation: {methods: [POST]}\n  - to:\n    - operation: {methods: [GET]}",
      ),
    );
    expect(decide({})).toEqual({
      allowed: true,
      reason: "allow",
      by: { kind: "AuthorizationPolicy", policy: "prod/a", action: "ALLOW", rule: 1, file: "p.yaml", line: 11 },
      audit: [],
      dry_run: [],
      dry_run_allowed: true,
    });
  });

  test("the first of several rules that denied", () => {
    const decide = istioDecider(
      policy("b", "{action: DENY, rules: [{}]}") + policy("a", "{action: DENY, rules: [{}]}"),
    );
    expect(decide({})).toMatchObject({ allowed: false, reason: "deny", by: { policy: "prod/b", rule: 0 } });
  });

  test("nothing, where nothing is for the workload", () => {
    expect(istioDecider("")({})).toMatchObject({ allowed: true, reason: "no_policy" });
    expect(istioDecider(policy("a", "{}"))({})).toMatchObject({ allowed: false, reason: "default_deny" });
  });

  test("what AUDIT and dry-run policies saw", () => {
    const dryRun = '  annotations: {istio.io/dry-run: "true"}\n';
    const decide = istioDecider(
      policy("seen", "{action: AUDIT, rules: [{}]}") +
        policy("would-deny", "{action: DENY, rules: [{to: [{operation: {paths: [/x]}}]}]}", "prod", dryRun) +
        policy("would-allow", "{rules: [{to: [{operation: {paths: [/y]}}]}]}", "prod", dryRun),
    );
    expect(decide({ path: "/x" })).toMatchObject({
      allowed: true,
      audit: [{ policy: "prod/seen" }],
      dry_run: [{ policy: "prod/would-deny" }],
      dry_run_allowed: false,
    });
    expect(decide({ path: "/y" })).toMatchObject({
      allowed: true,
      dry_run: [{ policy: "prod/would-allow" }],
      dry_run_allowed: true,
    });
    expect(decide({ path: "/z" })).toMatchObject({ allowed: true, dry_run: [], dry_run_allowed: false });
  });
});

test("without its tables the evaluator allows nothing", () => {
  const { modules } = compileIstio({ files: [] });
  const decision = compile({ modules })
    .entrypoint(DECISION_PATH)
    .value({ input: toTestInput({}) as Value });
  expect(decision).toMatchObject({ allowed: false });
});

describe("which policies apply", () => {
  const everywhere =
    policy("deny-prod", "{action: DENY, rules: [{to: [{operation: {paths: [/x]}}]}]}") +
    policy("allow-prod", "{rules: [{}]}");

  test("by the destination's identity, whatever the host says", () => {
    const decide = istioDecider(everywhere);
    expect(decide({ destination: "spiffe://cluster.local/ns/dev/sa/api" })).toMatchObject({ reason: "no_policy" });
    expect(decide({ host: "api.dev.svc.cluster.local" })).toMatchObject({ reason: "allow" });
  });

  test("by the host, where the destination has no identity", () => {
    const decide = istioDecider(everywhere);
    expect(decide({ destination: "", host: "api.prod.svc.cluster.local:8080" })).toMatchObject({ reason: "allow" });
    expect(decide({ destination: "", host: "API.Prod.svc" })).toMatchObject({ reason: "allow" });
    expect(decide({ destination: "", host: "api.dev.svc.cluster.local" })).toMatchObject({ reason: "no_policy" });
  });

  test("by configuration, where one workload is meant", () => {
    const decide = istioDecider(everywhere, { defaultWorkload: { namespace: "prod", labels: {} } });
    expect(decide({ destination: "", host: "shop.example.com" })).toMatchObject({ reason: "allow" });
  });

  test("to an unknown destination: DENY does, ALLOW does not", () => {
    const decide = istioDecider(everywhere);
    expect(decide({ destination: "", host: "shop.example.com", path: "/x" })).toMatchObject({
      allowed: false,
      reason: "deny",
      by: { policy: "prod/deny-prod" },
    });
    expect(decide({ destination: "", host: "shop.example.com", path: "/y" })).toMatchObject({
      allowed: false,
      reason: "default_deny",
    });
  });

  test("to an unknown destination: the root namespace's do", () => {
    const decide = istioDecider(policy("root", "{rules: [{}]}", "istio-system") + everywhere);
    expect(decide({ destination: "", host: "shop.example.com", path: "/y" })).toMatchObject({
      reason: "allow",
      by: { policy: "istio-system/root" },
    });
  });

  test("with a selector, where labels are unknown: DENY does, ALLOW does not", () => {
    const selector = "selector: {matchLabels: {app: api, tier: back}}";
    const decide = istioDecider(
      policy("d", `{${selector}, action: DENY, rules: [{to: [{operation: {paths: [/x]}}]}]}`) +
        policy("a", `{${selector}, rules: [{}]}`) +
        policy("none", "{}"),
    );
    expect(decide({ path: "/x" })).toMatchObject({ reason: "deny" });
    expect(decide({ path: "/y" })).toMatchObject({ reason: "default_deny" });
    expect(decide({ path: "/x", labels: { app: "api", tier: "front" } })).toMatchObject({ reason: "default_deny" });
    expect(decide({ path: "/y", labels: { app: "api", tier: "back", extra: "e" } })).toMatchObject({ reason: "allow" });
  });

  test("with a selector, where the workload's labels are configured", () => {
    const workloads = [{ namespace: "prod", serviceAccount: "api", labels: { app: "api" }, waypoint: false }];
    const decide = istioDecider(
      policy("a", "{selector: {matchLabels: {app: api}}, rules: [{to: [{operation: {paths: [/y]}}]}]}"),
      { workloads },
    );
    expect(decide({ path: "/y" })).toMatchObject({ reason: "allow" });
    expect(decide({ path: "/z" })).toMatchObject({ reason: "default_deny" });
    expect(decide({ path: "/z", destination: "spiffe://cluster.local/ns/prod/sa/other" })).toMatchObject({
      reason: "no_policy",
    });
  });

  test("to waypoints: those with a target, by gateway, service and class", () => {
    const workloads = [
      {
        namespace: "prod",
        serviceAccount: "wp",
        labels: { "gateway.networking.k8s.io/gateway-name": "wp" },
        waypoint: true,
      },
    ];
    const target = (kind: string, group: string, name: string) =>
      `{action: DENY, targetRefs: [{kind: ${kind}, group: "${group}", name: ${name}}], rules: [{to: [{operation: {paths: [/${kind}]}}]}]}`;
    const decide = istioDecider(
      policy("plain", "{action: DENY, rules: [{}]}") +
        policy("gateway", target("Gateway", "gateway.networking.k8s.io", "wp")) +
        policy("service", target("Service", "", "reviews"), "shop") +
        policy("class", target("GatewayClass", "gateway.networking.k8s.io", "istio-waypoint"), "istio-system"),
      { workloads },
    );
    const at = (path: string, host = "reviews.shop.svc.cluster.local") =>
      decide({ path, host, destination: "spiffe://cluster.local/ns/prod/sa/wp" })?.reason;
    expect(["/Gateway", "/Service", "/GatewayClass", "/other"].map((path) => at(path))).toEqual([
      "deny",
      "deny",
      "deny",
      "no_policy",
    ]);
    expect(at("/Service", "ratings.shop.svc.cluster.local")).toBe("no_policy");
  });
});

describe("PeerAuthentication", () => {
  const plaintext: TestRequest = { principal: "" };
  test("STRICT for the mesh refuses plaintext, PERMISSIVE for a namespace lets it in", () => {
    const decide = istioDecider(
      peer("default", "{mtls: {mode: STRICT}}", "istio-system") + peer("default", "{mtls: {mode: PERMISSIVE}}", "dev"),
    );
    expect(decide(plaintext)).toMatchObject({
      allowed: false,
      reason: "mtls_required",
      by: { kind: "PeerAuthentication", policy: "istio-system/default" },
    });
    expect(decide({})).toMatchObject({ allowed: true });
    expect(decide({ ...plaintext, destination: "spiffe://cluster.local/ns/dev/sa/api" })).toMatchObject({
      allowed: true,
    });
  });

  test("for a workload overrides the namespace's, port by port", () => {
    const text =
      peer("default", "{mtls: {mode: STRICT}}") +
      peer(
        "api",
        "{selector: {matchLabels: {app: api}}, mtls: {mode: UNSET}, portLevelMtls: {9090: {mode: PERMISSIVE}, 15021: {mode: DISABLE}, 7000: {mode: UNSET}}}",
      );
    const decide = istioDecider(text);
    const reason = (port: number, app: string) => decide({ ...plaintext, port, labels: { app } })?.reason;
    expect([8080, 9090, 15021, 7000].map((port) => reason(port, "api"))).toEqual([
      "mtls_required",
      "no_policy",
      "no_policy",
      "mtls_required",
    ]);
    expect(reason(9090, "other")).toBe("mtls_required");
  });

  test("does not concern gateways, waypoints and unknown destinations", () => {
    const decide = istioDecider(peer("default", "{mtls: {mode: STRICT}}", "istio-system"));
    expect(decide({ ...plaintext, labels: { "gateway.networking.k8s.io/gateway-name": "gw" } })).toMatchObject({
      allowed: true,
    });
    expect(decide({ ...plaintext, labels: { istio: "ingressgateway" } })).toMatchObject({ allowed: true });
    expect(decide({ ...plaintext, destination: "", host: "shop.example.com" })).toMatchObject({ allowed: true });
  });
});

describe("Schedule", () => {
  const schedule = `---
apiVersion: cardea.dev/v1alpha1
kind: Schedule
metadata: {name: hours}
spec:
  timeZone: Europe/Berlin
  windows:
  - {days: [Mon, Tue, Wed, Thu, Fri], from: "08:00", to: "18:00"}
  - {days: [Sat], from: "22:00", to: "02:00"}
  exceptions:
  - {date: 2026-12-25, closed: true}
  - {date: 2026-12-24, from: "08:00", to: "12:00"}
  - {date: 2026-06-21, closed: true}
`;
  const decide = istioDecider(schedule + policy("a", "{rules: [{when: [{key: cardea.schedule, values: [hours]}]}]}"));
  test.for([
    { now: "2026-06-17T06:00:00Z", open: true, why: "Wednesday 08:00 in summer" },
    { now: "2026-06-17T05:59:59Z", open: false, why: "a second before" },
    { now: "2026-06-17T15:59:59Z", open: true, why: "the last second" },
    { now: "2026-06-17T16:00:00Z", open: false, why: "the end is not within" },
    { now: "2026-01-14T06:30:00Z", open: false, why: "07:30 in winter" },
    { now: "2026-01-14T07:30:00Z", open: true, why: "08:30 in winter" },
    { now: "2026-06-13T21:00:00Z", open: true, why: "Saturday 23:00" },
    { now: "2026-06-13T23:30:00Z", open: true, why: "Sunday 01:30, of Saturday's window" },
    { now: "2026-06-14T00:00:00Z", open: false, why: "Sunday 02:00" },
    { now: "2026-06-14T21:00:00Z", open: false, why: "Sunday 23:00" },
    { now: "2026-06-20T23:30:00Z", open: false, why: "Sunday 01:30, but that date is closed" },
    { now: "2026-12-25T09:00:00Z", open: false, why: "Christmas, a Friday" },
    { now: "2026-12-24T10:00:00Z", open: true, why: "Christmas Eve, own hours" },
    { now: "2026-12-24T14:00:00Z", open: false, why: "after them" },
  ])("$now: $why", ({ now, open }) => {
    expect(decide({}, now)?.allowed).toBe(open);
  });
});

describe("RateLimit", () => {
  const limit = (key: string) =>
    `---\napiVersion: cardea.dev/v1alpha1\nkind: RateLimit\nmetadata: {name: per-client}\nspec: {key: [${key}], limit: 2, per: 1m}\n`;

  test("counts by the attributes it names, and only where all else holds", () => {
    const limiter = countingLimiter(2);
    const text =
      limit("source.principal, remote.ip, 'request.headers[x-tenant]', 'request.auth.claims[sub]'") +
      policy(
        "a",
        "{rules: [{to: [{operation: {paths: [/x]}}], when: [{key: cardea.rateLimit, values: [per-client]}]}]}",
      );
    const decide = istioDecider(text, {}, limiter);
    const request: TestRequest = { path: "/x", headers: { "x-tenant": "t", "x-forwarded-for": "10.9.9.9" } };
    expect(decide({ ...request, path: "/other" })).toMatchObject({ allowed: false });
    expect(limiter.keys).toEqual([]);
    expect([decide(request), decide(request), decide(request)].map((decision) => decision?.allowed)).toEqual([
      true,
      true,
      false,
    ]);
    expect(limiter.keys[0]).toBe('per-client ["spiffe://cluster.local/ns/prod/sa/web","10.9.9.9","t",""]');
    expect(decide({ ...request, claims: { iss: "i", sub: "alice" } })).toMatchObject({ allowed: true });
  });

  test("denies what is over it, by notValues", () => {
    const decide = istioDecider(
      limit("source.ip") +
        policy("d", "{action: DENY, rules: [{when: [{key: cardea.rateLimit, notValues: [per-client]}]}]}"),
      {},
      countingLimiter(2),
    );
    expect(
      [decide({}), decide({}), decide({}), decide({ sourceIp: "10.0.0.9" })].map((decision) => decision?.allowed),
    ).toEqual([true, true, false, true]);
  });
});

describe("hardening beyond Istio's literal reading", () => {
  const allowAll = policy("all", "{rules: [{}]}");
  const deny = (to: string) => policy("d", `{action: DENY, rules: [${to}]}`) + allowAll;

  test.for([
    { host: "secret.example.com", denied: [true, true] },
    { host: "SECRET.Example.COM", denied: [true, true] },
    { host: "secret.example.com:8443", denied: [false, true] },
    { host: "secret.example.com.:443", denied: [false, true] },
    { host: "o\u212A.example.com", denied: [false, false] },
  ])("normalizeHosts: $host", ({ host, denied }) => {
    const text = deny("{to: [{operation: {hosts: [secret.example.com, ok.example.com]}}]}");
    expect(
      [false, true].map((normalizeHosts) => istioDecider(text, { normalizeHosts })({ host })?.allowed === false),
    ).toEqual(denied);
  });

  test.for<[string, Partial<MeshSettings>, TestRequest]>([
    ["hosts: ['secret.example.com:8443']", { normalizeHosts: true }, { host: "Secret.example.com:8443" }],
    ["hosts: ['*:8443']", { normalizeHosts: true }, { host: "secret.example.com:8443" }],
    ["hosts: ['secret.example.com:*']", { normalizeHosts: true }, { host: "secret.example.com:8443" }],
    ["hosts: [secret.example.com.]", { normalizeHosts: true }, { host: "secret.example.com." }],
    ["paths: ['/a%2Fb']", { pathNormalization: "DECODE_AND_MERGE_SLASHES" }, { path: "/a%2Fb" }],
    ["paths: ['/%61/*']", { pathNormalization: "BASE" }, { path: "/%61/b?c" }],
    ["paths: ['//x']", { pathNormalization: "MERGE_SLASHES" }, { path: "//x" }],
    ["paths: ['/x/../y']", { pathNormalization: "BASE" }, { path: "/x/../y" }],
  ])("what no normalised request has is denied as it is written: %s", ([operation, mesh, request]) => {
    expect(istioDecider(deny(`{to: [{operation: {${operation}}}]}`), mesh)(request)?.allowed).toBe(false);
    const allow = policy("a", `{rules: [{to: [{operation: {${operation}}}]}]}`);
    expect(istioDecider(allow, mesh)(request)?.allowed).toBe(false);
  });

  test("dots among very many segments are denied, whatever the policies say", () => {
    const decide = istioDecider(allowAll, { pathNormalization: "BASE" });
    const [path, far] = [30, 10_000].map((n) => `${"/a".repeat(n)}${"/..".repeat(n)}/x`);
    expect(decide({ path: path as string })).toMatchObject({ allowed: true });
    expect(decide({ path: far as string })).toMatchObject({
      allowed: false,
      reason: "default_deny",
      dry_run_allowed: false,
    });
    expect(decide({ path: "/a".repeat(10_000) })).toMatchObject({ allowed: true });
  });

  test("dot segments go as RFC 3986 has it", () => {
    const segment = fc.constantFrom(".", "..", "a", "b", "");
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 12 }), (segments) => {
        const path = `/${segments.join("/")}`;
        const rule = `{to: [{operation: {paths: ['${withoutDots(path)}']}}]}`;
        expect(istioDecider(policy("a", `{rules: [${rule}]}`), { pathNormalization: "BASE" })({ path })?.allowed).toBe(
          true,
        );
      }),
      { numRuns: 200 },
    );
  });

  test("splitHeaders: a part of a joined line counts against the request, never for it", () => {
    const decide = (splitHeaders: boolean, text: string, value: string) =>
      istioDecider(text, { splitHeaders })({ headers: { "x-role": value } })?.allowed;
    const denyText = deny("{when: [{key: 'request.headers[x-role]', values: [admin]}]}");
    expect([false, true].map((split) => decide(split, denyText, "user, admin"))).toEqual([true, false]);
    const allowText = policy("a", "{rules: [{when: [{key: 'request.headers[x-role]', values: [admin]}]}]}");
    expect([false, true].map((split) => decide(split, allowText, "user, admin"))).toEqual([false, false]);
    const notText = policy("a", "{rules: [{when: [{key: 'request.headers[x-role]', notValues: [banned]}]}]}");
    expect([false, true].map((split) => decide(split, notText, "ok,banned"))).toEqual([true, false]);
  });

  test("strictSpiffe: the namespace is parsed, not searched", () => {
    const text = policy("a", "{rules: [{from: [{source: {namespaces: [prod]}}]}]}");
    const principal = "spiffe://cluster.local/ns/evil/sa/x/ns/prod/sa/y";
    expect([false, true].map((strictSpiffe) => istioDecider(text, { strictSpiffe })({ principal })?.allowed)).toEqual([
      true,
      false,
    ]);
    expect(istioDecider(text, { strictSpiffe: true })({})?.allowed).toBe(true);
  });

  test("wideTemplates: characters outside RFC 3986 do not slip past a DENY", () => {
    const text = deny("{to: [{operation: {paths: ['/private/{*}/admin']}}]}");
    const allowed = (path: string) =>
      [false, true].map((wideTemplates) => istioDecider(text, { wideTemplates })({ path })?.allowed);
    expect(allowed("/private/a|b/admin")).toEqual([true, false]);
    expect(allowed("/private/a*b/admin")).toEqual([false, false]); // Envoy 1.40
  });

  test.for([
    { path: "/admin;x=y/users", denied: true },
    { path: "/;v=1/admin/users", denied: true },
    { path: "/%61dmin/users", denied: true },
    { path: "/app/..%2fadmin", denied: true },
    { path: "/app/..\\admin", denied: true },
    { path: "///admin////users", denied: true },
    { path: "/./admin/./users", denied: true },
    { path: "/a/b/../../admin/x", denied: true },
    { path: "/../../admin/x", denied: true },
    { path: "/admin?", denied: true },
    { path: "/%2561dmin/users", denied: false },
    { path: "/admin/../x", denied: false },
    { path: "/administrator", denied: false },
  ])("pathNormalization DECODE_AND_MERGE_SLASHES: $path", ({ path, denied }) => {
    const text = deny("{to: [{operation: {paths: [/admin, /admin/*]}}]}");
    const decide = istioDecider(text, { pathNormalization: "DECODE_AND_MERGE_SLASHES", ignorePathParameters: true });
    expect(decide({ path })?.allowed).toBe(!denied);
  });

  test("an address that cannot be read does not slip past a DENY, nor through an ALLOW's exception", () => {
    const block = "{from: [{source: {ipBlocks: [203.0.113.0/24, '2001:db8::/32']}}]}";
    const notBlock = policy("a", "{rules: [{from: [{source: {notIpBlocks: [203.0.113.0/24]}}]}]}");
    const denied = (text: string, sourceIp: string) => istioDecider(text)({ sourceIp })?.allowed === false;
    expect(
      ["203.0.113.5", "::ffff:203.0.113.5", "::ffff:cb00:7105", "2001:db8::5%eth0", "not-an-ip"].filter(
        (ip) => !denied(deny(block), ip),
      ),
    ).toEqual([]);
    expect(denied(deny(block), "198.51.100.1")).toBe(false);
    expect([denied(notBlock, "not-an-ip"), denied(notBlock, "198.51.100.1")]).toEqual([true, false]);
  });
});

describe("filing rules by keys", () => {
  const unfile = (tables: JsonObject): JsonObject => {
    // The same tables with every rule asked for every request.
    const index = structuredClone(tables["index"]) as Record<
      string,
      Record<string, Record<string, Record<string, number[]>>>
    >;
    for (const byAction of Object.values(index)) {
      for (const byPlace of Object.values(byAction)) {
        for (const [place, byAnchor] of Object.entries(byPlace))
          byPlace[place] = { "*": [...new Set(Object.values(byAnchor).flat())] };
      }
    }
    return { ...tables, index: index as unknown as JsonObject };
  };
  const oneOf = <T>(...values: T[]) => fc.constantFrom(...values);
  const list = (...values: string[]) => fc.uniqueArray(oneOf(...values), { minLength: 1, maxLength: 3 });
  const principals = list(
    "cluster.local/ns/a/sa/x",
    "cluster.local/ns/b/sa/y",
    "*/sa/x",
    "cluster.local/ns/a/*",
    "*",
    "old-td/ns/a/sa/x",
  );
  const source = fc.record(
    {
      principals,
      namespaces: list("a", "b", "*", "a*"),
      notPrincipals: principals,
      requestPrincipals: list("i/s", "i/*", "*", "i/t"),
      ipBlocks: list("10.0.0.0/8"),
    },
    { requiredKeys: [] },
  );
  const accounts = fc.record({ serviceAccounts: list("a/x", "y", "b/x") });
  const operation = fc.record(
    {
      paths: list("/a", "/a/*", "/a/b/*", "*/b", "/{*}/b", "/a/{**}", "/*", "//x", "/a/b"),
      hosts: list("h", "H:80", "*.h", "g"),
      methods: list("GET"),
      notPaths: list("/a/b"),
    },
    { requiredKeys: [] },
  );
  const condition = fc.oneof(
    fc.record({
      key: oneOf(
        "request.headers[x-t]",
        "request.headers[Host]",
        "request.auth.claims[c]",
        "request.auth.claims[n][m]",
        "request.auth.audiences",
      ),
      values: list("v", "w", "v*", "h"),
    }),
    fc.record({ key: oneOf("request.headers[x-t]", "request.auth.claims[c]"), notValues: list("v", "w") }),
  );
  const filled = <T extends object>(arbitrary: fc.Arbitrary<T>) =>
    arbitrary.filter((value) => Object.keys(value).length > 0);
  const rule = fc.record(
    {
      from: fc.array(
        filled(fc.oneof(source, accounts)).map((value) => ({ source: value })),
        { minLength: 1, maxLength: 2 },
      ),
      to: fc.array(
        filled(operation).map((value) => ({ operation: value })),
        { minLength: 1, maxLength: 2 },
      ),
      when: fc.array(condition, { minLength: 1, maxLength: 2 }),
    },
    { requiredKeys: [] },
  );
  const spec = fc.record({
    action: oneOf("ALLOW", "DENY", "AUDIT"),
    rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
    selector: oneOf(undefined, { matchLabels: { app: "x" } }, { matchLabels: { app: "x", v: "1" } }),
  });
  const request: fc.Arbitrary<TestRequest> = fc.record({
    principal: oneOf(
      "",
      "spiffe://cluster.local/ns/a/sa/x",
      "spiffe://cluster.local/ns/b/sa/y",
      "spiffe://old-td/ns/a/sa/x",
      "spiffe://new-td/ns/a/sa/x",
      "spiffe://cluster.local/ns/prod/sa/y",
      "odd",
    ),
    path: oneOf("/a", "/a/", "/a/b", "/a/b/c", "/a?q", "//x", "/x/b", ""),
    host: oneOf("h", "H", "h:80", "x.h"),
    headers: oneOf({}, { "x-t": "v" }, { "x-t": "vw" }, { "x-t": "w" }),
    labels: oneOf<Readonly<Record<string, string>>>({}, { app: "x" }, { app: "x", v: "1" }),
    claims: oneOf<JsonObject>(
      {},
      { iss: "i", sub: "s", c: "v", aud: ["w", "v"] },
      { iss: "i", sub: "t", c: ["w"], n: { m: "v" } },
      { iss: "i/s", sub: "s" },
    ),
    tcp: fc.boolean(),
  });
  const evaluator = compile({ modules: compileIstio({ files: [] }).modules });

  test("never loses one that matches", () => {
    fc.assert(
      fc.property(
        fc.array(spec, { minLength: 1, maxLength: 8 }),
        fc.array(request, { minLength: 4, maxLength: 4 }),
        (specs, requests) => {
          const files = specs.map((policySpec, i) => ({
            file: `p${i}.yaml`,
            text: JSON.stringify({
              apiVersion: "security.istio.io/v1",
              kind: "AuthorizationPolicy",
              metadata: { name: `p${i}`, namespace: i % 3 === 0 ? "istio-system" : "prod" },
              spec: policySpec,
            }),
          }));
          const { tables } = compileIstio({
            files,
            mesh: { ...DEFAULT_MESH, trustDomain: "new-td", trustDomainAliases: ["old-td"] },
          });
          const [filed, unfiled] = [tables, unfile(tables)].map((data) =>
            evaluator.withData({ cardea: { tables: data } }).entrypoint(DECISION_PATH),
          );
          for (const one of requests) {
            const input = toTestInput(one) as Value;
            expect(filed?.value({ input })).toEqual(unfiled?.value({ input }));
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** RFC 3986, 5.2.4, as it is written there. */
function withoutDots(path: string): string {
  let input = path;
  let output = "";
  while (input !== "") {
    if (input.startsWith("/./") || input === "/.") input = `/${input.slice(3)}`;
    else if (input.startsWith("/../") || input === "/..") {
      input = `/${input.slice(4)}`;
      output = output.slice(0, Math.max(0, output.lastIndexOf("/")));
    } else {
      const [segment] = /^\/?[^/]*/.exec(input) as RegExpExecArray;
      output += segment;
      input = input.slice(segment.length);
    }
  }
  return output;
}
