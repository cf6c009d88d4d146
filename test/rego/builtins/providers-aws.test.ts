import { describe, expect, test } from "vitest";
import { awsBuiltins } from "../../../src/rego/builtins/providers-aws.ts";
import { RegoSet, toJsonValue, type Value } from "../../../src/rego/value/index.ts";
import { caller } from "../../support/builtin-context.ts";

const call = caller(awsBuiltins);
const CONFIG = {
  aws_access_key: "MYAWSACCESSKEYGOESHERE",
  aws_secret_access_key: "MYAWSSECRETACCESSKEYGOESHERE",
  aws_service: "s3",
  aws_region: "us-east-1",
};
const REQUEST = { method: "get", url: "https://examplebucket.s3.amazonaws.com/data" };
const TIME = 1_451_347_200_000_000_000n;
const headersOf = (request: Value, config: Value = CONFIG) =>
  (
    toJsonValue(call("providers.aws.sign_req", request, config, TIME) as Value) as Record<
      string,
      Record<string, string>
    >
  )["headers"];

describe("providers.aws.sign_req", () => {
  test("adds the headers of the signature and keeps the rest", () => {
    const headers = headersOf({ ...REQUEST, headers: { foo: "bar", "User-Agent": "x" } });
    expect(headers).toMatchObject({
      foo: "bar",
      "User-Agent": "x",
      host: "examplebucket.s3.amazonaws.com",
      "x-amz-date": "20151229T000000Z",
    });
    expect(headers?.["x-amz-content-sha256"]).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(headers?.["Authorization"]).toMatch(
      /^AWS4-HMAC-SHA256 Credential=MYAWSACCESSKEYGOESHERE\/20151229\/us-east-1\/s3\/aws4_request,SignedHeaders=foo;host;x-amz-content-sha256;x-amz-date,Signature=[0-9a-f]{64}$/,
    );
  });

  // The signatures are opa 1.20.2's.
  test.for([
    {
      why: "no body",
      request: REQUEST,
      config: CONFIG,
      signature: "8da5bfa931e3e4943212f52ea1e5b3719f5ceee35dd8b20fd312592744e1879d",
    },
    {
      why: "a set as body",
      request: { ...REQUEST, body: RegoSet.of(["b", "<a>"]) },
      config: CONFIG,
      signature: "3a65e2b8d7168828016b5003a95b630ed2bb7cfef4485776c61546826703f282",
    },
    {
      why: "raw body over body",
      request: { ...REQUEST, body: 1, raw_body: "text" },
      config: CONFIG,
      signature: "bdda2b7dc8c341d1818aec92d6c1718486b0c3e0b25738c729b1da618ab7008a",
    },
    {
      why: "path and query",
      request: { ...REQUEST, url: "https://u@h:81/a b/%41/ü(1)?x=y z#f" },
      config: CONFIG,
      signature: "847ee19e50aaed269b5b921f78b01ca2a92e33948828d03c5f6ab2a71cce7c16",
    },
    {
      why: "another service, a token",
      request: REQUEST,
      config: { ...CONFIG, aws_service: "ec2", aws_session_token: "token" },
      signature: "85fd4773df3d3fd736acf9652327e5fd7a872492b1f7439ca6385fedb5774697",
    },
    {
      why: "unsigned payload",
      request: { ...REQUEST, body: 1 },
      config: { ...CONFIG, disable_payload_signing: true },
      signature: "3773c8c8393c784a1bce10e751367c4243c38ca676e8061aa72f36d240c4e523",
    },
  ] as { why: string; request: Value; config: Value; signature: string }[])(
    "signs $why",
    ({ request, config, signature }) => {
      expect(headersOf(request, config)?.["Authorization"]).toMatch(new RegExp(`Signature=${signature}$`));
    },
  );

  test.for([
    {
      operands: [REQUEST, {}, TIME],
      want: 'operand 2 missing required AWS config parameters(s): {"aws_access_key", "aws_region", "aws_secret_access_key", "aws_service"}',
    },
    {
      operands: [REQUEST, { ...CONFIG, aws_region: 1 }, TIME],
      want: 'operand 2 invalid values for required AWS config parameters(s): {"aws_region"}',
    },
    { operands: [REQUEST, "x", TIME], want: "operand 1 must be object but got string" },
    { operands: [REQUEST, CONFIG, 1n << 64n], want: "operand 3 could not convert time_ns value into a unix timestamp" },
    { operands: [REQUEST, CONFIG, "x"], want: "operand 1 must be number but got string" },
    { operands: [{ method: "get" }, CONFIG, TIME], want: 'operand 1 missing required request parameters(s): {"url"}' },
    {
      operands: [{ ...REQUEST, nonsense: 1 }, CONFIG, TIME],
      want: 'operand 1 invalid request parameters(s): {"nonsense"}',
    },
    {
      operands: [{ method: 1, url: 2 }, CONFIG, TIME],
      want: 'operand 1 invalid values for required request parameters(s): {"method", "url"}',
    },
    { operands: [{ ...REQUEST, headers: "x" }, CONFIG, TIME], want: "operand 0 must be object but got string" },
    {
      operands: [REQUEST, { ...CONFIG, disable_payload_signing: 1 }, TIME],
      want: "operand 2 invalid value for 'disable_payload_signing' in AWS config",
    },
    {
      operands: [{ ...REQUEST, url: "http://h/%zz" }, CONFIG, TIME],
      want: 'parse "http://h/%zz": invalid URL escape "%zz"',
    },
  ] as { operands: Value[]; want: string }[])("$want", ({ operands, want }) =>
    expect(() => call("providers.aws.sign_req", ...operands)).toThrow(want),
  );
});
