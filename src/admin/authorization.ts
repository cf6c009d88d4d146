import type { Entrypoint, PolicyStore } from "../policy/index.ts";
import { isJsonObject, type JsonObject, parseJson, setOwn, type Value } from "../rego/value/index.ts";
import { ApiError } from "./api-error.ts";
import type { ApiRequest } from "./http.ts";

/**
 * Decides on requests to the API by policy: `--authorization=basic`. The decision is a boolean, or an object with `allowed`
 * and a `reason` for refusals. Anything else refuses.
 */
export function basicAuthorizer(
  store: PolicyStore,
  decisionPath: () => string,
  runtime: Value,
): (request: ApiRequest) => Promise<void> {
  return async (request) => {
    const path = decisionPath()
      .split("/")
      .filter((segment) => segment !== "");
    const input = await authorizationInput(request);
    let decision: Value | undefined;
    try {
      const asks: Entrypoint = { kind: "path", path };
      decision = (await store.readyFor(asks)).prepare(asks).value({ input, runtime });
    } catch {
      throw new ApiError(500, "internal_error", "authorization policy failed");
    }
    if (decision === true) return;
    if (decision === undefined) throw new ApiError(500, "internal_error", "authorization policy missing or undefined");
    if (isJsonObject(decision)) {
      if (decision["allowed"] === true) return;
      if (typeof decision["reason"] === "string") throw new ApiError(401, "unauthorized", decision["reason"]);
    }
    throw new ApiError(401, "unauthorized", "request rejected by administrative policy");
  };
}

/** OPA's document: identity, method, path, params, headers, and the body where it matters. */
async function authorizationInput(request: ApiRequest): Promise<JsonObject> {
  const params: Record<string, Value> = {};
  for (const key of new Set(request.params.keys())) setOwn(params, key, request.params.getAll(key));
  const headers: Record<string, Value> = {};
  for (const [name, value] of Object.entries(request.headers))
    if (value !== undefined) setOwn(headers, canonicalName(name), Array.isArray(value) ? value : [value]);
  const body = readsBody(request) ? parsedOrNull(await request.body()) : undefined;
  return {
    path: request.segments,
    method: request.method,
    params,
    headers,
    ...(body !== undefined && { body }),
    ...(request.identity !== "" && { identity: request.identity }),
    ...(request.clientCertificates.length > 0 && { client_certificates: request.clientCertificates }),
  };
}

/** The body counts for requests that ask for decisions. */
function readsBody({ method, segments }: ApiRequest): boolean {
  if (method !== "POST") return false;
  return (
    segments.length === 0 ||
    segments[0] === "v0" ||
    (segments[0] === "v1" && (segments[1] === "data" || segments[1] === "query"))
  );
}

function parsedOrNull(text: string): Value | undefined {
  if (text === "") return undefined;
  try {
    return parseJson(text);
  } catch {
    throw new ApiError(400, "invalid_parameter", "body is not valid JSON");
  }
}

/** Go's form of header names: `Content-Type`. */
function canonicalName(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}
