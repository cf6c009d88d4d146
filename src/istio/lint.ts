import type { Location } from "../base/index.ts";
import type {
  AuthorizationPolicy,
  FieldValues,
  Meta,
  PolicyDocument,
  PolicyRule,
  RequestAuthentication,
} from "./policies.ts";
import { contradictions } from "./contradictions.ts";
import { hasTemplate } from "./templates.ts";

/** What Istio accepts and hardly anybody means. Each code with the reason, for `cardea check --explain` and the docs. */
export const ISTIO_LINTS = {
  quoted_name:
    "Quotes inside brackets are part of the name: no request has such a header or claim. `values` never match, `notValues` always hold.",
  spiffe_prefix:
    "Istio puts spiffe:// before the value itself, so one that has it never matches: an ALLOW admits nobody by it, a DENY stops nobody.",
  literal_star: "A * is a wildcard only as the first or last character. Anywhere else it is compared as a star.",
  missing_wildcard:
    "A path without wildcard is compared whole: one that ends in / matches that path alone, and nothing below it.",
  relative_path: "Request paths begin with /. A value that does not, and does not begin with *, never matches.",
  path_has_query: "Paths are compared without their query and fragment: a value with ? or # never matches.",
  template_gap:
    "{*} and {**} match the characters of RFC 3986 only. A path with another one slips past this DENY or exception.",
  lower_case_method: "Methods are compared as sent, and are sent in capitals: this one never matches.",
  host_without_port:
    "The host is compared with its port, and clients may add one: example.com:443 is not example.com. That slips past this DENY or exception.",
  request_principal_form:
    "A request principal is issuer/subject, split at the last slash. In this form one of the two halves is not what it looks like.",
  admits_anonymous:
    "Every `not…` condition holds where the attribute is missing: this admits callers without any identity.",
  claim_not_text: "Claims are compared as strings. A number or boolean in the token matches no value, not even *.",
  never_matches:
    "All that the values let in the not… values keep out: no request matches this rule, or this alternative of it.",
  denies_all_tcp:
    "On TCP ports the HTTP conditions of a DENY disappear: without ports this rule denies all TCP traffic to the workload.",
  wide_namespace:
    "The value is searched in the whole identity and the wildcard crosses slashes: it may match the service account as well.",
  peer_address:
    "This is the address of the direct peer. Behind a gateway or load balancer that is the proxy, not the client.",
  attribute_unavailable:
    "A proxy does not send this attribute to an external authorizer unless it is patched to. Missing, it matches nothing, and its negation always holds.",
  selector_needs_labels:
    "A proxy does not send the workload's labels unless it is patched to, and none are configured under cardea.mesh.workloads. Unknown labels match no ALLOW selector, and every DENY selector.",
  selects_everything: "An empty selector selects every workload of the namespace.",
  custom_ignored: "In the mesh a CUSTOM policy makes the proxy ask Cardea. Cardea itself does not decide by it.",
  token_not_required:
    "RequestAuthentication refuses bad tokens only. Without an AuthorizationPolicy on request principals or claims, a request without any token passes.",
  insecure_keys: "Keys fetched without TLS can be replaced on the way, and with them every token.",
  private_key: "The key set has private key material. Verifying tokens needs the public half only.",
} as const;
export type IstioLintCode = keyof typeof ISTIO_LINTS;

export interface IstioLint {
  readonly code: IstioLintCode;
  /** `warning`: it does not do what it seems to. `note`: know this. */
  readonly severity: "warning" | "note";
  /** `AuthorizationPolicy prod/api` */
  readonly policy: string;
  readonly message: string;
  /** What to write instead. */
  readonly mend: string;
  readonly at: Location;
}

const NOTES: ReadonlySet<IstioLintCode> = new Set([
  "custom_ignored",
  "attribute_unavailable",
  "selector_needs_labels",
  "selects_everything",
  "template_gap",
]);

export interface LintOptions {
  /** The proxies send labels, or they are configured. */
  readonly knowsLabels?: boolean;
  /** Its policies are for every namespace. Default `istio-system`. */
  readonly rootNamespace?: string;
}

/** Looks for what is legal and probably wrong, in the order of the files. */
export function lintPolicies(documents: readonly PolicyDocument[], options: LintOptions = {}): readonly IstioLint[] {
  const findings: IstioLint[] = [];
  const asksForTokens = new Set(documents.flatMap((document) => (requiresToken(document) ? [document.namespace] : [])));
  for (const document of documents) {
    const report: Report = (code, span, message, mend) => {
      const { kind, namespace, name, places } = document;
      const severity = NOTES.has(code) ? "note" : "warning";
      findings.push({ code, severity, policy: `${kind} ${namespace}/${name}`, message, mend, at: places.at(span) });
    };
    if (document.kind === "AuthorizationPolicy") lintAuthorization(document, report, options);
    if (document.kind === "RequestAuthentication") {
      lintAuthentication(
        document,
        report,
        asksForTokens.has(document.namespace) || asksForTokens.has(options.rootNamespace ?? "istio-system"),
      );
    }
  }
  return findings;
}

type Span = { readonly start: number; readonly end: number };
type Report = (code: IstioLintCode, span: Span, message: string, mend: string) => void;

function lintAuthorization(policy: AuthorizationPolicy, report: Report, { knowsLabels = false }: LintOptions): void {
  const { attachment, action, provider } = policy;
  if (action === "CUSTOM") {
    report("custom_ignored", policy, `calls the provider ${provider}`, "nothing to do: keep it in the mesh");
    return;
  }
  if (attachment.targetRefs.length === 0 && attachment.start !== policy.start && attachment.selector.size === 0) {
    report("selects_everything", attachment, "selects all workloads", "leave the selector out, or name labels");
  }
  if (attachment.selector.size > 0 && !knowsLabels) {
    report(
      "selector_needs_labels",
      attachment,
      "selects by labels",
      "configure cardea.mesh.workloads, or have the proxy send destination.labels",
    );
  }
  for (const rule of policy.rules) lintRule(policy, rule, report);
}

function lintRule(policy: AuthorizationPolicy, rule: PolicyRule, report: Report): void {
  const lists = [...rule.from.flat(), ...rule.to.flat(), ...rule.when];
  for (const list of lists) {
    lintName(list, report);
    for (const value of list.values) lintValue(policy, list, value, report);
  }
  lintContradictions(rule, report);
  if (policy.action === "ALLOW") lintAnonymous(rule, report);
  if (policy.action === "DENY" && lists.length > 0 && lists.every(isHttp)) {
    report(
      "denies_all_tcp",
      rule,
      "has HTTP conditions only",
      "add ports to the operation, or know that the workload speaks HTTP only",
    );
  }
}

function lintContradictions({ from, to, when }: PolicyRule, report: Report): void {
  const seen = new Set<FieldValues>();
  for (const alternative of [when, ...from, ...to]) {
    const lists = alternative === when ? when : [...alternative, ...when];
    for (const { wanted, excluding } of contradictions(lists)) {
      if (seen.has(excluding)) continue;
      seen.add(excluding);
      report("never_matches", excluding, `${wanted.name}: every value is excluded again`, "leave out one of the two");
    }
  }
}

function isHttp({ attribute: { kind } }: FieldValues): boolean {
  return (
    kind === "header" ||
    kind === "claim" ||
    kind === "requestPrincipal" ||
    kind === "host" ||
    kind === "method" ||
    kind === "path"
  );
}

function lintName({ attribute, name, negated, start, end }: FieldValues, report: Report): void {
  const names = attribute.kind === "header" ? [attribute.name] : attribute.kind === "claim" ? attribute.path : [];
  if (names.some((part) => /^["'].*["']$|^\s|\s$/.test(part))) {
    const mended = name.replace(/\[\s*["']?\s*(.*?)\s*["']?\s*\]/g, "[$1]");
    const effect = negated ? "its notValues always hold" : "its values never match";
    report("quoted_name", { start, end }, `${name}: ${effect}`, `key: ${mended}`);
  }
  if (attribute.kind === "sni" || attribute.kind === "metadata") {
    report(
      "attribute_unavailable",
      { start, end },
      `${name} is not in what the proxy sends`,
      attribute.kind === "sni"
        ? "set include_tls_session in the proxy's filter"
        : "set metadata_context_namespaces in the proxy's filter",
    );
  }
}

function lintValue(
  policy: AuthorizationPolicy,
  list: FieldValues,
  value: { readonly text: string } & Span,
  report: Report,
): void {
  const { text } = value;
  const shown = JSON.stringify(text);
  const { attribute, negated } = list;
  const loosens = (policy.action === "DENY") !== negated; // a miss lets the request through
  if (hasInnerStar(list, text)) {
    const mend =
      attribute.kind === "path"
        ? `"${text.replace(/(?<=\/)\*\*?(?=\/|$)/g, (star) => `{${star}}`)}"`
        : "list the values, or use one * at an end";
    report("literal_star", value, `${shown} is compared with its star`, mend);
  }
  switch (attribute.kind) {
    case "principal":
      if (text.startsWith("spiffe://"))
        report("spiffe_prefix", value, `${shown} never matches`, JSON.stringify(text.slice("spiffe://".length)));
      return;
    case "namespace":
      if (text.length > 1 && text.startsWith("*"))
        report("wide_namespace", value, `${shown} matches more than namespaces`, "write the namespaces out");
      return;
    case "requestPrincipal":
      lintRequestPrincipal(value, report);
      return;
    case "path":
      lintPath(value, loosens, report);
      return;
    case "host":
      if (
        loosens &&
        !/[:*]/.test(text) &&
        !list.values.some((other) => other.text.toLowerCase() === `${text.toLowerCase()}:*`)
      ) {
        report("host_without_port", value, `${shown} misses ${text}:443`, `${shown}, "${text}:*"`);
      }
      return;
    case "method":
      if (text !== text.toUpperCase())
        report("lower_case_method", value, `${shown} never matches`, JSON.stringify(text.toUpperCase()));
      return;
    case "claim":
      if (/^(?:true|false|-?[0-9]+(?:\.[0-9]+)?)$/.test(text))
        report(
          "claim_not_text",
          value,
          `${shown} matches the text only`,
          "have the issuer write the claim as a string",
        );
      return;
    case "sourceIp":
      if (isPublicAddress(text))
        report(
          "peer_address",
          value,
          `${shown} is compared with the direct peer`,
          list.name === "source.ip" ? "key: remote.ip" : negated ? "notRemoteIpBlocks" : "remoteIpBlocks",
        );
      return;
    default:
      return;
  }
}

/** A star that looks like a wildcard and is none. */
function hasInnerStar({ attribute: { kind } }: FieldValues, text: string): boolean {
  if (
    kind === "namespace" ||
    kind === "trustDomain" ||
    kind === "sourceIp" ||
    kind === "remoteIp" ||
    kind === "destinationIp"
  )
    return false;
  if (kind === "path" && hasTemplate(text)) return false;
  if (kind === "requestPrincipal") return false;
  const inner = text.startsWith("*") ? text.slice(1) : text.endsWith("*") ? text.slice(0, -1) : text;
  return inner.includes("*");
}

function lintRequestPrincipal(value: { readonly text: string } & Span, report: Report): void {
  const { text } = value;
  const shown = JSON.stringify(text);
  if (text === "*") return;
  if (text === "*/*") report("request_principal_form", value, `${shown} matches the subject "*" only`, '"*"');
  else if (!text.includes("/") && !text.startsWith("*")) {
    report("request_principal_form", value, `${shown} needs an empty subject`, `"${text.replace(/\*$/, "")}/*"`);
  } else if (/^https?:\/\/[^/]*\*$/.test(text)) {
    report("request_principal_form", value, `${shown} is split inside the issuer's URL`, `"${text.slice(0, -1)}/*"`);
  }
}

function lintPath(value: { readonly text: string } & Span, loosens: boolean, report: Report): void {
  const { text } = value;
  const shown = JSON.stringify(text);
  if (!text.startsWith("/") && !text.startsWith("*"))
    report("relative_path", value, `${shown} never matches`, `"/${text}"`);
  if (/[?#]/.test(text)) report("path_has_query", value, `${shown} never matches`, `"${text.replace(/[?#].*$/, "")}"`);
  if (hasTemplate(text)) {
    if (loosens)
      report(
        "template_gap",
        value,
        `${shown} misses unusual characters`,
        "use a prefix, or set cardea.mesh.wide_templates",
      );
  } else if (text.length > 1 && text.endsWith("/") && !text.startsWith("*")) {
    report("missing_wildcard", value, `${shown} matches nothing below it`, `"${text}*"`);
  }
}

/** Does the rule hold for a caller about whom nothing is known, although it talks of identity? */
function lintAnonymous(rule: PolicyRule, report: Report): void {
  const isIdentity = ({ attribute: { kind } }: FieldValues) =>
    kind === "principal" ||
    kind === "namespace" ||
    kind === "serviceAccount" ||
    kind === "trustDomain" ||
    kind === "requestPrincipal" ||
    kind === "claim";
  const conditions = rule.when.filter(isIdentity);
  if (conditions.some(({ negated }) => !negated)) return;
  const sources = rule.from.length === 0 ? [[]] : rule.from;
  for (const source of sources) {
    const identities = [...source.filter(isIdentity), ...conditions];
    const [first] = identities;
    if (first === undefined || identities.some(({ negated }) => !negated)) continue;
    const isToken = first.attribute.kind === "requestPrincipal" || first.attribute.kind === "claim";
    const positive = isToken ? 'requestPrincipals: ["*"]' : 'principals: ["*"]';
    const name = rule.when.includes(first)
      ? `notValues of ${first.name}`
      : `not${first.name.charAt(0).toUpperCase()}${first.name.slice(1)}`;
    report("admits_anonymous", first, `${name} stands alone`, `add ${positive} to the source`);
  }
}

const PRIVATE =
  /^(?:10\.|127\.|169\.254\.|192\.168\.|172\.(?:1[6-9]|2[0-9]|3[01])\.|100\.(?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.|0\.0\.0\.0|::|f[cd]|fe[89ab])/i;

function isPublicAddress(text: string): boolean {
  return !PRIVATE.test(text);
}

function requiresToken(document: PolicyDocument): boolean {
  if (document.kind !== "AuthorizationPolicy") return false;
  return document.rules.some(({ from, when }) =>
    [...from.flat(), ...when].some(({ attribute: { kind } }) => kind === "requestPrincipal" || kind === "claim"),
  );
}

function lintAuthentication(document: RequestAuthentication, report: Report, isAskedFor: boolean): void {
  const whole: Meta = document;
  if (document.jwtRules.length > 0 && !isAskedFor) {
    report(
      "token_not_required",
      whole,
      "no policy here asks for a token",
      'DENY from source notRequestPrincipals: ["*"]',
    );
  }
  for (const rule of document.jwtRules) {
    if (rule.jwksUri.startsWith("http:"))
      report("insecure_keys", whole, rule.jwksUri, `https${rule.jwksUri.slice("http".length)}`);
    if (rule.jwks !== "" && hasPrivateKey(rule.jwks))
      report("private_key", whole, `the keys of ${rule.issuer}`, "remove d, p, q, dp, dq, qi and k from the keys");
  }
}

function hasPrivateKey(jwks: string): boolean {
  const parsed = JSON.parse(jwks) as { keys?: unknown };
  const keys = Array.isArray(parsed.keys) ? (parsed.keys as unknown[]) : [parsed];
  return keys.some((key) => typeof key === "object" && key !== null && Object.hasOwn(key, "d"));
}
