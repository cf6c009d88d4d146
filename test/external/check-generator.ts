import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor.js";
import { Random } from "../fuzz/rego-generator.ts";
import { encodeRequest } from "../support/checks.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** One generated call, in plain JSON, so that a failing one can be made smaller. */
export interface Check {
  readonly api: "v3" | "v2";
  /** CheckRequest in protobufjs's object form; bytes as base64. */
  readonly message: Json;
  /** Headers sent once more behind the message, which protobuf merges; names may be ones that JavaScript objects mistreat. */
  readonly moreHeaders: readonly (readonly [string, string])[];
  /** Edits of the finished bytes: position and new byte, in parts per million of their length. */
  readonly edits: readonly (readonly [number, number])[];
}

/** Calls that gRPC bodies are made of, for `proto-descriptor`. */
const SHOP = protobuf
  .parse(`syntax = "proto3";
package shop.v1;
service Shop { rpc Order(OrderRequest) returns (OrderRequest); rpc Watch(stream OrderRequest) returns (OrderRequest); }
enum Size { SIZE_UNSPECIFIED = 0; SMALL = 1; LARGE = 2; }
message Item { string name = 1; double price = 2; bytes blob = 3; Size size = 4; }
message OrderRequest {
  string order_id = 1; int64 big = 2; uint64 bigger = 3; int32 small = 4; sint32 zig = 5; fixed64 fix = 6; float ratio = 7;
  bool gift = 8; repeated Item items = 9; map<string, Item> by_name = 10; repeated int32 numbers = 11; Size size = 12;
  oneof pay { string card = 13; Item voucher = 14; } optional int32 maybe = 15; map<int32, string> names = 16;
}`)
  .root.resolveAll();
const Order = SHOP.lookupType("shop.v1.OrderRequest");

interface MessageDescriptor {
  readonly field: { typeName?: string }[];
  readonly nestedType: { name: string; options?: { mapEntry?: boolean } }[];
}

export function shopDescriptor(): Buffer {
  const set = (SHOP as unknown as { toDescriptor(syntax: string): protobuf.Message }).toDescriptor("proto3");
  for (const file of (set as unknown as { file: { messageType: MessageDescriptor[] }[] }).file)
    for (const message of file.messageType) nameMapEntries(message);
  return Buffer.from(descriptor.FileDescriptorSet.encode(set).finish());
}

/** Go insists on protoc's names of map entries, which protobufjs does not give them. */
function nameMapEntries({ field, nestedType }: MessageDescriptor): void {
  for (const entry of nestedType) {
    if (entry.options?.mapEntry !== true) continue;
    for (const each of field) if (each.typeName === entry.name) each.typeName = `${entry.name}Entry`;
    entry.name += "Entry";
  }
}

export function checkBytes({ message, moreHeaders, edits }: Check): Buffer {
  const more = moreHeaders.map(([key, value]) => {
    const entry = [lengthDelimited(1, Buffer.from(key)), lengthDelimited(2, Buffer.from(value))];
    return [3, 2, 4, 1].reduce<Buffer>((inner, number) => lengthDelimited(number, inner), Buffer.concat(entry));
  });
  const bytes = Buffer.concat([encodeRequest(message as object), ...more]);
  for (const [at, byte] of edits) if (bytes.length > 0) bytes[Math.floor((at / 1e6) * bytes.length)] = byte;
  return bytes;
}

function lengthDelimited(number: number, content: Buffer): Buffer {
  return Buffer.from(
    protobuf.Writer.create()
      .uint32((number << 3) | 2)
      .bytes(content)
      .finish(),
  );
}

const METHODS = ["GET", "GET", "POST", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "", "PROPFIND", "CONNECT"];
const SEGMENTS = [
  ..."a|b|api|v1|users|..|.||admin|%2F|%2f|%20|+|a+b|%41|%|%4|%zz|%C3%A4|ä|😀|%F0%9F%98%80|%FF|%E2%82|%F0%9F%98|%C3%28".split(
    "|",
  ),
  ..."%ED%A0%80|%F4%90%80%80|%C0%AF|%00|%25|%2525|a;b|a=b|:x|*|~|a%3Fb|#f|%23|\\|%5C|@|__proto__|constructor".split(
    "|",
  ),
];
const QUERY_PIECES = [
  ..."a=1|a=2|b|=|&|==|a=%20|a=+|%41=x|a;b|c=%zz|%|d=ä|e=%FF|e=%E2%82x|f=a=b|?|#|__proto__=1|constructor=2|toString|x[]=1".split(
    "|",
  ),
  ..."a.b=1|%00=%00|g=%u0041|h=%|i=%2|j=1;2|😀=😀|%F0%9F%98%80".split("|"),
];
const HEADER_NAMES = [
  ..."accept|user-agent|cookie|authorization|x-forwarded-for|:path|:method|:authority|x-request-id|X-Upper|x_under|te|".split(
    "|",
  ),
  ..."__proto__|constructor|toString|ä|content-type|content-length|x-envoy-auth-partial-body|x-echo".split("|"),
];
const TEXTS = [
  ...'|a|true|false|null|0|-1|1e3|*/*|text/html, */*;q=0.8|Bearer abc.def.ghi|ä|😀| lead|trail |\t|a,b|{}|[]|"|\\|<&>|\u2028|\u0000|\u0001\u007f|\ufeff|\ufffd'.split(
    "|",
  ),
  "x".repeat(300),
];
const CONTENT_TYPES = [
  "application/json",
  "application/json; charset=utf-8",
  "application/json-patch+json",
  "text/plain; application/json",
  "application/grpc",
  "application/grpc+proto",
  "application/grpc-web",
  "application/x-www-form-urlencoded",
  "application/x-www-form-urlencoded; charset=utf-8",
  "Application/JSON",
  "text/html",
  "",
  "application/vnd.api+json",
];
const BOUNDARIES = ["X", "----WebKitFormBoundary7MA4YWxkTrZu0gW", "a b", "'()+_,-./:=?", "ä", "--", ""];

/** The call that a seed stands for. */
export function generateCheck(seed: number): Check {
  const r = new Random(seed);
  const path = target(r);
  const headers: Record<string, string> = {};
  for (let i = r.below(4); i > 0; i--) headers[r.pick(HEADER_NAMES.slice(0, 13))] = r.pick(TEXTS);
  const moreHeaders: [string, string][] = [];
  while (r.chance(0.15)) moreHeaders.push([r.pick(HEADER_NAMES), r.pick(TEXTS)]);
  if (r.chance(0.3)) headers["x-echo"] = r.pick(["metadata", "header", "ok"]);
  const http: Record<string, Json> = { method: r.pick(METHODS), path };
  addBody(r, http, headers);
  http["headers"] = headers;
  for (const key of ["id", "host", "scheme", "query", "fragment", "protocol"])
    if (r.chance(0.2)) http[key] = r.pick(TEXTS);
  if (r.chance(0.3))
    http["size"] = r.pick([0, -1, 1, 1000000, 1234567, 2147483648, 9007199254740991, "9223372036854775807"]);
  if (r.chance(0.1))
    http["headerMap"] = {
      headers: [
        { key: "a", rawValue: Buffer.from(r.pick(TEXTS)).toString("base64") },
        { key: "b", value: r.pick(TEXTS) },
      ],
    };
  const request: Record<string, Json> = r.chance(0.97) ? { http } : {};
  if (r.chance(0.3)) request["time"] = { seconds: r.pick([0, 1, 1600000000, -5]), nanos: r.pick([0, 1, 999999999]) };
  const attributes: Record<string, Json> = { request };
  addContext(r, attributes);
  const edits: [number, number][] = [];
  if (r.chance(0.03)) for (let i = 1 + r.below(3); i > 0; i--) edits.push([r.below(1_000_000), r.below(256)]);
  return { api: r.chance(0.1) ? "v2" : "v3", message: r.chance(0.99) ? { attributes } : {}, moreHeaders, edits };
}

function addContext(r: Random, attributes: Record<string, Json>): void {
  if (r.chance(0.5)) attributes["source"] = peer(r);
  if (r.chance(0.4)) attributes["destination"] = peer(r);
  if (r.chance(0.2)) attributes["contextExtensions"] = textMap(r);
  if (r.chance(0.3)) attributes["metadataContext"] = metadata(r);
  if (r.chance(0.1)) attributes["routeMetadataContext"] = metadata(r);
  if (r.chance(0.1)) attributes["tlsSession"] = r.pick<Json>([{}, { sni: "a.example" }]);
}

function target(r: Random): string {
  let path = r.pick(["/", "/", "/", "/", "/", "", "//", "///", "*", "http://h/"]);
  path += Array.from({ length: r.below(4) }, () => r.pick(SEGMENTS)).join("/");
  if (r.chance(0.1)) path = "/shop.v1.Shop/" + r.pick(["Order", "Watch", "None", "Order/x", ""]);
  if (r.chance(0.4))
    path += `?${Array.from({ length: r.below(4) }, () => r.pick(QUERY_PIECES)).join(r.pick(["&", "&", "&", ""]))}`;
  return path;
}

function peer(r: Random): Json {
  const address = r.pick<Json>([
    { socketAddress: { address: "10.0.0.1", portValue: r.pick([0, 80, 65535]) } },
    { socketAddress: { address: "::1", namedPort: r.pick(["", "http"]), protocol: r.pick([0, 1]), ipv4Compat: true } },
    { pipe: { path: "/run/x.sock", mode: 511 } },
    { envoyInternalAddress: { serverListenerName: "l", endpointId: "e" } },
    { socketAddress: {} },
    {},
    null,
  ]);
  return {
    ...(address !== null && { address }),
    ...(r.chance(0.3) && { service: r.pick(TEXTS) }),
    ...(r.chance(0.3) && { labels: textMap(r) }),
    ...(r.chance(0.5) && { principal: r.pick(["", "spiffe://cluster.local/ns/a/sa/b", "ä", "cn=x"]) }),
    ...(r.chance(0.2) && { certificate: r.pick(TEXTS) }),
  };
}

function textMap(r: Random): Json {
  return Object.fromEntries(
    Array.from({ length: r.below(3) }, () => [r.pick(["a", "b", "x.y", "", "ä"]), r.pick(TEXTS)]),
  );
}

function metadata(r: Random): Json {
  const out: Record<string, Json> = {};
  if (r.chance(0.9)) out["filterMetadata"] = { [r.pick(["envoy.filters.http.jwt_authn", "a", ""])]: struct(r, 0) };
  if (r.chance(0.2)) out["typedFilterMetadata"] = { t: { typeUrl: "type.googleapis.com/x", value: "AAEC" } };
  return out;
}

const NUMBERS = [
  0, -0, 1, -1, 1.5, 0.1, 1e-7, 1e-5, 0.0001, 100000, 999999, 1000000, 1234567, 123456789.25, 1e20, 1e21, 1e22, 1e300,
  5e-324, 9007199254740992, 4294967296, -1e6, 1e100,
];

function struct(r: Random, depth: number): Json {
  const names = ["a", "b", "sub", "exp", "", "ä", "toString"];
  return {
    fields: Object.fromEntries(Array.from({ length: r.below(4) }, () => [r.pick(names), structValue(r, depth)])),
  };
}

function structValue(r: Random, depth: number): Json {
  switch (r.below(depth > 3 ? 5 : 7)) {
    case 0:
      return { nullValue: 0 };
    case 1:
      return { numberValue: r.pick(NUMBERS) };
    case 2:
      return { stringValue: r.pick(TEXTS) };
    case 3:
      return { boolValue: r.chance(0.5) };
    case 4:
      return r.chance(0.3) ? {} : { numberValue: r.below(1e9) / 10 ** r.below(12) };
    case 5:
      return { structValue: struct(r, depth + 1) };
    default:
      return { listValue: { values: Array.from({ length: r.below(4) }, () => structValue(r, depth + 1)) } };
  }
}

function addBody(r: Random, http: Record<string, Json>, headers: Record<string, string>): void {
  if (r.chance(0.25)) return;
  let type = r.pick(CONTENT_TYPES);
  const boundary = r.pick(BOUNDARIES);
  let body: Buffer;
  if (r.chance(0.3)) {
    type = r
      .pick([
        "multipart/form-data; boundary=%",
        'multipart/form-data; boundary="%"',
        "multipart/form-data;boundary=%; x=y",
        "multipart/form-data",
        "multipart/form-data; boundary=%;",
        "multipart/form-data; BOUNDARY=%",
        "multipart/form-data; boundary=%; boundary=z",
        "multipart/form-data; boundary*=utf-8''%",
        "multipart/form-data; boundary*0=%; boundary*1=%",
        "a multipart/form-data; boundary=%",
        "multipart/form-data, boundary=%",
      ])
      .replaceAll("%", boundary);
    body = multipart(r, boundary);
  } else if (type.includes("grpc")) body = grpcBody(r);
  else if (type.includes("form"))
    body = Buffer.from(Array.from({ length: r.below(5) }, () => r.pick(QUERY_PIECES)).join("&"));
  else body = Buffer.from(r.chance(0.02) ? r.pick(TEXTS) : jsonText(r));
  if (r.chance(0.1)) body = damaged(r, body);
  if (r.chance(0.95)) headers["content-type"] = type;
  if (r.chance(0.4))
    headers["content-length"] = r.pick([
      String(body.length),
      String(body.length),
      String(body.length + 1),
      String(Math.max(0, body.length - 1)),
      "-1",
      "-2",
      "+1",
      "0",
      "",
      "abc",
      "1.0",
      " 1",
      "0x10",
      "1_000",
      "9223372036854775807",
      "9223372036854775808",
      "-9223372036854775809",
      "1e3",
      "00012",
      "²",
    ]);
  if (r.chance(0.05)) headers["x-envoy-auth-partial-body"] = r.pick(["true", "false", "TRUE", ""]);
  const isText = body.equals(Buffer.from(body.toString("utf8")));
  const asBytes = type.includes("grpc") ? r.chance(0.9) : !isText || r.chance(0.2);
  if (!asBytes || (isText && r.chance(0.1))) http["body"] = body.toString("utf8");
  if (asBytes) http["rawBody"] = body.toString("base64");
}

/** JSON, with the liberties that texts on the wire take. */
function jsonText(r: Random, depth = 0): string {
  const space = r.chance(0.1) ? r.pick([" ", "\n", "\t", "\r\n"]) : "";
  const inner = (() => {
    switch (r.below(depth > 3 ? 5 : 8)) {
      case 0:
        return r.pick(
          ["true", "false", "null", "tru", "NaN", "True", "nul", "undefined"].slice(0, r.chance(0.9) ? 3 : 8),
        );
      case 1:
        return r.pick([
          "0",
          "-0",
          "1",
          "1.0",
          "1.50",
          "1e5",
          "1E+5",
          "1e-7",
          "123456789012345678901234567890",
          "0.1",
          "1e400",
        ]);
      case 2:
        return r.chance(0.9)
          ? String(r.below(1e6) / 100)
          : r.pick(["01", "+1", ".5", "1.", "-", "1e", "0x1", "Infinity", "1_0"]);
      case 3:
        return JSON.stringify(r.pick(TEXTS));
      case 4:
        return r.chance(0.9)
          ? '"\\u00e4\\n\\/"'
          : r.pick(['"\\ud800"', '"\\udc00x"', '"\\x"', '"a', "'a'", '"\t"', '"\\u12"', '"\\ud83d\\ude00"', '"\n"']);
      case 5:
      case 6: {
        const names = ["a", "b", "a", "", "__proto__", "constructor", "ä", "\\u0061"];
        const members = Array.from({ length: r.below(4) }, () => `"${r.pick(names)}":${jsonText(r, depth + 1)}`);
        return `{${members.join(",")}${r.chance(0.02) ? "," : ""}}`;
      }
      default:
        return `[${Array.from({ length: r.below(4) }, () => jsonText(r, depth + 1)).join(",")}${r.chance(0.02) ? "," : ""}]`;
    }
  })();
  const after =
    depth === 0 && r.chance(0.04) ? r.pick(["{}", " x", "]", "1", '"a"', "\u0000", ",", "null", "//c", "\ufeff"]) : "";
  return space + inner + space + after;
}

function multipart(r: Random, boundary: string): Buffer {
  const eol = r.chance(0.85) ? "\r\n" : "\n";
  const parts = Array.from({ length: r.below(4) }, () => {
    const name = r.pick(["a", "b", "a", "", "ä", "__proto__", 'q\\"q', "x y"]);
    const disposition = r.chance(0.85)
      ? `Content-Disposition: form-data; name="${name}"${r.chance(0.2) ? '; filename="C:\\dir\\f.txt"' : ""}`
      : r.pick([
          "Content-Disposition: form-data",
          "content-disposition:form-data;name=a",
          "Content-Disposition: attachment; name=a",
          "Content-Disposition: FORM-DATA; NAME=a",
          "Content-Disposition: form-data; name*=utf-8''%C3%A4",
          "X: y",
          "Content-Disposition: form-data; name=a; name=b",
          'Content-Disposition: form-data; name="a',
          "Content-Disposition: form-data;; name=a",
          "Content-Disposition: form-data; name=a b",
          "Content-Disposition: form-data;\r\n name=a",
          "Content-Disposition : form-data; name=a",
          "nocolon",
          ": empty",
          "Content-Disposition: form-data; name=ä",
        ]);
    const lines = [disposition];
    if (r.chance(0.3))
      lines.push(
        `Content-Type: ${r.pick(["application/json", "text/plain", "application/json; charset=utf-8", "Application/JSON"])}`,
      );
    if (r.chance(0.1))
      lines.push(`Content-Transfer-Encoding: ${r.pick(["quoted-printable", "base64", "Quoted-Printable", "8bit"])}`);
    if (r.chance(0.05)) lines.unshift("X-A: 1");
    const content = r.chance(0.5)
      ? jsonText(r)
      : r.pick([
          ...TEXTS,
          "a=3Db",
          "a=\r\nb",
          "=zz",
          "=C3=A4 \r\n",
          "aGVsbG8=",
          "a\r\nb",
          `--${boundary}`,
          `x${eol}--${boundary}y`,
          "=",
          "a=",
          "=3d",
        ]);
    return `--${boundary}${r.chance(0.05) ? r.pick([" ", "\t ", "x"]) : ""}${eol}${lines.join(eol)}${eol}${eol}${content}${eol}`;
  });
  const end = r.chance(0.9) ? `--${boundary}--` : r.pick(["", `--${boundary}`, `--${boundary}-`, `--${boundary}--x`]);
  return Buffer.from(
    `${r.chance(0.1) ? r.pick([`preamble${eol}`, eol, "x"]) : ""}${parts.join("")}${end}${r.pick([eol, "", eol + "epilogue"])}`,
  );
}

function grpcBody(r: Random): Buffer {
  const item = () => ({ name: r.pick(TEXTS), price: r.pick(NUMBERS), blob: "AAH/", size: r.below(4) });
  const message = Order.fromObject({
    ...(r.chance(0.5) && { orderId: r.pick(TEXTS) }),
    ...(r.chance(0.3) && { big: r.pick([1, "-9223372036854775808", 0]), bigger: "18446744073709551615" }),
    ...(r.chance(0.3) && {
      small: -1,
      zig: -5,
      fix: 7,
      gift: true,
      ratio: r.pick([0.1, 1.5, 3.4e38, 16777216, 1e-10]),
    }),
    ...(r.chance(0.3) && { items: [item(), item()] }),
    ...(r.chance(0.3) && { byName: { x: item(), "": {} } }),
    ...(r.chance(0.3) && { numbers: [1, 0, -1] }),
    ...(r.chance(0.3) && (r.chance(0.5) ? { card: "" } : { voucher: item() })),
    ...(r.chance(0.3) && { maybe: 0, names: { 1: "a", "-1": "b" }, size: r.below(3) }),
  });
  const content = Buffer.from(Order.encode(message).finish());
  const head = Buffer.alloc(5);
  head[0] = r.chance(0.95) ? 0 : 1;
  head.writeUInt32BE(r.chance(0.9) ? content.length : (content.length + r.pick([1, -1, 7])) >>> 0, 1);
  return Buffer.concat([head, content]).subarray(0, r.chance(0.97) ? undefined : r.below(8));
}

function damaged(r: Random, bytes: Buffer): Buffer {
  if (r.chance(0.5)) return bytes.subarray(0, r.below(bytes.length + 1));
  const copy = Buffer.from(bytes);
  if (copy.length > 0) copy[r.below(copy.length)] = r.below(256);
  return copy;
}

/** Smaller calls of the same kind, the smallest first. */
export function* shrinkCheck(check: Check): Generator<Check> {
  for (const key of ["edits", "moreHeaders"] as const)
    for (let i = 0; i < check[key].length; i++)
      yield { ...check, [key]: (check[key] as readonly unknown[]).filter((_, j) => j !== i) };
  if (check.api === "v2") yield { ...check, api: "v3" };
  for (const message of smallerJson(check.message, "")) yield { ...check, message };
}

function* smallerJson(value: Json, name: string): Generator<Json> {
  if (typeof value === "string") {
    const bytes = name === "rawBody" ? Buffer.from(value, "base64") : undefined;
    const units: readonly (string | number)[] = bytes === undefined ? Array.from(value) : [...bytes];
    const join = (rest: readonly (string | number)[]): string =>
      bytes === undefined ? rest.join("") : Buffer.from(rest as number[]).toString("base64");
    for (let size = units.length; size >= 1; size = Math.floor(size / 2))
      for (let at = 0; at + size <= units.length; at += size)
        yield join([...units.slice(0, at), ...units.slice(at + size)]);
  } else if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      yield value.filter((_, j) => j !== i);
      for (const smaller of smallerJson(value[i], name)) yield value.map((item: Json, j) => (j === i ? smaller : item));
    }
  } else if (typeof value === "object" && value !== null) {
    for (const key of Object.keys(value)) {
      yield Object.fromEntries(Object.entries(value).filter(([other]) => other !== key));
    }
    for (const [key, member] of Object.entries(value))
      for (const smaller of smallerJson(member, key)) yield { ...value, [key]: smaller };
  }
}
