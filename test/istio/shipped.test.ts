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

  const decide = istioDecider(files.map(({ text }) => text).join("---\n"), {}, countingLimiter(2));
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
