import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { tokenBuiltins } from "../../../src/rego/builtins/tokens.ts";
import { tokenSignBuiltins } from "../../../src/rego/builtins/tokensign.ts";
import type { Value } from "../../../src/rego/value/index.ts";
import { builtinContext, caller } from "../../support/builtin-context.ts";

const call = caller(tokenSignBuiltins);
const verify = caller(tokenBuiltins);
const secret = { kty: "oct", k: "c2VjcmV0" }; // "secret"

describe("io.jwt.encode_sign_raw", () => {
  test("RFC 7515 appendix A.1", () => {
    const key =
      '{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}';
    const payload = '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}';
    expect(call("io.jwt.encode_sign_raw", '{"typ":"JWT",\r\n "alg":"HS256"}', payload, key)).toBe(
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." +
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." +
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    );
  });

  // OPA v1/topdown/tokens.go, commonBuiltinJWTEncodeSign
  test.for([
    ["", "{}", `missing or invalid 'alg' header: cannot parse JSON: cannot parse empty string; unparsed tail: ""`],
    ["{}", "{}", `missing or invalid 'alg' header: jwsbb: header "alg" not found`],
    ["e", "{}", `missing or invalid 'alg' header: jwsbb: header "alg" not found`],
    ['{"alg":1}', "{}", "missing or invalid 'alg' header: value doesn't contain string; it contains number"],
    ['{"alg":"none"}', "{}", "unknown JWS algorithm: none"],
    ['{"alg":"HS256"}', "x", "type is JWT but payload is not JSON"],
    ['{"alg":"HS256","typ":"JWT"}', "", "type is JWT but payload is not JSON"],
    ['{"alg":"RS256"}', "{}", "jwsbb.Sign: invalid key type *jwk.symmetricKey. *rsa.PrivateKey is required"],
  ] as const)("refuses header %s with payload %s", ([header, payload, message]) => {
    expect(() => call("io.jwt.encode_sign_raw", header, payload, JSON.stringify(secret))).toThrow(message);
  });

  test("another media type needs no JSON", () => {
    expect(call("io.jwt.encode_sign_raw", '{"alg":"HS256","typ":"text/plain"}', "e", JSON.stringify(secret))).toMatch(
      /\.ZQ\./,
    );
  });

  test.for([
    ["x", "jwk.ParseKey: jwk.Parse: failed to probe data: probe: failed to unmarshal data: invalid character 'x'"],
    ['{"keys":[]}', "no keys found in JWK set"],
    ['{"kty":"oct","k":""}', 'jwk.SymmetricKey: missing "k" field'],
  ] as const)("refuses the key %s", ([key, message]) => {
    expect(() => call("io.jwt.encode_sign_raw", '{"alg":"HS256"}', "{}", key)).toThrow(message);
  });
});

describe("io.jwt.encode_sign", () => {
  test("marshals as Go does", () => {
    const token = call("io.jwt.encode_sign", { alg: "HS256" }, { b: "<&>", a: 1 }, secret) as string;
    expect(Buffer.from(token.split(".")[1] as string, "base64url").toString()).toBe(
      '{"a":1,"b":"\\u003c\\u0026\\u003e"}',
    );
  });

  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ed25519 = generateKeyPairSync("ed25519");
  test.for([
    ["rs256", "RS256", rsa],
    ["ps384", "PS384", rsa],
    ["es256", "ES256", p256],
    ["eddsa", "EdDSA", ed25519],
  ] as const)("io.jwt.verify_%s verifies what it signs", ([name, alg, pair]) => {
    const jwk = pair.privateKey.export({ format: "jwk" }) as Value;
    const pem = pair.publicKey.export({ format: "pem", type: "spki" }) as string;
    const token = call("io.jwt.encode_sign", { alg }, { sub: "a" }, jwk) as string;
    expect(verify(`io.jwt.verify_${name}`, token, pem)).toBe(true);
    expect(verify("io.jwt.decode_verify", token, { cert: pem })).toEqual([true, { alg }, { sub: "a" }]);
  });

  test("an RSA key may leave out what follows from its primes", () => {
    const { dp: _dp, dq: _dq, qi: _qi, ...jwk } = rsa.privateKey.export({ format: "jwk" });
    const full = rsa.privateKey.export({ format: "jwk" }) as Value;
    const short = call("io.jwt.encode_sign", { alg: "RS256" }, {}, jwk as Value);
    expect(short).toBe(call("io.jwt.encode_sign", { alg: "RS256" }, {}, full));
  });

  test("one query sees one randomly signed token", () => {
    const jwk = p256.privateKey.export({ format: "jwk" }) as Value;
    const context = builtinContext();
    const once = caller(tokenSignBuiltins, context);
    const first = once("io.jwt.encode_sign", { alg: "ES256" }, {}, jwk);
    expect(once("io.jwt.encode_sign", { alg: "ES256" }, {}, jwk)).toBe(first);
    expect(call("io.jwt.encode_sign", { alg: "ES256" }, {}, jwk)).not.toBe(first);
  });
});
