import { describe, expect, test } from "vitest";
import { compileIstio, DEFAULT_MESH, type MeshSettings, TokenRules } from "../../src/istio/index.ts";
import { type TestRequest, toTestInput } from "../support/istio-request.ts";

function authentication(issuer: string, namespace: string, attachment = ""): string {
  return `---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: ${issuer}, namespace: ${namespace}}\nspec: {${attachment}jwtRules: [{issuer: ${issuer}}]}\n`;
}

const FILES = [
  authentication("root", "istio-system"),
  authentication("prod", "prod"),
  authentication("labelled", "prod", "selector: {matchLabels: {app: api}}, "),
  authentication("dev", "dev"),
  authentication("gateway", "prod", "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw}], "),
  authentication("service", "shop", "targetRefs: [{kind: Service, name: reviews}], "),
].join("");

function issuers(request: TestRequest, mesh: Partial<MeshSettings> = {}): readonly string[] {
  const settings = { ...DEFAULT_MESH, ...mesh };
  const { requestAuthentications } = compileIstio({ files: [{ file: "p.yaml", text: FILES }], mesh: settings });
  return new TokenRules(requestAuthentications, settings).for(toTestInput(request)).map(({ issuer }) => issuer);
}

describe("token rules are those of", () => {
  const gatewayLabel = { "gateway.networking.k8s.io/gateway-name": "gw" };
  test.for<{ readonly what: string; readonly request: TestRequest; readonly want: readonly string[] }>([
    { what: "the namespace and the root namespace, by issuer", request: {}, want: ["prod", "root"] },
    { what: "the workload's labels too", request: { labels: { app: "api" } }, want: ["labelled", "prod", "root"] },
    {
      what: "another namespace",
      request: { destination: "spiffe://cluster.local/ns/dev/sa/x" },
      want: ["dev", "root"],
    },
    { what: "the host's namespace", request: { destination: "", host: "api.dev.svc:80" }, want: ["dev", "root"] },
    {
      what: "the root namespace alone, where the destination is unknown",
      request: { destination: "", host: "example.com" },
      want: ["root"],
    },
    { what: "a gateway", request: { labels: gatewayLabel }, want: ["gateway", "prod", "root"] },
  ])("$what", ({ request, want }) => {
    expect(issuers(request)).toEqual(want);
  });

  test("a waypoint's service", () => {
    const workloads = [{ namespace: "prod", serviceAccount: "api", labels: gatewayLabel, waypoint: true }];
    expect(issuers({ host: "reviews.shop.svc.cluster.local" }, { workloads })).toEqual(["gateway", "service"]);
  });
});

test("one choice is one list", () => {
  const { requestAuthentications } = compileIstio({ files: [{ file: "p.yaml", text: FILES }] });
  const rules = new TokenRules(requestAuthentications, DEFAULT_MESH);
  expect(rules.for(toTestInput({ path: "/a" }))).toBe(rules.for(toTestInput({ path: "/b" })));
});
