import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { cli, folderOf } from "./support.ts";

function policy(spec: string, name = "p"): string {
  return `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ${name}, namespace: prod}\nspec: ${spec}\n`;
}

const FRONTEND = policy(
  "\n  rules:\n  - from:\n    - source: {principals: [cluster.local/ns/prod/sa/web]}\n    to:\n    - operation: {paths: [/api/*]}",
);

describe("check", () => {
  test("says nothing of sound policies", async () => {
    expect(await cli(["check", folderOf({ "p.yaml": FRONTEND })])).toEqual({ code: 0, out: "", err: "" });
  });

  test("refuses what Istio refuses, by file, line and field", async () => {
    const folder = folderOf({ "p.yaml": policy("{rules: [{to: [{operation: {path: [/a]}}]}]}") });
    const { code, err } = await cli(["check", folder]);
    expect(code).toBe(1);
    expect(err).toContain(
      `${folder}/p.yaml:4: istio_field_error: spec.rules[0].to[0].operation.path: unknown field\n    did you mean paths?\n`,
    );
  });

  test("takes no policy with a misspelt head for data", async () => {
    const folder = folderOf({
      "p.yaml": FRONTEND.replace("security.istio.io", "security.isto.io"),
      "d.json": '{"kind": "of data"}',
    });
    const { code, err } = await cli(["check", folder]);
    expect(code).toBe(1);
    expect(err).toContain(`${folder}/p.yaml:1: istio_kind_error: apiVersion: `);
    expect(err).toContain("did you mean security.istio.io/v1?\n");
    expect(err).not.toContain("d.json");
  });

  test("warns of what is probably wrong, with what to write; --strict refuses it", async () => {
    const folder = folderOf({
      "p.yaml": policy("{rules: [{when: [{key: 'request.headers[\"x-a\"]', values: [v]}]}]}"),
    });
    const { code, err } = await cli(["check", folder]);
    expect(code).toBe(0);
    expect(err).toMatch(/p\.yaml:4: warning: quoted_name: .*\n.*\n {4}write: key: request\.headers\[x-a\]\n$/);
    expect((await cli(["check", "--strict", folder])).code).toBe(1);
  });

  test("as JSON", async () => {
    const folder = folderOf({
      "p.yaml": policy("{action: DENY, rules: [{to: [{operation: {methods: [get], ports: ['99999']}}]}]}"),
    });
    const { code, err } = await cli(["check", "--format=json", folder]);
    const document = JSON.parse(err) as { errors: unknown[]; warnings: unknown[] };
    expect(code).toBe(1);
    expect(document.errors).toMatchObject([
      { code: "istio_value_error", location: { file: `${folder}/p.yaml`, row: 4 } },
    ]);
    expect(document.warnings).toMatchObject([{ code: "lower_case_method", severity: "warning", mend: '"GET"' }]);
  });
});

describe("authz-check", () => {
  test("names the rule that decided", async () => {
    const folder = folderOf({ "p.yaml": FRONTEND });
    const args = [folder, "--source=prod/web", "--to=prod/api", "--path=/api/x"];
    const { code, out } = await cli(["authz-check", ...args]);
    expect(code).toBe(0);
    expect(await cli(["authz", "check", ...args])).toMatchObject({ code, out });
    expect(out).toContain(`ALLOWED: an ALLOW rule matches\n  by ALLOW prod/p rule 0 (${folder}/p.yaml:6)\n`);
    expect(out).toContain(
      `  destination: namespace prod\n  policies for it, in the order they are asked:\n    ALLOW prod/p, 1 rule (${folder}/p.yaml:1): every workload of its namespace\n`,
    );
  });

  test("says so where no policy is for the destination", async () => {
    const { code, out } = await cli(["authz-check", folderOf({ "p.yaml": FRONTEND }), "--to=dev/api"]);
    expect(code).toBe(0);
    expect(out).toContain("  destination: namespace dev\n  no policy is for it\n");
  });

  test("names what came nearest, and what it lacked", async () => {
    const folder = folderOf({ "p.yaml": FRONTEND });
    const { code, out } = await cli([
      "authz-check",
      folder,
      "-s",
      "prod/web",
      "-t",
      "prod/api",
      "-p",
      "/admin",
      "--fail",
    ]);
    expect(code).toBe(1);
    expect(out).toContain(`lacks paths one of "/api/*" (${folder}/p.yaml:9): the request has "/admin"\n`);
  });

  test("as JSON, by a request document on standard input", async () => {
    const folder = folderOf({ "p.yaml": FRONTEND });
    const request = {
      attributes: {
        source: { principal: "spiffe://cluster.local/ns/prod/sa/web" },
        destination: { principal: "spiffe://cluster.local/ns/prod/sa/api" },
        request: { http: { method: "GET", path: "/api/" } },
      },
    };
    const { out } = await cli(["authz-check", folder, "--request=-", "--format=json"], JSON.stringify(request));
    expect(JSON.parse(out)).toMatchObject({
      decision: { allowed: true, by: { policy: "prod/p", rule: 0 } },
      namespace: "prod",
      policies: [{ policy: "prod/p", action: "ALLOW", rules: 1, because: "every workload of its namespace" }],
    });
  });

  test("takes claims, headers, labels and addresses", async () => {
    const folder = folderOf({
      "p.yaml": policy(
        "{selector: {matchLabels: {app: api}}, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}], when: [{key: 'request.auth.claims[role]', values: [admin]}, {key: 'request.headers[x-a]', values: ['1']}]}]}",
      ),
    });
    const base = [
      "authz-check",
      folder,
      "-t",
      "prod/api",
      "-l",
      "app=api",
      "--source-ip=10.1.1.1",
      "-H",
      "X-A=1",
      "--fail",
    ];
    expect((await cli([...base, '--claims={"iss":"i","sub":"s","role":"admin"}'])).code).toBe(0);
    expect((await cli([...base, '--claims={"iss":"i","sub":"s","role":"user"}'])).code).toBe(1);
  });

  test.for<readonly [readonly string[], string]>([
    [["--source=web"], "--source must be <namespace>/<service account> or a SPIFFE ID"],
    [["--label=app"], "--label must be name=value"],
    [["--claims=[]"], "--claims must be a JSON object"],
  ])("refuses %j", async ([flags, want]) => {
    const { code, err } = await cli(["authz-check", folderOf({ "p.yaml": FRONTEND }), ...flags]);
    expect(code).toBe(1);
    expect(err).toContain(want);
  });

  test("refuses a folder without policies", async () => {
    expect(await cli(["authz-check", folderOf({ "p.rego": "package p" })])).toEqual({
      code: 2,
      out: "",
      err: "no Istio or Cardea policies at these paths\n",
    });
  });
});

describe("export", () => {
  test("prints a module that decides alike", async () => {
    const folder = folderOf({ "p.yaml": FRONTEND });
    const exported = await cli(["export", folder]);
    expect(exported).toMatchObject({ code: 0, err: "" });
    expect(await cli(["fmt", "--list", folderOf({ "m.rego": exported.out })])).toMatchObject({ code: 0, out: "" });
    const input = {
      attributes: {
        source: { principal: "spiffe://cluster.local/ns/prod/sa/web" },
        destination: { principal: "spiffe://cluster.local/ns/prod/sa/api" },
        request: { http: { path: "/api/x" } },
      },
    };
    const files = folderOf({ "m.rego": exported.out, "input.json": JSON.stringify(input) });
    const { out } = await cli([
      "eval",
      "-f",
      "raw",
      "-d",
      `${files}/m.rego`,
      "-i",
      `${files}/input.json`,
      "data.cardea.istio.allow",
    ]);
    expect(out.trim()).toBe("true");
  });

  test("writes modules and data into a directory", async () => {
    const folder = folderOf({ "p.yaml": FRONTEND });
    const target = path.join(folderOf({}), "out");
    expect((await cli(["export", "-o", target, folder])).code).toBe(0);
    expect(readFileSync(path.join(target, "cardea/istio.rego"), "utf8")).toContain("import data.cardea.tables");
    expect(JSON.parse(readFileSync(path.join(target, "data.json"), "utf8"))).toMatchObject({
      cardea: { tables: { policies: [{ policy: "prod/p" }] } },
    });
    expect((await cli(["check", target])).code).toBe(0);
  });

  test("says what plain OPA cannot do", async () => {
    const limit =
      "apiVersion: cardea.dev/v1alpha1\nkind: RateLimit\nmetadata: {name: l}\nspec: {key: [source.ip], limit: 1, per: 1m}\n";
    const { err } = await cli(["export", folderOf({ "l.yaml": limit })]);
    expect(err).toBe("note: RateLimit needs a counter: exported, nothing is within a limit\n");
  });
});

describe("Rego that asks schedules and limits", () => {
  const hours =
    'apiVersion: cardea.dev/v1alpha1\nkind: Schedule\nmetadata: {name: hours}\nspec: {timeZone: UTC, windows: [{from: "08:00", to: "22:00"}]}\n';
  const limit =
    "apiVersion: cardea.dev/v1alpha1\nkind: RateLimit\nmetadata: {name: few}\nspec: {key: [source.ip], limit: 1, per: 1h}\n";
  const files = {
    "hours.yaml": hours,
    "limit.yaml": limit,
    "p.rego": 'package p\n\nopen if cardea.schedule.open("hours")\n\nok if cardea.ratelimit.allow("few", input.who)\n',
    "p_test.rego":
      'package p_test\n\nimport data.p\n\ntest_ok if p.ok with input.who as "a"\n\ntest_open if p.open with cardea.schedule.open as true\n',
  };

  test("is legal, and runs with what stands beside it", async () => {
    const folder = folderOf(files);
    expect(await cli(["check", folder])).toEqual({ code: 0, out: "", err: "" });
    expect((await cli(["test", folder])).out).toContain("PASS: 2/2");
    const { out } = await cli(["eval", "-d", folder, "-f", "raw", 'cardea.schedule.next_opening("hours") > 0']);
    expect(out).toBe("true\n");
  });

  test("reports documents with errors", async () => {
    const folder = folderOf({ ...files, "hours.yaml": hours.replace("UTC", "Nowhere/At_All") });
    const { code, err } = await cli(["check", folder]);
    expect([code, err]).toEqual([1, expect.stringContaining("hours.yaml:4: istio_value_error: spec.timeZone: ")]);
  });
});
