import type { ModuleText, PolicyStore, WriteBase } from "../../policy/index.ts";
import { CompileError } from "../../rego/engine/index.ts";
import type { JsonObject } from "../../rego/value/index.ts";
import { ApiError } from "../api-error.ts";
import { toApiError } from "../evaluation.ts";
import { type ApiReply, type ApiRequest, flag, jsonReply } from "../http.ts";
import type { Route } from "../router.ts";

/** `/v1/policies` */
export function policyRoutes(store: PolicyStore): readonly Route[] {
  return [
    {
      method: "GET",
      prefix: "v1/policies",
      isTree: false,
      handle: ({ params }) => jsonReply(200, { result: store.current.modules.map(document) }, flag(params, "pretty")),
    },
    {
      method: "GET",
      prefix: "v1/policies",
      isTree: true,
      handle: ({ params }, rest) => jsonReply(200, { result: document(find(store, rest)) }, flag(params, "pretty")),
    },
    {
      method: "PUT",
      prefix: "v1/policies",
      isTree: true,
      handle: (request, rest) => put(store, request, rest.join("/")),
    },
    {
      method: "DELETE",
      prefix: "v1/policies",
      isTree: true,
      handle: (_request, rest) => store.writeInTurn((write) => remove(store, rest, write)),
    },
  ];
}

function document(module: ModuleText): JsonObject {
  return { id: idOf(module), raw: module.text };
}

/** Policies go by their file name without the slashes at its ends (OPA's loader.CleanPath). */
function idOf({ file }: ModuleText): string {
  return file.replace(/^\/+|\/+$/g, "");
}

function find(store: PolicyStore, rest: readonly string[]): ModuleText {
  const id = rest.join("/");
  const module = store.current.modules.find((candidate) => idOf(candidate) === id);
  if (module === undefined)
    throw new ApiError(404, "resource_not_found", `storage_not_found_error: policy id ${JSON.stringify(id)}`);
  return module;
}

async function put(store: PolicyStore, request: ApiRequest, id: string): Promise<ApiReply> {
  const text = await request.body();
  return store.writeInTurn((write) => putText(store, text, id, write));
}

async function putText(store: PolicyStore, text: string, id: string, write: WriteBase): Promise<ApiReply> {
  const { base } = store;
  const existing = base.modules.find((module) => idOf(module) === id);
  if (existing === undefined && store.current.modules.some((module) => idOf(module) === id))
    throw new ApiError(400, "invalid_parameter", `policy ${id} is owned by a bundle`);
  if (existing?.text === text) return jsonReply(200, {});
  const others = base.modules.filter((module) => module !== existing);
  await replace(store, [...others, { file: existing?.file ?? id, text }], write);
  return jsonReply(200, {});
}

async function remove(store: PolicyStore, rest: readonly string[], write: WriteBase): Promise<ApiReply> {
  const module = find(store, rest);
  const { base } = store;
  if (!base.modules.includes(module))
    throw new ApiError(400, "invalid_parameter", `policy ${idOf(module)} is owned by a bundle`);
  const others = base.modules.filter((candidate) => candidate !== module);
  await replace(store, others, write);
  return jsonReply(200, {});
}

async function replace(store: PolicyStore, modules: readonly ModuleText[], write: WriteBase): Promise<void> {
  try {
    await write({ ...store.base, modules });
  } catch (cause) {
    if (cause instanceof CompileError) throw toApiError(cause, "error(s) occurred while compiling module(s)");
    throw cause;
  }
}
