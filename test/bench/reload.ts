import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { LoadResult } from "./h2-load.ts";
import { cardea, exampleServer } from "./commands.ts";
import { freePort } from "../support/free-port.ts";
import { rssMiB, runLoad, startServer } from "./server.ts";
import { type Spread, spread } from "./timing.ts";

/** The same rate with reloads and without, in turn. */
export interface ReloadFigure {
  readonly name: string;
  readonly rate: number;
  readonly everyMs: number;
  readonly reloads: number;
  readonly failed: number;
  readonly quiet: LatencyFigure;
  readonly reloading: LatencyFigure;
  /** Round by round. */
  readonly p99Ratio: Spread;
  readonly rssMiB: number;
}

interface LatencyFigure {
  readonly p50Us: Spread;
  readonly p99Us: Spread;
  /** The slowest check of each round: no pause of the server is longer. */
  readonly maxUs: Spread;
}

/** Policies beside the examples, one file of which is replaced again and again. */
interface PolicySet {
  readonly name: string;
  readonly file: string;
  readonly everyMs: number;
  text(version: number): string;
  /** Where the API shows the version that is served, and how. */
  readonly shownAt: string;
  shown(version: number): string;
}

const LARGE = 10_000;
const example = readFileSync("policies/authz.rego", "utf8");
const ofLarge = <T>(make: (i: number) => T): T[] => Array.from({ length: LARGE }, (_, i) => make(i));

const SETS: readonly PolicySet[] = [
  {
    name: "example policies",
    file: "authz.rego",
    everyMs: 1000,
    text: (version) => `${example}\n# version ${version}\n`,
    shownAt: "/v1/policies",
    shown: (version) => `# version ${version}\\n`,
  },
  {
    name: "10,000 AuthorizationPolicies",
    file: "mesh.yaml",
    everyMs: 4000,
    text: (version) =>
      ofLarge(
        (i) =>
          `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: v${version}-${i}\n  namespace: elsewhere\nspec:\n  rules:\n  - from:\n    - source:\n        principals: ["cluster.local/ns/x/sa/client-${i}"]\n    to:\n    - operation:\n        methods: ["GET", "POST"]\n        paths: ["/api/*"]\n`,
      ).join("---\n"),
    shownAt: "/v1/data/cardea/tables/policies/0",
    shown: (version) => `"elsewhere/v${version}-0"`,
  },
  {
    name: "10,000 rules",
    file: "more.rego",
    everyMs: 4000,
    text: (version) =>
      `package more\n\nversion := ${version}\n\n${ofLarge((i) => `allow if {\n\tinput.user == "user${i}"\n\tinput.path == "/p/${i}"\n}\n`).join("\n")}`,
    shownAt: "/v1/data/more/version",
    shown: (version) => `"result":${version}}`,
  },
];

export async function benchReload(
  main: string,
  loader: string,
  plan: { readonly rate: number; readonly rounds: number; readonly durationMs: number },
): Promise<readonly ReloadFigure[]> {
  const figures: ReloadFigure[] = [];
  for (const set of SETS) figures.push(await benchSet(set, main, loader, plan));
  return figures;
}

async function benchSet(
  set: PolicySet,
  main: string,
  loader: string,
  { rate, rounds, durationMs }: { readonly rate: number; readonly rounds: number; readonly durationMs: number },
): Promise<ReloadFigure> {
  const folder = mkdtempSync(path.join(tmpdir(), "bench-reload-"));
  const policies = path.join(folder, "policies");
  cpSync("policies", policies, { recursive: true });
  let reloads = 0;
  const rewrite = (): void => {
    // Whole at once, as a ConfigMap is: a file that is written in place is left alone until its writer has surely done.
    const draft = path.join(folder, "draft");
    writeFileSync(draft, set.text(reloads));
    renameSync(draft, path.join(policies, set.file));
    reloads++;
  };
  rewrite();
  const api = await freePort();
  const command = await exampleServer("cardea", cardea(main), {
    log: true,
    policies,
    more: ["--watch", `--addr=127.0.0.1:${api}`],
  });
  const { child } = await startServer(command);
  try {
    const load = { port: command.port, durationMs, rate };
    await runLoad(loader, { ...load, durationMs: 3000 });
    const quiet: LoadResult[] = [];
    const reloading: LoadResult[] = [];
    for (let i = 0; i < rounds; i++) {
      quiet.push(await runLoad(loader, load));
      rewrite();
      const timer = setInterval(rewrite, set.everyMs);
      reloading.push(await runLoad(loader, load));
      clearInterval(timer);
      await untilServed(`http://127.0.0.1:${api}${set.shownAt}`, set.shown(reloads - 1));
    }
    const p99s = (results: readonly LoadResult[]): readonly number[] => results.map(({ p99Us }) => p99Us);
    const summary = (results: readonly LoadResult[]): LatencyFigure => ({
      p50Us: spread(results.map(({ p50Us }) => p50Us)),
      p99Us: spread(p99s(results)),
      maxUs: spread(results.map(({ maxUs }) => maxUs)),
    });
    return {
      name: set.name,
      rate,
      everyMs: set.everyMs,
      reloads: reloads - 1,
      failed: [...quiet, ...reloading].reduce((sum, { failed }) => sum + failed, 0),
      quiet: summary(quiet),
      reloading: summary(reloading),
      p99Ratio: spread(p99s(reloading).map((value, i) => value / (p99s(quiet)[i] as number))),
      rssMiB: rssMiB(child.pid as number),
    };
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The figures mean something only if the reloads took place. */
async function untilServed(url: string, marker: string): Promise<void> {
  for (const giveUp = performance.now() + 20_000; performance.now() < giveUp; ) {
    const shown = await (await fetch(url)).text();
    if (shown.includes(marker)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("the server did not take the rewritten policies");
}
