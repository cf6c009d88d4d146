import { describe, expect, test } from "vitest";
import { grpcBodyDecoder } from "../../../src/ext-authz/body/grpc.ts";
import { parseBody } from "../../../src/ext-authz/body/index.ts";
import { InputError } from "../../../src/ext-authz/errors.ts";
import type { JsonObject } from "../../../src/rego/value/index.ts";

function body(headers: JsonObject, text: string | Buffer) {
  const isText = typeof text === "string";
  return parseBody(
    { path: "/", headers, body: isText ? text : "", rawBody: isText ? Buffer.alloc(0) : text },
    ["a", "b"],
    { grpcBodies: undefined },
  );
}

const nothing = { body: null, isTruncated: false };
const truncated = { body: null, isTruncated: true };
const json = { "content-type": "application/json" };
const form = { "content-type": "application/x-www-form-urlencoded" };

// envoyauth/request.go getParsedBody
describe("which bodies are read", () => {
  test.for([
    { why: "no content type", headers: {}, text: "{}", want: nothing },
    { why: "another content type", headers: { "content-type": "text/plain" }, text: "{}", want: nothing },
    { why: "a vendor type", headers: { "content-type": "application/vnd.api+json" }, text: "{}", want: nothing },
    { why: "capitals", headers: { "content-type": "Application/JSON" }, text: "{}", want: nothing },
    {
      why: "a charset",
      headers: { "content-type": "application/json; charset=utf-8" },
      text: "{}",
      want: { body: {}, isTruncated: false },
    },
    { why: "an empty body", headers: { ...json, "content-length": "9" }, text: "", want: nothing },
    { why: "Envoy's own word", headers: { ...json, "x-envoy-auth-partial-body": "true" }, text: "{}", want: truncated },
    { why: "Envoy's word without a type", headers: { "x-envoy-auth-partial-body": "true" }, text: "", want: truncated },
    { why: "a longer content-length", headers: { ...json, "content-length": "3" }, text: "{}", want: truncated },
    {
      why: "content-length -1",
      headers: { ...json, "content-length": "-1" },
      text: "{}",
      want: { body: {}, isTruncated: false },
    },
    {
      why: "bytes counted, not characters",
      headers: { ...json, "content-length": "4" },
      text: '"ä"',
      want: { body: "ä", isTruncated: false },
    },
    { why: "a form", headers: form, text: "a=1&a=2&b", want: { body: { a: ["1", "2"], b: [""] }, isTruncated: false } },
    {
      why: "gRPC without descriptors",
      headers: { "content-type": "application/grpc" },
      text: Buffer.from("xxxxx"),
      want: nothing,
    },
  ])("$why", ({ headers, text, want }) => {
    expect(body(headers, text)).toEqual(want);
  });

  test("raw bytes serve where there is no text", () => {
    expect(body(json, Buffer.from('{"a": 1}'))).toEqual({ body: { a: 1 }, isTruncated: false });
  });

  test("numbers stay exact", () => {
    expect(body(json, "12345678901234567890")).toEqual({ body: 12345678901234567890n, isTruncated: false });
  });

  test.for([
    {
      headers: { ...json, "content-length": "x" },
      text: "{}",
      message: 'strconv.ParseInt: parsing "x": invalid syntax',
    },
    {
      headers: { ...json, "content-length": "99999999999999999999" },
      text: "{}",
      message: 'strconv.ParseInt: parsing "99999999999999999999": value out of range',
    },
    { headers: json, text: "{", message: "unexpected EOF" },
    { headers: json, text: "  ", message: "EOF" },
    { headers: json, text: "a: 1", message: "invalid character 'a' looking for beginning of value" },
    { headers: json, text: "{} {}", message: "error: invalid character '{' after top-level value" },
    { headers: json, text: "{}[", message: "error: invalid character '[' after top-level value" },
    { headers: json, text: "{}]", message: "invalid character ']' looking for beginning of value" },
    { headers: json, text: "{}true", message: "error: invalid character '%!s(bool=true)' after top-level value" },
    { headers: json, text: "01", message: "error: invalid character '1' after top-level value" },
    { headers: json, text: '{}"a', message: "unexpected EOF" },
    { headers: json, text: "1\ufeff", message: "invalid character 'ï' looking for beginning of value" },
    { headers: json, text: "\ufeff{}", message: "invalid character 'ï' looking for beginning of value" },
    { headers: json, text: '"\u0001"', message: "invalid character '\\x01' in string literal" },
    { headers: json, text: "1E", message: "unexpected EOF" },
    { headers: json, text: "[1.]", message: "invalid character ']' after decimal point in numeric literal" },
    { headers: json, text: "[1e+]", message: "invalid character ']' in exponent of numeric literal" },
    {
      headers: { ...json, "content-length": "\u0001\u2028" },
      text: "{}",
      message: 'strconv.ParseInt: parsing "\\x01\\u2028": invalid syntax',
    },
    { headers: form, text: "a;b", message: "invalid semicolon separator in query" },
  ])("$text with $headers is refused", ({ headers, text, message }) => {
    expect(() => body(headers, text)).toThrow(new InputError(message));
  });
});

// OPA takes one token more after the document, and null for none (v1/util/json.go).
test.for([{ text: "{} null" }, { text: "{}null and more" }])("$text is a document", ({ text }) => {
  expect(body(json, text)).toEqual({ body: {}, isTruncated: false });
});

test("each byte that is not UTF-8 is a character", () => {
  expect(body(json, Buffer.from([0x22, 0xe2, 0x82, 0x22]))).toEqual({ body: "\ufffd\ufffd", isTruncated: false });
});

describe("multipart bodies", () => {
  const type = { "content-type": 'multipart/form-data; boundary="b-b"' };
  const part = (head: string, content: string) => `--b-b\r\n${head}\r\n\r\n${content}\r\n`;
  const named = (name: string) => `Content-Disposition: form-data; name="${name}"`;

  test.for([
    {
      why: "parts by name, in order",
      text: `${part(named("a"), "1")}${part(named("a"), "2")}--b-b--`,
      want: { a: ["1", "2"] },
    },
    {
      why: "a preamble and text after the end",
      text: `hello\r\n${part(named("a"), "1")}--b-b--\r\nbye`,
      want: { a: ["1"] },
    },
    {
      why: "a JSON part",
      text: `${part(`${named("j")}\r\nContent-Type: application/json`, '{"x": 1}')}--b-b--`,
      want: { j: [{ x: 1 }] },
    },
    {
      why: "a file",
      text: `${part(`${named("f")}; filename="x.txt"\r\nContent-Type: text/plain`, "file")}--b-b--`,
      want: { f: ["file"] },
    },
    { why: "a part without a name", text: `${part("Content-Type: text/plain", "x")}--b-b--`, want: {} },
    { why: "an empty part", text: `${part(named("e"), "")}--b-b--`, want: { e: [""] } },
    { why: "line feeds only", text: `--b-b\n${named("a")}\n\nx\ny\n--b-b--\n`, want: { a: ["x\ny"] } },
    { why: "something like a boundary inside", text: `${part(named("a"), "--b-bx")}--b-b--`, want: { a: ["--b-bx"] } },
    {
      why: "quoted-printable",
      text: `${part(`${named("q")}\r\nContent-Transfer-Encoding: quoted-printable`, "a=3Db=\r\nc")}--b-b--`,
      want: { q: ["a=bc"] },
    },
    {
      why: "quoted-printable with letters in place of digits, and a last =",
      text: `${part(`${named("q")}\r\nContent-Transfer-Encoding: Quoted-Printable`, "=zz=3d \t\r\nx=")}--b-b--`,
      want: { q: ["=zz=\r\nx"] },
    },
    { why: "an end within a header", text: `${part(named("a"), "1")}--b-b\r\n${named("b")}`, want: { a: ["1"] } },
    { why: "an end after the first delimiter", text: "--b-b\n", want: {} },
    { why: "an end after blanks", text: `${part(named("a"), "1")}--b-b-- \t`, want: { a: ["1"] } },
    {
      why: "a header over two lines",
      text: `${part("Content-Disposition: form-data;\r\n name=a", "1")}--b-b--`,
      want: { a: ["1"] },
    },
    {
      why: "a blank before the colon",
      text: `${part("Content-Disposition : form-data; name=a", "1")}--b-b--`,
      want: {},
    },
  ])("$why", ({ text, want }) => {
    expect(body(type, text)).toEqual({ body: want, isTruncated: false });
  });

  test("no boundary, no body", () => {
    expect(body({ "content-type": "multipart/form-data" }, "x")).toEqual(nothing);
  });

  test.for([
    { text: part(named("a"), "1"), message: "unexpected EOF" },
    { text: `${part(`${named("j")}\r\nContent-Type: application/json`, "{")}--b-b--`, message: "unexpected EOF" },
    { text: "no boundary at all", message: "multipart: NextPart: EOF" },
    { text: part("X: y", "1"), message: "multipart: NextPart: EOF" },
    { text: part("nocolon", "1"), message: 'malformed MIME header: missing colon: "nocolon"' },
    { text: part(": empty", "1"), message: 'malformed MIME header line: ": empty"' },
    { text: part(" x: y", "1"), message: 'malformed MIME header initial line: " x: y"' },
    { text: `${part(named("a"), "1")}--b-b \r\nx`, message: 'malformed MIME header: missing colon: "x"' },
    {
      text: `${part(named("a"), "1")}--b-b--x\r\n`,
      message: 'multipart: expecting a new Part; got line "--b-b--x\\r\\n"',
    },
    {
      text: `${part(`${named("q")}\r\nContent-Transfer-Encoding: quoted-printable`, "\u0001")}--b-b--`,
      message: "quotedprintable: invalid unescaped byte 0x01 in body",
    },
  ])("$message", ({ text, message }) => {
    expect(() => body(type, text)).toThrow(new InputError(message));
  });

  test.for([
    { type: 'multipart/form-data; boundary=""', message: "multipart: boundary is empty" },
    { type: "a multipart/form-data", message: "mime: expected slash after first token" },
    { type: "multipart/form-data, boundary=x", message: "mime: unexpected content after media subtype" },
    { type: "multipart/form-data; boundary=a; boundary=b", message: "mime: duplicate parameter name" },
    { type: "multipart/form-data; boundary=ä", message: "mime: invalid media parameter" },
  ])("$type is refused", ({ type: contentType, message }) => {
    expect(() => body({ "content-type": contentType }, "x")).toThrow(new InputError(message));
  });
});

describe("gRPC bodies", () => {
  const decoder = grpcBodyDecoder((service, method, bytes) =>
    service === "a.S" && method === "M" ? JSON.stringify(bytes.toString()) : undefined,
  );
  const frame = (message: string, length = message.length, flag = 0) => {
    const head = Buffer.from([flag, 0, 0, 0, 0]);
    head.writeUInt32BE(length, 1);
    return Buffer.concat([head, Buffer.from(message)]);
  };

  test.for([
    {
      why: "the first message",
      path: ["a.S", "M"],
      raw: Buffer.concat([frame("one"), frame("two")]),
      want: { body: "one", isTruncated: false },
    },
    { why: "a compressed message", path: ["a.S", "M"], raw: frame("x", 1, 1), want: nothing },
    { why: "a message cut short", path: ["a.S", "M"], raw: frame("x", 2), want: truncated },
    { why: "an unknown method", path: ["a.S", "N"], raw: frame("x"), want: nothing },
  ])("$why", ({ path, raw, want }) => {
    expect(decoder.decode(path, raw)).toEqual(want);
  });

  test.for([
    { path: ["a.S"], raw: frame("x"), message: "invalid parsed path" },
    { path: ["a.S", "M", ""], raw: frame("x"), message: "invalid parsed path" },
    { path: ["a.S", "M"], raw: Buffer.from("xxxx"), message: "less than 5 bytes" },
  ])("$message", ({ path, raw, message }) => {
    expect(() => decoder.decode(path, raw)).toThrow(new InputError(message));
  });
});
