import { describe, expect, test } from "vitest";
import { type OnError, RpcError } from "../../src/ext-authz/index.ts";
import { bench, type BenchOptions, decodeResponse, httpRequest, NO_DEADLINE } from "../support/checks.ts";

const GET = httpRequest({ method: "GET", path: "/a" });
const v = (document: string): string => `package envoy.authz\n\nallow := ${document}\n`;

async function reply(options: BenchOptions, bytes: Buffer = GET, call = NO_DEADLINE) {
  const parts = bench(options);
  return { ...parts, reply: decodeResponse(await parts.service.check(bytes, "v3", call)) };
}

async function rpcError(options: BenchOptions, bytes: Buffer = GET, call = NO_DEADLINE): Promise<RpcError> {
  const error = await bench(options)
    .service.check(bytes, "v3", call)
    .then(
      () => undefined,
      (cause: unknown) => cause,
    );
  if (!(error instanceof RpcError)) throw new Error("no RPC error");
  return error;
}

describe("decisions", () => {
  test("true allows, without a response arm", async () => {
    const { reply: got } = await reply({ policy: v("true") });
    expect(got.status).toEqual({});
    expect(got).not.toHaveProperty("okResponse");
    expect(got.metadata?.["decision_id"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("false denies, without a response arm", async () => {
    const { reply: got } = await reply({ policy: v("false") });
    expect(got.status).toEqual({ code: 7 });
    expect(got).not.toHaveProperty("deniedResponse");
  });

  test("an object denies with its own answer", async () => {
    const { reply: got } = await reply({
      policy: v('{"allowed": false, "http_status": 401, "body": "no", "headers": {"a": ["1", "2"]}}'),
    });
    expect(got.deniedResponse).toEqual({
      status: { code: 401 },
      body: "no",
      headers: [{ header: { key: "a", value: "1" } }, { header: { key: "a", value: "2" } }],
    });
  });

  test("header names come out sorted", async () => {
    const { reply: got } = await reply({ policy: v('{"allowed": true, "headers": {"b": "1", "a": "2"}}') });
    expect(got.okResponse?.["headers"]).toEqual([
      { header: { key: "a", value: "2" } },
      { header: { key: "b", value: "1" } },
    ]);
  });

  test("metadata with a number that no double holds is no decision", async () => {
    const error = await rpcError({ policy: v('{"allowed": true, "dynamic_metadata": {"a": [1e400]}}') });
    expect(error.message).toBe(
      'failed to get dynamic metadata: proto: invalid number format "1e400", expected a float64: strconv.ParseFloat: parsing "1e400": value out of range',
    );
  });

  test("a decision's own id does not hide ours", async () => {
    const { reply: got, sink } = await reply({
      policy: v('{"allowed": true, "dynamic_metadata": {"decision_id": "mine", "x": 1}}'),
    });
    expect(got.metadata).toEqual({ decision_id: sink.events[0]?.["decision_id"], x: 1 });
  });

  // envoyauth/response.go; the order of the checks is internal/internal.go's.
  test.for([
    {
      document: "7",
      message: "failed to get response status: illegal value for policy evaluation result: json.Number",
    },
    { document: '"x"', message: "failed to get response status: illegal value for policy evaluation result: string" },
    { document: "null", message: "failed to get response status: illegal value for policy evaluation result: <nil>" },
    {
      document: "[true]",
      message: "failed to get response status: illegal value for policy evaluation result: []interface {}",
    },
    {
      document: "{true}",
      message: "failed to get response status: illegal value for policy evaluation result: []interface {}",
    },
    {
      document: "{}",
      message: 'failed to get response status: unable to determine evaluation result due to missing "allowed" key',
    },
    {
      document: '{"allowed": "true"}',
      message:
        "failed to get response status: type assertion error, expected allowed to be of type 'boolean' but got 'string'",
    },
    {
      document: '{"allowed": 1}',
      message:
        "failed to get response status: type assertion error, expected allowed to be of type 'boolean' but got 'json.Number'",
    },
    {
      document: '{"allowed": true, "headers": "x"}',
      message:
        "failed to get response headers: type assertion error, expected headers to be of type 'object' but got 'string'",
    },
    {
      document: '{"allowed": true, "headers": {"k": 1}}',
      message: "failed to get response headers: type assertion error for header 'k'",
    },
    {
      document: '{"allowed": true, "headers": {"k": [1]}}',
      message: "failed to get response headers: invalid value type json.Number for header 'k'",
    },
    {
      document: '{"allowed": true, "dynamic_metadata": []}',
      message:
        "failed to get dynamic metadata: type assertion error, expected dynamic_metadata to be of type 'object' but got '[]interface {}'",
    },
    {
      document: '{"allowed": true, "request_headers_to_remove": [1]}',
      message:
        "failed to get request headers to remove: type assertion error, expected request_headers_to_remove value to be of type 'string' but got 'json.Number'",
    },
    {
      document: '{"allowed": true, "query_parameters_to_set": []}',
      message:
        "failed to get request query parameters to set: type assertion error, expected query_parameters_to_set to be a map but got '[]interface {}'",
    },
    {
      document: '{"allowed": false, "body": 1}',
      message:
        "failed to get response body: type assertion error, expected body to be of type 'string' but got 'json.Number'",
    },
    {
      document: '{"allowed": false, "http_status": "403"}',
      message:
        "failed to get response http status: type assertion error, expected http_status to be of type 'number' but got 'string'",
    },
    {
      document: '{"allowed": false, "http_status": 403.5}',
      message:
        'failed to get response http status: error converting JSON number to int: strconv.ParseInt: parsing "403.5": invalid syntax',
    },
    {
      document: '{"allowed": false, "http_status": 418}',
      message: "failed to get response http status: invalid HTTP status code 418",
    },
  ])("$document is refused", async ({ document, message }) => {
    const error = await rpcError({ policy: v(document) });
    expect([error.code, error.message]).toEqual([2, message]);
  });

  test.for([
    { why: "a line end in a header", document: '{"allowed": true, "headers": {"k": "a\\r\\nb: c"}}' },
    { why: "NUL in a header", document: '{"allowed": true, "headers": {"k": "a\\u0000"}}' },
    { why: "a pseudo-header", document: '{"allowed": true, "headers": {":path": "/admin"}}' },
    { why: "a space in a name", document: '{"allowed": true, "headers": {"a b": "c"}}' },
    { why: "an empty name", document: '{"allowed": true, "headers": {"": "c"}}' },
    {
      why: "a line end in a header for the client",
      document: '{"allowed": true, "response_headers_to_add": {"k": "a\\nb"}}',
    },
    { why: "a line end in a name to remove", document: '{"allowed": true, "request_headers_to_remove": ["a\\nb"]}' },
    { why: "a line end in a parameter", document: '{"allowed": true, "query_parameters_to_set": {"a": "b\\n"}}' },
    { why: "a line end in a denial's header", document: '{"allowed": false, "headers": {"k": "a\\nb"}}' },
  ])("$why never leaves", async ({ document }) => {
    expect((await rpcError({ policy: v(document) })).code).toBe(2);
    const { reply: got } = await reply({ policy: v(document), service: { onError: "deny" } });
    expect(got.status.code).toBe(7);
  });
});

describe("faults", () => {
  const policies = {
    undefined_decision: "package other\n",
    invalid_decision: v("7"),
    evaluation_error: "package envoy.authz\n\nallow := true\n\nallow := false\n",
  } as const;
  const http = { undefined_decision: 403, invalid_decision: 403, evaluation_error: 503 } as const;

  test.for(Object.keys(policies) as (keyof typeof policies)[])("%s, with each on_error", async (code) => {
    const policy = policies[code];
    const denied = (await reply({ policy, service: { onError: "deny" } })).reply;
    expect(denied.status).toEqual({ code: 7, message: code });
    expect(denied.deniedResponse).toEqual({ status: { code: http[code] } });
    expect(denied.metadata).toMatchObject({ cardea: { fault: code } });
    const failed = (await reply({ policy, service: { onError: "error_response" } })).reply;
    expect(failed.status.code).not.toBe(0);
    expect(failed.errorResponse).toEqual({ status: { code: http[code] } });
    expect((await rpcError({ policy, service: { onError: "rpc_error" } })).code).toBe(2);
  });

  test.for(["deny", "error_response", "rpc_error"] as const)(
    "a bad request is denied with 400 under %s",
    async (onError: OnError) => {
      const { reply: got, sink } = await reply(
        { policy: v("true"), service: { onError, dryRun: true } },
        httpRequest({ path: "/%zz" }),
      );
      const text = 'request_parse_error: invalid URL escape "%zz"';
      expect(got).toEqual({
        status: { code: 7, message: text },
        deniedResponse: { status: { code: 400 }, body: text },
      });
      expect(sink.events[0]).toMatchObject({ input: null, error: { message: 'invalid URL escape "%zz"' } });
    },
  );

  test("bytes that are no request are denied", async () => {
    const { reply: got } = await reply({ policy: v("true"), service: { onError: "deny" } }, Buffer.from("0a05", "hex"));
    expect(got.deniedResponse?.status.code).toBe(400);
  });

  test("a deadline that has passed", async () => {
    const call = { deadlineMs: Date.now() - 1, isCancelled: () => false };
    const error = await rpcError({ policy: v("true") }, GET, call);
    expect([error.code, error.message]).toEqual([
      4,
      "check request timed out before query execution: context deadline exceeded",
    ]);
    expect((await reply({ policy: v("true"), service: { onError: "deny" } }, GET, call)).reply.status.code).toBe(7);
  });

  test("a caller that went away", async () => {
    const error = await rpcError({ policy: v("true") }, GET, {
      deadlineMs: Number.POSITIVE_INFINITY,
      isCancelled: () => true,
    });
    expect([error.code, error.message]).toEqual([
      1,
      "check request explicitly cancelled before query execution: context canceled",
    ]);
  });

  test("a deadline that passes during evaluation is no allow", async () => {
    let asked = 0;
    // Not cancelled when asked before the evaluation, cancelled after it.
    const { reply: got } = await reply({ policy: v("true"), service: { onError: "deny" } }, GET, {
      deadlineMs: Number.POSITIVE_INFINITY,
      isCancelled: () => asked++ > 0,
    });
    expect(got.status.code).toBe(7);
  });

  test("an evaluation that does not end", async () => {
    const policy =
      "package envoy.authz\n\nallow if {\n\tsome i in numbers.range(1, 100000)\n\tsome j in numbers.range(1, 100000)\n\ti * j == -1\n}\n";
    const {
      reply: got,
      faults,
      sink,
    } = await reply({
      policy,
      service: { onError: "deny" },
      decider: { limits: { evaluationMs: 100, evaluationSteps: 50_000 } },
    });
    expect(got.deniedResponse?.status.code).toBe(503);
    expect(faults).toEqual(["eval_cancel_error"]);
    expect(sink.events[0]).toMatchObject({ error: { code: "eval_cancel_error" } });
  });

  test("several solutions of a query", async () => {
    expect((await rpcError({ policy: "", query: "x = [true, false][_]" })).message).toBe("multiple evaluation results");
  });
});

describe("dry-run", () => {
  test("lets denials through, and logs them as they are", async () => {
    const { reply: got, sink } = await reply({
      policy: v('{"allowed": false, "headers": {"a": "b"}, "dynamic_metadata": {"m": 1}}'),
      service: { dryRun: true },
    });
    expect(got.status).toEqual({});
    expect(got.okResponse).toEqual({});
    expect(got.metadata).toMatchObject({ m: 1 });
    expect(sink.events[0]?.["result"]).toMatchObject({ allowed: false });
  });

  test("does not cover faults", async () => {
    expect((await rpcError({ policy: "", service: { dryRun: true } })).message).toBe("undefined decision");
  });
});

describe("the log", () => {
  test("a decision that cannot be logged is no allow", async () => {
    for (const onError of ["deny", "error_response", "rpc_error"] as const) {
      const parts = bench({ policy: v("true"), service: { onError } });
      parts.sink.failure = new Error("disk full");
      const got = decodeResponse(await parts.service.check(GET, "v3", NO_DEADLINE));
      expect(got.status.code, onError).not.toBe(0);
      expect(got.status.code, onError).toBeDefined();
      expect(parts.faults).toEqual(["unknown_log_error"]);
    }
  });

  test("names the revision that decided", async () => {
    const parts = bench({ policy: v("true") });
    parts.store.update(new Map([["b", { modules: [], data: { b: 1 }, bundle: { revision: "r1", roots: ["b"] } }]]));
    await parts.service.check(GET, "v3", NO_DEADLINE);
    expect(parts.sink.events[0]).toMatchObject({
      bundles: { b: { revision: "r1" } },
      path: "envoy/authz/allow",
      result: true,
    });
  });

  test("masks and drops by policy", async () => {
    const log = `package system.log

mask contains "/input/attributes/request/http/headers/authorization"

mask contains {"op": "upsert", "path": "/input/who", "value": "***"}

drop if input.input.parsed_path == ["health"]
`;
    const parts = bench({ policy: v("true") });
    parts.store.updateBase({ modules: [...parts.store.base.modules, { file: "log.rego", text: log }], data: {} });
    await parts.service.check(httpRequest({ path: "/health" }), "v3", NO_DEADLINE);
    await parts.service.check(httpRequest({ path: "/x", headers: { authorization: "secret" } }), "v3", NO_DEADLINE);
    expect(parts.sink.events).toHaveLength(1);
    expect(JSON.stringify(parts.sink.events)).not.toContain("secret");
    expect(parts.sink.events[0]).toMatchObject({
      erased: ["/input/attributes/request/http/headers/authorization"],
      masked: ["/input/who"],
    });
  });
});

test("the path guard speaks before the policy", async () => {
  const { reply: got } = await reply(
    { policy: v("true"), service: { guardsPaths: true, onError: "deny" } },
    httpRequest({ path: "/a/..%2fb" }),
  );
  expect(got.deniedResponse).toMatchObject({
    status: { code: 400 },
    body: "request_parse_error: ambiguous path: encoded slash",
  });
});

test("a ruling keeps the snapshot it started with", async () => {
  const parts: ReturnType<typeof bench> = bench({
    policy: 'package envoy.authz\n\nallow if net.lookup_ip_addr("store.example")\n',
    decider: {
      io: async () => {
        parts.store.updateBase({ modules: [{ file: "new.rego", text: v("false") }], data: {} });
        return { value: ["192.0.2.1"] };
      },
    },
  });
  const first = decodeResponse(await parts.service.check(GET, "v3", NO_DEADLINE));
  const second = decodeResponse(await parts.service.check(GET, "v3", NO_DEADLINE));
  expect([first.status.code ?? 0, second.status.code]).toEqual([0, 7]);
});
