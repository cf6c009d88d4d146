import { createECDH, createHash, createHmac, createPrivateKey, sign } from "node:crypto";

/** AWS Signature Version 4 and 4a (OPA internal/providers/aws/signing_v4.go and signing_v4a.go). */

export type SignatureVersion = "4" | "4a";

export interface AwsKeys {
  readonly accessKey: string;
  readonly secretKey: string;
  /** Empty for keys that do not expire. */
  readonly sessionToken: string;
  readonly region: string;
}

/** A request as it will go on the wire. */
export interface SigningOrder {
  readonly method: string;
  readonly host: string;
  /** Percent-encoded. */
  readonly path: string;
  /** Without its question mark. */
  readonly query: string;
  /** Names in any case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string | Uint8Array | typeof UNSIGNED_PAYLOAD;
  readonly service: string;
  readonly keys: AwsKeys;
  readonly ms: number;
}

export interface SignedHeaders {
  readonly authorization: string;
  /** What has to be sent beside it, `host` included. */
  readonly added: ReadonlyMap<string, string>;
}

/** Instead of a body: its digest is not part of the signature. */
export const UNSIGNED_PAYLOAD = Symbol("unsigned payload");

/** Headers that proxies may change on the way. */
const UNSIGNED_HEADERS: ReadonlySet<string> = new Set(["authorization", "user-agent", "x-amzn-trace-id"]);

/** Services that want the digest of the body among the headers. */
const DIGEST_SERVICES: ReadonlySet<string> = new Set(["s3", "glacier"]);

/** The path is signed as it is given, and so is the query. */
export function signV4(order: SigningOrder): SignedHeaders {
  const { keys, service } = order;
  const { date, time } = stampsOf(order.ms);
  const digest = digestOf(order.body);
  const added = new Map([
    ["host", order.host],
    ["x-amz-date", time],
  ]);
  if (DIGEST_SERVICES.has(service)) added.set("x-amz-content-sha256", digest);
  if (keys.sessionToken !== "") added.set("x-amz-security-token", keys.sessionToken);
  const { names, canonical } = canonicalRequest(order, order.query, new Map(added), digest);
  const scope = `${date}/${keys.region}/${service}/aws4_request`;
  const toSign = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256(canonical)}`;
  const key = [date, keys.region, service, "aws4_request"].reduce<string | Uint8Array>(hmac, `AWS4${keys.secretKey}`);
  const signature = createHmac("sha256", key).update(toSign).digest("hex");
  return {
    authorization: `AWS4-HMAC-SHA256 Credential=${keys.accessKey}/${scope},SignedHeaders=${names},Signature=${signature}`,
    added,
  };
}

const ALGORITHM_4A = "AWS4-ECDSA-P256-SHA256";

/** Good in every region, as multi-region access points ask for: the signature is by a key pair derived from the secret. */
export function signV4a(order: SigningOrder): SignedHeaders {
  const { keys, service, body } = order;
  const { date, time } = stampsOf(order.ms);
  const digest = digestOf(body);
  const added = new Map([
    ["host", order.host],
    ["x-amz-content-sha256", digest],
    ["x-amz-region-set", "*"],
    ["x-amz-date", time],
  ]);
  if (keys.sessionToken !== "") added.set("x-amz-security-token", keys.sessionToken);
  const signed = new Map(added);
  if (body !== UNSIGNED_PAYLOAD && body.length > 0) signed.set("content-length", String(Buffer.byteLength(body)));
  const { names, canonical } = canonicalRequest(order, sortedQuery(order.query), signed, digest);
  const scope = `${date}/${service}/aws4_request`;
  const toSign = `${ALGORITHM_4A}\n${time}\n${scope}\n${sha256(canonical)}`;
  const signature = sign("sha256", Buffer.from(toSign), keyPair(keys)).toString("hex");
  return {
    authorization: `${ALGORITHM_4A} Credential=${keys.accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
    added,
  };
}

function canonicalRequest(
  { method, path, headers }: SigningOrder,
  query: string,
  signed: Map<string, string>,
  digest: string,
): { readonly names: string; readonly canonical: string } {
  for (const [name, value] of headers)
    if (!UNSIGNED_HEADERS.has(name.toLowerCase())) signed.set(name.toLowerCase(), value);
  const sorted = [...signed.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const names = sorted.join(";");
  const lines = sorted.map((name) => `${name}:${signed.get(name)}`);
  return { names, canonical: [method, path, query, ...lines, "", names, digest].join("\n") };
}

function sortedQuery(query: string): string {
  const form = new URLSearchParams(query);
  form.sort();
  return form.toString().replaceAll("+", "%20");
}

/** NIST SP 800-108 in counter mode, then FIPS 186-4 B.4.2: candidates until one is below the order of the curve less one. */
function keyPair({ accessKey, secretKey }: AwsKeys): ReturnType<typeof createPrivateKey> {
  for (let counter = 1; counter <= 0xff; counter++) {
    const candidate = createHmac("sha256", `AWS4A${secretKey}`)
      .update(Buffer.from([0, 0, 0, 1]))
      .update(`${ALGORITHM_4A}\0${accessKey}`)
      .update(Buffer.from([counter, 0, 0, 1, 0]))
      .digest("hex");
    if (candidate > P256_ORDER_LESS_TWO) continue;
    const d = (BigInt(`0x${candidate}`) + 1n).toString(16).padStart(64, "0");
    const pair = createECDH("prime256v1");
    pair.setPrivateKey(d, "hex");
    const point = pair.getPublicKey();
    const coordinate = (from: number): string => point.subarray(from, from + 32).toString("base64url");
    const key = {
      kty: "EC",
      crv: "P-256",
      d: Buffer.from(d, "hex").toString("base64url"),
      x: coordinate(1),
      y: coordinate(33),
    };
    return createPrivateKey({ key, format: "jwk" });
  }
  throw new Error("no key pair can be derived from the AWS secret key");
}

const P256_ORDER_LESS_TWO = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc63254f";

function stampsOf(ms: number): { readonly date: string; readonly time: string } {
  const time = `${new Date(ms).toISOString().slice(0, 19).replace(/[-:]/g, "")}Z`;
  return { date: time.slice(0, 8), time };
}

function digestOf(body: SigningOrder["body"]): string {
  return body === UNSIGNED_PAYLOAD ? "UNSIGNED-PAYLOAD" : sha256(body);
}

function sha256(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: string | Uint8Array, message: string): Uint8Array {
  return createHmac("sha256", key).update(message).digest();
}
