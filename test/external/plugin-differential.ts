/**
 * Generated CheckRequests against this server and the real OPA Envoy plugin, whose policy answers with its whole `input`: both
 * must say the same, byte for byte.
 *
 * The plugin is no package that could be installed by name, so this is no part of the test suites. Build it with Go
 * from its repository (`go build -o opa-envoy-plugin ./cmd/opa-envoy-plugin`) or take the binary out of the image
 * openpolicyagent/opa:<version>-envoy-static (`/opa`), then:
 *
 *     npm run differential:plugin -- --plugin ./opa-envoy-plugin --requests 10000 --seed 1
 *
 * `--seed N --requests 1` repeats one call. Differences are printed as small as they get; `--max` ends the run early.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { decodeResponse } from "../support/checks.ts";
import { CheckClient, startServer } from "../support/server.ts";
import { type Check, checkBytes, generateCheck, shopDescriptor, shrinkCheck } from "./check-generator.ts";
import { PluginProcess } from "./plugin-process.ts";

/** The whole input comes back: in a body, or where a header asks for it, in metadata and header values. */
const POLICY = `package echo

text := json.marshal(input)

echo := object.get(input, ["attributes", "request", "http", "headers", "x-echo"], "body")

result := {"allowed": false, "body": text} if not echo in {"metadata", "header", "ok"}

result := {"allowed": false, "http_status": 401, "dynamic_metadata": input} if echo == "metadata"

result := {"allowed": false, "headers": {"x-input": base64.encode(text)}} if echo == "header"

result := {"allowed": true, "headers": {"x-path": input.parsed_path}, "dynamic_metadata": {"input": input}} if echo == "ok"
`;

const CALLS_UNDER_WAY = 64;

interface Answer {
  /** What must be equal. */
  readonly text: string;
  /** The error behind it, for people. */
  readonly detail: string;
}

async function ask(client: CheckClient, check: Check): Promise<Answer> {
  const method = `/envoy.service.auth.${check.api}.Authorization/Check`;
  try {
    const reply = decodeResponse(await client.unary(checkBytes(check), { method }));
    const { decision_id: _id, ...metadata } = reply.metadata ?? {};
    const { dynamicMetadata: _wire, metadata: _plain, ...rest } = reply;
    const echoed = (rest.deniedResponse?.headers as { header: { value: string } }[] | undefined)?.[0]?.header;
    if (echoed !== undefined) echoed.value = Buffer.from(echoed.value, "base64").toString("utf8");
    // Go's protobuf library varies the blank in its messages from build to build.
    return {
      text: sortedJson({ ...rest, metadata, hasMetadata: reply.metadata !== undefined }).replaceAll("\u00a0", " "),
      detail: "",
    };
  } catch (error) {
    const { code, details } = error as { code?: number; details?: string };
    if (code === undefined) throw error;
    return { text: `gRPC error ${code}`, detail: details ?? "" };
  }
}

function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}

/** Differences that stay, each with its reason. */
const EXCEPTIONS: readonly { readonly why: string; holds(check: Check, ours: Answer, theirs: Answer): boolean }[] = [
  {
    why: "Go's strings keep bytes that are not UTF-8, which its JSON shows as \\ufffd; here they read as U+FFFD from the start",
    holds: (_check, ours, theirs) =>
      theirs.detail.includes("invalid UTF-8 in string") || ours.text === theirs.text.replaceAll("\\\\ufffd", "\ufffd"),
  },
  {
    why: "a body that is not UTF-8 is refused with the plugin's words, but the bytes they name read as U+FFFD",
    holds: (_check, ours, theirs) => {
      const named = /invalid (?:character '[^']+'|URL escape \\"(?:[^"\\]|\\\\)*\\")/g;
      return (
        /invalid character 'ï'|invalid URL escape .*xef/.test(ours.text) &&
        ours.text.replace(named, "") === theirs.text.replace(named, "")
      );
    },
  },
  {
    why: "v2: a google.protobuf.Value without a kind is null; the plugin refuses the request",
    holds: ({ api }, _ours, theirs) =>
      api === "v2" && theirs.text.includes("google.protobuf.Value: none of the oneof fields is set"),
  },
  {
    why: "header values with control characters are no legal decision here; the plugin hands them on to Envoy",
    holds: (_check, ours) => ours.detail.endsWith("has a value with a control character"),
  },
  {
    why: "a double of -0 in a gRPC body counts as unset",
    holds: (_check, ours, theirs) =>
      theirs.text
        .replaceAll("\\\\ufffd", "\ufffd")
        .replace(/,?\\"price\\":-0/g, "")
        .replaceAll("{,", "{") === ours.text,
  },
];

interface Difference {
  readonly seed: number;
  readonly check: Check;
  readonly ours: Answer;
  readonly theirs: Answer;
}

class Differential {
  readonly #ours: CheckClient;
  readonly #theirs: CheckClient;
  readonly excepted = new Map<string, number>();
  answers = new Map<string, number>();

  constructor(ours: CheckClient, theirs: CheckClient) {
    this.#ours = ours;
    this.#theirs = theirs;
  }

  async difference(seed: number, check: Check): Promise<Difference | undefined> {
    const [ours, theirs] = await Promise.all([ask(this.#ours, check), ask(this.#theirs, check)]);
    const kind =
      /^gRPC error \d+/.exec(theirs.text)?.[0] ??
      (theirs.text.includes("request_parse_error: ") ? "bad request" : "input");
    this.answers.set(kind, (this.answers.get(kind) ?? 0) + 1);
    if (ours.text === theirs.text) return undefined;
    const exception = EXCEPTIONS.find(({ holds }) => holds(check, ours, theirs));
    if (exception === undefined) return { seed, check, ours, theirs };
    this.excepted.set(exception.why, (this.excepted.get(exception.why) ?? 0) + 1);
    return undefined;
  }

  /** The first smaller call that still differs, again and again. */
  async smallest(difference: Difference): Promise<Difference> {
    let current = difference;
    for (let tries = 0; tries < 2000; ) {
      let smaller: Difference | undefined;
      for (const candidate of shrinkCheck(current.check)) {
        tries++;
        smaller = await this.difference(current.seed, candidate).catch(() => undefined);
        if (smaller !== undefined || tries >= 2000) break;
      }
      if (smaller === undefined) return current;
      current = smaller;
    }
    return current;
  }
}

const { values } = parseArgs({
  options: {
    plugin: { type: "string" },
    requests: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    max: { type: "string", default: "10" },
  },
});
if (values.plugin === undefined) {
  console.error("--plugin PATH is needed: a binary of the OPA Envoy plugin");
  process.exit(2);
}
const folder = await mkdtemp(join(tmpdir(), "cardea-plugin-"));
const policyFile = join(folder, "echo.rego");
const descriptorFile = join(folder, "shop.pb");
await writeFile(policyFile, POLICY);
await writeFile(descriptorFile, shopDescriptor());
const settings = { path: "echo/result", "proto-descriptor": descriptorFile };
const plugin = await PluginProcess.start(values.plugin, policyFile, settings);
const server = await startServer({
  policy: POLICY,
  config: () => ({
    plugins: { envoy_ext_authz_grpc: { addr: "127.0.0.1:0", ...settings } },
    cardea: { on_error: "rpc_error" },
  }),
});
const theirs = new CheckClient(plugin.address);
const run = new Differential(server.connect(), theirs);
const found: Difference[] = [];
const requests = Number(values.requests);
let next = 0;
try {
  await Promise.all(
    Array.from({ length: CALLS_UNDER_WAY / 2 }, async () => {
      while (next < requests && found.length < Number(values.max)) {
        const seed = Number(values.seed) + next++;
        const difference = await run.difference(seed, generateCheck(seed));
        if (difference !== undefined) found.push(difference);
      }
    }),
  );
  const counts = [...run.answers].map(([kind, count]) => `${count} ${kind}`).join(", ");
  const shown = new Set<string>();
  for (const difference of found.slice(0, Number(values.max))) {
    const { seed, check, ours, theirs: other } = await run.smallest(difference);
    const text = `${JSON.stringify(check)}\nours:   ${ours.text} ${ours.detail}\nplugin: ${other.text} ${other.detail}\n`;
    if (shown.has(text)) continue;
    shown.add(text);
    console.log(`--- seed ${seed}\n${text}`);
  }
  for (const [why, count] of run.excepted) console.log(`excepted ${count} times: ${why}`);
  console.log(`${next} requests (${counts}), ${found.length} differences`);
} finally {
  theirs.close();
  plugin.stop();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
process.exit(found.length === 0 ? 0 : 1);
