import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ApplyingPolicy,
  applyingPolicies,
  compileIstio,
  DEFAULT_MESH,
  DESTINATION_PATH,
  EXPLANATION_PATH,
  type IstioExplanation,
  toDestination,
  toIstioExplanation,
} from "../../src/istio/index.ts";
import { compile } from "../../src/rego/engine/index.ts";
import { nodeBuiltins } from "../../src/rego/node.ts";
import type { JsonObject } from "../../src/rego/value/index.ts";

interface Workload {
  /** `namespace/service account` */
  readonly to?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly host?: string;
}

function requestTo({ to, labels, host = "localhost" }: Workload): JsonObject {
  const [namespace, account] = (to ?? "").split("/");
  return {
    attributes: {
      source: { address: { socketAddress: { address: "10.0.0.1", portValue: 1 } } },
      destination: {
        address: { socketAddress: { address: "10.0.0.2", portValue: 8080 } },
        ...(to !== undefined && { principal: `spiffe://cluster.local/ns/${namespace}/sa/${account}` }),
        ...(labels !== undefined && { labels: { ...labels } }),
      },
      request: { http: { method: "GET", path: "/", host, headers: {} } },
    },
  };
}

function askedFor(
  text: string,
  workload: Workload,
): { readonly policies: readonly ApplyingPolicy[]; readonly explanation: IstioExplanation } {
  const program = compileIstio({ files: [{ file: "p.yaml", text }] });
  const policy = compile({
    modules: program.modules,
    data: { cardea: { tables: program.tables } },
    builtins: nodeBuiltins,
  });
  const input = requestTo(workload);
  const destination = toDestination(policy.entrypoint(DESTINATION_PATH).value({ input }));
  const explanation = toIstioExplanation(policy.entrypoint(EXPLANATION_PATH).value({ input }));
  if (destination === undefined || explanation === undefined) throw new Error("no answer");
  return { policies: applyingPolicies(program.documents, DEFAULT_MESH, destination, input), explanation };
}

const document = (kind: string, name: string, spec: string): string => {
  const [namespace, own] = name.split("/");
  return `apiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${own}, namespace: ${namespace}}\nspec: ${spec}\n`;
};
const policy = (name: string, spec: string): string => document("AuthorizationPolicy", name, spec);
const APP = "selector: {matchLabels: {app: api}}";
const ALL = "rules: [{}]";

describe("what is listed, and why", () => {
  const line = ({ action = "", policy: name, because }: ApplyingPolicy): string => `${action} ${name}: ${because}`;

  // Order: Istio, "Authorization Policy precedence"; the rest of the columns: security.istio.io selector and targetRefs.
  test.each<{ name: string; documents: readonly string[]; workload: Workload; want: readonly string[] }>([
    {
      name: "CUSTOM before DENY before ALLOW, AUDIT last; else as in the files",
      documents: ["ALLOW", "AUDIT", "DENY", "CUSTOM", "DENY"].map((action, i) =>
        policy(
          `a/p${i}`,
          action === "CUSTOM" ? `{action: CUSTOM, provider: {name: x}, ${ALL}}` : `{action: ${action}, ${ALL}}`,
        ),
      ),
      workload: { to: "a/api" },
      want: ["CUSTOM a/p3", "DENY a/p2", "DENY a/p4", "ALLOW a/p0", "AUDIT a/p1"].map(
        (each) => `${each}: every workload of its namespace`,
      ),
    },
    {
      name: "namespaces, the root one, selectors",
      documents: [
        policy("istio-system/mesh", `{${ALL}}`),
        policy("b/other", `{${ALL}}`),
        policy("a/api", `{${APP}, ${ALL}}`),
        policy("a/web", "{selector: {matchLabels: {app: web}}, rules: [{}]}"),
        policy("a/two", "{selector: {matchLabels: {app: api, tier: x}}, rules: [{}]}"),
      ],
      workload: { to: "a/api", labels: { app: "api" } },
      want: ["ALLOW istio-system/mesh: every workload, from the root namespace", "ALLOW a/api: selects app=api"],
    },
    {
      name: "one without rules, which denies what no other allows",
      documents: [policy("a/none", "{}")],
      workload: { to: "a/api" },
      want: ["ALLOW a/none: every workload of its namespace"],
    },
    {
      name: "labels that are not known",
      documents: [policy("a/allow", `{${APP}, ${ALL}}`), policy("a/deny", `{action: DENY, ${APP}, ${ALL}}`)],
      workload: { to: "a/api" },
      want: ["DENY a/deny: selects app=api; the destination's labels are not known, and it denies"],
    },
    {
      name: "a destination that is not known",
      documents: [policy("a/allow", `{${ALL}}`), policy("a/deny", `{action: DENY, ${ALL}}`)],
      workload: {},
      want: [
        "DENY a/deny: the destination is not known, and it denies",
        "ALLOW a/allow: the destination is not known: it restricts, and allows nothing",
      ],
    },
    {
      name: "a gateway",
      documents: [
        policy("a/gw", `{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: front}], ${ALL}}`),
        policy("a/other", `{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: back}], ${ALL}}`),
      ],
      workload: { to: "a/gw", labels: { "gateway.networking.k8s.io/gateway-name": "front" } },
      want: ["ALLOW a/gw: targets Gateway front"],
    },
    {
      name: "a service behind a waypoint",
      documents: [policy("a/svc", `{targetRefs: [{kind: Service, name: api}], ${ALL}}`), policy("a/all", `{${ALL}}`)],
      workload: {
        to: "a/waypoint",
        labels: { "gateway.istio.io/managed": "istio.io-mesh-controller" },
        host: "api.a.svc.cluster.local",
      },
      want: ["ALLOW a/svc: targets Service api"],
    },
    {
      name: "the PeerAuthentication in force, and RequestAuthentications, first",
      documents: [
        policy("a/p", `{${ALL}}`),
        document("PeerAuthentication", "istio-system/default", "{mtls: {mode: STRICT}}"),
        document("PeerAuthentication", "a/default", "{mtls: {mode: PERMISSIVE}}"),
        document(
          "PeerAuthentication",
          "a/api",
          `{${APP}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}`,
        ),
        document("RequestAuthentication", "a/jwt", `{${APP}, jwtRules: [{issuer: i, jwks: '{"keys":[]}'}]}`),
      ],
      workload: { to: "a/api", labels: { app: "api" } },
      want: ["DISABLE a/api: selects app=api", " a/jwt: selects app=api", "ALLOW a/p: every workload of its namespace"],
    },
    { name: "nothing", documents: [policy("b/p", `{${ALL}}`)], workload: { to: "a/api" }, want: [] },
  ])("$name", ({ documents, workload, want }) => {
    expect(askedFor(documents.join("---\n"), workload).policies.map(line)).toEqual(want);
  });

  test("counts rules and issuers, and marks a dry run", () => {
    const dry = policy("a/dry", `{${ALL}}`).replace(
      "namespace: a}",
      'namespace: a, annotations: {"istio.io/dry-run": "true"}}',
    );
    const jwt = document("RequestAuthentication", "a/jwt", `{jwtRules: [{issuer: i, jwks: '{"keys":[]}'}]}`);
    expect(askedFor(`${jwt}---\n${dry}`, { to: "a/api" }).policies).toMatchObject([
      { kind: "RequestAuthentication", rules: 1, file: "p.yaml", line: 1 },
      { kind: "AuthorizationPolicy", rules: 1, dry_run: true, line: 6 },
    ]);
  });
});

// The evaluator chooses rules by its tables; what is listed reads the documents.
test("every rule that the evaluator has for a destination is of a policy that is listed, and the other way round", () => {
  const labels = fc.dictionary(fc.constantFrom("app", "tier"), fc.constantFrom("one", "two"), { maxKeys: 2 });
  const namespace = fc.constantFrom("a", "b", "istio-system");
  const one = fc.record({ namespace, action: fc.constantFrom("ALLOW", "DENY", "AUDIT"), labels });
  const workload = fc.record({
    to: fc.constantFrom("a/s", "b/s", undefined),
    labels: fc.option(labels, { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 8 }), workload, (policies, { to, labels: own }) => {
      const text = policies
        .map(({ namespace: of, action, labels: selector }, i) => {
          const pairs = Object.entries(selector).map(([key, value]) => `${key}: ${value}`);
          const selecting = pairs.length === 0 ? "" : `selector: {matchLabels: {${pairs.join(", ")}}}, `;
          return policy(`${of}/p${i}`, `{action: ${action}, ${selecting}${ALL}}`);
        })
        .join("---\n");
      const { policies: listed, explanation } = askedFor(text, {
        ...(to !== undefined && { to }),
        ...(own !== undefined && { labels: own }),
      });
      // For an unknown destination ALLOW policies restrict, but no rule of theirs is looked at.
      const withRules = listed.filter(({ because }) => !because.includes("it restricts"));
      expect([...new Set(withRules.map(({ policy: name }) => name))].sort()).toEqual(
        [...new Set(explanation.applying.map(({ policy: name }) => name))].sort(),
      );
    }),
    { numRuns: 200 },
  );
});
