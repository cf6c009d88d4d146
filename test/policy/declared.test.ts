import { describe, expect, test } from "vitest";
import { DEFAULT_MESH } from "../../src/istio/index.ts";
import { type Compile, pathEntrypoint, PolicyStore, regoCompiler } from "../../src/policy/index.ts";

const policy = (path: string) => ({
  file: "p.yaml",
  text: JSON.stringify({
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "p", namespace: "prod" },
    spec: { rules: [{ to: [{ operation: { paths: [path] } }] }] },
  }),
});
const hours = (zone: string) => ({
  file: "h.yaml",
  text: `apiVersion: cardea.dev/v1alpha1\nkind: Schedule\nmetadata: {name: h}\nspec: {timeZone: ${zone}, windows: [{from: "08:00", to: "09:00"}]}\n`,
});

function counting(): { store: PolicyStore; compiled: () => number } {
  const compile = regoCompiler({ version: "v0", keepPrint: false });
  let count = -1; // the empty snapshot
  const counted: Compile = (...operands) => {
    count++;
    return compile(...operands);
  };
  return { store: new PolicyStore(counted), compiled: () => count };
}

describe("policy documents in a snapshot", () => {
  const input = (path: string) => ({
    attributes: { destination: { principal: "spiffe://cluster.local/ns/prod/sa/api" }, request: { http: { path } } },
  });
  const allowed = (store: PolicyStore, path: string) =>
    store.current.prepare(pathEntrypoint("cardea/istio/decision/allowed")).value({ input: input(path) });

  test("are tables: other policies need no other code", () => {
    const { store, compiled } = counting();
    store.updateBase({ modules: [], data: {}, declarations: [policy("/a")] });
    expect([allowed(store, "/a"), allowed(store, "/b"), compiled()]).toEqual([true, false, 1]);
    store.updateBase({ modules: [], data: { more: 1 }, declarations: [policy("/b")] });
    expect([allowed(store, "/a"), allowed(store, "/b"), compiled()]).toEqual([false, true, 1]);
  });

  test("other schedules do, since builtins close over them", () => {
    const { store, compiled } = counting();
    for (const zone of ["UTC", "UTC", "Europe/Berlin"])
      store.updateBase({ modules: [], data: {}, declarations: [hours(zone)] });
    expect(compiled()).toBe(2);
    expect(store.current.declared?.decides).toBe(false);
  });

  test("keep what they were while their files are", () => {
    const { store } = counting();
    store.updateBase({ modules: [], data: {}, declarations: [policy("/a")] });
    const { declared } = store.current;
    store.updateBase({ ...store.base, data: { x: 1 } });
    expect(store.current.declared).toBe(declared);
  });

  test("of several parts come together", () => {
    const { store } = counting();
    store.updateBase({ modules: [], data: {}, declarations: [policy("/a")] });
    const bundle = { revision: "1", roots: ["b"] };
    expect(() =>
      store.update(new Map([["b", { modules: [], data: {}, declarations: [policy("/b")], bundle }]])),
    ).toThrow(/AuthorizationPolicy prod\/p is already defined at p\.yaml:1/);
    store.update(new Map([["b", { modules: [], data: {}, declarations: [hours("UTC")], bundle }]]));
    expect([...(store.current.declared?.extensions.schedules.keys() ?? [])]).toEqual(["h"]);
    expect(allowed(store, "/a")).toBe(true);
  });

  test("share their place with nobody", () => {
    const { store } = counting();
    const declarations = [policy("/a")];
    expect(() => store.updateBase({ modules: [], data: { cardea: { tables: {} } }, declarations })).toThrow(
      "base documents at cardea.tables: merge error",
    );
    store.updateBase({ modules: [], data: { cardea: { mine: 1 } }, declarations });
    expect(Object.keys(store.current.data["cardea"] as object)).toEqual(["mine", "tables"]);
  });
});

test("a described mesh has its rules without any document", () => {
  const store = new PolicyStore(regoCompiler({ version: "v1", keepPrint: false }), {
    mesh: DEFAULT_MESH,
    isDescribed: true,
  });
  store.updateBase({ modules: [], data: {} });
  expect(store.current.declared?.decides).toBe(true);
});

test.for([
  ["package system.log", false],
  ["# a\n\n  # b\npackage system", false],
  ["package systems", true],
  ["package a\n\nx := `\npackage system.b`", true],
  ['package system["x"]', false],
] as const)("%j decides: %s", ([text, decides]) => {
  const store = new PolicyStore(regoCompiler({ version: "v1", keepPrint: false }));
  store.updateBase({ modules: [{ file: "m.rego", text }], data: {} });
  expect(store.current.hasDecidingModules).toBe(decides);
});
