import { isObject, type JsonObject, toJsonValue, type Value } from "../rego/value/index.ts";
import { type IstioDecision, type IstioRuleName, toIstioDecision } from "./decision.ts";
import { type ApplyingPolicy, applyingPolicyText } from "./applying.ts";
import type { FieldValues, PolicyDocument } from "./policies.ts";

/** A condition that did not hold. */
export interface Lack {
  /** `paths`, `request.headers[x]` */
  readonly field: string;
  readonly line: number;
  /** `not…`: the value was among those excluded. */
  readonly negated: boolean;
  /** What the request had; empty for nothing. */
  readonly got: readonly string[];
}

/** The document at `data.cardea.istio.explanation`. */
export interface IstioExplanation {
  readonly decision: IstioDecision;
  /** Of the destination; empty where unknown. */
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Every rule of every policy that applies to the destination. */
  readonly applying: readonly IstioRuleName[];
  /** For a request that no ALLOW rule matched: the rules that lacked least, nearest first. */
  readonly nearest: readonly { readonly rule: IstioRuleName; readonly lacks: readonly Lack[] }[];
}

/** Reads the explanation document; undefined for anything else. */
export function toIstioExplanation(value: Value | undefined): IstioExplanation | undefined {
  if (value === undefined || !isObject(value)) return undefined;
  const document = toJsonValue(value) as JsonObject;
  return toIstioDecision(document["decision"]) === undefined ? undefined : (document as unknown as IstioExplanation);
}

const REASONS = {
  mtls_required: "the destination takes mutual TLS only, and the peer has no mesh identity",
  deny: "a DENY rule matches",
  no_policy: "no ALLOW policy is for the destination, and no DENY rule matches",
  allow: "an ALLOW rule matches",
  default_deny: "ALLOW policies are for the destination, and none of their rules matches",
} as const;

/** An explanation in words, a few lines for a human. `documents` give the values that were asked for. */
export function explanationText(
  { decision, namespace, nearest }: IstioExplanation,
  documents: readonly PolicyDocument[],
  policies: readonly ApplyingPolicy[],
): string {
  const lines = [`${decision.allowed ? "ALLOWED" : "DENIED"}: ${REASONS[decision.reason]}`];
  if (decision.by !== undefined) lines.push(`  by ${ruleText(decision.by)}`);
  for (const { rule, lacks } of nearest) {
    lines.push(`  nearest: ${ruleText(rule)}`);
    for (const lack of lacks) lines.push(`    lacks ${lackText(rule, lack, documents)}`);
  }
  for (const rule of decision.audit) lines.push(`  audit: ${ruleText(rule)}`);
  for (const rule of decision.dry_run) lines.push(`  dry run: ${ruleText(rule)}`);
  if (decision.dry_run_allowed !== decision.allowed) {
    lines.push(`  with the dry-run policies in force it would be ${decision.dry_run_allowed ? "allowed" : "denied"}`);
  }
  lines.push(`  destination: ${namespace === "" ? "unknown" : `namespace ${namespace}`}`);
  lines.push(policies.length === 0 ? "  no policy is for it" : "  policies for it, in the order they are asked:");
  for (const policy of policies) lines.push(`    ${applyingPolicyText(policy)}`);
  return `${lines.join("\n")}\n`;
}

function ruleText({ kind, policy, action, rule, file, line }: IstioRuleName): string {
  if (kind === "PeerAuthentication") return `${kind} ${policy} (${file}:${line})`;
  return `${action} ${policy} rule ${rule} (${file}:${line})`;
}

function lackText(
  rule: IstioRuleName,
  { field, line, negated, got }: Lack,
  documents: readonly PolicyDocument[],
): string {
  const wanted = listAt(rule, field, line, negated, documents)?.values.map(({ text }) => JSON.stringify(text));
  const has = got.length === 0 ? "has none" : `has ${got.map((text) => JSON.stringify(text)).join(", ")}`;
  const wants =
    wanted === undefined
      ? ""
      : ` ${negated ? "none of" : "one of"} ${wanted.slice(0, 8).join(", ")}${wanted.length > 8 ? ", …" : ""}`;
  return `${field}${wants} (${rule.file}:${line}): the request ${has}`;
}

function listAt(
  rule: IstioRuleName,
  field: string,
  line: number,
  negated: boolean,
  documents: readonly PolicyDocument[],
): FieldValues | undefined {
  for (const document of documents) {
    if (document.kind !== "AuthorizationPolicy" || `${document.namespace}/${document.name}` !== rule.policy) continue;
    const found = document.rules[rule.rule];
    if (found === undefined) continue;
    const lists = [...found.from.flat(), ...found.to.flat(), ...found.when];
    const list = lists.find(
      (one) => one.name === field && one.negated === negated && document.places.row(one.start) === line,
    );
    if (list !== undefined) return list;
  }
  return undefined;
}
