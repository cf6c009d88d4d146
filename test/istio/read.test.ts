import { describe, expect, test } from "vitest";
import { placeOf } from "../../src/base/index.ts";
import { holdsPolicies } from "../../src/istio/heads.ts";
import { readPolicies } from "../../src/istio/read.ts";

const HEAD = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: prod}\n";

function problems(text: string): readonly string[] {
  return readPolicies([{ file: "p.yaml", text }]).diagnostics.map(
    ({ code, field, at }) => `${placeOf(at)} ${code} ${field}`,
  );
}

describe("AuthorizationPolicy is refused with", () => {
  // @source istio pkg/config/validation/validation_test.go, pkg/config/security/security_test.go, and the CRD schema
  test.for([
    { why: "an unknown field", spec: "{rule: []}", want: "p.yaml:4 istio_field_error spec.rule" },
    {
      why: "a misspelt list",
      spec: "{rules: [{to: [{operation: {path: [/a]}}]}]}",
      want: "p.yaml:4 istio_field_error spec.rules[0].to[0].operation.path",
    },
    { why: "an unknown action", spec: "{action: PERMIT}", want: "p.yaml:4 istio_value_error spec.action" },
    { why: "a DENY without rules", spec: "{action: DENY}", want: "p.yaml:4 istio_value_error spec.rules" },
    {
      why: "a DENY with an empty list of rules",
      spec: "{action: DENY, rules: []}",
      want: "p.yaml:4 istio_value_error spec.rules",
    },
    {
      why: "a CUSTOM without provider",
      spec: "{action: CUSTOM, rules: [{}]}",
      want: "p.yaml:4 istio_value_error spec.provider.name",
    },
    { why: "a provider on ALLOW", spec: "{provider: {name: x}}", want: "p.yaml:4 istio_value_error spec.provider" },
    {
      why: "a CUSTOM that looks at identity",
      spec: "{action: CUSTOM, provider: {name: x}, rules: [{from: [{source: {principals: [a]}}]}]}",
      want: "p.yaml:4 istio_value_error spec.rules[0]",
    },
    { why: "a null rule", spec: "{rules: [null]}", want: "p.yaml:4 istio_value_error spec.rules[0]" },
    { why: "an empty from", spec: "{rules: [{from: []}]}", want: "p.yaml:4 istio_value_error spec.rules[0].from" },
    {
      why: "an entry without source",
      spec: "{rules: [{from: [{}]}]}",
      want: "p.yaml:4 istio_value_error spec.rules[0].from[0]",
    },
    {
      why: "an empty source",
      spec: "{rules: [{from: [{source: {}}]}]}",
      want: "p.yaml:4 istio_value_error spec.rules[0].from[0].source",
    },
    {
      why: "an empty operation",
      spec: "{rules: [{to: [{operation: {}}]}]}",
      want: "p.yaml:4 istio_value_error spec.rules[0].to[0].operation",
    },
    {
      why: "an empty string",
      spec: '{rules: [{to: [{operation: {paths: [""]}}]}]}',
      want: "p.yaml:4 istio_value_error spec.rules[0].to[0].operation.paths[0]",
    },
    {
      why: "a bad CIDR block",
      spec: '{rules: [{from: [{source: {ipBlocks: ["10.0.0.0/99"]}}]}]}',
      want: "p.yaml:4 istio_value_error spec.rules[0].from[0].source.ipBlocks[0]",
    },
    {
      why: "an address with leading zeros",
      spec: '{rules: [{from: [{source: {ipBlocks: ["010.0.0.1"]}}]}]}',
      want: "p.yaml:4 istio_value_error spec.rules[0].from[0].source.ipBlocks[0]",
    },
    {
      why: "a port out of range",
      spec: '{rules: [{to: [{operation: {ports: ["99999"]}}]}]}',
      want: "p.yaml:4 istio_value_error spec.rules[0].to[0].operation.ports[0]",
    },
    {
      why: "a port that is an integer",
      spec: "{rules: [{to: [{operation: {ports: [80]}}]}]}",
      want: "p.yaml:4 istio_field_error spec.rules[0].to[0].operation.ports[0]",
    },
    {
      why: "a word that Kubernetes reads as a boolean",
      spec: "{rules: [{when: [{key: 'request.headers[x]', values: [yes]}]}]}",
      want: "p.yaml:4 istio_field_error spec.rules[0].when[0].values[0]",
    },
    {
      why: "service accounts beside namespaces",
      spec: "{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}",
      want: "p.yaml:4 istio_value_error spec.rules[0].from.source",
    },
    {
      why: "a wildcard service account",
      spec: '{rules: [{from: [{source: {serviceAccounts: ["a/*"]}}]}]}',
      want: "p.yaml:4 istio_value_error spec.rules[0].from[0].source.serviceAccounts[0]",
    },
    {
      why: "a trust domain with a slash",
      spec: "{rules: [{from: [{source: {trustDomains: [a/b]}}]}]}",
      want: "p.yaml:4 istio_value_error spec.rules[0].from[0].source.trustDomains[0]",
    },
    {
      why: "a template within a segment",
      spec: "{rules: [{to: [{operation: {paths: ['/a{*}']}}]}]}",
      want: "p.yaml:4 istio_value_error spec.rules[0].to[0].operation.paths[0]",
    },
    {
      why: "an operator after {**}",
      spec: "{rules: [{to: [{operation: {paths: ['/{**}/x/{**}']}}]}]}",
      want: "p.yaml:4 istio_value_error spec.rules[0].to[0].operation.paths[0]",
    },
    {
      why: "a condition without key",
      spec: "{rules: [{when: [{values: [a]}]}]}",
      want: "p.yaml:4 istio_value_error spec.rules[0].when[0].key",
    },
    {
      why: "a condition without values",
      spec: "{rules: [{when: [{key: 'request.headers[x]'}]}]}",
      want: "p.yaml:4 istio_value_error spec.rules[0].when[0]",
    },
    {
      why: "an unknown key",
      spec: "{rules: [{when: [{key: 'request.auth.claim[role]', values: [a]}]}]}",
      want: "p.yaml:4 istio_value_error spec.rules[0].when[0].key",
    },
    {
      why: "a legacy key",
      spec: "{rules: [{when: [{key: 'destination.labels[app]', values: [a]}]}]}",
      want: "p.yaml:4 istio_value_error spec.rules[0].when[0].key",
    },
    {
      why: "a key with empty brackets",
      spec: "{rules: [{when: [{key: 'request.headers[]', values: [a]}]}]}",
      want: "p.yaml:4 istio_value_error spec.rules[0].when[0].key",
    },
    {
      why: "selector and targetRefs",
      spec: "{selector: {matchLabels: {a: b}}, targetRefs: [{kind: Service, name: x}]}",
      want: "p.yaml:4 istio_value_error spec.targetRefs",
    },
    {
      why: "a wildcard in a selector",
      spec: '{selector: {matchLabels: {app: "x*"}}}',
      want: 'p.yaml:4 istio_value_error spec.selector.matchLabels["app"]',
    },
    {
      why: "a target of an unknown kind",
      spec: "{targetRefs: [{kind: Pod, name: x}]}",
      want: "p.yaml:4 istio_value_error spec.targetRefs[0].kind",
    },
    {
      why: "a target in a namespace",
      spec: "{targetRefs: [{kind: Service, name: x, namespace: y}]}",
      want: "p.yaml:4 istio_value_error spec.targetRefs[0].namespace",
    },
    {
      why: "a schedule that is not there",
      spec: "{rules: [{when: [{key: cardea.schedule, values: [x]}]}]}",
      want: "p.yaml:4 istio_reference_error cardea.schedule",
    },
  ])("$why", ({ spec, want }) => {
    expect(problems(`${HEAD}spec: ${spec}\n`)).toContain(want);
  });

  test.for(["yes", "maybe", ""])("the dry-run annotation %j", (value) => {
    const text = HEAD.replace("prod}", `prod, annotations: {istio.io/dry-run: "${value}"}}`);
    expect(problems(text)).toEqual(['p.yaml:3 istio_value_error metadata.annotations["istio.io/dry-run"]']);
  });
});

describe("what Istio accepts is accepted, however useless", () => {
  test.for([
    "{}",
    "{rules: [{}]}",
    "{selector: {}}",
    "{rules: [{when: [{key: 'request.headers[\"x\"]', values: [a]}]}]}",
    "{rules: [{from: [{source: {principals: ['spiffe://a/ns/b/sa/c']}}]}]}",
    "{rules: [{to: [{operation: {paths: ['/a/*/b', '*']}}]}]}",
    "{targetRefs: [{group: core, kind: Service, name: x}]}",
    "{rules: [{from: [{source: {ipBlocks: ['10.1.2.3/8', '::1', 'fd00::/8']}}]}]}",
    "{action: CUSTOM, provider: {name: x}, rules: [{to: [{operation: {paths: [/a]}}]}]}",
  ])("spec: %s", (spec) => {
    expect(problems(`${HEAD}spec: ${spec}\n`)).toEqual([]);
  });
});

describe("documents", () => {
  test.for([
    {
      why: "an unknown kind of a known API",
      text: "apiVersion: security.istio.io/v1\nkind: AuthorisationPolicy\n",
      want: "p.yaml:2 istio_kind_error kind",
    },
    {
      why: "an unknown version of a known API",
      text: "apiVersion: security.istio.io/v2\nkind: AuthorizationPolicy\n",
      want: "p.yaml:1 istio_kind_error apiVersion",
    },
    { why: "no kind", text: "apiVersion: security.istio.io/v1\n", want: "p.yaml:1 istio_kind_error kind" },
    { why: "no name", text: HEAD.replace("name: p, ", ""), want: "p.yaml:3 istio_field_error metadata.name" },
    {
      why: "a namespace that is none",
      text: HEAD.replace("prod", "a/b"),
      want: "p.yaml:3 istio_value_error metadata.namespace",
    },
    { why: "a field given twice", text: `${HEAD}spec: {}\nspec: {}\n`, want: "p.yaml:5 istio_yaml_error " },
    { why: "an alias", text: `${HEAD}spec: &a {rules: [*a]}\n`, want: "p.yaml:4 istio_yaml_error " },
    { why: "two policies of one name", text: `${HEAD}---\n${HEAD}`, want: "p.yaml:5 istio_field_error metadata.name" },
    { why: "a list at the top", text: "- apiVersion: security.istio.io/v1\n", want: "p.yaml:1 istio_kind_error " },
  ])("are refused for $why", ({ text, want }) => {
    expect(problems(text)).toContain(want);
  });

  test("of other APIs are named, not refused", () => {
    const { documents, foreign, diagnostics } = readPolicies([
      { file: "p.yaml", text: `apiVersion: v1\nkind: ConfigMap\n---\n${HEAD}` },
    ]);
    expect(diagnostics).toEqual([]);
    expect(documents.map(({ name }) => name)).toEqual(["p"]);
    expect(foreign).toEqual([{ file: "p.yaml", row: 1, apiVersion: "v1", kind: "ConfigMap" }]);
  });

  test("come in lists, with all the metadata of kubectl", () => {
    const text = `apiVersion: v1
kind: List
items:
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {name: p, namespace: prod, uid: u, managedFields: [{manager: kubectl}], creationTimestamp: "2026-01-01T00:00:00Z"}
  spec: {}
  status: {}
`;
    expect(problems(text)).toEqual([]);
    expect(readPolicies([{ file: "p.yaml", text }]).documents).toHaveLength(1);
  });

  test("beyond a limit are refused by the limit's name", () => {
    const limits = { fileLength: 400, rules: 1, valueLength: 8 };
    const read = (text: string) =>
      readPolicies([{ file: "p.yaml", text }], limits).diagnostics.map(({ code, message }) => `${code}: ${message}`);
    expect(read(HEAD + " ".repeat(400))).toEqual([expect.stringMatching(/^istio_limit_error: .*fileLength is 400/)]);
    expect(read(`${HEAD}spec: {rules: [{}, {}]}`)).toEqual([
      expect.stringMatching(/^istio_limit_error: .*limit rules, 1/),
    ]);
    expect(read(`${HEAD}spec: {rules: [{to: [{operation: {paths: [/12345678]}}]}]}`)).toEqual([
      expect.stringMatching(/^istio_limit_error: .*valueLength is 8/),
    ]);
  });
});

describe("PeerAuthentication", () => {
  const peer = (spec: string) =>
    `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p}\nspec: ${spec}\n`;
  test.for([
    {
      spec: "{mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: STRICT}}}",
      want: "p.yaml:4 istio_value_error spec.portLevelMtls",
    },
    {
      spec: "{selector: {matchLabels: {a: b}}, portLevelMtls: {0: {mode: STRICT}}}",
      want: "p.yaml:4 istio_value_error spec.portLevelMtls[0]",
    },
    {
      spec: "{selector: {matchLabels: {a: b}}, portLevelMtls: {}}",
      want: "p.yaml:4 istio_value_error spec.portLevelMtls",
    },
    { spec: "{mtls: {mode: MUTUAL}}", want: "p.yaml:4 istio_value_error spec.mtls.mode" },
  ])("is refused: $spec", ({ spec, want }) => {
    expect(problems(peer(spec))).toEqual([want]);
  });
});

describe("RequestAuthentication", () => {
  const request = (rule: string) =>
    `apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: p}\nspec:\n  jwtRules:\n  - ${rule}\n`;
  test.for([
    { rule: "{audiences: [a]}", want: "p.yaml:6 istio_value_error spec.jwtRules[0]" },
    { rule: 'issuer: a\n    audiences: [""]', want: "p.yaml:7 istio_value_error spec.jwtRules[0].audiences[0]" },
    { rule: "{issuer: a, jwksUri: 'ftp://x'}", want: "p.yaml:6 istio_value_error spec.jwtRules[0].jwksUri" },
    {
      rule: "{issuer: a, jwksUri: 'https://x', jwks: '{\"keys\":[]}'}",
      want: "p.yaml:6 istio_value_error spec.jwtRules[0].jwks",
    },
    { rule: "{issuer: a, jwks: nonsense}", want: "p.yaml:6 istio_value_error spec.jwtRules[0].jwks" },
    {
      rule: "{issuer: a, fromHeaders: [{prefix: x}]}",
      want: "p.yaml:6 istio_value_error spec.jwtRules[0].fromHeaders[0].name",
    },
    {
      rule: "{issuer: a, outputClaimToHeaders: [{header: 'x y', claim: b}]}",
      want: "p.yaml:6 istio_value_error spec.jwtRules[0].outputClaimToHeaders[0].header",
    },
    { rule: "{issuer: a, timeout: 10us}", want: "p.yaml:6 istio_value_error spec.jwtRules[0].timeout" },
    { rule: "{issuer: a, jwks_url: x}", want: "p.yaml:6 istio_field_error spec.jwtRules[0].jwks_url" },
  ])("is refused: $rule", ({ rule, want }) => {
    expect(problems(request(rule))).toContain(want);
  });

  test("yields plain records", () => {
    const [document] = readPolicies([
      {
        file: "p.yaml",
        text: request(
          "{issuer: i, jwks_uri: 'https://x', timeout: 1500ms, fromHeaders: [{name: X, prefix: 'P '}], forwardOriginalToken: true}",
        ),
      },
    ]).documents;
    expect(document).toMatchObject({
      jwtRules: [
        {
          issuer: "i",
          jwksUri: "https://x",
          timeoutMs: 1500,
          fromHeaders: [{ name: "X", prefix: "P " }],
          forwardOriginalToken: true,
          audiences: [],
        },
      ],
    });
  });
});

describe("Schedule and RateLimit", () => {
  const own = (kind: string, spec: string) =>
    `apiVersion: cardea.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: p}\nspec: ${spec}\n`;
  test.for([
    {
      kind: "Schedule",
      spec: '{timeZone: Mars/Base, windows: [{from: "08:00", to: "09:00"}]}',
      want: "istio_value_error spec.timeZone",
    },
    { kind: "Schedule", spec: "{windows: []}", want: "istio_value_error spec.windows" },
    {
      kind: "Schedule",
      spec: '{windows: [{days: [Mo], from: "08:00", to: "09:00"}]}',
      want: "istio_value_error spec.windows[0].days[0]",
    },
    { kind: "Schedule", spec: '{windows: [{from: "8", to: "25:00"}]}', want: "istio_value_error spec.windows[0].to" },
    {
      kind: "Schedule",
      spec: '{windows: [{from: "08:00", to: "09:00"}], exceptions: [{date: 2026-02-30, closed: true}]}',
      want: "istio_value_error spec.exceptions[0].date",
    },
    { kind: "RateLimit", spec: "{key: [nonsense], limit: 1, per: 1m}", want: "istio_value_error spec.key[0]" },
    { kind: "RateLimit", spec: "{key: [source.ip], limit: 0, per: 1m}", want: "istio_value_error spec.limit" },
    { kind: "RateLimit", spec: "{key: [source.ip], limit: 1, per: soon}", want: "istio_value_error spec.per" },
    {
      kind: "RateLimit",
      spec: "{key: [source.ip], limit: 1, per: 1m, onStoreFailure: shrug}",
      want: "istio_value_error spec.onStoreFailure",
    },
    {
      kind: "RateLimit",
      spec: "{key: [source.ip], limit: 1, per: 1m, algorithm: leaky}",
      want: "istio_value_error spec.algorithm",
    },
  ])("$kind is refused: $spec", ({ kind, spec, want }) => {
    expect(problems(own(kind, spec))).toContain(`p.yaml:4 ${want}`);
  });
});

test.for([
  { text: HEAD, want: true },
  { text: '{\n "apiVersion": "cardea.dev/v1alpha1"\n}', want: true },
  { text: '{"kind": "AuthorizationPolicy", "apiVersion": "security.istio.io/v1"}', want: true },
  { text: "items:\n- apiVersion: security.istio.io/v1\n", want: true },
  { text: '{"kind": "List", "items": [{"apiVersion": "security.istio.io/v1"}]}', want: true },
  { text: "a: 1\n---\n# x\n{apiVersion: security.istio.io/v1}\n", want: true },
  { text: "\ufeff%YAML 1.2\n--- !!map\n  'apiVersion' : \"security.istio.io/v1\" # x\n  kind: x\n", want: true },
  { text: "apiVersion: security.istio.io/v1\r\nkind: AuthorizationPolicy\r\nspec: [\r\n", want: true },
  // Slips of the pen.
  { text: "apiVersion: security.istio.oi/v1\nkind: AuthorizationPolicy\n", want: true },
  { text: "apiVersion: security.istio.io\nkind: RequestAuthentication\n", want: true },
  { text: "kind: PeerAuthentication\nspec: {}\n", want: true },
  { text: "apiVersion: cardea.dev\nkind: Schedule\n", want: true },
  { text: "apiVersion: cardea.dev/v1alpha1\nkind: Shedule\n", want: true },
  { text: "apiVersion: security.isto.io/v1\nkind: AuthorizationPolcy\n", want: true },
  { text: "apiversion: security.istio.io/v1\nKind: AuthorizationPolicy\n", want: true },
  { text: '{"kind": "Schedule", "spec": {}}', want: true },
  { text: "apiVersion: cardea/v1\nkind: RateLimit\n", want: true },
  // Data, whatever it holds below its outermost mapping.
  { text: "apiVersion: apps/v1\nkind: Deployment\n", want: false },
  { text: '{"users": {"alice": {"role": "admin"}}}', want: false },
  { text: '{"objects": {"p": {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy"}}}', want: false },
  { text: '{"a": "{\\"kind\\": \\"AuthorizationPolicy\\"}", "b": [{"kind": "AuthorizationPolicy"}]}', want: false },
  { text: "objects:\n  p:\n    apiVersion: security.istio.io/v1\n    kind: AuthorizationPolicy\n", want: false },
  { text: "text: |\n  apiVersion: security.istio.io/v1\n", want: false },
  { text: "kind: Schedule\nopens: 8\n", want: false },
  { text: "{kind: RateLimit, of: {spec: 1}}", want: false },
  { text: "# kind: AuthorizationPolicy\na: 1\n", want: false },
])("holdsPolicies($text) is $want", ({ text, want }) => {
  expect(holdsPolicies(text)).toBe(want);
});

describe("a head that is none of ours", () => {
  const body = "metadata: {name: p}\nspec: {}\n";
  test.for([
    ["security.istio.oi/v1", "AuthorizationPolicy", "p.yaml:1", "did you mean security.istio.io/v1?"],
    ["security.istio.io", "RequestAuthentication", "p.yaml:1", "did you mean security.istio.io/v1?"],
    ["security.istio.io/v2", "PeerAuthentication", "p.yaml:1", "did you mean security.istio.io/v1?"],
    ["example.com/v1", "AuthorizationPolicy", "p.yaml:1", "did you mean security.istio.io/v1?"],
    ["velero.io/v1", "Schedule", "p.yaml:1", "did you mean cardea.dev/v1alpha1?"],
    ["cardea.dev/v1", "RateLimit", "p.yaml:1", "did you mean cardea.dev/v1alpha1?"],
    ["security.istio.io/v1", "AuthorizationPolcy", "p.yaml:2", "did you mean AuthorizationPolicy?"],
    ["security.isto.io/v1", "AuthorizationPolcy", "p.yaml:1", "did you mean security.istio.io/v1?"],
  ] as const)("%s %s", ([apiVersion, kind, place, hint]) => {
    const text = `apiVersion: ${apiVersion}\nkind: ${kind}\n${body}`;
    expect(holdsPolicies(text)).toBe(true);
    const { documents, foreign, diagnostics } = readPolicies([{ file: "p.yaml", text }]);
    expect([documents.length, foreign.length]).toEqual([0, 0]);
    expect(diagnostics.map((found) => [placeOf(found.at).slice(0, 8), found.code, found.hint])).toEqual([
      [place, "istio_kind_error", hint],
    ]);
  });

  test.for([
    [`kind: AuthorizationPolicy\n${body}`, "write apiVersion: security.istio.io/v1"],
    [
      `apiversion: security.istio.io/v1\nkind: AuthorizationPolicy\n${body}`,
      "did you mean apiVersion instead of apiversion?",
    ],
    [`apiVersion: security.istio.io/v1\nKind: AuthorizationPolicy\n${body}`, "did you mean kind instead of Kind?"],
  ] as const)("%s", ([text, hint]) => {
    expect(holdsPolicies(text)).toBe(true);
    expect(readPolicies([{ file: "p.yaml", text }]).diagnostics.map((found) => found.hint)).toEqual([hint]);
  });

  test("another API's document is left aside", () => {
    const text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: prod}\n";
    expect(readPolicies([{ file: "p.yaml", text }])).toMatchObject({
      foreign: [{ kind: "Namespace" }],
      diagnostics: [],
    });
  });
});
