/** Values nested deeper than this are walked with a stack of our own; up to it recursion is faster. */
export const MAX_RECURSION = 200;

/** How a composite value is written. */
export interface Parts<V> {
  readonly open: string;
  readonly close: string;
  readonly separator: string;
  /** Objects: what stands between key and value; `items` are keys and values in turn. */
  readonly colon?: string;
  readonly items: readonly V[];
}

/**
 * Writes a value of any depth without using the call stack.
 * @param parts undefined for scalars
 * @param scalar the text of those
 */
export function printDeep<V>(root: V, parts: (value: V) => Parts<V> | undefined, scalar: (value: V) => string): string {
  let out = "";
  const open: { readonly parts: Parts<V>; next: number }[] = [];
  const start = (value: V): void => {
    const composite = parts(value);
    if (composite === undefined) out += scalar(value);
    else {
      out += composite.open;
      open.push({ parts: composite, next: 0 });
    }
  };
  start(root);
  for (let frame = open.at(-1); frame !== undefined; frame = open.at(-1)) {
    const { items, separator, colon, close } = frame.parts;
    if (frame.next === items.length) {
      out += close;
      open.pop();
      continue;
    }
    if (frame.next > 0) out += colon !== undefined && frame.next % 2 === 1 ? colon : separator;
    start(items[frame.next++] as V);
  }
  return out;
}
