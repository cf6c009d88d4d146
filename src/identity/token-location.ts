import { TokenRefused } from "./errors.ts";
import type { TokenRule } from "./rule.ts";

/** What of a request can carry tokens. */
export interface TokenRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** By lower-case name; several fields of one name as a list. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
}

/** A token, and the header it came in (lower case) if it came in one. */
export interface FoundToken {
  readonly token: string;
  readonly header: string | undefined;
}

const DEFAULT_HEADERS = [{ name: "authorization", prefix: "Bearer " }];
const DEFAULT_PARAMS = ["access_token"];
const NO_PARAMETERS: ReadonlyMap<string, string> = new Map();
/** Tokens taken from one request for one rule. */
const MAX_TOKENS = 8;

/**
 * Collects the tokens a rule speaks of: from headers, then parameters, then cookies. Locations of its own replace the
 * default ones.
 *
 * @throws {TokenRefused} malformed_token where one header has several fields: which of them counts is anybody's guess.
 * @see Envoy jwt_authn extractor.cc
 */
export function findTokens(rule: TokenRule, request: TokenRequest): readonly FoundToken[] {
  const found: FoundToken[] = [];
  for (const { name, prefix } of tokenHeadersOf(rule)) {
    const header = name.toLowerCase();
    const token = tokenOf(fieldOf(request, header), prefix);
    if (token !== undefined) found.push({ token, header });
  }
  found.push(...fromQuery(request.path, tokenParametersOf(rule)));
  if (rule.fromCookies.length > 0) found.push(...fromCookies(request, rule.fromCookies));
  return found.slice(0, MAX_TOKENS);
}

/** The headers a rule looks for tokens in. */
export function tokenHeadersOf(rule: TokenRule): TokenRule["fromHeaders"] {
  return isDefault(rule) ? DEFAULT_HEADERS : rule.fromHeaders;
}

function tokenParametersOf(rule: TokenRule): readonly string[] {
  return isDefault(rule) ? DEFAULT_PARAMS : rule.fromParams;
}

/** The parameters of a request's query that a rule looks for tokens in. */
export function tokenParametersIn(rule: TokenRule, { path }: TokenRequest): readonly string[] {
  const names = tokenParametersOf(rule);
  const present = queryOf(path, names);
  return names.filter((name) => present.has(name));
}

function isDefault({ fromHeaders, fromParams, fromCookies }: TokenRule): boolean {
  return fromHeaders.length + fromParams.length + fromCookies.length === 0;
}

/** CORS preflights carry no credentials, and must be answered without any. */
export function isPreflight({ method, headers }: TokenRequest): boolean {
  const isPresent = (name: string) => Object.hasOwn(headers, name) && headers[name] !== "";
  return method === "OPTIONS" && isPresent("origin") && isPresent("access-control-request-method");
}

function fieldOf({ headers }: TokenRequest, name: string): string | undefined {
  const field = Object.hasOwn(headers, name) ? headers[name] : undefined;
  if (field === undefined || typeof field === "string") return field;
  if (field.length > 1) throw new TokenRefused("malformed_token", `the header ${name} occurs ${field.length} times`);
  return field[0];
}

/** The prefix may stand anywhere in the value; the token is the run of its characters that follows. */
function tokenOf(value: string | undefined, prefix: string): string | undefined {
  if (value === undefined || value === "") return undefined;
  if (prefix === "") return value;
  const at = value.indexOf(prefix);
  if (at < 0) return undefined;
  const rest = value.slice(at + prefix.length);
  const run = /[A-Za-z0-9_\-.=]+/.exec(rest);
  if (run === null) return undefined;
  const isAnother = rest.indexOf(prefix, run.index + run[0].length) >= 0;
  if (isAnother) throw new TokenRefused("malformed_token", "a header carries several tokens");
  return run[0];
}

/** Parameters by name, the first of each; none where none of some names can be among them. */
function queryOf(path: string, names: readonly string[]): ReadonlyMap<string, string> {
  const question = path.indexOf("?");
  if (question < 0) return NO_PARAMETERS;
  const query = path.slice(question + 1).split("#", 1)[0] as string;
  if (!names.some((name) => query.includes(name))) return NO_PARAMETERS;
  const first = new Map<string, string>();
  for (const pair of query.split("&")) {
    const [name, value] = splitOnce(pair, "=");
    if (!first.has(name)) first.set(name, value);
  }
  return first;
}

function fromQuery(path: string, names: readonly string[]): readonly FoundToken[] {
  const query = queryOf(path, names);
  if (query.size === 0) return [];
  return names.flatMap((name) => {
    const value = query.get(name);
    return value === undefined || value === "" ? [] : [{ token: percentDecoded(value), header: undefined }];
  });
}

function fromCookies(request: TokenRequest, names: readonly string[]): readonly FoundToken[] {
  const field = Object.hasOwn(request.headers, "cookie") ? request.headers["cookie"] : undefined;
  const text = typeof field === "string" ? field : (field?.join("; ") ?? "");
  const first = new Map<string, string>();
  for (const pair of text.split(";")) {
    const [name, value] = splitOnce(pair.trim(), "=");
    if (!first.has(name)) first.set(name, value.replace(/^"(.*)"$/, "$1"));
  }
  return names.flatMap((name) => {
    const value = first.get(name);
    return value === undefined || value === "" ? [] : [{ token: value, header: undefined }];
  });
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // malformed, and so will the token be
  }
}
