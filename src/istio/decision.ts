import type { Value } from "../rego/value/index.ts";

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
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const document = value as { readonly [key: string]: Value };
  const own = (name: string): Value | undefined => (Object.hasOwn(document, name) ? document[name] : undefined);
  const reason = own("reason");
  if (
    typeof own("allowed") !== "boolean" ||
    typeof reason !== "string" ||
    !Array.isArray(own("audit")) ||
    !Array.isArray(own("dry_run"))
  )
    return undefined;
  if (own("allowed") === true && reason !== "allow" && reason !== "no_policy") return undefined;
  return document as unknown as IstioDecision;
}
