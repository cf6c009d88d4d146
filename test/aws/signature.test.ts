import { createHash, createPublicKey, verify } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type SigningOrder, signV4, signV4a } from "../../src/aws/index.ts";

// AWS Signature Version 4 test suite, get-vanilla and post-x-www-form-urlencoded.
const VANILLA: SigningOrder = {
  method: "GET",
  host: "example.amazonaws.com",
  path: "/",
  query: "",
  headers: new Map(),
  body: "",
  service: "service",
  keys: {
    accessKey: "AKIDEXAMPLE",
    secretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    sessionToken: "",
    region: "us-east-1",
  },
  ms: Date.UTC(2015, 7, 30, 12, 36, 0, 999),
};

describe("version 4", () => {
  test.for<[string, Partial<SigningOrder>, string, string]>([
    ["get-vanilla", {}, "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"],
    [
      "post-x-www-form-urlencoded",
      {
        method: "POST",
        headers: new Map([["Content-Type", "application/x-www-form-urlencoded"]]),
        body: "Param1=value1",
      },
      "content-type;host;x-amz-date",
      "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ],
  ])("%s", ([, change, names, signature]) => {
    const { authorization, added } = signV4({ ...VANILLA, ...change });
    expect(authorization).toBe(
      `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,SignedHeaders=${names},Signature=${signature}`,
    );
    expect(Object.fromEntries(added)).toEqual({ host: "example.amazonaws.com", "x-amz-date": "20150830T123600Z" });
  });

  test("headers that proxies change are not signed; S3 wants the digest, passing keys their token", () => {
    const { authorization, added } = signV4({
      ...VANILLA,
      service: "s3",
      headers: new Map([
        ["User-Agent", "x"],
        ["Authorization", "y"],
        ["Prefer", "z"],
      ]),
      keys: { ...VANILLA.keys, sessionToken: "t" },
    });
    expect(authorization).toContain("SignedHeaders=host;prefer;x-amz-content-sha256;x-amz-date;x-amz-security-token,");
    expect(added.get("x-amz-content-sha256")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  });
});

describe("version 4a", () => {
  // The public key that aws-sdk-go-v2 (internal/v4a) derives from this pair.
  const keys = {
    accessKey: "AKISORANDOMAASORANDOM",
    secretKey: "q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom",
    sessionToken: "",
    region: "us-east-1",
  };
  const publicKey = createPublicKey({
    key: {
      kty: "EC",
      crv: "P-256",
      x: Buffer.from("15D242CEEBF8D8169FD6A8B5A746C41140414C3B07579038DA06AF89190FFFCB", "hex").toString("base64url"),
      y: Buffer.from("0515242CEDD82E94799482E4C0514B505AFCCF2C0C98D6A553BF539F424C5EC0", "hex").toString("base64url"),
    },
    format: "jwk",
  });

  test("is good in all regions, by the key pair that AWS derives", () => {
    const { authorization, added } = signV4a({ ...VANILLA, keys, service: "s3", query: "b=2&a=x y", body: "text" });
    const names = "content-length;host;x-amz-content-sha256;x-amz-date;x-amz-region-set";
    const [, signature = ""] = /Signature=([0-9a-f]+)$/.exec(authorization) ?? [];
    expect(authorization).toBe(
      `AWS4-ECDSA-P256-SHA256 Credential=AKISORANDOMAASORANDOM/20150830/s3/aws4_request, SignedHeaders=${names}, Signature=${signature}`,
    );
    const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
    const canonical = [
      "GET",
      "/",
      "a=x%20y&b=2",
      "content-length:4",
      "host:example.amazonaws.com",
      `x-amz-content-sha256:${sha256("text")}`,
      "x-amz-date:20150830T123600Z",
      "x-amz-region-set:*",
      "",
      names,
      sha256("text"),
    ].join("\n");
    const toSign = `AWS4-ECDSA-P256-SHA256\n20150830T123600Z\n20150830/s3/aws4_request\n${sha256(canonical)}`;
    expect(verify("sha256", Buffer.from(toSign), publicKey, Buffer.from(signature, "hex"))).toBe(true);
    expect(added.get("x-amz-region-set")).toBe("*");
  });
});
