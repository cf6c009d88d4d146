import { isJsonObject, type JsonObject, parseJson, type Value } from "../../rego/value/index.ts";
import { ApiError } from "../api-error.ts";
import type { ApiEvaluator } from "../evaluation.ts";
import { type ApiReply, type ApiRequest, flag, jsonReply } from "../http.ts";
import type { Route } from "../router.ts";
import { refuseExplain } from "./unavailable.ts";

/** `/v1/query`: ad-hoc queries. */
export function queryRoutes(evaluator: ApiEvaluator): readonly Route[] {
  return [
    {
      method: "GET",
      prefix: "v1/query",
      isTree: false,
      handle: (request) => answer(evaluator, request, request.params.get("q") ?? "", undefined),
    },
    {
      method: "POST",
      prefix: "v1/query",
      isTree: false,
      handle: async (request) => {
        const { query, input } = readQuery(await request.body());
        return answer(evaluator, request, query, input);
      },
    },
  ];
}

async function answer(
  evaluator: ApiEvaluator,
  request: ApiRequest,
  text: string,
  input: Value | undefined,
): Promise<ApiReply> {
  refuseExplain(request.params);
  if (text === "") throw new ApiError(400, "invalid_parameter", "missing parameter 'q'");
  const { solutions, metrics } = await evaluator.evaluate({
    request,
    input,
    query: text,
    asks: { kind: "query", text },
  });
  // A query that holds without variables has one empty solution; one that does not hold has none.
  const holding = solutions.filter(({ expressions }) => expressions.every(({ value }) => value !== false));
  const reply: JsonObject = {
    ...(flag(request.params, "metrics") && { metrics }),
    ...(holding.length > 0 && { result: holding.map(({ bindings }) => bindings) }),
  };
  return jsonReply(200, reply, flag(request.params, "pretty"));
}

function readQuery(body: string): { readonly query: string; readonly input: Value | undefined } {
  let document: Value;
  try {
    document = parseJson(body);
  } catch (cause) {
    throw new ApiError(
      400,
      "invalid_parameter",
      `error(s) occurred while decoding request: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
  if (!isJsonObject(document) || typeof document["query"] !== "string")
    throw new ApiError(400, "invalid_parameter", "missing required 'query' value");
  return { query: document["query"], input: document["input"] };
}
