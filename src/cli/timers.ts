/** How long the steps of a command took, under OPA's names. */
export class Timers {
  readonly #nanoseconds = new Map<string, number>();

  /** @param startedMs `performance.now()` at the step's start. */
  add(name: string, startedMs: number): void {
    const took = Math.round((performance.now() - startedMs) * 1e6);
    this.#nanoseconds.set(name, (this.#nanoseconds.get(name) ?? 0) + took);
  }

  /** `timer_<name>_ns`, in the order of the names. */
  all(): Readonly<Record<string, number>> {
    const entries = [...this.#nanoseconds].map(([name, value]) => [`timer_${name}_ns`, value] as const);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/** Smallest, largest, mean, and the 90th and 99th percentile, as OPA's `metrics.Statistics`. */
export function statistics(samples: readonly number[]): Readonly<Record<string, number>> {
  const ordered = [...samples].sort((a, b) => a - b);
  const quantile = (q: number): number => {
    const position = q * (ordered.length + 1);
    const below = Math.floor(position);
    if (below < 1) return ordered[0] ?? 0;
    if (below >= ordered.length) return ordered.at(-1) ?? 0;
    const low = ordered[below - 1] as number;
    return low + (position - below) * ((ordered[below] as number) - low);
  };
  return {
    "90%": quantile(0.9),
    "99%": quantile(0.99),
    max: ordered.at(-1) ?? 0,
    mean: ordered.reduce((sum, sample) => sum + sample, 0) / Math.max(1, ordered.length),
    min: ordered[0] ?? 0,
  };
}
