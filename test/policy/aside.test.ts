import { describe, expect, test } from "vitest";
import {
  BASE_PART,
  inSlices,
  LoadError,
  type Pace,
  type Part,
  pathEntrypoint,
  PolicyStore,
  regoCompiler,
} from "../../src/policy/index.ts";
import { CompileError } from "../../src/rego/engine/index.ts";

/** A clock that goes on by one with every look at it, and says when work pauses. */
function ticking(sliceMs: number, onPause: () => void = () => undefined): Pace & { readonly pauses: number } {
  let now = 0;
  let pauses = 0;
  return {
    sliceMs,
    nowMs: () => now++,
    pause: async () => {
      pauses++;
      onPause();
    },
    get pauses() {
      return pauses;
    },
  };
}

const compiler = regoCompiler({ version: "v1", keepPrint: false });
const value = (store: PolicyStore) => store.current.prepare(pathEntrypoint("p/x")).value({});
const changes = (part: Part) => new Map([[BASE_PART, part]]);
const rego = (text: string, data = {}): Part => ({ modules: [{ file: "p.rego", text: `package p\n\n${text}` }], data });
const rules = (count: number): Part =>
  rego(Array.from({ length: count }, (_, i) => `x if input.user == "u${i}"`).join("\n"));
const policies = (count: number): Part => {
  const documents = Array.from(
    { length: count },
    (_, i) =>
      `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: p${i}\nspec:\n  rules:\n  - to:\n    - operation:\n        paths: ["/${i}"]\n`,
  );
  return { modules: [], data: {}, declarations: [{ file: "p.yaml", text: documents.join("---\n") }] };
};

/** A store that serves something already. */
function serving(pace: Pace): PolicyStore {
  const store = new PolicyStore(compiler, undefined, pace);
  store.updateBase(rego("x := 1"));
  return store;
}

describe("an update aside", () => {
  test.each([
    { name: "rules of one module", part: rules(500), more: rules(1000) },
    { name: "policy documents", part: policies(200), more: policies(400) },
  ])("pauses the more the larger it is: $name", async ({ part, more }) => {
    const pausesFor = async (one: Part): Promise<number> => {
      const pace = ticking(5);
      await serving(pace).updateAside(changes(one));
      return pace.pauses;
    };
    const pauses = await pausesFor(part);
    expect(pauses).toBeGreaterThan(50);
    expect((await pausesFor(more)) - pauses).toBeGreaterThan(40);
  });

  test("is announced where requests are served, the first one not", async () => {
    let count = 0;
    const store = new PolicyStore(compiler, undefined, { ...ticking(1), begin: () => count++ });
    await store.updateAside(changes(rego("x := 1")));
    expect(count).toBe(0);
    await store.updateAside(changes(rego("x := 2")));
    expect(count).toBe(1);
  });

  test("leaves no code to generate for the first query", async () => {
    const store = serving(ticking(1));
    const { policy } = await store.updateAside(changes(rules(10)));
    expect([...policy.prepareInSteps()]).toEqual([]);
  });

  test("the last good snapshot serves on until the next is whole", async () => {
    const seen: unknown[] = [];
    const store: PolicyStore = serving(ticking(1, () => seen.push(value(store))));
    await store.updateAside(changes(rego("x := 2")));
    expect(new Set(seen)).toEqual(new Set([1]));
    expect(value(store)).toBe(2);
  });

  test("what does not compile changes nothing, and the next update goes on", async () => {
    const store = serving(ticking(1));
    const before = store.current;
    const bad = store.updateAside(changes(rego("x := y")));
    const good = store.updateAside(changes(rego("x := 3")));
    await expect(bad).rejects.toThrow(CompileError);
    expect(store.current).toBe(before);
    expect(store.lastFailure).toContain("var y is unsafe");
    await good;
    expect(value(store)).toBe(3);
    expect(store.lastFailure).toBeUndefined();
  });

  test("refused by who has the last word, it changes nothing", async () => {
    const store = serving(ticking(1));
    const refuse = (): never => {
      throw new LoadError("no_entrypoint", "no");
    };
    await expect(store.updateAside(changes(rego("x := 2")), refuse)).rejects.toThrow(LoadError);
    expect(value(store)).toBe(1);
  });

  test("updates of several parts run one after the other and lose nothing", async () => {
    const store = serving(ticking(1));
    const bundle = (name: string): Part => ({
      modules: [{ file: `${name}.rego`, text: `package ${name}\n\nx := 1` }],
      data: {},
      bundle: { revision: name, roots: [name] },
    });
    await Promise.all([
      store.updateAside(new Map([["a", bundle("a")]])),
      store.updateAside(new Map([["b", bundle("b")]])),
      store.writeInTurn((write) => write({ ...store.base, data: { written: 1 } })),
      store.writeInTurn((write) => write({ ...store.base, data: { ...store.base.data, again: 2 } })),
    ]);
    expect([...store.current.bundles.keys()]).toEqual(["a", "b"]);
    expect(store.current.data).toEqual({ written: 1, again: 2 });
    expect(value(store)).toBe(1);
  });

  test("an update at once is not undone by one that was being built", async () => {
    let isFirst = true;
    const store: PolicyStore = serving(
      ticking(1, () => {
        if (isFirst) store.update(new Map([["late", { modules: [], data: { late: true } }]]));
        isFirst = false;
      }),
    );
    await store.updateAside(changes(rego("x := 2")));
    expect(store.current.data).toEqual({ late: true });
    expect(value(store)).toBe(2);
  });

  test("a closed store drops what is being built, and what waits", async () => {
    const store: PolicyStore = serving(ticking(1, () => store.close()));
    const updates = [store.updateAside(changes(rego("x := 2"))), store.updateAside(changes(rego("x := 3")))];
    for (const update of updates) await expect(update).rejects.toThrow("aborted");
    expect(value(store)).toBe(1);
  });
});

test("work that is dropped half-way closes what it has open", async () => {
  const closing = new AbortController();
  let isOpen = true;
  const steps = (function* () {
    try {
      for (;;) yield;
    } finally {
      isOpen = false;
    }
  })();
  const pace = ticking(5, () => closing.abort(new Error("closed")));
  await expect(inSlices(steps, pace, closing.signal)).rejects.toThrow("closed");
  expect(isOpen).toBe(false);
});

test("a program too large for one script answers as a small one", () => {
  const each = (i: number) =>
    `p${i}(a) := [a, ${i}]\n\nq contains ${i} if p${i}(input.a)[1] > 3\n\nr["k${i}"] := p${i}(0)\n\ns := ${i} if input.a == ${i}`;
  const store = new PolicyStore(compiler);
  const of = (count: number) => store.updateBase(rego(Array.from({ length: count }, (_, i) => each(i)).join("\n\n")));
  const values = (count: number) =>
    of(count)
      .policy.query("x := [count(data.p.q), data.p.q[5], data.p.r.k9, data.p.s, data.p.p7(1)]")
      .evaluate({ input: { a: 8 } })[0]?.bindings["x"];
  expect(values(10)).toEqual([6, 5, [0, 9], 8, [1, 7]]);
  expect(values(2000)).toEqual([1996, 5, [0, 9], 8, [1, 7]]);
});
