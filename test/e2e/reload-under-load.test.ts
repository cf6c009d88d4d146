import { afterEach, expect, test } from "vitest";
import { BASE_PART } from "../../src/policy/index.ts";
import { httpRequest } from "../support/checks.ts";
import { isAllowed, startServer, type TestServer } from "../support/server.ts";
import { lineWriter } from "../support/lines.ts";

let server: TestServer | undefined;
afterEach(() => server?.stop());

/** The rule and its reason change together: an answer that mixes them is an answer of two policies. */
const policy = (version: number): string => `package envoy.authz

allow := {"allowed": is_even, "body": note, "headers": {"x-version": note}}

is_even := ${version % 2 === 0}

note := "${version % 2 === 0 ? "even" : "odd"}"
`;

test("while policies with opposite verdicts follow each other, every answer is one policy's, and none fails", async () => {
  server = await startServer({ policy: policy(0) });
  const { store } = server.server;
  const clients = [server.connect(), server.connect()];
  const request = httpRequest({ method: "GET", path: "/" });
  let isRunning = true;
  const seen = new Set<string>();
  const loops = clients.flatMap((client) =>
    Array.from({ length: 4 }, async () => {
      while (isRunning) {
        const reply = await client.check(request);
        const note = isAllowed(reply)
          ? JSON.stringify(reply.okResponse).includes('"even"')
          : reply.deniedResponse?.body === "odd";
        expect(note).toBe(true);
        seen.add(isAllowed(reply) ? "even" : "odd");
      }
    }),
  );
  for (let version = 1; version <= 100; version++) {
    store.updateBase({ modules: [{ file: "policy.rego", text: policy(version) }], data: {} });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  isRunning = false;
  await Promise.all(loops);
  expect([...seen].sort()).toEqual(["even", "odd"]);
});

test("while a large set of policies is built, checks are answered by the one before", async () => {
  server = await startServer({ policy: policy(0) });
  const { store } = server.server;
  const client = server.connect();
  const request = httpRequest({ method: "GET", path: "/" });
  const rules = Array.from({ length: 3000 }, (_, i) => `more if input.user == "u${i}"`).join("\n\n");
  let isBuilt = false;
  const text = `${policy(1)}\n${rules}\n`;
  const build = store
    .updateAside(new Map([[BASE_PART, { modules: [{ file: "policy.rego", text }], data: {} }]]))
    .then(() => {
      isBuilt = true;
    });
  let answered = 0;
  while (!isBuilt) {
    const reply = await client.check(request);
    if (!isBuilt) expect(isAllowed(reply)).toBe(true);
    answered++;
  }
  await build;
  expect(answered).toBeGreaterThan(3);
  expect(isAllowed(await client.check(request))).toBe(false);
});

// attacks.json config-022: two bundles with opposite verdicts for each path set; the log says which of them decided.
test("every record names the revision that gave its verdict", async () => {
  const log: { bundles: { b: { revision: string } }; result: boolean; input: { parsed_path: readonly string[] } }[] =
    [];
  server = await startServer({
    policy: "",
    files: { "data.json": "{}" },
    paths: ["data.json"],
    config: () => ({ decision_logs: { console: true } }),
    options: {
      writer: lineWriter((line) => void log.push(JSON.parse(line) as (typeof log)[number])),
    },
  });
  const { store } = server.server;
  const allowed = { v1: "a", v2: "b" };
  const publish = (revision: "v1" | "v2"): void => {
    const text = `package envoy.authz\n\nallow := input.parsed_path[0] == "${allowed[revision]}"`;
    const part = { modules: [{ file: "p.rego", text }], data: {}, bundle: { revision, roots: ["envoy"] } };
    store.update(new Map([["b", part]]));
  };
  publish("v1");
  const clients = [server.connect(), server.connect()];
  let isRunning = true;
  let answers = 0;
  const loops = clients.flatMap((client) =>
    ["a", "b"].map(async (path) => {
      while (isRunning) {
        await client.check(httpRequest({ method: "GET", path: `/${path}` }));
        answers++;
      }
    }),
  );
  for (let i = 0; i < 200; i++) {
    publish(i % 2 === 0 ? "v2" : "v1");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  isRunning = false;
  await Promise.all(loops);
  expect(log.length).toBe(answers);
  const seen = new Set<string>();
  for (const { bundles, result, input } of log) {
    const { revision } = bundles.b;
    expect(result).toBe(input.parsed_path[0] === allowed[revision as "v1" | "v2"]);
    seen.add(`${revision} ${result}`);
  }
  expect([...seen].sort()).toEqual(["v1 false", "v1 true", "v2 false", "v2 true"]);
});
