import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { buildPolicyThread } from "./policy-thread.ts";
import { freePort } from "./free-port.ts";
import { CheckClient } from "./server.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Bundles the command into a folder of its own inside the repository, from where its packages are found. */
export async function buildProgram(): Promise<{ readonly main: string; remove(): Promise<void> }> {
  const parent = join(ROOT, "node_modules/.cache");
  mkdirSync(parent, { recursive: true });
  const outdir = await mkdtemp(join(parent, "cardea-"));
  await build({
    // src/main.ts without its loader, which runs what the build has made before.
    stdin: {
      contents: `import { runCli } from "./src/cli/main.ts";\nprocess.exitCode = await runCli(process.argv.slice(2));\n`,
      resolveDir: ROOT,
      loader: "ts",
    },
    entryNames: "main",
    outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
    logLevel: "warning",
  });
  await buildPolicyThread(join(outdir, "policy-thread.js"));
  return { main: join(outdir, "main.js"), remove: () => rm(outdir, { recursive: true, force: true }) };
}

/** The command, serving in a process of its own. */
export interface Program {
  readonly process: ChildProcess;
  readonly grpc: string;
  readonly api: string;
  readonly diagnostics: string;
  readonly folder: string;
  /** Lines of its log so far. */
  readonly log: string[];
  /** The exit code, or the name of the signal that ended it. */
  readonly exited: Promise<number | string | null>;
  remove(): Promise<void>;
}

export interface ProgramOptions {
  readonly main: string;
  readonly policy: string;
  readonly set?: readonly string[];
  readonly flags?: readonly string[];
  /** Address of the check port. Default: a free one of this machine. */
  readonly grpc?: (folder: string) => string;
  /** Files and sockets it may have open. */
  readonly descriptors?: number;
}

/** Starts it and waits until it is ready. */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  const { main, policy, set = [], flags = [], descriptors } = options;
  const folder = await mkdtemp(join(tmpdir(), "cardea-program-"));
  await writeFile(join(folder, "policy.rego"), policy);
  const address = async (): Promise<string> => `127.0.0.1:${await freePort()}`;
  const grpc = options.grpc?.(folder) ?? (await address());
  const [api, diagnostics] = [await address(), await address()];
  const settings = [`plugins.envoy_ext_authz_grpc.addr=${grpc}`, ...set].flatMap((text) => ["--set", text]);
  const args = [
    "run",
    "--server",
    "--addr",
    api,
    "--diagnostic-addr",
    diagnostics,
    ...settings,
    ...flags,
    join(folder, "policy.rego"),
  ];
  const command = [process.execPath, main, ...args];
  const limited = ["sh", "-c", `ulimit -n ${descriptors}; exec "$@"`, "sh", ...command];
  const [file, ...rest] = descriptors === undefined ? command : limited;
  const child = spawn(file as string, rest, { stdio: ["ignore", "ignore", "pipe"] });
  const log: string[] = [];
  child.stderr
    ?.setEncoding("utf8")
    .on("data", (text: string) => log.push(...text.split("\n").filter((line) => line !== "")));
  const exited = new Promise<number | string | null>((resolve) =>
    child.once("close", (code, signal) => resolve(code ?? signal)),
  );
  const program: Program = {
    process: child,
    grpc,
    api,
    diagnostics,
    folder,
    log,
    exited,
    async remove() {
      child.kill("SIGKILL");
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
  await untilServing(program);
  return program;
}

/** grpc.health.v1: `status` is field 1, 1 is SERVING. */
export async function healthOf(client: CheckClient): Promise<number> {
  const reply = await client.unary(Buffer.alloc(0), { method: "/grpc.health.v1.Health/Check", deadlineMs: 2000 });
  return reply[1] ?? 0;
}

async function untilServing({ grpc, process: child, log }: Program): Promise<void> {
  const client = new CheckClient(grpc.replace("unix://", "unix:"));
  try {
    for (;;) {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}:\n${log.join("\n")}`);
      if ((await healthOf(client).catch(() => 0)) === 1) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    client.close();
  }
}
