import { describe, expect, test } from "vitest";
import { readMesh } from "../../src/config/mesh.ts";
import { type Plain, Section } from "../../src/config/section.ts";
import { DEFAULT_MESH, type MeshSettings } from "../../src/istio/index.ts";

function read(value: Plain) {
  const warnings: string[] = [];
  const mesh = readMesh(new Section("cardea.mesh", value, (message) => warnings.push(message)));
  return { mesh, warnings };
}

test("the defaults are Istio's", () => {
  const settings: MeshSettings = { ...read({}).mesh, trustJwtAuthnMetadata: false };
  expect(settings).toEqual(DEFAULT_MESH);
});

test("workloads are named by namespace and service account", () => {
  const { mesh, warnings } = read({
    workloads: { "prod/api": { labels: { app: "api" } }, "prod/wp": { waypoint: true } },
    default_workload: { namespace: "prod", labels: { app: "edge" } },
  });
  expect(mesh.workloads).toEqual([
    { namespace: "prod", serviceAccount: "api", labels: { app: "api" }, waypoint: false },
    { namespace: "prod", serviceAccount: "wp", labels: {}, waypoint: true },
  ]);
  expect(mesh.defaultWorkload).toEqual({ namespace: "prod", labels: { app: "edge" } });
  expect(warnings).toEqual([]);
});

describe("refuses", () => {
  test.for<{ readonly value: Plain; readonly want: string }>([
    {
      value: { workloads: { api: {} } },
      want: "cardea.mesh.workloads.api: expected <namespace>/<service account> as the key",
    },
    {
      value: { workloads: { "a/b/c": {} } },
      want: "cardea.mesh.workloads.a/b/c: expected <namespace>/<service account> as the key",
    },
    {
      value: { default_workload: {} },
      want: "cardea.mesh.default_workload.namespace: expected the name of a namespace",
    },
    { value: { path_normalization: "SOME" }, want: "cardea.mesh.path_normalization: expected one of NONE, BASE" },
    {
      value: { num_trusted_proxies: -1 },
      want: "cardea.mesh.num_trusted_proxies: expected a whole number of at least 0",
    },
  ])("$want", ({ value, want }) => {
    expect(() => read(value)).toThrow(want);
  });
});

test("warns of keys nobody knows", () => {
  expect(read({ root_namespaces: "x" }).warnings).toEqual([expect.stringContaining('did you mean "root_namespace"?')]);
});
