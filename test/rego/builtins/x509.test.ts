import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { x509Builtins } from "../../../src/rego/builtins/x509.ts";
import type { Value } from "../../../src/rego/value/index.ts";
import { builtinContext, caller } from "../../support/builtin-context.ts";

const call = caller(x509Builtins, builtinContext({ nowNs: 1_900_000_000_000_000_000n }));
const fixture = (name: string) => readFileSync(new URL(`../../fixtures/x509/${name}`, import.meta.url), "utf8");
const [root, leaf, other, request] = ["root.pem", "leaf.pem", "other.pem", "leaf.csr"].map(fixture) as [
  string,
  string,
  string,
  string,
];
const base64 = (text: string) => Buffer.from(text).toString("base64");
const derOf = (pem: string) => pem.replace(/-----[^-]+-----|\n/g, "");

describe("crypto.x509.parse_certificates", () => {
  test.for([
    ["PEM", leaf],
    ["base64 of PEM", base64(leaf)],
    ["base64 of DER", derOf(leaf)],
  ] as const)("reads %s", ([, text]) => {
    // Go's x509.Certificate as encoding/json writes it.
    expect((call("crypto.x509.parse_certificates", text) as Value[])[0]).toMatchObject({
      Subject: { CommonName: "leaf.example.com", Organization: null, Names: [{ Type: [2, 5, 4, 3] }] },
      Issuer: { CommonName: "Example Root", Country: ["DE"], Organization: ["Example"] },
      SerialNumber: 4660,
      Version: 3,
      SignatureAlgorithm: 10,
      PublicKeyAlgorithm: 3,
      PublicKey: { Curve: {} },
      KeyUsage: 1,
      ExtKeyUsage: [1, 2],
      BasicConstraintsValid: true,
      IsCA: false,
      MaxPathLen: -1,
      DNSNames: ["leaf.example.com", "*.wild.example.com"],
      IPAddresses: ["10.0.0.1"],
      URIStrings: ["spiffe://example.com/ns/a/sa/b"],
      URIs: [{ Scheme: "spiffe", Host: "example.com", Path: "/ns/a/sa/b", Opaque: "" }],
      EmailAddresses: null,
      PolicyIdentifiers: null,
    });
  });

  test("reads several, in order", () => {
    expect(call("crypto.x509.parse_certificates", root + leaf)).toMatchObject([
      { Subject: { CommonName: "Example Root" }, IsCA: true, MaxPathLen: 0, MaxPathLenZero: true },
      { Subject: { CommonName: "leaf.example.com" } },
    ]);
  });

  // OPA v1/topdown/crypto.go and Go's crypto/x509
  test.for([
    [fixture("leaf.key"), "PEM block type is 'PRIVATE KEY', expected CERTIFICATE"],
    ["!", "illegal base64 data at input byte 0"],
    [base64("junk"), "x509: malformed certificate"],
    [derOf(leaf).slice(0, 400), "x509: malformed certificate"],
  ] as const)("refuses %#", ([text, message]) => {
    expect(() => call("crypto.x509.parse_certificates", text)).toThrow(message);
  });
});

describe("crypto.x509.parse_and_verify_certificates", () => {
  const verifies = (certs: string) => (call("crypto.x509.parse_and_verify_certificates", certs) as Value[])[0];

  test("gives the chain from leaf to root", () => {
    expect(call("crypto.x509.parse_and_verify_certificates", root + leaf)).toMatchObject([
      true,
      [{ Subject: { CommonName: "leaf.example.com" } }, { Subject: { CommonName: "Example Root" } }],
    ]);
  });

  test.for([
    ["leaf before root", leaf + root, false],
    ["root alone", root, false],
    ["another root", other + leaf, false],
    ["an unrelated certificate between", root + other + leaf, true],
    ["what is no certificate", "junk", false],
  ] as const)("%s: %s", ([, certs, want]) => {
    expect(verifies(certs)).toBe(want);
  });
});

describe("crypto.x509.parse_and_verify_certificates_with_options", () => {
  const name = "crypto.x509.parse_and_verify_certificates_with_options";
  test.for([
    [{}, true],
    [{ DNSName: "leaf.example.com" }, true],
    [{ DNSName: "LEAF.example.com" }, true],
    [{ DNSName: "a.wild.example.com" }, true],
    [{ DNSName: "a.b.wild.example.com" }, false],
    [{ DNSName: "wild.example.com" }, false],
    [{ DNSName: "10.0.0.1" }, true],
    [{ DNSName: "10.0.0.2" }, false],
    [{ KeyUsages: ["KeyUsageClientAuth"] }, true],
    [{ KeyUsages: ["KeyUsageCodeSigning"] }, false],
    [{ KeyUsages: ["KeyUsageCodeSigning", "KeyUsageAny"] }, true],
    [{ CurrentTime: 1 }, false],
  ] as const)("%j: %s", ([options, want]) => {
    expect((call(name, root + leaf, options as Value) as Value[])[0]).toBe(want);
  });

  test.for([
    [{ DNSName: 1 }, "'DNSName' should be a string"],
    [{ CurrentTime: "1" }, "'CurrentTime' should be a number"],
    [{ CurrentTime: 0.5 }, "'CurrentTime' should be a valid int64 number"],
    [{ KeyUsages: "x" }, "'KeyUsages' should be an Array or Set"],
    [{ KeyUsages: ["x", "y"] }, "invalid entries for 'KeyUsages' found: [x y]"],
    [{ MaxConstraintComparisons: "1" }, "'MaxConstraintComparisons' should be a number"],
    [{ foo: 1 }, "invalid key option"],
  ] as const)("refuses %j", ([options, message]) => {
    expect(() => call(name, root + leaf, options as Value)).toThrow(message);
  });
});

describe("crypto.x509.parse_certificate_request", () => {
  test.for([
    ["PEM", request],
    ["base64 of PEM", base64(request)],
    ["base64 of DER", derOf(request)],
  ] as const)("reads %s", ([, text]) => {
    expect(call("crypto.x509.parse_certificate_request", text)).toMatchObject({
      Subject: { CommonName: "leaf.example.com" },
      DNSNames: ["leaf.example.com", "*.wild.example.com"],
      Version: 0,
      Attributes: [{ Type: [1, 2, 840, 113549, 1, 9, 14] }],
      Extensions: [{ Id: [2, 5, 29, 17], Critical: false }],
    });
  });

  test.for([
    [base64(leaf), "invalid PEM-encoded certificate signing request"],
    ["!", "illegal base64 data at input byte 0"],
    [base64("junk"), "asn1: structure error"],
  ] as const)("refuses %#", ([text, message]) => {
    expect(() => call("crypto.x509.parse_certificate_request", text)).toThrow(message);
  });
});

describe("crypto.x509.parse_keypair", () => {
  test.for([
    ["PEM", leaf, fixture("leaf.key")],
    ["base64 of PEM", base64(leaf), base64(fixture("leaf.key"))],
    ["base64 of DER", derOf(leaf), derOf(fixture("leaf.key"))],
  ] as const)("reads %s", ([, cert, key]) => {
    expect(call("crypto.x509.parse_keypair", cert, key)).toMatchObject({
      Certificate: [derOf(leaf)],
      Leaf: { Subject: { CommonName: "leaf.example.com" } },
      PrivateKey: { Curve: {} },
      OCSPStaple: null,
    });
  });

  // Go's crypto/tls, X509KeyPair
  test.for([
    [leaf, fixture("other.key"), "tls: private key type does not match public key type"],
    [root, fixture("leaf.key"), "tls: private key does not match public key"],
    [
      fixture("leaf.key"),
      fixture("leaf.key"),
      "tls: failed to find certificate PEM data in certificate input, but did",
    ],
    [leaf, leaf, "tls: found a certificate rather than a key in the PEM for the private key"],
  ] as const)("refuses %#", ([cert, key, message]) => {
    expect(() => call("crypto.x509.parse_keypair", cert, key)).toThrow(message);
  });
});

describe("private keys", () => {
  test("crypto.parse_private_keys", () => {
    expect(call("crypto.parse_private_keys", "")).toBe(null);
    expect(call("crypto.parse_private_keys", "no keys")).toEqual([]);
    expect(call("crypto.parse_private_keys", fixture("leaf.key") + fixture("other.key"))).toMatchObject([
      { Curve: {} },
      expect.stringMatching(/^[A-Za-z0-9+/]{86}==$/),
    ]);
  });

  test("crypto.x509.parse_rsa_private_key", () => {
    expect(call("crypto.x509.parse_rsa_private_key", base64(fixture("leaf.key")))).toMatchObject({
      kty: "EC",
      crv: "P-256",
    });
    expect(call("crypto.x509.parse_rsa_private_key", leaf)).toBe(null);
    expect(() => call("crypto.x509.parse_rsa_private_key", "")).toThrow("input PEM data was empty");
    expect(() => call("crypto.x509.parse_rsa_private_key", "!")).toThrow("illegal base64 data at input byte 0");
  });
});
