import { splitServiceAccount } from "./matchers.ts";
import type { FieldValues, RuleForm } from "./policies.ts";
import { hasTemplate } from "./templates.ts";
import { type Attribute, lowerAscii } from "./attributes.ts";
import { expandPrincipals } from "./trust-domain.ts";

/** More alternatives than this are cheaper to test than to file. */
const MAX_ANCHORS = 256;

/** Names that JSON encoders all write the same way, and that cannot be taken for an anchor's punctuation. */
const PLAIN_NAME = /^[A-Za-z0-9_:/.@-]+$/;

/**
 * The dimensions a rule can be filed by: for each, keys of which a request must have at least one if the rule is to
 * match it. The evaluator computes the same keys from the request (`anchors`).
 */
export function anchorsOf(
  { from, to, when }: RuleForm,
  namespace: string,
  bundle: readonly string[],
): readonly (readonly string[])[] {
  const dimensions: (readonly string[])[] = [];
  for (const alternatives of [from, to]) {
    // Every alternative must be anchored in the dimension, or some request would be missed.
    const [first, ...others] = alternatives;
    for (const list of first ?? []) {
      const anchors = anchorsOfList(list, namespace, bundle);
      if (anchors === undefined) continue;
      const all = [...anchors];
      const isCommon = others.every((alternative) => {
        const twin = alternative.find((other) => other.attribute.kind === list.attribute.kind && !other.negated);
        const more = twin === undefined ? undefined : anchorsOfList(twin, namespace, bundle);
        for (const anchor of more ?? []) if (!all.includes(anchor)) all.push(anchor);
        return more !== undefined && all.length <= MAX_ANCHORS;
      });
      if (isCommon && all.length <= MAX_ANCHORS) dimensions.push(all);
    }
  }
  for (const list of when) {
    const anchors = anchorsOfList(list, namespace, bundle);
    if (anchors !== undefined && anchors.length <= MAX_ANCHORS) dimensions.push(anchors);
  }
  return dimensions;
}

function anchorsOfList(
  { attribute, values, negated }: FieldValues,
  namespace: string,
  bundle: readonly string[],
): readonly string[] | undefined {
  if (negated) return undefined;
  const anchors: string[] = [];
  for (const { text } of values) {
    const found = anchorsOfValue(attribute, text, namespace, bundle);
    if (found === undefined) return undefined;
    for (const anchor of found) if (!anchors.includes(anchor)) anchors.push(anchor);
    if (anchors.length > MAX_ANCHORS) return undefined;
  }
  return anchors;
}

function anchorsOfValue(
  attribute: Attribute,
  text: string,
  namespace: string,
  bundle: readonly string[],
): readonly string[] | undefined {
  const isExact = !text.startsWith("*") && !text.endsWith("*");
  switch (attribute.kind) {
    case "principal": {
      const all = expandPrincipals([text], bundle);
      return all.every((value) => !value.startsWith("*") && !value.endsWith("*"))
        ? all.map((value) => `principal:spiffe://${value}`)
        : undefined;
    }
    case "namespace":
      return text.includes("*") || text.includes("/") ? undefined : [`ns:${text}`];
    case "serviceAccount":
      return [`sa:${splitServiceAccount(text, namespace)[1]}`];
    case "host":
      return isExact ? [`host:${lowerAscii(text)}`] : undefined;
    case "path":
      return pathAnchor(text);
    case "requestPrincipal":
      return isExact && text.includes("/") ? [`rp:${text}`] : undefined;
    case "header":
      return isExact && PLAIN_NAME.test(attribute.name)
        ? [`header:${attribute.name === "host" ? ":authority" : attribute.name}=${text}`]
        : undefined;
    case "claim":
      return isExact && attribute.path.every((name) => PLAIN_NAME.test(name))
        ? [`claim:${JSON.stringify(attribute.path)}=${text}`]
        : undefined;
    default:
      return undefined;
  }
}

/** Exact paths by themselves; prefixes and templates by their first segment, if that is whole and literal. */
function pathAnchor(text: string): readonly string[] | undefined {
  const isTemplate = hasTemplate(text);
  if (!isTemplate && !text.startsWith("*") && !text.endsWith("*")) return [`path:${text}`];
  const segment = /^\/[^/*{}]*\//.exec(text);
  return segment === null ? undefined : [`dir:${segment[0]}`];
}
