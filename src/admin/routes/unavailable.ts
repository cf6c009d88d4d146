import { ApiError } from "../api-error.ts";
import type { Route } from "../router.ts";

/** What OPA's API has and this one has not: a coded refusal, which OPA's clients can read. */

/** `/v1/compile`: partial evaluation. */
export function compileRoute(): Route {
  return {
    method: "POST",
    prefix: "v1/compile",
    isTree: true,
    handle: () => {
      throw new ApiError(501, "not_implemented", "partial evaluation is not available: ask /v1/data for decisions");
    },
  };
}

/** `?explain`: traces of evaluations. @throws {ApiError} when one is asked for. */
export function refuseExplain(params: URLSearchParams): void {
  if (params.has("explain") && params.get("explain") !== "off")
    throw new ApiError(501, "not_implemented", "explain is not available here: use `cardea eval --explain`");
}
