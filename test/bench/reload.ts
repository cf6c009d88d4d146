import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { LoadResult } from "./h2-load.ts";
import { cardea, exampleServer } from "./commands.ts";
import { freePort } from "../support/free-port.ts";
import { rssMiB, runLoad, startServer } from "./server.ts";
import { type Spread, spread } from "./timing.ts";

/** The same rate with a reload of the example policies every second and without, in turn. */
export interface ReloadFigure {
  readonly rate: number;
  readonly reloads: number;
  readonly failed: number;
  readonly quiet: { readonly p50Us: Spread; readonly p99Us: Spread };
  readonly reloading: { readonly p50Us: Spread; readonly p99Us: Spread };
  /** Round by round. */
  readonly p99Ratio: Spread;
  readonly rssMiB: number;
}

const RELOAD_MS = 1000;

export async function benchReload(
  main: string,
  loader: string,
  { rate, rounds, durationMs }: { rate: number; rounds: number; durationMs: number },
): Promise<ReloadFigure> {
  const folder = mkdtempSync(path.join(tmpdir(), "bench-reload-"));
  cpSync("policies", folder, { recursive: true });
  const file = path.join(folder, "authz.rego");
  const text = readFileSync(file, "utf8");
  const api = await freePort();
  const command = await exampleServer("cardea", cardea(main), {
    log: true,
    policies: folder,
    more: ["--watch", `--addr=127.0.0.1:${api}`],
  });
  const { child } = await startServer(command);
  let reloads = 0;
  const rewrite = (): void => {
    reloads++;
    writeFileSync(file, `${text}\n# version ${reloads}\n`);
  };
  try {
    const load = { port: command.port, durationMs, rate };
    await runLoad(loader, { ...load, durationMs: 3000 });
    const quiet: LoadResult[] = [];
    const reloading: LoadResult[] = [];
    for (let i = 0; i < rounds; i++) {
      quiet.push(await runLoad(loader, load));
      const timer = setInterval(rewrite, RELOAD_MS);
      reloading.push(await runLoad(loader, load));
      clearInterval(timer);
      await untilServed(api, `# version ${reloads}`);
    }
    const p99s = (results: readonly LoadResult[]): readonly number[] => results.map(({ p99Us }) => p99Us);
    const summary = (results: readonly LoadResult[]) => ({
      p50Us: spread(results.map(({ p50Us }) => p50Us)),
      p99Us: spread(p99s(results)),
    });
    return {
      rate,
      reloads,
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
async function untilServed(api: number, marker: string): Promise<void> {
  for (const giveUp = performance.now() + 10_000; performance.now() < giveUp; ) {
    const listed = await (await fetch(`http://127.0.0.1:${api}/v1/policies`)).text();
    if (listed.includes(marker)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("the server did not take the rewritten policies");
}
