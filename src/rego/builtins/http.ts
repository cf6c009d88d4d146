import {
  BuiltinError,
  EvalError,
  type HttpCaching,
  type HttpRequest,
  type HttpResult,
  type HttpTls,
  OperandError,
} from "../runtime/index.ts";
import {
  canonicalText,
  getKey,
  isArray,
  isNumber,
  isObject,
  JsonSyntaxError,
  type ObjectValue,
  parseJson,
  RegoObject,
  RegoSet,
  setOwn,
  sortedKeys,
  toInt64,
  toJsonText,
  toJsonValue,
  toRegoText,
  typeName,
  type Value,
} from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";
import { parseGoDuration } from "./duration.ts";
import { unmarshalYaml } from "./yaml-reader.ts";

/** `http.send`: the request is checked and the response shaped here, the sending is the host's (OPA v1/topdown/http.go). */

const DEFAULT_TIMEOUT_MS = 5000;
const NS_PER_MS = 1_000_000;

const STRING_KEYS = [
  "method",
  "url",
  "raw_body",
  "tls_ca_cert",
  "tls_ca_cert_file",
  "tls_ca_cert_env_variable",
  "tls_client_cert",
  "tls_client_cert_file",
  "tls_client_cert_env_variable",
  "tls_client_key",
  "tls_client_key_file",
  "tls_client_key_env_variable",
  "tls_server_name",
] as const;

const ALLOWED_KEYS: ReadonlySet<Value> = new Set<Value>([
  ...STRING_KEYS,
  "body",
  "enable_redirect",
  "force_json_decode",
  "force_yaml_decode",
  "headers",
  "tls_use_system_certs",
  "tls_insecure_skip_verify",
  "timeout",
  "cache",
  "force_cache",
  "force_cache_duration_seconds",
  "raise_error",
  "caching_mode",
  "max_retry_attempts",
  "cache_ignored_headers",
]);

type Env = Readonly<Record<string, string | undefined>>;

/** Refuses unknown members and asks for the required ones. */
export function checkHttpKeys(request: ObjectValue): void {
  const invalid = sortedKeys(request).filter((key) => !ALLOWED_KEYS.has(key));
  if (invalid.length > 0)
    throw new OperandError(1, `invalid request parameters(s): ${toRegoText(RegoSet.of(invalid))}`);
  const missing = ["method", "url"].filter((key) => getKey(request, key) === undefined);
  if (missing.length > 0)
    throw new OperandError(1, `missing required request parameters(s): ${toRegoText(RegoSet.of(missing))}`);
}

/** A member that must be a boolean where it is there. */
function flag(request: ObjectValue, key: string, absent = false): boolean {
  const value = getKey(request, key);
  if (value === undefined) return absent;
  if (typeof value !== "boolean")
    throw new BuiltinError(
      key === "raise_error" ? "invalid value for raise_error field" : `invalid value for "${key}" field`,
    );
  return value;
}

/** A member whose text Go's strconv.ParseBool reads: `true`, but also `1`. */
function looseFlag(request: ObjectValue, key: string): boolean {
  const value = getKey(request, key);
  if (value === undefined) return false;
  const text = toRegoText(value);
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw new BuiltinError(`strconv.ParseBool: parsing ${toRegoText(text)}: invalid syntax`);
}

/** A member that must be a string; quotes around it are dropped, as OPA does. */
function text(request: ObjectValue, key: (typeof STRING_KEYS)[number]): string {
  const value = getKey(request, key);
  if (value === undefined) return "";
  if (typeof value !== "string") throw new BuiltinError(`"${key}" must be a string`);
  return value.replace(/^"+|"+$/g, "");
}

function readHeaders(request: ObjectValue): readonly (readonly [string, string])[] {
  const value = getKey(request, "headers");
  if (value === undefined) return [];
  if (!isObject(value)) throw new BuiltinError("invalid type for headers key");
  const headers = new Map<string, string>();
  for (const key of sortedKeys(value)) {
    const header = getKey(value, key);
    if (typeof header !== "string")
      throw new BuiltinError(`invalid type for headers value ${toRegoText(toJsonText(toJsonValue(header as Value)))}`);
    headers.set(canonicalHeader(typeof key === "string" ? key : toJsonText(key)), header);
  }
  return [...headers];
}

/** Go's http.CanonicalHeaderKey: names that are no tokens stay as they are. */
function canonicalHeader(name: string): string {
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) return name;
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

function readBody(request: ObjectValue): string {
  const raw = getKey(request, "raw_body");
  if (raw !== undefined) return text(request, "raw_body");
  const body = getKey(request, "body");
  return body === undefined ? "" : goJson(body);
}

/** JSON as Go's encoding/json writes it by default: safe to embed in HTML. */
export function goJson(value: Value): string {
  return toJsonText(value).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${(char.codePointAt(0) as number).toString(16).padStart(4, "0")}`,
  );
}

function readTimeoutMs(request: ObjectValue): number {
  const value = getKey(request, "timeout");
  if (value === undefined) return DEFAULT_TIMEOUT_MS;
  if (isNumber(value)) {
    const ns = toInt64(value);
    if (ns === undefined) throw new BuiltinError(`invalid timeout number value ${toRegoText(value)}, must be int64`);
    return Number(ns) / NS_PER_MS;
  }
  if (typeof value !== "string")
    throw new OperandError(1, `'timeout' must be one of {string, number} but got ${typeName(value)}`);
  if (/^[+-]?\d{1,18}$/.test(value)) return Number(value) / NS_PER_MS;
  try {
    return Number(parseGoDuration(value)) / NS_PER_MS;
  } catch (error) {
    if (error instanceof BuiltinError)
      throw new BuiltinError(`invalid timeout value ${toRegoText(value)}: ${error.message}`, { cause: error });
    throw error;
  }
}

function readRetries(request: ObjectValue): number {
  const value = getKey(request, "max_retry_attempts");
  if (value === undefined) return 0;
  const retries = isNumber(value) ? toInt64(value) : undefined;
  if (retries === undefined || retries < 0n)
    throw new BuiltinError(`invalid value ${toRegoText(value)} for field "max_retry_attempts"`);
  return Number(retries);
}

function readTls(request: ObjectValue, env: Env, headers: readonly (readonly [string, string])[]): HttpTls {
  const clientPairs: { cert: string; key: string }[] = [];
  const clientPairFiles: { cert: string; key: string }[] = [];
  const [cert, key] = [text(request, "tls_client_cert"), text(request, "tls_client_key")];
  if (cert !== "" && key !== "") clientPairs.push({ cert, key });
  const [certFile, keyFile] = [text(request, "tls_client_cert_file"), text(request, "tls_client_key_file")];
  if (certFile !== "" && keyFile !== "") clientPairFiles.push({ cert: certFile, key: keyFile });
  const [certVariable, keyVariable] = [
    text(request, "tls_client_cert_env_variable"),
    text(request, "tls_client_key_env_variable"),
  ];
  if (certVariable !== "" && keyVariable !== "") clientPairs.push(pairFromEnv(env, certVariable, keyVariable));

  const ca: string[] = [];
  const inline = text(request, "tls_ca_cert");
  if (inline !== "") ca.push(inline.replaceAll("\\n", "\n"));
  const caVariable = text(request, "tls_ca_cert_env_variable");
  if (caVariable !== "") ca.push(caFromEnv(env, caVariable));
  if (ca.some((pem) => !pem.includes("-----BEGIN CERTIFICATE-----")))
    throw new BuiltinError("could not append certificates");
  const caFile = text(request, "tls_ca_cert_file");

  const host = headers.find(([name]) => name === "Host")?.[1];
  const serverName = text(request, "tls_server_name");
  return {
    skipsVerification: looseFlag(request, "tls_insecure_skip_verify"),
    usesSystemCerts: looseFlag(request, "tls_use_system_certs"),
    serverName: serverName !== "" ? serverName : host,
    ca,
    caFiles: caFile === "" ? [] : [caFile],
    clientPairs,
    clientPairFiles,
  };
}

function fromEnv(env: Env, name: string): string {
  return Object.hasOwn(env, name) ? (env[name] ?? "") : "";
}

function pairFromEnv(env: Env, certVariable: string, keyVariable: string): { cert: string; key: string } {
  const pair = { cert: fromEnv(env, certVariable), key: fromEnv(env, keyVariable) };
  if (pair.cert === "" || pair.key === "") {
    throw new BuiltinError(
      `cannot extract public/private key pair from envvars "${certVariable}", "${keyVariable}": tls: failed to find any PEM data in certificate input`,
    );
  }
  return pair;
}

function caFromEnv(env: Env, name: string): string {
  const pem = fromEnv(env, name);
  if (pem === "") throw new BuiltinError(`could not append CA certificates from envvar "${name}"`);
  return pem;
}

function readCaching(request: ObjectValue, key: string): HttpCaching | undefined {
  const caches = flag(request, "cache");
  if (!flag(request, "force_cache")) return caches && hasKnownMode(request) ? { key, forceSeconds: 0 } : undefined;
  const seconds = getKey(request, "force_cache_duration_seconds");
  if (seconds === undefined)
    throw new BuiltinError("'force_cache' set but 'force_cache_duration_seconds' parameter is missing");
  const digits = toRegoText(seconds);
  if (!/^[+-]?\d+$/.test(digits))
    throw new BuiltinError(`strconv.ParseInt: parsing ${toRegoText(digits)}: invalid syntax`);
  const forceSeconds = Number(digits);
  if (Math.abs(forceSeconds) > 0x7fff_ffff)
    throw new BuiltinError(`strconv.ParseInt: parsing ${toRegoText(digits)}: value out of range`);
  return hasKnownMode(request) ? { key, forceSeconds: Math.max(forceSeconds, 0) } : undefined;
}

/** With an unknown mode OPA sends the request but keeps nothing. Both modes are one here: responses are kept as text. */
function hasKnownMode(request: ObjectValue): boolean {
  const mode = getKey(request, "caching_mode");
  return mode === undefined || mode === "serialized" || mode === "deserialized";
}

/** What the request is known by within a query and in the cache: itself without the headers it says to ignore. */
function requestKey(request: ObjectValue): string {
  const ignored = getKey(request, "cache_ignored_headers");
  const headers = getKey(request, "headers");
  const key = RegoObject.from(request);
  key.set("cache_ignored_headers", null);
  if (ignored !== undefined && headers !== undefined) {
    if (!isArray(ignored) || ignored.some((name) => typeof name !== "string"))
      throw new BuiltinError("cache_ignored_headers must be an array of strings");
    if (!isObject(headers)) throw new BuiltinError("invalid type for headers key");
    const kept = sortedKeys(headers).filter((name) => !ignored.includes(name));
    key.set("headers", RegoObject.of(kept.map((name) => [name, getKey(headers, name) as Value])));
  }
  return canonicalText(key);
}

function readRequest(request: ObjectValue, env: Env, key: string): HttpRequest {
  for (const name of STRING_KEYS) text(request, name);
  const headers = readHeaders(request);
  return {
    method: text(request, "method").toUpperCase(),
    url: text(request, "url"),
    headers,
    body: readBody(request),
    timeoutMs: readTimeoutMs(request),
    followsRedirects: looseFlag(request, "enable_redirect"),
    maxRetries: readRetries(request),
    tls: readTls(request, env, headers),
    cache: readCaching(request, key),
  };
}

/** A body that cannot be decoded is null, and no error. */
function decodeBody(request: ObjectValue, contentType: string, body: string, spend: (steps: number) => void): Value {
  try {
    if (flag(request, "force_json_decode") || isJsonType(contentType)) return firstJson(body);
    if (flag(request, "force_yaml_decode") || /application\/(x-)?yaml/.test(contentType))
      return unmarshalYaml(body, spend);
  } catch (error) {
    if (error instanceof EvalError) throw error;
    return null;
  }
  return null;
}

/** The first value: what follows it is an error that OPA does not look at. */
function firstJson(text: string): Value {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof JsonSyntaxError && error.message.endsWith("after top-level value"))
      return parseJson(text.slice(0, error.offset));
    throw error;
  }
}

function isJsonType(contentType: string): boolean {
  const type = (contentType.split(";")[0] as string).trim().toLowerCase();
  return /^application\/([^/]*\+)?json$/.test(type);
}

function shape(
  request: ObjectValue,
  response: Extract<HttpResult, { status: string }>,
  spend: (steps: number) => void,
): Value {
  const headers: Record<string, Value> = {};
  for (const [name, values] of Object.entries(response.headers)) setOwn(headers, name, values);
  return {
    status: response.status,
    status_code: response.statusCode,
    body: decodeBody(request, response.headers["content-type"]?.[0] ?? "", response.body, spend),
    raw_body: response.body,
    headers,
  };
}

function failure(code: "eval_http_send_network_error" | "eval_http_send_internal_error", message: string): Value {
  return { status_code: 0, error: { code, message } };
}

export const httpBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "http.send",
    category: "http",
    about: "Sends an HTTP request and returns the response. Equal requests of one query are sent once.",
    nondeterministic: true,
    args: [
      arg(
        "request",
        operands.of<ObjectValue>(types.object(types.string, types.any), "object"),
        "the request: at least `method` and `url`",
      ),
    ],
    result: result(
      "response",
      types.object(types.any, types.any),
      "`status`, `status_code`, `headers`, `body` (decoded) and `raw_body`; or `error` where `raise_error` is false",
    ),
    call: (context, request) => {
      const raises = flag(request, "raise_error", true);
      let checked: HttpRequest;
      let key: string;
      try {
        checkHttpKeys(request);
        key = requestKey(request);
        checked = readRequest(request, context.env, key);
        flag(request, "force_json_decode");
        flag(request, "force_yaml_decode");
      } catch (error) {
        if (raises || !(error instanceof BuiltinError)) throw error;
        return failure("eval_http_send_internal_error", `${error.code}: http.send: ${error.message}`);
      }
      const answer = context.io(`http.send\0${key}`, { kind: "http.send", request: checked }) as unknown as HttpResult;
      if ("status" in answer) return shape(request, answer, (steps) => context.spend(steps));
      if (raises)
        throw new BuiltinError(
          answer.timedOut ? `${goMethod(checked.method)} ${checked.url}: request timed out` : answer.message,
        );
      return answer.failure === "network"
        ? failure("eval_http_send_network_error", answer.message)
        : failure("eval_http_send_internal_error", `eval_builtin_error: http.send: ${answer.message}`);
    },
  }),
];

/** As Go's url.Error names the operation: `Get`. */
function goMethod(method: string): string {
  return method.charAt(0).toUpperCase() + method.slice(1).toLowerCase();
}
