import type { Diagnostic } from "./ast.ts";

/**
 * The two lines under a parse error: the source line without its leading tabs, and a caret below the place. As OPA does,
 * the caret counts bytes, and an error at white space points at the character before it. In JSON the line has its tabs.
 */
export function caretDetails(text: string, offset: number): Required<Pick<Diagnostic, "details" | "structure">> {
  let at = Math.max(0, Math.min(offset, text.length - 1));
  while (at > 0 && /\s/.test(text[at] as string)) at--;
  let begin = at;
  while (begin > 0 && !isLineEnd(text[begin])) begin--;
  if (isLineEnd(text[begin])) begin++;
  let end = at;
  while (end < text.length && !isLineEnd(text[end])) end++;
  begin = Math.min(begin, end);
  const line = text.slice(begin, end);
  const shown = line.replace(/^\t+/, "");
  const idx = utf8Length(line.slice(0, Math.max(0, at - begin)));
  const indent = idx - (line.length - shown.length);
  return { details: [shown, `${" ".repeat(Math.max(0, indent))}^`], structure: { line, idx } };
}

function isLineEnd(char: string | undefined): boolean {
  return char === "\n" || char === "\r";
}

function utf8Length(text: string): number {
  let length = 0;
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    length += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return length;
}
