import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import type { PlainObject } from "../../src/config/index.ts";
import { bundleArchive } from "../support/bundle-archive.ts";
import { RecordingServer } from "../support/recording-server.ts";
import { freePort } from "../support/free-port.ts";
import { startServer, until } from "../support/server.ts";

/** The real program. Set CARDEA_OPA to its path if it is not on PATH. */
const opa = process.env["CARDEA_OPA"] ?? "opa";
const isThere = spawnSync(opa, ["version"]).status === 0;
if (!isThere && process.env["CI"] !== undefined) throw new Error("no opa: set CARDEA_OPA");
if (!isThere) console.log("skipped: no opa (set CARDEA_OPA)");

const folder = mkdtempSync(join(tmpdir(), "cardea-discovery-"));
afterAll(() => rmSync(folder, { recursive: true }));
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Answers {
  readonly config: unknown;
  /** Of discovery: whether it failed, and why. */
  readonly code: unknown;
  readonly message: unknown;
}

type Status = { readonly discovery?: Record<string, unknown> };

const NEVER = "0001-01-01T00:00:00Z";
const POLLING = { min_delay_seconds: 1, max_delay_seconds: 1 };

async function serve(config: PlainObject): Promise<RecordingServer> {
  const archive = await bundleArchive({ "data.json": JSON.stringify({ config }) });
  const control = await RecordingServer.start(({ path }) => (path === "/d.tar.gz" ? { body: archive } : {}));
  closing.push(() => control.stop());
  return control;
}

function bootOf(control: RecordingServer, more: PlainObject): PlainObject {
  return {
    services: { control: { url: control.url, headers: { "x-boot": "1" } } },
    discovery: { resource: "d.tar.gz", decision: "config", polling: POLLING },
    status: { service: "control" },
    ...more,
  };
}

/** After the first report about discovery. */
async function answersOf(control: RecordingServer, api: string): Promise<Answers> {
  const reported = (): Status | undefined =>
    control.requests
      .filter(({ path }) => path === "/status")
      .map(({ body }) => JSON.parse(body) as Status)
      .find(
        ({ discovery }) =>
          discovery?.["code"] !== undefined ||
          (discovery?.["last_successful_activation"] !== undefined &&
            discovery["last_successful_activation"] !== NEVER),
      );
  await until(() => reported() !== undefined);
  const { result } = (await (await fetch(`http://${api}/v1/config`)).json()) as { result: Record<string, unknown> };
  const { labels, ...others } = result;
  const { id: _id, version: _version, ...own } = labels as Record<string, unknown>;
  const { code, message } = reported()?.discovery ?? {};
  return { config: { ...others, labels: own }, code, message: sorted(message) };
}

/** opa lists keys in no order. */
function sorted(message: unknown): unknown {
  const [head, keys] = typeof message === "string" ? message.split(": ") : [];
  return head?.startsWith("Keys in") === true ? `${head}: ${keys?.split(", ").sort().join(", ")}` : message;
}

async function byOpa(discovered: PlainObject, boot: PlainObject): Promise<Answers> {
  const control = await serve(discovered);
  const file = join(folder, "config.json");
  writeFileSync(file, JSON.stringify(bootOf(control, boot)));
  const port = await freePort();
  const flags = ["--server", `--addr=127.0.0.1:${port}`, "--disable-telemetry", "--config-file", file];
  const program = spawn(opa, ["run", ...flags], { stdio: "ignore", env: { ...process.env, WHERE: "west" } });
  closing.push(async () => {
    program.kill();
    if (program.exitCode === null) await once(program, "exit");
  });
  return withoutUrl(await answersOf(control, `127.0.0.1:${port}`), control);
}

async function byUs(discovered: PlainObject, boot: PlainObject): Promise<Answers> {
  const control = await serve(discovered);
  const server = await startServer({
    policy: "",
    paths: [],
    config: () => ({ plugins: {}, ...bootOf(control, boot) }),
    options: { addrs: ["127.0.0.1:0"], env: { WHERE: "west" } },
  });
  closing.push(() => server.stop());
  const answers = await answersOf(control, server.addresses.api[0] ?? "");
  const { plugins, ...config } = answers.config as Record<string, unknown>;
  return withoutUrl(
    { ...answers, config: { ...config, ...(Object.keys(plugins as object).length > 0 && { plugins }) } },
    control,
  );
}

function withoutUrl(answers: Answers, control: RecordingServer): Answers {
  return JSON.parse(JSON.stringify(answers).replaceAll(control.url, "http://control")) as Answers;
}

const ROWS: readonly [string, PlainObject, PlainObject?][] = [
  ["nothing but defaults", {}],
  [
    "mappings are merged, the boot configuration wins",
    {
      labels: { a: "discovered", b: "\u0024{WHERE}" },
      default_decision: "/d",
      services: { logs: { url: "http://logs.example" } },
      decision_logs: { service: "logs", reporting: { min_delay_seconds: 5, max_delay_seconds: 7 } },
      nd_builtin_cache: true,
    },
    {
      labels: { a: "boot" },
      default_decision: "/b",
      decision_logs: { reporting: { min_delay_seconds: 6, max_delay_seconds: 9 } },
    },
  ],
  ["discovery itself is not discovered", { discovery: { resource: "other.tar.gz" } }],
  [
    "keys and credentials are not shown",
    {
      keys: { k: { key: "secret", algorithm: "HS256" } },
      services: { other: { url: "http://o.example", credentials: { bearer: { token: "t" } } } },
    },
  ],
  ["the discovery service may not be given in part", { services: { control: { headers: { "x-boot": "1" } } } }],
  ["the discovery service may not change", { services: { control: { url: "http://elsewhere.example" } } }],
  ["a bundle of no service", { bundles: { b: { service: "nobody" } } }],
  ["a plugin that is none", { plugins: { other: {} } }],
];

test.skipIf(!isThere).for(ROWS)("as opa: %s", async ([, discovered, boot = {}]) => {
  const wanted = await byOpa(discovered, boot);
  const got = await byUs(discovered, boot);
  // opa shows a configuration that it refused in part; we show the one that is in use.
  expect(wanted.code === undefined ? got : { ...got, config: wanted.config }).toEqual(wanted);
});
