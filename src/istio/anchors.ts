import { splitServiceAccount } from "./matchers.ts";
import type { FieldValues, RuleForm } from "./policies.ts";
import { hasTemplate } from "./templates.ts";
import { lowerAscii } from "./attributes.ts";
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
  const dimensions: string[][] = [];
  for (const alternatives of [from, to]) {
    if (alternatives.length === 0) continue;
    for (const kind of ["principal", "host", "path", "serviceAccount", "namespace", "requestPrincipal"] as const) {
      // Every alternative must be anchored in the dimension, or some request would be missed.
      const anchors = alternatives.map((alternative) =>
        firstAnchors(
          alternative.filter((list) => list.attribute.kind === kind),
          namespace,
          bundle,
        ),
      );
      if (anchors.every((list) => list !== undefined)) dimensions.push(anchors.flat());
    }
  }
  for (const list of when) {
    const anchors = firstAnchors([list], namespace, bundle);
    if (anchors !== undefined) dimensions.push([...anchors]);
  }
  return dimensions
    .filter((dimension) => dimension.length > 0 && dimension.length <= MAX_ANCHORS)
    .map((dimension) => [...new Set(dimension)]);
}

function firstAnchors(
  lists: readonly FieldValues[],
  namespace: string,
  bundle: readonly string[],
): readonly string[] | undefined {
  for (const list of lists) {
    const anchors = anchorsOfList(list, namespace, bundle);
    if (anchors !== undefined) return anchors;
  }
  return undefined;
}

function anchorsOfList(
  { attribute, values, negated }: FieldValues,
  namespace: string,
  bundle: readonly string[],
): readonly string[] | undefined {
  if (negated) return undefined;
  const anchors = values.map(({ text }): readonly string[] | undefined => {
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
  });
  return anchors.every((anchor) => anchor !== undefined) ? anchors.flat() : undefined;
}

/** Exact paths by themselves; prefixes and templates by their first segment, if that is whole and literal. */
function pathAnchor(text: string): readonly string[] | undefined {
  const isTemplate = hasTemplate(text);
  if (!isTemplate && !text.startsWith("*") && !text.endsWith("*")) return [`path:${text}`];
  const segment = /^\/[^/*{}]*\//.exec(text);
  return segment === null ? undefined : [`dir:${segment[0]}`];
}
