import type { ServerFigure } from "./server.ts";
import { formatSpread } from "./timing.ts";

/** A table in Markdown, for the terminal and docs/performance.md alike: the median of the rounds, and their spread. */
export function serverTable(figures: readonly ServerFigure[]): string {
  const rows = figures.flatMap(({ name, loads }) =>
    loads.map(({ rate, perSecond, p50Us, p99Us, p999Us, failed }) => [
      name,
      rate === undefined ? "full speed" : `${rate}/s`,
      formatSpread(perSecond),
      ...[p50Us, p99Us, p999Us].map((us) => milliseconds(us)),
      String(failed),
    ]),
  );
  const processes = figures.map(({ name, cpuMsPerThousand, rssMiB, readyMs }) => [
    name,
    formatSpread(cpuMsPerThousand),
    rssMiB.toFixed(0),
    formatSpread(readyMs),
  ]);
  return [
    table(["server", "load", "checks/s", "p50 ms", "p99 ms", "p99.9 ms", "failed"], rows),
    table(["server", "µs of processor per check", "RSS MiB", "ready in ms"], processes),
  ].join("\n\n");
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

function milliseconds({ median, min, max }: ServerFigure["loads"][number]["p50Us"]): string {
  return formatSpread({ median: median / 1000, min: min / 1000, max: max / 1000, values: [] }, 2);
}
