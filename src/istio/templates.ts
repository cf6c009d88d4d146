/** One segment of RFC 3986's pchar without `*`: what Envoy's URI template lets `{*}` match. @source Envoy uri_template_internal.cc */
const SEGMENT = "[a-zA-Z0-9\\-._~%!$&'()+,;:@=]";
const LITERAL = /^[a-zA-Z0-9\-._~%!$&'()+,;:@=]*$/;

/** A path value with one of the operators is a template as a whole. */
export function hasTemplate(path: string): boolean {
  return path.includes("{*}") || path.includes("{**}");
}

/** Why Istio's validation refuses a path with braces; undefined where it is a template. @source istio pkg/config/security/security.go */
export function templateProblem(path: string): string | undefined {
  const shown = JSON.stringify(path);
  let seenTail = false;
  for (const segment of path.split("/")) {
    if (segment === "{*}" || segment === "{**}") {
      if (seenTail) return `${shown}: no operator may follow {**}`;
      seenTail = segment === "{**}";
    } else if (/[{}]/.test(segment)) {
      return `${shown}: braces are only allowed as a whole segment, {*} or {**}`;
    } else if (!LITERAL.test(segment)) {
      return `${shown}: the segment ${JSON.stringify(segment)} of a path template has characters that no path has`;
    }
  }
  return undefined;
}

/**
 * The regular expression (RE2 and Go syntax) that a template stands for; it matches whole paths.
 * @param isWide operators match every character (but the slash, for `{*}`), not only those of RFC 3986
 */
export function templatePattern(path: string, isWide: boolean): string {
  const body = path
    .split("/")
    .map((segment) => {
      if (segment === "{*}") return isWide ? "[^/]+" : `${SEGMENT}+`;
      if (segment === "{**}") return isWide ? "(?s:.*)" : `[a-zA-Z0-9\\-._~%!$&'()+,;:@=/]*`;
      return quotePattern(segment);
    })
    .join("/");
  return `^${body}$`;
}

/** Go's regexp.QuoteMeta. */
export function quotePattern(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");
}
