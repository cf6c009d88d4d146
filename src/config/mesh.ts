import { ConfigError } from "./errors.ts";
import type { Section } from "./section.ts";

/** What the mesh is like, as far as policies depend on it: `cardea.mesh`. */
export interface MeshConfig {
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  readonly numTrustedProxies: number;
  /** Labels of workloads, for proxies that do not send them. */
  readonly workloads: readonly WorkloadConfig[];
  /** Where a request goes whose destination has no mesh identity. */
  readonly defaultWorkload: DefaultWorkloadConfig | undefined;
  readonly splitHeaders: boolean;
  readonly normalizeHosts: boolean;
  readonly strictSpiffe: boolean;
  readonly wideTemplates: boolean;
  readonly pathNormalization: "NONE" | "BASE" | "MERGE_SLASHES" | "DECODE_AND_MERGE_SLASHES";
  readonly ignorePathParameters: boolean;
}

export interface DefaultWorkloadConfig {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface WorkloadConfig extends DefaultWorkloadConfig {
  readonly serviceAccount: string;
  readonly waypoint: boolean;
}

const NORMALIZATIONS = ["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"] as const;

/** @throws {ConfigError} */
export function readMesh(section: Section): MeshConfig {
  const mesh: MeshConfig = {
    rootNamespace: section.string("root_namespace", "istio-system"),
    trustDomain: section.string("trust_domain", "cluster.local"),
    trustDomainAliases: section.strings("trust_domain_aliases") ?? [],
    numTrustedProxies: section.count("num_trusted_proxies", 0, 0),
    workloads: section.named("workloads").map(([name, workload]) => readWorkload(name, workload)),
    defaultWorkload: section.has("default_workload") ? readDefault(section.section("default_workload")) : undefined,
    splitHeaders: section.boolean("split_headers", false),
    normalizeHosts: section.boolean("normalize_hosts", false),
    strictSpiffe: section.boolean("strict_spiffe", false),
    wideTemplates: section.boolean("wide_templates", false),
    pathNormalization: section.choice("path_normalization", NORMALIZATIONS, "NONE"),
    ignorePathParameters: section.boolean("ignore_path_parameters", false),
  };
  section.finish();
  return mesh;
}

/** `workloads: {prod/api: {labels: {app: api}}}`: by namespace and service account. */
function readWorkload(name: string, section: Section): WorkloadConfig {
  const [namespace = "", serviceAccount = "", ...more] = name.split("/");
  if (namespace === "" || serviceAccount === "" || more.length > 0) {
    throw new ConfigError(
      `${section.path}: expected <namespace>/<service account> as the key, got ${JSON.stringify(name)}`,
    );
  }
  section.expect("name");
  const workload = {
    namespace,
    serviceAccount,
    labels: section.texts("labels"),
    waypoint: section.boolean("waypoint", false),
  };
  section.finish();
  return workload;
}

function readDefault(section: Section): DefaultWorkloadConfig {
  const namespace = section.string("namespace", "");
  if (namespace === "") throw section.wrong("namespace", "the name of a namespace", namespace);
  const workload = { namespace, labels: section.texts("labels") };
  section.finish();
  return workload;
}
