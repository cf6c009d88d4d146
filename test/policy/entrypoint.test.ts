import { describe, expect, test } from "vitest";
import {
  BASE_PART,
  type Entrypoint,
  entrypointGap,
  keepEntrypoint,
  LoadError,
  type Part,
  pathEntrypoint,
  PolicyStore,
  regoCompiler,
} from "../../src/policy/index.ts";

const rego = (text: string) => ({ file: "p.rego", text });
const part = (text: string, data = {}): Part => ({ modules: [rego(text)], data });
const GOOD = part("package envoy.authz\n\nallow := input.x == 1");
const RENAMED = part("package envoy.renamed\n\nallow := input.x == 1");
const ISTIO = {
  file: "p.yaml",
  text: "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\nspec: {}\n",
};

function storeWith(first?: Part): PolicyStore {
  const store = new PolicyStore(regoCompiler({ version: "v1", keepPrint: false }));
  if (first !== undefined) store.update(new Map([[BASE_PART, first]]));
  return store;
}

describe("what is defined at an entrypoint", () => {
  const query = (text: string): Entrypoint => ({ kind: "query", text });
  const rows: readonly (readonly [string, Part, Entrypoint, string | undefined])[] = [
    ["a rule", GOOD, pathEntrypoint("envoy/authz/allow"), undefined],
    ["a package", GOOD, pathEntrypoint("envoy/authz"), undefined],
    ["a member of a rule", part("package p\n\nd := {}"), pathEntrypoint("p/d/allowed"), undefined],
    ["a rule by a variable", part("package p\n\nd[x] := 1 if some x in input"), pathEntrypoint("p/d/x"), undefined],
    ["base data", part("package p", { a: { b: false } }), pathEntrypoint("a/b"), undefined],
    ["an element of base data", part("package p", { a: [true] }), pathEntrypoint("a/0"), undefined],
    ["a query", GOOD, query("data.envoy.authz.allow == true"), undefined],
    ["a query of nothing", GOOD, query("input.x == 1"), undefined],
    ["an illegal query", GOOD, query("x"), undefined],
    ["no element", part("package p", { a: [true] }), pathEntrypoint("a/1"), "data.a[1]"],
    ["nothing inherited", part("package p", { a: {} }), pathEntrypoint("a/constructor"), "data.a.constructor"],
    ["no rule", RENAMED, pathEntrypoint("envoy/authz/allow"), "data.envoy.authz.allow"],
    ["nothing for a query", RENAMED, query("x := data.envoy.authz.allow"), "data.envoy.authz.allow"],
  ];
  test.for(rows)("%s", ([, given, entrypoint, missing]) => {
    const gap = entrypointGap(storeWith(given).current, entrypoint);
    if (missing === undefined) expect(gap).toBeUndefined();
    else expect(gap).toContain(`nothing is defined at ${missing}, `);
  });

  test("a rule of the same name is named", () => {
    expect(entrypointGap(storeWith(RENAMED).current, pathEntrypoint("envoy/authz/allow"))).toBe(
      "nothing is defined at data.envoy.authz.allow, where decisions are asked for; there is data.envoy.renamed.allow",
    );
  });

  test("policy documents that decide alone need none", () => {
    const alone = storeWith({ modules: [], data: {}, declarations: [ISTIO] });
    expect(entrypointGap(alone.current, pathEntrypoint("envoy/authz/allow"))).toBeUndefined();
    const both = storeWith({ ...RENAMED, declarations: [ISTIO] });
    expect(entrypointGap(both.current, pathEntrypoint("envoy/authz/allow"))).toContain("data.envoy.authz.allow");
  });
});

describe("policies without the entrypoint", () => {
  const accept = keepEntrypoint(pathEntrypoint("envoy/authz/allow"));

  // attacks.json config-024: the entrypoint is looked for before the switch.
  test.for([
    ["a renamed package", RENAMED],
    ["no policies at all", { modules: [], data: {} }],
  ] as const)("%s: the live ones stay", ([, next]) => {
    const store = storeWith(GOOD);
    const live = store.current;
    expect(() => store.update(new Map([[BASE_PART, next]]), accept)).toThrow(LoadError);
    expect(store.current).toBe(live);
    expect(store.lastFailure).toContain("nothing is defined at data.envoy.authz.allow");
    store.update(new Map([[BASE_PART, GOOD]]), accept);
    expect(store.lastFailure).toBeUndefined();
  });

  test("are refused beside policy documents that decided alone", () => {
    const store = storeWith({ modules: [], data: {}, declarations: [ISTIO] });
    const next = { ...RENAMED, declarations: [ISTIO] };
    expect(() => store.update(new Map([[BASE_PART, next]]), accept)).toThrow(LoadError);
  });

  test("are taken where nothing is lost: at first, and where the live ones have none", () => {
    const store = storeWith();
    store.update(new Map([[BASE_PART, RENAMED]]), accept);
    store.update(new Map([[BASE_PART, part("package other\n\nx := 1")]]), accept);
    expect(store.current.generation).toBe(2);
  });
});
