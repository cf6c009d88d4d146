/** Nanoseconds per call: the median of the batches, and their spread. */
export interface Timing {
  readonly medianNs: number;
  readonly minNs: number;
  readonly maxNs: number;
  readonly batches: number;
}

/** Times a function in batches long enough for the clock, after a warm-up long enough for the optimiser. */
export function measure(run: () => unknown, { batches = 11, batchMs = 30, warmUpMs = 300 } = {}): Timing {
  let calls = 0;
  const warmUpEnd = performance.now() + warmUpMs;
  const warmUpStart = performance.now();
  while (performance.now() < warmUpEnd) {
    run();
    calls++;
  }
  const perCallMs = (performance.now() - warmUpStart) / calls;
  const perBatch = Math.max(1, Math.round(batchMs / perCallMs));
  const times: number[] = [];
  for (let i = 0; i < batches; i++) {
    const start = process.hrtime.bigint();
    for (let j = 0; j < perBatch; j++) run();
    times.push(Number(process.hrtime.bigint() - start) / perBatch);
  }
  times.sort((a, b) => a - b);
  return {
    medianNs: times[times.length >> 1] as number,
    minNs: times[0] as number,
    maxNs: times[times.length - 1] as number,
    batches,
  };
}

export function formatNs(ns: number): string {
  if (ns < 10_000) return `${ns.toFixed(0)} ns`;
  return ns < 10_000_000 ? `${(ns / 1000).toFixed(1)} µs` : `${(ns / 1e6).toFixed(1)} ms`;
}

/** One figure of several rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** By round. */
  readonly values: readonly number[];
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    median: sorted[sorted.length >> 1] as number,
    min: sorted[0] as number,
    max: sorted.at(-1) as number,
    values,
  };
}

/** `0.52 (0.49 to 0.55)` */
export function formatSpread({ median, min, max }: Spread, digits = 0, unit = ""): string {
  return `${median.toFixed(digits)}${unit} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}
