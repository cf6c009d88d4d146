import { describe, expect, test } from "vitest";
import { Limiter, MemoryStore, type RateLimit, type RateLimitStore, StoreError } from "../../src/ratelimit/index.ts";
import { compile, evaluateWithIo, type IoRequest, valueWithIo } from "../../src/rego/engine/index.ts";
import { nodeBuiltins } from "../../src/rego/node.ts";
import { compileSchedule } from "../../src/schedule/index.ts";
import { type Extensions, extensionBuiltins, extensionHost, extensionsOf } from "../../src/policy/index.ts";
import { definitionsOf } from "../../src/policy/lowered.ts";
import { compileIstio } from "../../src/istio/index.ts";

const limit: RateLimit = {
  name: "per-client",
  limit: 2,
  perMs: 60_000,
  algorithm: "token-bucket",
  onStoreFailure: "deny",
};
const extensions: Extensions = {
  schedules: new Map([
    [
      "hours",
      compileSchedule({ timeZone: "UTC", windows: [{ days: [3], fromMinute: 480, toMinute: 1320 }], exceptions: [] }),
    ],
  ]),
  limits: new Map([[limit.name, limit]]),
};

/** The same store, asked from afar. */
function distant(store: RateLimitStore): RateLimitStore {
  return { answersAtOnce: false, take: async (...operands) => store.take(...operands), close: () => store.close() };
}

const MODULE = `package p
open := cardea.schedule.open("hours")
next := cardea.schedule.next_opening("hours")
allow if cardea.ratelimit.allow("per-client", input.who)
twice if { cardea.ratelimit.allow("per-client", input.who); cardea.ratelimit.allow("per-client", input.who) }
verdict := cardea.ratelimit.take("per-client", input.who)
missing := cardea.ratelimit.allow("nothing", "x")`;

function policyOver(limiter: Limiter) {
  const policy = compile({
    modules: [{ file: "p.rego", text: MODULE }],
    builtins: [...nodeBuiltins, ...extensionBuiltins(extensions, limiter)],
  });
  const host = extensionHost(limiter);
  const asked: IoRequest[] = [];
  const ask = (rule: string, who: string | readonly string[] = "a", nowNs = 0n) =>
    valueWithIo(policy.entrypoint(["p", rule]), { input: { who }, nowNs }, async (request) => {
      asked.push(request);
      return request.kind === "host" ? host(request.name, request.operand) : { error: "no" };
    });
  return { policy, ask, asked };
}

const stores = [
  { where: "here", make: () => new MemoryStore({ clock: () => 1_000_000 }) as RateLimitStore },
  { where: "elsewhere", make: () => distant(new MemoryStore({ clock: () => 1_000_000 })) },
];

describe.for(stores)("rate limits with counters $where", ({ where, make }) => {
  test("count attempts by key", async () => {
    const { ask, asked } = policyOver(new Limiter(make()));
    expect([await ask("allow"), await ask("allow"), await ask("allow"), await ask("allow", "b")]).toEqual([
      true,
      true,
      undefined,
      true,
    ]);
    expect(asked.length).toBe(where === "here" ? 0 : 4);
  });

  test("count once per query, however often they are asked", async () => {
    const { ask } = policyOver(new Limiter(make()));
    expect([await ask("twice"), await ask("twice"), await ask("twice")]).toEqual([true, true, undefined]);
  });

  test("tell what is left", async () => {
    const { ask } = policyOver(new Limiter(make()));
    await ask("verdict", ["any", "value"]);
    await ask("verdict", ["any", "value"]);
    expect(await ask("verdict", ["any", "value"])).toEqual({
      allowed: false,
      counted: true,
      limit: 2,
      remaining: 0,
      reset_ms: 60_000,
      retry_after_ms: 30_000,
      headers: {
        "RateLimit-Limit": "2",
        "RateLimit-Policy": "2;w=60",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "60",
        "Retry-After": "30",
      },
    });
  });
});

test("a store that fails denies where the limit says so", async () => {
  const store: RateLimitStore = {
    answersAtOnce: false,
    take: () => Promise.reject(new StoreError("timeout")),
    close: async () => undefined,
  };
  const { ask } = policyOver(new Limiter(store));
  expect(await ask("verdict")).toMatchObject({ allowed: false, counted: false });
});

test("schedules are read at the time of the query", async () => {
  const { ask } = policyOver(new Limiter(new MemoryStore()));
  const wednesday = BigInt(Date.parse("2026-07-01T07:59:59Z")) * 1_000_000n;
  const opening = BigInt(Date.parse("2026-07-01T08:00:00Z")) * 1_000_000n;
  expect([
    await ask("open", "a", wednesday),
    await ask("open", "a", opening),
    await ask("next", "a", wednesday),
  ]).toEqual([false, true, opening]);
});

test("what does not exist is an error, so nothing is allowed by it", async () => {
  const { ask, policy } = policyOver(new Limiter(new MemoryStore()));
  expect(await ask("missing")).toBeUndefined();
  await expect(
    evaluateWithIo(policy.query("data.p.missing = x"), { strictBuiltinErrors: true }, async () => ({ error: "no" })),
  ).rejects.toThrow('there is no rate limit "nothing"');
});

test("a RateLimit's document says how it counts", () => {
  const text = (name: string, more: string): string =>
    `apiVersion: cardea.dev/v1alpha1\nkind: RateLimit\nmetadata: {name: ${name}}\nspec: {key: [source.ip], limit: 2, per: 1m${more}}\n`;
  const files = [
    { file: "l.yaml", text: `${text("a", "")}---\n${text("b", ", algorithm: fixed-window, onStoreFailure: allow")}` },
  ];
  expect([...extensionsOf(definitionsOf(compileIstio({ files }))).limits.values()]).toEqual([
    { name: "a", limit: 2, perMs: 60_000, algorithm: "token-bucket", onStoreFailure: "deny" },
    { name: "b", limit: 2, perMs: 60_000, algorithm: "fixed-window", onStoreFailure: "allow" },
  ]);
});
