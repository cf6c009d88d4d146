import type { JsonObject } from "../rego/value/index.ts";
import type { PluginState, PluginStatus } from "../telemetry/index.ts";

type Members = Readonly<Record<string, JsonObject>>;

/** From best to worst. */
const STATES: readonly PluginState[] = ["OK", "WARN", "NOT_READY", "ERROR"];

/** What several workers tell of themselves as one: of each part, how the worst off has it. */
export function mergeStatuses(documents: readonly JsonObject[]): JsonObject {
  const [first] = documents;
  if (first === undefined || documents.length === 1) return first ?? {};
  const all = (key: string): readonly JsonObject[] =>
    documents.flatMap((document) => (document[key] === undefined ? [] : [document[key] as JsonObject]));
  const discovery = all("discovery");
  const bundles = all("bundles");
  return {
    ...first,
    plugins: byName(all("plugins") as readonly Members[], worstPlugin),
    ...(bundles.length > 0 && { bundles: byName(bundles as readonly Members[], worstBundle) }),
    ...(discovery.length > 0 && { discovery: worstBundle(discovery) }),
    cardea: worstPolicies(all("cardea")),
  };
}

/** The states of the plugins in a status. */
export function pluginsOf(document: JsonObject): ReadonlyMap<string, PluginStatus> {
  return new Map(Object.entries(document["plugins"] as unknown as Readonly<Record<string, PluginStatus>>));
}

function byName(all: readonly Members[], worst: (some: readonly JsonObject[]) => JsonObject): JsonObject {
  const names = new Set(all.flatMap((members) => Object.keys(members)));
  const entries = [...names].map((name): [string, JsonObject] => [
    name,
    worst(all.flatMap((members) => (Object.hasOwn(members, name) ? [members[name] as JsonObject] : []))),
  ]);
  return Object.fromEntries(entries);
}

function worstPlugin(some: readonly JsonObject[]): JsonObject {
  const rank = ({ state, message }: JsonObject): number =>
    2 * STATES.indexOf(state as PluginState) + (message === undefined ? 0 : 1);
  return worstBy(some, (a, b) => rank(a) - rank(b));
}

/** One that failed, or else the one that is furthest behind. */
function worstBundle(some: readonly JsonObject[]): JsonObject {
  return worstBy(failing(some, "code"), (a, b) => compareTexts(activationOf(b), activationOf(a)));
}

function activationOf({ last_successful_activation: time }: JsonObject): string {
  return typeof time === "string" ? time : "";
}

function worstPolicies(some: readonly JsonObject[]): JsonObject {
  const generation = (document: JsonObject): number => Number(document["policy_generation"]);
  return worstBy(failing(some, "last_reload_error"), (a, b) => generation(b) - generation(a));
}

/** Those that have an error, or all if none has. */
function failing(some: readonly JsonObject[], key: string): readonly JsonObject[] {
  const failed = some.filter((document) => document[key] !== undefined);
  return failed.length > 0 ? failed : some;
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function worstBy(some: readonly JsonObject[], compare: (a: JsonObject, b: JsonObject) => number): JsonObject {
  return some.reduce((worst, next) => (compare(next, worst) > 0 ? next : worst));
}
