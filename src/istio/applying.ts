import { isObject, type JsonObject, toJsonValue, type Value } from "../rego/value/index.ts";
import type { Action, Attachment, AuthorizationPolicy, PeerAuthentication, PolicyDocument } from "./policies.ts";
import { countLabels, type Place, placesOf } from "./policy-tables.ts";
import type { MeshSettings } from "./settings.ts";
import { TokenRules } from "./token-rules.ts";

/** A policy that is for a destination. */
export interface ApplyingPolicy {
  readonly kind: "PeerAuthentication" | "RequestAuthentication" | "AuthorizationPolicy";
  /** `namespace/name` */
  readonly policy: string;
  /** Of an AuthorizationPolicy; the mode of a PeerAuthentication. */
  readonly action?: string;
  /** Of an AuthorizationPolicy; the issuers of a RequestAuthentication. */
  readonly rules?: number;
  readonly dry_run?: boolean;
  /** Where the document begins. */
  readonly file: string;
  readonly line: number;
  /** What makes it apply, in words. */
  readonly because: string;
}

/** The document at `data.cardea.istio.destination`: what the evaluator chooses policies by. */
export interface Destination {
  readonly places: ReadonlySet<string>;
  readonly labels: Readonly<Record<string, string>>;
  /** Of all PeerAuthentications the one in force, if there is one, and what it says for the port. */
  readonly peer: { readonly mode: string; readonly policy: string | undefined };
}

/** Reads the destination document; undefined for anything else. */
export function toDestination(value: Value | undefined): Destination | undefined {
  if (value === undefined || !isObject(value)) return undefined;
  const { places, labels, peer } = toJsonValue(value) as unknown as {
    readonly places: readonly string[];
    readonly labels: Readonly<Record<string, string>>;
    readonly peer: { readonly mode: string; readonly by?: { readonly policy: string } };
  };
  return { places: new Set(places), labels, peer: { mode: peer.mode, policy: peer.by?.policy } };
}

/** Istio asks CUSTOM before DENY before ALLOW; AUDIT decides nothing. */
const ORDER: readonly Action[] = ["CUSTOM", "DENY", "ALLOW", "AUDIT"];

/**
 * The policies that are for the destination of an input document, in the order in which they are asked; those of one
 * kind and action in the order of the files.
 */
export function applyingPolicies(
  documents: readonly PolicyDocument[],
  mesh: MeshSettings,
  destination: Destination,
  input: JsonObject,
): readonly ApplyingPolicy[] {
  const found: ApplyingPolicy[] = [];
  for (const document of documents) {
    if (document.kind !== "PeerAuthentication" || nameOf(document) !== destination.peer.policy) continue;
    found.push({ ...placeOf(document), action: destination.peer.mode, because: peerReason(document, mesh) });
  }
  const tokens = documents.filter((document) => document.kind === "RequestAuthentication");
  for (const document of new TokenRules(tokens, mesh).documentsFor(input)) {
    const because = reasonOf(document, document.attachment, mesh);
    found.push({ ...placeOf(document), rules: document.jwtRules.length, because });
  }
  const policies = documents.filter((document) => document.kind === "AuthorizationPolicy");
  const labelCounts = countLabels(policies);
  for (const action of ORDER) {
    for (const policy of policies) {
      const because =
        policy.action === action ? whyApplies(policy, placesOf(policy, labelCounts), mesh, destination) : undefined;
      if (because === undefined) continue;
      const { rules, dryRun } = policy;
      found.push({ ...placeOf(policy), action, rules: rules.length, ...(dryRun && { dry_run: true }), because });
    }
  }
  return found;
}

/** A policy in one line. */
export function applyingPolicyText(policy: ApplyingPolicy): string {
  const { kind, action, rules, dry_run: isDry, file, line, because } = policy;
  const what = kind === "AuthorizationPolicy" ? action : action === undefined ? kind : `${kind} ${action}`;
  const unit = kind === "RequestAuthentication" ? "issuer" : "rule";
  const count = rules === undefined ? "" : `, ${rules} ${unit}${rules === 1 ? "" : "s"}`;
  return `${what} ${policy.policy}${isDry === true ? ", dry run" : ""}${count} (${file}:${line}): ${because}`;
}

/** By the places the evaluator has it filed at. @returns undefined where it does not apply */
function whyApplies(
  policy: AuthorizationPolicy,
  filedAt: readonly Place[],
  mesh: MeshSettings,
  { places, labels }: Destination,
): string | undefined {
  const { namespace, attachment, action } = policy;
  const areLabelsKnown = !places.has(`${mesh.rootNamespace}/unlabelled`);
  const isSelected = ({ rest = {} }: Place): boolean =>
    Object.entries(rest).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value) ||
    (action === "DENY" && !areLabelsKnown);
  const place = filedAt.find((one) => places.has(`${namespace}/${one.attachment}`) && isSelected(one));
  if (place !== undefined) {
    const reason = reasonOf(policy, attachment, mesh);
    return place.attachment === "unlabelled"
      ? `${reason}; the destination's labels are not known, and it denies`
      : reason;
  }
  if (!places.has("/*") || namespace === mesh.rootNamespace) return undefined;
  if (action === "DENY" && filedAt.some(isSelected)) return "the destination is not known, and it denies";
  return action === "ALLOW" ? "the destination is not known: it restricts, and allows nothing" : undefined;
}

function reasonOf(
  { namespace }: { readonly namespace: string },
  { selector, targetRefs }: Attachment,
  { rootNamespace }: MeshSettings,
): string {
  if (targetRefs.length > 0) return `targets ${targetRefs.map(({ kind, name }) => `${kind} ${name}`).join(", ")}`;
  if (selector.size > 0) return selectorText(selector);
  return namespace === rootNamespace ? "every workload, from the root namespace" : "every workload of its namespace";
}

function peerReason(document: PeerAuthentication, mesh: MeshSettings): string {
  return reasonOf(document, { selector: document.selector, targetRefs: [], start: 0, end: 0 }, mesh);
}

function selectorText(selector: ReadonlyMap<string, string>): string {
  return `selects ${[...selector].map(([key, value]) => `${key}=${value}`).join(", ")}`;
}

function nameOf({ namespace, name }: PolicyDocument): string {
  return `${namespace}/${name}`;
}

function placeOf<K extends ApplyingPolicy["kind"]>(
  document: PolicyDocument & { readonly kind: K },
): { readonly kind: K; readonly policy: string; readonly file: string; readonly line: number } {
  const { kind, places, start } = document;
  return { kind, policy: nameOf(document), file: places.source.name, line: places.row(start) };
}
