import { ALGORITHMS, type Algorithm, createSignature, JwtError, type Key, readJwkSet } from "../../jwt/index.ts";
import { type BuiltinContext, BuiltinError } from "../runtime/index.ts";
import {
  getKey,
  isObject,
  JsonSyntaxError,
  type ObjectValue,
  parseJson,
  toJsonText,
  typeName,
  type Value,
} from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";

const stringKeyed = operands.of<ObjectValue>(types.object(types.string), "object");
const tokenResult = result("output", types.string, "the signed token in compact serialization");

const encodeSign = defineBuiltin({
  name: "io.jwt.encode_sign",
  category: "tokensign",
  about: "Encodes and signs a JSON Web Token whose parts are given as objects.",
  args: [
    arg("headers", stringKeyed, "JWS protected header"),
    arg("payload", stringKeyed, "JWS payload"),
    arg("key", stringKeyed, "JSON Web Key (RFC 7517)"),
  ],
  result: tokenResult,
  nondeterministic: true,
  call: (context, headers, payload, key) => signToken(context, marshal(headers), marshal(payload), marshal(key)),
});

const encodeSignRaw = defineBuiltin({
  name: "io.jwt.encode_sign_raw",
  category: "tokensign",
  about: "Encodes and signs a JSON Web Token whose parts are given as JSON text, which is signed as it stands.",
  args: [
    arg("headers", operands.string, "JWS protected header"),
    arg("payload", operands.string, "JWS payload"),
    arg("key", operands.string, "JSON Web Key (RFC 7517)"),
  ],
  result: tokenResult,
  nondeterministic: true,
  call: (context, headers, payload, key) => signToken(context, headers, payload, key),
});

/** OPA v1/topdown/tokens.go, commonBuiltinJWTEncodeSign: key first, then header, then payload. */
function signToken(context: BuiltinContext, headers: string, payload: string, jwk: string): string {
  const key = readSigningKey(jwk);
  const parsed = parseHeaders(headers);
  const name = headerText(parsed, "alg");
  if ("error" in name) throw new BuiltinError(`missing or invalid 'alg' header: ${name.error}`);
  const algorithm = ALGORITHMS.get(name.text);
  if (algorithm === undefined) throw new BuiltinError(`unknown JWS algorithm: ${name.text}`);
  const typ = headerText(parsed, "typ");
  if (("error" in typ || typ.text === "JWT") && !isJson(payload)) {
    throw new BuiltinError("type is JWT but payload is not JSON");
  }
  const signed = `${Buffer.from(headers).toString("base64url")}.${Buffer.from(payload).toString("base64url")}`;
  if (isDeterministic(algorithm)) return `${signed}.${signatureOf(algorithm, key, signed)}`;
  // One query must see one token, however often its evaluation is resumed.
  const memoKey = `io.jwt.encode_sign ${signed} ${jwk}`;
  const known = context.memo.get(memoKey);
  if (typeof known === "string") return known;
  const token = `${signed}.${signatureOf(algorithm, key, signed)}`;
  context.memo.set(memoKey, token);
  return token;
}

function isDeterministic({ name }: Algorithm): boolean {
  return !name.startsWith("PS") && !name.startsWith("ES");
}

function signatureOf(algorithm: Algorithm, key: Key, signed: string): string {
  try {
    return Buffer.from(createSignature(algorithm, key, Buffer.from(signed))).toString("base64url");
  } catch (error) {
    throw error instanceof JwtError ? new BuiltinError(error.message) : error;
  }
}

function readSigningKey(jwk: string): Key {
  let keys: readonly Key[];
  try {
    keys = readJwkSet(parseJson(jwk));
  } catch (error) {
    if (error instanceof JwtError) throw new BuiltinError(error.message);
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw new BuiltinError(
      "jwk.Parse: failed to parse sole key: jwk.ParseKey: jwk.Parse: failed to probe data: " +
        `probe: failed to unmarshal data: ${error.message}`,
    );
  }
  const [key] = keys;
  if (key === undefined) throw new BuiltinError("no keys found in JWK set");
  return key;
}

type Parsed = { readonly value: Value } | { readonly error: string };

function parseHeaders(text: string): Parsed {
  if (text.trim() === "") return { error: 'cannot parse JSON: cannot parse empty string; unparsed tail: ""' };
  // OPA's header reader takes any run of number characters for a number, and a number has no members.
  if (/^[-+.0-9eE]+$/.test(text.trim())) return { value: 0 };
  try {
    return { value: parseJson(text) };
  } catch (error) {
    if (error instanceof JsonSyntaxError) return { error: `cannot parse JSON: ${error.message}` };
    throw error;
  }
}

function headerText(headers: Parsed, name: string): { readonly text: string } | { readonly error: string } {
  if ("error" in headers) return headers;
  const value = isObject(headers.value) ? getKey(headers.value, name) : undefined;
  if (value === undefined) return { error: `jwsbb: header "${name}" not found` };
  if (typeof value === "string") return { text: value };
  return { error: `value doesn't contain string; it contains ${typeName(value)}` };
}

function isJson(text: string): boolean {
  try {
    parseJson(text);
    return true;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return false;
    throw error;
  }
}

/** JSON as Go's encoding/json writes it: `<`, `>`, `&` and the two line separators escaped. */
function marshal(value: Value): string {
  return toJsonText(value).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Signing JSON Web Tokens. @source OPA v1/topdown/tokens.go */
export const tokenSignBuiltins: readonly Builtin[] = [encodeSign, encodeSignRaw];
