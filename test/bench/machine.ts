import { readFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";

/** Where and under what load figures were taken. */
export function machine(): Readonly<Record<string, unknown>> {
  return {
    processor: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    loadAverage: loadavg()[0],
    /** Share of time this virtual machine wanted a processor and got none, since it started. */
    stolen: stolenShare(),
  };
}

export function machineLine(): string {
  const { processor, cores, memoryGiB, node, loadAverage } = machine();
  return `${processor}, ${cores} cores, ${memoryGiB} GiB, Node ${node}, load ${Number(loadAverage).toFixed(1)}`;
}

function stolenShare(): number | undefined {
  try {
    const [, ...times] = (readFileSync("/proc/stat", "utf8").split("\n")[0] as string).split(/\s+/).map(Number);
    return (times[7] as number) / times.slice(0, 8).reduce((sum, time) => sum + time, 0);
  } catch {
    return undefined;
  }
}
