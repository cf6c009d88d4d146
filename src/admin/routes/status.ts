import type { PolicyStore } from "../../policy/index.ts";
import type { JsonObject } from "../../rego/value/index.ts";
import type { PluginStates } from "../../telemetry/index.ts";
import { flag, jsonReply } from "../http.ts";
import type { Route } from "../router.ts";

/** What the process tells about itself: `GET /v1/status`, and what status reports contain. */
export function statusDocument(labels: JsonObject, store: PolicyStore, states: PluginStates): JsonObject {
  const plugins = Object.fromEntries(
    [...states.all()].map(([name, { state, message }]) => [name, { state, ...(message !== undefined && { message }) }]),
  );
  const bundles = Object.fromEntries(
    [...store.current.bundles].map(([name, revision]) => [name, { name, active_revision: revision }]),
  );
  const { generation, modules } = store.current;
  return {
    labels,
    plugins,
    ...(store.current.bundles.size > 0 && { bundles }),
    cardea: {
      policy_generation: generation,
      policies: modules.length,
      ...(store.lastFailure !== undefined && { last_reload_error: store.lastFailure }),
    },
  };
}

export function statusRoute(labels: JsonObject, store: PolicyStore, states: PluginStates): Route {
  return {
    method: "GET",
    prefix: "v1/status",
    isTree: false,
    handle: ({ params }) => jsonReply(200, { result: statusDocument(labels, store, states) }, flag(params, "pretty")),
  };
}
