import type { PathNormalization } from "./settings.ts";

const UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

/**
 * What one pass of normalisation replaces: escapes of characters that need none (RFC 3986, 6.2.2.2), the backslash, and,
 * on demand, escaped slashes and backslashes.
 */
export function pathEscapes(normalization: PathNormalization): Readonly<Record<string, string>> {
  if (normalization === "NONE") return {};
  const table: Record<string, string> = { "\\": "/" };
  for (const character of UNRESERVED) for (const spelling of spellings(character)) table[spelling] = character;
  if (normalization === "DECODE_AND_MERGE_SLASHES")
    for (const character of "/\\") for (const spelling of spellings(character)) table[spelling] = "/";
  return table;
}

/** `%2e` and `%2E`. */
function spellings(character: string): readonly string[] {
  const code = character.charCodeAt(0).toString(16).padStart(2, "0");
  return [...new Set([`%${code}`, `%${code.toUpperCase()}`])];
}
