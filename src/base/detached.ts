/** V8 copies pieces shorter than this instead of referring to the whole. */
const MIN_SLICE = 13;

/**
 * The same text in memory of its own. A piece of a long string keeps all of it alive, and the strings of a request are pieces
 * of its message: what is remembered beyond the request must not be one, or a few names would hold megabytes.
 */
export function detached(text: string): string {
  return text.length < MIN_SLICE ? text : (JSON.parse(JSON.stringify(text)) as string);
}
