import type { LineWriter } from "../../src/telemetry/index.ts";

/** A writer that hands over each line at once. */
export function lineWriter(take: (line: string) => void): LineWriter {
  return {
    write: (line) => take(typeof line === "string" ? line : line()),
    flush: async () => undefined,
    flushSync: () => undefined,
    dropped: 0,
  };
}
