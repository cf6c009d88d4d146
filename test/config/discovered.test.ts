import { describe, expect, test } from "vitest";
import { type Config, ConfigError, type PlainObject, readConfig, withDiscovered } from "../../src/config/index.ts";

const BOOT: PlainObject = {
  services: { control: { url: "https://control.example", headers: { a: "1" } } },
  labels: { region: "west" },
  discovery: { resource: "d.tar.gz", decision: "/a/b/" },
  default_decision: "/boot",
};

const boot = (more: PlainObject = {}): Config => readConfig({ ...BOOT, ...more }, () => undefined);
const discover = (document: PlainObject, more: PlainObject = {}) =>
  withDiscovered(boot(more), document, (message) => {
    throw new Error(message);
  });

// github.com/open-policy-agent/opa v1/plugins/discovery
describe("a discovered configuration", () => {
  test("adds to the boot configuration, whose members win", () => {
    const { config, overridden } = discover({
      services: { logs: { url: "https://logs.example" } },
      labels: { region: "east", tier: "1" },
      default_decision: "/other",
      decision_logs: { service: "logs" },
      bundles: { main: { service: "control" } },
      discovery: { resource: "elsewhere" },
    });
    expect(config.labels).toEqual({ region: "west", tier: "1" });
    expect(config.defaultDecision).toBe("/boot");
    expect(config.decisionLogs?.service?.url).toBe("https://logs.example");
    expect(config.bundles[0]?.service?.headers).toEqual({ a: "1" });
    expect(config.discovery).toMatchObject({ resource: "d.tar.gz", decision: "a/b", name: "discovery" });
    expect(overridden).toEqual(["default_decision", "labels.region"]);
  });

  test("has no say about members of every object", () => {
    const { config } = discover(JSON.parse('{"labels": {"__proto__": "x", "constructor": "y"}}') as PlainObject);
    expect(Object.entries(config.labels)).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
      ["region", "west"],
    ]);
    expect(Object.getPrototypeOf(config.raw["labels"])).toBe(Object.prototype);
  });

  test("may repeat the discovery service, and not change it", () => {
    const same = { url: "https://control.example/", headers: { a: "1" } };
    expect(() => discover({ services: { control: same } })).not.toThrow();
    for (const other of [
      { ...same, headers: {} },
      { ...same, credentials: { bearer: { token: "t" } } },
      { url: "https://x" },
    ])
      expect(() => discover({ services: { control: other } })).toThrow(
        new ConfigError("updates to the discovery service are not allowed"),
      );
  });

  test("may not change keys that the bundle itself is verified with", () => {
    const keys = { k: { key: "secret", algorithm: "HS256" } };
    expect(() => discover({ keys: { ...keys, l: { key: "x" } } }, { keys })).not.toThrow();
    expect(() => discover({ keys: { k: { key: "other", algorithm: "HS256" } } }, { keys })).toThrow(
      new ConfigError("updates to keys specified in the boot configuration are not allowed (keys.k)"),
    );
  });

  test("is refused as any other", () => {
    expect(() => discover({ bundles: { b: { service: "x" } } })).toThrow('service name "x" not found');
    expect(() => discover({ plugins: { other: {} } })).toThrow('plugin "other" not registered');
  });

  test("by its old name", () => {
    const discovery = { name: "/example/", prefix: "/p/" };
    expect(boot({ discovery }).discovery).toMatchObject({
      resource: "p/example",
      decision: "example",
      name: "/example/",
    });
  });
});
