import { lowerAscii } from "./attributes.ts";
import { emptyTable } from "./table.ts";
import { hasTemplate, quotePattern, type TemplateReach, templatePattern } from "./templates.ts";

/** How a list of values is compared with a text, in the form the evaluator reads: any member that holds is enough. */
export interface TextMatch {
  /** Few texts, one of which it is. */
  readonly equal?: readonly string[];
  /** Many texts, one of which it is. */
  readonly exact?: Readonly<Record<string, true>>;
  readonly prefix?: readonly string[];
  readonly suffix?: readonly string[];
  readonly contains?: readonly string[];
  /** RE2 patterns, anchored. */
  readonly pattern?: readonly string[];
  /** Any text but the empty one. */
  readonly present?: true;
  /** Any text. */
  readonly exists?: true;
}

interface MatchParts {
  exact: string[];
  prefix: string[];
  suffix: string[];
  contains: string[];
  pattern: string[];
  present: boolean;
  exists: boolean;
}

function collect(values: readonly string[], add: (parts: MatchParts, value: string) => void): TextMatch {
  const parts: MatchParts = {
    exact: [],
    prefix: [],
    suffix: [],
    contains: [],
    pattern: [],
    present: false,
    exists: false,
  };
  for (const value of values) add(parts, value);
  const match: { -readonly [K in keyof TextMatch]: TextMatch[K] } = {};
  if (parts.exact.length > SMALL) match.exact = toSet(parts.exact);
  else if (parts.exact.length > 0) match.equal = parts.exact;
  if (parts.prefix.length > 0) match.prefix = parts.prefix;
  if (parts.suffix.length > 0) match.suffix = parts.suffix;
  if (parts.contains.length > 0) match.contains = parts.contains;
  if (parts.pattern.length > 0) match.pattern = parts.pattern;
  if (parts.present) match.present = true;
  if (parts.exists) match.exists = true;
  return match;
}

/** Up to here a list is compared one by one: an object of its own for every short list would cost more than it saves. */
const SMALL = 8;

function toSet(values: readonly string[]): Readonly<Record<string, true>> {
  const set = emptyTable<true>();
  for (const value of values) set[value] = true;
  return set;
}

function addPattern(parts: MatchParts, value: string): void {
  if (value.startsWith("*")) parts.suffix.push(value.slice(1));
  else if (value.endsWith("*")) parts.prefix.push(value.slice(0, -1));
  else parts.exact.push(value);
}

/** Presence, suffix, prefix or exact. `*` means: not empty. */
export function matchText(values: readonly string[]): TextMatch {
  return collect(values, (parts, value) => {
    if (value === "*") parts.present = true;
    else addPattern(parts, value);
  });
}

/** For headers and methods, `*` means: there is one, empty or not. */
export function matchHeader(values: readonly string[]): TextMatch {
  return collect(values, (parts, value) => {
    if (value === "*") parts.exists = true;
    else addPattern(parts, value);
  });
}

/** `:authority` is compared without regard to ASCII case: the evaluator lowers it, this lowers the values. */
export function matchHost(values: readonly string[]): TextMatch {
  return matchHeader(values.map(lowerAscii));
}

export function matchPath(values: readonly string[], reach: TemplateReach): TextMatch {
  return collect(values, (parts, value) => {
    if (hasTemplate(value)) parts.pattern.push(templatePattern(value, reach));
    else if (value === "*") parts.present = true;
    else addPattern(parts, value);
  });
}

const SPIFFE = "spiffe://";

/** Compared with the whole SPIFFE URI, which the values lack the scheme of. @source istio matcher.StringMatcherWithPrefix */
export function matchPrincipal(values: readonly string[]): TextMatch {
  return collect(values, (parts, value) => {
    if (value === "*") parts.present = true;
    else if (value.startsWith("*")) parts.pattern.push(`^${SPIFFE}.*${quotePattern(value.slice(1))}$`);
    else if (value.endsWith("*")) parts.prefix.push(`${SPIFFE}${value.slice(0, -1)}`);
    else parts.exact.push(`${SPIFFE}${value}`);
  });
}

/** `.*\/ns/<value>/.*` over the whole identity; `*` works anywhere in the value. */
export function matchNamespace(values: readonly string[]): TextMatch {
  return collect(values, (parts, value) => {
    if (value.includes("*")) parts.pattern.push(`^.*/ns/${value.split("*").map(quotePattern).join(".*")}/.*$`);
    else parts.contains.push(`/ns/${value}/`);
  });
}

/** `<namespace>/<name>`, or a name in the policy's own namespace. @source istio pilot/pkg/security/authz/model/generator.go serviceAccountRegex */
export function matchServiceAccount(values: readonly string[], policyNamespace: string): TextMatch {
  return collect(values, (parts, value) => {
    const [namespace, name] = splitServiceAccount(value, policyNamespace);
    parts.pattern.push(`^spiffe://.+/ns/${quotePattern(namespace)}/(.+/|)sa/${quotePattern(name)}(/.+)?$`);
  });
}

export function splitServiceAccount(value: string, policyNamespace: string): readonly [string, string] {
  const slash = value.indexOf("/");
  return slash === -1 ? [policyNamespace, value] : [value.slice(0, slash), value.slice(slash + 1)];
}

export function matchTrustDomain(values: readonly string[]): TextMatch {
  return collect(values, (parts, value) => {
    if (value === "*") parts.prefix.push(SPIFFE);
    else if (value.includes("*"))
      parts.pattern.push(`^${SPIFFE}${value.split("*").map(quotePattern).join("[^/]*")}/.*$`);
    else parts.prefix.push(`${SPIFFE}${value}/`);
  });
}

export interface TokenMatch {
  readonly iss: TextMatch;
  readonly sub: TextMatch;
}

/** A request principal is two claims, `iss` and `sub`, split at the last slash. @source istio pilot/pkg/security/authz/model/generator.go requestPrincipalGenerator */
export function matchToken(value: string): TokenMatch {
  const any: TextMatch = { present: true };
  const exactly = (text: string): TextMatch => ({ equal: [text] });
  if (value === "*") return { iss: any, sub: any };
  const slash = value.lastIndexOf("/");
  if (slash !== -1) {
    const issuer = value.slice(0, slash);
    const subject = value.slice(slash + 1);
    if (value.startsWith("*"))
      return { iss: issuer === "*" ? any : { suffix: [issuer.slice(1)] }, sub: exactly(subject) };
    if (value.endsWith("*"))
      return { iss: exactly(issuer), sub: subject === "*" ? any : { prefix: [subject.slice(0, -1)] } };
    return { iss: exactly(issuer), sub: exactly(subject) };
  }
  if (value.startsWith("*")) return { iss: any, sub: { suffix: [value.slice(1)] } };
  if (value.endsWith("*")) return { iss: { prefix: [value.slice(0, -1)] }, sub: any };
  return { iss: exactly(value), sub: exactly("") };
}

/** Metadata values come in two forms: `v` for a string, `[v]` for a member of a list. */
export function matchMetadata(values: readonly string[]): { readonly match: TextMatch; readonly list: TextMatch } {
  const isList = (value: string) => value.startsWith("[") && value.endsWith("]") && value.length > 1;
  return {
    match: matchText(values.filter((value) => !isList(value))),
    list: matchText(values.filter(isList).map((value) => value.slice(1, -1))),
  };
}
