import type { JsonObject } from "../../rego/value/index.ts";
import { flag, jsonReply } from "../http.ts";
import type { Route } from "../router.ts";

/** `GET /v1/config`: the configuration without its secrets. */
export function configRoute(config: () => JsonObject): Route {
  return {
    method: "GET",
    prefix: "v1/config",
    isTree: false,
    handle: ({ params }) => jsonReply(200, { result: config() }, flag(params, "pretty")),
  };
}
