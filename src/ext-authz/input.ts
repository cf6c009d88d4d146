import type { JsonObject, Value } from "../rego/value/index.ts";
import { fromLists, parseBody } from "./body/index.ts";
import type { GrpcBodyDecoder } from "./body/grpc.ts";
import type { CheckRequest } from "./request.ts";
import { parseTarget } from "./url.ts";
import { toV2Attributes } from "./v2.ts";

export interface InputOptions {
  /** Leaves `parsed_body` and `truncated_body` out: `skip-request-body-parse`. */
  readonly skipBody: boolean;
  /** Refuses JSON bodies in which an object has a member twice: of two readers each may see another. */
  readonly refusesDuplicateMembers?: boolean;
  /** Decodes gRPC bodies; absent without `proto-descriptor`. */
  readonly grpcBodies: GrpcBodyDecoder | undefined;
}

const VERSIONS: Readonly<Record<CheckRequest["api"], JsonObject>> = {
  v3: { ext_authz: "v3", encoding: "protojson" },
  v2: { ext_authz: "v2", encoding: "encoding/json" },
};

/**
 * The document policies see as `input`: the message's attributes and what the plugin derives from them.
 *
 * @throws {InputError} when the path, the query or the body cannot be read; the call is then answered with HTTP 400.
 * @see envoyauth/request.go RequestToInput
 */
export function toInput(request: CheckRequest, options: InputOptions): JsonObject {
  const target = parseTarget(request.http.path);
  const input: Record<string, Value> = {};
  if (request.attributes !== undefined)
    input["attributes"] = request.api === "v2" ? toV2Attributes(request.attributes) : request.attributes;
  input["version"] = VERSIONS[request.api];
  input["parsed_path"] = target.path;
  input["parsed_query"] = fromLists(target.query);
  if (!options.skipBody) {
    const { body, isTruncated } = parseBody(request.http, target.path, options);
    input["parsed_body"] = body;
    input["truncated_body"] = isTruncated;
  }
  if (request.sourcePrincipal !== "") input["source_principal"] = request.sourcePrincipal;
  return input;
}
