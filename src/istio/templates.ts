/**
 * RFC 3986's pchar without `*`: what `{*}` matches up to Envoy 1.39. Envoy 1.40 has the `*` too.
 * @source Envoy source/extensions/path/uri_template_lib/uri_template_internal.cc
 */
const PCHAR = "a-zA-Z0-9\\-._~%!$&'()+,;:@=";
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
 * What operators of a template match: Envoy's characters, or more of them where a match counts against the request.
 * `narrow`: as the older Envoys; `stricter`: as the newer ones, for matches that restrict; `all`: any character.
 */
export type TemplateReach = "narrow" | "stricter" | "all";

/** The regular expression (RE2 and Go syntax) that a template stands for; it matches whole paths. */
export function templatePattern(path: string, reach: TemplateReach): string {
  const characters = reach === "narrow" ? PCHAR : `${PCHAR}*`;
  const [one, rest] = reach === "all" ? ["[^/]+", "(?s:.*)"] : [`[${characters}]+`, `[${characters}/]*`];
  const body = path
    .split("/")
    .map((segment) => (segment === "{*}" ? one : segment === "{**}" ? rest : quotePattern(segment)))
    .join("/");
  return `^${body}$`;
}

/** Go's regexp.QuoteMeta. */
export function quotePattern(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");
}
