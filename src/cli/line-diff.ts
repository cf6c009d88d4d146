/** Longer differences are shown as one replacement: comparing costs the product of the lengths. */
const MAX_CELLS = 4_000_000;

/** The lines of two texts: `-` only in the first, `+` only in the second, unmarked in both. */
export function lineDiff(before: string, after: string): string {
  const a = before.split("\n");
  const b = after.split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const lines = [
    ...a.slice(0, start).map((line) => ` ${line}`),
    ...changes(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...a.slice(a.length - end).map((line) => ` ${line}`),
  ];
  return `${lines.join("\n").trimEnd()}\n`;
}

function changes(a: readonly string[], b: readonly string[]): readonly string[] {
  const removed = a.map((line) => `-${line}`);
  const added = b.map((line) => `+${line}`);
  if (a.length * b.length > MAX_CELLS) return [...removed, ...added];
  const lengths = commonLengths(a, b);
  const lines: string[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      lines.push(` ${a[i]}`);
      i++;
      j++;
    } else if ((lengths[i + 1]?.[j] ?? 0) >= (lengths[i]?.[j + 1] ?? 0)) lines.push(removed[i++] as string);
    else lines.push(added[j++] as string);
  }
  return [...lines, ...removed.slice(i), ...added.slice(j)];
}

/** At [i][j]: how many lines the texts from i and j on have in common, in order. */
function commonLengths(a: readonly string[], b: readonly string[]): readonly Uint32Array[] {
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    const row = lengths[i] as Uint32Array;
    const next = lengths[i + 1] as Uint32Array;
    for (let j = b.length - 1; j >= 0; j--) {
      row[j] = a[i] === b[j] ? (next[j + 1] as number) + 1 : Math.max(next[j] as number, row[j + 1] as number);
    }
  }
  return lengths;
}
