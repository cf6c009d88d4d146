const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
  ["us", 1e-3],
  ["µs", 1e-3],
  ["ns", 1e-6],
]);

/** A Go duration (`1m30s`, `500ms`) in milliseconds; undefined where it is none. */
export function parseDuration(text: string): number | undefined {
  if (!/^(?:[0-9]+(?:\.[0-9]*)?(?:h|ms|m|s|us|µs|ns))+$/.test(text) || text.length > 40) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9]+(?:\.[0-9]*)?)(h|ms|m|s|us|µs|ns)/g)) {
    total += Number(amount) * (UNITS_MS.get(unit as string) as number);
  }
  return total;
}
