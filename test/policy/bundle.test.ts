import { createHash, createHmac } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { pack } from "tar-stream";
import { readArchive } from "../../src/policy/bundle/archive.ts";
import { BundleSource, type BundleReply } from "../../src/policy/bundle/bundle-source.ts";
import { readBundle } from "../../src/policy/bundle/read.ts";
import type { Verification } from "../../src/policy/bundle/signature.ts";
import { LoadError, type Part } from "../../src/policy/index.ts";
import { SILENT_LOGGER } from "../../src/telemetry/index.ts";

type Files = Readonly<Record<string, string>>;

async function archive(files: Files): Promise<Buffer> {
  const tar = pack();
  for (const [name, text] of Object.entries(files)) tar.entry({ name }, text);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

const bytesOf = (files: Files): Map<string, Uint8Array> =>
  new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)]));
const read = (files: Files, verification?: Verification) =>
  readBundle("b", bytesOf(files), { base: "b", ...(verification !== undefined && { verification }) });

describe("archives", () => {
  test("paths lose what stands before them", async () => {
    const long = `${"deep/".repeat(40)}p.rego`;
    const files = readArchive("b", await archive({ "/a.rego": "1", "./b.rego": "2", [long]: "3" }));
    expect([...files].map(([name, bytes]) => [name, bytes.toString()])).toEqual([
      ["a.rego", "1"],
      ["b.rego", "2"],
      [long, "3"],
    ]);
  });

  test("names that lead out are refused", async () => {
    const bytes = await archive({ "../../etc/passwd": "x" });
    expect(() => readArchive("b", bytes)).toThrow("leads out of the archive");
  });

  test("sizes are bounded", async () => {
    const bytes = await archive({ "a.rego": "x".repeat(1000) });
    expect(() => readArchive("b", bytes, { fileBytes: 100, totalBytes: 1e6, files: 10 })).toThrow("exceeded max size");
    expect(() => readArchive("b", bytes, { fileBytes: 1e6, totalBytes: 100, files: 10 })).toThrow(LoadError);
  });

  test.for([
    { why: "text", bytes: Buffer.from("<html>not found</html>".padEnd(600)) },
    { why: "gzip of text", bytes: gzipSync("x".repeat(600)) },
    { why: "cut gzip", bytes: gzipSync(Buffer.alloc(2000)).subarray(0, 20) },
  ])("$why is no archive", ({ bytes }) => {
    expect(() => readArchive("b", bytes)).toThrow(LoadError);
  });
});

// OPA's v1/bundle
describe("bundles", () => {
  test("modules, data and manifest", async () => {
    const bundle = await read({
      ".manifest": '{"revision": "r1", "roots": ["/a/", "b"], "rego_version": 0}',
      "a/p.rego": "package a",
      "a/data.json": '{"x": 1}',
      "b/data.yaml": "z: 2",
      "a/other.json": "[]",
    });
    expect(bundle.manifest).toMatchObject({ revision: "r1", roots: ["a", "b"] });
    expect(bundle.modules).toEqual([{ file: "b/a/p.rego", text: "package a", version: "v0" }]);
    expect(bundle.data).toEqual({ a: { x: 1 }, b: { z: 2 } });
  });

  test.for([
    {
      why: "data outside its roots",
      files: { ".manifest": '{"roots": ["a"]}', "b/data.json": "{}" },
      message: "do not permit data at path '/b'",
    },
    { why: "overlapping roots", files: { ".manifest": '{"roots": ["a", "a/b"]}' }, message: "overlapped roots" },
    { why: "a manifest that is no object", files: { ".manifest": "[]" }, message: "manifest" },
    { why: "a delta", files: { "patch.json": "{}" }, message: "delta bundles are not supported" },
    { why: "broken data", files: { "data.json": "{" }, message: "bundle load failed on b/data.json" },
  ])("refuses $why", async ({ files, message }) => {
    await expect(read(files as unknown as Files)).rejects.toThrow(message);
  });
});

describe("signatures", () => {
  const key = { key: "secret", algorithm: "HS256", scope: "" };
  const verification: Verification = { keys: new Map([["k", key]]), keyId: "k", scope: "", exclude: [] };
  const hashed = (text: string): string => createHash("sha256").update(text).digest("hex");
  const entry = (name: string, text: string) => ({ name, hash: hashed(text), algorithm: "SHA-256" });

  function signed(files: Files, entries: readonly object[], claims: object = {}, secret = "secret"): Files {
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const input = `${encode({ alg: "HS256" })}.${encode({ files: entries, ...claims })}`;
    const token = `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
    return { ...files, ".signatures.json": JSON.stringify({ signatures: [token] }) };
  }

  const files = { "p.rego": "package p", "data.json": '{"b": 1, "a": [true, "x"]}' };
  const entries = [entry("p.rego", files["p.rego"]), entry("data.json", '{"a":[true,"x"],"b":1}')];

  test("a bundle that holds what was signed", async () => {
    expect((await read(signed(files, entries), verification)).modules).toHaveLength(1);
  });

  test.for([
    { why: "no signature", files, message: "bundle missing .signatures.json file" },
    { why: "another secret", files: signed(files, entries, {}, "other"), message: "failed to verify JWT signature" },
    { why: "a changed file", files: { ...signed(files, entries), "p.rego": "package q" }, message: "digest mismatch" },
    {
      why: "a file too many",
      files: { ...signed(files, entries), "q.rego": "package q" },
      message: "file q.rego not included in bundle signature",
    },
    {
      why: "a file too few",
      files: signed({ "p.rego": files["p.rego"] }, entries),
      message: "file(s) [data.json] specified in bundle signatures but not found",
    },
    { why: "another scope", files: signed(files, entries, { scope: "write" }), message: "scope mismatch" },
  ])("refuses $why", async ({ files: changed, message }) => {
    await expect(read(changed as Files, verification)).rejects.toMatchObject({
      code: "bad_signature",
      message: expect.stringContaining(message),
    });
  });

  test("a signed bundle without a key to verify it", async () => {
    await expect(read(signed(files, entries))).rejects.toThrow("verification key not provided");
  });
});

describe("a bundle that is polled", () => {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "cardea-bundle-"));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  function source(replies: readonly (BundleReply | Error)[], persist = false) {
    const activated: Part[] = [];
    const errors: (string | undefined)[] = [];
    const asked: Readonly<Record<string, string>>[] = [];
    const bundle = new BundleSource({
      name: "b",
      resource: "bundles/b",
      fetch: async (_path, headers) => {
        asked.push(headers);
        const reply = replies[Math.min(asked.length, replies.length) - 1];
        if (reply === undefined || reply instanceof Error) throw reply ?? new Error("no reply");
        return reply;
      },
      minDelaySeconds: 0.001,
      maxDelaySeconds: 0.002,
      longPollingSeconds: undefined,
      fileBytes: 1e6,
      verification: undefined,
      persistDirectory: persist ? directory : undefined,
      activate: (part) => void activated.push(part),
      onStatus: ({ error }) => void errors.push(error),
      logger: SILENT_LOGGER,
    });
    return { bundle, activated, asked, errors };
  }

  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise((resolve) => setImmediate(resolve));
  };
  const good = async (revision: string, etag: string): Promise<BundleReply> => ({
    status: 200,
    headers: { etag },
    body: await archive({ ".manifest": `{"revision": "${revision}"}`, "p.rego": "package p" }),
  });

  test("asks with the ETag, and keeps what it has over failures", async () => {
    const bad: BundleReply = { status: 200, headers: {}, body: Buffer.from("garbage") };
    const { bundle, activated, asked, errors } = source([
      await good("r1", "e1"),
      { status: 304, headers: {}, body: Buffer.alloc(0) },
      bad,
      new Error("gone"),
      await good("r2", "e2"),
    ]);
    await bundle.start();
    await until(() => activated.length === 2);
    bundle.stop();
    expect(activated.map((part) => part.bundle?.revision)).toEqual(["r1", "r2"]);
    expect(asked[0]).not.toHaveProperty("if-none-match");
    expect(asked[1]).toMatchObject({ "if-none-match": "e1" });
    expect(errors).toContain("gone");
  });

  test("is persisted whole, and serves when the server is away", async () => {
    const first = source([await good("r1", "e1")], true);
    await first.bundle.start();
    first.bundle.stop();
    expect((await readFile(join(directory, "bundles/b/bundle.tar.gz"))).length).toBeGreaterThan(0);
    const second = source([new Error("away")], true);
    await second.bundle.start();
    second.bundle.stop();
    expect(second.activated.map((part) => part.bundle?.revision)).toEqual(["r1"]);
    expect(second.bundle.isActivated).toBe(true);
  });
});
