import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { lintPolicies, readPolicies } from "../../src/istio/index.ts";
import { countingLimiter, istioDecider, type TestRequest } from "../support/istio-request.ts";

const folder = path.resolve(import.meta.dirname, "../../policies/istio");
const files = readdirSync(folder)
  .sort()
  .map((name) => ({ file: name, text: readFileSync(path.join(folder, name), "utf8") }));

describe("the policies that come along", () => {
  test("are valid, and nothing in them is probably wrong", () => {
    const { documents, diagnostics } = readPolicies(files);
    expect(diagnostics).toEqual([]);
    expect(lintPolicies(documents).filter(({ severity }) => severity === "warning")).toEqual([]);
  });

  const decide = istioDecider(files.map(({ text }) => text).join("---\n"), {}, countingLimiter(100));
  const shop = { destination: "spiffe://cluster.local/ns/shop/sa/orders", host: "orders.shop.svc.cluster.local" };
  const checkout = { ...shop, principal: "spiffe://cluster.local/ns/shop/sa/checkout" };
  const staff = (role: string) => ({ ...shop, claims: { iss: "https://login.example.com", sub: "s", role } });
  const refund = { method: "POST", path: "/orders/7/refund" };
  const NOON = "2026-06-17T10:00:00Z";

  test.for<{ readonly what: string; readonly request: TestRequest; readonly now?: string; readonly want: string }>([
    { what: "checkout places an order", request: { ...checkout, method: "POST", path: "/orders" }, want: "allow" },
    { what: "checkout reads one", request: { ...checkout, path: "/orders/7?full" }, want: "allow" },
    { what: "checkout lists none", request: { ...checkout, path: "/orders" }, want: "default_deny" },
    { what: "support lists orders", request: { ...staff("support"), path: "/orders" }, want: "allow" },
    { what: "support refunds nothing", request: { ...staff("support"), ...refund }, want: "default_deny" },
    { what: "admins refund in business hours", request: { ...staff("admin"), ...refund }, want: "allow" },
    {
      what: "admins refund nothing at night",
      request: { ...staff("admin"), ...refund },
      now: "2026-06-17T02:00:00Z",
      want: "default_deny",
    },
    {
      what: "monitoring scrapes",
      request: { ...shop, principal: "spiffe://cluster.local/ns/monitoring/sa/prometheus", path: "/metrics" },
      want: "allow",
    },
    { what: "plaintext is refused", request: { ...shop, principal: "", path: "/metrics" }, want: "mtls_required" },
  ])("$what", ({ request, now = NOON, want }) => {
    expect(decide(request, now)?.reason).toBe(want);
  });

  const identity = (namespace: string, account: string) => `spiffe://cluster.local/ns/${namespace}/sa/${account}`;
  const to = (namespace: string, account: string, app = account): TestRequest => ({
    destination: identity(namespace, account),
    host: `${account}.${namespace}.svc.cluster.local`,
    labels: { app },
  });
  const by = (namespace: string, account: string) => ({ principal: identity(namespace, account) });
  const person = (claims: object) => ({ claims: { iss: "https://login.example.com", sub: "p", ...claims } });
  const api = to("production", "api");
  const database = { ...to("production", "database"), port: 5432, tcp: true };
  const accounts = to("accounts", "accounts");
  const payments = { ...to("payments", "payments"), ...by("shop", "checkout") };
  const buyer = person({ scope: "openid payments" });
  const settle = { ...payments, ...buyer, method: "POST", path: "/settlements" };
  const edge = (client: string): TestRequest => ({
    ...to("edge", "gateway"),
    sourceIp: "192.0.2.1",
    headers: { "x-forwarded-for": client },
  });

  test.for<readonly [what: string, request: TestRequest, want: string, now?: string]>([
    // zero-trust.yaml
    ["the frontend calls the API", { ...api, ...by("production", "frontend"), path: "/api/x" }, "allow"],
    ["and nothing else of it", { ...api, ...by("production", "frontend"), path: "/admin" }, "default_deny"],
    [
      "nor with other methods",
      { ...api, ...by("production", "frontend"), method: "DELETE", path: "/api/x" },
      "default_deny",
    ],
    ["nor the database", { ...database, ...by("production", "frontend") }, "default_deny"],
    ["the API calls the database", { ...database, ...by("production", "api") }, "allow"],
    ["on its port", { ...database, ...by("production", "api"), port: 5433 }, "default_deny"],
    [
      "batches are posted",
      { ...api, ...by("batch", "batch-processor"), method: "POST", path: "/api/v2/batch/1" },
      "allow",
    ],
    [
      "to the version they may",
      { ...api, ...by("batch", "batch-processor"), method: "POST", path: "/api/v1/batch/1" },
      "default_deny",
    ],
    [
      "monitoring scrapes all",
      { ...database, tcp: false, ...by("monitoring", "prometheus"), path: "/metrics" },
      "allow",
    ],
    [
      "by namespace, not by its beginning",
      { ...api, ...by("monitoring-2", "prometheus"), path: "/metrics" },
      "default_deny",
    ],
    ["a compromised service is out", { ...api, ...by("production", "compromised-service"), path: "/api/x" }, "deny"],
    [
      "without a policy nothing is allowed",
      { ...to("production", "other"), ...by("production", "frontend") },
      "default_deny",
    ],
    ["nor without mutual TLS", { ...api, principal: "", path: "/api/x" }, "mtls_required"],
    // roles.yaml
    ["admins delete", { ...accounts, ...person({ role: "admin" }), method: "DELETE" }, "allow"],
    ["editors write", { ...accounts, ...person({ role: ["editor"] }), method: "PUT" }, "allow"],
    ["editors do not delete", { ...accounts, ...person({ role: "editor" }), method: "DELETE" }, "default_deny"],
    ["viewers read", { ...accounts, ...person({ role: "viewer" }) }, "allow"],
    ["viewers do not write", { ...accounts, ...person({ role: "viewer" }), method: "PUT" }, "default_deny"],
    [
      "another issuer's admin is none",
      { ...accounts, ...person({ role: "admin", iss: "https://x.example.com" }) },
      "default_deny",
    ],
    ["nobody has no role", accounts, "default_deny"],
    ["and is healthy", { ...accounts, path: "/healthz" }, "allow"],
    // layers.yaml
    ["all layers passed", { ...payments, ...buyer, method: "POST", path: "/payments" }, "allow"],
    ["a service without a person", { ...payments, path: "/payments" }, "deny"],
    ["a person without a service", { ...payments, ...buyer, principal: "", path: "/payments" }, "mtls_required"],
    [
      "another trust domain's",
      { ...payments, ...buyer, principal: "spiffe://other/ns/shop/sa/checkout", path: "/payments" },
      "deny",
    ],
    ["another service", { ...payments, ...buyer, ...by("shop", "catalogue"), path: "/payments" }, "default_deny"],
    ["another scope", { ...payments, ...person({ scope: "openid" }), path: "/payments" }, "default_deny"],
    ["settlements by day", settle, "deny"],
    ["settlements by night", settle, "allow", "2026-06-17T22:00:00Z"],
    ["settlements past midnight", settle, "allow", "2026-06-20T01:00:00Z"],
    ["settlements on Sunday night", settle, "deny", "2026-06-21T21:00:00Z"],
    ["health for all of the mesh", { ...payments, path: "/healthz" }, "allow"],
    // networks.yaml
    ["the office", { ...edge("203.0.113.9"), path: "/intranet/x" }, "allow"],
    ["the office by IPv6", { ...edge("2001:db8:17:1::9"), path: "/intranet/x" }, "allow"],
    ["what the client says of itself", { ...edge("203.0.113.9, 192.0.2.7"), path: "/intranet/x" }, "default_deny"],
    ["the partner", { ...edge("198.51.100.9"), path: "/partner/x" }, "allow"],
    ["the partner's one bad address", { ...edge("198.51.100.66"), path: "/partner/x" }, "default_deny"],
    ["a node", { ...edge("203.0.113.9"), sourceIp: "10.240.3.4", path: "/intranet/x" }, "deny"],
  ])("%s", ([, request, want, now = NOON]) => {
    expect(decide(request, now)?.reason).toBe(want);
  });

  test("settlements are marked", () => {
    expect(decide(settle, "2026-06-17T22:00:00Z")?.audit).toMatchObject([{ policy: "payments/watch-settlements" }]);
  });

  test("refunds are counted by person", () => {
    const limited = istioDecider(files.map(({ text }) => text).join("---\n"), {}, countingLimiter(1));
    const asked = [limited({ ...staff("admin"), ...refund }, NOON), limited({ ...staff("admin"), ...refund }, NOON)];
    expect(asked.map((decision) => decision?.allowed)).toEqual([true, false]);
  });

  test("the export is seen by the dry run, and not denied", () => {
    expect(decide({ ...staff("admin"), path: "/orders/export" }, NOON)).toMatchObject({
      allowed: true,
      dry_run: [{ policy: "shop/no-bulk-export" }],
      dry_run_allowed: false,
    });
  });
});
