import type { JsonObject, Value } from "../rego/value/index.ts";
import { toCidr } from "./addresses.ts";
import {
  matchHeader,
  matchHost,
  matchMetadata,
  matchNamespace,
  matchPath,
  matchPrincipal,
  matchServiceAccount,
  matchText,
  matchToken,
  matchTrustDomain,
  type TextMatch,
} from "./matchers.ts";
import type { AuthorizationPolicy, FieldValues } from "./policies.ts";
import type { MeshSettings } from "./settings.ts";
import { expandPrincipals, expandTrustDomains } from "./trust-domain.ts";

/** A condition as the evaluator reads it. `field` and `line` are for explanations. */
type Condition = { [key: string]: Value };

export function lowerCondition(policy: AuthorizationPolicy, list: FieldValues, mesh: MeshSettings): JsonObject {
  const condition = lowerValues(policy, list, mesh);
  condition.field = list.name;
  condition.line = policy.places.row(list.start);
  if (list.negated) condition.negated = true;
  if (isGuard(policy, list.negated)) {
    condition.restricts = true;
    if (list.values.some(({ text }) => isOutOfReach(list.attribute.kind, text, mesh))) condition.literal = true;
  }
  return condition;
}

/** No normalised request has such a host or path: a policy that forbids it would forbid nothing. */
function isOutOfReach(kind: FieldValues["attribute"]["kind"], text: string, mesh: MeshSettings): boolean {
  if (kind === "host") return mesh.normalizeHosts && /:|\.$/.test(text);
  return kind === "path" && mesh.pathNormalization !== "NONE" && /[%\\;]|\/\/|\/\.{1,2}(?:\/|$)/.test(text);
}

/** Does a match of the condition's values count against the request? */
function isGuard({ action }: AuthorizationPolicy, negated: boolean): boolean {
  return (action === "DENY" || action === "AUDIT") !== negated;
}

function text(attribute: string, match: TextMatch): Condition {
  return { kind: "text", attribute, match: match as unknown as JsonObject };
}

function lowerValues(
  policy: AuthorizationPolicy,
  { attribute, values, negated }: FieldValues,
  mesh: MeshSettings,
): Condition {
  const texts = values.map((value) => value.text);
  const bundle = [mesh.trustDomain, ...mesh.trustDomainAliases];
  switch (attribute.kind) {
    case "principal":
      return text("principal", matchPrincipal(expandPrincipals(texts, bundle)));
    case "namespace":
      return mesh.strictSpiffe ? text("spiffe_namespace", matchText(texts)) : text("principal", matchNamespace(texts));
    case "serviceAccount":
      return text("principal", matchServiceAccount(texts, policy.namespace));
    case "trustDomain":
      return text("principal", matchTrustDomain(expandTrustDomains(texts, bundle)));
    case "requestPrincipal":
      return { kind: "token", pairs: texts.map(matchToken) as unknown as Value[] };
    case "sourceIp":
    case "remoteIp":
    case "destinationIp":
      return { kind: "ip", attribute: attribute.kind, blocks: texts.flatMap((block) => toCidr(block) ?? []) };
    case "port":
      return text("port", matchText(texts.map((port) => String(Number(port)))));
    case "sni":
      return text("sni", matchText(texts));
    case "host":
      return text("host", matchHost(texts));
    case "method":
      return text("method", matchHeader(texts));
    case "path":
      return text(
        "path",
        matchPath(texts, !isGuard(policy, negated) ? "narrow" : mesh.wideTemplates ? "all" : "stricter"),
      );
    case "header":
      return { ...text("header", matchHeader(texts)), name: headerName(attribute.name) };
    case "claim":
      return { ...text("claim", matchText(texts)), path: attribute.path };
    case "metadata": {
      const { match, list } = matchMetadata(texts);
      const { namespace, key } = attribute;
      return { ...text("metadata", match), kind: "metadata", namespace, key, list: list as unknown as JsonObject };
    }
    case "schedule":
      return { kind: "schedule", names: texts };
    case "rateLimit":
      return { kind: "limit", names: texts };
    default:
      return attribute satisfies never;
  }
}

/** Envoy keeps `host` as `:authority`. @source Envoy header_map_impl.cc */
export function headerName(name: string): string {
  return name === "host" ? ":authority" : name;
}
