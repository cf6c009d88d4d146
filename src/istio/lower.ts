import { type JsonObject, setOwn, type Value } from "../rego/value/index.ts";
import { toCidr } from "./addresses.ts";
import { type Attribute, isHttpOnly, parseWhenKey } from "./attributes.ts";
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
  toJson,
} from "./matchers.ts";
import { anchorsOf } from "./anchors.ts";
import { pathEscapes } from "./path-escapes.ts";
import type {
  AuthorizationPolicy,
  FieldValues,
  MtlsMode,
  PeerAuthentication,
  PolicyDocument,
  PolicyRule,
  RateLimit,
  RuleForm,
  Schedule,
} from "./policies.ts";
import type { MeshSettings } from "./settings.ts";
import { expandPrincipals, expandTrustDomains } from "./trust-domain.ts";

type MutableObject = { [key: string]: Value };

/** A rule, ready for the evaluator, and the ways it may be filed. */
interface LoweredRule {
  readonly policy: AuthorizationPolicy;
  readonly rule: PolicyRule;
  readonly record: JsonObject;
  /** Each dimension: keys of which a request must have one for the rule to match. Empty: none is known. */
  readonly dimensions: readonly (readonly string[])[];
  readonly protocols: readonly ("http" | "tcp")[];
}

/** The document `data.cardea.tables`, which the evaluator decides by. */
export function lowerTables(documents: readonly PolicyDocument[], mesh: MeshSettings): JsonObject {
  const policies = documents.filter(
    (document): document is AuthorizationPolicy =>
      document.kind === "AuthorizationPolicy" && document.action !== "CUSTOM",
  );
  const peers = documents.filter((document): document is PeerAuthentication => document.kind === "PeerAuthentication");
  const schedules: MutableObject = {};
  const limits: MutableObject = {};
  for (const document of documents) {
    if (document.kind === "Schedule") setOwn(schedules, document.name, lowerSchedule(document));
    if (document.kind === "RateLimit") setOwn(limits, document.name, lowerLimit(document));
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
    ...new PolicyTables(policies, mesh).build(),
    peer: lowerPeers(peers, mesh),
    schedules,
    limits,
  };
}

function lowerWorkloads({ workloads, defaultWorkload }: MeshSettings): JsonObject {
  const table: MutableObject = {};
  for (const { namespace, serviceAccount, labels, waypoint } of workloads)
    setOwn(table, `${namespace}/${serviceAccount}`, { labels, waypoint });
  if (defaultWorkload === undefined) return { workloads: table };
  return {
    workloads: table,
    default_workload: { namespace: defaultWorkload.namespace, labels: defaultWorkload.labels },
  };
}

/** Filed under this namespace: what applies where the destination is unknown. No namespace is called so. */
const UNKNOWN = "";

class PolicyTables {
  readonly #mesh: MeshSettings;
  readonly #bundle: readonly string[];
  readonly #policies: readonly AuthorizationPolicy[];
  readonly #rules: Value[] = [];
  readonly #policyRecords: Value[] = [];
  readonly #index: Record<string, MutableObject> = { http: {}, tcp: {} };
  readonly #restricting: MutableObject = {};
  readonly #dryRestricting: MutableObject = {};
  readonly #seenRestrictions = new Set<string>();
  readonly #headerAnchors = new Set<string>();
  readonly #claimAnchors = new Set<string>();

  constructor(policies: readonly AuthorizationPolicy[], mesh: MeshSettings) {
    this.#policies = policies;
    this.#mesh = mesh;
    this.#bundle = [mesh.trustDomain, ...mesh.trustDomainAliases];
  }

  build(): JsonObject {
    const labelCounts = countLabels(this.#policies);
    const anchorCounts = new Map<string, number>();
    const pending: { rule: LoweredRule; places: readonly Place[] }[] = [];
    this.#policies.forEach((policy, id) => {
      this.#policyRecords.push(describePolicy(policy));
      const places = placesOf(policy, labelCounts);
      for (const place of places) this.#addRestriction(policy, place);
      for (const rule of this.#lowerPolicy(policy, id, places)) {
        pending.push({ rule, places });
        for (const place of places) {
          for (const anchor of rule.dimensions.flat()) increment(anchorCounts, bucketOf(policy, place, anchor));
        }
      }
    });
    for (const { rule, places } of pending) {
      const id = this.#rules.length;
      this.#rules.push(rule.record);
      for (const place of places) {
        const anchors = this.#bestDimension(rule, place, anchorCounts);
        for (const protocol of rule.protocols) this.#file(protocol, rule.policy, place, anchors, id);
      }
    }
    return {
      policies: this.#policyRecords,
      rules: this.#rules,
      index: this.#index as unknown as JsonObject,
      restricting: this.#restricting,
      dry_restricting: this.#dryRestricting,
      header_anchors: [...this.#headerAnchors],
      claim_anchors: [...this.#claimAnchors].map((path) => JSON.parse(path) as Value),
    };
  }

  /** The dimension that shares its fullest bucket with the fewest rules; a rule without any is asked for every request. */
  #bestDimension(rule: LoweredRule, place: Place, counts: ReadonlyMap<string, number>): readonly string[] {
    let best: readonly string[] = ["*"];
    let bestLoad = Number.POSITIVE_INFINITY;
    for (const dimension of rule.dimensions) {
      const load = Math.max(...dimension.map((anchor) => counts.get(bucketOf(rule.policy, place, anchor)) ?? 0));
      if (load >= bestLoad || !this.#mayAnchor(dimension)) continue;
      best = dimension;
      bestLoad = load;
    }
    for (const anchor of best) {
      if (anchor.startsWith("header:")) this.#headerAnchors.add(anchor.slice("header:".length, anchor.indexOf("=")));
      if (anchor.startsWith("claim:")) this.#claimAnchors.add(anchor.slice("claim:".length, anchor.indexOf("]=") + 1));
    }
    return best;
  }

  /** Every header or claim that rules are filed by is looked at in every request: a few pay, many do not. */
  #mayAnchor(dimension: readonly string[]): boolean {
    const [first] = dimension as [string];
    if (first.startsWith("header:"))
      return this.#headerAnchors.size < 8 || this.#headerAnchors.has(first.slice("header:".length, first.indexOf("=")));
    if (first.startsWith("claim:"))
      return (
        this.#claimAnchors.size < 8 || this.#claimAnchors.has(first.slice("claim:".length, first.indexOf("]=") + 1))
      );
    return true;
  }

  #addRestriction(policy: AuthorizationPolicy, place: Place): void {
    if (policy.action !== "ALLOW" || place.attachment === "unlabelled") return;
    const table = policy.dryRun ? this.#dryRestricting : this.#restricting;
    const entry: JsonObject = place.rest === undefined ? {} : { selector: place.rest };
    const add = (namespace: string, attachment: string, member: JsonObject) => {
      const key = JSON.stringify([policy.dryRun, namespace, attachment, member]);
      if (this.#seenRestrictions.has(key)) return;
      this.#seenRestrictions.add(key);
      listAt(table, namespace, attachment).push(member);
    };
    add(policy.namespace, place.attachment, entry);
    if (policy.namespace !== this.#mesh.rootNamespace) add(UNKNOWN, "*", {});
  }

  #file(
    protocol: "http" | "tcp",
    policy: AuthorizationPolicy,
    place: Place,
    anchors: readonly string[],
    id: number,
  ): void {
    if (policy.action === "ALLOW" && (place.attachment === "unlabelled" || place.attachment === "entry")) return;
    const byAction = this.#index[protocol] as MutableObject;
    const action = actionOf(policy);
    for (const anchor of anchors) {
      listAt(byAction, action, policy.namespace, place.attachment, anchor).push(id);
      if (policy.action !== "DENY" || policy.namespace === this.#mesh.rootNamespace) continue;
      const unknown = listAt(byAction, action, UNKNOWN, "*", anchor);
      if (unknown.at(-1) !== id) unknown.push(id);
    }
  }

  #lowerPolicy(policy: AuthorizationPolicy, id: number, places: readonly Place[]): readonly LoweredRule[] {
    const rest = places[0]?.rest;
    const selector = rest === undefined ? {} : { selector: rest, closed: policy.action === "DENY" };
    return policy.rules.flatMap((rule) => {
      const base = { policy: id, index: rule.index, line: policy.places.row(rule.start), ...selector };
      const lower = (form: RuleForm, protocols: readonly ("http" | "tcp")[]): LoweredRule => ({
        policy,
        rule,
        record: { ...base, ...this.#lowerForm(policy, form) },
        dimensions: anchorsOf(form, policy.namespace, this.#bundle),
        protocols,
      });
      const whole: RuleForm = { from: rule.from, to: rule.to, when: rule.when };
      const lists = [...rule.from.flat(), ...rule.to.flat(), ...rule.when];
      if (!lists.some(({ attribute }) => isHttpOnly(attribute))) return [lower(whole, ["http", "tcp"])];
      // On a TCP chain HTTP fields cannot be compiled: an ALLOW loses the rule, any other action the condition.
      if (policy.action === "ALLOW") return [lower(whole, ["http"])];
      return [lower(whole, ["http"]), lower(withoutHttp(whole), ["tcp"])];
    });
  }

  #lowerForm(policy: AuthorizationPolicy, form: RuleForm): JsonObject {
    const lower = (list: FieldValues) => this.#lowerCondition(policy, list);
    const isLimit = ({ attribute }: FieldValues) => attribute.kind === "rateLimit";
    return {
      from: form.from.map((source) => source.map(lower)),
      to: form.to.map((operation) => operation.map(lower)),
      when: form.when.filter((list) => !isLimit(list)).map(lower),
      limits: form.when.filter(isLimit).map(lower),
    };
  }

  #lowerCondition(policy: AuthorizationPolicy, list: FieldValues): JsonObject {
    const isGuard = policy.action === "DENY" || policy.action === "AUDIT";
    return {
      ...this.#lowerValues(policy, list),
      negated: list.negated,
      // A match counts against the request.
      restricts: isGuard !== list.negated,
      field: list.name,
      line: policy.places.row(list.start),
    };
  }

  #lowerValues(policy: AuthorizationPolicy, { attribute, values }: FieldValues): JsonObject {
    const texts = values.map(({ text }) => text);
    const text = (name: string, match: TextMatch): JsonObject => ({
      kind: "text",
      attribute: name,
      match: toJson(match),
    });
    switch (attribute.kind) {
      case "principal":
        return text("principal", matchPrincipal(expandPrincipals(texts, this.#bundle)));
      case "namespace":
        return this.#mesh.strictSpiffe
          ? text("spiffe_namespace", matchText(texts))
          : text("principal", matchNamespace(texts));
      case "serviceAccount":
        return text("principal", matchServiceAccount(texts, policy.namespace));
      case "trustDomain":
        return text("principal", matchTrustDomain(expandTrustDomains(texts, this.#bundle)));
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
        return text("path", matchPath(texts, this.#mesh.wideTemplates && policy.action === "DENY"));
      case "header":
        return { ...text("header", matchHeader(texts)), name: headerName(attribute.name) };
      case "claim":
        return { ...text("claim", matchText(texts)), path: attribute.path };
      case "metadata": {
        const { match, list } = matchMetadata(texts);
        return {
          kind: "metadata",
          namespace: attribute.namespace,
          key: attribute.key,
          match: toJson(match),
          list: toJson(list),
        };
      }
      case "schedule":
        return { kind: "schedule", names: texts };
      case "rateLimit":
        return { kind: "limit", names: texts };
      default:
        return attribute satisfies never;
    }
  }
}

/** Envoy keeps `host` as `:authority`. @source Envoy header_map_impl.cc */
function headerName(name: string): string {
  return name === "host" ? ":authority" : name;
}

function withoutHttp({ from, to, when }: RuleForm): RuleForm {
  const keep = (list: FieldValues) => !isHttpOnly(list.attribute);
  return {
    from: from.map((source) => source.filter(keep)),
    to: to.map((operation) => operation.filter(keep)),
    when: when.filter(keep),
  };
}

/** One way a policy reaches workloads: the key it is filed under in its namespace, and the labels that key says nothing of. */
interface Place {
  readonly attachment: string;
  readonly rest: JsonObject | undefined;
}

function placesOf(
  { attachment: { selector, targetRefs }, action }: AuthorizationPolicy,
  labelCounts: ReadonlyMap<string, number>,
): readonly Place[] {
  if (targetRefs.length > 0) {
    return targetRefs.flatMap(({ kind, name }): readonly Place[] => {
      const prefix = { Gateway: "gateway:", Service: "service:", GatewayClass: "class:", ServiceEntry: "entry" }[kind];
      if (prefix === undefined) return [];
      // What hosts a ServiceEntry has is not known here.
      return [{ attachment: kind === "ServiceEntry" ? "entry" : prefix + name, rest: undefined }];
    });
  }
  if (selector.size === 0) return [{ attachment: "*", rest: undefined }];
  const labels = [...selector].map(([key, value]) => `${key}=${value}`);
  const rarest = labels.reduce((best, label) =>
    (labelCounts.get(label) ?? 0) < (labelCounts.get(best) ?? 0) ? label : best,
  );
  const rest: MutableObject = {};
  for (const [key, value] of selector) if (`${key}=${value}` !== rarest) setOwn(rest, key, value);
  const place: Place = { attachment: `label:${rarest}`, rest: selector.size === 1 ? undefined : rest };
  return action === "DENY" ? [place, { attachment: "unlabelled", rest: place.rest }] : [place];
}

function countLabels(policies: readonly AuthorizationPolicy[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const policy of policies)
    for (const [key, value] of policy.attachment.selector) increment(counts, `${key}=${value}`);
  return counts;
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function bucketOf(policy: AuthorizationPolicy, place: Place, anchor: string): string {
  return `${actionOf(policy)}\n${policy.namespace}\n${place.attachment}\n${anchor}`;
}

function actionOf({ action, dryRun }: AuthorizationPolicy): string {
  return `${dryRun ? "dry_" : ""}${action.toLowerCase()}`;
}

function describePolicy(policy: AuthorizationPolicy): JsonObject {
  const { kind, namespace, name, action, places } = policy;
  return { kind, policy: `${namespace}/${name}`, action, file: places.source.name };
}

/** The list at a path of keys, made where it is missing. Keys come from policy files: any name is an ordinary one. */
function listAt(table: MutableObject, ...keys: readonly string[]): Value[] {
  let at = table;
  for (const key of keys.slice(0, -1)) {
    if (!Object.hasOwn(at, key)) setOwn(at, key, {});
    at = at[key] as MutableObject;
  }
  const last = keys.at(-1) as string;
  if (!Object.hasOwn(at, last)) setOwn(at, last, []);
  return at[last] as Value[];
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

  const namespaces: MutableObject = {};
  const modes = new Map<string, MtlsMode>();
  for (const peer of unselective) {
    if (peer.namespace === rootNamespace || modes.has(peer.namespace)) continue;
    const mode = or(peer.mode, meshMode);
    modes.set(peer.namespace, mode);
    setOwn(namespaces, peer.namespace, { mode, by: by(peer) });
  }
  const workloads: MutableObject = {};
  for (const peer of peers) {
    // In the root namespace only the policy for the whole mesh counts.
    if (peer.selector.size === 0 || peer.namespace === rootNamespace) continue;
    const mode = or(peer.mode, modes.get(peer.namespace) ?? meshMode);
    const ports: MutableObject = {};
    for (const [port, portMode] of peer.portModes) setOwn(ports, String(port), or(portMode, mode));
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
  const days: MutableObject = {};
  for (const [day, name] of WEEKDAYS.entries())
    setOwn(days, name, windows.filter((window) => window.days.includes(day)).map(hours));
  const dates: MutableObject = {};
  for (const exception of exceptions) if (exception.closed) setOwn(dates, exception.date, []);
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
