import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/rego/value/index.ts";
import { mergeStatuses, pluginsOf } from "../../src/server/group-status.ts";

const NEVER = "0001-01-01T00:00:00Z";
const bundle = (time: string, more: object = {}) => ({ name: "b", last_successful_activation: time, ...more });
const status = (parts: object): JsonObject =>
  ({ labels: { id: "i" }, plugins: {}, cardea: { policy_generation: 1 }, ...parts }) as unknown as JsonObject;

describe("the status of several workers", () => {
  test("is that of the one there is", () => {
    const only = status({ bundles: { b: bundle(NEVER) } });
    expect(mergeStatuses([only])).toEqual(only);
    expect(mergeStatuses([])).toEqual({});
  });

  test("has of each part what the worst off says", () => {
    const merged = mergeStatuses([
      status({
        plugins: { bundle: { state: "OK" }, grpc: { state: "NOT_READY" }, discovery: { state: "OK", message: "bad" } },
        bundles: { b: bundle("2026-01-02T00:00:00Z"), c: bundle("2026-01-02T00:00:00Z") },
        cardea: { policy_generation: 3 },
      }),
      status({
        plugins: { bundle: { state: "NOT_READY" }, grpc: { state: "OK" }, discovery: { state: "OK" } },
        bundles: { b: bundle(NEVER), c: bundle("2026-01-03T00:00:00Z", { code: "bundle_error" }), d: bundle(NEVER) },
        discovery: bundle("2026-01-01T00:00:00Z"),
        cardea: { policy_generation: 2 },
      }),
    ]);
    expect(merged).toEqual({
      labels: { id: "i" },
      plugins: {
        bundle: { state: "NOT_READY" },
        grpc: { state: "NOT_READY" },
        discovery: { state: "OK", message: "bad" },
      },
      bundles: { b: bundle(NEVER), c: bundle("2026-01-03T00:00:00Z", { code: "bundle_error" }), d: bundle(NEVER) },
      discovery: bundle("2026-01-01T00:00:00Z"),
      cardea: { policy_generation: 2 },
    });
    expect(pluginsOf(merged).get("bundle")).toEqual({ state: "NOT_READY" });
  });

  test("tells of a reload that failed in one of them", () => {
    const failed = { policy_generation: 4, last_reload_error: "e" };
    expect(mergeStatuses([status({}), status({ cardea: failed })])["cardea"]).toEqual(failed);
  });
});
