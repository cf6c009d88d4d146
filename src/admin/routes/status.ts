import type { PolicyStore } from "../../policy/index.ts";
import type { JsonObject } from "../../rego/value/index.ts";
import type { PluginStates } from "../../telemetry/index.ts";
import { flag, jsonReply } from "../http.ts";
import type { Route } from "../router.ts";

/** What the process tells about itself. */
export interface StatusParts {
  readonly labels: JsonObject;
  readonly store: PolicyStore;
  readonly states: PluginStates;
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
export function statusDocument({ labels, store, states, keys = () => [] }: StatusParts): JsonObject {
  const plugins = Object.fromEntries(
    [...states.all()].map(([name, { state, message }]) => [name, { state, ...(message !== undefined && { message }) }]),
  );
  const bundles = Object.fromEntries(
    [...store.current.bundles].map(([name, revision]) => [name, { name, active_revision: revision }]),
  );
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
    ...(store.current.bundles.size > 0 && { bundles }),
    cardea: {
      policy_generation: generation,
      policies: modules.length,
      ...(store.lastFailure !== undefined && { last_reload_error: store.lastFailure }),
      ...(tokenKeys.length > 0 && { token_keys: tokenKeys }),
    },
  };
}

export function statusRoute(parts: StatusParts): Route {
  return {
    method: "GET",
    prefix: "v1/status",
    isTree: false,
    handle: ({ params }) => jsonReply(200, { result: statusDocument(parts) }, flag(params, "pretty")),
  };
}
