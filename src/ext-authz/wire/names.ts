const SLOTS = 1024;
/** Longer names are rarely seen twice. */
const MAX_BYTES = 64;

const slots: (string | undefined)[] = new Array<string | undefined>(SLOTS).fill(undefined);

/**
 * ASCII bytes as a string, the same string each time while it stays in its slot. Header names recur with every request, and
 * an engine that has to make a property name of a new string each time spends more on that than on all other decoding.
 *
 * @returns undefined for what is not ASCII, empty or long.
 */
export function knownName(bytes: Buffer, start: number, end: number): string | undefined {
  const length = end - start;
  if (length === 0 || length > MAX_BYTES) return undefined;
  let hash = length;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte >= 0x80) return undefined;
    hash = (Math.imul(hash, 31) + byte) | 0;
  }
  const slot = (hash ^ (hash >>> 10)) & (SLOTS - 1);
  const known = slots[slot];
  if (known !== undefined && known.length === length && spells(known, bytes, start)) return known;
  const name = bytes.toString("latin1", start, end);
  slots[slot] = name;
  return name;
}

function spells(name: string, bytes: Buffer, start: number): boolean {
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}
