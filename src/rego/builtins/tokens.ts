import { createSecretKey } from "node:crypto";
import { trimBoth } from "../../base/index.ts";
import {
  ALGORITHMS,
  type Algorithm,
  decodePart,
  JwtError,
  type Key,
  type KeyRing,
  MAX_CACHED_TOKEN_LENGTH,
} from "../../jwt/index.ts";
import { publicKeyOf, readKeyRing, type SignatureOptions, splitToken, verifySignature } from "../../jwt/index.ts";
import { BuiltinError } from "../runtime/index.ts";
import {
  compareNumbers,
  getKey,
  isArray,
  isNumber,
  isObject,
  JsonSyntaxError,
  type JsonObject,
  type ObjectValue,
} from "../value/index.ts";
import { numberText, parseJson, sortedKeys, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";

const tokenArg = arg("jwt", operands.string, "token in compact serialization");
const keyArg = arg(
  "certificate",
  operands.string,
  "PEM certificate, PEM public key, JWK or JWK Set to verify the signature with",
);
const decodedResult = types.tuple(types.boolean, types.object(), types.object());
const EMPTY: JsonObject = Object.freeze({});
const UNVERIFIED: Value = Object.freeze([false, EMPTY, EMPTY]);
/** Nested tokens (`cty: "JWT"`) deeper than this are refused. */
const MAX_NESTING = 16;

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

const decode = defineBuiltin({
  name: "io.jwt.decode",
  category: "tokens",
  about: "Decodes a JSON Web Token without verifying it.",
  args: [tokenArg],
  result: result(
    "output",
    types.tuple(types.object(), types.object(), types.string),
    "`[header, payload, sig]`; `sig` is the signature in hexadecimal",
  ),
  call: (_context, jwt) => refusing(() => decodeToken(jwt, 0)),
});

function decodeToken(jwt: string, depth: number): Value {
  const token = splitToken(jwt);
  const header = decodeHeader(token.header);
  const payload = utf8.decode(decodePart(token.payload, "JWT payload"));
  const cty = getKey(header, "cty");
  if (cty !== undefined && typeof cty !== "string") throw new BuiltinError("cty: must be a string");
  if (cty === "JWT") {
    if (depth >= MAX_NESTING) throw new BuiltinError("JWT is nested too deeply");
    return decodeToken(trimBoth(payload, "\"'"), depth + 1);
  }
  const claims = readObject(payload);
  const signature = decodePart(token.signature, "JWT signature");
  return [header, claims, Buffer.from(signature).toString("hex")];
}

function verifier(name: string, algorithmName: string): Builtin {
  const algorithm = ALGORITHMS.get(algorithmName) as Algorithm;
  return defineBuiltin({
    name: `io.jwt.verify_${name}`,
    category: "tokens",
    about: `Whether the ${algorithmName} signature of a JSON Web Token is valid.`,
    args: [tokenArg, keyArg],
    result: result("result", types.boolean, "`true` if the signature is valid, else `false`"),
    call: (_context, jwt, certificate) => refusing(() => verifyWithKeys(algorithm, jwt, certificate)),
  });
}

/** OPA gives PSS signatures with any salt length a pass here, though not in decode_verify. */
const LENIENT: SignatureOptions = { anySaltLength: true };

function verifyWithKeys(algorithm: Algorithm, jwt: string, certificate: string): boolean {
  const token = splitToken(jwt);
  const ring = readKeyRing(certificate, parseJson);
  return once(ring, `${algorithm.name} ${jwt}`, () => {
    const signature = decodePart(token.signature);
    const header = readHeader(decodeHeader(token.header));
    const signed = Buffer.from(token.signed);
    return keysFor(ring.keys, header).some(
      (key) => key.object.type !== "private" && verifySignature(algorithm, key, signed, signature, LENIENT),
    );
  });
}

/**
 * The keys that may have signed: the first one with the header's key id if there is one, else all that are not bound to
 * another algorithm.
 */
function keysFor(keys: readonly Key[], header: TokenHeader): readonly Key[] {
  if (header.kid !== "") {
    const named = keys.find(({ kid }) => kid === header.kid);
    if (named !== undefined) return [named];
  }
  return keys.filter(({ alg }) => alg === undefined || alg === "" || alg === header.alg);
}

/** Runs a verification unless these very keys are known to have signed this very token. */
function once(ring: KeyRing, what: string, verify: () => boolean): boolean {
  if (ring.verified.get(what) === true) return true;
  const isValid = verify();
  if (isValid && what.length <= MAX_CACHED_TOKEN_LENGTH) ring.verified.set(what, true);
  return isValid;
}

function secretVerifier(name: string, algorithmName: string): Builtin {
  const algorithm = ALGORITHMS.get(algorithmName) as Algorithm;
  return defineBuiltin({
    name: `io.jwt.verify_${name}`,
    category: "tokens",
    about: `Whether the ${algorithmName} signature of a JSON Web Token is valid.`,
    args: [tokenArg, arg("secret", operands.string, "plain text secret the token was signed with")],
    result: result("result", types.boolean, "`true` if the signature is valid, else `false`"),
    call: (_context, jwt, secret) =>
      refusing(() => {
        const token = splitToken(jwt);
        const signature = decodePart(token.signature);
        return verifySignature(algorithm, secretKey(secret), Buffer.from(token.signed), signature);
      }),
  });
}

function secretKey(secret: string): Key {
  return { family: "secret", alg: undefined, kid: undefined, object: createSecretKey(Buffer.from(secret)) };
}

const decodeVerify = defineBuiltin({
  name: "io.jwt.decode_verify",
  category: "tokens",
  about:
    "Verifies a JSON Web Token's signature and claims under the given constraints, and decodes it if all hold. " +
    "Algorithms: HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA.",
  args: [
    tokenArg,
    arg(
      "constraints",
      operands.of<ObjectValue>(types.object(types.string), "object"),
      "`cert` or `secret` (exactly one), and optionally `alg`, `iss`, `aud`, `time` (nanoseconds)",
    ),
  ],
  result: result("output", decodedResult, "`[true, header, payload]` if all constraints hold, else `[false, {}, {}]`"),
  nondeterministic: true,
  call: (context, jwt, given) =>
    refusing(() => {
      const constraints = readConstraints(given, context.nowNs);
      const token = verifyNested(jwt, constraints);
      return token !== undefined && claimsHold(token.payload, constraints)
        ? [true, token.header, token.payload]
        : UNVERIFIED;
    }),
});

interface Constraints {
  ring: KeyRing | undefined;
  secret: string;
  alg: string;
  iss: string;
  aud: string;
  /** Seconds since the epoch. */
  time: number;
}

function readConstraints(given: ObjectValue, nowNs: bigint): Constraints {
  const constraints: Constraints = {
    ring: undefined,
    secret: "",
    alg: "",
    iss: "",
    aud: "",
    time: Number(nowNs) / 1e9,
  };
  for (const name of sortedKeys(given)) {
    const value = getKey(given, name) as Value;
    switch (name) {
      case "cert":
        constraints.ring = readKeyRing(constraintText(name, value), parseJson);
        break;
      case "secret":
      case "alg":
      case "iss":
      case "aud":
        constraints[name] = constraintText(name, value);
        break;
      case "time":
        constraints.time = constraintTime(value) / 1e9;
        break;
      default:
        throw new BuiltinError(`unknown token validation constraint: ${String(name)}`);
    }
  }
  if (constraints.ring !== undefined && constraints.secret !== "") throw new BuiltinError("duplicate key constraints");
  if (constraints.ring === undefined && constraints.secret === "") throw new BuiltinError("no key constraint");
  return constraints;
}

function constraintText(name: string, value: Value): string {
  if (typeof value === "string") return value;
  throw new BuiltinError(`${name} constraint: must be a string`);
}

function constraintTime(value: Value): number {
  if (!isNumber(value)) throw new BuiltinError("token time constraint: must be a number");
  const time = Number(numberText(value));
  if (!Number.isFinite(time)) throw new BuiltinError("token time constraint: unvalid float64");
  if (time < 0) throw new BuiltinError("token time constraint: must not be negative");
  return time;
}

/**
 * Verifies a token and, where `cty` says its payload is a token too, that one. Undefined if any signature, algorithm or
 * critical header is not acceptable.
 * @see RFC 7519 §7.2
 */
function verifyNested(
  jwt: string,
  constraints: Constraints,
): { header: ObjectValue; payload: ObjectValue } | undefined {
  let current = jwt;
  for (let depth = 0; depth < MAX_NESTING; depth++) {
    const token = splitToken(current);
    const decodedHeader = decodeHeader(token.header);
    const header = readHeader(decodedHeader);
    if (!isAcceptable(header)) return undefined;
    if (constraints.alg !== "" && constraints.alg !== header.alg) return undefined;
    const signature = decodePart(token.signature);
    if (!signatureHolds(constraints, header, current, token.signed, signature)) return undefined;
    const payload = utf8.decode(decodePart(token.payload, "JWT payload"));
    if (header.cty.toUpperCase() !== "JWT") return { header: decodedHeader, payload: readObject(payload) };
    current = payload;
  }
  throw new BuiltinError("JWT is nested too deeply");
}

function signatureHolds(
  { ring, secret }: Constraints,
  header: TokenHeader,
  jwt: string,
  signedText: string,
  signature: Uint8Array,
): boolean {
  const algorithm = ALGORITHMS.get(header.alg);
  if (algorithm === undefined) return false;
  const signed = Buffer.from(signedText);
  if (ring === undefined) return verifySignature(algorithm, secretKey(secret), signed, signature);
  return once(ring, jwt, () =>
    keysFor(ring.keys, header).some((key) => verifySignature(algorithm, publicKeyOf(key), signed, signature)),
  );
}

function claimsHold(payload: ObjectValue, constraints: Constraints): boolean {
  if (constraints.iss !== "" && getKey(payload, "iss") !== constraints.iss) return false;
  const aud = getKey(payload, "aud");
  if (aud === undefined ? constraints.aud !== "" : !namesAudience(aud, constraints.aud)) return false;
  const exp = numericClaim(payload, "exp");
  if (exp !== undefined && compareNumbers(constraints.time, exp) >= 0) return false;
  const nbf = numericClaim(payload, "nbf");
  return nbf === undefined || compareNumbers(constraints.time, nbf) >= 0;
}

function namesAudience(aud: Value, wanted: string): boolean {
  return isArray(aud) ? aud.includes(wanted) : aud === wanted;
}

function numericClaim(payload: ObjectValue, name: string) {
  const value = getKey(payload, name);
  if (value === undefined || isNumber(value)) return value;
  throw new BuiltinError(`${name} value must be a number`);
}

/** The header parameters that matter here; absent ones are empty. */
interface TokenHeader {
  readonly alg: string;
  readonly kid: string;
  readonly typ: string;
  readonly cty: string;
  readonly crit: readonly string[];
  readonly unknown: readonly string[];
}

const KNOWN_PARAMETERS = ["alg", "crit", "cty", "kid", "typ"];

function readHeader(header: ObjectValue): TokenHeader {
  return {
    alg: headerText(header, "alg"),
    crit: headerCrit(header),
    cty: headerText(header, "cty"),
    kid: headerText(header, "kid"),
    typ: headerText(header, "typ"),
    unknown: sortedKeys(header).filter((name): name is string => !KNOWN_PARAMETERS.includes(name as string)),
  };
}

function headerText(header: ObjectValue, name: string): string {
  const value = getKey(header, name);
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  throw new BuiltinError(`${name}: must be a string`);
}

function headerCrit(header: ObjectValue): readonly string[] {
  const crit = getKey(header, "crit");
  if (crit === undefined) return [];
  if (!isArray(crit)) throw new BuiltinError("crit: must be a list");
  const names: string[] = [];
  for (const name of crit) {
    if (typeof name !== "string") break; // OPA stops reading here, and so takes an odd first entry for an empty list.
    names.push(name);
  }
  if (names.length === 0) throw new BuiltinError("crit: must be a nonempty list");
  return names;
}

/** RFC 7515 §4.1.1: `alg` must be there; §4.1.11: a critical parameter that is not understood makes the token invalid. */
function isAcceptable(header: TokenHeader): boolean {
  return header.alg !== "" && !header.unknown.some((name) => header.crit.includes(name));
}

function decodeHeader(part: string): ObjectValue {
  const text = utf8.decode(decodePart(part, "JWT header"));
  let header: ObjectValue;
  try {
    header = readObject(text);
  } catch (error) {
    throw error instanceof BuiltinError ? new BuiltinError(`bad JWT header: ${error.message}`) : error;
  }
  if (getKey(header, "enc") !== undefined) throw new BuiltinError("JWT is a JWE object, which is not supported");
  return header;
}

function readObject(text: string): ObjectValue {
  let value: Value;
  try {
    value = parseJson(text);
  } catch (error) {
    throw error instanceof JsonSyntaxError ? new BuiltinError(`invalid JSON: ${error.message}`) : error;
  }
  if (!isObject(value)) throw new BuiltinError("decoded JSON type was not an Object");
  return value;
}

/** The refusals of the jwt room become this builtin's errors. */
function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof JwtError ? new BuiltinError(error.message) : error;
  }
}

/** Decoding and verifying JSON Web Tokens. @source OPA v1/topdown/tokens.go */
export const tokenBuiltins: readonly Builtin[] = [
  decode,
  decodeVerify,
  verifier("rs256", "RS256"),
  verifier("rs384", "RS384"),
  verifier("rs512", "RS512"),
  verifier("ps256", "PS256"),
  verifier("ps384", "PS384"),
  verifier("ps512", "PS512"),
  verifier("es256", "ES256"),
  verifier("es384", "ES384"),
  verifier("es512", "ES512"),
  verifier("eddsa", "EdDSA"),
  secretVerifier("hs256", "HS256"),
  secretVerifier("hs384", "HS384"),
  secretVerifier("hs512", "HS512"),
];
