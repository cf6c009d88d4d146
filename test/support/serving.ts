import { readFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll } from "vitest";
import { buildProgram, type Program, type ProgramOptions, startProgram } from "./program.ts";
import { CheckClient } from "./server.ts";

/** What the tests of one file need to run the command in processes of its own. */
export interface Serving {
  /** The command, built once. */
  readonly main: () => string;
  start(options?: Partial<ProgramOptions>): Promise<Program>;
  connect(address: string): CheckClient;
  /** Called when the test is over, latest first. */
  defer(close: () => unknown): void;
}

/** Sets it up for the file that calls this; everything is ended with the test that began it. */
export function useProgram(policy: string): Serving {
  let built: Awaited<ReturnType<typeof buildProgram>> | undefined;
  beforeAll(async () => {
    built = await buildProgram();
  });
  afterAll(() => built?.remove());
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  const main = (): string => built?.main ?? "";
  return {
    main,
    defer: (close) => void closing.push(close),
    async start(options = {}) {
      const program = await startProgram({ main: main(), policy, ...options });
      closing.push(() => program.remove());
      return program;
    },
    connect(address) {
      const client = new CheckClient(address);
      closing.push(() => client.close());
      return client;
    },
  };
}

/**
 * The value of one metric, by the beginning of its line. A connection may be a worker's that stands still, so each question
 * takes one of its own and is not waited for long.
 */
export async function metric({ diagnostics }: Program, name: string): Promise<number> {
  const signal = AbortSignal.timeout(5000);
  const text = await (
    await fetch(`http://${diagnostics}/metrics`, { headers: { connection: "close" }, signal })
  ).text();
  return Number(
    text
      .split("\n")
      .find((line) => line.startsWith(name))
      ?.slice(name.length) ?? Number.NaN,
  );
}

/** Processes of a program's workers. */
export async function workersOf({ process: { pid } }: Program): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text
    .trim()
    .split(" ")
    .filter((id) => id !== "")
    .map(Number);
}
