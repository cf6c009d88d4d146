import { createHmac, createSign, generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, test } from "vitest";
import { tokenBuiltins } from "../../../src/rego/builtins/tokens.ts";
import type { Value } from "../../../src/rego/value/index.ts";
import { caller } from "../../support/builtin-context.ts";

const call = caller(tokenBuiltins);
const NOW_SEC = 1_700_000_000; // the test context's clock

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const rsaPem = rsa.publicKey.export({ format: "pem", type: "spki" }) as string;
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });

function part(value: unknown): string {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
}

function hs256(header: unknown, payload: unknown, secret: string): string {
  const signed = `${part(header)}.${part(payload)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

function rs256(header: unknown, payload: unknown): string {
  const signed = `${part(header)}.${part(payload)}`;
  return `${signed}.${createSign("sha256").update(signed).sign(rsa.privateKey, "base64url")}`;
}

describe("io.jwt.decode", () => {
  test("gives header, payload and signature in hexadecimal", () => {
    const token = `${part({ alg: "HS256" })}.${part({ sub: "alice" })}.${part("sig")}`;
    expect(call("io.jwt.decode", token)).toEqual([{ alg: "HS256" }, { sub: "alice" }, "736967"]);
  });

  test("unwraps nested tokens", () => {
    const inner = `${part({ alg: "none" })}.${part({ sub: "bob" })}.`;
    expect(call("io.jwt.decode", `${part({ cty: "JWT" })}.${part(`"${inner}"`)}.`)).toEqual([
      { alg: "none" },
      { sub: "bob" },
      "",
    ]);
  });

  // OPA v1/topdown/tokens.go, decodeJWT and builtinJWTDecode
  test.for([
    ["no period", "abc", "encoded JWT had no period separators"],
    ["two parts", "a.b", "encoded JWT must have 3 sections, found 2"],
    ["a JWE", `${part({ enc: "A128GCM" })}.e30.`, "JWT is a JWE object, which is not supported"],
    ["bad base64", "e3!.e30.", "JWT header had invalid encoding: illegal base64 data at input byte 2"],
    ["an impossible length", "e30aa.e30.", "JWT header had invalid encoding: illegal base64url string: e30aa"],
    ["a header that is no JSON", `${part("x")}.e30.`, "bad JWT header: invalid JSON: invalid character 'x' looking"],
    ["a header that is no object", `${part("[]")}.e30.`, "bad JWT header: decoded JSON type was not an Object"],
    ["a payload that is no object", `e30.${part("1")}.`, "decoded JSON type was not an Object"],
  ] as const)("refuses %s", ([, token, message]) => {
    expect(() => call("io.jwt.decode", token)).toThrow(message);
  });

  test("keeps `__proto__` an ordinary member", () => {
    const decoded = call("io.jwt.decode", `e30.${part('{"__proto__": {"admin": true}}')}.`) as Value[];
    expect(Object.hasOwn(decoded[1] as object, "__proto__")).toBe(true);
    expect((decoded[1] as { admin?: boolean }).admin).toBeUndefined();
  });

  test("bounds nesting", () => {
    let token = "e30.e30.";
    for (let i = 0; i < 20; i++) token = `${part({ cty: "JWT" })}.${part(token)}.`;
    expect(() => call("io.jwt.decode", token)).toThrow("JWT is nested too deeply");
  });
});

describe("io.jwt.verify_*", () => {
  test("verifies against PEM, JWK and JWK Set", () => {
    const token = rs256({ alg: "RS256", kid: "k1" }, {});
    const jwk = rsa.publicKey.export({ format: "jwk" });
    expect(call("io.jwt.verify_rs256", token, rsaPem)).toBe(true);
    expect(call("io.jwt.verify_rs256", token, JSON.stringify(jwk))).toBe(true);
    expect(call("io.jwt.verify_rs256", token, JSON.stringify({ keys: [{ ...jwk, kid: "k1" }] }))).toBe(true);
  });

  test("a second verification of a good token comes from the cache and a changed token does not", () => {
    const token = rs256({ alg: "RS256" }, { sub: "a" });
    const forged = `${token.split(".")[0]}.${part({ sub: "root" })}.${token.split(".")[2]}`;
    expect(call("io.jwt.verify_rs256", token, rsaPem)).toBe(true);
    expect(call("io.jwt.verify_rs256", token, rsaPem)).toBe(true);
    expect(call("io.jwt.verify_rs256", forged, rsaPem)).toBe(false);
    expect(call("io.jwt.verify_ps256", token, rsaPem)).toBe(false);
  });

  test("an RSA public key is never an HMAC secret", () => {
    const token = hs256({ alg: "HS256" }, { sub: "root" }, rsaPem);
    expect(call("io.jwt.verify_rs256", token, rsaPem)).toBe(false);
    expect(call("io.jwt.decode_verify", token, { cert: rsaPem })).toEqual([false, {}, {}]);
  });

  test("with a matching key id only that key counts", () => {
    const other = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "jwk" });
    const own = rsa.publicKey.export({ format: "jwk" });
    const set = JSON.stringify({
      keys: [
        { ...other, kid: "a" },
        { ...own, kid: "b" },
      ],
    });
    expect(call("io.jwt.verify_rs256", rs256({ alg: "RS256", kid: "a" }, {}), set)).toBe(false);
    expect(call("io.jwt.verify_rs256", rs256({ alg: "RS256", kid: "b" }, {}), set)).toBe(true);
    expect(call("io.jwt.verify_rs256", rs256({ alg: "RS256", kid: "unknown" }, {}), set)).toBe(true);
  });

  test("keys bound to another algorithm are passed over", () => {
    const jwk = { ...rsa.publicKey.export({ format: "jwk" }), alg: "RS512" };
    expect(call("io.jwt.verify_rs256", rs256({ alg: "RS256" }, {}), JSON.stringify(jwk))).toBe(false);
  });

  test("ES256 signatures are r || s, never DER", () => {
    const signed = `${part({ alg: "ES256" })}.${part({})}`;
    const pem = ec.publicKey.export({ format: "pem", type: "spki" }) as string;
    const raw = sign("sha256", Buffer.from(signed), { key: ec.privateKey, dsaEncoding: "ieee-p1363" });
    const der = sign("sha256", Buffer.from(signed), ec.privateKey);
    expect(call("io.jwt.verify_es256", `${signed}.${raw.toString("base64url")}`, pem)).toBe(true);
    expect(call("io.jwt.verify_es256", `${signed}.${der.toString("base64url")}`, pem)).toBe(false);
    expect(call("io.jwt.verify_es256", `${signed}.${Buffer.alloc(64).toString("base64url")}`, pem)).toBe(false);
  });

  // OPA v1/topdown/tokens.go, getKeysFromCertOrJWK
  test.for([
    [`${rsaPem}x`, "extra data after a PEM certificate block"],
    ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "failed to parse a PEM certificate: x509:"],
    ["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "failed to parse a PEM public key:"],
    ["-----BEGIN RSA KEY-----\nAAAA\n-----END RSA KEY-----", "failed to extract a Key from the PEM certificate"],
    ["bad", "failed to unmarshal data: invalid character 'b' looking for beginning of value"],
    ["{}", "jwk.Parse: failed to parse sole key: jwk.ParseKey: invalid key type from JSON ()"],
    ['{"keys":[{"kty":"RSA"}]}', 'failed to decode key #0 in "keys": jwk.ParseKey: failed to unmarshal JSON'],
    ['{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}', 'invalid "x" length (3) for curve "P-256"'],
    ['{"kty":"oct","k":"aaaa","alg":"foo"}', 'invalid key value: "foo": invalid key algorithm'],
  ] as const)("refuses the key %#", ([key, message]) => {
    expect(() => call("io.jwt.verify_rs256", rs256({ alg: "RS256" }, {}), key)).toThrow(message);
  });
});

describe("io.jwt.verify_hs*", () => {
  test.for([
    ["secret", true],
    ["other", false],
    ["", false],
  ] as const)("with secret %j: %s", ([secret, want]) => {
    expect(call("io.jwt.verify_hs256", hs256({ alg: "HS256" }, {}, "secret"), secret)).toBe(want);
  });
});

describe("io.jwt.decode_verify", () => {
  const secret = "s3cret";
  const verified = (header: object, payload: object, constraints: object = {}) =>
    (call("io.jwt.decode_verify", hs256(header, payload, secret), { secret, ...constraints } as Value) as Value[])[0];
  const header = { alg: "HS256" };

  test.for([
    ["no claims", {}, {}, true],
    ["exp ahead", { exp: NOW_SEC + 1 }, {}, true],
    ["exp now", { exp: NOW_SEC }, {}, false],
    ["nbf now", { nbf: NOW_SEC }, {}, true],
    ["nbf ahead", { nbf: NOW_SEC + 0.5 }, {}, false],
    ["exp ahead of a given time", { exp: 100 }, { time: 99_000_000_000 }, true],
    ["iss as wanted", { iss: "me" }, { iss: "me" }, true],
    ["iss of another", { iss: "you" }, { iss: "me" }, false],
    ["iss missing", {}, { iss: "me" }, false],
    ["iss of the wrong type", { iss: ["me"] }, { iss: "me" }, false],
    ["aud not asked for", { aud: "a" }, {}, false],
    ["aud as wanted", { aud: "a" }, { aud: "a" }, true],
    ["aud in a list", { aud: ["b", "a"] }, { aud: "a" }, true],
    ["aud missing", {}, { aud: "a" }, false],
    ["alg as wanted", {}, { alg: "HS256" }, true],
    ["another alg", {}, { alg: "HS512" }, false],
  ] as const)("%s", ([, payload, constraints, want]) => {
    expect(verified(header, payload, constraints)).toBe(want);
  });

  test.for([
    ["no alg", {}],
    ["alg none", { alg: "none" }],
    ["alg of another case", { alg: "hs256" }],
    ["an unknown critical parameter", { alg: "HS256", crit: ["b64"], b64: false }],
  ] as const)("a header with %s does not verify", ([, bad]) => {
    expect(verified(bad, {})).toBe(false);
  });

  test.for([
    [{ alg: null }, "alg: must be a string"],
    [{ alg: ["HS256"] }, "alg: must be a string"],
    [{ alg: "HS256", kid: null }, "kid: must be a string"],
  ] as const)("refuses the header %j", ([bad, message]) => {
    expect(() => verified(bad, {})).toThrow(message);
  });

  test.for([
    [{}, "no key constraint"],
    [{ cert: rsaPem, secret: "x" }, "duplicate key constraints"],
    [{ cert: 1 }, "cert constraint: must be a string"],
    [{ secret: 1 }, "secret constraint: must be a string"],
    [{ secret: "x", time: "1" }, "token time constraint: must be a number"],
    [{ secret: "x", time: -1 }, "token time constraint: must not be negative"],
    [{ secret: "x", foo: 1 }, "unknown token validation constraint: foo"],
  ] as const)("refuses the constraints %j", ([constraints, message]) => {
    expect(() => call("io.jwt.decode_verify", hs256(header, {}, secret), constraints)).toThrow(message);
  });

  test.for([
    [{ exp: "1" }, "exp value must be a number"],
    [{ nbf: null }, "nbf value must be a number"],
  ] as const)("refuses the claims %j", ([payload, message]) => {
    expect(() => verified(header, payload)).toThrow(message);
  });

  test("a private key stands for its public one", () => {
    const cert = JSON.stringify(rsa.privateKey.export({ format: "jwk" }));
    expect(call("io.jwt.decode_verify", rs256({ alg: "RS256" }, { a: 1 }), { cert })).toEqual([
      true,
      { alg: "RS256" },
      { a: 1 },
    ]);
  });
});
