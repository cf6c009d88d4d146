import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ConfigError, readConfig } from "../../src/config/index.ts";
import { grpcBodyDecoder, loadProtoDescriptor, RpcError } from "../../src/ext-authz/index.ts";
import { isJsonObject, type JsonObject, parseJson, toJsonText, type Value } from "../../src/rego/value/index.ts";
import { caseFolder } from "../support/cases.ts";
import { bench, decodeResponse, NO_DEADLINE, type ReplyDocument } from "../support/checks.ts";

/** A case of opa-envoy.json: a policy, the plugin's settings, a request's bytes, and the plugin's answer. */
interface EnvoyCase {
  readonly id: string;
  readonly policy_rego?: string;
  readonly rego_version?: "v0" | "v1";
  readonly config?: Readonly<Record<string, unknown>>;
  readonly check_request_wire?: string;
  readonly proto_descriptor_b64?: string;
  readonly api?: string;
  readonly requires?: string;
  readonly steps?: unknown;
  readonly expect: Readonly<Record<string, unknown>>;
}

const file = caseFolder("opa-envoy.json");
const cases: readonly EnvoyCase[] = file === undefined ? [] : (JSON.parse(readFileSync(file, "utf8")) as EnvoyCase[]);
/** A limit of the gRPC port, which is not part of this suite: test/e2e/serve.test.ts has it. */
const TRANSPORT = new Set(["x-recv-limit"]);
const checks = cases.filter(
  (tc) =>
    !TRANSPORT.has(tc.id) &&
    tc.check_request_wire !== undefined &&
    tc.requires === undefined &&
    tc.steps === undefined &&
    tc.config?.["bundles"] === undefined,
);

async function answer(tc: EnvoyCase) {
  const { decision_logs: _logs, nd_builtin_cache: nd, "log-level": _level, ...plugin } = tc.config ?? {};
  const settings = readConfig(
    { plugins: { envoy_ext_authz_grpc: { ...plugin, "proto-descriptor": "" } as never } },
    () => undefined,
  ).plugin;
  if (settings === undefined) throw new Error("no plugin settings");
  const descriptor = tc.proto_descriptor_b64;
  const parts = bench({
    policy: tc.policy_rego ?? "",
    version: tc.rego_version ?? "v1",
    path: settings.path,
    query: settings.query,
    service: {
      dryRun: settings.dryRun,
      skipBody: settings.skipRequestBodyParse,
      grpcBodies:
        descriptor === undefined
          ? undefined
          : grpcBodyDecoder(await loadProtoDescriptor(Buffer.from(descriptor, "base64"))),
    },
    decider: { keepsNdResults: nd === true },
  });
  const bytes = Buffer.from(tc.check_request_wire ?? "", "base64");
  const api = tc.api?.includes(".v2.") === true ? "v2" : "v3";
  try {
    return { parts, reply: decodeResponse(await parts.service.check(bytes, api, NO_DEADLINE)), error: undefined };
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return { parts, reply: undefined, error };
  }
}

function pairs(list: unknown): unknown {
  return ((list ?? []) as { header: { key: string; value?: string } }[]).map(({ header }) => ({
    key: header.key,
    value: header.value ?? "",
  }));
}

const sorted = (list: unknown): string[] => ((list ?? []) as unknown[]).map((item) => JSON.stringify(item)).sort();

function checkReply(expected: EnvoyCase["expect"], reply: ReplyDocument): void {
  const { okResponse: ok, deniedResponse: denied } = reply;
  const sameList = (key: string, got: unknown): void => {
    if (!(key in expected)) return;
    if (expected["order"] === "exact") expect(got ?? []).toEqual(expected[key]);
    else expect(sorted(got)).toEqual(sorted(expected[key]));
  };
  const code = reply.status.code ?? 0;
  if ("allowed" in expected) expect(code === 0).toBe(expected["allowed"]);
  if ("status_code" in expected) expect(code).toBe(expected["status_code"]);
  if ("status_message" in expected) expect(reply.status.message ?? "").toBe(expected["status_message"]);
  if ("http_response" in expected)
    expect(denied !== undefined ? "denied_response" : ok !== undefined ? "ok_response" : null).toBe(
      expected["http_response"],
    );
  if ("http_status" in expected) expect(denied?.status.code).toBe(expected["http_status"]);
  if ("body" in expected) expect(denied?.body ?? "").toBe(expected["body"]);
  if ("body_contains" in expected) expect(denied?.body).toContain(expected["body_contains"]);
  sameList("headers", pairs((denied ?? ok)?.headers));
  sameList("response_headers_to_add", pairs(ok?.["responseHeadersToAdd"]));
  sameList("headers_to_remove", ok?.["headersToRemove"]);
  sameList("query_parameters_to_remove", ok?.["queryParametersToRemove"]);
  sameList("query_parameters_to_set", ok?.["queryParametersToSet"]);
  checkMetadata(expected, reply.metadata);
}

function checkMetadata(expected: EnvoyCase["expect"], metadata: ReplyDocument["metadata"]): void {
  if ("dynamic_metadata" in expected) expect(metadata ?? {}).toMatchObject(expected["dynamic_metadata"] as object);
  if ("dynamic_metadata_only_keys" in expected)
    expect(Object.keys(metadata ?? {}).sort()).toEqual(
      [...(expected["dynamic_metadata_only_keys"] as string[])].sort(),
    );
  if ("decision_id_length" in expected)
    expect(String(metadata?.["decision_id"])).toHaveLength(expected["decision_id_length"] as number);
  if (expected["dynamic_metadata_absent"] === true) expect(metadata).toBeUndefined();
  else
    for (const key of (expected["dynamic_metadata_absent"] ?? []) as string[])
      expect(metadata ?? {}).not.toHaveProperty([key]);
}

/** Texts that name Go's own types or functions may differ after the colon. */
function checkError(expected: EnvoyCase["expect"], error: RpcError): void {
  expect(error.code).toBe(expected["grpc_error"]);
  const want = expected["grpc_message"] as string | undefined;
  if (want !== undefined) expect(error.message).toBe(want);
  if ("grpc_message_contains" in expected) expect(error.message).toContain(expected["grpc_message_contains"]);
}

function subset(want: Value, got: Value | undefined): boolean {
  if (!isJsonObject(want)) return got !== undefined && toJsonText(want) === toJsonText(got);
  return (
    got !== undefined && isJsonObject(got) && Object.keys(want).every((key) => subset(want[key] as Value, got[key]))
  );
}

function checkEvent(expected: JsonObject, event: JsonObject | undefined): void {
  if (event === undefined) throw new Error("nothing was logged");
  for (const key of (expected["present"] ?? []) as string[]) expect(event).toHaveProperty([key]);
  for (const key of (expected["absent"] ?? []) as string[]) expect(event).not.toHaveProperty([key]);
  for (const key of ["path", "result", "input"])
    if (key in expected) expect(toJsonText(event[key] ?? null)).toBe(toJsonText(expected[key] as Value));
  for (const key of ["error", "error_subset", "result_subset"]) {
    if (key in expected) expect(subset(expected[key] as Value, event[key.replace("_subset", "")])).toBe(true);
  }
  for (const key of (expected["metrics_present_first_call"] ?? []) as string[])
    expect(event["metrics"]).toHaveProperty([key]);
  for (const key of (expected["nd_builtin_cache_keys"] ?? []) as string[])
    expect(event["nd_builtin_cache"]).toHaveProperty([key]);
}

describe.skipIf(file === undefined)("the plugin's cases", () => {
  test.each(checks.map((tc) => [tc.id, tc] as const))("%s", async (_id, tc) => {
    const { parts, reply, error } = await answer(tc);
    if (error !== undefined) checkError(tc.expect, error);
    else {
      expect(tc.expect["grpc_error"] ?? null).toBeNull();
      checkReply(tc.expect, reply);
    }
    const event = parts.sink.events.at(-1);
    if ("decision_log" in tc.expect)
      checkEvent(parseJson(JSON.stringify(tc.expect["decision_log"])) as JsonObject, event);
    if ("input_subset" in tc.expect)
      expect(subset(parseJson(JSON.stringify(tc.expect["input_subset"])), event?.["input"])).toBe(true);
    for (const key of (tc.expect["input_absent"] ?? []) as string[]) expect(event?.["input"]).not.toHaveProperty([key]);
  });

  test("a path and a query are refused together", () => {
    const tc = cases.find(({ id }) => id === "config-query-and-path-conflict");
    expect(() => readConfig({ plugins: { envoy_ext_authz_grpc: tc?.config as never } }, () => undefined)).toThrow(
      ConfigError,
    );
  });
});
