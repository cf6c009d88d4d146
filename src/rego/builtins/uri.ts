import { BuiltinError } from "../runtime/index.ts";
import { quoteGo, recordOf, type Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, type Operand, operands, result, types } from "./define.ts";
import { UrlError, unescapePercent } from "./go-url.ts";
import { parseIp } from "./ip.ts";
import { toLower } from "./strings.ts";

interface Url {
  readonly scheme: string;
  readonly hostname: string;
  readonly port: string;
  readonly path: string;
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly fragment: string;
}

const NO_URL: Url = { scheme: "", hostname: "", port: "", path: "", rawPath: "", rawQuery: "", fragment: "" };

function cut(text: string, separator: string): readonly [before: string, after: string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** Go's `url.Parse`. @throws {UrlError} `parse "…": …` */
function parseUrl(text: string): Url {
  const [main, fragment] = cut(text, "#");
  const url = naming(main, () => parseWithoutFragment(main));
  return fragment === "" ? url : { ...url, fragment: naming(text, () => unescapePercent(fragment)) };
}

function naming<T>(text: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof UrlError) throw new UrlError(`parse ${quoteGo(text)}: ${error.message}`);
    throw error;
  }
}

function parseWithoutFragment(text: string): Url {
  if (/[\x00-\x1f\x7f]/.test(text)) throw new UrlError("net/url: invalid control character in URL");
  if (text === "*") return { ...NO_URL, path: "*", rawPath: "*" };
  const [scheme, afterScheme] = splitScheme(text);
  const [hierarchy, rawQuery] = cut(afterScheme, "?");
  if (!hierarchy.startsWith("/")) {
    // A rootless path after a scheme is opaque: `mailto:a@b.c`.
    if (scheme !== "") return { ...NO_URL, scheme, rawQuery };
    if (cut(hierarchy, "/")[0].includes(":")) throw new UrlError("first path segment in URL cannot contain colon");
  }
  let rest = hierarchy;
  let host = "";
  if (rest.startsWith("//") && (scheme !== "" || !rest.startsWith("///"))) {
    const slash = rest.indexOf("/", 2);
    const authority = rest.slice(2, slash === -1 ? undefined : slash);
    rest = slash === -1 ? "" : rest.slice(slash);
    host = parseAuthority(scheme, authority);
  }
  const path = unescapePercent(rest);
  const rawPath = isDefaultEncoding(rest) ? path : rest;
  return { ...splitHostPort(host), scheme, path, rawPath, rawQuery, fragment: "" };
}

function splitScheme(text: string): readonly [scheme: string, rest: string] {
  if (text.startsWith(":")) throw new UrlError("missing protocol scheme");
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text);
  return match === null ? ["", text] : [toLower(match[1] as string), text.slice(match[0].length)];
}

/** Returns the host with its port. */
function parseAuthority(scheme: string, authority: string): string {
  const at = authority.lastIndexOf("@");
  const host = parseHost(scheme, authority.slice(at + 1));
  if (at === -1) return host;
  const userinfo = authority.slice(0, at);
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(userinfo)) throw new UrlError("net/url: invalid userinfo");
  unescapePercent(userinfo);
  return host;
}

function parseHost(scheme: string, host: string): string {
  const bracket = host.lastIndexOf("[");
  if (bracket > 0) throw new UrlError("invalid IP-literal");
  if (bracket === 0) return parseIpLiteral(host);
  const first = host.indexOf(":");
  if (first !== -1) {
    // Only web addresses are strict: database URLs list several hosts with ports.
    const colon = scheme === "http" || scheme === "https" ? first : host.lastIndexOf(":");
    checkPort(host.slice(colon));
  }
  return unescapeHost(host);
}

function parseIpLiteral(host: string): string {
  const close = host.lastIndexOf("]");
  if (close === -1) throw new UrlError("missing ']' in host");
  const port = host.slice(close + 1);
  checkPort(port);
  const name = host.slice(1, close);
  const zoneAt = name.indexOf("%25");
  const literal =
    zoneAt === -1 ? unescapeHost(name) : unescapeHost(name.slice(0, zoneAt)) + unescapeZone(name.slice(zoneAt));
  const [address, zone] = cut(literal, "%");
  if (!address.includes(":")) {
    if (parseIp(literal) !== undefined) throw new UrlError("invalid IP-literal");
    throw new UrlError(`invalid host: ParseAddr(${quoteGo(literal)}): unable to parse IP`);
  }
  if (parseIp(address) === undefined || (literal.includes("%") && zone === "")) {
    throw new UrlError(`invalid host: ParseAddr(${quoteGo(literal)}): unable to parse IP`);
  }
  return `[${literal}]${port}`;
}

function checkPort(port: string): void {
  if (!/^(?::[0-9]*)?$/.test(port)) throw new UrlError(`invalid port ${quoteGo(port)} after host`);
}

const HOST_FORBIDDEN = /[\x00-\x20#%/?@\\^`{|}\x7f]/;

/** In hosts only bytes outside ASCII may be escaped, and `%25`. */
function unescapeHost(host: string): string {
  for (const [sequence] of host.matchAll(/%([0-7][0-9a-fA-F])/g)) {
    if (sequence !== "%25") throw new UrlError(`invalid URL escape ${quoteGo(sequence)}`);
  }
  checkHostCharacters(host);
  return unescapePercent(host);
}

function unescapeZone(zone: string): string {
  for (const [sequence, digits] of zone.matchAll(/%([0-9a-fA-F]{2})/g)) {
    const byte = Number.parseInt(digits as string, 16);
    const forbidden = byte > 0x7f || HOST_FORBIDDEN.test(String.fromCharCode(byte));
    if (sequence !== "%25" && byte !== 0x20 && forbidden) throw new UrlError(`invalid URL escape ${quoteGo(sequence)}`);
  }
  checkHostCharacters(zone);
  return unescapePercent(zone);
}

function checkHostCharacters(host: string): void {
  const forbidden = HOST_FORBIDDEN.exec(host.replaceAll(/%[0-9a-fA-F]{2}/g, ""))?.[0];
  if (forbidden !== undefined && forbidden !== "%") {
    throw new UrlError(`invalid character ${quoteGo(forbidden)} in host name`);
  }
}

function splitHostPort(host: string): { readonly hostname: string; readonly port: string } {
  const colon = host.lastIndexOf(":");
  const hasPort = colon !== -1 && /^:[0-9]*$/.test(host.slice(colon));
  const name = hasPort ? host.slice(0, colon) : host;
  const bare = name.startsWith("[") && name.endsWith("]") ? name.slice(1, -1) : name;
  return { hostname: bare, port: hasPort ? host.slice(colon + 1) : "" };
}

const PATH_SAFE = /[A-Za-z0-9\-_.~$&+,/:;=@]/;

/** Whether Go would write the decoded path in exactly this way; only otherwise it keeps the way it was written. */
function isDefaultEncoding(path: string): boolean {
  if (!/^(?:[A-Za-z0-9\-_.~$&+,/:;=@]|%[0-9A-F]{2})*$/.test(path)) return false;
  for (const [, digits] of path.matchAll(/%([0-9A-F]{2})/g)) {
    if (PATH_SAFE.test(String.fromCharCode(Number.parseInt(digits as string, 16)))) return false;
  }
  return true;
}

function* parts(url: Url): Generator<readonly [string, string]> {
  if (url.scheme !== "") yield ["scheme", url.scheme];
  if (url.hostname !== "") yield ["hostname", url.hostname];
  if (url.port !== "") yield ["port", url.port];
  if (url.path !== "") {
    yield ["path", url.path];
    yield ["raw_path", url.rawPath];
  }
  if (url.rawQuery !== "") yield ["raw_query", url.rawQuery];
  if (url.fragment !== "") yield ["fragment", url.fragment];
}

/** Declared a string, but what is none is just not valid. */
const maybeString: Operand<Value> = operands.of<Value>(types.string);

export const uriBuiltins: readonly Builtin[] = [
  defineBuiltin({
    name: "uri.parse",
    category: "uri",
    about: "Takes a URI apart. Parts it does not have are left out.",
    args: [arg("uri", operands.string, "the URI")],
    result: result(
      "output",
      types.object(types.string, types.string),
      "`scheme`, `hostname`, `port`, `path`, `raw_path`, `raw_query` and `fragment`, as far as there are any",
    ),
    call: (_context, uri) => {
      try {
        return recordOf(parts(parseUrl(uri)));
      } catch (error) {
        if (error instanceof UrlError) throw new BuiltinError(error.message, { cause: error });
        throw error;
      }
    },
  }),
  defineBuiltin({
    name: "uri.is_valid",
    category: "uri",
    about: "Whether a value is a string that holds a URI; the empty string does not.",
    args: [arg("uri", maybeString, "the URI")],
    result: result("result", types.boolean, "whether it is valid"),
    call: (_context, uri) => {
      if (typeof uri !== "string" || uri === "") return false;
      try {
        parseUrl(uri);
        return true;
      } catch (error) {
        if (error instanceof UrlError) return false;
        throw error;
      }
    },
  }),
];
