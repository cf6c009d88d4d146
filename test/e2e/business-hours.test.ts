import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CompileError } from "../../src/rego/index.ts";
import { encodeRequest } from "../support/checks.ts";
import { type CheckClient, isAllowed, startServer, type TestServer } from "../support/server.ts";

const POLICY = readFileSync(join(import.meta.dirname, "../fixtures/policies/business-hours.rego"), "utf8");
const PATH = { path: "istio/authz/allow" };

// Policies like this one are printed in guides for Istio with `==` where names are to be bound, which OPA refuses.
describe("a policy of office hours in v0 syntax", () => {
  let server: TestServer;
  let client: CheckClient;
  beforeAll(async () => {
    server = await startServer({
      policy: POLICY,
      config: () => ({
        plugins: { envoy_ext_authz_grpc: { addr: "127.0.0.1:0", ...PATH } },
        cardea: { time_source: "request" },
      }),
      options: { regoVersion: "v0" },
    });
    client = server.connect();
  });
  afterAll(async () => await server.stop());

  const known = "spiffe://cluster.local/ns/a/sa/b";
  const late = { "x-over-limit": "true" };
  test.for([
    { why: "a health check of anybody", method: "GET", path: "/healthz", want: true },
    { why: "a health check by another method", method: "POST", path: "/healthz", want: false },
    { why: "a path that only begins like it", method: "GET", path: "/healthz/x", want: false },
    { why: "an unknown peer by day", hour: 12, want: false },
    { why: "a known peer by day", principal: known, hour: 12, want: true },
    { why: "a known peer over its limit at eight", principal: known, headers: late, hour: 8, want: true },
    { why: "a known peer over its limit before ten at night", principal: known, headers: late, hour: 21, want: true },
    { why: "a known peer over its limit at ten at night", principal: known, headers: late, hour: 22, want: false },
    { why: "a known peer over its limit before eight", principal: known, headers: late, hour: 7, want: false },
    { why: "a known peer within its limit at night", principal: known, hour: 3, want: true },
  ])("$why: $want", async ({ method = "GET", path = "/x", principal = "", headers = {}, hour = 3, want }) => {
    const time = { seconds: Date.UTC(2024, 4, 6, hour, 59) / 1000 };
    const http = { method, path, headers };
    const reply = await client.check(encodeRequest({ attributes: { source: { principal }, request: { time, http } } }));
    expect(isAllowed(reply)).toBe(want);
  });

  test.for([
    {
      version: "v0" as const,
      change: (text: string) =>
        text.replace("[hour, _, _] := time.clock(time.now_ns())", "time.clock(time.now_ns()) == [hour, _, _]"),
      message: "var hour is unsafe",
      hint: "== compares and binds nothing: use := to assign, with the names on its left",
    },
    {
      version: "v1" as const,
      change: (text: string) => text,
      message: "`if` keyword is required before rule body",
      hint: "write `if` before the body, as in `p if { … }`, or run with --v0-compatible",
    },
  ])("what is wrong with it as $version is said with a remedy", async ({ version, change, message, hint }) => {
    const error = await startServer({ policy: change(POLICY), options: { regoVersion: version } }).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    if (!(error instanceof CompileError)) throw new Error("it compiles", { cause: error });
    expect(error.diagnostics[0]).toMatchObject({ message, hint });
  });
});
