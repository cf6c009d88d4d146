import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WireError } from "../../../src/ext-authz/errors.ts";
import { readCheckRequest } from "../../../src/ext-authz/request.ts";
import type { CheckResponse } from "../../../src/ext-authz/response.ts";
import { encodeCheckResponse } from "../../../src/ext-authz/wire/encode.ts";
import { CHECK_REQUEST, type MessageType } from "../../../src/ext-authz/wire/messages.ts";
import { type NumberValue, numberText } from "../../../src/rego/value/index.ts";
import { CheckRequestType, decodeResponse, encodeRequest, protos } from "../../support/checks.ts";

const attributesOf = (message: object) => readCheckRequest(encodeRequest(message), "v3").attributes;

/** A length-delimited field. */
function field(number: number, content: Buffer): Buffer {
  const length = content.length;
  const varint =
    length < 128
      ? [length]
      : length < 16_384
        ? [(length & 0x7f) | 0x80, length >>> 7]
        : [(length & 0x7f) | 0x80, ((length >>> 7) & 0x7f) | 0x80, length >>> 14];
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...varint]), content]);
}

describe("the table of messages", () => {
  test("says what proto/ says, field by field", () => {
    const compare = (type: MessageType, name: string): void => {
      const definition = protos.lookupType(name);
      expect([...type.keys()].filter((number) => type[number] !== undefined)).toEqual(
        definition.fieldsArray.map(({ id }) => id).sort((a, b) => a - b),
      );
      for (const field of definition.fieldsArray) {
        const row = type[field.id];
        expect(row?.name, `${name}.${field.name}`).toBe(
          field.name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
        );
        expect(row?.shape).toBe(field.map ? "map" : field.repeated ? "list" : undefined);
        expect(row?.oneof !== undefined).toBe(field.partOf !== null);
        if (row?.message !== undefined && field.resolvedType !== null)
          compare(row.message, field.resolvedType.fullName);
      }
    };
    compare(CHECK_REQUEST, "envoy.service.auth.v3.CheckRequest");
  });
});

// envoyauth/protomap.go; the rules are those of the input document, not protojson's.
describe("attributes", () => {
  test.for([
    {
      why: "defaults are left out",
      message: { attributes: { request: { http: { method: "", size: 0 } } } },
      want: { request: { http: {} } },
    },
    {
      why: "empty messages stay",
      message: { attributes: { metadataContext: {}, source: {} } },
      want: { metadataContext: {}, source: {} },
    },
    {
      why: "a set member of a oneof stays at its default",
      message: { attributes: { source: { address: { socketAddress: { address: "::1", portValue: 0 } } } } },
      want: { source: { address: { socketAddress: { address: "::1", portValue: 0 } } } },
    },
    {
      why: "64-bit integers are numbers",
      message: { attributes: { request: { http: { size: -1 } } } },
      want: { request: { http: { size: -1 } } },
    },
    {
      why: "times are objects",
      message: { attributes: { request: { time: { seconds: 5, nanos: 7 } } } },
      want: { request: { time: { seconds: 5, nanos: 7 } } },
    },
    {
      why: "enums are numbers",
      message: { attributes: { source: { address: { socketAddress: { protocol: 1 } } } } },
      want: { source: { address: { socketAddress: { protocol: 1 } } } },
    },
    {
      why: "bytes are base64",
      message: { attributes: { request: { http: { rawBody: Buffer.from("hi") } } } },
      want: { request: { http: { rawBody: "aGk=" } } },
    },
    {
      why: "raw headers",
      message: {
        attributes: { request: { http: { headerMap: { headers: [{ key: "a", rawValue: Buffer.from("b") }] } } } },
      },
      want: { request: { http: { headerMap: { headers: [{ key: "a", rawValue: "Yg==" }] } } } },
    },
    {
      why: "Any is not expanded",
      message: {
        attributes: { metadataContext: { typedFilterMetadata: { f: { type_url: "t", value: Buffer.from("v") } } } },
      },
      want: { metadataContext: { typedFilterMetadata: { f: { typeUrl: "t", value: "dg==" } } } },
    },
    {
      why: "the rest of a connection",
      message: { attributes: { tlsSession: { sni: "s" }, contextExtensions: { k: "" } } },
      want: { tlsSession: { sni: "s" }, contextExtensions: { k: "" } },
    },
  ])("$why", ({ message, want }) => {
    expect(attributesOf(message)).toEqual(want);
  });

  test("Struct is plain JSON; large doubles have Go's text", () => {
    const fields = {
      s: { stringValue: "x" },
      n: { numberValue: 1.5 },
      big: { numberValue: 1569026124 },
      nan: { numberValue: Number.NaN },
      minus: { numberValue: -0 },
      b: { boolValue: false },
      z: { nullValue: 0 },
      l: { listValue: { values: [{ numberValue: 1 }] } },
      o: { structValue: { fields: {} } },
      none: {},
    };
    const struct = attributesOf({
      attributes: { metadataContext: { filterMetadata: { f: { fields } } } },
    }) as never as {
      metadataContext: { filterMetadata: { f: Record<string, unknown> } };
    };
    const { big, minus, ...rest } = struct.metadataContext.filterMetadata.f;
    expect(rest).toEqual({ s: "x", n: 1.5, nan: "NaN", b: false, z: null, l: [1], o: {}, none: null });
    expect((big as { text: string }).text).toBe("1.569026124e+09");
    expect(numberText(minus as NumberValue)).toBe("-0");
  });

  test("the last of a repeated scalar wins, messages merge", () => {
    const one = encodeRequest({ attributes: { request: { http: { method: "GET", path: "/a" } } } });
    const two = encodeRequest({ attributes: { request: { http: { method: "PUT" } } } });
    expect(readCheckRequest(Buffer.concat([one, two]), "v3").attributes).toEqual({
      request: { http: { method: "PUT", path: "/a" } },
    });
  });

  test("a header called __proto__ is an ordinary member", () => {
    const { headers } = readCheckRequest(
      encodeRequest({ attributes: { request: { http: { headers: JSON.parse('{"__proto__": "x"}') } } } }),
      "v3",
    ).http;
    expect(Object.getOwnPropertyDescriptor(headers, "__proto__")?.value).toBe("x");
  });

  test("an empty message has no attributes", () => {
    expect(readCheckRequest(Buffer.alloc(0), "v3").attributes).toBeUndefined();
  });
});

describe("bytes that are no message", () => {
  test.for([
    { why: "cut short", hex: "0a05" },
    { why: "a length beyond the end", hex: "0aff01" },
    { why: "field number 0", hex: "0000" },
    { why: "an endless varint", hex: "08ffffffffffffffffffff01" },
    { why: "an illegal wire type", hex: "0f" },
    { why: "text that is not UTF-8", hex: "0a070a0522036162ff".slice(0, 18) },
  ])("$why", ({ hex }) => {
    expect(() => readCheckRequest(Buffer.from(hex, "hex"), "v3")).toThrow(WireError);
  });

  test("invalid UTF-8 in a path", () => {
    const good = encodeRequest({ attributes: { request: { http: { path: "/abc" } } } });
    const bad = Buffer.from(good);
    bad[bad.length - 1] = 0xff;
    expect(() => readCheckRequest(bad, "v3")).toThrow("string field contains invalid UTF-8");
  });

  // A member that runs past its message would hide what follows from a reader that lets it.
  test.for([
    { why: "a map entry", path: [3, 2, 4, 1] },
    { why: "an entry of a Struct", path: [1, 2, 1, 11, 1] },
  ])("text that runs past the end of $why", ({ path }) => {
    const overrun = Buffer.concat([field(1, Buffer.from("a")), Buffer.from([0x12, 0x09, 0x62])]);
    const wrapped = path.reduce<Buffer>((inner, number) => field(number, inner), overrun);
    expect(() => readCheckRequest(Buffer.concat([wrapped, field(1, field(10, Buffer.alloc(0)))]), "v3")).toThrow(
      WireError,
    );
  });

  test("nesting without end", () => {
    // Struct.fields["a"] = Value{struct_value: …}, a hundred times over and more.
    let struct: Buffer = Buffer.alloc(0);
    for (let i = 0; i < 120; i++)
      struct = field(1, Buffer.concat([field(1, Buffer.from("a")), field(2, field(5, struct))]));
    const metadata = field(1, Buffer.concat([field(1, Buffer.from("f")), field(2, struct)]));
    expect(() => readCheckRequest(field(1, field(11, metadata)), "v3")).toThrow("message is nested too deep");
  });

  test("any bytes give a request or a WireError", () => {
    const seed = encodeRequest({
      attributes: {
        source: { principal: "p", labels: { a: "b" } },
        request: { http: { method: "GET", headers: { h: "v" }, size: 7 } },
      },
    });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(seed.length), (noise, at) => {
        const bytes = Buffer.concat([seed.subarray(0, at), noise, seed.subarray(at)]);
        try {
          readCheckRequest(bytes, "v3");
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("what another implementation writes is read the same", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "ä", "\u{1F600}", "/", "") });
    fc.assert(
      fc.property(fc.dictionary(text, text), text, fc.integer(), (headers, path, size) => {
        const request = readCheckRequest(
          Buffer.from(
            CheckRequestType.encode(
              CheckRequestType.create({ attributes: { request: { http: { headers, path, size } } } }),
            ).finish(),
          ),
          "v3",
        );
        expect({ ...request.http.headers }).toEqual({ ...headers });
        expect(request.http.path).toBe(path);
      }),
    );
  });
});

describe("answers", () => {
  const changes = {
    headers: [{ key: "a", value: "1" }],
    headersToRemove: ["b"],
    responseHeadersToAdd: [{ key: "c", value: "" }],
    queryParametersToRemove: ["d"],
    queryParametersToSet: [{ key: "e", value: "2" }],
  };

  test("an ok response with everything", () => {
    const response: CheckResponse = {
      code: 0,
      message: "",
      http: { kind: "ok", changes },
      metadata: { n: null, l: [1, "x", true], o: { p: 1.5 } },
    };
    const reply = decodeResponse(encodeCheckResponse(response, "v3"));
    expect(reply.okResponse).toEqual({
      headers: [{ header: { key: "a", value: "1" } }],
      headersToRemove: ["b"],
      responseHeadersToAdd: [{ header: { key: "c" } }],
      queryParametersToRemove: ["d"],
      queryParametersToSet: [{ key: "e", value: "2" }],
    });
    expect(reply.metadata).toEqual({ n: null, l: [1, "x", true], o: { p: 1.5 } });
  });

  test("v2 callers get what v2 has", () => {
    const reply = decodeResponse(
      encodeCheckResponse({ code: 0, message: "", http: { kind: "ok", changes }, metadata: { a: 1 } }, "v2"),
    );
    expect(reply).toEqual({ status: {}, okResponse: { headers: [{ header: { key: "a", value: "1" } }] } });
  });

  test.for([{ size: 10 }, { size: 127 }, { size: 128 }, { size: 20_000 }, { size: 3_000_000 }])(
    "a body of $size bytes",
    ({ size }) => {
      const response: CheckResponse = {
        code: 7,
        message: "m",
        http: { kind: "denied", answer: { headers: [], body: "x".repeat(size), httpStatus: 418 } },
      };
      const reply = decodeResponse(encodeCheckResponse(response, "v3"));
      expect(reply.deniedResponse?.body).toHaveLength(size);
    },
  );

  test("a lone surrogate does not make the message unreadable", () => {
    const reply = decodeResponse(
      encodeCheckResponse(
        { code: 7, message: "", http: { kind: "denied", answer: { headers: [], body: "a\ud800b", httpStatus: 403 } } },
        "v3",
      ),
    );
    expect(reply.deniedResponse?.body).toBe("a\ufffdb");
  });
});
