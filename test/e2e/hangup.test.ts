import { readdirSync, readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { httpRequest } from "../support/checks.ts";
import { buildProgram, type Program, startProgram } from "../support/program.ts";
import { CheckClient, isAllowed, until } from "../support/server.ts";

let built: Awaited<ReturnType<typeof buildProgram>>;
let program: Program | undefined;
beforeAll(async () => {
  built = await buildProgram();
});
afterAll(async () => {
  await program?.remove();
  await built.remove();
});

const policy = (path: string): string => `package envoy.authz\n\nallow if input.parsed_path[0] == "${path}"\n`;

// attacks.json config-027: coalesced, one at a time, and the last state wins.
test("a storm of SIGHUP and of changes: no check fails, and the last policy serves", async () => {
  program = await startProgram({ main: built.main, policy: policy("v0"), flags: ["--watch", "--log-level=info"] });
  const { process: child, grpc, folder, log } = program;
  const client = new CheckClient(grpc);
  const ask = async (path: string): Promise<boolean> =>
    isAllowed(await client.check(httpRequest({ method: "GET", path: `/${path}` })));
  try {
    expect(await ask("v0")).toBe(true);
    let isStorm = true;
    const checks = (async () => {
      while (isStorm) await ask("v0");
    })();
    for (let i = 1; i <= 20; i++) {
      await writeFile(join(folder, "next"), policy(i === 20 ? "last" : `v${i}`));
      await rename(join(folder, "next"), join(folder, "policy.rego"));
      for (let j = 0; j < 50; j++) child.kill("SIGHUP");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await until(() => ask("last"));
    isStorm = false;
    await checks;
    expect(child.exitCode).toBeNull();
    const reloads = log.filter((line) => line.includes("Processed file watch event."));
    expect(reloads.length).toBeGreaterThan(0);
    expect(reloads.length).toBeLessThan(500);
    expect(log.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  } finally {
    client.close();
  }
});

test("a large set of modules comes from the thread that compiles it", async () => {
  // Long in text but soon compiled: behind everything else, the thread has little time on a busy machine.
  const large = (path: string): string => `${policy(path)}\n${"# as long as many rules\n".repeat(6000)}`;
  expect(large("v0").length).toBeGreaterThan(128 * 1024);
  const reloading = await startProgram({
    main: built.main,
    policy: large("v0"),
    flags: ["--watch", "--log-level=info"],
  });
  const { folder, grpc, log } = reloading;
  const client = new CheckClient(grpc);
  const ask = async (path: string): Promise<boolean> =>
    isAllowed(await client.check(httpRequest({ method: "GET", path })));
  try {
    expect(await ask("/v0")).toBe(true);
    await writeFile(join(folder, "next"), large("v1"));
    await rename(join(folder, "next"), join(folder, "policy.rego"));
    await until(() => ask("/v1"));
    expect(await ask("/v0")).toBe(false);
    expect(log.filter((line) => line.includes("thread failed"))).toEqual([]);
  } finally {
    client.close();
    await reloading.remove();
  }
});

// Elsewhere threads have no priority of their own.
test.skipIf(process.platform !== "linux")("from the first reload on, V8's threads are behind the others", async () => {
  const reloading = await startProgram({ main: built.main, policy: policy("v0"), flags: ["--watch"] });
  const { process: child, folder, grpc } = reloading;
  const tasks = `/proc/${child.pid}/task`;
  // proc(5): the 19th field; the second, the name, may have blanks.
  const niceOf = (thread: string): number =>
    Number(
      readFileSync(`${tasks}/${thread}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")[16],
    );
  const lowered = (): string[] => readdirSync(tasks).filter((thread) => niceOf(thread) === 10);
  const client = new CheckClient(grpc);
  try {
    expect(lowered()).toEqual([]);
    await writeFile(join(folder, "next"), policy("v1"));
    await rename(join(folder, "next"), join(folder, "policy.rego"));
    await until(async () => isAllowed(await client.check(httpRequest({ method: "GET", path: "/v1" }))));
    const threads = lowered();
    expect(threads).not.toContain(String(child.pid));
    expect(threads.length).toBeGreaterThanOrEqual(4);
    // Of which there are as many again for files, names and signatures.
    expect(readdirSync(tasks).length - threads.length).toBeGreaterThanOrEqual(5);
  } finally {
    client.close();
    await reloading.remove();
  }
});
