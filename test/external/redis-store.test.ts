import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Limiter, type RateLimit } from "../../src/ratelimit/index.ts";
import { RedisStore, type RedisStoreOptions } from "../../src/ratelimit/redis-store.ts";
import { encodeRequest } from "../support/checks.ts";
import { type CheckClient, isAllowed, startServer } from "../support/server.ts";

/** redis-server (or valkey-server) from the path. Without it these tests are skipped, except in CI, where they fail. */
const program = ["redis-server", "valkey-server"]
  .flatMap((name) => (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name)))
  .find((path) => existsSync(path));

test.runIf(program === undefined && process.env["CI"] !== undefined)("redis-server is installed", () =>
  expect.fail("no redis-server or valkey-server in PATH"),
);

const limit: RateLimit = {
  name: "per-client",
  limit: 5,
  perMs: 60_000,
  algorithm: "token-bucket",
  onStoreFailure: "deny",
};
const fixed: RateLimit = { ...limit, algorithm: "fixed-window" };

describe.skipIf(program === undefined)("Redis", () => {
  const folder = mkdtempSync(join(tmpdir(), "redis-store-"));
  const socket = join(folder, "s");
  const stores: RedisStore[] = [];
  let server: ChildProcess;

  async function start(): Promise<void> {
    server = spawn(program as string, ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder], {
      stdio: "ignore",
    });
    await vi.waitUntil(() => existsSync(socket), { timeout: 10_000 });
  }

  async function stop(): Promise<void> {
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGKILL");
    await ended;
    rmSync(socket, { force: true });
  }

  /** A store that is connected: its first verdict came from the server. Generous with time, as the machine may be busy. */
  async function connected(options: Partial<RedisStoreOptions> = {}): Promise<RedisStore> {
    const store = new RedisStore({ url: socket, timeoutMs: 500, minPauseMs: 20, maxPauseMs: 50, ...options });
    stores.push(store);
    await expect
      .poll(
        () =>
          store.take(limit, `probe ${stores.length}`, 1).then(
            ({ allowed }) => allowed,
            () => false,
          ),
        { timeout: 10_000, interval: 20 },
      )
      .toBe(true);
    return store;
  }

  beforeAll(start);
  afterAll(async () => {
    for (const store of stores) await store.close();
    await stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test.for([{ limit }, { limit: fixed }])("counts over two replicas: $limit.algorithm", async ({ limit: own }) => {
    const [a, b] = [await connected(), await connected()];
    const verdicts = [];
    for (let i = 0; i < 6; i++) verdicts.push(await (i % 2 === 0 ? a : b).take(own, "client", 1));
    expect(verdicts.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
      [true, 4],
      [true, 3],
      [true, 2],
      [true, 1],
      [true, 0],
      [false, 0],
    ]);
    const denied = verdicts[5];
    expect(denied?.retryAfterMs).toBeGreaterThan(0);
    expect(denied?.retryAfterMs).toBeLessThanOrEqual(own === fixed ? 60_000 : 12_000);
  });

  test("two servers share a count", async () => {
    const policies = [
      `apiVersion: cardea.dev/v1alpha1\nkind: RateLimit\nmetadata: {name: few}\nspec: {key: [source.principal], limit: 4, per: 1h}`,
      `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: prod}\nspec: {rules: [{when: [{key: cardea.rateLimit, values: [few]}]}]}`,
    ].join("\n---\n");
    const replicas = await Promise.all(
      [1, 2].map(() =>
        startServer({
          policy: "",
          files: { "p.yaml": policies },
          paths: ["p.yaml"],
          config: () => ({
            cardea: { rate_limits: { store: "redis", url: socket, timeout_ms: 500, prefix: "servers:" } },
          }),
        }),
      ),
    );
    try {
      const clients = replicas.map((replica) => replica.connect());
      const ask = (replica: number, account: string): Promise<boolean> =>
        (clients[replica] as CheckClient)
          .check(
            encodeRequest({
              attributes: {
                source: { principal: `spiffe://cluster.local/ns/prod/sa/${account}` },
                destination: { principal: "spiffe://cluster.local/ns/prod/sa/api" },
                request: { http: { method: "GET", path: "/", host: "api" } },
              },
            }),
          )
          .then(isAllowed);
      // Each connects in its own time: until then its checks are denied, as the limit says.
      for (const replica of [0, 1]) await vi.waitUntil(() => ask(replica, `first ${replica}`), { timeout: 10_000 });
      const verdicts: boolean[] = [];
      for (let i = 0; i < 6; i++) verdicts.push(await ask(i % 2, "web"));
      expect(verdicts).toEqual([true, true, true, true, false, false]);
    } finally {
      for (const replica of replicas) await replica.stop();
    }
  });

  test("lets exactly the limit through when all come at once", async () => {
    const [a, b] = [await connected(), await connected()];
    const own = { ...limit, name: "burst", limit: 50 };
    const verdicts = await Promise.all(
      Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? a : b).take(own, "client", 1)),
    );
    expect(verdicts.filter(({ allowed }) => allowed).length).toBe(50);
  });

  test("refills by the server's clock", async () => {
    const store = await connected();
    const own = { ...limit, name: "quick", limit: 1, perMs: 50 };
    expect((await store.take(own, "k", 1)).allowed).toBe(true);
    await expect.poll(async () => (await store.take(own, "k", 1)).allowed, { interval: 5 }).toBe(true);
  });

  test("keys may hold anything, at any length", async () => {
    const store = await connected();
    const keys = ["{tag}", "a b\n", "é", "x".repeat(10_000), `${"x".repeat(9_999)}y`, ""];
    for (const key of keys)
      expect(await store.take({ ...limit, name: "keys" }, key, 5)).toMatchObject({ allowed: true, remaining: 0 });
    for (const key of keys)
      expect(await store.take({ ...limit, name: "keys" }, key, 1)).toMatchObject({ allowed: false });
  });

  test("a frozen server costs a check no more than its time; then nothing until it is back", async () => {
    const store = await connected({ timeoutMs: 20 });
    const limiter = new Limiter(store);
    const own = (onStoreFailure: "allow" | "deny"): RateLimit => ({
      ...limit,
      name: "frozen",
      limit: 1000,
      onStoreFailure,
    });
    server.kill("SIGSTOP");
    try {
      const codes: (string | undefined)[] = [];
      for (let i = 0; i < 8; i++) {
        const begun = performance.now();
        const verdict = await limiter.take(own(i % 2 === 0 ? "deny" : "allow"), "k");
        expect(performance.now() - begun).toBeLessThan(200);
        expect(verdict.allowed).toBe(i % 2 === 1);
        codes.push(verdict.failure?.code);
      }
      expect(codes.slice(0, 5)).toEqual(Array(5).fill("timeout"));
      expect(codes).toContain("open");
    } finally {
      server.kill("SIGCONT");
    }
    await expect
      .poll(async () => (await limiter.take(own("deny"), "k")).allowed, { timeout: 10_000, interval: 20 })
      .toBe(true);
    expect(store.isBroken).toBe(false);
  });

  test("a server that is gone is a failure at once, and found again when it is back", async () => {
    const errors: Error[] = [];
    const store = await connected({ onConnectionError: (error) => errors.push(error) });
    await stop();
    await expect
      .poll(() =>
        store.take(limit, "gone", 1).then(
          () => "answer",
          (error: { code: string }) => error.code,
        ),
      )
      .toMatch(/unavailable|open/);
    await expect.poll(() => errors.length).toBeGreaterThan(0);
    await start();
    await expect
      .poll(
        () =>
          store.take(limit, "back", 1).then(
            ({ allowed }) => allowed,
            () => false,
          ),
        { timeout: 10_000, interval: 20 },
      )
      .toBe(true);
  });
});
