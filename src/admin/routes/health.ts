import type { Entrypoint, PolicyStore } from "../../policy/index.ts";
import type { PluginStates, PluginStatus } from "../../telemetry/index.ts";
import { type ApiReply, type ApiRequest, flag, jsonReply } from "../http.ts";
import type { Route } from "../router.ts";
import type { KeyStatus } from "./status.ts";

const BUNDLE_PLUGINS = ["discovery", "bundle"];

export interface HealthParts {
  readonly store: PolicyStore;
  readonly states: PluginStates;
  /** The states that count, where they are not those of this process alone. */
  readonly plugins: () => ReadonlyMap<string, PluginStatus>;
  /** Keys of tokens. */
  readonly keys: () => readonly KeyStatus[];
}

/** Needs no policy: whether the engine answers at all. */
const NOTHING: Entrypoint = { kind: "query", text: "x = 1" };

/** `GET /health`, and `/health/<path>` for policies below `system.health`. */
export function healthRoutes(parts: HealthParts): readonly Route[] {
  parts.store.expect(NOTHING);
  return [
    { method: "GET", prefix: "health", isTree: false, handle: (request) => health(request, parts) },
    { method: "GET", prefix: "health", isTree: true, handle: (_request, rest) => healthPolicy(rest, parts) },
  ];
}

async function health({ params }: ApiRequest, { store, plugins, keys }: HealthParts): Promise<ApiReply> {
  if (!(await canEvaluate(store))) return unhealthy("unable to perform evaluation");
  if (flag(params, "bundles") || flag(params, "bundle")) {
    const isActivated = BUNDLE_PLUGINS.every((name) => (plugins().get(name)?.state ?? "OK") === "OK");
    if (!isActivated) return unhealthy("one or more bundles are not activated");
  }
  const excluded = new Set(params.getAll("exclude-plugin"));
  if (flag(params, "plugins") && [...plugins()].some(([name, { state }]) => state !== "OK" && !excluded.has(name)))
    return unhealthy("one or more plugins are not up");
  // Asked for by name only: an issuer that is away is no reason to take every replica out of service.
  if (flag(params, "keys") && keys().some(({ state }) => state !== "ok"))
    return unhealthy("keys of one or more issuers cannot be fetched");
  return jsonReply(200, {});
}

async function canEvaluate(store: PolicyStore): Promise<boolean> {
  try {
    return (await store.readyFor(NOTHING)).prepare(NOTHING).evaluate({}).length === 1;
  } catch {
    return false;
  }
}

async function healthPolicy(path: readonly string[], { store, states, plugins }: HealthParts): Promise<ApiReply> {
  const pluginState = Object.fromEntries([...plugins()].map(([name, { state }]) => [name, state]));
  const input = { plugin_state: pluginState, plugins_ready: states.wasReady };
  const where = `health check (data.system.health${path.map((segment) => `.${segment}`).join("")})`;
  try {
    const asks: Entrypoint = { kind: "path", path: ["system", "health", ...path] };
    const result = (await store.readyFor(asks)).prepare(asks).value({ input });
    if (result === true) return jsonReply(200, {});
    return unhealthy(result === undefined ? `${where} was undefined` : `${where} returned unexpected value`);
  } catch {
    return unhealthy(`${where} failed`);
  }
}

function unhealthy(error: string): ApiReply {
  return jsonReply(500, { error });
}
