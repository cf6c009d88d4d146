import { isObject, type JsonObject, toJsonValue, type Value } from "../rego/value/index.ts";

/** Why a request was decided as it was. */
export type IstioReason =
  /** A STRICT PeerAuthentication, and a peer without mesh identity. */
  | "mtls_required"
  /** A rule of a DENY policy matched. */
  | "deny"
  /** No ALLOW policy is for this workload, and no DENY matched. */
  | "no_policy"
  /** A rule of an ALLOW policy matched. */
  | "allow"
  /** ALLOW policies are for this workload, and none matched. */
  | "default_deny";

/** A rule of a policy, as it stands in the files. */
export interface IstioRuleName {
  readonly kind: "AuthorizationPolicy" | "PeerAuthentication";
  /** `namespace/name` */
  readonly policy: string;
  readonly action: "ALLOW" | "DENY" | "AUDIT" | "STRICT";
  /** From 0, as in `spec.rules[0]`. */
  readonly rule: number;
  readonly file: string;
  readonly line: number;
}

/** The document at `data.cardea.istio.decision`. */
export interface IstioDecision {
  readonly allowed: boolean;
  readonly reason: IstioReason;
  /** The first rule, in the order of the files, that decided; absent for `no_policy` and `default_deny`. */
  readonly by?: IstioRuleName;
  /** Rules of AUDIT policies that matched. */
  readonly audit: readonly IstioRuleName[];
  /** Rules of dry-run policies that matched. */
  readonly dry_run: readonly IstioRuleName[];
  /** What `allowed` would be with the dry-run policies in force. */
  readonly dry_run_allowed: boolean;
}

/**
 * Reads the decision document. Anything that is not exactly one is undefined, which a caller must treat as a fault:
 * the lowered rules always yield one.
 */
export function toIstioDecision(value: Value | undefined): IstioDecision | undefined {
  if (value === undefined || !isObject(value)) return undefined;
  const document = toJsonValue(value) as JsonObject;
  const { allowed, reason, audit, dry_run: dryRun } = document;
  if (typeof allowed !== "boolean" || typeof reason !== "string") return undefined;
  if (!Array.isArray(audit) || !Array.isArray(dryRun)) return undefined;
  if (allowed && reason !== "allow" && reason !== "no_policy") return undefined;
  return document as unknown as IstioDecision;
}
