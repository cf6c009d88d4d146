import { eachInSteps, type Steps } from "../base/index.ts";
import type { JsonObject, Value } from "../rego/value/index.ts";
import { anchorsOf } from "./anchors.ts";
import { isHttpOnly } from "./attributes.ts";
import { lowerCondition } from "./conditions.ts";
import type { AuthorizationPolicy, FieldValues, RuleForm } from "./policies.ts";
import type { MeshSettings } from "./settings.ts";
import { emptyTable, type Table } from "./table.ts";

/** A rule, ready for the evaluator, and the ways it may be filed. */
interface LoweredRule {
  readonly policy: AuthorizationPolicy;
  readonly record: JsonObject;
  /** Each dimension: keys of which a request must have one for the rule to match. Empty: none is known. */
  readonly dimensions: readonly (readonly string[])[];
  readonly protocols: readonly ("http" | "tcp")[];
}

/** Filed under this namespace: what applies where the destination is unknown. No namespace is called so. */
const UNKNOWN = "";

/** Where a rule is written, and what of its policy's selector is left to test. */
interface RulePlace {
  /** Of the policy. */
  readonly id: number;
  readonly index: number;
  readonly line: number;
  readonly rest: JsonObject | undefined;
}

/** The tables of AuthorizationPolicies, filed so that a request finds the rules that may concern it by keys it can compute. */
export class PolicyTables {
  readonly #mesh: MeshSettings;
  readonly #bundle: readonly string[];
  readonly #policies: readonly AuthorizationPolicy[];
  readonly #rules: Value[] = [];
  readonly #policyRecords: Value[] = [];
  readonly #index: Record<string, Table> = { http: emptyTable(), tcp: emptyTable() };
  readonly #restricting = emptyTable();
  readonly #dryRestricting = emptyTable();
  readonly #seenRestrictions = new Set<string>();
  readonly #headerAnchors = new Set<string>();
  readonly #claimAnchors = new Set<string>();

  constructor(policies: readonly AuthorizationPolicy[], mesh: MeshSettings) {
    this.#policies = policies;
    this.#mesh = mesh;
    this.#bundle = [mesh.trustDomain, ...mesh.trustDomainAliases];
  }

  *build(): Steps<JsonObject> {
    const labelCounts = countLabels(this.#policies);
    const loads = new Map<string, Map<string, number>>();
    const pending: { rule: LoweredRule; places: readonly Place[] }[] = [];
    yield* eachInSteps(this.#policies, (policy) => {
      const id = this.#policyRecords.length;
      this.#policyRecords.push(describePolicy(policy));
      const places = placesOf(policy, labelCounts);
      for (const place of places) this.#addRestriction(policy, place);
      for (const rule of this.#lowerPolicy(policy, id, places)) {
        pending.push({ rule, places });
        for (const place of places) {
          const load = loadOf(loads, policy, place);
          for (const dimension of rule.dimensions) for (const anchor of dimension) increment(load, anchor);
        }
      }
    });
    yield* eachInSteps(pending, ({ rule, places }) => {
      const id = this.#rules.length;
      this.#rules.push(rule.record);
      for (const place of places) {
        const anchors = this.#bestDimension(rule, loadOf(loads, rule.policy, place));
        for (const protocol of rule.protocols) this.#file(protocol, rule.policy, place, anchors, id);
      }
    });
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
  #bestDimension(rule: LoweredRule, loads: ReadonlyMap<string, number>): readonly string[] {
    let best: readonly string[] = ["*"];
    let bestLoad = Number.POSITIVE_INFINITY;
    for (const dimension of rule.dimensions) {
      const load = dimension.reduce((most, anchor) => Math.max(most, loads.get(anchor) ?? 0), 0);
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
      const rest = member.selector === undefined ? "" : JSON.stringify(member.selector);
      const key = `${policy.dryRun} ${namespace}/${attachment} ${rest}`;
      if (this.#seenRestrictions.has(key)) return;
      this.#seenRestrictions.add(key);
      listAt(table, `${namespace}/${attachment}`).push(member);
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
    const byAction = this.#index[protocol] as Table;
    const action = actionOf(policy);
    for (const anchor of anchors) {
      listAt(byAction, action, `${policy.namespace}/${place.attachment}`, anchor).push(id);
      if (policy.action !== "DENY" || policy.namespace === this.#mesh.rootNamespace) continue;
      const unknown = listAt(byAction, action, `${UNKNOWN}/*`, anchor);
      if (unknown.at(-1) !== id) unknown.push(id);
    }
  }

  #lowerPolicy(policy: AuthorizationPolicy, id: number, places: readonly Place[]): readonly LoweredRule[] {
    const rest = places[0]?.rest;
    return policy.rules.flatMap((rule) => {
      const line = policy.places.row(rule.start);
      const lower = (form: RuleForm, protocols: readonly ("http" | "tcp")[]): LoweredRule => ({
        policy,
        record: this.#lowerForm(policy, form, { id, index: rule.index, line, rest }),
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

  #lowerForm(policy: AuthorizationPolicy, form: RuleForm, { id, index, line, rest }: RulePlace): JsonObject {
    const lower = (list: FieldValues) => lowerCondition(policy, list, this.#mesh);
    const isLimit = ({ attribute }: FieldValues) => attribute.kind === "rateLimit";
    const from = form.from.map((source) => source.map(lower));
    const to = form.to.map((operation) => operation.map(lower));
    const when = form.when.filter((list) => !isLimit(list)).map(lower);
    // Conditions with a memory are asked last: only when all else holds.
    const limits = form.when.filter(isLimit).map(lower);
    // Member by member: V8 copies objects slowly, and there are tens of thousands.
    return rest === undefined
      ? { policy: id, index, line, from, to, when, limits }
      : { policy: id, index, line, selector: rest, closed: policy.action === "DENY", from, to, when, limits };
  }
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
export interface Place {
  readonly attachment: string;
  readonly rest: JsonObject | undefined;
}

export function placesOf(
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
  const rest = emptyTable();
  for (const [key, value] of selector) if (`${key}=${value}` !== rarest) rest[key] = value;
  const place: Place = { attachment: `label:${rarest}`, rest: selector.size === 1 ? undefined : rest };
  return action === "DENY" ? [place, { attachment: "unlabelled", rest: place.rest }] : [place];
}

/** How many policies select each label. */
export function countLabels(policies: readonly AuthorizationPolicy[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const policy of policies)
    for (const [key, value] of policy.attachment.selector) increment(counts, `${key}=${value}`);
  return counts;
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** How many rules of one action and place could be filed under each anchor. */
function loadOf(
  loads: Map<string, Map<string, number>>,
  policy: AuthorizationPolicy,
  place: Place,
): Map<string, number> {
  const key = `${actionOf(policy)}/${policy.namespace}/${place.attachment}`;
  let load = loads.get(key);
  if (load === undefined) {
    load = new Map();
    loads.set(key, load);
  }
  return load;
}

function actionOf({ action, dryRun }: AuthorizationPolicy): string {
  return `${dryRun ? "dry_" : ""}${action.toLowerCase()}`;
}

function describePolicy(policy: AuthorizationPolicy): JsonObject {
  const { kind, namespace, name, action, places } = policy;
  return { kind, policy: `${namespace}/${name}`, action, file: places.source.name };
}

/** The list at a path of keys, made where it is missing. */
export function listAt(table: Table, ...keys: readonly string[]): Value[] {
  let at = table;
  for (const key of keys.slice(0, -1)) {
    at[key] ??= emptyTable();
    at = at[key] as Table;
  }
  const last = keys.at(-1) as string;
  at[last] ??= [];
  return at[last] as Value[];
}
