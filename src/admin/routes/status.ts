import type { BundleStatus, PolicyStore } from "../../policy/index.ts";
import type { JsonObject } from "../../rego/value/index.ts";
import type { PluginStates } from "../../telemetry/index.ts";
import { flag, jsonReply } from "../http.ts";
import type { Route } from "../router.ts";

/** What the process tells about itself. */
export interface StatusParts {
  readonly labels: JsonObject;
  readonly store: PolicyStore;
  readonly states: PluginStates;
  /** Every configured bundle. */
  readonly bundles?: () => readonly BundleStatus[];
  /** The bundle that says how the server is configured; undefined for none. */
  readonly discovery?: () => { readonly status: BundleStatus; readonly message: string | undefined } | undefined;
  /** Keys of tokens. */
  readonly keys?: () => readonly KeyStatus[];
}

/** Keys of one issuer. */
export interface KeyStatus {
  /** Where they come from. */
  readonly location: string;
  /** `failing`: the last fetch failed, earlier keys are in use. `unavailable`: there are none, and tokens are refused. */
  readonly state: "ok" | "failing" | "unavailable";
  readonly keys: number;
  readonly fetches: number;
  readonly ageMs: number | undefined;
  readonly problem: string | undefined;
}

/** `GET /v1/status`, and what status reports contain. */
export function statusDocument({
  labels,
  store,
  states,
  bundles = () => [],
  discovery = () => undefined,
  keys = () => [],
}: StatusParts): JsonObject {
  const plugins = Object.fromEntries(
    [...states.all()].map(([name, { state, message }]) => [name, { state, ...(message !== undefined && { message }) }]),
  );
  const statuses = bundles();
  const discovered = discovery();
  const { generation, modules } = store.current;
  const tokenKeys = keys().map(({ location, state, keys: count, fetches, ageMs, problem }) => ({
    source: location,
    state,
    keys: count,
    fetches,
    ...(ageMs !== undefined && { age_seconds: Math.round(ageMs / 1000) }),
    ...(problem !== undefined && { problem }),
  }));
  return {
    labels,
    plugins,
    ...(statuses.length > 0 && {
      bundles: Object.fromEntries(statuses.map((status) => [status.name, bundleDocument(status)])),
    }),
    ...(discovered !== undefined && {
      discovery: {
        ...(discovered.message !== undefined && { message: discovered.message }),
        ...bundleDocument(discovered.status),
      },
    }),
    cardea: {
      policy_generation: generation,
      policies: modules.length,
      ...(store.lastFailure !== undefined && { last_reload_error: store.lastFailure }),
      ...(tokenKeys.length > 0 && { token_keys: tokenKeys }),
    },
  };
}

/** Go's zero time stands for never, as in OPA (v1/plugins/bundle/status.go). */
function bundleDocument(status: BundleStatus): JsonObject {
  const { activeRevision, type, error, metrics, httpStatus } = status;
  return {
    name: status.name,
    ...(activeRevision !== undefined && activeRevision !== "" && { active_revision: activeRevision }),
    last_successful_activation: timestamp(status.lastSuccessfulActivationMs),
    ...(type !== undefined && { type }),
    last_successful_download: timestamp(status.lastSuccessfulDownloadMs),
    last_successful_request: timestamp(status.lastSuccessfulRequestMs),
    last_request: timestamp(status.lastRequestMs),
    ...(error !== undefined && { code: "bundle_error", message: error }),
    ...(Object.keys(metrics).length > 0 && { metrics }),
    ...(httpStatus !== undefined && { http_code: httpStatus }),
  };
}

function timestamp(ms: number | undefined): string {
  return ms === undefined ? "0001-01-01T00:00:00Z" : new Date(ms).toISOString();
}

export function statusRoute(document: () => JsonObject): Route {
  return {
    method: "GET",
    prefix: "v1/status",
    isTree: false,
    handle: ({ params }) => jsonReply(200, { result: document() }, flag(params, "pretty")),
  };
}
