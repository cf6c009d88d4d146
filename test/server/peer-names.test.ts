import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { spiffeId, uriNames } from "../../src/server/peer-names.ts";

const namesIn = (file: string): string =>
  new X509Certificate(readFileSync(join(import.meta.dirname, "../fixtures/mtls", file))).subjectAltName ?? "";

describe("names in a certificate", () => {
  test.for([
    { text: "", uris: [] },
    { text: "DNS:a.test, URI:spiffe://a/b, IP Address:10.0.0.1", uris: ["spiffe://a/b"] },
    { text: 'URI:"spiffe://a/x\\u002c URI:spiffe://a/b", DNS:c', uris: ["spiffe://a/x, URI:spiffe://a/b"] },
    { text: 'DNS:"a, URI:spiffe://a/b, x"', uris: [] },
    { text: 'URI:"open', uris: undefined },
    { text: 'URI:"\\x"', uris: undefined },
    { text: 'URI:"a"b', uris: undefined },
    { text: "no colon", uris: undefined },
  ])("$text", ({ text, uris }) => {
    expect(uriNames(text)).toEqual(uris);
  });

  test.for([
    { file: "gateway.pem", id: "spiffe://cluster.local/ns/istio-system/sa/gateway" },
    { file: "server.pem", id: undefined }, // no URI
    { file: "two-names.pem", id: undefined }, // X.509-SVID section 2: exactly one URI
    { file: "comma.pem", id: "spiffe://cluster.local/ns/x, URI:spiffe://cluster.local/ns/istio-system/sa/gateway" }, // CVE-2021-44532
  ])("the SPIFFE ID of $file", ({ file, id }) => {
    expect(spiffeId(namesIn(file))).toBe(id);
  });
});
