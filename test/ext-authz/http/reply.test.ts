import { describe, expect, test } from "vitest";
import { toHttpReply } from "../../../src/ext-authz/http/reply.ts";
import type { RequestChanges } from "../../../src/ext-authz/decision.ts";
import type { CheckResponse } from "../../../src/ext-authz/response.ts";

const ALL = { headersToUpstream: undefined, headersToClient: undefined };
const NONE: RequestChanges = {
  headers: [],
  headersToRemove: [],
  responseHeadersToAdd: [],
  queryParametersToRemove: [],
  queryParametersToSet: [],
};
const OK = { kind: "ok", changes: NONE } as const;

function denied(httpStatus: number): CheckResponse {
  return { code: 7, message: "", http: { kind: "denied", answer: { headers: [], body: "", httpStatus } } };
}

describe("the answer in HTTP", () => {
  test.for<{ why: string; response: CheckResponse; status: number }>([
    { why: "an allow", response: { code: 0, message: "" }, status: 200 },
    { why: "an allow with changes", response: { code: 0, message: "", http: OK }, status: 200 },
    { why: "a bare denial", response: { code: 7, message: "" }, status: 403 },
    { why: "a denial that is unauthenticated", response: denied(401), status: 401 },
    { why: "a redirect", response: denied(302), status: 302 },
    { why: "a denial with a status that means allow", response: denied(200), status: 403 },
    { why: "a denial with an informational status", response: denied(100), status: 403 },
    { why: "a denial with a status that means failure", response: denied(503), status: 403 }, // failure_mode_allow lets 5xx through
    { why: "an allow the log could not take", response: { code: 2, message: "", http: OK }, status: 403 },
    { why: "a denial with code OK", response: { ...denied(404), code: 0 }, status: 404 },
    {
      why: "an error",
      response: { code: 2, message: "", http: { kind: "error", answer: { headers: [], body: "", httpStatus: 503 } } },
      status: 503,
    },
    {
      why: "an allow that would remove a query parameter",
      response: { code: 0, message: "", http: { kind: "ok", changes: { ...NONE, queryParametersToRemove: ["a"] } } },
      status: 403,
    },
    {
      why: "an allow that would set a query parameter",
      response: {
        code: 0,
        message: "",
        http: { kind: "ok", changes: { ...NONE, queryParametersToSet: [{ key: "a", value: "b" }] } },
      },
      status: 403,
    },
  ])("$why is $status", ({ response, status }) => {
    expect(toHttpReply(response, ALL).status).toBe(status);
  });

  const changes: CheckResponse = {
    code: 0,
    message: "",
    http: {
      kind: "ok",
      changes: {
        ...NONE,
        headers: [
          { key: "X-User", value: "ann" },
          { key: "X-Other", value: "1" },
          { key: "Content-Length", value: "5" },
        ],
        headersToRemove: ["X-Role", "X-Key"],
        responseHeadersToAdd: [{ key: "Set-Cookie", value: "a=b" }],
      },
    },
  };

  test("carries the changes, and what to remove in the header Envoy reads", () => {
    expect(toHttpReply(changes, ALL).headers).toEqual([
      { key: "X-User", value: "ann" },
      { key: "X-Other", value: "1" },
      { key: "Set-Cookie", value: "a=b" },
      { key: "x-envoy-auth-headers-to-remove", value: "X-Role,X-Key" },
    ]);
  });

  test("keeps to the configured names, and keeps the client's own from the upstream as well", () => {
    const options = { headersToUpstream: new Set(["x-user", "x-role"]), headersToClient: new Set<string>() };
    expect(toHttpReply(changes, options).headers).toEqual([
      { key: "X-User", value: "ann" },
      { key: "x-envoy-auth-headers-to-remove", value: "X-Role,X-Key,X-Other" },
    ]);
  });
});
