import { describe, expect, test } from "vitest";
import { readOriginalRequest } from "../../../src/ext-authz/http/original-request.ts";

const NONE = Buffer.alloc(0);

function read(
  { method = "GET", target = "/", rawHeaders = [] }: { method?: string; target?: string; rawHeaders?: string[] },
  options: Partial<Parameters<typeof readOriginalRequest>[1]> = {},
) {
  return readOriginalRequest(
    { method, target, rawHeaders, body: NONE },
    { proxy: "envoy", pathPrefix: "", sourceAddressHeader: undefined, ...options },
  );
}

describe("the request a proxy asks about", () => {
  test("Envoy sends it under its own path prefix", () => {
    const request = read(
      { method: "PUT", target: "/authz//a?b", rawHeaders: ["Host", "a.test"] },
      { pathPrefix: "/authz" },
    );
    expect(request).toMatchObject({ method: "PUT", path: "//a?b", host: "a.test", scheme: undefined });
  });

  test("nginx names it in headers", () => {
    const rawHeaders = [
      "Host",
      "authz",
      "X-Original-Method",
      "DELETE",
      "X-Original-URI",
      "/a?b",
      "X-Original-Host",
      "a.test",
    ];
    expect(read({ target: "/_auth", rawHeaders }, { proxy: "nginx" })).toMatchObject({
      method: "DELETE",
      path: "/a?b",
      host: "a.test",
    });
  });

  test("Traefik names it in headers", () => {
    const rawHeaders = [
      "X-Forwarded-Method",
      "POST",
      "X-Forwarded-Uri",
      "/a",
      "X-Forwarded-Host",
      "a.test",
      "X-Forwarded-Proto",
      "https",
    ];
    expect(read({ rawHeaders }, { proxy: "traefik" })).toMatchObject({
      method: "POST",
      path: "/a",
      host: "a.test",
      scheme: "https",
    });
  });

  test("headers of other proxies are only headers", () => {
    const rawHeaders = ["X-Forwarded-Uri", "/public", "X-Original-URI", "/public", "X-Envoy-Original-Path", "/public"];
    expect(read({ target: "/admin", rawHeaders }).path).toBe("/admin");
  });

  test.for([
    { headers: ["A", "1", "a", "2"], want: "1,2" }, // Envoy joins repeated headers by commas
    { headers: ["A", "\u00c3\u00a9"], want: "é" }, // UTF-8, which Node shows as Latin-1
    { headers: ["A", "a\u00e9b"], want: "a!b" }, // sanitizeUtf8String of Envoy
  ])("header a of $headers is $want", ({ headers, want }) => {
    expect(read({ rawHeaders: headers }).headers.get("a")).toBe(want);
  });

  test.for([
    { why: "another prefix", options: { pathPrefix: "/authz" }, request: { target: "/other/authz/a" } },
    { why: "half a segment as prefix", options: { pathPrefix: "/authz" }, request: { target: "/authzone" } },
    { why: "the absolute form", options: {}, request: { target: "http://a.test/admin" } },
    { why: "the asterisk form", options: {}, request: { target: "*" } },
    {
      why: "no original URI",
      options: { proxy: "nginx" as const },
      request: { rawHeaders: ["X-Original-Method", "GET"] },
    },
    {
      why: "no original method",
      options: { proxy: "nginx" as const },
      request: { rawHeaders: ["X-Original-URI", "/a"] },
    },
    {
      why: "two original URIs",
      options: { proxy: "traefik" as const },
      request: { rawHeaders: ["X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/a", "X-Forwarded-Uri", "/b"] },
    },
    { why: "two hosts", options: {}, request: { rawHeaders: ["Host", "a", "Host", "b"] } },
    { why: "no source address", options: { sourceAddressHeader: "x-real-ip" }, request: {} },
    {
      why: "a list of source addresses",
      options: { sourceAddressHeader: "x-real-ip" },
      request: { rawHeaders: ["X-Real-IP", "10.0.0.1, 10.0.0.2"] },
    },
  ])("refuses $why", ({ options, request }) => {
    expect(() => read(request, options)).toThrow(expect.objectContaining({ name: "InputError" }));
  });
});
