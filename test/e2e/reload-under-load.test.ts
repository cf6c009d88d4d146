import { afterEach, expect, test } from "vitest";
import { httpRequest } from "../support/checks.ts";
import { isAllowed, startServer, type TestServer } from "../support/server.ts";

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
