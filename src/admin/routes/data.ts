import {
  type Entrypoint,
  EditError,
  type PatchOperation,
  patched,
  type PolicyStore,
  type WriteBase,
  valueAt,
  withoutValueAt,
  withValueAt,
} from "../../policy/index.ts";
import { isArray, isJsonObject, type JsonObject, parseJson, toJsonText, type Value } from "../../rego/value/index.ts";
import { ApiError } from "../api-error.ts";
import type { ApiEvaluator, Evaluated } from "../evaluation.ts";
import { type ApiReply, type ApiRequest, flag, jsonReply } from "../http.ts";
import type { Route } from "../router.ts";
import { refuseExplain } from "./unavailable.ts";

export interface DataOptions {
  readonly store: PolicyStore;
  readonly evaluator: ApiEvaluator;
  readonly version: string;
  /** Path of the document that `POST /` answers with. */
  readonly defaultDecision: string;
}

/** `/v1/data`, `/v0/data` and `POST /`. */
export function dataRoutes(options: DataOptions): readonly Route[] {
  const v1 = { prefix: "v1/data", isTree: true };
  return [
    { ...v1, method: "GET", handle: (request, path) => answer(options, request, path, inputParameter(request)) },
    {
      ...v1,
      method: "POST",
      handle: async (request, path) => answer(options, request, path, inputMember(await request.body())),
    },
    { ...v1, method: "PUT", handle: (request, path) => put(options.store, request, path) },
    { ...v1, method: "PATCH", handle: (request, path) => patch(options.store, request, path) },
    { ...v1, method: "DELETE", handle: (_request, path) => remove(options.store, path) },
    {
      method: "POST",
      prefix: "v0/data",
      isTree: true,
      handle: async (request, path) => bareAnswer(options, request, path, await request.body()),
    },
    {
      method: "POST",
      prefix: "",
      isTree: false,
      handle: async (request) =>
        bareAnswer(options, request, segmentsOf(options.defaultDecision), await request.body()),
    },
  ];
}

/** What a request brought as input, and whether it brought any. */
interface GivenInput {
  readonly input: Value | undefined;
  readonly isMissing: boolean;
}

async function answer(
  options: DataOptions,
  request: ApiRequest,
  path: readonly string[],
  { input, isMissing }: GivenInput,
): Promise<ApiReply> {
  const { params } = request;
  refuseExplain(params);
  const evaluated = await evaluate(options, request, path, input);
  const result = evaluated.solutions[0]?.expressions[0]?.value;
  const reply: JsonObject = {
    ...(evaluated.decisionId !== "" && { decision_id: evaluated.decisionId }),
    ...((flag(params, "metrics") || flag(params, "instrument")) && { metrics: evaluated.metrics }),
    ...(flag(params, "provenance") && { provenance: provenance(options.version, evaluated) }),
    ...(result !== undefined && { result }),
    ...(request.method === "POST" && isMissing && { warning: MISSING_INPUT }),
  };
  return jsonReply(200, reply, flag(params, "pretty"));
}

const MISSING_INPUT: JsonObject = { code: "api_usage_warning", message: "'input' key missing from the request" };

/** The document alone; the body is the input. */
async function bareAnswer(
  options: DataOptions,
  request: ApiRequest,
  path: readonly string[],
  body: string,
): Promise<ApiReply> {
  refuseExplain(request.params);
  const input = body.trim() === "" ? undefined : parsed(body);
  const { solutions } = await evaluate(options, request, path, input);
  const result = solutions[0]?.expressions[0]?.value;
  if (result === undefined)
    throw new ApiError(404, "undefined_document", `document missing: data${path.map(refSegment).join("")}`);
  return jsonReply(200, result, flag(request.params, "pretty"));
}

function evaluate(
  { evaluator }: DataOptions,
  request: ApiRequest,
  path: readonly string[],
  input: Value | undefined,
): Promise<Evaluated> {
  const entrypoint: Entrypoint = {
    kind: "path",
    path: path.map((segment) => (/^\d{1,15}$/.test(segment) ? Number(segment) : segment)),
  };
  return evaluator.evaluate({
    request,
    input,
    path: path.join("/"),
    strictBuiltinErrors: flag(request.params, "strict-builtin-errors"),
    asks: entrypoint,
  });
}

function provenance(version: string, { snapshot }: Evaluated): JsonObject {
  const bundles = Object.fromEntries([...snapshot.bundles].map(([name, revision]) => [name, { revision }]));
  return {
    version,
    build_commit: "",
    build_timestamp: "",
    build_hostname: "",
    ...(snapshot.bundles.size > 0 && { bundles }),
  };
}

function inputParameter({ params }: ApiRequest): GivenInput {
  const text = params.get("input");
  return text === null ? { input: undefined, isMissing: true } : { input: parsed(text), isMissing: false };
}

function inputMember(body: string): GivenInput {
  if (body.trim() === "") return { input: undefined, isMissing: true };
  const document = parsed(body);
  if (!isJsonObject(document)) throw new ApiError(400, "invalid_parameter", "body must be an object");
  return Object.hasOwn(document, "input")
    ? { input: document["input"], isMissing: false }
    : { input: undefined, isMissing: true };
}

async function put(store: PolicyStore, request: ApiRequest, path: readonly string[]): Promise<ApiReply> {
  const value = parsed(await request.body());
  return store.writeInTurn((write) => {
    refuseOwned(store, path);
    if (request.headers["if-none-match"] === "*" && valueAt(store.current.data, path) !== undefined)
      return { status: 304 };
    return edit(store, write, (data) => withValueAt(data, path, value));
  });
}

async function patch(store: PolicyStore, request: ApiRequest, path: readonly string[]): Promise<ApiReply> {
  const operations = readOperations(parsed(await request.body()), path);
  return store.writeInTurn((write) => {
    for (const operation of operations) refuseOwned(store, operation.path);
    return edit(store, write, (data) => patched(data, operations));
  });
}

function remove(store: PolicyStore, path: readonly string[]): Promise<ApiReply> {
  return store.writeInTurn((write) => {
    refuseOwned(store, path);
    return edit(store, write, (data) => withoutValueAt(data, path));
  });
}

async function edit(store: PolicyStore, write: WriteBase, change: (data: JsonObject) => JsonObject): Promise<ApiReply> {
  try {
    await write({ ...store.base, data: change(store.base.data) });
    return { status: 204 };
  } catch (cause) {
    if (!(cause instanceof EditError)) throw cause;
    if (cause.code === "not_found")
      throw new ApiError(404, "resource_not_found", `storage_not_found_error: ${cause.message}`);
    if (cause.code === "conflict")
      throw new ApiError(404, "resource_conflict", `storage_write_conflict_error: ${cause.message}`);
    throw new ApiError(400, "invalid_parameter", `storage_invalid_patch_error: ${cause.message}`);
  }
}

/** What a bundle brought only the bundle may change. */
function refuseOwned(store: PolicyStore, path: readonly string[]): void {
  const owner = store.ownerOf(path);
  if (owner !== undefined)
    throw new ApiError(400, "invalid_parameter", `path ${path.join("/")} is owned by bundle ${JSON.stringify(owner)}`);
}

function readOperations(document: Value, base: readonly string[]): readonly PatchOperation[] {
  if (!isArray(document)) throw new ApiError(400, "invalid_parameter", "body must be an array of operations");
  return document.map((operation) => {
    if (!isJsonObject(operation)) throw new ApiError(400, "invalid_parameter", "an operation must be an object");
    const { op, path, value } = operation as { op?: Value; path?: Value; value?: Value };
    if (op !== "add" && op !== "remove" && op !== "replace")
      throw new ApiError(
        400,
        "invalid_parameter",
        `bad patch operation: ${typeof op === "string" ? op : toJsonText(op ?? null)}`,
      );
    if (typeof path !== "string")
      throw new ApiError(400, "invalid_parameter", `bad patch path: ${toJsonText(path ?? null)}`);
    return { op, path: [...base, ...pointerSegments(path)], value: value ?? null };
  });
}

function pointerSegments(pointer: string): readonly string[] {
  return segmentsOf(pointer).map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function segmentsOf(path: string): readonly string[] {
  const bare = path.replace(/^\/+|\/+$/g, "");
  return bare === "" ? [] : bare.split("/");
}

function refSegment(segment: string): string {
  return /^[A-Za-z_]\w*$/.test(segment) ? `.${segment}` : `[${JSON.stringify(segment)}]`;
}

/** @throws {ApiError} */
function parsed(text: string): Value {
  try {
    return parseJson(text);
  } catch (cause) {
    throw new ApiError(
      400,
      "invalid_parameter",
      `body contains malformed input document: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
}
