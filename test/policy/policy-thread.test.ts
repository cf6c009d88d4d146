import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  asideInThread,
  type Declared,
  extensionBuiltins,
  extensionsOf,
  pathEntrypoint,
  PolicyStore,
  regoCompiler,
} from "../../src/policy/index.ts";
import { Limiter, MemoryStore } from "../../src/ratelimit/index.ts";
import { buildPolicyThread } from "../support/policy-thread.ts";

const folder = mkdtempSync(path.join(tmpdir(), "cardea-thread-"));
const built = path.join(folder, "policy-thread.mjs");

beforeAll(() => buildPolicyThread(built));
afterAll(() => rmSync(folder, { recursive: true }));

const PATH = pathEntrypoint("p/allow");
/** Long enough for a thread, which has little time where others are busy. */
const padding = (length: number): string => "# as long as many rules or policies\n".repeat(length / 36);
const many = (version: number): string =>
  `package p\n\nversion := ${version}\n\n${Array.from({ length: 20 }, (_, i) => `allow if {\n\tinput.user == "user${i}"\n\tinput.path == "/p/${i}"\n}\n`).join("\n")}${padding(144_000)}`;
const part = (text: string) => new Map([["", { modules: [{ file: "p.rego", text }], data: {} }]]);

const limiter = new Limiter(new MemoryStore());
const OPTIONS = {
  version: "v1",
  keepPrint: false,
  extend: (declared: Declared | undefined) =>
    extensionBuiltins(declared?.extensions ?? extensionsOf(undefined), limiter),
} as const;

function storeWith(
  program: string,
  timeoutMs = 120_000,
): { readonly store: PolicyStore; readonly failures: unknown[] } {
  const failures: unknown[] = [];
  const onFailure = (cause: unknown): void => void failures.push(cause);
  const aside = asideInThread(OPTIONS, { program: pathToFileURL(program), timeoutMs, onFailure });
  const store = new PolicyStore(regoCompiler(OPTIONS), undefined, undefined, aside);
  store.expect(PATH);
  store.update(part(many(1)));
  return { store, failures };
}

describe("a large set of modules", () => {
  test("is compiled in a thread, for what was asked before", async () => {
    const { store, failures } = storeWith(built);
    const version = pathEntrypoint("p/version");
    store.current.prepare(version);
    const { policy, ...snapshot } = await store.updateAside(part(many(2)));
    expect(failures).toEqual([]);
    expect(store.current.isReadyFor(PATH)).toBe(true);
    expect(store.current.prepare(version).value()).toBe(2);
    const allow = store.current.prepare(PATH);
    expect(allow.value({ input: { user: "user7", path: "/p/7" } })).toBe(true);
    expect(allow.value({ input: { user: "user7", path: "/p/8" } })).toBeUndefined();
    // Nobody needed the program, so it is not here.
    expect(policy.isReadyFor("data.p.other")).toBe(false);
    expect(snapshot.generation).toBe(2);
  });

  test("keeps in mind what was asked of a snapshot before the last", async () => {
    const { store } = storeWith(built);
    const version = pathEntrypoint("p/version");
    store.current.prepare(version);
    await store.updateAside(part(many(2)));
    await store.updateAside(part(many(3)));
    expect(store.current.isReadyFor(version)).toBe(true);
  });

  test.each([
    ["a query that a thread cannot compile along", { kind: "query", text: "data.p.version with data.q as 1" }],
    ["an entrypoint that is no document any more", pathEntrypoint("p/f")],
  ] as const)("is compiled aside, too, for %s", async (_, entrypoint) => {
    const { store, failures } = storeWith(built);
    store.expect(entrypoint);
    const { policy } = await store.updateAside(part(`${many(2)}\nf(x) := x\n`));
    expect(failures).toEqual([]);
    expect(policy.isReadyFor("data.p.other")).toBe(true);
  });

  test("is compiled again for what nobody had asked, before it is prepared", async () => {
    const { store } = storeWith(built);
    await store.updateAside(part(many(2)));
    const other = pathEntrypoint("p/version");
    expect(store.current.isReadyFor(other)).toBe(false);
    const [first, second] = await Promise.all([store.readyFor(other), store.readyFor(other)]);
    expect(first).toBe(second);
    expect(first.isReadyFor(other)).toBe(true);
    expect(first.prepare(other).value()).toBe(2);
  });

  test("that does not compile is refused with its findings, and changes nothing", async () => {
    const { store, failures } = storeWith(built);
    const before = store.current;
    await expect(store.updateAside(part(`${many(2)}\nx := y\n`))).rejects.toThrow("var y is unsafe");
    expect(store.current).toBe(before);
    expect(failures).toEqual([]);
  });

  test("is dropped when the store is closed", async () => {
    const { store } = storeWith(built);
    const update = store.updateAside(part(many(2)));
    store.close();
    const next = store.updateAside(part(many(3)));
    await expect(update).rejects.toThrow("aborted");
    await expect(next).rejects.toThrow("aborted");
  });
});

/** Policies that allow paths of one version only, and what else is served of documents. */
const documents = (version: number): readonly { readonly file: string; readonly text: string }[] => {
  const kind = (name: string, spec: object, metadata: object = {}): string =>
    JSON.stringify({
      apiVersion: name === "Schedule" || name === "RateLimit" ? "cardea.dev/v1alpha1" : "security.istio.io/v1",
      kind: name,
      metadata: { name: `${name.toLowerCase()}-one`, ...metadata },
      spec,
    });
  const paths = Array.from({ length: 2000 }, (_, i) => `/v${version}/${i}`);
  return [
    {
      file: "mesh.yaml",
      text: [
        kind("AuthorizationPolicy", { rules: [{ to: [{ operation: { paths } }] }] }, { namespace: "prod" }),
        kind("AuthorizationPolicy", {
          rules: [{ to: [{ operation: { paths } }], when: [{ key: "cardea.schedule", values: ["schedule-one"] }] }],
        }),
        kind("RequestAuthentication", {
          selector: { matchLabels: { app: "api" } },
          jwtRules: [{ issuer: `issuer-${version}`, jwks: '{"keys":[]}' }],
        }),
        kind("Schedule", { timeZone: "UTC", windows: [{ from: "08:00", to: "09:00" }] }),
        kind("RateLimit", { key: ["source.ip"], limit: 2, per: "1m" }),
      ].join("\n---\n"),
    },
    { file: "padding.yaml", text: padding(1_080_000) },
  ];
};
const declaring = (version: number) => new Map([["", { modules: [], data: {}, declarations: documents(version) }]]);

describe("a large set of policy documents", () => {
  test("is lowered in a thread, to what it would be here", async () => {
    const { store, failures } = storeWith(built);
    const aside = await store.updateAside(declaring(2));
    expect(failures).toEqual([]);
    const here = new PolicyStore(regoCompiler(OPTIONS)).update(declaring(2));
    expect(aside.data).toEqual(here.data);
    expect(JSON.stringify(aside.data)).toBe(JSON.stringify(here.data));
    const { declared, policy } = aside;
    expect(declared?.shape).toBe(here.declared?.shape);
    expect(declared?.allTokenRules).toEqual(here.declared?.allTokenRules);
    expect(declared?.extensions).toEqual(here.declared?.extensions);
    const input = (path: string) => ({
      attributes: {
        destination: { principal: "spiffe://cluster.local/ns/prod/sa/a", labels: { app: "api" } },
        request: { http: { path } },
      },
    });
    const allowed = policy.query("data.cardea.istio.decision.allowed");
    expect([allowed.value({ input: input("/v2/7") }), allowed.value({ input: input("/v1/7") })]).toEqual([true, false]);
    const inDefault = { attributes: { destination: { principal: "spiffe://cluster.local/ns/default/sa/a" } } };
    for (const asked of [input("/v2/7"), inDefault]) {
      expect(declared?.tokenRules(asked)).toEqual(here.declared?.tokenRules(asked));
      expect(declared?.openings(asked, 0n, [])).toEqual(here.declared?.openings(asked, 0n, []));
    }
    expect(declared?.openings(inDefault, 0n, [])).toHaveLength(1);
  });

  test("with errors is refused with all of them, and changes nothing", async () => {
    const { store, failures } = storeWith(built);
    const before = store.current;
    const declarations = documents(2).map(({ file, text }) => ({
      file,
      text: text.replaceAll('"security.istio.io/v1"', '"security.istio.io/v9"'),
    }));
    const update = store.updateAside(new Map([["", { modules: [], data: {}, declarations }]]));
    await expect(update).rejects.toMatchObject({ name: "IstioPolicyError", diagnostics: { length: 3 } });
    expect(store.current).toBe(before);
    expect(failures).toEqual([]);
  });
});

describe("a thread that fails leaves the work to this one", () => {
  test.each([
    ["there is no program", undefined, "Cannot find module"],
    ["it throws", "throw new Error('no luck')", "no luck"],
    ["it ends without a word", "process.exit(3)", "ended early"],
    [
      "it gives no image",
      "import { parentPort } from 'node:worker_threads'; parentPort.postMessage('done')",
      "not complete",
    ],
    [
      "it refuses what is right",
      "import { parentPort } from 'node:worker_threads'; parentPort.postMessage('refused')",
      "refused policies that are right",
    ],
    ["it is late", "setInterval(() => undefined, 60_000)", "not done after 50 ms", 50],
  ])("%s", async (name, text, message, timeoutMs?: number) => {
    const program = path.join(folder, `${name.replaceAll(" ", "-")}.mjs`);
    if (text !== undefined) writeFileSync(program, text);
    const { store, failures } = storeWith(program, timeoutMs);
    await store.updateAside(part(many(2)));
    expect(store.current.prepare(PATH).value({ input: { user: "user7", path: "/p/7" } })).toBe(true);
    await store.updateAside(declaring(2));
    expect(store.current.declared?.isEmpty).toBe(false);
    expect(failures).toHaveLength(2);
    for (const failure of failures) expect(String(failure)).toContain(message);
  });

  test("but not when memory was what it lacked: here there is no more of it", async () => {
    const program = path.join(folder, "memory.mjs");
    writeFileSync(program, "throw Object.assign(new Error('heap'), { code: 'ERR_WORKER_OUT_OF_MEMORY' })");
    const { store, failures } = storeWith(program);
    await expect(store.updateAside(part(many(2)))).rejects.toMatchObject({ code: "out_of_memory" });
    expect(failures).toEqual([]);
    expect(store.current.generation).toBe(1);
  });
});
