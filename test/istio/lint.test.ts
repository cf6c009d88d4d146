import { describe, expect, test } from "vitest";
import { placeOf } from "../../src/base/index.ts";
import { ISTIO_LINTS, type IstioLintCode, lintPolicies, readPolicies } from "../../src/istio/index.ts";

function lint(text: string, knowsLabels = true): readonly string[] {
  const { documents, diagnostics } = readPolicies([{ file: "p.yaml", text }]);
  expect(diagnostics).toEqual([]);
  return lintPolicies(documents, { knowsLabels }).map(({ code, at, mend }) => `${placeOf(at)} ${code}: ${mend}`);
}

function policy(spec: string): string {
  return `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\nspec: ${spec}\n`;
}

interface Row {
  readonly code: IstioLintCode;
  readonly spec: string;
  readonly mend: string;
}

const FOUND: readonly Row[] = [
  {
    code: "quoted_name",
    spec: "{rules: [{when: [{key: 'request.headers[\"x-a\"]', values: [v]}]}]}",
    mend: "key: request.headers[x-a]",
  },
  {
    code: "quoted_name",
    spec: "{rules: [{when: [{key: \"request.auth.claims['r']\", values: [v]}]}]}",
    mend: "key: request.auth.claims[r]",
  },
  {
    code: "quoted_name",
    spec: "{rules: [{when: [{key: 'request.headers[ x-a ]', values: [v]}]}]}",
    mend: "key: request.headers[x-a]",
  },
  {
    code: "spiffe_prefix",
    spec: "{rules: [{from: [{source: {principals: ['spiffe://td/ns/a/sa/b']}}]}]}",
    mend: '"td/ns/a/sa/b"',
  },
  { code: "literal_star", spec: "{rules: [{to: [{operation: {paths: ['/a/*/b']}}]}]}", mend: '"/a/{*}/b"' },
  {
    code: "literal_star",
    spec: "{rules: [{to: [{operation: {hosts: ['a.*.com']}}]}]}",
    mend: "list the values, or use one * at an end",
  },
  { code: "missing_wildcard", spec: "{rules: [{to: [{operation: {paths: [/admin/]}}]}]}", mend: '"/admin/*"' },
  { code: "relative_path", spec: "{rules: [{to: [{operation: {paths: [admin]}}]}]}", mend: '"/admin"' },
  { code: "path_has_query", spec: "{rules: [{to: [{operation: {paths: ['/a?b=c']}}]}]}", mend: '"/a"' },
  {
    code: "template_gap",
    spec: "{action: DENY, rules: [{to: [{operation: {paths: ['/a/{*}'], ports: ['80']}}]}]}",
    mend: "use a prefix, or set cardea.mesh.wide_templates",
  },
  { code: "lower_case_method", spec: "{rules: [{to: [{operation: {methods: [get]}}]}]}", mend: '"GET"' },
  {
    code: "host_without_port",
    spec: "{action: DENY, rules: [{to: [{operation: {hosts: [a.com], ports: ['80']}}]}]}",
    mend: '"a.com", "a.com:*"',
  },
  {
    code: "host_without_port",
    spec: "{rules: [{to: [{operation: {notHosts: [a.com]}}]}]}",
    mend: '"a.com", "a.com:*"',
  },
  { code: "request_principal_form", spec: "{rules: [{from: [{source: {requestPrincipals: ['*/*']}}]}]}", mend: '"*"' },
  {
    code: "request_principal_form",
    spec: "{rules: [{from: [{source: {requestPrincipals: ['https://idp*']}}]}]}",
    mend: '"https://idp/*"',
  },
  {
    code: "request_principal_form",
    spec: "{rules: [{from: [{source: {requestPrincipals: [issuer]}}]}]}",
    mend: '"issuer/*"',
  },
  {
    code: "admits_anonymous",
    spec: "{rules: [{from: [{source: {notNamespaces: [dev]}}]}]}",
    mend: 'add principals: ["*"] to the source',
  },
  {
    code: "admits_anonymous",
    spec: "{rules: [{when: [{key: 'request.auth.claims[r]', notValues: [x]}]}]}",
    mend: 'add requestPrincipals: ["*"] to the source',
  },
  {
    code: "claim_not_text",
    spec: "{rules: [{when: [{key: 'request.auth.claims[ok]', values: ['true']}]}]}",
    mend: "have the issuer write the claim as a string",
  },
  {
    code: "denies_all_tcp",
    spec: "{action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]}",
    mend: "add ports to the operation, or know that the workload speaks HTTP only",
  },
  ...[
    "to: [{operation: {paths: [/a], notPaths: ['/a*']}}]",
    "to: [{operation: {paths: ['/a/b*', '/x'], notPaths: ['/a/*', '*x']}}]",
    "to: [{operation: {methods: [GET], notMethods: ['*']}}]",
    "to: [{operation: {hosts: [A.com], notHosts: ['*.COM']}}]",
    "from: [{source: {principals: [td/ns/a/sa/b]}}], when: [{key: source.principal, notValues: ['*/sa/b']}]",
    "from: [{source: {ipBlocks: [10.1.2.3, 10.2.0.0/16], notIpBlocks: [10.0.0.0/8]}}]",
    "when: [{key: 'request.headers[x-a]', values: [v], notValues: [v]}]",
    "when: [{key: 'request.headers[x-a]', values: ['v*']}, {key: 'request.headers[x-a]', notValues: ['*']}]",
  ].map((rule) => ({
    code: "never_matches" as const,
    spec: `{rules: [{${rule}}]}`,
    mend: "leave out one of the two",
  })),
  {
    code: "wide_namespace",
    spec: "{rules: [{from: [{source: {namespaces: ['*prod']}}]}]}",
    mend: "write the namespaces out",
  },
  { code: "peer_address", spec: "{rules: [{from: [{source: {ipBlocks: [203.0.113.0/24]}}]}]}", mend: "remoteIpBlocks" },
  {
    code: "peer_address",
    spec: "{rules: [{when: [{key: source.ip, values: [203.0.113.9]}]}]}",
    mend: "key: remote.ip",
  },
  {
    code: "attribute_unavailable",
    spec: "{rules: [{when: [{key: connection.sni, values: [a]}]}]}",
    mend: "set include_tls_session in the proxy's filter",
  },
  { code: "selects_everything", spec: "{selector: {}, rules: [{}]}", mend: "leave the selector out, or name labels" },
  {
    code: "custom_ignored",
    spec: "{action: CUSTOM, provider: {name: c}, rules: [{}]}",
    mend: "nothing to do: keep it in the mesh",
  },
];

describe("AuthorizationPolicy", () => {
  test.for(FOUND)("$code in $spec", ({ code, spec, mend }) => {
    expect(lint(policy(spec))).toEqual([expect.stringMatching(/^p\.yaml:[14] /)]);
    expect(lint(policy(spec))[0]?.replace(/^\S+ /, "")).toBe(`${code}: ${mend}`);
  });

  test("selector_needs_labels, unless they are known", () => {
    const text = policy("{selector: {matchLabels: {app: a}}, rules: [{}]}");
    expect(lint(text, false)).toEqual([expect.stringContaining("selector_needs_labels")]);
    expect(lint(text, true)).toEqual([]);
  });

  test.for([
    "{}",
    "{rules: [{}]}",
    "{action: DENY, rules: [{}]}",
    "{rules: [{to: [{operation: {hosts: [a.com], paths: ['/', '/a/*', '*/b', '/x/{**}'], methods: [GET]}}]}]}",
    "{action: DENY, rules: [{to: [{operation: {hosts: [a.com, 'A.com:*'], ports: ['80']}}]}]}",
    "{rules: [{from: [{source: {principals: ['*'], notNamespaces: [dev]}}]}]}",
    "{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8, 'fd00::/8']}}]}]}",
    "{rules: [{from: [{source: {requestPrincipals: ['*', 'https://idp/*', '*/alice', '*@idp']}}]}]}",
    "{rules: [{when: [{key: 'request.headers[x-a]', notValues: [v]}]}]}",
    "{rules: [{to: [{operation: {paths: ['/a*'], notPaths: ['/ab*', '*/a']}}]}]}",
    "{rules: [{to: [{operation: {paths: ['/a', '/b'], notPaths: ['/a']}}, {operation: {paths: ['/c']}}]}]}",
    "{rules: [{to: [{operation: {paths: ['/a']}}, {operation: {notPaths: ['/a']}}]}]}",
    "{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8], notIpBlocks: [10.1.0.0/16, 'fd00::/8']}}]}]}",
    "{rules: [{when: [{key: 'request.headers[x-a]', values: [v]}, {key: 'request.headers[x-b]', notValues: [v]}]}]}",
    "{rules: [{when: [{key: 'request.headers[x-a]', values: ['*'], notValues: ['v*']}]}]}",
  ])("nothing in %s", (spec) => {
    expect(lint(policy(spec))).toEqual([]);
  });
});

describe("RequestAuthentication", () => {
  const authentication = (rule: string) =>
    `apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: r}\nspec: {jwtRules: [${rule}]}\n`;
  const asking = `---\n${policy("{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}")}`;

  test.for([
    { code: "token_not_required", text: authentication("{issuer: i}") },
    { code: "insecure_keys", text: authentication("{issuer: i, jwksUri: 'http://k'}") + asking },
    { code: "private_key", text: authentication(`{issuer: i, jwks: '{"keys":[{"kty":"EC","d":"x"}]}'}`) + asking },
  ])("$code", ({ code, text }) => {
    expect(lint(text)).toEqual([expect.stringContaining(` ${code}: `)]);
  });

  test("nothing where a policy asks for tokens", () => {
    expect(lint(authentication("{issuer: i, jwksUri: 'https://k'}") + asking)).toEqual([]);
  });
});

test("every code has a row that shows it", () => {
  const elsewhere = ["selector_needs_labels", "token_not_required", "insecure_keys", "private_key"];
  expect([...new Set([...FOUND.map(({ code }) => code), ...elsewhere])].sort()).toEqual(
    Object.keys(ISTIO_LINTS).sort(),
  );
});
