import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LoadError, loadPaths, PathWatcher } from "../../src/policy/index.ts";
import { parseYaml } from "../../src/policy/yaml.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "cardea-load-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function put(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
}

// OPA's v1/loader
describe("loading", () => {
  test("directories become keys, the named one does not", async () => {
    await put({ "p.rego": "package p", "d.json": '{"a": 1}', "sub/deep/e.yaml": "b: 2", "notes.txt": "no" });
    const loaded = await loadPaths([root]);
    expect(loaded.modules).toEqual([{ file: join(root, "p.rego"), text: "package p" }]);
    expect(loaded.data).toEqual({ a: 1, sub: { deep: { b: 2 } } });
  });

  test("a prefix mounts data", async () => {
    await put({ "d.json": '{"a": 1}', "l.json": "[1]" });
    const loaded = await loadPaths([
      `x.y:${join(root, "d.json")}`,
      `z:${join(root, "l.json")}`,
      `file://${join(root, "d.json")}`,
    ]);
    expect(loaded.data).toEqual({ a: 1, x: { y: { a: 1 } }, z: [1] });
  });

  test("--ignore leaves names out below a directory", async () => {
    await put({ "p.rego": "package p", ".hidden/q.rego": "package q", "p_test.rego": "package t" });
    const loaded = await loadPaths([root], { ignore: [".*", "*_test.rego"] });
    expect(loaded.modules.map(({ text }) => text)).toEqual(["package p"]);
  });

  test("a mounted ConfigMap is read once", async () => {
    await put({ "..v1/p.rego": "package p" });
    await symlink("..v1", join(root, "..data"));
    await symlink("..data/p.rego", join(root, "p.rego"));
    expect((await loadPaths([root])).modules).toHaveLength(1);
  });

  test("Istio's documents are not data", async () => {
    await put({
      "a.yaml": "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n",
      "d.yaml": "apiVersion: apps/v1\n",
    });
    const loaded = await loadPaths([root]);
    expect(loaded.declarations.map(({ file }) => file)).toEqual([join(root, "a.yaml")]);
    expect(loaded.data).toEqual({ apiVersion: "apps/v1" });
  });

  test.for([
    {
      why: "a list at the root",
      files: { "d.json": "[1]" },
      code: "bad_document",
      message: "d.json: document must be of type object",
    },
    {
      why: "two values for one key",
      files: { "a.json": '{"a": 1}', "b.json": '{"a": 1}' },
      code: "merge_conflict",
      message: "b.json: merge error",
    },
    {
      why: "half a document",
      files: { "d.json": '{"a": 1' },
      code: "bad_document",
      message: "d.json: unexpected end of JSON input",
    },
    {
      why: "broken YAML",
      files: { "d.yaml": "a: [1" },
      code: "bad_document",
      message: "d.yaml: error converting YAML to JSON",
    },
    { why: "an alias bomb", files: { "d.yaml": bomb() }, code: "bad_document", message: "alias" },
    { why: "a duplicate key", files: { "d.yaml": "a: 1\na: 2" }, code: "bad_document", message: "unique" },
  ])("refuses $why", async ({ files, code, message }) => {
    await put(files as unknown as Record<string, string>);
    const error = await loadPaths([root]).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(LoadError);
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  test("a path that does not exist", async () => {
    await expect(loadPaths([join(root, "nope")])).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining("no such file or directory"),
    });
  });
});

function bomb(): string {
  const levels = ["a: &a [x, x, x, x, x, x, x, x, x, x]"];
  for (const [name, below] of ["ba", "cb", "dc", "ed", "fe", "gf", "hg", "ih"])
    levels.push(`${name}: &${name} [${Array(10).fill(`*${below}`).join(", ")}]`);
  return levels.join("\n");
}

// What `opa eval -d` makes of the same text.
test("YAML is read as OPA reads it", async () => {
  const text =
    "a: yes\nb: on\nc: 2001-01-01\ne: 017\nf: 0x1F\ng: 12345678901234567890\nh: 1.50\ni: ~\nk: y\nl: 1_000\no: 12:30:45\n1: x\n---\nsecond: true\n";
  expect(await parseYaml("d.yaml", text)).toEqual({
    a: true,
    b: true,
    c: "2001-01-01",
    e: 15,
    f: 31,
    g: 12345678901234567890n,
    h: 1.5,
    i: null,
    k: true,
    l: 1000,
    o: "12:30:45",
    1: "x",
  });
});

describe("watching", () => {
  /** Waits for the next call, however long the machine takes. */
  function changes(): { onChange: () => Promise<void>; next: () => Promise<void> } {
    let count = 0;
    let seen = 0;
    let wake = (): void => undefined;
    return {
      onChange: async () => {
        count++;
        wake();
      },
      next: async () => {
        while (count === seen) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        seen = count;
      },
    };
  }

  test("sees every swap of a ConfigMap, not only the first", async () => {
    await put({ "..v0/p.rego": "package p" });
    await symlink("..v0", join(root, "..data"));
    await symlink("..data/p.rego", join(root, "p.rego"));
    const { onChange, next } = changes();
    const watcher = new PathWatcher({ paths: [root], onChange, settleMs: 5, pollMs: 50 });
    await watcher.start();
    try {
      for (let i = 1; i <= 3; i++) {
        await put({ [`..v${i}/p.rego`]: `package p${i}` });
        await symlink(`..v${i}`, join(root, "..data_tmp"));
        await rename(join(root, "..data_tmp"), join(root, "..data"));
        await rm(join(root, `..v${i - 1}`), { recursive: true });
        await next();
        expect((await loadPaths([root])).modules[0]?.text).toBe(`package p${i}`);
      }
    } finally {
      watcher.close();
    }
  });

  // Workers tell by it whether they speak of one change.
  test("whoever sees the same state of the same paths calls it the same", async () => {
    await put({ "p.rego": "package p" });
    const prints: string[][] = [[], []];
    const both = [changes(), changes()];
    const watchers = both.map(
      ({ onChange }, i) =>
        new PathWatcher({
          paths: [root],
          onChange: async (print) => {
            prints[i]?.push(print);
            await onChange();
          },
          settleMs: 5 + 20 * i,
          pollMs: 50,
        }),
    );
    await Promise.all(watchers.map((watcher) => watcher.start()));
    try {
      for (let i = 1; i <= 2; i++) {
        await put({ "..new": `package p${i}` });
        await rename(join(root, "..new"), join(root, "p.rego"));
        await Promise.all(both.map(({ next }) => next()));
      }
      expect(prints[0]).toEqual(prints[1]);
      expect(new Set(prints[0]).size).toBe(2);
    } finally {
      for (const watcher of watchers) watcher.close();
    }
  });

  // attacks.json config-002: half a policy may be legal, and lack a rule.
  test("a file that is written in place is read once it is left alone", async () => {
    await put({ "p.rego": "package p" });
    const { onChange, next } = changes();
    const seen: (string | undefined)[] = [];
    const watcher = new PathWatcher({
      paths: [root],
      onChange: async () => {
        seen.push((await loadPaths([root])).modules[0]?.text);
        await onChange();
      },
      settleMs: 5,
      inPlaceSettleMs: 400,
      pollMs: 20,
    });
    await watcher.start();
    try {
      const text = "package p\n\ndeny if input.a\n\ndeny if input.b\n";
      for (const end of [11, 29, text.length]) {
        await writeFile(join(root, "p.rego"), text.slice(0, end));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      await next();
      expect(seen).toEqual([text]);
    } finally {
      watcher.close();
    }
  });

  test("sees a single file replaced by another", async () => {
    await put({ "p.rego": "package p" });
    const { onChange, next } = changes();
    const watcher = new PathWatcher({ paths: [join(root, "p.rego")], onChange, settleMs: 5, pollMs: 50 });
    await watcher.start();
    try {
      await put({ "new.rego": "package changed" });
      await rename(join(root, "new.rego"), join(root, "p.rego"));
      await next();
    } finally {
      watcher.close();
    }
  });
});
