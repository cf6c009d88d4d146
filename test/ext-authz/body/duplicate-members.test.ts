import { describe, expect, test } from "vitest";
import { duplicateMember } from "../../../src/ext-authz/body/duplicate-members.ts";
import { parseBody } from "../../../src/ext-authz/body/index.ts";

// RFC 8259 section 4: what a member that is there twice means, each reader decides.
describe("a member that is there twice", () => {
  test.for([
    { json: '{"amount": 1000, "amount": 1}', name: "amount" },
    { json: '{"a": {"b": 1, "c": [{"x": 1, "x": 2}]}}', name: "x" },
    { json: '{"amount": 1, "\\u0061mount": 2}', name: "amount" },
    { json: '{"": 1, "": 2}', name: "" },
    { json: '{"__proto__": 1, "__proto__": 2}', name: "__proto__" },
    { json: '{"a": 1, "b": {"a": 1}, "c": [{"a": 1}, {"a": 2}]}', name: undefined },
    { json: '{"a": "a", "b": "a\\"a", "c": ["a", "a"]}', name: undefined },
    { json: '{"a": "{\\"a\\": 1,", "b": 2}', name: undefined },
    { json: '["a", "a", {"a": ["a"]}]', name: undefined },
    { json: '"a"', name: undefined },
  ])("$json", ({ json, name }) => {
    expect(duplicateMember(json)).toBe(name);
  });

  test("is refused only where that is asked for", () => {
    const http = {
      path: "/",
      headers: { "content-type": "application/json" },
      body: '{"amount": 1000, "amount": 1}',
      rawBody: Buffer.alloc(0),
    };
    expect(parseBody(http, [], { grpcBodies: undefined })).toEqual({ body: { amount: 1 }, isTruncated: false });
    expect(() => parseBody(http, [], { grpcBodies: undefined, refusesDuplicateMembers: true })).toThrow(
      'duplicate member "amount"',
    );
  });
});
