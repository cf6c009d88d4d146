import type { Steps } from "../base/index.ts";
import type { JsonObject } from "../rego/value/index.ts";
import { type Attribute, parseWhenKey } from "./attributes.ts";
import { headerName } from "./conditions.ts";
import { pathEscapes } from "./path-escapes.ts";
import type {
  AuthorizationPolicy,
  MtlsMode,
  PeerAuthentication,
  PolicyDocument,
  RateLimit,
  Schedule,
} from "./policies.ts";
import { listAt, PolicyTables } from "./policy-tables.ts";
import type { MeshSettings } from "./settings.ts";
import { emptyTable } from "./table.ts";

/** The document `data.cardea.tables`, which the evaluator decides by. */
export function* lowerTables(documents: readonly PolicyDocument[], mesh: MeshSettings): Steps<JsonObject> {
  const policies = documents.filter(
    (document): document is AuthorizationPolicy =>
      document.kind === "AuthorizationPolicy" && document.action !== "CUSTOM",
  );
  const peers = documents.filter((document): document is PeerAuthentication => document.kind === "PeerAuthentication");
  const schedules = emptyTable();
  const limits = emptyTable();
  for (const document of documents) {
    if (document.kind === "Schedule") schedules[document.name] = lowerSchedule(document);
    if (document.kind === "RateLimit") limits[document.name] = lowerLimit(document);
  }
  return {
    mesh: {
      root_namespace: mesh.rootNamespace,
      num_trusted_proxies: mesh.numTrustedProxies,
      split_headers: mesh.splitHeaders,
      normalize_hosts: mesh.normalizeHosts,
      path_normalization: mesh.pathNormalization,
      path_escapes: pathEscapes(mesh.pathNormalization),
      ignore_path_parameters: mesh.ignorePathParameters,
      trust_jwt_authn_metadata: mesh.trustJwtAuthnMetadata,
    },
    ...lowerWorkloads(mesh),
    ...(yield* new PolicyTables(policies, mesh).build()),
    peer: lowerPeers(peers, mesh),
    schedules,
    limits,
  };
}

function lowerWorkloads({ workloads, defaultWorkload }: MeshSettings): JsonObject {
  const table = emptyTable();
  for (const { namespace, serviceAccount, labels, waypoint } of workloads)
    table[`${namespace}/${serviceAccount}`] = { labels, waypoint };
  if (defaultWorkload === undefined) return { workloads: table };
  return {
    workloads: table,
    default_workload: { namespace: defaultWorkload.namespace, labels: defaultWorkload.labels },
  };
}

/** @source istio pilot/pkg/security/authn/policy_applier.go ComposePeerAuthentication */
function lowerPeers(peers: readonly PeerAuthentication[], { rootNamespace }: MeshSettings): JsonObject {
  const by = (peer: PeerAuthentication): JsonObject => ({
    kind: peer.kind,
    policy: `${peer.namespace}/${peer.name}`,
    action: "STRICT",
    file: peer.places.source.name,
    line: peer.places.row(peer.start),
    rule: 0,
  });
  const or = (mode: MtlsMode, fallback: MtlsMode) => (mode === "UNSET" ? fallback : mode);
  const unselective = peers.filter(({ selector }) => selector.size === 0);
  const root = unselective.find(({ namespace }) => namespace === rootNamespace);
  const meshMode = or(root?.mode ?? "UNSET", "PERMISSIVE");
  const mesh: JsonObject = { mode: meshMode, ...(root !== undefined && { by: by(root) }) };

  const namespaces = emptyTable();
  const modes = new Map<string, MtlsMode>();
  for (const peer of unselective) {
    if (peer.namespace === rootNamespace || modes.has(peer.namespace)) continue;
    const mode = or(peer.mode, meshMode);
    modes.set(peer.namespace, mode);
    namespaces[peer.namespace] = { mode, by: by(peer) };
  }
  const workloads = emptyTable();
  for (const peer of peers) {
    // In the root namespace only the policy for the whole mesh counts.
    if (peer.selector.size === 0 || peer.namespace === rootNamespace) continue;
    const mode = or(peer.mode, modes.get(peer.namespace) ?? meshMode);
    const ports = emptyTable();
    for (const [port, portMode] of peer.portModes) ports[String(port)] = or(portMode, mode);
    listAt(workloads, peer.namespace).push({ selector: Object.fromEntries(peer.selector), mode, ports, by: by(peer) });
  }
  return { mesh, namespaces, workloads };
}

const DAY_MINUTES = 1440;
/** Names as OPA's time.weekday gives them. */
const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

function lowerSchedule({ timeZone, windows, exceptions }: Schedule): JsonObject {
  const hours = ({ fromMinute, toMinute }: { readonly fromMinute: number; readonly toMinute: number }): JsonObject => {
    const crosses = toMinute <= fromMinute;
    return { from: fromMinute, end: crosses ? DAY_MINUTES : toMinute, spill: crosses ? toMinute : 0 };
  };
  const days = emptyTable();
  for (const [day, name] of WEEKDAYS.entries())
    days[name] = windows.filter((window) => window.days.includes(day)).map(hours);
  const dates = emptyTable();
  for (const exception of exceptions) if (exception.closed) dates[exception.date] = [];
  for (const exception of exceptions) if (!exception.closed) listAt(dates, exception.date).push(hours(exception));
  return { zone: timeZone, days, exceptions: dates };
}

function lowerLimit({ key, limit, perMs, onStoreFailure }: RateLimit): JsonObject {
  const parts = key.map((name): JsonObject => {
    const attribute = parseWhenKey(name) as Attribute;
    switch (attribute.kind) {
      case "sourceIp":
      case "remoteIp":
      case "destinationIp":
        return { kind: "ip", attribute: attribute.kind };
      case "requestPrincipal":
        return { kind: "token" };
      case "header":
        return { kind: "text", attribute: "header", name: headerName(attribute.name), restricts: false };
      case "claim":
        return { kind: "text", attribute: "claim", path: attribute.path };
      case "metadata":
        return { kind: "metadata", namespace: attribute.namespace, key: attribute.key };
      case "namespace":
        return { kind: "text", attribute: "spiffe_namespace" };
      case "serviceAccount":
        return { kind: "text", attribute: "spiffe_service_account" };
      case "trustDomain":
        return { kind: "text", attribute: "spiffe_trust_domain" };
      default:
        return { kind: "text", attribute: attribute.kind };
    }
  });
  return { key: parts, limit, per_ms: perMs, on_store_failure: onStoreFailure };
}
