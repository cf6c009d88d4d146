/**
 * Go's filepath.Match: `*` and `?` stop at `/`, `[a-z]` and `[^a]` are classes, `\` quotes. A malformed pattern matches
 * nothing, which is what OPA's `--ignore` makes of it.
 */
export function matchesGlob(pattern: string, name: string): boolean {
  const source = toRegExpSource(pattern);
  return source !== undefined && new RegExp(`^${source}$`, "su").test(name);
}

/** Every construct becomes a single-character step or `[^/]*`, so matching cannot blow up on a few stars. */
function toRegExpSource(pattern: string): string | undefined {
  let out = "";
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i] as string;
    if (char === "*") {
      while (pattern[i + 1] === "*") i++;
      out += "[^/]*";
    } else if (char === "?") out += "[^/]";
    else if (char === "\\") {
      i++;
      if (i >= pattern.length) return undefined;
      out += quote(pattern[i] as string);
    } else if (char === "[") {
      const end = pattern.indexOf("]", pattern[i + 1] === "^" ? i + 3 : i + 2);
      if (end === -1) return undefined;
      const negated = pattern[i + 1] === "^";
      const body = pattern.slice(negated ? i + 2 : i + 1, end).replace(/[[\]^&|~]/g, "\\$&");
      out += `[${negated ? "^" : ""}${body}]`;
      i = end;
    } else out += quote(char);
  }
  return out;
}

function quote(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
