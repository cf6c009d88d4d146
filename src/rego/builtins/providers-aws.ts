import { type AwsKeys, signV4, UNSIGNED_PAYLOAD } from "../../aws/index.ts";
import { BuiltinError, OperandError, operandTypeError } from "../runtime/index.ts";
import {
  getKey,
  isNumber,
  isObject,
  type ObjectValue,
  quoteGo,
  RegoObject,
  RegoSet,
  sortedKeys,
  toInt64,
  toRegoText,
  type Value,
} from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import { checkHttpKeys, goJson } from "./http.ts";

/** AWS Signature Version 4 (OPA v1/topdown/providers.go). */

const NS_PER_MS = 1_000_000n;

const REQUIRED_CONFIG = ["aws_access_key", "aws_region", "aws_secret_access_key", "aws_service"];

interface Credentials extends AwsKeys {
  readonly service: string;
}

function readConfig(config: ObjectValue): Credentials {
  const missing = REQUIRED_CONFIG.filter((key) => getKey(config, key) === undefined);
  if (missing.length > 0)
    throw new OperandError(2, `missing required AWS config parameters(s): ${toRegoText(RegoSet.of(missing))}`);
  const invalid = REQUIRED_CONFIG.filter((key) => typeof getKey(config, key) !== "string");
  if (invalid.length > 0)
    throw new OperandError(
      2,
      `invalid values for required AWS config parameters(s): ${toRegoText(RegoSet.of(invalid))}`,
    );
  return {
    service: stringMember(config, "aws_service"),
    accessKey: stringMember(config, "aws_access_key"),
    secretKey: stringMember(config, "aws_secret_access_key"),
    region: stringMember(config, "aws_region"),
    sessionToken: stringMember(config, "aws_session_token"),
  };
}

function stringMember(object: ObjectValue, key: Value): string {
  const value = getKey(object, key);
  return typeof value === "string" ? value : "";
}

function readHeaders(request: ObjectValue): ReadonlyMap<string, string> {
  const headers = getKey(request, "headers");
  if (headers === undefined) return new Map();
  // OPA counts this operand as 0.
  if (!isObject(headers)) throw operandTypeError(0, ["object"], headers);
  return new Map(sortedKeys(headers).map((key) => [typeof key === "string" ? key : "", stringMember(headers, key)]));
}

function readBody(request: ObjectValue): string {
  if (getKey(request, "raw_body") !== undefined) return stringMember(request, "raw_body");
  const body = getKey(request, "body");
  return body === undefined ? "" : goJson(body);
}

function sign(request: ObjectValue, config: ObjectValue, timeNs: Value): Value {
  const credentials = readConfig(config);
  if (!isNumber(timeNs)) throw operandTypeError(1, ["number"], timeNs);
  const ns = toInt64(timeNs);
  if (ns === undefined) throw new OperandError(3, "could not convert time_ns value into a unix timestamp");
  checkHttpKeys(request);
  const headers = readHeaders(request);
  const invalid = ["method", "url"].filter((key) => typeof getKey(request, key) !== "string");
  if (invalid.length > 0)
    throw new OperandError(1, `invalid values for required request parameters(s): ${toRegoText(RegoSet.of(invalid))}`);
  const url = splitUrl(stringMember(request, "url"));
  const body = readBody(request);
  const unsignedPayload = getKey(config, "disable_payload_signing") ?? false;
  if (typeof unsignedPayload !== "boolean")
    throw new OperandError(2, "invalid value for 'disable_payload_signing' in AWS config");

  const { authorization, added } = signV4({
    method: stringMember(request, "method"),
    ...url,
    headers,
    body: unsignedPayload ? UNSIGNED_PAYLOAD : body,
    service: credentials.service,
    keys: credentials,
    ms: Number((ns - (((ns % NS_PER_MS) + NS_PER_MS) % NS_PER_MS)) / NS_PER_MS),
  });
  const out = RegoObject.from(request);
  out.set("headers", RegoObject.of([...headers, ["Authorization", authorization], ...added]));
  return out;
}

interface SplitUrl {
  readonly host: string;
  /** Percent-encoded. */
  readonly path: string;
  readonly query: string;
}

/** The parts of a URL as Go's net/url keeps them: nothing resolved, no path added, the query verbatim. */
function splitUrl(text: string): SplitUrl {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f)
      throw new BuiltinError(`parse ${quoteGo(text)}: net/url: invalid control character in URL`);
  }
  const hash = text.indexOf("#");
  const plain = hash === -1 ? text : text.slice(0, hash);
  const mark = plain.indexOf("?");
  const query = mark === -1 ? "" : plain.slice(mark + 1);
  const [, authority = "", path = ""] =
    /^(?:[A-Za-z][A-Za-z0-9+.-]*:)?(?:\/\/([^/]*))?(.*)$/s.exec(mark === -1 ? plain : plain.slice(0, mark)) ?? [];
  const badEscape = /%(?![0-9A-Fa-f]{2}).{0,2}/.exec(path);
  if (badEscape !== null) throw new BuiltinError(`parse ${quoteGo(text)}: invalid URL escape ${quoteGo(badEscape[0])}`);
  return { host: authority.slice(authority.lastIndexOf("@") + 1), path: escapedPath(path), query };
}

/** Go's URL.EscapedPath: as given where that is a valid encoding, else encoded anew. */
function escapedPath(path: string): string {
  if (/^[A-Za-z0-9\-_.~!$&'()*+,;=:@[\]/%]*$/.test(path)) return path;
  const bytes: number[] = [];
  for (let i = 0; i < path.length; ) {
    if (path[i] === "%") {
      bytes.push(Number.parseInt(path.slice(i + 1, i + 3), 16));
      i += 3;
    } else {
      const char = String.fromCodePoint(path.codePointAt(i) as number);
      bytes.push(...new TextEncoder().encode(char));
      i += char.length;
    }
  }
  return bytes
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9\-_.~$&+,/:;=@]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
}

export const awsBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "providers.aws.sign_req",
    category: "providers.aws",
    about: "Signs a request for `http.send` with AWS Signature Version 4, in the `Authorization` header.",
    args: [
      arg("request", operands.of<ObjectValue>(types.object(types.string, types.any), "object"), "the request"),
      arg(
        "aws_config",
        operands.of<Value>(types.object(types.string, types.any)),
        "`aws_access_key`, `aws_secret_access_key`, `aws_service`, `aws_region`; optionally `aws_session_token` and `disable_payload_signing`",
      ),
      arg("time_ns", operands.of<Value>(types.number), "the time of signing, nanoseconds since the epoch"),
    ],
    result: result(
      "signed_request",
      types.object(types.any, types.any),
      "the request with the headers of its signature",
    ),
    call: (_context, request, config, timeNs) => {
      // OPA counts all operands of this function as 1.
      if (!isObject(config)) throw operandTypeError(1, ["object"], config);
      return sign(request, config, timeNs);
    },
  }),
];
