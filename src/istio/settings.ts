/** What the mesh is like: the block `cardea.mesh`. */
export interface MeshSettings {
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  /** Entries of X-Forwarded-For that trusted proxies added, besides the proxy that asks. */
  readonly numTrustedProxies: number;
  /** Labels of workloads, where the proxy does not send `destination.labels`. */
  readonly workloads: readonly WorkloadSettings[];
  /** The workload of requests whose destination has no mesh identity: the one behind a dedicated proxy. */
  readonly defaultWorkload: DefaultWorkload | undefined;
  /** Test every part of a comma-joined header on its own where that restricts: DENY values, ALLOW notValues. */
  readonly splitHeaders: boolean;
  /** Ignore port and one trailing dot of the host. */
  readonly normalizeHosts: boolean;
  /** Read `namespaces` from a parsed SPIFFE ID, instead of searching the identity for /ns/<namespace>/. */
  readonly strictSpiffe: boolean;
  /** Let `{*}` and `{**}` match every character where a match restricts, not only those of RFC 3986. */
  readonly wideTemplates: boolean;
  /** Applied before paths are compared; only for proxies that do not normalise themselves. */
  readonly pathNormalization: PathNormalization;
  /** Drop `;parameters` of path segments before paths are compared. Needs a normalisation other than NONE. */
  readonly ignorePathParameters: boolean;
  /** Only for exported Rego on plain OPA: take claims from Envoy's jwt_authn metadata. */
  readonly trustJwtAuthnMetadata: boolean;
}

export type PathNormalization = "NONE" | "BASE" | "MERGE_SLASHES" | "DECODE_AND_MERGE_SLASHES";

export interface DefaultWorkload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface WorkloadSettings extends DefaultWorkload {
  readonly serviceAccount: string;
  readonly waypoint: boolean;
}

/** Istio's defaults. */
export const DEFAULT_MESH: MeshSettings = {
  rootNamespace: "istio-system",
  trustDomain: "cluster.local",
  trustDomainAliases: [],
  numTrustedProxies: 0,
  workloads: [],
  defaultWorkload: undefined,
  splitHeaders: false,
  normalizeHosts: false,
  strictSpiffe: false,
  wideTemplates: false,
  pathNormalization: "NONE",
  ignorePathParameters: false,
  trustJwtAuthnMetadata: false,
};
