/** The text without the characters of `set` at its end. Linear, which a regular expression would not be. */
export function trimEnd(text: string, set: string): string {
  let end = text.length;
  while (end > 0 && set.includes(text[end - 1] as string)) end--;
  return text.slice(0, end);
}

/** The text without the characters of `set` at both ends. */
export function trimBoth(text: string, set: string): string {
  let start = 0;
  while (start < text.length && set.includes(text[start] as string)) start++;
  return trimEnd(text.slice(start), set);
}
