import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { KeySetError, readKeySet } from "../../src/identity/key-set.ts";
import { keySetOf, makeKey } from "../support/identity.ts";

const ec = makeKey("ec");
const rsa = makeKey("rsa", "RS256");
const remote = { maxKeys: 10, isRemote: true };
const set = (...keys: readonly unknown[]) => JSON.stringify({ keys });

describe("readKeySet", () => {
  test("binds keys to algorithms by what they are", () => {
    const { alg: _rsaAlg, ...unboundRsa } = rsa.jwk;
    const { alg: _ecAlg, ...unboundEc } = ec.jwk;
    const keys = readKeySet(set(rsa.jwk, unboundRsa, unboundEc), remote).keys.map(({ algorithms }) => algorithms);
    expect(keys).toEqual([["RS256"], ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], ["ES256"]]);
  });

  test("a single key is a set of one", () => {
    expect(readKeySet(JSON.stringify(ec.jwk), remote).keys.length).toBe(1);
  });

  test.for([
    ["of another use", { ...ec.jwk, use: "enc" }],
    ["for other operations", { ...ec.jwk, key_ops: ["sign"] }],
    ["of an unknown type", { kty: "XYZ" }],
    ["bound to an algorithm that does not fit", { ...ec.jwk, alg: "RS256" }],
    ["on no curve", { ...ec.jwk, x: rsa.jwk["n"] }],
    ["that is weak", generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ format: "jwk" })],
    ["with exponent 1", { ...rsa.jwk, e: "AQ" }],
    ["that is no object", 1],
  ] as const)("passes over a key %s", ([, jwk]) => {
    expect(readKeySet(set(jwk, ec.jwk), remote).keys.map(({ kid }) => kid)).toEqual(["ec"]);
  });

  test.for([
    ["private keys", set(ec.privateKey.export({ format: "jwk" })), "gives away"],
    ["symmetric keys", set({ kty: "oct", k: "c2VjcmV0" }), "gives away"],
    ["too many keys", set(...Array.from({ length: 11 }, () => ec.jwk)), "has 11 keys"],
    ["no key that can be used", set({ kty: "XYZ" }), "no key that can be used"],
    ["an empty set", set(), "no key that can be used"],
    ["something else", "[]", "not a JWK Set"],
    ["what is not JSON", "<html>", "not acceptable JSON"],
    ["repeated members", '{"keys": [], "keys": []}', "a member name is repeated"],
    ["deep nesting", `{"keys": ${"[".repeat(100)}${"]".repeat(100)}}`, "nested more than 16"],
  ] as const)("refuses %s from elsewhere", ([, text, message]) => {
    expect(() => readKeySet(text, remote)).toThrow(KeySetError);
    expect(() => readKeySet(text, remote)).toThrow(message);
  });

  test("symmetric keys may be written in the policy", () => {
    const keys = readKeySet(set({ kty: "oct", k: "c2VjcmV0", kid: "s" }), { maxKeys: 1, isRemote: false }).keys;
    expect(keys.map(({ algorithms }) => algorithms)).toEqual([["HS256", "HS384", "HS512"]]);
  });

  test("a key has the same id in every set", () => {
    const first = readKeySet(keySetOf(ec, rsa), remote);
    const second = readKeySet(keySetOf(rsa, ec), remote);
    expect([...first.ids].sort()).toEqual([...second.ids].sort());
  });
});
