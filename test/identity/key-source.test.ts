import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RemoteKeySource } from "../../src/identity/key-source.ts";
import { DEFAULT_SETTINGS } from "../../src/identity/rule.ts";
import { HandClock, keySetOf, makeKey, StubServer } from "../support/identity.ts";

const URL = "https://issuer.test/keys";
const [one, two] = [makeKey("one"), makeKey("two")];
const settings = DEFAULT_SETTINGS.keys;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function sourceOf(server: StubServer, location: RemoteKeySource["name"] = URL) {
  const clock = new HandClock();
  const source = new RemoteKeySource({
    location: location.startsWith("issuer ")
      ? { kind: "issuer", issuer: location.slice(7) }
      : { kind: "url", url: location },
    timeoutMs: 1000,
    settings,
    fetchDocument: server.fetchDocument,
    clock,
    random: () => 0.5,
  });
  const pass = async (ms: number) => {
    clock.pass(ms);
    await vi.advanceTimersByTimeAsync(ms);
  };
  const kids = () => source.current()?.keys.map(({ kid }) => kid);
  return { source, clock, pass, kids };
}

describe("RemoteKeySource", () => {
  test("fetches before anybody asks, and again in the background", async () => {
    const server = new StubServer();
    server.answers.set(URL, keySetOf(one));
    const { source, pass, kids } = sourceOf(server);
    await source.ready;
    expect(kids()).toEqual(["one"]);
    server.answers.set(URL, keySetOf(two));
    await pass(settings.refreshMs);
    expect(kids()).toEqual(["two"]);
    expect(server.requests.length).toBe(2);
    source.stop();
  });

  test("however often renewal is asked for, one fetch per cooldown answers", async () => {
    const server = new StubServer();
    server.answers.set(URL, keySetOf(one));
    const { source, pass } = sourceOf(server);
    await source.ready;
    await Promise.all(Array.from({ length: 1000 }, () => source.renew(1000)));
    expect(server.requests.length).toBe(2);
    for (let i = 0; i < 29; i++) {
      await pass(1000);
      await source.renew(1000);
    }
    expect(server.requests.length).toBe(2);
    await pass(1000);
    await source.renew(1000);
    expect(server.requests.length).toBe(3);
    source.stop();
  });

  test("a renewal brings a rotated key at once", async () => {
    const server = new StubServer();
    server.answers.set(URL, keySetOf(one));
    const { source, kids } = sourceOf(server);
    await source.ready;
    server.answers.set(URL, keySetOf(one, two));
    expect(await source.renew(1000)).toBe(true);
    expect(kids()).toEqual(["one", "two"]);
    source.stop();
  });

  test.for([
    ["fails", new Error("connection refused")],
    ["answers 500", { status: 500, body: "" }],
    ["redirects", { status: 302, body: "" }],
    ["answers HTML", "<html></html>"],
    ["answers an empty set", '{"keys": []}'],
    ["gives away private keys", JSON.stringify({ keys: [one.privateKey.export({ format: "jwk" })] })],
  ] as const)("keeps the last good keys while the server %s, until they are stale", async ([, answer]) => {
    const server = new StubServer();
    server.answers.set(URL, keySetOf(one));
    const { source, pass, kids } = sourceOf(server);
    await source.ready;
    server.answers.set(URL, answer);
    await pass(settings.refreshMs);
    expect(source.status().problem).toBeDefined();
    for (let i = 0; i < 60; i++) await pass(60_000);
    expect(kids()).toEqual(["one"]);
    await pass(settings.staleMs);
    expect(kids()).toBeUndefined();
    server.answers.set(URL, keySetOf(two));
    await pass(60_000);
    expect(kids()).toEqual(["two"]);
    source.stop();
  });

  test("backs off while fetches fail, and requests cannot hurry it", async () => {
    const server = new StubServer();
    const { source, pass } = sourceOf(server);
    await source.ready;
    for (let second = 0; second < 60; second++) {
      await source.renew(10);
      await pass(1000);
    }
    // Attempts at 0, 1, 3, 7, 15 and 31 seconds, then every 30.
    expect(server.requests.length).toBe(6);
    source.stop();
  });

  test("waits for a fetch under way, but not longer than it may", async () => {
    const server = new StubServer();
    let answer: (response: { status: number; body: string }) => void = () => {};
    server.answers.set(URL, new Promise((done) => (answer = done)));
    const { source, pass, kids } = sourceOf(server);
    const first = source.renew(500);
    await pass(500);
    expect(await first).toBe(false);
    const second = source.renew(500);
    answer({ status: 200, body: keySetOf(one) });
    expect(await second).toBe(true);
    expect(kids()).toEqual(["one"]);
    expect(server.requests.length).toBe(1);
    source.stop();
  });

  test("asks the issuer's discovery document where the keys are", async () => {
    const server = new StubServer();
    const document = { issuer: "https://issuer.test", jwks_uri: URL };
    server.answers.set("https://issuer.test/.well-known/openid-configuration", JSON.stringify(document));
    server.answers.set(URL, keySetOf(one));
    const { source, kids } = sourceOf(server, "issuer https://issuer.test/");
    await source.ready;
    expect(kids()).toEqual(["one"]);
    source.stop();
  });

  test("a discovery document of another issuer is not believed", async () => {
    const server = new StubServer();
    const document = { issuer: "https://evil.test", jwks_uri: URL };
    server.answers.set("https://issuer.test/.well-known/openid-configuration", JSON.stringify(document));
    const { source, kids } = sourceOf(server, "issuer https://issuer.test");
    await source.ready;
    expect(kids()).toBeUndefined();
    expect(source.status().problem).toContain("another issuer's");
    source.stop();
  });

  test("a stopped source fetches no more", async () => {
    const server = new StubServer();
    server.answers.set(URL, keySetOf(one));
    const { source, pass } = sourceOf(server);
    await source.ready;
    source.stop();
    await pass(24 * 3_600_000);
    expect(await source.renew(10)).toBe(false);
    expect(server.requests.length).toBe(1);
  });
});
