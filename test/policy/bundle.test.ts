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
    { why: "a delta", files: { "patch.json": "{}" }, message: "it cannot be loaded by itself" },
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

  function source(replies: readonly (BundleReply | Error)[], persist = false, verification?: Verification) {
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
      verification,
      persistDirectory: persist ? directory : undefined,
      activate: async (part) => void activated.push(part),
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

  describe("deltas", () => {
    const whole = async (etag = "e1"): Promise<BundleReply> => ({
      status: 200,
      headers: { etag },
      body: await archive({
        ".manifest": '{"revision": "r1", "roots": ["a"]}',
        "a/p.rego": "package a.p",
        "a/data.json": '{"x": 1, "list": [1, 3], "y/z": {}}',
      }),
    });
    const delta = async (data: readonly object[], manifest = '{"revision": "r2", "roots": ["a"]}') => ({
      status: 200,
      headers: { etag: "e2" },
      body: await archive({ ".manifest": manifest, "patch.json": JSON.stringify({ data }) }),
    });
    const unchanged: BundleReply = { status: 304, headers: {}, body: Buffer.alloc(0) };

    // github.com/open-policy-agent/opa v1/bundle: applyPatches
    test("change the data of the active bundle and leave its modules", async () => {
      const patch = await delta([
        { op: "upsert", path: "/a/new/deep", value: { k: true } },
        { op: "upsert", path: "a/list/1", value: 2 },
        { op: "replace", path: "/a/x", value: 9 },
        { op: "remove", path: "/a/y~1z" },
      ]);
      const { bundle, activated, asked } = source([await whole(), patch, unchanged], true);
      await bundle.start();
      await until(() => asked.length > 3);
      bundle.stop();
      expect(activated).toHaveLength(2);
      expect(activated[1]?.data).toEqual({
        a: { x: 9, list: [1, 2, 3], new: { deep: { k: true } } },
      });
      expect(activated[1]?.modules).toBe(activated[0]?.modules);
      expect(activated[1]?.bundle).toEqual({ revision: "r2", roots: ["a"] });
      expect(activated[0]?.data).toEqual({ a: { x: 1, list: [1, 3], "y/z": {} } });
      expect(bundle.status).toMatchObject({ type: "delta", activeRevision: "r2", error: undefined });
      expect(asked[0]?.["prefer"]).toBe("modes=snapshot,delta");
      expect(asked.at(-1)?.["if-none-match"]).toBe("e2");
      const kept = source([new Error("away")], true);
      await kept.bundle.start();
      kept.bundle.stop();
      expect(kept.bundle.status.activeRevision).toBe("r1");
    });

    test.for([
      { why: "other roots", manifest: '{"revision": "r2", "roots": ["b"]}', data: [], message: "different from those" },
      {
        why: "a path outside the roots",
        data: [{ op: "upsert", path: "/b", value: 1 }],
        message: "do not permit data patch at path 'b'",
      },
      { why: "nothing to replace", data: [{ op: "replace", path: "/a/none", value: 1 }], message: "does not exist" },
      { why: "an unknown operation", data: [{ op: "move", path: "/a/x" }], message: "bad patch operation: move" },
      { why: "no path", data: [{ op: "remove" }], message: "error parsing patch path" },
    ])("$why: the bundle stays, and the whole is asked for", async ({ manifest, data, message }) => {
      const { bundle, activated, asked } = source([await whole(), await delta(data, manifest), unchanged]);
      await bundle.start();
      await until(() => asked.length >= 2 && bundle.status.error !== undefined);
      expect(bundle.status.error).toContain(message);
      await until(() => asked.length >= 3);
      bundle.stop();
      expect(activated).toHaveLength(1);
      expect(asked[2]).not.toHaveProperty("if-none-match");
    });

    test("need a bundle, have nothing but a patch, and are not taken where signatures are required", async () => {
      const patch = [{ op: "upsert", path: "/a/x", value: 2 }];
      const early = source([await delta(patch)]);
      await early.bundle.start();
      early.bundle.stop();
      expect(early.bundle.status.error).toContain("there is no bundle to change yet");
      const mixed = source([
        { status: 200, headers: {}, body: await archive({ "patch.json": "{}", "p.rego": "package p" }) },
      ]);
      await mixed.bundle.start();
      mixed.bundle.stop();
      expect(mixed.bundle.status.error).toContain("expected to contain only patch file but policy files found");
      const verified = source([await delta(patch)], false, {
        keys: new Map([["k", { key: "secret", algorithm: "HS256", scope: "" }]]),
        keyId: "k",
        scope: "",
        exclude: [],
      });
      await verified.bundle.start();
      verified.bundle.stop();
      expect(verified.bundle.status.error).toContain("a delta bundle has no signature");
      expect(verified.asked[0]?.["prefer"]).toBe("modes=snapshot");
    });
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
